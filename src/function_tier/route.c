#include "function_tier/route.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "common/prng.h"
#include "function_tier/body_copy.h"

#include <stdlib.h>
#include <string.h>

enum {
    PHOTO_RESENDS_MAX = 1,
    CHANGE_RESENDS_MAX = 3,   /* the client's deadline ends it before, if it is short */
    REPLAY_BYTES = 32 * 1024, /* of a copy, read at a time */
};

/* One query to one replica. */
struct leg {
    struct nx_route_request *request;
    uint32_t tag, shard;
    nx_rank peer;
    nx_stream stream; /* 0: not opened yet */
    uint8_t head[NX_HEAD_BYTES_MAX];
    size_t head_bytes;
    uint64_t sent; /* of head and photo together */
    uint32_t resends;
    bool done;
    bool lost;      /* what was sent of it cannot be sent again */
    uint8_t *reply; /* as long as the replica said, while it comes */
    uint32_t node;  /* of the peer, in a list */
};

struct nx_route_request {
    struct nx_route *route;
    struct nx_route_request *next, **link;
    nx_route_done *done;
    void *user;
    nx_ns deadline_ns;
    bool pinned;                 /* each leg is for its replica and no other */
    struct nx_request_head head; /* of a change; of an INFER, its op */
    uint8_t *photo;
    uint64_t body_bytes; /* the photo's, or the files' */
    struct nx_copy copy; /* of the files, as far as they came */
    uint32_t legs_count, legs_done;
    struct nx_answer *answers;
    struct leg legs[];
};

struct nx_route {
    struct nx_group *group;
    uint32_t subgroup;
    struct nx_prng prng;
    struct nx_spool *spool;
    struct nx_route_request *requests;
    uint32_t queries_count; /* legs of all requests */
    uint64_t bytes;
    uint32_t outstanding[NX_MEMBERS_MAX]; /* legs of ours at each replica */
    struct nx_view_history history;
    struct nx_err down;
};

/* --- which replica ------------------------------------------------------------------------------ */

static enum nx_status find_shard(const struct nx_route *r, uint32_t tag, uint32_t *shard,
                                 struct nx_err *err)
{
    const struct nx_layout *layout = r->group ? nx_group_layout(r->group) : NULL;
    if (!layout)
        return nx_err_set(err, NX_UNAVAILABLE, "the group is still forming");
    *shard = tag % layout->shards_count[r->subgroup];
    return NX_OK;
}

static bool is_change(enum nx_request op)
{
    return op == NX_REQUEST_INSTALL || op == NX_REQUEST_REMOVE;
}

/* An inadequate shard serves nobody; a group without majority answers photos but takes no changes. */
static enum nx_status check_shard(const struct nx_route *r, uint32_t shard, enum nx_request op,
                                  struct nx_err *err)
{
    enum nx_status status = nx_group_shard_status(r->group, r->subgroup, shard);
    if (status == NX_UNAVAILABLE)
        return nx_err_set(err, NX_UNAVAILABLE,
                          "shard %u is unavailable: too few of its replicas are alive", shard);
    if (status == NX_WEDGED && is_change(op))
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

static enum nx_status choose_replica(struct nx_route *r, uint32_t shard, nx_rankset avoid,
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

static struct nx_route_request *add_request(struct nx_route *r, uint32_t legs, nx_route_done *done,
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

static void drop_request(struct nx_route_request *q)
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
    free(q->answers);
    free(q);
}

static void finish_leg(struct leg *leg, const struct nx_answer *answer)
{
    struct nx_route_request *q = leg->request;
    nx_assert(!leg->done);
    leg->done = true;
    q->route->outstanding[leg->peer]--;
    q->answers[leg - q->legs] = *answer;
    if (++q->legs_done < q->legs_count)
        return;
    q->done(q->user, q->answers, q->legs_count);
    drop_request(q);
}

static void fail_leg(struct leg *leg, const struct nx_err *why)
{
    finish_leg(leg, &(struct nx_answer){.err = *why});
}

static nx_ns time_left(nx_ns deadline)
{
    nx_ns now = nx_clock_now();
    if (deadline == NX_NEVER)
        return NX_NEVER;
    return deadline > now ? deadline - now : 0;
}

/* From the start, at this replica. */
static void aim_leg(struct leg *leg, nx_rank peer)
{
    struct nx_route_request *q = leg->request;
    struct nx_request_head head = q->head;
    head.tag = leg->tag;
    head.time_left_ns = time_left(q->deadline_ns);
    leg->head_bytes = nx_request_encode(&head, leg->head, sizeof leg->head);
    nx_assert(leg->head_bytes > 0);
    leg->peer = peer;
    leg->stream = 0;
    leg->sent = 0;
    free(leg->reply);
    leg->reply = NULL;
    q->route->outstanding[peer]++;
}

static enum nx_status open_leg(struct leg *leg)
{
    struct nx_route_request *q = leg->request;
    return nx_query_open(q->route->group, leg->peer, leg->head_bytes + q->body_bytes, leg,
                         &leg->stream);
}

static enum nx_status write_leg(struct leg *leg, const uint8_t *bytes, size_t len, size_t *taken)
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
static bool push_body(struct leg *leg)
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
    return write_leg(leg, bytes, len, &taken) == NX_OK && taken > 0;
}

/* Opens it, sends its head and what is here of its body, as far as there is room. A leg that fails here fails
 * through query_failed as well, so only the room matters. True if something moved. */
static bool push_leg(struct leg *leg)
{
    struct nx_route_request *q = leg->request;
    size_t taken = 0;
    uint64_t before = leg->sent;
    if (leg->done || (leg->stream == 0 && open_leg(leg) != NX_OK))
        return false;
    if (leg->sent < leg->head_bytes)
        write_leg(leg, leg->head + leg->sent, leg->head_bytes - leg->sent, &taken);
    while (leg->sent >= leg->head_bytes && leg->sent < leg->head_bytes + body_here(q))
        if (!push_body(leg))
            break;
    return leg->sent > before;
}

static bool wants_room(const struct leg *leg)
{
    const struct nx_route_request *q = leg->request;
    return !leg->done && !leg->lost && leg->sent < leg->head_bytes + body_here(q);
}

/* --- what the service asks ------------------------------------------------------------------------ */

enum nx_status nx_route_reserve(struct nx_route *route, uint64_t bytes, struct nx_err *err)
{
    if (bytes > NX_ROUTE_BYTES_MAX - route->bytes)
        return nx_err_set(err, NX_UNAVAILABLE,
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

static enum nx_status aim_at_shard(struct leg *leg, struct nx_route_request *q, uint32_t tag,
                                   struct nx_err *err)
{
    struct nx_route *r = q->route;
    nx_rank peer;
    leg->request = q;
    leg->tag = tag;
    NX_TRY(find_shard(r, tag, &leg->shard, err));
    NX_TRY(check_shard(r, leg->shard, q->head.op, err));
    NX_TRY(choose_replica(r, leg->shard, 0, &peer, err));
    aim_leg(leg, peer);
    return NX_OK;
}

static void give_up(struct nx_route_request *q, uint32_t aimed)
{
    for (uint32_t i = 0; i < aimed; i++)
        q->route->outstanding[q->legs[i].peer]--;
    q->photo = NULL; /* still the caller's */
    drop_request(q);
}

enum nx_status nx_route_infer(struct nx_route *r, const uint32_t *tags, uint32_t tags_count,
                              uint8_t *photo, uint64_t photo_bytes, nx_ns deadline_ns,
                              nx_route_done *done, void *user, struct nx_route_request **request,
                              struct nx_err *err)
{
    struct nx_request_head head = {.op = NX_REQUEST_INFER};
    return nx_route_ask(r, &head, tags, tags_count, photo, photo_bytes, deadline_ns, done, user,
                        request, err);
}

enum nx_status nx_route_ask(struct nx_route *r, const struct nx_request_head *head,
                            const uint32_t *tags, uint32_t tags_count, uint8_t *photo,
                            uint64_t photo_bytes, nx_ns deadline_ns, nx_route_done *done,
                            void *user, struct nx_route_request **request, struct nx_err *err)
{
    nx_assert(!is_change(head->op));
    nx_assert(tags_count >= 1 && tags_count <= NX_ROUTE_TAGS_MAX);
    struct nx_route_request *q = add_request(r, tags_count, done, user, err);
    if (!q)
        return err->status;
    q->deadline_ns = deadline_ns;
    q->photo = photo;
    q->body_bytes = photo_bytes;
    q->head = *head;
    for (uint32_t i = 0; i < tags_count; i++) {
        enum nx_status status = aim_at_shard(&q->legs[i], q, tags[i], err);
        if (status != NX_OK) {
            give_up(q, i);
            return status;
        }
    }
    *request = q;
    for (uint32_t i = 0; i < tags_count; i++) {
        nx_debug("tag %u: a photo of %llu bytes goes to rank %u", tags[i],
                 (unsigned long long)photo_bytes, q->legs[i].peer);
        push_leg(&q->legs[i]);
    }
    return NX_OK;
}

enum nx_status nx_route_change(struct nx_route *r, const struct nx_request_head *head,
                               nx_route_done *done, void *user, struct nx_route_request **request,
                               struct nx_err *err)
{
    struct nx_route_request *q = add_request(r, 1, done, user, err);
    if (!q)
        return err->status;
    q->deadline_ns = NX_NEVER;
    q->head = *head;
    q->body_bytes = head->op == NX_REQUEST_INSTALL
                        ? head->synset_bytes + head->symbol_bytes + head->params_bytes
                        : 0;
    enum nx_status status = aim_at_shard(&q->legs[0], q, head->tag, err);
    if (status != NX_OK) {
        give_up(q, 0);
        return status;
    }
    nx_copy_open(&q->copy, r->spool, q->body_bytes);
    *request = q;
    push_leg(&q->legs[0]);
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
        struct leg *leg = &q->legs[first++];
        nx_rank rank = (nx_rank)__builtin_ctzll(left);
        leg->request = q;
        leg->shard = shard;
        leg->node = nx_group_view(q->route->group)->members[rank].node;
        aim_leg(leg, rank);
    }
    return first;
}

enum nx_status nx_route_list(struct nx_route *r, nx_ns deadline_ns, nx_route_done *done, void *user,
                             struct nx_route_request **request, struct nx_err *err)
{
    const struct nx_layout *layout = nx_group_layout(r->group);
    uint32_t shard, legs = 0, aimed = 0;
    NX_TRY(find_shard(r, 0, &shard, err)); /* there are some at all */
    for (shard = 0; shard < layout->shards_count[r->subgroup]; shard++)
        legs += (uint32_t)__builtin_popcountll(live_replicas(r, shard));
    if (legs == 0)
        return nx_err_set(err, NX_UNAVAILABLE, "no replica of any shard is alive");
    struct nx_route_request *q = add_request(r, legs, done, user, err);
    if (!q)
        return err->status;
    q->deadline_ns = deadline_ns;
    q->head.op = NX_REQUEST_LIST;
    q->pinned = true;
    for (shard = 0; shard < layout->shards_count[r->subgroup]; shard++)
        aimed = aim_at_replicas(q, shard, aimed);
    *request = q;
    for (uint32_t i = 0; i < legs; i++)
        push_leg(&q->legs[i]);
    return NX_OK;
}

struct nx_route_asked nx_route_asked(const struct nx_route_request *q, uint32_t i)
{
    return (struct nx_route_asked){.node = q->legs[i].node, .shard = q->legs[i].shard};
}

size_t nx_route_write(struct nx_route_request *q, const uint8_t *bytes, size_t len)
{
    struct leg *leg = &q->legs[0];
    size_t taken = 0;
    if (leg->stream == 0 || wants_room(leg))
        push_leg(leg);
    if (leg->stream == 0 || leg->lost || leg->sent < leg->head_bytes || wants_room(leg))
        return 0; /* first what another replica had already */
    write_leg(leg, bytes, len, &taken);
    nx_copy_append(&q->copy, bytes, taken);
    return taken;
}

void nx_route_cancel(struct nx_route_request *q)
{
    for (uint32_t i = 0; i < q->legs_count; i++) {
        struct leg *leg = &q->legs[i];
        if (leg->done)
            continue;
        q->route->outstanding[leg->peer]--;
        if (leg->stream)
            nx_query_cancel(q->route->group, leg->stream);
    }
    drop_request(q);
}

void nx_route_expire(struct nx_route_request *q)
{
    uint32_t left = q->legs_count - q->legs_done;
    for (uint32_t i = 0; left > 0; i++) {
        struct leg *leg = &q->legs[i];
        struct nx_err err;
        if (leg->done)
            continue;
        if (leg->stream)
            nx_query_cancel(q->route->group, leg->stream);
        nx_err_set(&err, NX_DEADLINE, "no answer in time");
        left--; /* the last one ends the request */
        fail_leg(leg, &err);
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
            fail_leg(&q->legs[0], &err);
            return true;
        }
    return false;
}

bool nx_route_poll(struct nx_route *r)
{
    bool any = fail_lost(r);
    for (struct nx_route_request *q = r->requests; q; q = q->next)
        for (uint32_t i = 0; i < q->legs_count; i++) {
            if (wants_room(&q->legs[i]))
                any |= push_leg(&q->legs[i]);
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
static void on_deliver(void *ctx, const struct nx_delivery *delivery)
{
    (void)ctx;
    nx_error("rank %u multicast %zu bytes into the function tier", delivery->sender, delivery->len);
}

static void on_bulk_part(void *ctx, uint32_t subgroup, const struct nx_part *part,
                         const uint8_t *head, size_t head_len)
{
    (void)ctx, (void)subgroup, (void)part, (void)head, (void)head_len;
}

static void on_bulk_aborted(void *ctx, nx_stream stream)
{
    (void)ctx, (void)stream;
}

static void on_query_part(void *ctx, const struct nx_part *part)
{
    struct nx_route *r = ctx;
    if (part->offset == 0) {
        nx_error("rank %u queries the function tier", part->peer);
        nx_reply_open(r->group, part->stream, 0);
    }
}

static void on_query_gone(void *ctx, nx_stream stream)
{
    (void)ctx, (void)stream;
}

static bool send_again(struct leg *leg)
{
    struct nx_route_request *q = leg->request;
    struct nx_route *r = q->route;
    nx_rank peer;
    bool changes = is_change(q->head.op);
    if (q->pinned || leg->resends == (changes ? CHANGE_RESENDS_MAX : PHOTO_RESENDS_MAX) ||
        (changes && !q->copy.whole_so_far) || nx_clock_now() >= q->deadline_ns ||
        choose_replica(r, leg->shard, NX_RANK_BIT(leg->peer), &peer, NULL) != NX_OK)
        return false;
    nx_debug("tag %u: sent again, to rank %u", leg->tag, peer);
    r->outstanding[leg->peer]--;
    leg->resends++;
    aim_leg(leg, peer);
    push_leg(leg);
    return true;
}

static void on_reply_part(void *ctx, void *cookie, const struct nx_part *part)
{
    (void)ctx;
    struct leg *leg = cookie;
    if (part->offset == 0 && !leg->reply &&
        part->total <= NX_ANSWER_BYTES_MAX + NX_PAYLOAD_BYTES_MAX)
        leg->reply = malloc(part->total ? part->total : 1); /* filled before it is read */
    if (!leg->reply) {
        if (part->offset + part->len == part->total)
            fail_leg(leg,
                     &(struct nx_err){NX_CORRUPT, "a replica sent an answer that is too long"});
        return;
    }
    memcpy(leg->reply + part->offset, part->bytes, part->len);
    if (part->offset + part->len < part->total)
        return;
    struct nx_answer answer;
    struct nx_err err = {0};
    if (nx_answer_decode(leg->reply, part->total, &answer, &err) != NX_OK)
        fail_leg(leg, &err);
    else if (answer.err.status != NX_UNAVAILABLE || !send_again(leg))
        finish_leg(leg, &answer);
}

static void on_query_failed(void *ctx, void *cookie, enum nx_status why)
{
    (void)ctx;
    struct leg *leg = cookie;
    struct nx_err err;
    if (why == NX_PEER_DOWN && send_again(leg))
        return;
    if (why == NX_PEER_DOWN)
        nx_err_set(&err, NX_UNAVAILABLE, "shard %u is unavailable: its replica is gone%s",
                   leg->shard,
                   is_change(leg->request->head.op)
                       ? " before it answered: whether this takes effect is not known"
                       : "");
    else
        nx_err_set(&err, why, "a replica of shard %u refused the request: %s", leg->shard,
                   nx_status_text(why));
    fail_leg(leg, &err);
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
        .deliver = on_deliver,
        .bulk_part = on_bulk_part,
        .bulk_aborted = on_bulk_aborted,
        .query_part = on_query_part,
        .query_gone = on_query_gone,
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

void nx_route_detach(struct nx_route *r, const struct nx_err *why)
{
    r->group = NULL;
    while (r->requests) {
        struct nx_route_request *q = r->requests;
        for (uint32_t i = 0, left = q->legs_count - q->legs_done; left > 0; i++)
            if (!q->legs[i].done) {
                left--;
                fail_leg(&q->legs[i], why); /* the last one ends the request */
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

bool nx_route_ready(const struct nx_route *route)
{
    return route->group && nx_group_view(route->group) != NULL;
}

const struct nx_err *nx_route_down(const struct nx_route *route)
{
    return &route->down;
}

void nx_route_close(struct nx_route *route)
{
    while (route->requests)
        drop_request(route->requests);
    nx_spool_close(route->spool);
    free(route);
}
