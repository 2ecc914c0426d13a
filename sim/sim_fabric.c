#include "sim_fabric.h"

#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct sim_lane *lane(const struct sim_fabric *fabric, nx_rank from, nx_rank to)
{
    return &fabric->lanes[from * SIM_NODES_MAX + to];
}

static uint8_t *map_region(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    nx_assert(at != MAP_FAILED);
    return at;
}

enum nx_status sim_fabric_open(struct sim_fabric *fabric, const struct sim_config *config,
                               struct sim_trace *trace, struct sim_events *events,
                               struct nx_err *err)
{
    const struct nx_core_config *core = &config->core;
    *fabric = (struct sim_fabric){.config = config, .trace = trace, .events = events};
    NX_TRY(nx_region_shape_init(&fabric->shape, core->members_max, core->mc_ring_bytes,
                                core->bulk_ring_bytes, core->p2p_ring_bytes, err));
    nx_prng_init(&fabric->prng, config->seed ^ UINT64_C(0xfab41c));
    for (; fabric->nodes < config->nodes; fabric->nodes++) {
        fabric->regions[fabric->nodes] = map_region(fabric->shape.bytes);
        fabric->seats[fabric->nodes] = fabric->nodes;
    }
    fabric->lanes = calloc((size_t)SIM_NODES_MAX * SIM_NODES_MAX, sizeof *fabric->lanes);
    nx_assert(fabric->lanes != NULL && config->lane_depth <= SIM_DEPTH_MAX);
    return NX_OK;
}

void sim_fabric_add(struct sim_fabric *fabric, unsigned node)
{
    nx_assert(node == fabric->nodes && node < SIM_NODES_MAX);
    fabric->regions[fabric->nodes++] = map_region(fabric->shape.bytes);
    for (unsigned n = 0; n < node; n++)
        lane(fabric, n, node)->dead = lane(fabric, node, n)->dead = true;
}

void sim_fabric_connect(struct sim_fabric *fabric, unsigned a, unsigned b)
{
    struct sim_lane *lanes[] = {lane(fabric, a, b), lane(fabric, b, a)};
    for (int i = 0; i < 2; i++) {
        uint32_t number = lanes[i]->number + 1; /* what was scheduled is void */
        *lanes[i] = (struct sim_lane){.number = number, .stalled_until = lanes[i]->stalled_until};
    }
}

bool sim_fabric_connected(const struct sim_fabric *fabric, unsigned a, unsigned b)
{
    const struct sim_lane *there = lane(fabric, a, b), *back = lane(fabric, b, a);
    return !there->dead && !there->cut && !back->dead && !back->cut;
}

bool sim_fabric_linked(const struct sim_fabric *fabric, unsigned a, unsigned b)
{
    return !lane(fabric, a, b)->dead || !lane(fabric, b, a)->dead;
}

void sim_fabric_close(struct sim_fabric *fabric)
{
    for (uint32_t n = 0; n < fabric->nodes; n++)
        munmap(fabric->regions[n], fabric->shape.bytes);
    free(fabric->lanes);
}

static bool has_room(const struct sim_fabric *fabric, const struct sim_lane *l)
{
    return l->count + NX_WRITES_PER_PEER <= fabric->config->lane_depth;
}

uint64_t sim_fabric_writable(struct sim_fabric *fabric, nx_rank node)
{
    uint64_t set = 0;
    for (nx_rank peer = 0; peer < fabric->nodes; peer++) {
        struct sim_lane *to = lane(fabric, node, peer);
        to->credits = peer != node && has_room(fabric, to) ? NX_WRITES_PER_PEER : 0;
        if (to->credits)
            set |= NX_RANK_BIT(peer);
    }
    return set;
}

static void foul(struct sim_fabric *fabric, nx_ns now, nx_rank from, const struct nx_write *write,
                 enum sim_foul what)
{
    struct sim_record record = {.at = now,
                                .kind = SIM_FOUL,
                                .node = (uint8_t)from,
                                .id = what,
                                .peer = (uint8_t)(write->peer < SIM_NODES_MAX ? write->peer : 0),
                                .offset = write->remote_offset,
                                .len = write->bytes};
    sim_trace_add(fabric->trace, &record);
}

static bool within(uint64_t offset, uint64_t bytes, uint64_t area, uint64_t area_bytes)
{
    return offset >= area && offset + bytes <= area + area_bytes;
}

/* A relay writes another sender's bytes, those that it holds, where they stand with itself. */
static bool relays(const struct nx_region_shape *shape, const struct nx_write *write)
{
    uint64_t rings = (uint64_t)shape->members_max * shape->bulk_ring_bytes;
    return write->local_offset == write->remote_offset &&
           within(write->remote_offset, write->bytes, shape->bulk, rings);
}

/* The parts of any region that `from` may write. */
static bool owns(const struct nx_region_shape *shape, nx_rank from, uint64_t offset, uint64_t bytes)
{
    return within(offset, bytes, nx_row_in_offset(shape, from), NX_ROW_BYTES) ||
           within(offset, bytes, nx_mc_ring_offset(shape, from), shape->mc_ring_bytes) ||
           within(offset, bytes, nx_bulk_ring_offset(shape, from), shape->bulk_ring_bytes) ||
           within(offset, bytes, nx_relay_in_offset(shape, from, 0),
                  shape->members_max * sizeof(struct nx_guarded)) ||
           within(offset, bytes, nx_p2p_in_offset(shape, from), shape->p2p_ring_bytes);
}

/* What is wrong with a write; 0 if nothing. */
static int why_refuse(const struct sim_fabric *fabric, nx_rank from, const struct nx_write *write)
{
    uint64_t region = fabric->shape.bytes;
    if (write->peer >= fabric->nodes || write->peer == from)
        return SIM_FOUL_PEER;
    if (!write->bytes || write->bytes > region || write->local_offset > region - write->bytes ||
        write->remote_offset > region - write->bytes ||
        (write->inline_bytes && write->bytes > NX_INLINE_MAX))
        return SIM_FOUL_BOUNDS;
    if (!owns(&fabric->shape, fabric->seats[from], write->remote_offset, write->bytes) &&
        !relays(&fabric->shape, write))
        return SIM_FOUL_OWNER;
    return lane(fabric, from, write->peer)->credits ? 0 : SIM_FOUL_CREDIT;
}

static uint64_t quick_hash(const uint8_t *bytes, size_t len)
{
    uint64_t hash = len, word;
    for (; len >= 8; bytes += 8, len -= 8) {
        memcpy(&word, bytes, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return sim_hash(hash, bytes, len);
}

/* A beat alone is no work: a group at rest beats on. */
static bool is_beat(const struct sim_fabric *fabric, nx_rank from, const struct nx_write *write)
{
    return write->bytes == sizeof(struct nx_guarded) &&
           write->remote_offset == nx_row_in_offset(&fabric->shape, fabric->seats[from]) +
                                       NX_COL_HEARTBEAT * sizeof(struct nx_guarded);
}

static void schedule(struct sim_fabric *fabric, nx_rank from, nx_rank to, nx_ns now)
{
    struct sim_lane *l = lane(fabric, from, to);
    if (!l->count)
        return;
    nx_ns at = l->ring[l->head].due;
    if (at < l->stalled_until)
        at = l->stalled_until;
    sim_events_add(fabric->events, at > now ? at : now, SIM_EVENT_LANE,
                   is_beat(fabric, from, &l->ring[l->head].write), from, to, ++l->number);
}

void sim_fabric_post(struct sim_fabric *fabric, nx_ns now, unsigned from,
                     const struct nx_write *write)
{
    int why = why_refuse(fabric, from, write);
    if (why) {
        foul(fabric, now, from, write, (enum sim_foul)why);
        return;
    }
    struct sim_record record = {.at = now,
                                .kind = SIM_WRITE,
                                .node = (uint8_t)from,
                                .peer = (uint8_t)write->peer,
                                .offset = write->remote_offset,
                                .len = write->bytes,
                                .mask = (uint64_t)write->inline_bytes | (uint64_t)write->doorbell
                                                                            << 1};
    sim_trace_add(fabric->trace, &record);
    struct sim_lane *l = lane(fabric, from, write->peer);
    l->credits--;
    if (l->cut || l->dead)
        return;
    struct sim_write *w = &l->ring[(l->head + l->count++) % SIM_DEPTH_MAX];
    *w = (struct sim_write){.write = *write};
    const uint8_t *source = fabric->regions[from] + write->local_offset;
    if (write->inline_bytes)
        memcpy(w->copy, source, write->bytes);
    else
        w->source_hash = quick_hash(source, write->bytes);
    w->due = now + nx_prng_between(&fabric->prng, fabric->config->delay_min_ns,
                                   fabric->config->delay_max_ns);
    if (w->due < l->last_due)
        w->due = l->last_due;
    l->last_due = w->due;
    if (l->count == 1)
        schedule(fabric, from, write->peer, now);
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Into which units, and in which order, a write lands. */
static void begin(struct sim_fabric *fabric, struct sim_write *w)
{
    static const uint32_t units[] = {1, 8, 64};
    uint32_t unit = fabric->config->unit_bytes;
    if (!unit)
        unit = units[nx_prng_below(&fabric->prng, 3)];
    if (unit < fabric->config->core.caps.atomic_unit)
        unit = fabric->config->core.caps.atomic_unit;
    w->unit_bytes = unit;
    w->units = (w->write.bytes + unit - 1) / unit;
    w->next = (uint32_t)nx_prng_below(&fabric->prng, w->units);
    uint32_t steps[] = {1, w->units - 1, 1 + (uint32_t)nx_prng_below(&fabric->prng, w->units)};
    w->stride = steps[nx_prng_below(&fabric->prng, 3)];
    while (w->stride == 0 || common_divisor(w->stride, w->units) > 1)
        w->stride++; /* coprime, so that each unit comes once */
}

static const uint8_t *source_of(const struct sim_fabric *fabric, nx_rank from,
                                const struct sim_write *w)
{
    return w->write.inline_bytes ? w->copy : fabric->regions[from] + w->write.local_offset;
}

static void land_units(struct sim_fabric *fabric, nx_rank from, struct sim_write *w, uint32_t count)
{
    const uint8_t *src = source_of(fabric, from, w);
    uint8_t *dst = fabric->regions[w->write.peer] + w->write.remote_offset;
    if (w->landed == 0 && count == w->units) {
        memcpy(dst, src, w->write.bytes);
        w->landed = count;
        return;
    }
    for (; count > 0; count--, w->landed++) {
        uint32_t at = w->next * w->unit_bytes;
        uint32_t len = w->write.bytes - at < w->unit_bytes ? w->write.bytes - at : w->unit_bytes;
        memcpy(dst + at, src + at, len);
        w->next = (w->next + w->stride) % w->units;
    }
}

static void check_source(struct sim_fabric *fabric, nx_ns now, nx_rank from,
                         const struct sim_write *w)
{
    if (!w->write.inline_bytes &&
        quick_hash(source_of(fabric, from, w), w->write.bytes) != w->source_hash)
        foul(fabric, now, from, &w->write, SIM_FOUL_SOURCE);
}

/* The tag that a word is sealed for: 0, or one of the first views. */
static uint64_t tag_of(const uint8_t *at)
{
    enum { TAGS = 64 };
    struct nx_guarded word;
    memcpy(&word, at, sizeof word);
    for (uint64_t tag = 0; tag < TAGS; tag++)
        if (nx_guard_seal_for(word.value, tag) == word.seal)
            return tag;
    return TAGS;
}

/* Traces the columns that a write into a row has left: 16-byte words, value first. */
static void trace_columns(struct sim_fabric *fabric, nx_ns now, nx_rank from,
                          const struct sim_write *w)
{
    static const uint8_t laws[NX_ROW_WORDS] = {
#define SIM_COLUMN_LAW(column, law, life)                    \
    [column] = column == NX_COL_COMMITTED ? SIM_LAW_DECISION \
               : law == NX_LAW_GROWS      ? SIM_LAW_GROWS    \
                                          : SIM_LAW_FREE,
        NX_COLUMN_LIST(SIM_COLUMN_LAW)
#undef SIM_COLUMN_LAW
    };
    uint64_t row = nx_row_in_offset(&fabric->shape, fabric->seats[from]),
             end = w->write.remote_offset + w->write.bytes;
    if (!within(w->write.remote_offset, w->write.bytes, row, NX_ROW_BYTES))
        return;
    for (uint64_t at = (w->write.remote_offset + 15) & ~UINT64_C(15); at + 16 <= end; at += 16) {
        struct sim_record record = {.at = now,
                                    .kind = SIM_COLUMN,
                                    .node = (uint8_t)w->write.peer,
                                    .peer = (uint8_t)from,
                                    .offset = at,
                                    .status = laws[(at - row) / 16]};
        memcpy(&record.total, fabric->regions[w->write.peer] + at, sizeof record.total);
        record.id = tag_of(fabric->regions[w->write.peer] + at);
        sim_trace_add(fabric->trace, &record);
    }
}

/* Lands what the sender's death has left of a write, and nothing after it. */
static void land_last(struct sim_fabric *fabric, nx_rank from, struct sim_lane *l)
{
    struct sim_write *w = &l->ring[l->head];
    land_units(fabric, from, w, w->keep);
    l->dead = true;
    l->count = 0;
}

/* Lands some or all of the head; true if it is through. */
static bool land_head(struct sim_fabric *fabric, nx_ns now, nx_rank from, struct sim_lane *l)
{
    struct sim_write *w = &l->ring[l->head];
    if (!w->units)
        begin(fabric, w);
    uint32_t rest = w->units - w->landed, some = rest;
    bool whole = rest == 1 || nx_prng_below(&fabric->prng, 100) >= fabric->config->tear_percent;
    if (!whole)
        some = (uint32_t)nx_prng_below(&fabric->prng, rest) + (rest > 8);
    check_source(fabric, now, from, w);
    land_units(fabric, from, w, some);
    if (w->landed < w->units) {
        w->due = now + nx_prng_between(&fabric->prng, 1, fabric->config->tear_ns);
        return false;
    }
    trace_columns(fabric, now, from, w);
    return true;
}

/* Lands what is due; true if a doorbell was among it. */
static bool land_due(struct sim_fabric *fabric, nx_ns now, nx_rank from, nx_rank to)
{
    struct sim_lane *l = lane(fabric, from, to);
    bool rings = false, full = !has_room(fabric, l);
    while (l->count && l->ring[l->head].due <= now && now >= l->stalled_until && !l->dead) {
        struct sim_write *w = &l->ring[l->head];
        if (w->torn_off) {
            land_last(fabric, from, l);
            break;
        }
        if (!land_head(fabric, now, from, l))
            break;
        rings = rings || w->write.doorbell;
        l->head = (l->head + 1) % SIM_DEPTH_MAX;
        l->count--;
    }
    if (full && has_room(fabric, l))
        fabric->roomy |= NX_RANK_BIT(from);
    schedule(fabric, from, to, now);
    return rings;
}

struct sim_landing sim_fabric_due(struct sim_fabric *fabric, nx_ns now,
                                  const struct sim_event *event)
{
    struct sim_lane *l = lane(fabric, event->a, event->b);
    struct sim_landing landing = {0};
    if (event->c != l->number || !l->count || l->dead)
        return landing;
    landing.moved = true;
    if (!fabric->config->core.caps.needs_target_progress)
        landing.doorbell = land_due(fabric, now, event->a, event->b);
    return landing;
}

void sim_fabric_progress(struct sim_fabric *fabric, nx_ns now, nx_rank node)
{
    if (!fabric->config->core.caps.needs_target_progress)
        return;
    for (nx_rank from = 0; from < fabric->nodes; from++) {
        struct sim_lane *l = lane(fabric, from, node);
        if (l->count && l->ring[l->head].due <= now && now >= l->stalled_until)
            land_due(fabric, now, from, node);
    }
}

bool sim_fabric_waits(const struct sim_fabric *fabric, nx_ns now, nx_rank node)
{
    if (!fabric->config->core.caps.needs_target_progress)
        return false;
    for (nx_rank from = 0; from < fabric->nodes; from++) {
        const struct sim_lane *l = lane(fabric, from, node);
        if (l->count && !l->dead && l->ring[l->head].due <= now && now >= l->stalled_until)
            return true;
    }
    return false;
}

void sim_fabric_stall(struct sim_fabric *fabric, nx_ns now, nx_rank from, nx_rank to, nx_ns until)
{
    if (from == to)
        return;
    struct sim_lane *l = lane(fabric, from, to);
    l->stalled_until = until > l->stalled_until ? until : l->stalled_until;
    schedule(fabric, from, to, now);
}

nx_ns sim_fabric_stalled_until(const struct sim_fabric *fabric, nx_rank from, nx_rank to)
{
    return lane(fabric, from, to)->stalled_until;
}

/* Leaves a prefix of the lane, the last write of it perhaps in part. */
static void cut_lane(struct sim_fabric *fabric, nx_rank from, nx_rank to)
{
    struct sim_lane *l = lane(fabric, from, to);
    l->cut = true;
    uint32_t whole = (uint32_t)nx_prng_below(&fabric->prng, l->count + 1);
    if (whole == l->count)
        return;
    struct sim_write *last = &l->ring[(l->head + whole) % SIM_DEPTH_MAX];
    if (!last->units)
        begin(fabric, last);
    last->torn_off = true;
    last->keep = (uint32_t)nx_prng_below(&fabric->prng, last->units - last->landed);
    l->count = whole + 1;
}

void sim_fabric_cut(struct sim_fabric *fabric, nx_rank node)
{
    for (nx_rank peer = 0; peer < fabric->nodes; peer++) {
        if (peer == node)
            continue;
        cut_lane(fabric, node, peer);
        sim_fabric_sever(fabric, peer, node);
    }
}

void sim_fabric_sever(struct sim_fabric *fabric, nx_rank from, nx_rank to)
{
    struct sim_lane *l = lane(fabric, from, to);
    l->dead = true;
    l->count = 0;
}
