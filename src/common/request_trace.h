/* request_trace.h — what a request is called by those who ask and those who look: its id, and its place in a trace. Pure.
 *
 *   x-request-id  the client's own if it can do no harm in a log or a header, else a fresh one in the form of a UUID
 *   traceparent   version-trace_id-span_id-flags in lower-case hexadecimal digits; what is
 *                 malformed is as if it were not there
 *
 * Source  W3C Trace Context, Recommendation of 2021, §3; traceresponse is the draft of its level 2. Departure: tracestate is
 *         not kept, as nothing is asked of others by HTTP. */
#ifndef NX_COMMON_REQUEST_TRACE_H
#define NX_COMMON_REQUEST_TRACE_H

#include "common/prng.h"

#include <stddef.h>

enum {
    NX_REQUEST_NAME_BYTES = 65, /* of an x-request-id, the NUL included */
    NX_TRACE_ID_BYTES = 16,
    NX_SPAN_ID_BYTES = 8,
    NX_TRACEPARENT_BYTES = 56, /* the NUL included */
    NX_TRACE_SAMPLED = 1,      /* the one flag that is passed on */
};

/* One span's place in its trace. All zero: there is no trace. */
struct nx_trace_ids {
    uint8_t trace_id[NX_TRACE_ID_BYTES];
    uint8_t span_id[NX_SPAN_ID_BYTES];
    uint8_t parent_id[NX_SPAN_ID_BYTES]; /* zero: it has none */
    uint8_t flags;
};

/* given: the header's value, NULL if there was none. */
void nx_request_name(struct nx_prng *prng, const char *given, size_t len,
                     char name[NX_REQUEST_NAME_BYTES]);

/* A fresh span: below the one that `given`, a traceparent, names, or the first of a fresh trace
 * with `flags`. NULL: there was no header, or more than one. */
void nx_trace_join(struct nx_prng *prng, const char *given, size_t len, uint8_t flags,
                   struct nx_trace_ids *trace);
/* The flags of a trace that begins here: sampled, so many times in a million. */
enum { NX_TRACE_ALWAYS = 1000000 };
uint8_t nx_trace_draw(struct nx_prng *prng, uint32_t per_million);

/* A fresh span below `above`. */
void nx_trace_child(struct nx_prng *prng, const struct nx_trace_ids *above,
                    struct nx_trace_ids *trace);

/* "00-…": for a header. */
void nx_trace_text(const struct nx_trace_ids *trace, char text[NX_TRACEPARENT_BYTES]);
/* 2 * len lower-case digits and a NUL. */
void nx_hex(const uint8_t *bytes, size_t len, char *text);

bool nx_trace_is_sampled(const struct nx_trace_ids *trace); /* false, too, if there is no trace */
bool nx_trace_is_there(const struct nx_trace_ids *trace);

#endif
