/* pb_unpack.h — generated decoders under a cap. Internal to pb/: it shows protobuf-c's types.
 *
 * The generated code allocates far more than it reads (4 MiB of empty messages become 320 MiB), so
 * every unpack draws on an allowance, and what it may not take fails the unpack.
 * Owner   the caller frees with nx_pb_release. Thread  any. */
#ifndef NX_PB_UNPACK_H
#define NX_PB_UNPACK_H

#include "common/status.h"

#include <protobuf-c/protobuf-c.h>

/* One message of hostile bytes: at most bytes_max of them, alloc_max of memory, its strings UTF-8
 * without NUL. NX_TOO_LARGE or NX_CORRUPT, in words that begin with `what`. */
enum nx_status nx_pb_unpack(const ProtobufCMessageDescriptor *type, const char *what,
                            const uint8_t *bytes, size_t len, size_t bytes_max, size_t alloc_max,
                            ProtobufCMessage **message, struct nx_err *err);
void nx_pb_release(ProtobufCMessage *message);

/* Packs into dst; NX_TOO_LARGE if it does not fit. */
enum nx_status nx_pb_pack(const ProtobufCMessage *message, void *dst, size_t cap, size_t *len);

#endif
