#include "common/log.h"

#include "common/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};
static atomic_int threshold = NX_LOG_WARN;
static void (*line_sink)(void *ctx, enum nx_level level, const char *line);
static void *line_sink_ctx;

void nx_log_set_level(enum nx_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool nx_log_enabled(enum nx_level level)
{
    return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

bool nx_log_parse_level(const char *name, enum nx_level *level)
{
    for (int i = 0; i <= NX_LOG_TRACE; i++)
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum nx_level)i;
            return true;
        }
    return false;
}

void nx_log_set_sink(void (*sink)(void *ctx, enum nx_level level, const char *line), void *ctx)
{
    line_sink = sink;
    line_sink_ctx = ctx;
}

static int format_stamp(char *out, size_t bytes, enum nx_level level)
{
    nx_ns wall = nx_clock_wall();
    time_t sec = (time_t)(wall / NX_SEC);
    struct tm t;
    gmtime_r(&sec, &t);
    return snprintf(out, bytes, "%02d:%02d:%02d.%06d %-5s ", t.tm_hour, t.tm_min, t.tm_sec,
                    (int)(wall % NX_SEC / 1000), level_names[level]);
}

void nx_log_write(enum nx_level level, const char *format, ...)
{
    char line[1024];
    int at = line_sink ? 0 : format_stamp(line, sizeof line, level);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + at, sizeof line - (size_t)at - 1, format, args);
    va_end(args);
    size_t len = strlen(line);
    if (n < 0)
        return;
    if (line_sink) {
        line_sink(line_sink_ctx, level, line);
        return;
    }
    line[len] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len + 1);
    (void)written; /* a log that cannot be written has nowhere to be reported */
}
