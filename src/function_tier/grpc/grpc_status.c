#include "function_tier/grpc/grpc_status.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

enum nx_grpc_code nx_grpc_code_of(enum nx_status status)
{
    switch (status) {
    case NX_OK: return NX_GRPC_OK;
    case NX_AGAIN: return NX_GRPC_UNAVAILABLE;
    case NX_INVALID: return NX_GRPC_INVALID_ARGUMENT;
    case NX_NOT_FOUND: return NX_GRPC_NOT_FOUND;
    case NX_EXISTS: return NX_GRPC_ALREADY_EXISTS;
    case NX_TOO_LARGE: return NX_GRPC_RESOURCE_EXHAUSTED;
    case NX_UNSUPPORTED: return NX_GRPC_UNIMPLEMENTED;
    case NX_CORRUPT: return NX_GRPC_INVALID_ARGUMENT;
    case NX_NO_MEMORY: return NX_GRPC_RESOURCE_EXHAUSTED;
    case NX_DEADLINE: return NX_GRPC_DEADLINE_EXCEEDED;
    case NX_CANCELLED: return NX_GRPC_CANCELLED;
    case NX_UNAVAILABLE: return NX_GRPC_UNAVAILABLE;
    case NX_DENIED: return NX_GRPC_PERMISSION_DENIED;
    case NX_IO: return NX_GRPC_INTERNAL;
    case NX_INTERNAL: return NX_GRPC_INTERNAL;
    case NX_PEER_DOWN: return NX_GRPC_UNAVAILABLE;
    case NX_WEDGED: return NX_GRPC_UNAVAILABLE;
    case NX_FENCED: return NX_GRPC_UNAVAILABLE;
    case NX_FATAL: return NX_GRPC_INTERNAL;
    case NX_STATUS_COUNT: break;
    }
    return NX_GRPC_UNKNOWN;
}

size_t nx_grpc_percent_encode(const char *text, char *dst, size_t cap)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t at = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool plain = *p >= 0x20 && *p <= 0x7e && *p != '%';
        if (at + (plain ? 1 : 3) >= cap)
            break;
        if (plain) {
            dst[at++] = (char)*p;
        } else {
            dst[at++] = '%';
            dst[at++] = hex[*p >> 4];
            dst[at++] = hex[*p & 15];
        }
    }
    dst[at] = '\0';
    return at;
}

static nx_ns timeout_unit(char unit)
{
    switch (unit) {
    case 'H': return 3600 * NX_SEC;
    case 'M': return 60 * NX_SEC;
    case 'S': return NX_SEC;
    case 'm': return NX_MS;
    case 'u': return NX_US;
    case 'n': return 1;
    default: return 0;
    }
}

bool nx_grpc_timeout_parse(const char *text, size_t len, nx_ns *timeout)
{
    if (len < 2 || len > 9)
        return false;
    nx_ns unit = timeout_unit(text[len - 1]), count = 0;
    for (size_t i = 0; i < len - 1; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        count = count * 10 + (text[i] - '0');
    }
    if (!unit)
        return false;
    /* 99999999 hours is over what nx_ns holds; a thousand years is as good. */
    nx_ns longest = NX_NEVER / 4;
    *timeout = count > longest / unit ? longest : count * unit;
    return true;
}

bool nx_grpc_content_type_ok(const char *text, size_t len)
{
    static const char base[] = "application/grpc", proto[] = "+proto";
    size_t at = sizeof base - 1;
    if (len < at || strncasecmp(text, base, at) != 0)
        return false;
    if (len - at >= sizeof proto - 1 && strncasecmp(text + at, proto, sizeof proto - 1) == 0)
        at += sizeof proto - 1;
    return at == len || text[at] == ';' || text[at] == ' ';
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool nx_grpc_base64_decode(const char *text, size_t text_len, void *dst, size_t cap, size_t *len)
{
    size_t padding = 0;
    while (text_len > 0 && padding < 2 && text[text_len - 1] == '=') {
        text_len--;
        padding++;
    }
    if (text_len % 4 == 1 || (padding && (text_len + padding) % 4 != 0))
        return false;
    uint8_t *out = dst;
    size_t used = 0;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < text_len; i++) {
        int value = base64_value(text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        if (used == cap)
            return false;
        out[used++] = (uint8_t)(bits >> held);
    }
    *len = used;
    return true;
}
