/* log.h — one line per cause, on stderr, by level of volume.
 *
 *   error  something was lost          warn   something odd that the node coped with
 *   info   a handful per view          debug  per object           trace  per message
 *
 * Style: lower case, `row 3 wedged, vid 12`. A line is written whole, by one call, and is at most 4
 * KiB: what is too long is cut.
 *
 *   plain  05:34:19.123456 warn  row 3 wedged, vid 12
 *   json   {"time":"2026-11-21T05:34:19.123456Z","level":"warn","node":3,"message":"row 3 wedged, vid 12"}
 *
 * Thread  any may log; the setters before there is a second one. */
#ifndef NX_COMMON_LOG_H
#define NX_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nx_level { NX_LOG_ERROR, NX_LOG_WARN, NX_LOG_INFO, NX_LOG_DEBUG, NX_LOG_TRACE };

/* A fact beside the message: in JSON a member of its own, in plain text "name value" behind it. */
struct nx_log_field {
    const char *name; /* ours */
    const char *text; /* any bytes; NULL: the number. "": left out */
    int64_t number;
};

void nx_log_set_level(enum nx_level level); /* default NX_LOG_WARN */
bool nx_log_enabled(enum nx_level level);

/* One JSON object a line from now on, with this node's number. */
void nx_log_set_json(uint32_t node);
bool nx_log_is_json(void);

/* "error", "warn", "info", "debug", "trace" → level; false for anything else. */
bool nx_log_parse_level(const char *name, enum nx_level *level);

/* Where lines go instead of stderr; NULL puts it back. `line` has no newline, and no time if it is plain. For tests. */
void nx_log_set_sink(void (*sink)(void *ctx, enum nx_level level, const char *line), void *ctx);

__attribute__((format(printf, 2, 3))) void nx_log_write(enum nx_level level, const char *format,
                                                        ...);
/* The same with facts, at every level. */
void nx_log_facts(enum nx_level level, const char *message, const struct nx_log_field *fields,
                  size_t count);

#define nx_log(level, ...)                    \
    do {                                      \
        if (nx_log_enabled(level))            \
            nx_log_write(level, __VA_ARGS__); \
    } while (0)
#define nx_error(...) nx_log(NX_LOG_ERROR, __VA_ARGS__)
#define nx_warn(...)  nx_log(NX_LOG_WARN, __VA_ARGS__)
#define nx_info(...)  nx_log(NX_LOG_INFO, __VA_ARGS__)
#define nx_debug(...) nx_log(NX_LOG_DEBUG, __VA_ARGS__)
#define nx_trace(...) nx_log(NX_LOG_TRACE, __VA_ARGS__)

#endif
