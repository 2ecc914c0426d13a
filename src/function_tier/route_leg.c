/* Legs: one query to one replica each (route_state.h). */
#include "function_tier/route_state.h"

#include "common/arena.h"
#include "common/log_traced.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

enum {
    PHOTO_RESENDS_MAX = 1,
    CHANGE_RESENDS_MAX = 3,   /* the client's deadline ends it before, if it is short */
    REPLAY_BYTES = 32 * 1024, /* of a copy, read at a time */
};

/* --- which replica ------------------------------------------------------------------------------ */

enum nx_status nx_route_find_shard(const struct nx_route *r, uint32_t tag, uint32_t *shard,
                                   struct nx_err *err)
{
    const struct nx_layout *layout = r->group ? nx_group_layout(r->group) : NULL;
    if (!layout)
        return nx_route_say_forming(r, err);
    *shard = tag % layout->shards_count[r->subgroup];
    return NX_OK;
}

bool nx_route_is_change(enum nx_request op)
{
    return op == NX_REQUEST_INSTALL || op == NX_REQUEST_REMOVE;
}

/* An inadequate shard serves nobody; a group without majority answers photos but takes no changes. */
enum nx_status nx_route_check_shard(const struct nx_route *r, uint32_t shard, enum nx_request op,
                                    struct nx_err *err)
{
    enum nx_status status = nx_group_shard_status(r->group, r->subgroup, shard);
    if (status == NX_UNAVAILABLE)
        return nx_err_set(err, NX_UNAVAILABLE,
                          "shard %u is unavailable: too few of its replicas are alive", shard);
    if (status == NX_WEDGED && nx_route_is_change(op))
        return nx_err_set(err, NX_UNAVAILABLE,
                          "shard %u is unavailable for changes: the group has lost its majority",
                          shard);
    return NX_OK;
}

static nx_rank nth_member(nx_rankset set, uint32_t n)
{
    while (n--)
        set &= set - 1;
    return (nx_rank)__builtin_ctzll(set);
}

static uint64_t work_at(const struct nx_route *r, nx_rank rank)
{
    return (uint64_t)nx_group_load(r->group, rank, NX_LOAD_QUEUED) + r->outstanding[rank];
}

static nx_rankset leaving(const struct nx_route *r, nx_rankset ranks)
{
    nx_rankset found = 0;
    for (nx_rankset left = ranks; left; left &= left - 1) {
        nx_rank rank = (nx_rank)__builtin_ctzll(left);
        if (nx_group_load(r->group, rank, NX_LOAD_LEAVING))
            found |= NX_RANK_BIT(rank);
    }
    return found;
}

enum nx_status nx_route_choose_replica(struct nx_route *r, uint32_t shard, nx_rankset avoid,
                                       nx_rank *rank, struct nx_err *err)
{
    const struct nx_layout *layout = nx_group_layout(r->group);
    nx_rankset live = layout->shards[r->subgroup][shard].set & nx_group_with_state(r->group) &
                      nx_group_alive(r->group) & ~avoid;
    nx_rankset staying = live & ~leaving(r, live);
    live = staying ? staying : live;
    uint32_t count = (uint32_t)__builtin_popcountll(live);
    if (count == 0)
        return nx_err_set(err, NX_UNAVAILABLE, "shard %u is unavailable: no replica of it is alive",
                          shard);
    uint32_t first = (uint32_t)nx_prng_below(&r->prng, count);
    nx_rank a = nth_member(live, first), b = a;
    if (count > 1)
        b = nth_member(live, (first + 1 + (uint32_t)nx_prng_below(&r->prng, count - 1)) % count);
    *rank = work_at(r, b) < work_at(r, a) ? b : a;
    return NX_OK;
}

/* --- requests ----------------------------------------------------------------------------------- */

struct nx_route_request *nx_route_add(struct nx_route *r, uint32_t legs, nx_route_done *done,
                                      void *user, struct nx_err *err)
{
    if (legs > NX_ROUTE_QUERIES_MAX - r->queries_count) {
        nx_err_set(err, NX_UNAVAILABLE, "%u questions are under way at this node; try again",
                   r->queries_count);
        return NULL;
    }
    struct nx_route_request *q = nx_calloc(1, sizeof *q + legs * sizeof q->legs[0]);
    struct nx_answer *answers = nx_calloc(legs, sizeof *answers);
    if (!q || !answers) {
        free(q);
        free(answers);
        nx_err_set(err, NX_NO_MEMORY, "no memory for a request");
        return NULL;
    }
    *q = (struct nx_route_request){
        .route = r, .done = done, .user = user, .legs_count = legs, .answers = answers};
    q->next = r->requests;
    q->link = &r->requests;
    if (q->next)
        q->next->link = &q->next;
    r->requests = q;
    r->queries_count += legs;
    return q;
}

void nx_route_drop(struct nx_route_request *q)
{
    struct nx_route *r = q->route;
    *q->link = q->next;
    if (q->next)
        q->next->link = q->link;
    r->queries_count -= q->legs_count;
    if (q->photo)
        nx_route_unreserve(r, q->body_bytes);
    for (uint32_t i = 0; i < q->legs_count; i++)
        free(q->legs[i].reply);
    nx_copy_close(&q->copy);
    free(q->photo);
    free(q->models);
    free(q->answers);
    free(q);
}

static const char *name_of(enum nx_request op)
{
    switch (op) {
    case NX_REQUEST_INFER: return "ask infer";
    case NX_REQUEST_INSTALL: return "ask install";
    case NX_REQUEST_REMOVE: return "ask remove";
    case NX_REQUEST_LIST: return "ask list";
    case NX_REQUEST_DESCRIBE: return "ask describe";
    }
    return "ask";
}

void nx_leg_trace(const struct nx_leg *leg, const struct nx_err *err)
{
    const struct nx_route_request *q = leg->request;
    struct nx_span *span =
        nx_spans_take(q->route->spans, &leg->trace, NX_SPAN_CLIENT, name_of(q->head.op));
    if (!span)
        return;
    span->begun = leg->aimed;
    span->ended = nx_clock_wall();
    nx_span_number(span, "nexus.node", leg->node);
    nx_span_number(span, "nexus.shard", leg->shard);
    nx_span_number(span, "nexus.tag", leg->tag);
    nx_span_number(span, "nexus.bytes", (int64_t)q->body_bytes);
    nx_span_number(span, "nexus.resends", leg->resends);
    if (err->status != NX_OK)
        nx_span_fail(span, err->text[0] ? err->text : nx_status_text(err->status));
    nx_spans_put(q->route->spans, span);
}

void nx_leg_finish(struct nx_leg *leg, const struct nx_answer *answer)
{
    struct nx_route_request *q = leg->request;
    nx_assert(!leg->done);
    nx_leg_trace(leg, &answer->err);
    leg->done = true;
    q->route->outstanding[leg->peer]--;
    q->answers[leg - q->legs] = *answer;
    if (++q->legs_done < q->legs_count)
        return;
    q->done(q->user, q->answers, q->legs_count);
    nx_route_drop(q);
}

void nx_leg_fail(struct nx_leg *leg, const struct nx_err *why)
{
    nx_leg_finish(leg, &(struct nx_answer){.err = *why});
}

static nx_ns time_left(nx_ns deadline)
{
    nx_ns now = nx_clock_now();
    if (deadline == NX_NEVER)
        return NX_NEVER;
    return deadline > now ? deadline - now : 0;
}

static void fill_head(const struct nx_leg *leg, struct nx_request_head *head)
{
    const struct nx_route_request *q = leg->request;
    *head = q->head;
    head->tag = leg->tag;
    if (!q->models)
        return;
    nx_head_set_name(head, q->models[leg - q->legs].name);
    head->version = q->models[leg - q->legs].version;
}

/* From the start, at this replica. */
void nx_leg_aim(struct nx_leg *leg, nx_rank peer)
{
    struct nx_route_request *q = leg->request;
    struct nx_request_head head;
    fill_head(leg, &head);
    head.time_left_ns = time_left(q->deadline_ns);
    if (nx_trace_is_there(&q->head.trace))
        nx_trace_child(&q->route->prng, &q->head.trace, &leg->trace);
    head.trace = leg->trace;
    leg->node = nx_group_view(q->route->group)->members[peer].node;
    leg->aimed = q->route->spans ? nx_clock_wall() : 0;
    leg->head_bytes = nx_request_encode(&head, leg->head, sizeof leg->head);
    nx_assert(leg->head_bytes > 0);
    leg->peer = peer;
    leg->stream = 0;
    leg->sent = 0;
    free(leg->reply);
    leg->reply = NULL;
    q->route->outstanding[peer]++;
}

static enum nx_status open_leg(struct nx_leg *leg)
{
    struct nx_route_request *q = leg->request;
    return nx_query_open(q->route->group, leg->peer, leg->head_bytes + q->body_bytes, leg,
                         &leg->stream);
}

enum nx_status nx_leg_write(struct nx_leg *leg, const uint8_t *bytes, size_t len, size_t *taken)
{
    *taken = 0;
    enum nx_status status =
        nx_query_write(leg->request->route->group, leg->stream, bytes, len, taken);
    leg->sent += *taken;
    return status;
}

/* What this node holds of the body. */
static uint64_t body_here(const struct nx_route_request *q)
{
    return q->photo ? q->body_bytes : q->copy.whole_so_far ? q->copy.got : 0;
}

/* The next bytes of the body from what this node holds: a photo, or what was copied of an INSTALL. */
static bool push_body(struct nx_leg *leg)
{
    struct nx_route_request *q = leg->request;
    uint64_t at = leg->sent - leg->head_bytes, left = body_here(q) - at;
    uint8_t buf[REPLAY_BYTES];
    const uint8_t *bytes = buf;
    size_t len = left, taken = 0;
    if (q->photo)
        bytes = q->photo + at;
    else {
        len = len < sizeof buf ? len : sizeof buf;
        leg->lost = !nx_copy_read(&q->copy, at, buf, len);
    }
    if (leg->lost)
        return false;
    return nx_leg_write(leg, bytes, len, &taken) == NX_OK && taken > 0;
}

static bool push(struct nx_leg *leg)
{
    struct nx_route_request *q = leg->request;
    size_t taken = 0;
    uint64_t before = leg->sent;
    if (leg->done || (leg->stream == 0 && open_leg(leg) != NX_OK))
        return false;
    if (leg->sent < leg->head_bytes)
        nx_leg_write(leg, leg->head + leg->sent, leg->head_bytes - leg->sent, &taken);
    while (leg->sent >= leg->head_bytes && leg->sent < leg->head_bytes + body_here(q))
        if (!push_body(leg))
            break;
    return leg->sent > before;
}

bool nx_leg_push(struct nx_leg *leg)
{
    bool moved = push(leg);
    leg->request->route->unsent |= leg->lost || nx_leg_wants_room(leg);
    return moved;
}

bool nx_leg_wants_room(const struct nx_leg *leg)
{
    const struct nx_route_request *q = leg->request;
    return !leg->done && !leg->lost && leg->sent < leg->head_bytes + body_here(q);
}

bool nx_leg_send_again(struct nx_leg *leg)
{
    struct nx_route_request *q = leg->request;
    struct nx_route *r = q->route;
    nx_rank peer;
    bool changes = nx_route_is_change(q->head.op);
    if (q->pinned || leg->resends == (changes ? CHANGE_RESENDS_MAX : PHOTO_RESENDS_MAX) ||
        (changes && !q->copy.whole_so_far) || nx_clock_now() >= q->deadline_ns ||
        nx_route_choose_replica(r, leg->shard, NX_RANK_BIT(leg->peer), &peer, NULL) != NX_OK)
        return false;
    nx_log_traced(NX_LOG_DEBUG, &q->head.trace, "tag %u: sent again, to rank %u", leg->tag, peer);
    r->outstanding[leg->peer]--;
    nx_leg_trace(leg, &(struct nx_err){NX_PEER_DOWN, "its replica is gone, or cannot: sent again"});
    leg->resends++;
    nx_leg_aim(leg, peer);
    nx_leg_push(leg);
    return true;
}
