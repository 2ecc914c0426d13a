/* load_h2.h — gRPC calls, as a client: one HTTP/2 connection as bytes in and bytes out, no socket.
 *
 * Every call sends the same request. `done` is called once for each call that was started and not cancelled, from within
 * recv or close. Messages of replies are dropped; the statuses are what counts.
 * Owner   whoever opened it; the request outlives it. Thread  one. */
#ifndef NX_BENCH_LOAD_H2_H
#define NX_BENCH_LOAD_H2_H

#include "bench/load/load_api.h"

struct load_h2;

struct load_h2_end {
    bool broken; /* the stream was reset, or nothing came */
    int http;    /* 0: none came */
    int grpc;    /* -1: none came */
};

struct load_h2_upcall {
    void (*done)(void *ctx, void *call, struct load_h2_end end);
    void *ctx;
};

/* NULL: no memory. */
struct load_h2 *load_h2_open(const struct load_request *request, unsigned streams, bool tls,
                             struct load_h2_upcall upcall);
void load_h2_close(struct load_h2 *h2); /* calls in flight are told as broken */

unsigned load_h2_room(const struct load_h2 *h2); /* how many calls may be started now */
bool load_h2_over(const struct load_h2 *h2); /* the server takes no more; nothing is in flight */

/* The stream's number; negative: it could not be started. */
int32_t load_h2_start(struct load_h2 *h2, void *call);
void load_h2_cancel(struct load_h2 *h2, int32_t stream);

bool load_h2_recv(struct load_h2 *h2, const uint8_t *bytes, size_t len); /* false: broken */
/* Frames to send, while some fit; at least LOAD_H2_PULL_BYTES of room. 0: none. */
enum { LOAD_H2_PULL_BYTES = 20480 };
size_t load_h2_pull(struct load_h2 *h2, uint8_t *dst, size_t cap);

#endif
