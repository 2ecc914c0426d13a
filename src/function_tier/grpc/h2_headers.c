#include "function_tier/grpc/h2_headers.h"

#include <string.h>

nghttp2_nv nx_h2_header(const char *name, const char *value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value),
    };
}

size_t nx_h2_ending_headers(const struct nx_call_ending *ending, char code[16], nghttp2_nv *nv)
{
    size_t n = 0;
    unsigned number = (unsigned)ending->code;
    size_t at = 0;
    if (number >= 10)
        code[at++] = (char)('0' + number / 10 % 10);
    code[at++] = (char)('0' + number % 10);
    code[at] = '\0';
    nv[n++] = nx_h2_header("grpc-status", code);
    if (ending->message)
        nv[n++] = nx_h2_header("grpc-message", ending->message);
    for (unsigned i = 0; i < ending->trailer_count; i++)
        nv[n++] = nx_h2_header(ending->trailers[i].name, ending->trailers[i].value);
    return n;
}

/* Another one in each response: it would only push what is repeated out of the table. */
static nghttp2_nv passing_header(const char *name, const char *value)
{
    nghttp2_nv nv = nx_h2_header(name, value);
    nv.flags = NGHTTP2_NV_FLAG_NO_INDEX;
    return nv;
}

size_t nx_h2_response_headers(const struct nx_call *call, char trace[NX_TRACEPARENT_BYTES],
                              nghttp2_nv *nv)
{
    size_t n = 0;
    nv[n++] = nx_h2_header(":status", "200");
    nv[n++] = nx_h2_header("content-type", "application/grpc");
    nv[n++] = nx_h2_header("grpc-accept-encoding", "identity,gzip");
    if (call->gzip_in)
        nv[n++] = nx_h2_header("grpc-encoding", "gzip");
    if (!call->request_id[0])
        return n;
    nx_trace_text(&call->trace, trace);
    nv[n++] = passing_header("x-request-id", call->request_id);
    nv[n++] = passing_header("traceresponse", trace);
    return n;
}
