#include "function_tier/group_status.h"

#include "common/arena.h"
#include "function_tier/replica_list.h"

#include <stdlib.h>

struct nx_group_status {
    uint32_t node;
    struct nx_route *route;
    const struct nx_metrics *metrics;
    nx_ns opened;
    bool ready;
    struct nx_status_ask *asks; /* that wait for replicas */
};

struct nx_status_ask {
    struct nx_group_status *source;
    nx_status_done *done;
    void *user;
    struct nx_route_request *request;
    nx_ns until;
    struct nx_status_ask *next, **link;
    /* what `done` is shown */
    struct nx_replica_list list;
    struct nx_pb_status status;
    struct nx_pb_member members[NX_MEMBERS_MAX];
    struct nx_pb_shard shards[NX_SUBGROUPS_MAX * NX_SHARDS_MAX];
    struct nx_pb_change changes[NX_VIEW_CHANGES_MAX];
};

enum nx_status nx_group_status_open(uint32_t node, struct nx_route *route,
                                    const struct nx_metrics *metrics,
                                    struct nx_group_status **source, struct nx_err *err)
{
    struct nx_group_status *s = nx_calloc(1, sizeof *s);
    if (!s)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the status");
    *s = (struct nx_group_status){node, route, metrics, nx_clock_now(), false, NULL};
    *source = s;
    return NX_OK;
}

void nx_group_status_close(struct nx_group_status *source)
{
    free(source);
}

void nx_group_status_set_ready(struct nx_group_status *source, bool ready)
{
    source->ready = ready;
}

/* --- what this node knows itself ------------------------------------------------------------------ */

static const char *tier_of(const struct nx_route *route, uint32_t subgroup)
{
    return subgroup == nx_route_subgroup(route) ? "categorizer" : "function";
}

static const char *state_of(struct nx_group *group, nx_rank rank, bool categorizer)
{
    if (!(nx_group_alive(group) & NX_RANK_BIT(rank)))
        return "suspected";
    if (categorizer && nx_group_load(group, rank, NX_LOAD_LEAVING))
        return "leaving";
    return nx_group_with_state(group) & NX_RANK_BIT(rank) ? "alive" : "stateless";
}

static void tell_members(struct nx_status_ask *ask, const struct nx_view *view)
{
    struct nx_route *route = ask->source->route;
    struct nx_group *group = nx_route_group(route);
    for (nx_rankset left = nx_view_ranks(view); left; left &= left - 1) {
        nx_rank rank = (nx_rank)__builtin_ctzll(left);
        const struct nx_member *m = &view->members[rank];
        bool categorizer = m->subgroup == nx_route_subgroup(route);
        ask->members[ask->status.members_count++] = (struct nx_pb_member){
            .node = m->node,
            .host = m->host,
            .tier = tier_of(route, m->subgroup),
            .shard = m->shard,
            .spare = m->shard == NX_SHARD_NONE,
            .since = m->since,
            .state = state_of(group, rank, categorizer),
            .queued = categorizer ? nx_group_load(group, rank, NX_LOAD_QUEUED) : 0,
        };
    }
    ask->status.members = ask->members;
}

static void tell_shards(struct nx_status_ask *ask, const struct nx_layout *layout)
{
    struct nx_route *route = ask->source->route;
    nx_rankset alive = nx_group_alive(nx_route_group(route));
    for (uint32_t g = 0; g < layout->subgroups_count; g++)
        for (uint32_t i = 0; i < layout->shards_count[g]; i++) {
            const struct nx_shard *shard = &layout->shards[g][i];
            ask->shards[ask->status.shards_count++] = (struct nx_pb_shard){
                .tier = tier_of(route, g),
                .shard = i,
                .members = shard->members_count,
                .alive = (uint32_t)__builtin_popcountll(shard->set & alive),
                .adequate = shard->adequate,
            };
        }
    ask->status.shards = ask->shards;
}

static void tell_changes(struct nx_status_ask *ask)
{
    const struct nx_view_history *history = nx_route_history(ask->source->route);
    uint32_t count = nx_view_history_count(history);
    for (uint32_t i = 0; i < count; i++) {
        const struct nx_view_change *c = nx_view_history_at(history, i);
        ask->changes[i] = (struct nx_pb_change){.vid = c->vid,
                                                .at_ms = c->wall / NX_MS,
                                                .took_us = (uint64_t)(c->took / NX_US),
                                                .members = c->members,
                                                .cause = c->cause};
    }
    ask->status.changes = ask->changes;
    ask->status.changes_count = count;
}

static void tell(struct nx_status_ask *ask)
{
    struct nx_group_status *s = ask->source;
    const struct nx_view *view =
        nx_route_ready(s->route) ? nx_group_view(nx_route_group(s->route)) : NULL;
    ask->status = (struct nx_pb_status){
        .node = s->node,
        .version = NX_VERSION,
        .ready = s->ready,
        .vid = view ? view->vid : 0,
        .waits_for = nx_route_group(s->route) ? nx_group_waits_for(nx_route_group(s->route)) : "",
        .uptime_ms = (uint64_t)((nx_clock_now() - s->opened) / NX_MS),
        .replicas = ask->list.replicas,
        .replicas_count = ask->list.count,
    };
    nx_metrics_traffic(s->metrics, &ask->status.traffic);
    tell_changes(ask);
    if (view) {
        tell_members(ask, view);
        tell_shards(ask, nx_group_layout(nx_route_group(s->route)));
    }
    ask->done(ask->user, &ask->status);
    nx_replica_list_free(&ask->list);
    free(ask);
}

/* --- what the replicas know ----------------------------------------------------------------------- */

static void leave(struct nx_status_ask *ask)
{
    *ask->link = ask->next;
    if (ask->next)
        ask->next->link = ask->link;
}

static void enter(struct nx_status_ask *ask)
{
    struct nx_group_status *s = ask->source;
    ask->next = s->asks;
    ask->link = &s->asks;
    if (ask->next)
        ask->next->link = &ask->next;
    s->asks = ask;
}

static void listed(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct nx_status_ask *ask = user;
    struct nx_err err;
    /* Without memory for the list, the status goes without it. */
    (void)nx_replica_list_gather(ask->request, answers, count, &ask->list, &err);
    leave(ask);
    tell(ask);
}

enum nx_status nx_status_ask(struct nx_group_status *source, nx_ns deadline, nx_status_done *done,
                             void *user, struct nx_status_ask **ask, struct nx_err *err)
{
    struct nx_err why;
    nx_ns patience = nx_clock_now() + NX_STATUS_PATIENCE_NS;
    struct nx_status_ask *a = nx_calloc(1, sizeof *a);
    if (!a)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a status");
    a->source = source;
    a->done = done;
    a->user = user;
    a->until = nx_ns_least(deadline, patience);
    *ask = a;
    enter(a);
    if (nx_route_ready(source->route) &&
        nx_route_list(source->route, a->until, listed, a, &a->request, &why) == NX_OK)
        return NX_OK;
    *ask = NULL; /* nobody can be asked: what this node knows has to do */
    leave(a);
    tell(a);
    return NX_OK;
}

void nx_status_cancel(struct nx_status_ask *ask)
{
    nx_route_cancel(ask->request);
    leave(ask);
    free(ask);
}

nx_ns nx_group_status_next_timer(const struct nx_group_status *source)
{
    nx_ns first = NX_NEVER;
    for (const struct nx_status_ask *ask = source->asks; ask; ask = ask->next)
        first = ask->until < first ? ask->until : first;
    return first;
}

void nx_group_status_poll(struct nx_group_status *source, nx_ns now)
{
    for (struct nx_status_ask *ask = source->asks, *next; ask; ask = next) {
        next = ask->next; /* what `done` does ends this one only */
        if (ask->until <= now)
            nx_route_expire(ask->request);
    }
}
