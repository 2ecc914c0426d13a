/* json_read.h — JSON as it is walked: no tree, no allocation, arrays of numbers at the speed of their bytes.
 *
 *     nx_json_init(&j, bytes, len, &err);
 *     for (nx_json_enter(&j, '{'); nx_json_key(&j, key, sizeof key);)
 *         if (strcmp(key, "id") == 0) nx_json_string(&j, id, sizeof id); else nx_json_skip(&j);
 *     nx_json_end(&j)
 *
 * A reader that meets an error turns bad and stays bad; every call then does nothing and says false, so that a caller
 * checks once, at its end. The sentence names the offset.
 * Source  RFC 8259. Bounds  NX_JSON_DEPTH_MAX; strings must be UTF-8; a duplicate key is the caller's to notice. */
#ifndef NX_FUNCTION_TIER_JSON_READ_H
#define NX_FUNCTION_TIER_JSON_READ_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NX_JSON_DEPTH_MAX = 64 };

struct nx_json {
    const char *start, *at, *end;
    struct nx_err *err;
    unsigned depth;
    char closers[NX_JSON_DEPTH_MAX]; /* '}' or ']' of each open one */
    bool fresh;                      /* nothing was read yet of the innermost */
    bool bad;
};

void nx_json_init(struct nx_json *j, const void *bytes, size_t len, struct nx_err *err);

/* The first byte of what comes: '{' '[' '"' 't' 'f' 'n', '0' for a number; 0 at the end or if bad. */
char nx_json_peek(struct nx_json *j);

void nx_json_enter(struct nx_json *j, char opener); /* '{' or '[' */
/* The next key of the object that is open, cut at cap - 1 bytes if longer than anything known; false after the last, and
 * the object is left. */
bool nx_json_key(struct nx_json *j, char *key, size_t cap);
bool nx_json_item(struct nx_json *j); /* the same for an array */

bool nx_json_number(struct nx_json *j, double *value);
bool nx_json_uint(struct nx_json *j, uint64_t max, uint64_t *value);
bool nx_json_bool(struct nx_json *j, bool *value);
/* NUL-terminated; refused if longer than cap - 1 bytes, or with a NUL in it. */
bool nx_json_string(struct nx_json *j, char *dst, size_t cap);
/* The decoded bytes, at most cap of them; *len. */
bool nx_json_string_bytes(struct nx_json *j, void *dst, size_t cap, size_t *len);
bool nx_json_skip(struct nx_json *j);
/* Numbers in arrays nested in any way, in their order: exactly `count` of them, each given to `take`, which may refuse by
 * nx_json_fail. With `bools` true and false count as 1 and 0. */
typedef bool nx_json_take(struct nx_json *j, void *user, size_t i, double value);
bool nx_json_numbers(struct nx_json *j, size_t count, bool bools, nx_json_take *take, void *user);

/* Nothing but white space is left. NX_OK, or the error. */
enum nx_status nx_json_end(struct nx_json *j);
/* An error of the caller's, at this place: "…, at byte 17 of the JSON". Returns false. */
__attribute__((format(printf, 2, 3))) bool nx_json_fail(struct nx_json *j, const char *format, ...);

#endif
