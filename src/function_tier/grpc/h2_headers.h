/* h2_headers.h — the header lists of a call: how it begins, how it ends. Internal to the wire.
 *
 * Pure functions: they write name-value pairs that point into the call and into the caller's text, and return how many.
 * Both live until nghttp2 has been given the list, which copies it.
 * Thread  the server's */
#ifndef NX_GRPC_H2_HEADERS_H
#define NX_GRPC_H2_HEADERS_H

#include "function_tier/grpc/grpc_call.h"

#include <nghttp2/nghttp2.h>

enum { NX_H2_RESPONSE_HEADERS_MAX = 6, NX_H2_ENDING_HEADERS_MAX = 2 + NX_CALL_TRAILERS_MAX };

nghttp2_nv nx_h2_header(const char *name, const char *value); /* one, of texts that outlive it */

/* What a response begins with; nv: NX_H2_RESPONSE_HEADERS_MAX of them. */
size_t nx_h2_response_headers(const struct nx_call *call, char trace[NX_TRACEPARENT_BYTES],
                              nghttp2_nv *nv);

/* grpc-status, grpc-message and the service's trailers; nv: NX_H2_ENDING_HEADERS_MAX of them. */
size_t nx_h2_ending_headers(const struct nx_call_ending *ending, char code[16], nghttp2_nv *nv);

#endif
