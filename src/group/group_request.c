/* What the tier asks: one core step each; and facts. */
#include "common/log.h"
#include "group/group_state.h"

#include <stdio.h>

#define LEAVE_TIMEOUT_NS NX_SEC

/* --- requests: one core step each ------------------------------------------------------------- */

enum nx_status nx_group_send(struct nx_group *g, uint32_t subgroup, const void *bytes, size_t len)
{
    return nx_group_request(
        g,
        &(struct nx_event){.type = NX_EV_SEND, .subgroup = subgroup, .bytes = bytes, .len = len});
}

static enum nx_status open_stream(struct nx_group *g, const struct nx_event *event,
                                  nx_stream *stream)
{
    NX_TRY(nx_group_request(g, event));
    *stream = g->request.stream;
    return NX_OK;
}

static enum nx_status write_stream(struct nx_group *g, enum nx_event_type type, nx_stream stream,
                                   const void *bytes, size_t len, size_t *taken)
{
    struct nx_event event = {.type = type, .stream = stream, .bytes = bytes, .len = len};
    NX_TRY(nx_group_request(g, &event));
    *taken = g->request.taken;
    return NX_OK;
}

enum nx_status nx_bulk_open(struct nx_group *g, uint32_t subgroup, uint64_t total, const void *head,
                            size_t head_len, nx_stream *stream)
{
    struct nx_event event = {.type = NX_EV_BULK_OPEN,
                             .subgroup = subgroup,
                             .total = total,
                             .bytes = head,
                             .len = head_len};
    NX_TRY(open_stream(g, &event, stream));
    if (g->disk.durable)
        nx_durable_bulk(g->disk.durable, *stream, total, NULL, 0);
    return NX_OK;
}

enum nx_status nx_bulk_write(struct nx_group *g, nx_stream stream, const void *bytes, size_t len,
                             size_t *taken)
{
    if (nx_group_disk_behind(&g->disk))
        len = 0; /* no room: the disk is behind */
    NX_TRY(write_stream(g, NX_EV_BULK_WRITE, stream, bytes, len, taken));
    if (g->disk.durable && *taken > 0)
        nx_durable_bulk(g->disk.durable, stream, 0, bytes, *taken);
    return NX_OK;
}

void nx_bulk_abort(struct nx_group *g, nx_stream stream)
{
    (void)nx_group_request(g, &(struct nx_event){.type = NX_EV_BULK_ABORT, .stream = stream});
    if (g->disk.durable)
        nx_durable_bulk_aborted(g->disk.durable, stream);
}

enum nx_status nx_bulk_room(struct nx_group *g, nx_stream stream, struct nx_err *err)
{
    return nx_group_disk_room(&g->disk, g->core, stream, err);
}

enum nx_status nx_query_open(struct nx_group *g, nx_rank peer, uint64_t total, void *cookie,
                             nx_stream *stream)
{
    struct nx_event event = {
        .type = NX_EV_QUERY_OPEN, .peer = peer, .total = total, .cookie = cookie};
    return open_stream(g, &event, stream);
}

enum nx_status nx_query_write(struct nx_group *g, nx_stream query, const void *bytes, size_t len,
                              size_t *taken)
{
    return write_stream(g, NX_EV_QUERY_WRITE, query, bytes, len, taken);
}

void nx_query_cancel(struct nx_group *g, nx_stream query)
{
    (void)nx_group_request(g, &(struct nx_event){.type = NX_EV_QUERY_CANCEL, .stream = query});
}

enum nx_status nx_reply_open(struct nx_group *g, nx_stream query, uint64_t total)
{
    return nx_group_request(
        g, &(struct nx_event){.type = NX_EV_REPLY_OPEN, .stream = query, .total = total});
}

enum nx_status nx_reply_write(struct nx_group *g, nx_stream query, const void *bytes, size_t len,
                              size_t *taken)
{
    return write_stream(g, NX_EV_REPLY_WRITE, query, bytes, len, taken);
}

void nx_group_set_load(struct nx_group *g, unsigned word, uint32_t value)
{
    (void)nx_group_request(g, &(struct nx_event){.type = NX_EV_LOAD, .word = word, .value = value});
}

void nx_group_state_ready(struct nx_group *g)
{
    if (!nx_group_disk_ready(&g->disk))
        g->ready_waits = true;
    nx_group_keep_tell_ready(g);
}

/* Once for each set of members. */
static void tell_awaited(struct nx_group *g)
{
    nx_rankset awaited = nx_core_leave_awaits(g->core);
    if (awaited == g->awaited)
        return;
    g->awaited = awaited;
    const struct nx_view *view = nx_core_view(g->core);
    uint32_t shard = 0, subgroup = view->members[nx_core_rank(g->core)].subgroup;
    char nodes[8 * NX_MEMBERS_MAX + 1] = "";
    size_t len = 0;
    for (nx_rankset left = awaited; left; left &= left - 1)
        len += (size_t)snprintf(nodes + len, sizeof nodes - len, "%s%u", len ? ", " : "",
                                view->members[__builtin_ctzll(left)].node);
    (void)nx_layout_shard_of(nx_core_layout(g->core), subgroup, nx_core_rank(g->core), &shard);
    if (awaited)
        nx_warn("leaving waits until %s %s %s the state of shard %u",
                awaited & (awaited - 1) ? "nodes" : "node", nodes,
                awaited & (awaited - 1) ? "have" : "has", shard);
    else
        nx_info("leaving waits no longer");
}

bool nx_group_may_leave(struct nx_group *g)
{
    if (!g->installed || g->gave_up)
        return true;
    if (!g->wants_out) {
        g->wants_out = true;
        (void)nx_group_request(g, &(struct nx_event){.type = NX_EV_WANT_OUT});
    }
    tell_awaited(g);
    return nx_core_may_leave(g->core);
}

bool nx_group_leave(struct nx_group *g)
{
    if (!g->installed || g->gave_up)
        return true;
    nx_ns now = nx_clock_now();
    if (!g->leaving) {
        g->leaving = g->wants_out = true;
        g->leave_until = now + LEAVE_TIMEOUT_NS;
        (void)nx_group_request(g, &(struct nx_event){.type = NX_EV_LEAVE});
    }
    tell_awaited(g);
    if (g->awaited)
        g->leave_until = now + LEAVE_TIMEOUT_NS;
    return nx_core_left(g->core) || now >= g->leave_until;
}

void nx_group_leave_anyway(struct nx_group *g)
{
    if (!g->installed || g->gave_up)
        return;
    g->wants_out = true;
    (void)nx_group_request(g, &(struct nx_event){.type = NX_EV_WANT_OUT, .anyway = true});
}

const char *nx_group_waits_for(const struct nx_group *g)
{
    return g->installed ? g->waits_for : nx_bootstrap_waits_for(g->boot);
}

/* --- facts ------------------------------------------------------------------------------------ */

const struct nx_view *nx_group_view(const struct nx_group *g)
{
    if (g->disk.has_view)
        return &g->disk.view;
    return g->installed ? nx_core_view(g->core) : NULL;
}

const struct nx_layout *nx_group_layout(const struct nx_group *g)
{
    if (g->disk.has_view)
        return &g->disk.layout;
    return g->installed ? nx_core_layout(g->core) : NULL;
}

nx_rank nx_group_rank(const struct nx_group *g)
{
    return g->disk.has_view ? g->disk.rank : nx_core_rank(g->core);
}

nx_rankset nx_group_alive(const struct nx_group *g)
{
    return nx_core_alive(g->core);
}

nx_rankset nx_group_with_state(const struct nx_group *g)
{
    return g->installed ? nx_core_with_state(g->core) : 0;
}

enum nx_status nx_group_shard_status(const struct nx_group *g, uint32_t subgroup, uint32_t shard)
{
    return g->installed ? nx_core_shard_status(g->core, subgroup, shard) : NX_UNAVAILABLE;
}

size_t nx_group_send_max(const struct nx_group *g)
{
    return nx_core_send_max(g->core);
}

nx_seq nx_group_durable(const struct nx_group *g, uint32_t subgroup)
{
    if (subgroup < g->config.spec.subgroups_count && g->config.spec.subgroups[subgroup].persistent)
        return nx_core_durable(g->core, subgroup);
    return nx_core_settled(g->core, subgroup);
}

bool nx_group_replays(const struct nx_group *g)
{
    return g->disk.replaying;
}

nx_seq nx_group_settled(const struct nx_group *g, uint32_t subgroup)
{
    return nx_core_settled(g->core, subgroup);
}

uint32_t nx_group_load(const struct nx_group *g, nx_rank rank, unsigned word)
{
    return nx_core_load(g->core, rank, word);
}

void nx_group_get_stats(const struct nx_group *g, struct nx_group_stats *stats)
{
    struct nx_fabric_stats fabric;
    nx_core_get_stats(g->core, stats);
    nx_fabric_get_stats(g->fabric, &fabric);
    stats->writes = fabric.writes;
    stats->write_bytes = fabric.write_bytes;
    stats->doorbells = fabric.doorbells;
    stats->wakeups = g->wakeups;
}
