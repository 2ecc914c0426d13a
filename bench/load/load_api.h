/* load_api.h — what one request of each API is, as bytes made once and sent again and again.
 *
 * HTTP/1.1: `bytes` is head and body. gRPC: `path`, and `bytes` are the length-prefixed messages of the call.
 * Owner   load_api_free. Thread  shared and read-only once made. */
#ifndef NX_BENCH_LOAD_API_H
#define NX_BENCH_LOAD_API_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_HEADERS_MAX = 8, LOAD_RANK_MAX = 6 };

struct load_ask {
    const char *api;   /* a name of load_api_names */
    const char *model; /* a tag or a name */
    const char *input; /* of the model's tensor, for v2-grpc */
    const uint8_t *photo;
    size_t photo_bytes; /* 0: there is none */
    /* An FP32 tensor of zeros in place of the photo, for v2-*; rank 0: none. */
    uint32_t dims[LOAD_RANK_MAX], rank;
    const char *host;                      /* the Host header, the authority */
    const char *headers[LOAD_HEADERS_MAX]; /* "name: value"; NULL behind the last */
};

struct load_header {
    char *name, *value; /* name in lower case */
};

struct load_request {
    bool grpc;
    const char *path, *authority; /* gRPC */
    uint8_t *bytes;
    size_t len;
    uint64_t repeats; /* gRPC: the bytes are sent so many times more, in the same call */
    struct load_header headers[LOAD_HEADERS_MAX]; /* gRPC; HTTP/1.1 has them in its head */
    size_t headers_count;
};

/* NX_INVALID with one sentence: no such API, or what it needs is missing. ask->host outlives the request. */
enum nx_status load_api_make(const struct load_ask *ask, struct load_request *request,
                             struct nx_err *err);
void load_api_free(struct load_request *request);

const char *load_api_names(void); /* "ping, live, …" */

#endif
