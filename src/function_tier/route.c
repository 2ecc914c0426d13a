#include "function_tier/route_state.h"

#include "common/arena.h"
#include "common/log_traced.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

/* --- what the service asks ------------------------------------------------------------------------ */

enum nx_status nx_route_reserve(struct nx_route *route, uint64_t bytes, struct nx_err *err)
{
    if (bytes > NX_ROUTE_BYTES_MAX - route->bytes)
        return nx_err_set(err, NX_AGAIN,
                          "photos of %llu bytes are under way at this node; try again",
                          (unsigned long long)route->bytes);
    route->bytes += bytes;
    return NX_OK;
}

void nx_route_unreserve(struct nx_route *route, uint64_t bytes)
{
    nx_assert(bytes <= route->bytes);
    route->bytes -= bytes;
}

static enum nx_status aim_at_shard(struct nx_leg *leg, struct nx_route_request *q, uint32_t tag,
                                   struct nx_err *err)
{
    struct nx_route *r = q->route;
    nx_rank peer;
    leg->request = q;
    leg->tag = tag;
    NX_TRY(nx_route_find_shard(r, tag, &leg->shard, err));
    NX_TRY(nx_route_check_shard(r, leg->shard, q->head.op, err));
    NX_TRY(nx_route_choose_replica(r, leg->shard, 0, &peer, err));
    nx_leg_aim(leg, peer);
    return NX_OK;
}

static void give_up(struct nx_route_request *q, uint32_t aimed)
{
    for (uint32_t i = 0; i < aimed; i++)
        q->route->outstanding[q->legs[i].peer]--;
    q->photo = NULL; /* still the caller's */
    nx_route_drop(q);
}

/* Listed, and not aimed yet; NULL, and *err says why. */
static struct nx_route_request *add_question(struct nx_route *r, const struct nx_request_head *head,
                                             uint32_t legs, nx_route_done *done, void *user,
                                             struct nx_err *err)
{
    nx_assert(!nx_route_is_change(head->op));
    nx_assert(legs >= 1 && legs <= NX_ROUTE_TAGS_MAX);
    struct nx_route_request *q = nx_route_add(r, legs, done, user, err);
    if (!q && head->op == NX_REQUEST_INFER && err->status == NX_UNAVAILABLE)
        err->status = NX_AGAIN; /* it is for who infers to slow down */
    if (q)
        q->head = *head;
    return q;
}

/* Takes `photo` over if it is NX_OK; else the request is gone. */
static enum nx_status send_legs(struct nx_route_request *q, const uint32_t *tags, uint8_t *photo,
                                uint64_t photo_bytes, nx_ns deadline_ns,
                                struct nx_route_request **request, struct nx_err *err)
{
    q->deadline_ns = deadline_ns;
    q->photo = photo;
    q->body_bytes = photo_bytes;
    for (uint32_t i = 0; i < q->legs_count; i++) {
        enum nx_status status = aim_at_shard(&q->legs[i], q, tags[i], err);
        if (status != NX_OK) {
            give_up(q, i);
            return status;
        }
    }
    *request = q;
    for (uint32_t i = 0, legs = q->legs_count; i < legs; i++) {
        nx_log_traced(NX_LOG_DEBUG, &q->head.trace, "tag %u: %llu bytes go to rank %u", tags[i],
                      (unsigned long long)photo_bytes, q->legs[i].peer);
        nx_leg_push(&q->legs[i]);
    }
    return NX_OK;
}

enum nx_status nx_route_ask(struct nx_route *r, const struct nx_request_head *head,
                            const uint32_t *tags, uint32_t tags_count, uint8_t *photo,
                            uint64_t photo_bytes, nx_ns deadline_ns, nx_route_done *done,
                            void *user, struct nx_route_request **request, struct nx_err *err)
{
    struct nx_route_request *q = add_question(r, head, tags_count, done, user, err);
    return q ? send_legs(q, tags, photo, photo_bytes, deadline_ns, request, err) : err->status;
}

enum nx_status nx_route_ask_models(struct nx_route *r, const struct nx_request_head *head,
                                   const struct nx_route_model *models, uint32_t models_count,
                                   uint8_t *photo, uint64_t photo_bytes, nx_ns deadline_ns,
                                   nx_route_done *done, void *user,
                                   struct nx_route_request **request, struct nx_err *err)
{
    uint32_t tags[NX_ROUTE_TAGS_MAX];
    struct nx_route_request *q = add_question(r, head, models_count, done, user, err);
    if (!q)
        return err->status;
    q->models = nx_malloc(models_count * sizeof *models);
    if (!q->models) {
        give_up(q, 0);
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a request");
    }
    memcpy(q->models, models, models_count * sizeof *models);
    for (uint32_t i = 0; i < models_count; i++)
        tags[i] = nx_tag_of_name(models[i].name);
    return send_legs(q, tags, photo, photo_bytes, deadline_ns, request, err);
}

enum nx_status nx_route_change(struct nx_route *r, const struct nx_request_head *head,
                               nx_route_done *done, void *user, struct nx_route_request **request,
                               struct nx_err *err)
{
    struct nx_route_request *q = nx_route_add(r, 1, done, user, err);
    if (!q)
        return err->status;
    q->deadline_ns = NX_NEVER;
    q->head = *head;
    if (head->op == NX_REQUEST_INSTALL && !nx_install_body_bytes(head, &q->body_bytes)) {
        give_up(q, 0);
        return nx_err_set(err, NX_INVALID, "the files' sizes overflow");
    }
    enum nx_status status = aim_at_shard(&q->legs[0], q, head->tag, err);
    if (status != NX_OK) {
        give_up(q, 0);
        return status;
    }
    nx_copy_open(&q->copy, r->spool, q->body_bytes);
    *request = q;
    nx_leg_push(&q->legs[0]);
    return NX_OK;
}

static nx_rankset live_replicas(const struct nx_route *r, uint32_t shard)
{
    const struct nx_layout *layout = nx_group_layout(r->group);
    return layout->shards[r->subgroup][shard].set & nx_group_alive(r->group);
}

static uint32_t aim_at_replicas(struct nx_route_request *q, uint32_t shard, uint32_t first)
{
    for (nx_rankset left = live_replicas(q->route, shard); left; left &= left - 1) {
        struct nx_leg *leg = &q->legs[first++];
        nx_rank rank = (nx_rank)__builtin_ctzll(left);
        leg->request = q;
        leg->shard = shard;
        nx_leg_aim(leg, rank);
    }
    return first;
}

enum nx_status nx_route_list(struct nx_route *r, nx_ns deadline_ns, nx_route_done *done, void *user,
                             struct nx_route_request **request, struct nx_err *err)
{
    const struct nx_layout *layout = nx_group_layout(r->group);
    uint32_t shard, legs = 0, aimed = 0;
    NX_TRY(nx_route_find_shard(r, 0, &shard, err)); /* there are some at all */
    for (shard = 0; shard < layout->shards_count[r->subgroup]; shard++)
        legs += (uint32_t)__builtin_popcountll(live_replicas(r, shard));
    if (legs == 0)
        return nx_err_set(err, NX_UNAVAILABLE, "no replica of any shard is alive");
    struct nx_route_request *q = nx_route_add(r, legs, done, user, err);
    if (!q)
        return err->status;
    q->deadline_ns = deadline_ns;
    q->head.op = NX_REQUEST_LIST;
    q->pinned = true;
    for (shard = 0; shard < layout->shards_count[r->subgroup]; shard++)
        aimed = aim_at_replicas(q, shard, aimed);
    *request = q;
    for (uint32_t i = 0; i < legs; i++)
        nx_leg_push(&q->legs[i]);
    return NX_OK;
}

struct nx_route_asked nx_route_asked(const struct nx_route_request *q, uint32_t i)
{
    return (struct nx_route_asked){.node = q->legs[i].node, .shard = q->legs[i].shard};
}

size_t nx_route_write(struct nx_route_request *q, const uint8_t *bytes, size_t len)
{
    struct nx_leg *leg = &q->legs[0];
    size_t taken = 0;
    if (leg->stream == 0 || nx_leg_wants_room(leg))
        nx_leg_push(leg);
    if (leg->stream == 0 || leg->lost || leg->sent < leg->head_bytes || nx_leg_wants_room(leg))
        return 0; /* first what another replica had already */
    nx_leg_write(leg, bytes, len, &taken);
    nx_copy_append(&q->copy, bytes, taken);
    return taken;
}

uint8_t *nx_route_keep_reply(struct nx_route_request *q, uint32_t i)
{
    uint8_t *reply = q->legs[i].reply;
    q->legs[i].reply = NULL;
    return reply;
}

void nx_route_cancel(struct nx_route_request *q)
{
    for (uint32_t i = 0; i < q->legs_count; i++) {
        struct nx_leg *leg = &q->legs[i];
        if (leg->done)
            continue;
        q->route->outstanding[leg->peer]--;
        nx_leg_trace(leg, &(struct nx_err){NX_CANCELLED, "nobody waits any more"});
        if (leg->stream)
            nx_query_cancel(q->route->group, leg->stream);
    }
    nx_route_drop(q);
}

void nx_route_expire(struct nx_route_request *q)
{
    uint32_t left = q->legs_count - q->legs_done;
    for (uint32_t i = 0; left > 0; i++) {
        struct nx_leg *leg = &q->legs[i];
        struct nx_err err;
        if (leg->done)
            continue;
        if (leg->stream)
            nx_query_cancel(q->route->group, leg->stream);
        nx_err_set(&err, NX_DEADLINE, "no answer in time");
        left--; /* the last one ends the request */
        nx_leg_fail(leg, &err);
    }
}

/* One at a time, since the one who is told may end other requests. */
static bool fail_lost(struct nx_route *r)
{
    for (struct nx_route_request *q = r->requests; q; q = q->next)
        if (!q->photo && q->legs[0].lost) {
            struct nx_err err;
            nx_query_cancel(r->group, q->legs[0].stream);
            nx_err_set(&err, NX_UNAVAILABLE,
                       "shard %u is unavailable: its replica is gone, and the copy of the files is "
                       "lost: whether this takes effect is not known",
                       q->legs[0].shard);
            nx_leg_fail(&q->legs[0], &err);
            return true;
        }
    return false;
}

bool nx_route_poll(struct nx_route *r)
{
    if (!r->unsent)
        return false;
    bool any = r->unsent = fail_lost(r); /* there may be another */
    for (struct nx_route_request *q = r->requests; q; q = q->next)
        for (uint32_t i = 0; i < q->legs_count; i++) {
            if (nx_leg_wants_room(&q->legs[i]))
                any |= nx_leg_push(&q->legs[i]);
        }
    return any;
}

/* --- upcalls of the group ------------------------------------------------------------------------- */

static void on_view(void *ctx, const struct nx_view *view, const struct nx_layout *layout)
{
    struct nx_route *r = ctx;
    (void)layout;
    nx_view_history_view(&r->history, view, nx_clock_now(), nx_clock_wall());
    nx_info("view %llu of %d nodes", (unsigned long long)view->vid,
            __builtin_popcountll(nx_view_ranks(view)));
}

static void on_member_down(void *ctx, nx_rank rank, bool clean, const char *why)
{
    struct nx_route *r = ctx;
    const struct nx_view *view = nx_group_view(r->group);
    nx_view_history_down(&r->history, rank, clean, why, nx_clock_now());
    if (clean)
        nx_info("node %u has left", view->members[rank].node);
    else
        nx_warn("node %u is gone: %s", view->members[rank].node, why);
}

/* The function tier multicasts nothing and is asked nothing by its peers. */
static void on_query_part(void *ctx, const struct nx_part *part)
{
    struct nx_route *r = ctx;
    if (part->offset == 0) {
        nx_error("rank %u queries the function tier", part->peer);
        nx_reply_open(r->group, part->stream, 0);
    }
}

enum { REPLY_BYTES_MAX = NX_ANSWER_BYTES_MAX + NX_PAYLOAD_BYTES_MAX };

/* An answer that there was no room for: it is dropped as it comes. */
static void fail_unread(struct nx_leg *leg, uint64_t bytes)
{
    struct nx_err err;
    if (bytes > REPLY_BYTES_MAX)
        nx_err_set(&err, NX_CORRUPT, "a replica sent an answer of %llu bytes, at most %d are taken",
                   (unsigned long long)bytes, REPLY_BYTES_MAX);
    else
        nx_err_set(&err, NX_NO_MEMORY, "no memory for an answer of %llu bytes",
                   (unsigned long long)bytes);
    nx_leg_fail(leg, &err);
}

static void on_reply_part(void *ctx, void *cookie, const struct nx_part *part)
{
    (void)ctx;
    struct nx_leg *leg = cookie;
    if (part->offset == 0 && !leg->reply && part->total <= REPLY_BYTES_MAX)
        leg->reply = nx_malloc(part->total); /* filled before it is read */
    if (!leg->reply) {
        if (part->offset + part->len == part->total)
            fail_unread(leg, part->total);
        return;
    }
    memcpy(leg->reply + part->offset, part->bytes, part->len);
    if (part->offset + part->len < part->total)
        return;
    struct nx_answer answer;
    struct nx_err err = {0};
    if (nx_answer_decode(leg->reply, part->total, &answer, &err) != NX_OK)
        nx_leg_fail(leg, &err);
    else if (answer.err.status != NX_UNAVAILABLE || !nx_leg_send_again(leg))
        nx_leg_finish(leg, &answer);
}

static void on_query_failed(void *ctx, void *cookie, enum nx_status why)
{
    (void)ctx;
    struct nx_leg *leg = cookie;
    struct nx_err err;
    if (why == NX_PEER_DOWN && nx_leg_send_again(leg))
        return;
    if (why == NX_PEER_DOWN)
        nx_err_set(&err, NX_UNAVAILABLE, "shard %u is unavailable: its replica is gone%s",
                   leg->shard,
                   nx_route_is_change(leg->request->head.op)
                       ? " before it answered: whether this takes effect is not known"
                       : "");
    else
        nx_err_set(&err, why, "a replica of shard %u refused the request: %s", leg->shard,
                   nx_status_text(why));
    nx_leg_fail(leg, &err);
}

static void on_down(void *ctx, const struct nx_err *err)
{
    struct nx_route *r = ctx;
    r->down = *err;
}

const struct nx_group_upcalls *nx_route_upcalls(void)
{
    static const struct nx_group_upcalls upcalls = {
        .view = on_view,
        .member_down = on_member_down,
        .query_part = on_query_part,
        .reply_part = on_reply_part,
        .query_failed = on_query_failed,
        .down = on_down,
    };
    return &upcalls;
}

enum nx_status nx_route_open(uint32_t categorizer_subgroup, uint64_t seed, struct nx_route **route,
                             struct nx_err *err)
{
    struct nx_route *r = nx_calloc(1, sizeof *r);
    if (!r)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the router");
    enum nx_status status = nx_spool_open(".", NX_ROUTE_COPIES_MAX, &r->spool, err);
    if (status != NX_OK) {
        free(r);
        return status;
    }
    r->subgroup = categorizer_subgroup;
    nx_prng_init(&r->prng, seed);
    *route = r;
    return NX_OK;
}

void nx_route_attach(struct nx_route *route, struct nx_group *group)
{
    route->group = group;
    route->down = (struct nx_err){0};
}

void nx_route_set_spans(struct nx_route *route, struct nx_spans *spans)
{
    route->spans = spans;
}

void nx_route_detach(struct nx_route *r, const struct nx_err *why)
{
    r->group = NULL;
    while (r->requests) {
        struct nx_route_request *q = r->requests;
        for (uint32_t i = 0, left = q->legs_count - q->legs_done; left > 0; i++)
            if (!q->legs[i].done) {
                left--;
                nx_leg_fail(&q->legs[i], why); /* the last one ends the request */
            }
    }
}

struct nx_group *nx_route_group(const struct nx_route *route)
{
    return route->group;
}

const struct nx_view_history *nx_route_history(const struct nx_route *route)
{
    return &route->history;
}

uint32_t nx_route_subgroup(const struct nx_route *route)
{
    return route->subgroup;
}

void nx_route_underway(const struct nx_route *route, uint32_t *queries, uint64_t *bytes)
{
    *queries = route->queries_count;
    *bytes = route->bytes;
}

/* "": by its tag alone. */
static const char *name_in(const struct nx_leg *leg)
{
    const struct nx_route_request *q = leg->request;
    const char *name = q->models ? q->models[leg - q->legs].name : q->head.name;
    return nx_name_is_number(name) ? "" : name;
}

uint32_t nx_route_pending(const struct nx_route *route, const char *model)
{
    struct nx_request_head wanted = {0};
    uint32_t pending = 0;
    nx_head_set_name(&wanted, model);
    for (const struct nx_route_request *q = route->requests; q; q = q->next)
        for (uint32_t i = 0; q->head.op == NX_REQUEST_INFER && i < q->legs_count; i++)
            pending += !q->legs[i].done && q->legs[i].tag == wanted.tag &&
                       strcmp(name_in(&q->legs[i]), wanted.name) == 0;
    return pending;
}

bool nx_route_ready(const struct nx_route *route)
{
    return route->group && nx_group_view(route->group) != NULL;
}

enum nx_status nx_route_say_forming(const struct nx_route *route, struct nx_err *err)
{
    const char *why = route->group ? nx_group_waits_for(route->group) : "";
    return nx_err_set(err, NX_UNAVAILABLE, "the group is still forming%s%s", why[0] ? ": " : "",
                      why);
}

const struct nx_err *nx_route_down(const struct nx_route *route)
{
    return &route->down;
}

void nx_route_close(struct nx_route *route)
{
    while (route->requests)
        nx_route_drop(route->requests);
    nx_spool_close(route->spool);
    free(route);
}
