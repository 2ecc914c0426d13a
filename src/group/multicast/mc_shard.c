#include "group/multicast/mc_shard.h"

#include "group/multicast/mc_order.h"
#include "group/multicast/mc_stability.h"

#include <string.h>

static void take_members(struct nx_mc *mc, const struct nx_shard *shard, nx_rank self)
{
    mc->senders = shard->members_count;
    mc->set = shard->set;
    mc->peers = shard->set & ~NX_RANK_BIT(self);
    for (uint32_t s = 0; s < mc->senders; s++) {
        mc->members[s] = shard->members[s];
        mc->sender_of[mc->members[s]] = s;
    }
    mc->own = mc->sender_of[self];
}

void nx_mc_init(struct nx_mc *mc, const struct nx_layout *layout, uint32_t subgroup, nx_rank self,
                uint8_t *region, const struct nx_region_shape *shape, size_t send_max)
{
    memset(mc, 0, sizeof *mc);
    mc->subgroup = subgroup;
    mc->send_max = send_max;
    if (!nx_layout_shard_of(layout, subgroup, self, &mc->shard))
        return;
    take_members(mc, &layout->shards[subgroup][mc->shard], self);
    uint64_t bytes = shape->mc_ring_bytes;
    for (uint32_t s = 0; s < mc->senders; s++) {
        uint8_t *ring = region + nx_mc_ring_offset(shape, mc->members[s]);
        nx_intake_init(&mc->held[s], ring, bytes);
        nx_intake_init(&mc->due[s], ring, bytes);
    }
    uint8_t *own = region + nx_mc_ring_offset(shape, self);
    nx_window_init(&mc->out, own, bytes);
    nx_intake_init(&mc->tail, own, bytes);
}

static void note_message(struct nx_mc *mc, uint32_t sender)
{
    uint64_t place = nx_order_seq(mc->indexes[sender], sender, mc->senders);
    if (place >= mc->awaited)
        mc->awaited = place + 1;
}

enum nx_status nx_mc_append(struct nx_mc *mc, uint8_t kind, nx_stream stream, const void *bytes,
                            size_t len)
{
    nx_assert(!mc->wedged && mc->senders > 0 && len <= mc->send_max);
    size_t prefix = kind == NX_REC_COMMIT ? sizeof stream : 0;
    struct nx_record record = {
        .len = (uint32_t)(prefix + len), .kind = kind, .tag = (uint16_t)mc->indexes[mc->own]};
    uint8_t *payload = nx_window_append(&mc->out, &record);
    if (!payload)
        return NX_AGAIN;
    if (prefix)
        memcpy(payload, &stream, prefix);
    if (len)
        memcpy(payload + prefix, bytes, len);
    note_message(mc, mc->own);
    mc->indexes[mc->own]++;
    return NX_OK;
}

static struct nx_intake undelivered(const struct nx_mc *mc)
{
    struct nx_intake walk = mc->due[mc->own];
    walk.sent = mc->out.head;
    return walk;
}

uint64_t nx_mc_save(const struct nx_mc *mc, bool cut, uint8_t *room)
{
    if (mc->senders == 0)
        return 0;
    struct nx_intake walk = undelivered(mc);
    struct nx_record record;
    const uint8_t *payload;
    uint64_t bytes = 0;
    while (nx_intake_next(&walk, &record, &payload) == NX_INTAKE_RECORD) {
        if (record.kind == NX_REC_NULLS || (cut && record.kind == NX_REC_COMMIT))
            continue;
        memcpy(room + bytes, &record, sizeof record);
        memcpy(room + bytes + sizeof record, payload, record.len);
        bytes += nx_record_bytes(record.len);
    }
    return bytes;
}

void nx_mc_restore(struct nx_mc *mc, const uint8_t *room, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes;) {
        struct nx_record record;
        memcpy(&record, room + at, sizeof record);
        record.tag = (uint16_t)mc->indexes[mc->own];
        uint8_t *payload = nx_window_append(&mc->out, &record);
        nx_assert(payload != NULL); /* they fitted before, with others */
        memcpy(payload, room + at + sizeof record, record.len);
        note_message(mc, mc->own);
        mc->indexes[mc->own]++;
        at += nx_record_bytes(record.len);
    }
}

uint64_t nx_mc_find_commit(const struct nx_mc *mc, nx_stream stream)
{
    struct nx_intake walk = undelivered(mc);
    struct nx_record record;
    const uint8_t *payload;
    for (uint64_t index = 0; nx_intake_next(&walk, &record, &payload) == NX_INTAKE_RECORD; index++)
        if (record.kind == NX_REC_COMMIT && nx_remote_load(payload) == stream)
            return nx_order_seq(index, mc->own, mc->senders) + 1;
    return 0;
}

const char *nx_mc_check_record(const struct nx_mc *mc, const struct nx_record *record,
                               uint64_t index)
{
    if (record->tag != (uint16_t)index)
        return "its multicast ring holds a message out of its order";
    switch (record->kind) {
    case NX_REC_MESSAGE:
        return record->len <= mc->send_max ? NULL : "its multicast ring holds an oversized message";
    case NX_REC_NULLS:
        /* The messages that wait for these nulls are undelivered, so they all lie in a window. */
        if (record->len == 0 || record->len > mc->out.ring_bytes / NX_RECORD_HEADER_BYTES)
            return "its multicast ring holds an impossible run of nulls";
        return NULL;
    case NX_REC_COMMIT:
        if (record->len < sizeof(nx_stream) || record->len - sizeof(nx_stream) > mc->send_max)
            return "its multicast ring holds a bulk commit of impossible length";
        return NULL;
    default: return "its multicast ring holds a record of a foreign kind";
    }
}

static uint64_t places_of(const struct nx_record *record)
{
    return record->kind == NX_REC_NULLS ? record->len : 1;
}

const char *nx_mc_receive(struct nx_mc *mc, uint32_t sender, uint64_t sent)
{
    nx_assert(sender < mc->senders && sender != mc->own && !mc->wedged);
    struct nx_intake *held = &mc->held[sender];
    /* What is not delivered yet still occupies the window, so delivery's end of it bounds the
     * claim. */
    if (!nx_intake_extend(&mc->due[sender], sent) || !nx_intake_extend(held, sent))
        return "it claims more multicast bytes than its window holds";
    for (;;) {
        struct nx_record record;
        const uint8_t *payload;
        enum nx_intake_got got = nx_intake_next(held, &record, &payload);
        if (got == NX_INTAKE_EMPTY)
            return NULL;
        if (got == NX_INTAKE_CORRUPT)
            return "its multicast ring holds a malformed record";
        const char *why = nx_mc_check_record(mc, &record, mc->indexes[sender]);
        if (why)
            return why;
        if (record.kind != NX_REC_NULLS)
            note_message(mc, sender);
        mc->indexes[sender] += places_of(&record);
    }
}

/* Runs of nulls are one record each; a run that cannot be appended now is made up for by a later,
 * longer one. */
static void fill_with_nulls(struct nx_mc *mc)
{
    uint64_t wanted = nx_stability_wanted(mc->indexes, mc->own, mc->senders);
    if (wanted <= mc->indexes[mc->own])
        return;
    uint64_t run = wanted - mc->indexes[mc->own];
    uint64_t run_max = mc->out.ring_bytes / NX_RECORD_HEADER_BYTES;
    run = run > run_max ? run_max : run;
    struct nx_record record = {
        .len = (uint32_t)run, .kind = NX_REC_NULLS, .tag = (uint16_t)mc->indexes[mc->own]};
    if (!nx_window_append(&mc->out, &record))
        return;
    mc->indexes[mc->own] += run;
    mc->nulls_sent += run;
}

void nx_mc_settle(struct nx_mc *mc)
{
    if (mc->wedged || mc->senders == 0)
        return;
    fill_with_nulls(mc);
    /* Our own messages are held as soon as they are sent. */
    mc->due[mc->own].sent = mc->out.head;
    mc->received = nx_stability_received(mc->indexes, mc->senders);
}

const char *nx_mc_free(struct nx_mc *mc, uint64_t everywhere)
{
    if (mc->senders == 0)
        return NULL;
    uint64_t ours = nx_order_indexes_below(everywhere, mc->own, mc->senders);
    if (mc->frees_early)
        ours++;
    mc->tail.sent = mc->out.head;
    while (mc->tail_index <= ours) {
        struct nx_record record;
        const uint8_t *payload;
        mc->out.freed = mc->tail.read;
        enum nx_intake_got got = nx_intake_next(&mc->tail, &record, &payload);
        if (got == NX_INTAKE_EMPTY)
            return NULL;
        if (got == NX_INTAKE_CORRUPT)
            return "our own multicast ring was overwritten";
        mc->tail_index += places_of(&record);
    }
    return NULL;
}
