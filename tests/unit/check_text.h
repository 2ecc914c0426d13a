/* check_text.h — a judge's verdict on a trace that is written as text, as processes print it.
 * Times are line numbers unless given. */
#ifndef NX_CHECK_TEXT_H
#define NX_CHECK_TEXT_H

#include "check.h"
#include "nx_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct sim_limits limits = {
    .deliver_ns = 1000, .leave_ns = 1000, .held_ns = 8000, .idle_writes = 2};

/* The rule that the lines break; "" if none. */
static const char *judge_with(const struct sim_limits *with, const char *const *lines)
{
    static struct sim_verdict verdict;
    struct sim_trace trace;
    sim_trace_init(&trace);
    for (size_t i = 0; lines[i]; i++) {
        char line[512];
        struct sim_record record;
        snprintf(line, sizeof line, "%s%s", lines[i][0] == '[' ? "" : "[1] ", lines[i]);
        if (!sim_record_parse(line, &record))
            fail_msg("not a trace line: %s", line);
        sim_trace_add(&trace, &record);
    }
    sim_check(&trace, with, &verdict);
    sim_trace_free(&trace);
    return verdict.rule;
}

static const char *judge(const char *const *lines)
{
    return judge_with(&limits, lines);
}

/* Two members of one shard, then the lines. */
#define SHARD "n0 member sub=0 shard=0 mask=3", "n1 member sub=0 shard=0 mask=3"
#define assert_rule(rule, ...)                            \
    do {                                                  \
        const char *const lines_[] = {__VA_ARGS__, NULL}; \
        assert_string_equal(judge(lines_), rule);         \
    } while (0)

#endif
