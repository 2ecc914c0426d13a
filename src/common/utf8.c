#include "common/utf8.h"

/* Table 3-7 of the Unicode standard: only the second byte's range depends on the first. */
size_t nx_utf8_sequence(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return p[0] != 0;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
        return 0;
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

bool nx_utf8_ok(const void *text, size_t len)
{
    const uint8_t *at = text;
    while (len > 0) {
        size_t n = nx_utf8_sequence(at, len);
        if (n == 0)
            return false;
        at += n;
        len -= n;
    }
    return true;
}
