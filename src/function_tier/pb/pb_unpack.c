#include "function_tier/pb/pb_unpack.h"

#include "common/arena.h"
#include "common/utf8.h"
#include "function_tier/pb/pb_walk.h"

#include <stdlib.h>

enum { ALLOC_OVERHEAD_BYTES = 16, NESTING_MAX = 8 };

struct allowance {
    size_t left;
    bool refused;
};

static void *take(void *state, size_t bytes)
{
    struct allowance *allowance = state;
    if (bytes > allowance->left || allowance->left - bytes < ALLOC_OVERHEAD_BYTES) {
        allowance->refused = true;
        return NULL;
    }
    allowance->left -= bytes + ALLOC_OVERHEAD_BYTES;
    return nx_calloc(1, bytes);
}

static void give_back(void *state, void *memory)
{
    (void)state; /* the allowance bounds the sum, which bounds the peak */
    free(memory);
}

/* The generated code hands strings on without their length, and takes any bytes for text. */
static bool strings_ok(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t len,
                       unsigned nesting)
{
    struct nx_pb_walk walk;
    struct nx_pb_field field;
    nx_pb_walk_init(&walk, bytes, len);
    while (nx_pb_walk_next(&walk, &field)) {
        const ProtobufCFieldDescriptor *known =
            protobuf_c_message_descriptor_get_field(type, field.number);
        if (!known || field.wire != NX_PB_BYTES)
            continue;
        if (known->type == PROTOBUF_C_TYPE_STRING && !nx_utf8_ok(field.bytes, field.len))
            return false;
        if (known->type == PROTOBUF_C_TYPE_MESSAGE &&
            (nesting == NESTING_MAX ||
             !strings_ok(known->descriptor, field.bytes, field.len, nesting + 1)))
            return false;
    }
    return !walk.bad;
}

enum nx_status nx_pb_unpack(const ProtobufCMessageDescriptor *type, const char *what,
                            const uint8_t *bytes, size_t len, size_t bytes_max, size_t alloc_max,
                            ProtobufCMessage **message, struct nx_err *err)
{
    if (len > bytes_max)
        return nx_err_set(err, NX_TOO_LARGE, "%s of %zu bytes, the limit is %zu", what, len,
                          bytes_max);
    if (!strings_ok(type, bytes, len, 0))
        return nx_err_set(err, NX_CORRUPT, "%s of %zu bytes is malformed, or its text not UTF-8",
                          what, len);
    struct allowance allowance = {.left = alloc_max};
    ProtobufCAllocator allocator = {take, give_back, &allowance};
    ProtobufCMessage *unpacked = protobuf_c_message_unpack(type, &allocator, len, bytes);
    if (!unpacked && allowance.refused)
        return nx_err_set(err, NX_TOO_LARGE, "%s of %zu bytes needs more than %zu bytes of memory",
                          what, len, alloc_max);
    if (!unpacked)
        return nx_err_set(err, NX_CORRUPT, "%s of %zu bytes is malformed", what, len);
    *message = unpacked;
    return NX_OK;
}

void nx_pb_release(ProtobufCMessage *message)
{
    ProtobufCAllocator allocator = {take, give_back, NULL};
    protobuf_c_message_free_unpacked(message, &allocator);
}

enum nx_status nx_pb_pack(const ProtobufCMessage *message, void *dst, size_t cap, size_t *len)
{
    size_t bytes = protobuf_c_message_get_packed_size(message);
    if (bytes > cap)
        return NX_TOO_LARGE;
    *len = protobuf_c_message_pack(message, dst);
    return NX_OK;
}
