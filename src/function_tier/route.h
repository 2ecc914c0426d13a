/* route.h — from a client's request to the replicas that answer it.
 *
 *   shard(tag) = tag mod num_shards
 *   replica    = of two live ones drawn at random, the one with less work (its own count in the SST, plus what
 *                this node has under way there)
 *
 * A replica that still lacks its shard's state is not chosen.
 * A photo goes to the shard of each of its tags at once. A query whose replica dies, or is unavailable for it, is sent once
 * more, to another live replica, within the client's deadline. Installing and removing go to one replica of the tag's shard
 * (the entry replica), which orders them; if that dies they are sent again, from a copy of what came (body_copy.h), under
 * the same request id, so that they are done once and answered with the first outcome.
 * Requests are admitted by count and by bytes; over the bound they are refused at once, not queued.
 * Owner, thread  the loop thread. `done` is called from nx_group_poll or nx_route_poll, once per request, unless
 *                the request is cancelled; the request is gone when it returns.
 * Source  Mitzenmacher, "The power of two choices in randomized load balancing", TPDS 2001. */
#ifndef NX_FUNCTION_TIER_ROUTE_H
#define NX_FUNCTION_TIER_ROUTE_H

#include "categorizer/categorizer_wire.h"
#include "function_tier/view_history.h"
#include "group/group.h"
#include "telemetry/spans.h"

enum {
    NX_ROUTE_TAGS_MAX = 64, /* of one photo */
    /* under way at one node, one per tag; the group has room for 1,024 */
    NX_ROUTE_QUERIES_MAX = 960,
};
#define NX_ROUTE_BYTES_MAX  (UINT64_C(512) << 20) /* bodies of inferences under way at one node */
#define NX_ROUTE_COPIES_MAX (UINT64_C(8) << 30)   /* files of installs under way, on disk */

struct nx_route;
struct nx_route_request;

/* answers[i] belongs to the i-th tag; installing and removing have one. */
typedef void nx_route_done(void *user, const struct nx_answer *answers, uint32_t count);

enum nx_status nx_route_open(uint32_t categorizer_subgroup, uint64_t seed, struct nx_route **route,
                             struct nx_err *err);
/* for nx_group_open, with the route as ctx */
const struct nx_group_upcalls *nx_route_upcalls(void);
void nx_route_attach(struct nx_route *route, struct nx_group *group);
/* The group is about to be closed: what is under way ends with `why`, and until the next attach nothing is routed. */
void nx_route_detach(struct nx_route *route, const struct nx_err *why);
/* Each question becomes a span, kind CLIENT, in the trace that its head has. Before the first of them. */
void nx_route_set_spans(struct nx_route *route, struct nx_spans *spans);
void nx_route_close(struct nx_route *route); /* after the group; requests under way are dropped */

/* Room for a body before its bytes come: NX_AGAIN over the bound. Give back what nx_route_ask did not take. */
enum nx_status nx_route_reserve(struct nx_route *route, uint64_t bytes, struct nx_err *err);
void nx_route_unreserve(struct nx_route *route, uint64_t bytes);

/* INFER, DESCRIBE or LIST: each of `tags` is asked with the head; a LIST of shard i is a
 * question to tag i. Each question is a span of its own below head->trace, if there is one.
 * `body` is malloc'd and reserved; the route owns both from NX_OK on. It may be NULL. 1 <=
 * tags_count <= NX_ROUTE_TAGS_MAX. */
enum nx_status nx_route_ask(struct nx_route *route, const struct nx_request_head *head,
                            const uint32_t *tags, uint32_t tags_count, uint8_t *body,
                            uint64_t body_bytes, nx_ns deadline_ns, nx_route_done *done, void *user,
                            struct nx_route_request **request, struct nx_err *err);

/* The same of models by name; the head's own name and version are not looked at. */
struct nx_route_model {
    char name[NX_MODEL_NAME_BYTES]; /* as nx_head_set_name takes it */
    uint64_t version;               /* 0: whichever serves */
};
enum nx_status nx_route_ask_models(struct nx_route *route, const struct nx_request_head *head,
                                   const struct nx_route_model *models, uint32_t models_count,
                                   uint8_t *body, uint64_t body_bytes, nx_ns deadline_ns,
                                   nx_route_done *done, void *user,
                                   struct nx_route_request **request, struct nx_err *err);

/* INSTALL or REMOVE. An INSTALL's body is then written as it comes. */
enum nx_status nx_route_change(struct nx_route *route, const struct nx_request_head *head,
                               nx_route_done *done, void *user, struct nx_route_request **request,
                               struct nx_err *err);
/* Takes 0 … len bytes of the body; what was not taken is offered again after nx_route_poll. */
size_t nx_route_write(struct nx_route_request *request, const uint8_t *bytes, size_t len);

/* LIST, to every live replica of every shard. answers[i] is that of the i-th; who that was is to be had within `done`. */
enum nx_status nx_route_list(struct nx_route *route, nx_ns deadline_ns, nx_route_done *done,
                             void *user, struct nx_route_request **request, struct nx_err *err);
struct nx_route_asked {
    uint32_t node, shard;
};
struct nx_route_asked nx_route_asked(const struct nx_route_request *request, uint32_t i);

/* From within `done`: the memory that the payload of answers[i] lies in, which is the caller's
 * to free() from now on. NULL: it has none. */
uint8_t *nx_route_keep_reply(struct nx_route_request *request, uint32_t i);

/* Who asked waits no longer: what has not been answered is NX_DEADLINE, and `done` is called. */
void nx_route_expire(struct nx_route_request *request);

/* Nobody waits any more: the replicas are told, `done` is not called. */
void nx_route_cancel(struct nx_route_request *request);

/* Sends on what waited for room; after every nx_group_poll. True if something moved. */
bool nx_route_poll(struct nx_route *route);

bool nx_route_ready(const struct nx_route *route); /* there is a view */
/* NX_UNAVAILABLE, while there is none: what the group waits for. */
enum nx_status nx_route_say_forming(const struct nx_route *route, struct nx_err *err);

/* For whoever tells about the group: the group itself (NULL before attach), the categorizers' subgroup in it, its latest
 * views, and what is under way here. */
struct nx_group *nx_route_group(const struct nx_route *route);
uint32_t nx_route_subgroup(const struct nx_route *route);
const struct nx_view_history *nx_route_history(const struct nx_route *route);
void nx_route_underway(const struct nx_route *route, uint32_t *queries, uint64_t *bytes);
/* Of these, photos and tensors for the model of that name, or of that tag in digits. */
uint32_t nx_route_pending(const struct nx_route *route, const char *model);

/* Why this node cannot go on in its group; status NX_OK: it can. */
const struct nx_err *nx_route_down(const struct nx_route *route);

#endif
