#include "group/multicast/mc_bulk.h"

#include "group/multicast/mc_order.h"

#include <string.h>

static_assert(sizeof(struct nx_bulk_header) == 32, "the same at every member");
static_assert((int)NX_BULKS_MAX <= (int)NX_STREAM_SLOTS, "a slot fits into a stream's name");

void nx_bulk_init(struct nx_bulk *bulk, struct nx_mc *mc, nx_rank self, nx_vid since,
                  uint8_t *region, const struct nx_region_shape *shape, uint8_t *heads)
{
    memset(bulk, 0, sizeof *bulk);
    bulk->opened = nx_stream_first(since);
    bulk->mc = mc;
    bulk->heads = heads;
    uint64_t ring_bytes = shape->bulk_ring_bytes;
    bulk->block_bytes = ring_bytes / 4 < NX_BULK_BLOCK_BYTES ? ring_bytes / 4 : NX_BULK_BLOCK_BYTES;
    nx_window_init(&bulk->out, region + nx_bulk_ring_offset(shape, self), ring_bytes);
    for (nx_rankset left = mc->peers; left; left &= left - 1) {
        nx_rank r = (nx_rank)__builtin_ctzll(left);
        nx_intake_init(&bulk->in[r], region + nx_bulk_ring_offset(shape, r), ring_bytes);
    }
}

static nx_rank self_of(const struct nx_bulk *bulk)
{
    return bulk->mc->members[bulk->mc->own];
}

nx_rankset nx_bulk_children(const struct nx_bulk *bulk, nx_rank sender)
{
    return nx_tree_children(bulk->plans[sender], bulk->mc->set, sender, self_of(bulk));
}

nx_rank nx_bulk_parent(const struct nx_bulk *bulk, nx_rank sender)
{
    return nx_tree_parent(bulk->plans[sender], bulk->mc->set, sender, self_of(bulk));
}

void nx_bulk_turn(struct nx_bulk *bulk, nx_rank sender)
{
    nx_assert(bulk->turning & NX_RANK_BIT(sender));
    bulk->turning &= ~NX_RANK_BIT(sender);
    bulk->plans[sender] = bulk->next[sender];
    bulk->unread |= sender == self_of(bulk) ? 0 : NX_RANK_BIT(sender);
}

void nx_bulk_plan(struct nx_bulk *bulk, nx_vid epoch, const struct nx_schedule_limits *limits)
{
    bulk->epoch = epoch;
    bulk->limits = *limits;
}

static uint8_t *head_of(const struct nx_bulk *bulk, const struct nx_bulk_own *own)
{
    return bulk->heads + (size_t)(own - bulk->own) * bulk->mc->send_max;
}

static struct nx_bulk_own *find_own(struct nx_bulk *bulk, nx_stream stream)
{
    uint32_t slot = nx_stream_slot(stream);
    if (slot >= NX_BULKS_MAX || bulk->own[slot].stream != stream ||
        bulk->own[slot].state == NX_BULK_FREE)
        return NULL;
    return &bulk->own[slot];
}

enum nx_status nx_bulk_start(struct nx_bulk *bulk, uint64_t total, const void *head,
                             size_t head_len, nx_stream *stream)
{
    nx_assert(total > 0 && head_len <= bulk->mc->send_max);
    uint32_t slot = 0;
    while (slot < NX_BULKS_MAX && bulk->own[slot].state != NX_BULK_FREE)
        slot++;
    if (slot == NX_BULKS_MAX)
        return NX_AGAIN;
    struct nx_bulk_own *own = &bulk->own[slot];
    nx_rank self = self_of(bulk);
    *own = (struct nx_bulk_own){
        .state = NX_BULK_TAKING,
        .stream = nx_stream_make(self, true, ++bulk->opened, slot),
        .total = total,
        .head_len = (uint32_t)head_len,
        .schedule = nx_schedule_choose(&bulk->limits, total,
                                       (uint32_t)__builtin_popcountll(bulk->mc->peers)),
    };
    bulk->busy |= (uint64_t)1 << slot;
    if (head_len)
        memcpy(head_of(bulk, own), head, head_len);
    *stream = own->stream;
    return NX_OK;
}

/* One block of up to `len` bytes, behind the head if it is the first. Returns how many bytes it
 * took. */
static size_t put_block(struct nx_bulk *bulk, struct nx_bulk_own *own, const uint8_t *bytes,
                        size_t len)
{
    size_t head_bytes = own->taken == 0 ? own->head_len : 0;
    size_t before = sizeof(struct nx_bulk_header) + ((head_bytes + 7) & ~(size_t)7);
    uint64_t room = nx_window_room(&bulk->out, 0);
    if (room <= before)
        return 0;
    size_t most = room - before < bulk->block_bytes ? room - before : bulk->block_bytes;
    size_t take = len < most ? len : most;
    struct nx_record record = {.len = (uint32_t)(before + take), .kind = NX_REC_BLOCK};
    uint8_t *payload = nx_window_append(&bulk->out, &record);
    nx_assert(payload != NULL);
    struct nx_bulk_header header = {.stream = own->stream,
                                    .total = own->total,
                                    .offset = own->taken,
                                    .head_bytes = (uint32_t)head_bytes};
    memcpy(payload, &header, sizeof header);
    if (head_bytes)
        memcpy(payload + sizeof header, head_of(bulk, own), head_bytes);
    memcpy(payload + before, bytes, take);
    return take;
}

/* The plan that the messages under way ask for: that of the largest. */
static enum nx_schedule wanted_plan(const struct nx_bulk *bulk)
{
    enum nx_schedule wanted = NX_SCHEDULE_SEQUENTIAL;
    for (nx_rankset left = bulk->busy; left; left &= left - 1) {
        const struct nx_bulk_own *own = &bulk->own[__builtin_ctzll(left)];
        if (own->state == NX_BULK_TAKING && own->schedule > wanted)
            wanted = own->schedule;
    }
    return wanted;
}

/* Whether blocks may be appended: by the plan that is wanted. Otherwise the record of the new one goes first, and all of
 * the old one's children have to have it before anything follows. */
static bool has_plan(struct nx_bulk *bulk)
{
    nx_rank self = self_of(bulk);
    enum nx_schedule wanted = wanted_plan(bulk);
    if (bulk->turning & NX_RANK_BIT(self))
        return false;
    if (wanted == bulk->plans[self])
        return true;
    struct nx_record record = {.len = sizeof(uint64_t), .kind = NX_REC_PLAN};
    uint8_t *payload = nx_window_append(&bulk->out, &record);
    if (!payload)
        return false;
    uint64_t word = bulk->epoch << 8 | wanted;
    memcpy(payload, &word, sizeof word);
    bulk->next[self] = wanted;
    bulk->turning |= NX_RANK_BIT(self);
    return false;
}

enum nx_status nx_bulk_put(struct nx_bulk *bulk, nx_stream stream, const void *bytes, size_t len,
                           size_t *taken)
{
    struct nx_bulk_own *own = find_own(bulk, stream);
    if (!own || own->state > NX_BULK_DRAINING)
        return NX_NOT_FOUND;
    if (len > own->total - own->taken)
        return NX_TOO_LARGE;
    /* Nobody else in the shard: the bytes have nowhere to go. */
    size_t done = bulk->mc->peers ? 0 : len;
    own->taken += done;
    while (done < len && has_plan(bulk)) {
        size_t take = put_block(bulk, own, (const uint8_t *)bytes + done, len - done);
        if (take == 0)
            break;
        done += take;
        own->taken += take;
    }
    if (own->taken == own->total && own->state == NX_BULK_TAKING) {
        own->state = NX_BULK_DRAINING;
        own->end = bulk->out.head;
    }
    *taken = done;
    return NX_OK;
}

void nx_bulk_give_up(struct nx_bulk *bulk, nx_stream stream)
{
    struct nx_bulk_own *own = find_own(bulk, stream);
    if (own && own->state == NX_BULK_LOST)
        own->state = NX_BULK_FREE; /* nobody is to be told any more */
    if (own && own->state <= NX_BULK_DRAINING && own->state != NX_BULK_FREE)
        own->state = own->taken > 0 && bulk->mc->peers ? NX_BULK_ABORTING : NX_BULK_FREE;
}

static bool announce_abort(struct nx_bulk *bulk, struct nx_bulk_own *own)
{
    struct nx_record record = {.len = sizeof own->stream, .kind = NX_REC_ABORT};
    /* nothing follows a plan yet */
    bool turning = (bulk->turning & NX_RANK_BIT(self_of(bulk))) != 0;
    uint8_t *payload = turning ? NULL : nx_window_append(&bulk->out, &record);
    if (!payload)
        return false;
    memcpy(payload, &own->stream, sizeof own->stream);
    own->state = NX_BULK_FREE;
    return true;
}

static bool commit_own(struct nx_bulk *bulk, struct nx_bulk_own *own, uint64_t consumed)
{
    struct nx_mc *mc = bulk->mc;
    uint64_t index = mc->indexes[mc->own];
    if (consumed < own->end || mc->wedged)
        return false;
    if (nx_mc_append(mc, NX_REC_COMMIT, own->stream, head_of(bulk, own), own->head_len) != NX_OK)
        return false;
    own->state = NX_BULK_COMMITTED;
    own->end = nx_order_seq(index, mc->own, mc->senders) + 1;
    return true;
}

bool nx_bulk_owes(const struct nx_bulk *bulk)
{
    for (nx_rankset left = bulk->busy; left; left &= left - 1) {
        enum nx_bulk_state state = bulk->own[__builtin_ctzll(left)].state;
        if (state == NX_BULK_DRAINING || state == NX_BULK_ABORTING)
            return true;
    }
    return false;
}

bool nx_bulk_settle(struct nx_bulk *bulk, uint64_t consumed, uint64_t delivered)
{
    bool moved = bulk->out.freed != consumed;
    nx_assert(consumed >= bulk->out.freed && consumed <= bulk->out.head);
    bulk->out.freed = consumed;
    for (nx_rankset left = bulk->busy; left; left &= left - 1) {
        unsigned slot = (unsigned)__builtin_ctzll(left);
        struct nx_bulk_own *own = &bulk->own[slot];
        if (own->state == NX_BULK_DRAINING)
            moved |= commit_own(bulk, own, consumed);
        else if (own->state == NX_BULK_ABORTING)
            moved |= announce_abort(bulk, own);
        else if (own->state == NX_BULK_COMMITTED && delivered >= own->end && !bulk->keeps_slots)
            own->state = NX_BULK_FREE;
        if (own->state == NX_BULK_FREE)
            bulk->busy &= ~((uint64_t)1 << slot);
    }
    return moved;
}

void nx_bulk_cut(struct nx_bulk *bulk)
{
    for (nx_rankset left = bulk->busy; left; left &= left - 1) {
        struct nx_bulk_own *own = &bulk->own[__builtin_ctzll(left)];
        bool delivered =
            own->state == NX_BULK_COMMITTED && !nx_mc_find_commit(bulk->mc, own->stream);
        if (own->state == NX_BULK_ABORTING)
            own->state = NX_BULK_FREE; /* the others are told by the cut */
        else if (own->state != NX_BULK_FREE && !delivered)
            own->state = NX_BULK_LOST;
    }
}

void nx_bulk_await_bases(struct nx_bulk *bulk, nx_vid vid, uint8_t *region,
                         const struct nx_region_shape *shape, nx_rankset fresh)
{
    bulk->cut = true;
    bulk->cut_vid = vid;
    bulk->awaited = bulk->mc->peers;
    bulk->unread &= ~bulk->awaited;
    for (nx_rankset left = fresh; left; left &= left - 1) {
        nx_rank r = (nx_rank)__builtin_ctzll(left);
        nx_intake_init(&bulk->in[r], region + nx_bulk_ring_offset(shape, r),
                       shape->bulk_ring_bytes);
        memset(bulk->theirs[r], 0, sizeof bulk->theirs[r]);
    }
}

const char *nx_bulk_take_base(struct nx_bulk *bulk, nx_rank peer, uint64_t word, uint64_t sent)
{
    struct nx_intake *in = &bulk->in[peer];
    if (word >> NX_BULK_BASE_BITS < bulk->cut_vid)
        return NULL;
    uint64_t base = (word & (((uint64_t)1 << NX_BULK_BASE_BITS) - 1)) * 8;
    if (base < in->read)
        return "its bulk window went back";
    bulk->awaited &= ~NX_RANK_BIT(peer);
    in->read = in->sent = base;
    return sent > base ? nx_bulk_receive(bulk, peer, sent) : NULL;
}

nx_stream nx_bulk_next_lost(struct nx_bulk *bulk)
{
    for (nx_rankset left = bulk->busy; left; left &= left - 1) {
        unsigned slot = (unsigned)__builtin_ctzll(left);
        struct nx_bulk_own *own = &bulk->own[slot];
        if (own->state != NX_BULK_LOST)
            continue;
        own->state = NX_BULK_FREE;
        bulk->busy &= ~((uint64_t)1 << slot);
        return own->stream;
    }
    return 0;
}

const char *nx_bulk_receive(struct nx_bulk *bulk, nx_rank peer, uint64_t sent)
{
    nx_assert(bulk->mc->peers & NX_RANK_BIT(peer));
    if (bulk->awaited & NX_RANK_BIT(peer))
        return NULL; /* nx_bulk_take_base comes back to it */
    if (!nx_intake_extend(&bulk->in[peer], sent))
        return "it claims more bulk bytes than its window holds";
    bulk->unread |= NX_RANK_BIT(peer);
    return NULL;
}

/* The stream that a block belongs to: a new one for offset 0, else the open one that goes on here.
 */
static const char *place_block(struct nx_bulk_theirs *theirs, const struct nx_bulk_header *header,
                               uint64_t len)
{
    if (header->total == 0 || len == 0 || header->offset > header->total ||
        len > header->total - header->offset)
        return "its bulk block lies outside its message";
    if (header->offset == 0 && theirs->stream == 0) {
        *theirs = (struct nx_bulk_theirs){.stream = header->stream, .total = header->total};
    } else if (theirs->stream != header->stream || theirs->total != header->total ||
               theirs->received != header->offset || header->head_bytes != 0) {
        return "its bulk block does not go on where the last one ended";
    }
    theirs->received += len;
    return NULL;
}

static bool names_theirs(nx_stream stream, nx_rank peer)
{
    return nx_stream_opener(stream) == peer && nx_stream_is_bulk(stream) &&
           nx_stream_slot(stream) < NX_BULKS_MAX;
}

static const char *take_block(struct nx_bulk *bulk, nx_rank peer, const uint8_t *payload,
                              uint32_t len, struct nx_part *part, const uint8_t **head,
                              size_t *head_len)
{
    struct nx_bulk_header header;
    if (len < sizeof header)
        return "its bulk block is shorter than its header";
    nx_remote_copy(&header, payload, sizeof header);
    uint64_t before = sizeof header + (((uint64_t)header.head_bytes + 7) & ~(uint64_t)7);
    if (header.head_bytes > bulk->mc->send_max || before > len)
        return "its bulk block is shorter than its head";
    if (!names_theirs(header.stream, peer))
        return "its bulk block names a stream that is not its own";
    struct nx_bulk_theirs *theirs = &bulk->theirs[peer][nx_stream_slot(header.stream)];
    const char *why = place_block(theirs, &header, len - before);
    if (why)
        return why;
    *part = (struct nx_part){.peer = peer,
                             .stream = header.stream,
                             .total = header.total,
                             .offset = header.offset,
                             .bytes = payload + before,
                             .len = len - before};
    *head = header.offset == 0 ? payload + sizeof header : NULL;
    *head_len = header.head_bytes;
    return NULL;
}

static const char *take_abort(struct nx_bulk *bulk, nx_rank peer, const uint8_t *payload,
                              uint32_t len, struct nx_part *part)
{
    nx_stream stream;
    if (len != sizeof stream)
        return "its bulk abort has an impossible length";
    stream = nx_remote_load(payload);
    if (!names_theirs(stream, peer) || bulk->theirs[peer][nx_stream_slot(stream)].stream != stream)
        return "its bulk abort names a stream that is not open";
    bulk->theirs[peer][nx_stream_slot(stream)].stream = 0;
    *part = (struct nx_part){.peer = peer, .stream = stream};
    return NULL;
}

/* What follows comes by the new plan: nothing of it is readable before it came that way. */
static const char *take_plan(struct nx_bulk *bulk, nx_rank peer, const uint8_t *payload,
                             uint32_t len)
{
    if (len != sizeof(uint64_t))
        return "its bulk plan has an impossible length";
    uint64_t word = nx_remote_load(payload), schedule = word & 0xff;
    if (schedule >= NX_SCHEDULES_COUNT)
        return "its bulk plan names no schedule";
    if (word >> 8 != bulk->epoch)
        return NULL; /* of a view that is over: so is the plan */
    bulk->next[peer] = (enum nx_schedule)schedule;
    bulk->turning |= NX_RANK_BIT(peer);
    bulk->in[peer].sent = bulk->in[peer].read;
    return NULL;
}

/* The next record that is no plan. Plans are taken on the way, and end what may be read for now. */
static enum nx_intake_got next_record(struct nx_bulk *bulk, nx_rank peer, struct nx_record *record,
                                      const uint8_t **payload, const char **why)
{
    *why = NULL;
    while (!(bulk->turning & NX_RANK_BIT(peer))) {
        enum nx_intake_got got = nx_intake_next(&bulk->in[peer], record, payload);
        if (got != NX_INTAKE_RECORD || record->kind != NX_REC_PLAN)
            return got;
        *why = take_plan(bulk, peer, *payload, record->len);
        if (*why)
            return got;
    }
    return NX_INTAKE_EMPTY;
}

enum nx_bulk_got nx_bulk_next(struct nx_bulk *bulk, nx_rank peer, struct nx_part *part,
                              const uint8_t **head, size_t *head_len, const char **why)
{
    struct nx_record record;
    const uint8_t *payload;
    enum nx_intake_got got = next_record(bulk, peer, &record, &payload, why);
    if (got == NX_INTAKE_EMPTY) {
        bulk->unread &= ~NX_RANK_BIT(peer);
        return NX_BULK_NONE;
    }
    if (*why)
        return NX_BULK_CORRUPT;
    *why = "its bulk ring holds a malformed record";
    if (got == NX_INTAKE_RECORD && record.kind == NX_REC_BLOCK) {
        *why = take_block(bulk, peer, payload, record.len, part, head, head_len);
        return *why ? NX_BULK_CORRUPT : NX_BULK_PART;
    }
    if (got == NX_INTAKE_RECORD && record.kind == NX_REC_ABORT) {
        *why = take_abort(bulk, peer, payload, record.len, part);
        return *why ? NX_BULK_CORRUPT : NX_BULK_ABORTED;
    }
    return NX_BULK_CORRUPT;
}

bool nx_bulk_commit(struct nx_bulk *bulk, nx_rank peer, nx_stream stream)
{
    if (!names_theirs(stream, peer))
        return false;
    struct nx_bulk_theirs *theirs = &bulk->theirs[peer][nx_stream_slot(stream)];
    if (theirs->stream != stream || theirs->received != theirs->total)
        return false;
    theirs->stream = 0;
    return true;
}

void nx_bulk_begin_epoch(struct nx_bulk *bulk, nx_vid epoch)
{
    bulk->epoch = epoch;
    bulk->turning = 0;
    memset(bulk->plans, 0, sizeof bulk->plans);
    for (nx_rankset left = bulk->mc->peers; left; left &= left - 1) {
        struct nx_intake *in = &bulk->in[__builtin_ctzll(left)];
        in->sent = in->read;
    }
    for (nx_rankset left = bulk->busy; left; left &= left - 1) {
        struct nx_bulk_own *own = &bulk->own[__builtin_ctzll(left)];
        if (own->state == NX_BULK_COMMITTED)
            own->end = nx_mc_find_commit(bulk->mc, own->stream);
    }
    bulk->keeps_slots = true;
}

nx_stream nx_bulk_orphan(struct nx_bulk *bulk, nx_rank peer, bool out)
{
    for (unsigned i = 0; i < NX_BULKS_MAX; i++) {
        struct nx_bulk_theirs *theirs = &bulk->theirs[peer][i];
        nx_stream stream = theirs->stream;
        if (stream && (out || theirs->received < theirs->total)) {
            theirs->stream = 0;
            return stream;
        }
    }
    return 0;
}
