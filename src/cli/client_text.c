#include "cli/client_text.h"

#include <stdint.h>
#include <string.h>

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes in the well-formed sequence at p (the Unicode standard's table of them); 0 if there is
 * none. NUL ends the text and is no continuation, so no read goes beyond it. */
static size_t sequence_length(const uint8_t *p)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return is_continuation(p[1]) ? 2 : 0;
    if (p[0] >= 0xe0 && p[0] <= 0xef) {
        bool overlong = p[0] == 0xe0 && p[1] < 0xa0, surrogate = p[0] == 0xed && p[1] > 0x9f;
        return is_continuation(p[1]) && is_continuation(p[2]) && !overlong && !surrogate ? 3 : 0;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        bool overlong = p[0] == 0xf0 && p[1] < 0x90, beyond = p[0] == 0xf4 && p[1] > 0x8f;
        bool continued = is_continuation(p[1]) && is_continuation(p[2]) && is_continuation(p[3]);
        return continued && !overlong && !beyond ? 4 : 0;
    }
    return 0;
}

bool nx_client_text_is_utf8(const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text;
    while (*p) {
        size_t step = sequence_length(p);
        if (!step)
            return false;
        p += step;
    }
    return p == (const uint8_t *)text + len;
}

static bool is_control(const uint8_t *p)
{
    return *p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0); /* C1: U+0080 to U+009F */
}

void nx_client_text_make_printable(char *text)
{
    uint8_t *to = (uint8_t *)text;
    for (const uint8_t *p = to; *p;) {
        size_t step = sequence_length(p);
        if (!step || is_control(p)) {
            *to++ = '?';
            p += step ? step : 1;
            continue;
        }
        memmove(to, p, step);
        to += step;
        p += step;
    }
    *to = 0;
}
