/* grpc_status.h — the words of the gRPC protocol: codes, percent-encoding, timeouts, content types.
 *
 * Pure functions of their arguments; nothing is allocated, any thread may call them.
 * Source  gRPC over HTTP/2 (doc/PROTOCOL-HTTP2.md of the gRPC project). */
#ifndef NX_GRPC_STATUS_H
#define NX_GRPC_STATUS_H

#include "common/clock.h"
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>

/* As they stand on the wire. */
enum nx_grpc_code {
    NX_GRPC_OK = 0,
    NX_GRPC_CANCELLED = 1,
    NX_GRPC_UNKNOWN = 2,
    NX_GRPC_INVALID_ARGUMENT = 3,
    NX_GRPC_DEADLINE_EXCEEDED = 4,
    NX_GRPC_NOT_FOUND = 5,
    NX_GRPC_ALREADY_EXISTS = 6,
    NX_GRPC_PERMISSION_DENIED = 7,
    NX_GRPC_RESOURCE_EXHAUSTED = 8,
    NX_GRPC_FAILED_PRECONDITION = 9,
    NX_GRPC_ABORTED = 10,
    NX_GRPC_OUT_OF_RANGE = 11,
    NX_GRPC_UNIMPLEMENTED = 12,
    NX_GRPC_INTERNAL = 13,
    NX_GRPC_UNAVAILABLE = 14,
    NX_GRPC_DATA_LOSS = 15,
    NX_GRPC_UNAUTHENTICATED = 16,
};

enum nx_grpc_code nx_grpc_code_of(enum nx_status status);

/* Writes `text` as a grpc-message value: bytes outside ' '..'~', and '%', become %XX. At most cap-1
 * bytes and a NUL; what does not fit is left out, never half an escape. Returns the length. */
size_t nx_grpc_percent_encode(const char *text, char *dst, size_t cap);

/* "100m" → nanoseconds. 1 to 8 digits, then one of H M S m u n. False for anything else; *timeout
 * is then as before. */
bool nx_grpc_timeout_parse(const char *text, size_t len, nx_ns *timeout);

/* application/grpc, application/grpc+proto, each with or without ";parameters", in any case. */
bool nx_grpc_content_type_ok(const char *text, size_t len);

/* Standard base64, with or without padding, as -bin metadata carries it. False if malformed or if
 * it does not fit; *len is the decoded length. */
bool nx_grpc_base64_decode(const char *text, size_t text_len, void *dst, size_t cap, size_t *len);

#endif
