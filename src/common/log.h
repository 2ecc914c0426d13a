/* log.h — one line per cause, on stderr, by level of volume.
 *
 *   error  something was lost          warn   something odd that the node coped with
 *   info   a handful per view          debug  per object           trace  per message
 *
 * Style: lower case, `row 3 wedged, vid 12`. A line is written whole. Any thread may log. */
#ifndef NX_COMMON_LOG_H
#define NX_COMMON_LOG_H

#include <stdbool.h>

enum nx_level { NX_LOG_ERROR, NX_LOG_WARN, NX_LOG_INFO, NX_LOG_DEBUG, NX_LOG_TRACE };

void nx_log_set_level(enum nx_level level); /* default NX_LOG_WARN */
bool nx_log_enabled(enum nx_level level);

/* "error", "warn", "info", "debug", "trace" → level; false for anything else. */
bool nx_log_parse_level(const char *name, enum nx_level *level);

/* Where lines go instead of stderr; NULL puts it back. `line` has no newline. For tests. */
void nx_log_set_sink(void (*sink)(void *ctx, enum nx_level level, const char *line), void *ctx);

__attribute__((format(printf, 2, 3))) void nx_log_write(enum nx_level level, const char *format,
                                                        ...);

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
