#include "common/log.h"

#include "common/clock.h"
#include "common/log_json.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_BYTES = 4096,
    MESSAGE_BYTES = 1024
}; /* a pipe takes 4 KiB whole, whoever else writes */

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};
static atomic_int threshold = NX_LOG_WARN;
static void (*line_sink)(void *ctx, enum nx_level level, const char *line);
static void *line_sink_ctx;
static bool is_json;
static uint32_t json_node;

void nx_log_set_level(enum nx_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool nx_log_enabled(enum nx_level level)
{
    return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

void nx_log_set_json(uint32_t node)
{
    is_json = true;
    json_node = node;
}

bool nx_log_is_json(void)
{
    return is_json;
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

static size_t format_stamp(char *out, size_t bytes, enum nx_level level)
{
    nx_ns wall = nx_clock_wall();
    time_t sec = (time_t)(wall / NX_SEC);
    struct tm t;
    gmtime_r(&sec, &t);
    return (size_t)snprintf(out, bytes, "%02d:%02d:%02d.%06d %-5s ", t.tm_hour, t.tm_min, t.tm_sec,
                            (int)(wall % NX_SEC / 1000), level_names[level]);
}

static size_t append(char *line, size_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + at, LINE_BYTES - 1 - at, format, args);
    va_end(args);
    at += n > 0 ? (size_t)n : 0;
    return at < LINE_BYTES - 2 ? at : LINE_BYTES - 2;
}

/* What came from outside ends no line. */
static void defuse(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            text[i] = '?';
}

static size_t format_plain(char *line, enum nx_level level, const char *message,
                           const struct nx_log_field *fields, size_t count)
{
    size_t start = line_sink ? 0 : format_stamp(line, LINE_BYTES, level);
    size_t at = append(line, start, "%s", message);
    size_t facts = at;
    for (size_t i = 0; i < count; i++)
        if (!fields[i].text)
            at = append(line, at, ", %s %lld", fields[i].name, (long long)fields[i].number);
        else if (fields[i].text[0])
            at = append(line, at, ", %s %s", fields[i].name, fields[i].text);
    defuse(line + facts, at - facts);
    return at;
}

static size_t format_json(char *line, enum nx_level level, const char *message,
                          const struct nx_log_field *fields, size_t count)
{
    struct nx_log_line facts = {
        nx_clock_wall(), level_names[level], json_node, message, fields, count};
    return nx_log_json(&facts, line, LINE_BYTES - 1);
}

void nx_log_facts(enum nx_level level, const char *message, const struct nx_log_field *fields,
                  size_t count)
{
    char line[LINE_BYTES];
    size_t len = is_json ? format_json(line, level, message, fields, count)
                         : format_plain(line, level, message, fields, count);
    line[len] = 0;
    if (line_sink) {
        line_sink(line_sink_ctx, level, line);
        return;
    }
    line[len] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len + 1);
    (void)written; /* a log that cannot be written has nowhere to be reported */
}

void nx_log_write(enum nx_level level, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (n >= 0)
        nx_log_facts(level, message, NULL, 0);
}
