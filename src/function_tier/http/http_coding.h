/* http_coding.h — bodies that travel compressed: gzip, requests also as deflate. Internal to the wire.
 *
 * A request's body is unpacked under the bound that its plain bytes have, before the service sees
 * it, a piece at a time. A reply is packed if the client accepts gzip, and if it is worth it: text
 * of 1 KiB to 4 MiB that becomes smaller.
 * Source  RFC 9110, sections 8.4 and 12.5.3; RFC 1952. Thread  the server's. */
#ifndef NX_FUNCTION_TIER_HTTP_CODING_H
#define NX_FUNCTION_TIER_HTTP_CODING_H

#include "function_tier/grpc/grpc_buffer.h"
#include "function_tier/grpc/grpc_inflate.h"
#include "function_tier/http/http_head.h"

struct nx_http_unpack { /* of one body; zeroed at the start */
    struct nx_inflater *inflater;
    struct nx_grpc_buffer plain;
    uint64_t bytes_max;
};

/* `body` stands for something else by its Content-Encoding: NX_AGAIN, go on with _step. NX_OK: it is plain. On a refusal
 * *http_status is 400, 413, 415 or 503 and `err` the sentence. */
enum nx_status nx_http_unpack_begin(struct nx_http_unpack *unpack, const struct nx_http_head *head,
                                    uint64_t bytes_max, struct nx_grpc_buffer *body,
                                    int *http_status, struct nx_err *err);
/* One piece. NX_AGAIN: there is more; NX_OK: `body` has been replaced; or a refusal. */
enum nx_status nx_http_unpack_step(struct nx_http_unpack *unpack, struct nx_grpc_buffer *body,
                                   int *http_status, struct nx_err *err);
void nx_http_unpack_end(struct nx_http_unpack *unpack); /* at any time */

/* The packed body in `packed`, which is empty; false: send it as it is. */
bool nx_http_pack(const struct nx_http_head *head, const char *content_type, const void *body,
                  size_t len, struct nx_grpc_buffer *packed);

#endif
