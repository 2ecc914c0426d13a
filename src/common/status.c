#include "common/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum nx_scope scope;
    const char *text;
} statuses[] = {
#define NX_STATUS_ROW(code, name, scope, text) {name, scope, text},
    NX_STATUS_LIST(NX_STATUS_ROW)
#undef NX_STATUS_ROW
};

static const char *row_or(enum nx_status status, const char *const *field, const char *otherwise)
{
    return (unsigned)status < NX_STATUS_COUNT ? *field : otherwise;
}

const char *nx_status_name(enum nx_status status)
{
    unsigned i = (unsigned)status < NX_STATUS_COUNT ? (unsigned)status : 0;
    return row_or(status, &statuses[i].name, "unknown");
}

const char *nx_status_text(enum nx_status status)
{
    unsigned i = (unsigned)status < NX_STATUS_COUNT ? (unsigned)status : 0;
    return row_or(status, &statuses[i].text, "unknown status");
}

enum nx_scope nx_status_scope(enum nx_status status)
{
    return (unsigned)status < NX_STATUS_COUNT ? statuses[status].scope : NX_SCOPE_CALL;
}

/* Text may quote bytes from outside: nothing in it may move a terminal's cursor or break a log
 * line. */
static void make_printable(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
}

static void mark_cut(char *text, size_t bytes, int wanted)
{
    if (wanted >= 0 && (size_t)wanted >= bytes)
        memcpy(text + bytes - 4, "...", 4);
}

enum nx_status nx_err_set(struct nx_err *err, enum nx_status status, const char *format, ...)
{
    if (!err)
        return status;
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    mark_cut(err->text, sizeof err->text, wanted);
    make_printable(err->text);
    err->status = status;
    return status;
}

void nx_err_prefix(struct nx_err *err, const char *format, ...)
{
    if (!err)
        return;
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    size_t at = used < 0 ? 0 : (size_t)used;
    if (at < sizeof err->text) {
        int wanted = snprintf(err->text + at, sizeof err->text - at, ": %s", old);
        mark_cut(err->text, sizeof err->text, wanted < 0 ? wanted : wanted + (int)at);
    }
    make_printable(err->text);
}
