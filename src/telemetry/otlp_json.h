/* otlp_json.h — spans as an ExportTraceServiceRequest in OTLP's JSON. Pure.
 *
 * Ids are hexadecimal and 64-bit numbers are strings, as OTLP departs from and keeps to protobuf's JSON. */
#ifndef NX_TELEMETRY_OTLP_JSON_H
#define NX_TELEMETRY_OTLP_JSON_H

#include "common/text.h"
#include "telemetry/span.h"

/* Who tells: the resource. */
struct nx_otlp_source {
    uint32_t node;
    const char *tier;
};

void nx_otlp_json(const struct nx_otlp_source *source, const struct nx_span *const *spans,
                  size_t count, struct nx_text *text);

#endif
