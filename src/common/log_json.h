/* log_json.h — one log line as a JSON object. Pure.
 *
 * Whatever bytes come in, a whole object comes out, in at most `cap` bytes: control bytes are
 * escaped, bytes that are not UTF-8 become U+FFFD, a text that is too long ends where it must,
 * and a fact for which there is no room is left out. */
#ifndef NX_COMMON_LOG_JSON_H
#define NX_COMMON_LOG_JSON_H

#include "common/clock.h"
#include "common/log.h"

struct nx_log_line {
    nx_ns wall; /* nx_clock_wall */
    const char *level;
    uint32_t node;
    const char *message;
    const struct nx_log_field *fields;
    size_t fields_count;
};

enum { NX_LOG_JSON_BYTES_MIN = 256 };

/* Bytes written, without a NUL or newline. cap >= NX_LOG_JSON_BYTES_MIN. */
size_t nx_log_json(const struct nx_log_line *line, char *bytes, size_t cap);

#endif
