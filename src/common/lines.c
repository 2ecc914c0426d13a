#include "common/lines.h"

#include <string.h>

bool nx_line_take(const char **at, const char *end, char *line, size_t cap)
{
    if (*at == end)
        return false;
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    size_t len = (size_t)((newline ? newline : end) - *at);
    if (len >= cap || memchr(*at, 0, len))
        return false;
    memcpy(line, *at, len);
    line[len] = 0;
    *at += newline ? len + 1 : len;
    return true;
}
