#include "common/log_traced.h"

#include <stdarg.h>
#include <stdio.h>

enum { MESSAGE_BYTES = 1024 };

void nx_log_traced(enum nx_level level, const struct nx_trace_ids *trace, const char *format, ...)
{
    char message[MESSAGE_BYTES], id[2 * NX_TRACE_ID_BYTES + 1] = "";
    if (!nx_log_enabled(level))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (nx_trace_is_there(trace))
        nx_hex(trace->trace_id, NX_TRACE_ID_BYTES, id);
    const struct nx_log_field field = {"trace_id", id, 0};
    nx_log_facts(level, message, &field, 1);
}
