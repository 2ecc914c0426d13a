/* span.h — one span of a trace as a plain value. */
#ifndef NX_TELEMETRY_SPAN_H
#define NX_TELEMETRY_SPAN_H

#include "common/clock.h"
#include "common/request_trace.h"

enum { NX_SPAN_NAME_BYTES = 96, NX_SPAN_TEXT_BYTES = 128, NX_SPAN_FACTS_MAX = 8 };

/* OpenTelemetry's numbers. */
enum nx_span_kind { NX_SPAN_INTERNAL = 1, NX_SPAN_SERVER = 2, NX_SPAN_CLIENT = 3 };

struct nx_span_fact {
    const char *key;               /* static */
    bool is_text;                  /* else the number */
    char text[NX_SPAN_TEXT_BYTES]; /* any bytes */
    int64_t number;
};

struct nx_span {
    struct nx_trace_ids ids;
    enum nx_span_kind kind;
    nx_ns begun, ended; /* nx_clock_wall */
    char name[NX_SPAN_NAME_BYTES];
    bool failed;
    char why[NX_SPAN_TEXT_BYTES]; /* of a failure; "" */
    uint32_t facts_count;
    struct nx_span_fact facts[NX_SPAN_FACTS_MAX];
};

#endif
