#include "function_tier/http/json_read.h"

#include "common/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES_MAX = 64, EXACT_DIGITS = 15, EXACT_EXPONENT = 22 };

void nx_json_init(struct nx_json *j, const void *bytes, size_t len, struct nx_err *err)
{
    *j = (struct nx_json){
        .start = bytes, .at = bytes, .end = len ? (const char *)bytes + len : bytes, .err = err};
}

bool nx_json_fail(struct nx_json *j, const char *format, ...)
{
    char text[200];
    if (j->bad)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    nx_err_set(j->err, NX_INVALID, "%s, at byte %zu of the JSON", text, (size_t)(j->at - j->start));
    j->bad = true;
    return false;
}

static void skip_space(struct nx_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t'))
        j->at++;
}

char nx_json_peek(struct nx_json *j)
{
    skip_space(j);
    if (j->bad || j->at == j->end)
        return 0;
    char c = *j->at;
    return c == '-' || (c >= '0' && c <= '9') ? '0' : c;
}

/* A word of letters and digits as it stands there; otherwise a byte as a number, as it may be anything. */
static void name_word(const struct nx_json *j, char *text, size_t cap)
{
    size_t len = 0;
    while (j->at + len < j->end && len < cap - 1 &&
           (isalnum((unsigned char)j->at[len]) || strchr("+-_.", j->at[len])) && j->at[len])
        len++;
    if (len == 0)
        snprintf(text, cap, "byte 0x%02x", (unsigned char)*j->at);
    else
        snprintf(text, cap, "%.*s", (int)len, j->at);
}

static bool fail_expected(struct nx_json *j, const char *what)
{
    char word[32];
    const char *came = word;
    switch (nx_json_peek(j)) {
    case 0: came = "the end"; break;
    case '"': came = "a string"; break;
    case '{': came = "an object"; break;
    case '[': came = "an array"; break;
    case ']':
    case '}':
    case ',':
    case ':': snprintf(word, sizeof word, "'%c'", *j->at); break;
    default: name_word(j, word, sizeof word);
    }
    bool is_no_number = strcmp(came, "NaN") == 0 || strstr(came, "Infinity") != NULL;
    return nx_json_fail(j, "expected %s, got %s%s", what, came,
                        is_no_number ? ", which JSON does not have (binary data does)" : "");
}

void nx_json_enter(struct nx_json *j, char opener)
{
    if (nx_json_peek(j) != opener)
        fail_expected(j, opener == '{' ? "an object" : "an array");
    else if (j->depth == NX_JSON_DEPTH_MAX)
        nx_json_fail(j, "nested deeper than %d", NX_JSON_DEPTH_MAX);
    if (j->bad)
        return;
    j->closers[j->depth++] = opener == '{' ? '}' : ']';
    j->fresh = true;
    j->at++;
}

/* True if another element begins here; else the innermost is left. */
static bool next_element(struct nx_json *j)
{
    char c = nx_json_peek(j);
    if (j->bad)
        return false;
    if (c == j->closers[j->depth - 1]) {
        j->at++;
        j->depth--;
        j->fresh = false;
        return false;
    }
    if (!j->fresh) {
        if (c != ',')
            return fail_expected(j, j->closers[j->depth - 1] == '}' ? "',' or '}'" : "',' or ']'");
        j->at++;
        skip_space(j);
    }
    j->fresh = false;
    return true;
}

bool nx_json_item(struct nx_json *j)
{
    return next_element(j);
}

/* --- strings -------------------------------------------------------------------------------------- */

static int hex4(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static size_t put_utf8(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

/* Behind "\u": the code, of a surrogate pair as well. */
static bool read_unicode(struct nx_json *j, uint32_t *code)
{
    int high = j->end - j->at >= 4 ? hex4(j->at) : -1;
    if (high < 0)
        return nx_json_fail(j, "\\u without four hex digits");
    j->at += 4;
    *code = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff)
        return true;
    int low = j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u' ? hex4(j->at + 2) : -1;
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return nx_json_fail(j, "half of a surrogate pair");
    j->at += 6;
    *code = 0x10000 + (((uint32_t)high & 0x3ff) << 10 | ((uint32_t)low & 0x3ff));
    return true;
}

/* One character: its bytes to `out`, how many to *n. */
static bool read_char(struct nx_json *j, uint8_t out[4], size_t *n)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    uint32_t code = 0;
    if ((unsigned char)*j->at < ' ')
        return nx_json_fail(j, "a control character in a string");
    if (*j->at != '\\') {
        *n = nx_utf8_sequence((const uint8_t *)j->at, (size_t)(j->end - j->at));
        if (*n == 0)
            return nx_json_fail(j, "a string that is not UTF-8");
        memcpy(out, j->at, *n);
        j->at += *n;
        return true;
    }
    if (j->end - j->at < 2)
        return nx_json_fail(j, "a string that does not end");
    char c = j->at[1];
    const char *known = c ? strchr(plain, c) : NULL;
    if (known) {
        j->at += 2;
        out[0] = (uint8_t)meant[known - plain];
        *n = 1;
        return true;
    }
    if (c != 'u')
        return nx_json_fail(j, "an unknown escape");
    j->at += 2;
    if (!read_unicode(j, &code))
        return false;
    *n = put_utf8(code, out);
    return true;
}

/* What does not fit is read and counted; `dst` may be NULL. */
static bool read_string(struct nx_json *j, uint8_t *dst, size_t cap, size_t *len)
{
    if (nx_json_peek(j) != '"')
        return fail_expected(j, "a string");
    size_t used = 0;
    for (j->at++; j->at < j->end && *j->at != '"';) {
        uint8_t bytes[4];
        size_t n;
        if (!read_char(j, bytes, &n))
            return false;
        if (dst && used + n <= cap)
            memcpy(dst + used, bytes, n);
        used += n;
    }
    if (j->at == j->end)
        return nx_json_fail(j, "a string that does not end");
    j->at++;
    *len = used;
    return true;
}

bool nx_json_string_bytes(struct nx_json *j, void *dst, size_t cap, size_t *len)
{
    if (!read_string(j, dst, cap, len))
        return false;
    return *len <= cap ||
           nx_json_fail(j, "a string of %zu bytes, at most %zu are allowed", *len, cap);
}

bool nx_json_string(struct nx_json *j, char *dst, size_t cap)
{
    size_t len;
    if (!nx_json_string_bytes(j, dst, cap - 1, &len))
        return false;
    dst[len] = 0;
    return !memchr(dst, 0, len) || nx_json_fail(j, "a string with a NUL in it");
}

bool nx_json_key(struct nx_json *j, char *key, size_t cap)
{
    size_t len;
    if (!next_element(j) || !read_string(j, (uint8_t *)key, cap - 1, &len))
        return false;
    key[len < cap ? len : 0] = 0; /* longer than any that is known: unknown */
    if (nx_json_peek(j) != ':')
        return fail_expected(j, "':'");
    j->at++;
    return true;
}

/* --- numbers -------------------------------------------------------------------------------------- */

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

struct decimal {
    uint64_t digits;
    int digits_count, exponent;
    bool negative;
};

/* The digits go on; all of them are read, the first 19 kept. */
static const char *read_digits(const char *at, const char *end, struct decimal *d, bool fraction)
{
    for (; is_digit(at, end); at++) {
        if (d->digits_count < 19) {
            d->digits = d->digits * 10 + (uint64_t)(*at - '0');
            d->digits_count += d->digits > 0;
            d->exponent -= fraction;
        } else {
            d->digits_count++;
            d->exponent += !fraction;
        }
    }
    return at;
}

static const char *read_exponent(const char *at, const char *end, struct decimal *d)
{
    int value = 0;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (!is_digit(at, end))
        return NULL;
    for (; is_digit(at, end); at++)
        if (value < 100000)
            value = value * 10 + (*at - '0');
    d->exponent += negative ? -value : value;
    return at;
}

/* The grammar of RFC 8259; NULL if this is no number. */
static const char *read_decimal(const char *at, const char *end, struct decimal *d)
{
    *d = (struct decimal){.negative = at < end && *at == '-'};
    at += d->negative;
    if (!is_digit(at, end) || (*at == '0' && is_digit(at + 1, end)))
        return NULL;
    at = read_digits(at, end, d, false);
    if (at < end && *at == '.') {
        if (!is_digit(at + 1, end))
            return NULL;
        at = read_digits(at + 1, end, d, true);
    }
    if (at < end && (*at == 'e' || *at == 'E'))
        at = read_exponent(at + 1, end, d);
    return at;
}

/* Few digits and a small power of ten: one correctly rounded operation. The rest is for the library. */
static double decimal_value(const struct decimal *d, const char *from, const char *to)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (d->digits_count <= EXACT_DIGITS && d->exponent >= -EXACT_EXPONENT &&
        d->exponent <= EXACT_EXPONENT) {
        double value = (double)d->digits;
        value = d->exponent < 0 ? value / powers[-d->exponent] : value * powers[d->exponent];
        return d->negative ? -value : value;
    }
    char text[NUMBER_BYTES_MAX];
    size_t len = (size_t)(to - from);
    if (len >=
        sizeof text) { /* more digits than decide anything: those that were kept, and the exponent */
        snprintf(text, sizeof text, "%s%llue%d", d->negative ? "-" : "",
                 (unsigned long long)d->digits, d->exponent);
    } else {
        memcpy(text, from, len);
        text[len] = 0;
    }
    return strtod(text, NULL);
}

static bool read_number(struct nx_json *j, double *value)
{
    struct decimal d;
    const char *end = read_decimal(j->at, j->end, &d);
    if (!end)
        return fail_expected(j, "a number");
    *value = decimal_value(&d, j->at, end);
    j->at = end;
    return true;
}

bool nx_json_number(struct nx_json *j, double *value)
{
    if (nx_json_peek(j) != '0')
        return fail_expected(j, "a number");
    return read_number(j, value);
}

bool nx_json_uint(struct nx_json *j, uint64_t max, uint64_t *value)
{
    const char *from = j->at;
    double number;
    if (!nx_json_number(j, &number))
        return false;
    if (number < 0 || number != floor(number) || number > 9007199254740992.0 ||
        (uint64_t)number > max) {
        j->at = from;
        return nx_json_fail(j, "expected a whole number from 0 to %llu, got %.17g",
                            (unsigned long long)max, number);
    }
    *value = (uint64_t)number;
    return true;
}

static bool read_word(struct nx_json *j, const char *word)
{
    size_t len = strlen(word);
    if (nx_json_peek(j) == 0 || (size_t)(j->end - j->at) < len || memcmp(j->at, word, len) != 0)
        return false;
    j->at += len;
    return true;
}

bool nx_json_bool(struct nx_json *j, bool *value)
{
    if (read_word(j, "true"))
        *value = true;
    else if (read_word(j, "false"))
        *value = false;
    else
        return fail_expected(j, "true or false");
    return true;
}

/* --- the rest ------------------------------------------------------------------------------------- */

static bool skip_scalar(struct nx_json *j)
{
    size_t len;
    double number;
    bool flag;
    switch (nx_json_peek(j)) {
    case '"': return read_string(j, NULL, 0, &len);
    case '0': return read_number(j, &number);
    case 'n': return read_word(j, "null") || fail_expected(j, "null");
    default: return nx_json_bool(j, &flag);
    }
}

/* Without recursion: the depth is the reader's own. */
bool nx_json_skip(struct nx_json *j)
{
    unsigned depth = j->depth;
    char key[8];
    do {
        char c = nx_json_peek(j);
        if (c == '{' || c == '[')
            nx_json_enter(j, c);
        else
            skip_scalar(j);
        while (
            !j->bad && j->depth > depth &&
            !(j->closers[j->depth - 1] == '}' ? nx_json_key(j, key, sizeof key) : nx_json_item(j)))
            continue;
    } while (!j->bad && j->depth > depth);
    return !j->bad;
}

static bool read_element(struct nx_json *j, bool bools, double *value)
{
    bool flag = false;
    char c = nx_json_peek(j);
    if (!bools || (c != 't' && c != 'f'))
        return nx_json_number(j, value);
    if (!nx_json_bool(j, &flag))
        return false;
    *value = flag;
    return true;
}

bool nx_json_numbers(struct nx_json *j, size_t count, bool bools, nx_json_take *take, void *user)
{
    unsigned depth = j->depth;
    size_t n = 0;
    nx_json_enter(j, '[');
    while (!j->bad && j->depth > depth) {
        if (!nx_json_item(j))
            continue;
        if (nx_json_peek(j) == '[') {
            nx_json_enter(j, '[');
            continue;
        }
        double value;
        if (!read_element(j, bools, &value))
            return false;
        if (n == count)
            return nx_json_fail(j, "more than the %zu elements of the tensor's shape", count);
        if (!take(j, user, n++, value))
            return false;
    }
    return !j->bad &&
           (n == count || nx_json_fail(j, "%zu elements, the tensor's shape has %zu", n, count));
}

enum nx_status nx_json_end(struct nx_json *j)
{
    skip_space(j);
    if (!j->bad && j->at < j->end)
        nx_json_fail(j, "bytes behind the end");
    return j->bad ? NX_INVALID : NX_OK;
}
