/* route_state.h — what the files of the router share; nobody else includes it.
 *
 *   route.c       requests from the services, the group's upcalls, turns
 *   route_leg.c   legs: which replica, sending, sending again, the answer
 *   A request has a leg for each shard, or replica, that it asks. */
#ifndef NX_FUNCTION_TIER_ROUTE_STATE_H
#define NX_FUNCTION_TIER_ROUTE_STATE_H

#include "common/prng.h"
#include "function_tier/body_copy.h"
#include "function_tier/route.h"

/* One query to one replica. */
struct nx_leg {
    struct nx_route_request *request;
    uint32_t tag, shard;
    nx_rank peer;
    nx_stream stream; /* 0: not opened yet */
    uint8_t head[NX_HEAD_BYTES_MAX];
    size_t head_bytes;
    nx_ns aimed;               /* nx_clock_wall, if its spans are told */
    struct nx_trace_ids trace; /* its span, below the request's; a fresh one each time it is sent */
    uint64_t sent;             /* of head and photo together */
    uint32_t resends;
    bool done;
    bool lost;      /* what was sent of it cannot be sent again */
    uint8_t *reply; /* as long as the replica said, while it comes */
    uint32_t node;  /* of the peer */
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
    struct nx_route_model *models; /* of the legs; NULL: what the head says, but for the tag */
    struct nx_answer *answers;
    struct nx_leg legs[];
};

struct nx_route {
    struct nx_group *group;
    uint32_t subgroup;
    struct nx_prng prng;
    struct nx_spool *spool;
    struct nx_spans *spans;
    struct nx_route_request *requests;
    /* a leg may want room, or be lost: else a turn has nothing to look for among the requests */
    bool unsent;
    uint32_t queries_count; /* legs of all requests */
    uint64_t bytes;
    uint32_t outstanding[NX_MEMBERS_MAX]; /* legs of ours at each replica */
    struct nx_view_history history;
    struct nx_err down;
};

bool nx_route_is_change(enum nx_request op);

/* Which shard holds the tag; whether it takes such a request. */
enum nx_status nx_route_find_shard(const struct nx_route *r, uint32_t tag, uint32_t *shard,
                                   struct nx_err *err);
enum nx_status nx_route_check_shard(const struct nx_route *r, uint32_t shard, enum nx_request op,
                                    struct nx_err *err);

/* One with the state, the less busy of two drawn; one that leaves only if no other is left. */
enum nx_status nx_route_choose_replica(struct nx_route *r, uint32_t shard, nx_rankset avoid,
                                       nx_rank *rank, struct nx_err *err);

/* A request with so many legs, listed; NULL, and *err says why. drop: the other way, with all that it holds. */
struct nx_route_request *nx_route_add(struct nx_route *r, uint32_t legs, nx_route_done *done,
                                      void *user, struct nx_err *err);
void nx_route_drop(struct nx_route_request *q);

/* Aims the leg at a replica, from its start. push: opens it, sends its head and what is here of its body, as far as there is
 * room; one that fails here fails through query_failed as well, so only the room matters. True if something moved. */
void nx_leg_aim(struct nx_leg *leg, nx_rank peer);
bool nx_leg_push(struct nx_leg *leg);
bool nx_leg_wants_room(const struct nx_leg *leg);

/* More of a body that is not kept. */
enum nx_status nx_leg_write(struct nx_leg *leg, const uint8_t *bytes, size_t len, size_t *taken);

/* One sending of it is over: tells its span. */
void nx_leg_trace(const struct nx_leg *leg, const struct nx_err *err);

/* Its replica is gone, or cannot: at another one, if time, copy and replicas are there. */
bool nx_leg_send_again(struct nx_leg *leg);

/* The leg has its answer; with the last one the request is done, and gone. */
void nx_leg_finish(struct nx_leg *leg, const struct nx_answer *answer);
void nx_leg_fail(struct nx_leg *leg, const struct nx_err *why);

#endif
