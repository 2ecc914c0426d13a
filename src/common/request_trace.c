#include "common/request_trace.h"

#include <string.h>

enum { VERSION_BYTES = 2, HEX_BYTES = NX_TRACEPARENT_BYTES - 1 };

static const char digits[] = "0123456789abcdef";

void nx_hex(const uint8_t *bytes, size_t len, char *text)
{
    for (size_t i = 0; i < len; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = 0;
}

/* --- request ids ---------------------------------------------------------------------------------- */

static bool is_harmless(const char *name, size_t len)
{
    if (!name || len == 0 || len >= NX_REQUEST_NAME_BYTES)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_' || c == '.'))
            return false;
    }
    return true;
}

static void draw(struct nx_prng *prng, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
        uint64_t word = nx_prng_u64(prng);
        memcpy(bytes + i, &word, sizeof word);
    }
}

/* Version 4, variant 1, as RFC 9562 has them. */
static void make_uuid(struct nx_prng *prng, char *text)
{
    static const size_t parts[] = {4, 2, 2, 2, 6};
    uint8_t bytes[16], *at = bytes;
    draw(prng, bytes, sizeof bytes);
    bytes[6] = (uint8_t)(0x40 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        nx_hex(at, parts[i], text);
        at += parts[i];
        text += 2 * parts[i];
        *text++ = '-';
    }
    text[-1] = 0;
}

void nx_request_name(struct nx_prng *prng, const char *given, size_t len,
                     char name[NX_REQUEST_NAME_BYTES])
{
    if (!is_harmless(given, len)) {
        make_uuid(prng, name);
        return;
    }
    memcpy(name, given, len);
    name[len] = 0;
}

/* --- traces --------------------------------------------------------------------------------------- */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

/* Of a later version only what version 00 has is read, and something may follow behind a dash. */
static bool is_framed(const char *text, size_t len, uint8_t version)
{
    if (version == 0xff || (version == 0 && len != HEX_BYTES) ||
        (len > HEX_BYTES && text[HEX_BYTES] != '-'))
        return false;
    return text[2] == '-' && text[35] == '-' && text[52] == '-';
}

static bool parse(const char *text, size_t len, struct nx_trace_ids *above)
{
    uint8_t version;
    if (!text || len < HEX_BYTES || !read_hex(text, &version, 1) || !is_framed(text, len, version))
        return false;
    return read_hex(text + VERSION_BYTES + 1, above->trace_id, NX_TRACE_ID_BYTES) &&
           read_hex(text + 36, above->span_id, NX_SPAN_ID_BYTES) &&
           read_hex(text + 53, &above->flags, 1) && !is_zero(above->trace_id, NX_TRACE_ID_BYTES) &&
           !is_zero(above->span_id, NX_SPAN_ID_BYTES);
}

uint8_t nx_trace_draw(struct nx_prng *prng, uint32_t per_million)
{
    if (per_million == 0 || per_million >= NX_TRACE_ALWAYS)
        return per_million ? NX_TRACE_SAMPLED : 0;
    return nx_prng_u64(prng) % NX_TRACE_ALWAYS < per_million ? NX_TRACE_SAMPLED : 0;
}

void nx_trace_child(struct nx_prng *prng, const struct nx_trace_ids *above,
                    struct nx_trace_ids *trace)
{
    struct nx_trace_ids fresh = {.flags = above->flags & NX_TRACE_SAMPLED};
    memcpy(fresh.trace_id, above->trace_id, sizeof fresh.trace_id);
    memcpy(fresh.parent_id, above->span_id, sizeof fresh.parent_id);
    draw(prng, fresh.span_id, sizeof fresh.span_id);
    *trace = fresh;
}

void nx_trace_join(struct nx_prng *prng, const char *given, size_t len, uint8_t flags,
                   struct nx_trace_ids *trace)
{
    struct nx_trace_ids above = {0};
    if (!parse(given, len, &above)) {
        above = (struct nx_trace_ids){.flags = flags};
        draw(prng, above.trace_id, sizeof above.trace_id);
    }
    nx_trace_child(prng, &above, trace);
}

void nx_trace_text(const struct nx_trace_ids *trace, char text[NX_TRACEPARENT_BYTES])
{
    memcpy(text, "00-", 3);
    nx_hex(trace->trace_id, NX_TRACE_ID_BYTES, text + 3);
    text[35] = '-';
    nx_hex(trace->span_id, NX_SPAN_ID_BYTES, text + 36);
    text[52] = '-';
    nx_hex(&trace->flags, 1, text + 53);
}

bool nx_trace_is_there(const struct nx_trace_ids *trace)
{
    return !is_zero(trace->trace_id, NX_TRACE_ID_BYTES);
}

bool nx_trace_is_sampled(const struct nx_trace_ids *trace)
{
    return (trace->flags & NX_TRACE_SAMPLED) && nx_trace_is_there(trace);
}
