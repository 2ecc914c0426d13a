/* otlp_post.h — one POST of JSON after the other to one URL: the sole user of libcurl.
 *
 * No proxy, no redirect, no answer of more than what is looked at: its status. HTTPS is checked
 * against the system's authorities.
 * Thread  open and close: one. send: one at a time. */
#ifndef NX_TELEMETRY_OTLP_POST_H
#define NX_TELEMETRY_OTLP_POST_H

#include "common/clock.h"
#include "common/status.h"

#include <stdatomic.h>
#include <stddef.h>

struct nx_otlp_post;

/* NX_INVALID: no such URL. */
enum nx_status nx_otlp_post_open(const char *url, struct nx_otlp_post **post, struct nx_err *err);
void nx_otlp_post_close(struct nx_otlp_post *post);

/* NX_OK: taken. NX_AGAIN: try it again later. Else it is of no use to anybody. Ends once `until`
 * has passed, which another thread may bring nearer. */
enum nx_status nx_otlp_post_send(struct nx_otlp_post *post, const char *json, size_t len,
                                 const _Atomic nx_ns *until, struct nx_err *err);

#endif
