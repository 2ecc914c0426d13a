/* pb_reflection.h — grpc.reflection.v1 (and v1alpha, which is the same bytes): what this server's services look like.
 *
 * The descriptors of proto/ are embedded as the compiler wrote them, and walked in place. No file imports another, so one
 * file answers a question whole. Extensions there are none.
 * Source  grpc/reflection/v1/reflection.proto; descriptor.proto. */
#ifndef NX_PB_REFLECTION_H
#define NX_PB_REFLECTION_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

enum { NX_PB_REFLECTION_BYTES_MAX = 4096 }; /* of a question */

/* The answer to one ServerReflectionRequest, the caller's to free. What is not found is an answer too, which says so.
 * NX_INVALID with a sentence: no such question, or one over the bound. NX_NO_MEMORY. */
enum nx_status nx_pb_reflect(const uint8_t *bytes, size_t len, uint8_t **reply, size_t *reply_bytes,
                             struct nx_err *err);

#endif
