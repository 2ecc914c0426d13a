/* log_traced.h — a log line about something that a request asked for: it has the request's
 * trace_id beside it, if there is one. */
#ifndef NX_COMMON_LOG_TRACED_H
#define NX_COMMON_LOG_TRACED_H

#include "common/log.h"
#include "common/request_trace.h"

__attribute__((format(printf, 3, 4))) void nx_log_traced(enum nx_level level,
                                                         const struct nx_trace_ids *trace,
                                                         const char *format, ...);

#endif
