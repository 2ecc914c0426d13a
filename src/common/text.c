#include "common/text.h"

#include "common/arena.h"
#include "common/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 512 };

void nx_text_init(struct nx_text *text, size_t max)
{
    *text = (struct nx_text){.max = max};
}

void nx_text_free(struct nx_text *text)
{
    free(text->at);
    *text = (struct nx_text){.max = text->max};
}

/* Room for `len` bytes and a NUL. */
static bool reserve(struct nx_text *text, size_t len)
{
    if (text->bad || len > text->max - text->len) {
        text->bad = true;
        return false;
    }
    if (text->len + len + 1 <= text->cap)
        return true;
    size_t cap = text->cap ? text->cap : FIRST_BYTES;
    while (cap < text->len + len + 1)
        cap += cap / 2;
    char *grown = nx_realloc(text->at, cap);
    if (!grown) {
        text->bad = true;
        return false;
    }
    text->at = grown;
    text->cap = cap;
    return true;
}

void nx_text_bytes(struct nx_text *text, const void *bytes, size_t len)
{
    if (!reserve(text, len))
        return;
    if (len)
        memcpy(text->at + text->len, bytes, len);
    text->len += len;
    text->at[text->len] = 0;
}

void nx_text_add(struct nx_text *text, const char *string)
{
    nx_text_bytes(text, string, strlen(string));
}

void nx_text_printf(struct nx_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || !reserve(text, (size_t)len))
        return;
    va_start(args, format);
    vsnprintf(text->at + text->len, (size_t)len + 1, format, args);
    va_end(args);
    text->len += (size_t)len;
}

static void add_escaped(struct nx_text *text, unsigned char c)
{
    switch (c) {
    case '"': nx_text_add(text, "\\\""); break;
    case '\\': nx_text_add(text, "\\\\"); break;
    case '\n': nx_text_add(text, "\\n"); break;
    case '\r': nx_text_add(text, "\\r"); break;
    case '\t': nx_text_add(text, "\\t"); break;
    default: nx_text_printf(text, "\\u%04x", c); break;
    }
}

void nx_text_json(struct nx_text *text, const char *string, size_t len)
{
    const uint8_t *at = (const uint8_t *)string;
    nx_text_add(text, "\"");
    for (size_t i = 0; i < len;) {
        size_t plain = 0;
        while (i + plain < len && at[i + plain] >= ' ' && at[i + plain] < 0x7f &&
               at[i + plain] != '"' && at[i + plain] != '\\')
            plain++;
        nx_text_bytes(text, at + i, plain);
        i += plain;
        if (plain > 0)
            continue;
        size_t n = at[i] < 0x80 ? 0 : nx_utf8_sequence(at + i, len - i);
        if (n > 0)
            nx_text_bytes(text, at + i, n);
        else if (at[i] < 0x80)
            add_escaped(text, at[i]);
        else
            nx_text_add(text, "\xef\xbf\xbd");
        i += n > 0 ? n : 1;
    }
    nx_text_add(text, "\"");
}

/* The neighbours of `near` become `value` as well, so every number that is written as something between them does. */
static bool surely_reads(double near, float value)
{
    uint64_t bits;
    double below, above;
    memcpy(&bits, &near, sizeof bits);
    bits--;
    memcpy(&below, &bits, sizeof below);
    bits += 2;
    memcpy(&above, &bits, sizeof above);
    return (float)below == value && (float)above == value;
}

/* `whole` / 10^places, less than 1e-4, with an exponent; how many bytes, or 0. */
static size_t write_tiny(uint64_t whole, int places, bool minus, char *out)
{
    char digits[24], *at = digits + sizeof digits, *end = at;
    int exponent = places;
    for (; whole % 10 == 0; exponent--)
        whole /= 10;
    for (; whole; whole /= 10)
        *--at = (char)('0' + whole % 10);
    exponent -= (int)(end - at) - 1;
    if (exponent < 5) /* rounded up to 1e-4, which has none */
        return 0;
    return (size_t)sprintf(out, "%s%c%s%.*se-%02d", minus ? "-" : "", at[0],
                           end - at > 1 ? "." : "", (int)(end - at) - 1, at + 1, exponent);
}

/* `value` with as few digits from 6 to 9 as read back. One division of whole numbers that are
 * exact as doubles tells what a text is worth, so no text is made in vain. 0: it takes the
 * library's way, which costs fifty times as much. */
static size_t write_fast(float value, char *out)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double size = fabs((double)value);
    int before = 0, zeros = 0; /* digits before the point; of a fraction, zeros behind it */
    if (!(size >= 1e-13 && size < 1e9))
        return 0;
    while (before < 9 && size >= tens[before])
        before++;
    while (size * tens[zeros + 1] < 1)
        zeros++;
    for (int digits = 6; digits <= 9; digits++) {
        int places = digits - before + (before ? 0 : zeros);
        places = places < 0 ? 0 : places;
        uint64_t whole = (uint64_t)(size * tens[places] + 0.5);
        if (!surely_reads((double)whole / tens[places], (float)size))
            continue;
        if (zeros >= 4)
            return write_tiny(whole, places, signbit(value), out);
        char *at = out + 24, *end = at;
        for (; places > 0 && whole % 10 == 0; places--)
            whole /= 10;
        for (int i = places; i > 0; i--, whole /= 10)
            *--at = (char)('0' + whole % 10);
        if (end > at)
            *--at = '.';
        do
            *--at = (char)('0' + whole % 10);
        while (whole /= 10);
        if (signbit(value))
            *--at = '-';
        memmove(out, at, (size_t)(end - at));
        return (size_t)(end - at);
    }
    return 0;
}

void nx_text_float(struct nx_text *text, float value)
{
    char digits[32];
    if (!isfinite(value)) {
        nx_text_add(text, "null");
        return;
    }
    size_t len = write_fast(value, digits);
    if (len > 0) {
        nx_text_bytes(text, digits, len);
        return;
    }
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        if (strtof(digits, NULL) == value)
            break;
    }
    nx_text_add(text, digits);
}
