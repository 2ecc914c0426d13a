#include "bench/load/load_h1.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *end_of_line(const char *at, const char *end)
{
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    return lf ? lf : end;
}

/* The value behind "name:" if the line has that name; NULL otherwise. */
static const char *value_of(const char *line, const char *end, const char *name)
{
    size_t len = strlen(name);
    if ((size_t)(end - line) <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    for (line += len + 1; line < end && *line == ' '; line++)
        ;
    return line;
}

static bool is_number(const char *at)
{
    return *at >= '0' && *at <= '9';
}

static bool read_line(struct load_h1 *h1, const char *line, const char *end, bool *sized)
{
    const char *value;
    if ((value = value_of(line, end, "content-length"))) {
        *sized = true;
        h1->body_left = is_number(value) ? strtoull(value, NULL, 10) : 0;
        return is_number(value);
    }
    if ((value = value_of(line, end, "connection")))
        h1->closes = end - value >= 5 && strncasecmp(value, "close", 5) == 0;
    return value_of(line, end, "transfer-encoding") == NULL;
}

/* head_bytes of head are a whole head. */
static bool read_head(struct load_h1 *h1)
{
    const char *end = h1->head + h1->head_bytes, *line = end_of_line(h1->head, end) + 1;
    bool sized = false;
    if (h1->head_bytes < 15 || strncmp(h1->head, "HTTP/1.1 ", 9) != 0 || !is_number(h1->head + 9))
        return false;
    h1->status = atoi(h1->head + 9);
    h1->closes = false;
    h1->body_left = 0;
    for (; line < end; line = end_of_line(line, end) + 1)
        if (!read_line(h1, line, end_of_line(line, end), &sized))
            return false;
    return sized || h1->status < 200 || h1->status == 204 || h1->status == 304;
}

/* Takes bytes until the head's end; false: there is none within LOAD_H1_HEAD_BYTES. */
static bool take_head(struct load_h1 *h1, const char *bytes, size_t len, size_t *used)
{
    while (*used < len) {
        const char *lf = memchr(bytes + *used, '\n', len - *used);
        size_t n = lf ? (size_t)(lf + 1 - (bytes + *used)) : len - *used;
        if (n >= LOAD_H1_HEAD_BYTES - h1->head_bytes)
            return false;
        memcpy(h1->head + h1->head_bytes, bytes + *used, n);
        h1->head_bytes += n;
        h1->head[h1->head_bytes] = 0;
        *used += n;
        if (lf && h1->head_bytes >= 4 &&
            memcmp(h1->head + h1->head_bytes - 4, "\r\n\r\n", 4) == 0) {
            h1->in_body = true;
            return true;
        }
    }
    return true;
}

static enum load_h1_progress take_body(struct load_h1 *h1, size_t len, size_t *used)
{
    size_t left = len - *used, n = h1->body_left < left ? (size_t)h1->body_left : left;
    *used += n;
    h1->body_left -= n;
    if (h1->body_left > 0)
        return LOAD_H1_MORE;
    h1->in_body = false;
    h1->head_bytes = 0;
    return h1->status < 200 ? LOAD_H1_MORE : LOAD_H1_WHOLE;
}

enum load_h1_progress load_h1_feed(struct load_h1 *h1, const char *bytes, size_t len, size_t *used)
{
    enum load_h1_progress progress = LOAD_H1_MORE;
    *used = 0;
    do {
        bool began = h1->in_body;
        if (!began && !take_head(h1, bytes, len, used))
            return LOAD_H1_BROKEN;
        if (!began && h1->in_body && !read_head(h1))
            return LOAD_H1_BROKEN;
        if (h1->in_body)
            progress = take_body(h1, len, used);
    } while (progress == LOAD_H1_MORE && *used < len);
    return progress;
}
