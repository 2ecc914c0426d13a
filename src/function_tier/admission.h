/* admission.h — how much a node takes on at once: one budget for inferences by every API.
 *
 *     requests <= requests_max  and  bytes of their bodies <= bytes_max
 *
 * Over it a request is refused at once, not queued, and told when to come again: by HTTP 429 and Retry-After, by gRPC
 * RESOURCE_EXHAUSTED and the trailer grpc-retry-pushback-ms.
 *
 *     nx_admission_expect ─► nx_admission_arrive … ─► nx_admission_whole ─► nx_admission_leave
 *
 * A body counts as far as it has arrived, not as long as its sender says that it will be; a request counts once it is whole.
 * When there is no room, the one that has been arriving for longest gives up its own, if that is over five seconds: who
 * sends slowly keeps nobody out. Senders of much keep no photo out, and those of photos nobody who sends numbers:
 *
 *     a body of s bytes is taken only if min(4 s, bytes_max / 8) stay free behind it
 *
 * so whatever others hold in bodies of s, there is room for several of a fraction of it. One alone
 * may have all; a body over a mebibyte is alone when there is no other such.
 * Owner, thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_ADMISSION_H
#define NX_FUNCTION_TIER_ADMISSION_H

#include "function_tier/grpc/grpc_server.h"

#include <sys/queue.h>

enum { NX_LARGE_BODY_BYTES = 1 << 20, NX_BODIES_SHARE = 8, NX_BODIES_LEAVE = 4 };

struct nx_admission {
    uint32_t requests_max, requests;
    uint64_t bytes_max, bytes;
    uint64_t arriving;                 /* of the bytes, those of requests that are not whole */
    uint64_t large;                    /* of the bytes, those of bodies over NX_LARGE_BODY_BYTES */
    TAILQ_HEAD(, nx_arrival) arrivals; /* the first begun first */
};

struct nx_arrival {
    uint64_t bytes;
    nx_ns begun;
    bool whole;
    /* It loses its place to others, and is to leave at once. */
    void (*lose)(struct nx_arrival *arrival, const struct nx_err *err);
    TAILQ_ENTRY(nx_arrival) in_order;
};

void nx_admission_init(struct nx_admission *admission, uint32_t requests_max, uint64_t bytes_max);

/* One that arrives whole. NX_AGAIN: over the budget. What was taken is given back once. */
enum nx_status nx_admission_take(struct nx_admission *admission, uint64_t bytes, nx_ns now,
                                 struct nx_err *err);
void nx_admission_give(struct nx_admission *admission, uint64_t bytes);

/* One of `announced` bytes begins to arrive; `arrival` stays where it is until it leaves.
 * NX_AGAIN: there is no place for it now. */
enum nx_status nx_admission_expect(struct nx_admission *admission, struct nx_arrival *arrival,
                                   uint64_t announced, nx_ns now, struct nx_err *err);
/* `bytes` of it are here now, in all. NX_AGAIN: no room, and it is to leave. */
enum nx_status nx_admission_arrive(struct nx_admission *admission, struct nx_arrival *arrival,
                                   uint64_t bytes, nx_ns now, struct nx_err *err);
enum nx_status nx_admission_whole(struct nx_admission *admission, struct nx_arrival *arrival,
                                  struct nx_err *err);
void nx_admission_leave(struct nx_admission *admission, struct nx_arrival *arrival);

/* The header nexus-priority: "1" first … "9" last, "0" and none the middle. `text` may be NULL. */
enum nx_status nx_priority_read(const char *text, size_t len, uint32_t *priority,
                                struct nx_err *err);

/* Ends an inference by gRPC: NX_AGAIN is RESOURCE_EXHAUSTED, and that and UNAVAILABLE say when to come again. */
void nx_call_refuse(struct nx_call *call, const struct nx_err *err);

#endif
