/* spans.h — spans on their way to a collector: OTLP over HTTP/1.1, JSON, in batches, from a thread of its own.
 *
 *     loop thread ── take, put ──► [NX_SPANS_MAX] ── exporting thread ──► POST url
 *
 * Whoever has a span to tell never waits: with no room it is dropped and counted. A collector that is down costs nothing but
 * spans: a batch is tried again after 1, 2 and 4 s, meanwhile the queue fills, and then what comes is dropped.
 * Idle     the thread sleeps until there is a span; then it lets more come for NX_SPANS_LINGER_NS, or a full batch
 * Close    what waits is sent once, within a second
 * Bounds   NX_SPANS_MAX spans, taken at open
 * Thread   open, take, put, child, close: one, the loop's. figures: any
 * Source   OpenTelemetry Protocol 1.x, OTLP/HTTP: 429, 502, 503, 504 and what never arrived are tried again, nothing else.
 *          Departure: Retry-After is not read */
#ifndef NX_TELEMETRY_SPANS_H
#define NX_TELEMETRY_SPANS_H

#include "common/status.h"
#include "telemetry/span.h"

enum { NX_SPANS_MAX = 2048, NX_SPANS_BATCH = 256 };
#define NX_SPANS_LINGER_NS (500 * NX_MS)

struct nx_spans;

struct nx_spans_config {
    const char *url; /* http:// or https://, with the path */
    uint32_t node;
    const char *tier; /* "function" or "categorizer" */
    uint64_t seed;    /* of span ids */
};

/* NX_INVALID: no such URL. */
enum nx_status nx_spans_open(const struct nx_spans_config *config, struct nx_spans **spans,
                             struct nx_err *err);
void nx_spans_close(struct nx_spans *spans);

/* A span to fill in, with name and nothing else, or NULL: nobody wants it (spans is NULL, or the
 * trace is not sampled), or there is no room. What was taken is put. */
struct nx_span *nx_spans_take(struct nx_spans *spans, const struct nx_trace_ids *ids,
                              enum nx_span_kind kind, const char *name);
void nx_spans_put(struct nx_spans *spans, struct nx_span *span);

/* Beside those that a span has already; one too many is left out. An empty text, too. */
void nx_span_text(struct nx_span *span, const char *key, const char *text);
void nx_span_number(struct nx_span *span, const char *key, int64_t number);
void nx_span_fail(struct nx_span *span, const char *why);

/* Ids of a fresh span below `above`. spans is not NULL. */
void nx_spans_child(struct nx_spans *spans, const struct nx_trace_ids *above,
                    struct nx_trace_ids *ids);

struct nx_spans_figures {
    uint64_t exported, dropped; /* spans */
    uint64_t failures;          /* posts that did not succeed */
};
struct nx_spans_figures nx_spans_figures(const struct nx_spans *spans); /* NULL: zeros */

#endif
