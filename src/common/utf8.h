/* utf8.h — is this text? Pure. */
#ifndef NX_COMMON_UTF8_H
#define NX_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Well-formed UTF-8 (no surrogates, no overlong forms, up to U+10FFFF) without NUL. */
bool nx_utf8_ok(const void *text, size_t len);

/* The length of the well-formed sequence that `bytes` begin with, 1 to 4; 0: there is none, or NUL. len > 0. */
size_t nx_utf8_sequence(const uint8_t *bytes, size_t len);

#endif
