/* load_report.h — a result as text for people, or as one JSON object. Owner  the caller frees the text. */
#ifndef NX_BENCH_LOAD_REPORT_H
#define NX_BENCH_LOAD_REPORT_H

#include "bench/load/load_run.h"
#include "common/text.h"

/* What was measured, in words. */
struct load_about {
    const char *api, *nodes;
    size_t request_bytes;
};

void load_report_text(const struct load_about *about, const struct load_options *options,
                      const struct load_result *result, struct nx_text *text);
void load_report_json(const struct load_about *about, const struct load_options *options,
                      const struct load_result *result, struct nx_text *text);

#endif
