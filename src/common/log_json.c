#include "common/log_json.h"

#include "common/nx_assert.h"
#include "common/utf8.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ESCAPE_BYTES = 6, NUMBER_BYTES = 24 };

struct writer {
    char *at, *end; /* end: before the last brace */
};

static size_t left(const struct writer *w)
{
    return (size_t)(w->end - w->at);
}

static void put(struct writer *w, const char *bytes, size_t len)
{
    nx_assert(len <= left(w));
    memcpy(w->at, bytes, len);
    w->at += len;
}

/* One character of `text`, escaped, into `out`; *used is its length there. */
static size_t escape(const uint8_t *text, size_t len, char out[ESCAPE_BYTES + 1], size_t *used)
{
    size_t n = nx_utf8_sequence(text, len);
    *used = n ? n : 1;
    if (text[0] == '"' || text[0] == '\\')
        return (size_t)snprintf(out, ESCAPE_BYTES + 1, "\\%c", text[0]);
    if (text[0] < ' ' || text[0] == 0x7f)
        return (size_t)snprintf(out, ESCAPE_BYTES + 1, "\\u%04x", text[0]);
    if (n == 0)
        return (size_t)snprintf(out, ESCAPE_BYTES + 1, "\xef\xbf\xbd");
    memcpy(out, text, n);
    return n;
}

/* As much of it as leaves room for the quote. */
static void put_string(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    put(w, "\"", 1);
    for (size_t i = 0, used; i < len; i += used) {
        char out[ESCAPE_BYTES + 1];
        size_t n = escape((const uint8_t *)text + i, len - i, out, &used);
        if (n + 1 > left(w))
            break;
        put(w, out, n);
    }
    put(w, "\"", 1);
}

static void put_field(struct writer *w, const struct nx_log_field *field)
{
    char number[NUMBER_BYTES];
    size_t name = strlen(field->name);
    if ((field->text && !field->text[0]) || name + 4 + (field->text ? 2 : NUMBER_BYTES) > left(w))
        return;
    put(w, ",\"", 2);
    put(w, field->name, name);
    put(w, "\":", 2);
    if (field->text)
        put_string(w, field->text);
    else
        put(w, number, (size_t)snprintf(number, sizeof number, "%lld", (long long)field->number));
}

/* The facts come first if the message is so long that they would find no room. */
static struct writer writer_for_message(const struct writer *w, const struct nx_log_line *line)
{
    struct writer m = *w;
    size_t facts = 0;
    for (size_t i = 0; i < line->fields_count; i++) {
        const struct nx_log_field *f = &line->fields[i];
        facts += strlen(f->name) + 4 + (f->text ? 2 + strlen(f->text) : NUMBER_BYTES);
    }
    size_t half = left(w) / 2, keep = facts < half ? facts : half;
    m.end -= keep;
    return m;
}

size_t nx_log_json(const struct nx_log_line *line, char *bytes, size_t cap)
{
    nx_assert(cap >= NX_LOG_JSON_BYTES_MIN);
    struct writer w = {bytes, bytes + cap - 1};
    time_t sec = (time_t)(line->wall / NX_SEC);
    struct tm t;
    char stamp[40];
    gmtime_r(&sec, &t);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &t);
    w.at += snprintf(bytes, cap,
                     "{\"time\":\"%s.%06dZ\",\"level\":\"%s\",\"node\":%u,\"message\":", stamp,
                     (int)(line->wall % NX_SEC / 1000), line->level, line->node);
    struct writer message = writer_for_message(&w, line);
    put_string(&message, line->message);
    w.at = message.at;
    for (size_t i = 0; i < line->fields_count; i++)
        put_field(&w, &line->fields[i]);
    *w.at++ = '}';
    return (size_t)(w.at - bytes);
}
