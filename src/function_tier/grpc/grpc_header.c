/* grpc_header.c — what a call's request headers say. */
#include "function_tier/grpc/grpc_call.h"

#include <string.h>

enum { HEADER_OVERHEAD_BYTES = 32, HEADERS_HOPELESS = 4 };

static bool is(const char *name, size_t len, const char *wanted)
{
    return strlen(wanted) == len && memcmp(name, wanted, len) == 0;
}

static void read_timeout(struct nx_call *call, const char *value, size_t len)
{
    nx_ns timeout;
    if (nx_grpc_timeout_parse(value, len, &timeout))
        call->deadline = timeout;
    else
        call->timeout_bad = true;
}

static void read_encoding(struct nx_call *call, const char *value, size_t len)
{
    call->gzip_in = is(value, len, "gzip");
    call->encoding_unknown = !call->gzip_in && !is(value, len, "identity");
}

/* True if nobody will ask for the header's text. */
static bool read_protocol_header(struct nx_call *call, const char *name, size_t name_len,
                                 const char *value, size_t value_len)
{
    if (is(name, name_len, ":path")) {
        call->method = nx_grpc_core_method(call->core, value, value_len);
        return call->method != NULL;
    }
    if (is(name, name_len, ":method"))
        call->post = is(value, value_len, "POST");
    else if (is(name, name_len, "content-type"))
        call->content_ok = nx_grpc_content_type_ok(value, value_len);
    else if (is(name, name_len, "grpc-timeout")) {
        read_timeout(call, value, value_len);
        return !call->timeout_bad;
    } else if (is(name, name_len, "grpc-encoding")) {
        read_encoding(call, value, value_len);
        return !call->encoding_unknown;
    } else
        return name_len > 0 && name[0] == ':';
    return true;
}

enum nx_status nx_call_header(struct nx_call *call, const char *name, size_t name_len,
                              const char *value, size_t value_len)
{
    size_t max = call->core->limits.header_bytes_max;
    call->header_bytes += name_len + value_len + HEADER_OVERHEAD_BYTES;
    if (call->header_bytes > HEADERS_HOPELESS * max)
        return NX_TOO_LARGE;
    if (call->header_bytes > max || read_protocol_header(call, name, name_len, value, value_len))
        return NX_OK;
    if (nx_grpc_buffer_append(&call->metadata, name, name_len) != NX_OK ||
        nx_grpc_buffer_append(&call->metadata, "", 1) != NX_OK ||
        nx_grpc_buffer_append(&call->metadata, value, value_len) != NX_OK ||
        nx_grpc_buffer_append(&call->metadata, "", 1) != NX_OK)
        call->no_room = true;
    return NX_OK;
}

/* From `at`, the name of a header, on. */
static const char *find_from(const struct nx_call *call, const char *name, const char *at)
{
    const char *start = (const char *)nx_grpc_buffer_span(&call->metadata);
    size_t len = nx_grpc_buffer_len(&call->metadata);
    for (const char *end = len ? start + len : at; at < end;) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *nx_call_metadata(const struct nx_call *call, const char *name)
{
    return find_from(call, name, (const char *)nx_grpc_buffer_span(&call->metadata));
}

const char *nx_call_metadata_after(const struct nx_call *call, const char *name, const char *value)
{
    return find_from(call, name, value + strlen(value) + 1);
}
