#include "nx_wire.h"

#include "common/nx_assert.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct nx_core_config wire_config(void)
{
    struct nx_core_config config = {
        .spec = {.subgroups_count = 1,
                 .subgroups = {{.name = "TIER", .num_shards = 1, .min_nodes = 1, .max_nodes = 8}}},
        .caps = {.waw = true,
                 .atomic_unit = 1,
                 .needs_target_progress = true,
                 .wakes_on_plain_write = true},
        .members_max = WIRE_NODES_MAX,
        .mc_ring_bytes = 4096,
        .p2p_ring_bytes = 4096,
        .bulk_ring_bytes = 4096,
    };
    return config;
}

static void *take(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    nx_assert(memory);
    memset(memory, 0, bytes);
    return memory;
}

static void give_view(struct wire *wire, const struct nx_view *view, unsigned node)
{
    struct nx_event event = {.type = NX_EV_VIEW, .view = view};
    nx_core_step(wire->cores[node], wire->now, &event, wire->update);
    nx_assert(wire->update->status == NX_OK);
    wire->wake_at[node] = NX_NEVER;
    wire->busy[node] = true;
}

static void open_core(struct wire *wire, unsigned node)
{
    struct nx_err err;
    wire->config.self = wire->ids[node];
    if (nx_core_open(&wire->config, wire->regions[node], &wire->cores[node], &err) != NX_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

struct wire *wire_open(const struct nx_core_config *config, const uint32_t *tiers, unsigned nodes)
{
    nx_assert(nodes <= WIRE_NODES_MAX && nodes <= config->members_max);
    struct wire *wire = take(sizeof *wire);
    wire->nodes = nodes;
    wire->config = *config;
    wire->update = take(sizeof *wire->update);
    wire->inner = take(sizeof *wire->inner);
    struct nx_view view = {.vid = 1, .members_count = nodes};
    for (unsigned n = 0; n < nodes; n++) {
        view.members[n] = (struct nx_member){.node = n + 100, .subgroup = tiers ? tiers[n] : 0};
        wire->ids[n] = n + 100;
        wire->regions[n] = take(nx_core_region_bytes(config));
        open_core(wire, n);
        for (unsigned m = 0; m < nodes; m++)
            wire->lanes[n][m].last = &wire->lanes[n][m].first;
    }
    nx_view_assign(NULL, &config->spec, &view);
    for (unsigned n = 0; n < nodes; n++)
        give_view(wire, &view, n);
    return wire;
}

static void empty_lane(struct wire_lane *lane)
{
    while (lane->first) {
        struct wire_parcel *parcel = lane->first;
        lane->first = parcel->next;
        free(parcel);
    }
    lane->last = &lane->first;
}

void wire_come(struct wire *wire, unsigned seat, nx_node node)
{
    nx_assert(seat <= wire->nodes && seat < WIRE_NODES_MAX);
    if (seat == wire->nodes) {
        wire->regions[seat] = take(nx_core_region_bytes(&wire->config));
        wire->nodes++;
    } else {
        nx_assert(wire->dead[seat]);
        nx_core_close(wire->cores[seat]);
        memset(wire->regions[seat], 0, nx_core_region_bytes(&wire->config));
    }
    for (unsigned m = 0; m < wire->nodes; m++) {
        struct wire_lane *lanes[] = {&wire->lanes[seat][m], &wire->lanes[m][seat]};
        for (int i = 0; i < 2; i++)
            *lanes[i] = (struct wire_lane){.last = &lanes[i]->first};
    }
    wire->ids[seat] = node;
    wire->dead[seat] = wire->busy[seat] = false;
    wire->waiting[seat] = true;
    wire->wake_at[seat] = NX_NEVER;
    open_core(wire, seat);
}

enum nx_status wire_admit(struct wire *wire, unsigned at, unsigned leader, unsigned seat)
{
    struct nx_member member = {.node = wire->ids[seat]};
    return wire_ask(wire, at,
                    (struct nx_event){.type = NX_EV_ADMIT,
                                      .peer = leader,
                                      .vid = nx_core_view(wire->cores[leader])->vid,
                                      .rank = seat,
                                      .member = &member})
        ->status;
}

enum nx_status wire_join(struct wire *wire, unsigned leader, nx_rankset seats)
{
    return wire_ask(wire, leader, (struct nx_event){.type = NX_EV_JOIN, .ranks = seats})->status;
}

void wire_welcome(struct wire *wire, unsigned leader, unsigned seat)
{
    nx_assert(wire->waiting[seat]);
    wire->waiting[seat] = false;
    give_view(wire, nx_core_view(wire->cores[leader]), seat);
}

void wire_close(struct wire *wire)
{
    for (unsigned n = 0; n < wire->nodes; n++) {
        nx_core_close(wire->cores[n]);
        free(wire->regions[n]);
        for (unsigned m = 0; m < wire->nodes; m++)
            empty_lane(&wire->lanes[n][m]);
    }
    free(wire->update);
    free(wire->inner);
    free(wire);
}

__attribute__((format(printf, 3, 4))) static void trace(struct wire *wire, unsigned node,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char line[256];
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    int len = snprintf(wire->trace + wire->trace_len, WIRE_TRACE_BYTES - wire->trace_len,
                       "[%lld] n%u > %s\n", (long long)wire->now, node, line);
    nx_assert(len > 0 && wire->trace_len + (size_t)len < WIRE_TRACE_BYTES);
    wire->trace_len += (size_t)len;
}

/* Short printable bytes as text, others as their count. */
static const char *show(char *text, size_t cap, const uint8_t *bytes, size_t len)
{
    bool printable = len <= 24;
    for (size_t i = 0; printable && i < len; i++)
        printable = bytes[i] >= ' ' && bytes[i] < 127;
    if (printable)
        snprintf(text, cap, "'%.*s'", (int)len, (const char *)bytes);
    else
        snprintf(text, cap, "%zu bytes", len);
    return text;
}

static void trace_delivery(struct wire *wire, unsigned node, const struct nx_delivery *d)
{
    char text[64];
    show(text, sizeof text, d->bytes, d->len);
    trace(wire, node, "delivered %lld from n%u %s%s", (long long)d->seq, d->sender,
          d->bulk ? "bulk " : "", text);
}

static void trace_part(struct wire *wire, unsigned node, const char *what, const struct nx_part *p)
{
    char text[64];
    show(text, sizeof text, p->bytes, p->len);
    trace(wire, node, "%s%s from n%u at %llu of %llu %s", p->system ? "system " : "", what, p->peer,
          (unsigned long long)p->offset, (unsigned long long)p->total, text);
}

static void trace_upcall(struct wire *wire, unsigned node, const struct nx_upcall *up)
{
    switch (up->type) {
    case NX_UP_VIEW:
        trace(wire, node, "view %llu of members %llx",
              (unsigned long long)nx_core_view(wire->cores[node])->vid,
              (unsigned long long)nx_view_ranks(nx_core_view(wire->cores[node])));
        return;
    case NX_UP_MEMBER_DOWN:
        trace(wire, node, "lost n%u%s: %s", up->rank, up->clean ? " cleanly" : "", up->why);
        return;
    case NX_UP_DELIVER: trace_delivery(wire, node, &up->delivery); return;
    case NX_UP_BULK_PART: trace_part(wire, node, "bulk", &up->part); return;
    case NX_UP_BULK_ABORTED: trace(wire, node, "bulk aborted by n%u", up->part.peer); return;
    case NX_UP_QUERY_PART: trace_part(wire, node, "query", &up->part); return;
    case NX_UP_QUERY_GONE:
        trace(wire, node, "%squery gone of n%u", up->part.system ? "system " : "", up->part.peer);
        return;
    case NX_UP_REPLY_PART: trace_part(wire, node, "reply", &up->part); return;
    case NX_UP_QUERY_FAILED:
        trace(wire, node, "%squery failed to n%u: %s", up->part.system ? "system " : "",
              up->part.peer, nx_status_name(up->status));
        return;
    case NX_UP_DOWN: trace(wire, node, "down, %s: %s", nx_status_name(up->status), up->why); return;
    }
}

static void land(struct wire *wire, unsigned src, unsigned dst, const struct nx_write *write,
                 const uint8_t *copied)
{
    uint64_t region = nx_core_region_bytes(&wire->config);
    nx_assert(write->local_offset + write->bytes <= region);
    nx_assert(write->remote_offset + write->bytes <= region);
    memcpy(wire->regions[dst] + write->remote_offset,
           copied ? copied : wire->regions[src] + write->local_offset, write->bytes);
    wire->bells[dst] += write->doorbell;
    wire->busy[dst] = true;
}

static void post(struct wire *wire, unsigned src, const struct nx_write *write)
{
    nx_assert(write->peer < wire->nodes && write->peer != src && write->bytes > 0);
    nx_assert(!write->inline_bytes || write->bytes <= NX_INLINE_MAX);
    struct wire_lane *lane = &wire->lanes[src][write->peer];
    if (lane->cut)
        return;
    if (!lane->held && !lane->first) {
        land(wire, src, write->peer, write, NULL);
        return;
    }
    struct wire_parcel *parcel = take(sizeof *parcel);
    parcel->write = *write;
    if (write->inline_bytes)
        memcpy(parcel->copied, wire->regions[src] + write->local_offset, write->bytes);
    *lane->last = parcel;
    lane->last = &parcel->next;
}

void wire_land(struct wire *wire, unsigned src, unsigned dst, unsigned count)
{
    struct wire_lane *lane = &wire->lanes[src][dst];
    while (count-- && lane->first) {
        struct wire_parcel *parcel = lane->first;
        land(wire, src, dst, &parcel->write, parcel->write.inline_bytes ? parcel->copied : NULL);
        lane->first = parcel->next;
        if (!lane->first)
            lane->last = &lane->first;
        free(parcel);
    }
}

void wire_release(struct wire *wire, unsigned src, unsigned dst)
{
    wire_land(wire, src, dst, UINT32_MAX);
    wire->lanes[src][dst].held = false;
}

static nx_rankset writable(const struct wire *wire, unsigned node)
{
    nx_rankset set = 0;
    for (unsigned n = 0; n < wire->nodes; n++)
        if (n != node && !wire->lanes[node][n].clogged)
            set |= NX_RANK_BIT(n);
    return set;
}

static void step(struct wire *wire, unsigned node, enum nx_event_type type)
{
    nx_assert(!wire->dead[node]);
    wire->now += 10;
    struct nx_event event = {.type = type, .writable = writable(wire, node)};
    struct nx_update *update = wire->update;
    nx_core_step(wire->cores[node], wire->now, &event, update);
    wire->wake_at[node] = update->wake_at;
    for (unsigned n = 0; n < wire->nodes; n++)
        if (update->disconnect & NX_RANK_BIT(n)) {
            empty_lane(&wire->lanes[node][n]);
            empty_lane(&wire->lanes[n][node]);
            wire->lanes[node][n].cut = wire->lanes[n][node].cut = true;
        }
    for (uint32_t i = 0; i < update->upcalls_count; i++) {
        const struct nx_upcall *upcall = &update->upcalls[i];
        if (!nx_core_upcall_wanted(wire->cores[node], upcall))
            continue;
        if (!(wire->hook && wire->hook(wire->ctx, wire, node, upcall)) && !wire->quiet)
            trace_upcall(wire, node, upcall);
    }
    for (uint32_t i = 0; i < update->writes_count; i++)
        post(wire, node, &update->writes[i]);
}

bool wire_turn(struct wire *wire, unsigned node)
{
    step(wire, node, NX_EV_POLL);
    /* A request made inside an upcall makes the node busy, too. */
    wire->busy[node] = wire->update->busy;
    return wire->update->busy;
}

enum nx_status wire_sleep(struct wire *wire, unsigned node)
{
    step(wire, node, NX_EV_SLEEP);
    return wire->update->status;
}

/* Nobody is busy: time passes until the first node wants a turn. False: nobody does soon. */
static bool pass_time(struct wire *wire)
{
    nx_ns first = wire->now + WIRE_PATIENCE_NS;
    unsigned next = wire->nodes;
    for (unsigned n = 0; n < wire->nodes; n++)
        if (!wire->dead[n] && !wire->waiting[n] && wire->wake_at[n] < first) {
            first = wire->wake_at[n];
            next = n;
        }
    if (next == wire->nodes)
        return false;
    wire->now = first > wire->now ? first : wire->now;
    wire->busy[next] = true;
    return true;
}

void wire_run(struct wire *wire)
{
    for (unsigned round = 0; round < 100000; round++) {
        bool any = false;
        for (unsigned n = 0; n < wire->nodes; n++) {
            if (wire->dead[n] || wire->waiting[n] || !wire->busy[n])
                continue;
            wire_turn(wire, n);
            any = true;
        }
        if (!any && !pass_time(wire))
            return;
    }
    nx_assert(!"the group comes to rest");
}

void wire_kill(struct wire *wire, unsigned node)
{
    wire->dead[node] = true;
    for (unsigned n = 0; n < wire->nodes; n++) {
        empty_lane(&wire->lanes[node][n]);
        empty_lane(&wire->lanes[n][node]);
        wire->lanes[node][n].cut = wire->lanes[n][node].cut = true;
        if (n == node || wire->dead[n] || wire->waiting[n])
            continue;
        wire_ask(wire, n,
                 (struct nx_event){.type = NX_EV_PEER_DOWN, .peer = node, .why = "killed"});
    }
}

const struct nx_update *wire_ask(struct wire *wire, unsigned node, struct nx_event event)
{
    nx_core_step(wire->cores[node], wire->now, &event, wire->inner);
    nx_assert(wire->inner->upcalls_count == 0 && wire->inner->writes_count == 0);
    wire->busy[node] |= wire->inner->busy;
    return wire->inner;
}

enum nx_status wire_send(struct wire *wire, unsigned node, const char *text)
{
    return wire_ask(wire, node,
                    (struct nx_event){.type = NX_EV_SEND, .bytes = text, .len = strlen(text)})
        ->status;
}

bool wire_expect(struct wire *wire, const char *expected)
{
    wire->trace[wire->trace_len] = '\0';
    bool same = strcmp(wire->trace, expected) == 0;
    if (!same)
        fprintf(stderr, "--- expected\n%s--- seen\n%s", expected, wire->trace);
    wire->trace_len = 0;
    return same;
}
