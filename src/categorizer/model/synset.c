#include "categorizer/model/synset.h"

#include <stdbool.h>
#include <string.h>

#include "categorizer/model/model.h"

/* Bytes of the UTF-8 character at `at`, of which `left` exist; 0: malformed. Overlong forms, surrogates and
 * what lies beyond U+10FFFF are malformed (RFC 3629). */
static size_t character_bytes(const uint8_t *at, size_t left)
{
    size_t n = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (n == 0 || n > left || at[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool outside = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
    return overlong || outside ? 0 : n;
}

static enum nx_status check_line(const char *line, size_t len, uint32_t number, struct nx_err *err)
{
    const uint8_t *bytes = (const uint8_t *)line;
    if (len > NX_CLASS_BYTES_MAX)
        return nx_err_set(err, NX_CORRUPT, "synset: line %u has %zu bytes, at most %u are possible",
                          number, len, NX_CLASS_BYTES_MAX);
    for (size_t at = 0, n; at < len; at += n) {
        n = character_bytes(bytes + at, len - at);
        if (n == 0)
            return nx_err_set(err, NX_CORRUPT, "synset: line %u is not UTF-8", number);
        if ((bytes[at] < 0x20 && bytes[at] != '\t') || bytes[at] == 0x7f)
            return nx_err_set(err, NX_CORRUPT, "synset: line %u has a control character, 0x%02x",
                              number, bytes[at]);
    }
    return NX_OK;
}

/* The next line without its ending, and where the one after it starts. */
static const char *next_line(const char *at, const char *end, size_t *len)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *stop = newline ? newline : end;
    *len = (size_t)(stop - at);
    if (*len && at[*len - 1] == '\r')
        --*len;
    return newline ? newline + 1 : end;
}

static const char *without_empty_end(const char *text, size_t len)
{
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    return text + len;
}

enum nx_status nx_synset_parse(const char *text, size_t len, uint32_t wanted,
                               struct nx_arena *arena, struct nx_synset *synset, struct nx_err *err)
{
    const char *end = without_empty_end(text, len), *at = text;
    struct nx_synset own = {nx_arena_array(arena, wanted, sizeof *own.names), wanted};
    uint32_t lines = 0;
    if (!own.names)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the synset");
    while (at < end) {
        size_t line_len;
        const char *line = at;
        at = next_line(at, end, &line_len);
        NX_TRY(check_line(line, line_len, ++lines, err));
        if (lines > wanted)
            continue;
        own.names[lines - 1] = nx_arena_strndup(arena, line, line_len);
        if (!own.names[lines - 1])
            return nx_err_set(err, NX_NO_MEMORY, "out of memory for the synset");
    }
    if (lines < wanted)
        return nx_err_set(err, NX_INVALID, "synset has %u lines, the model has %u outputs", lines,
                          wanted);
    *synset = own;
    return NX_OK;
}
