/* auth.h — bearer tokens: who asks, what may they ask for, and how often?
 *
 * A file with one line for each token:
 *
 *     # name    scopes                 SHA-256 of the token, in hexadecimal          at most so many a second, at once
 *     camera-7  infer                  sha256:9f86d081884c7d65…                      rate=50 burst=100
 *     ci        manage,observe         sha256:60303ae22b998861…
 *
 * The tokens themselves are nowhere on this side. A caller's token is hashed and compared with every line's hash, each
 * in constant time and none left out, so the time tells nothing about what the file holds.
 *
 *   with a rate: requests let in during any t seconds <= burst + rate * t
 *
 * Bounds   NX_AUTH_TOKENS_MAX lines, NX_AUTH_TOKEN_BYTES_MAX for a presented token
 * Thread   the server's
 * Failure  NX_INVALID, whatever is wrong with the file, and a sentence with file, line and cause; a
 *          reload that fails changes nothing
 * Source   RFC 6750 for the header and the answers. The rate is the virtual scheduling of GCRA (ITU-T I.371). */
#ifndef NX_FUNCTION_TIER_AUTH_H
#define NX_FUNCTION_TIER_AUTH_H

#include "common/clock.h"
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NX_AUTH_TOKENS_MAX = 256, NX_AUTH_TOKEN_BYTES_MAX = 512, NX_AUTH_NAME_BYTES = 32 };

/* Scopes, or-ed. An operation names those of which any one will do; 0: everybody may, without a token. */
enum { NX_MAY_INFER = 1, NX_MAY_MANAGE = 2, NX_MAY_OBSERVE = 4 };

enum nx_auth_verdict {
    NX_AUTH_LET_IN,
    NX_AUTH_UNKNOWN, /* no token, or none that the file knows */
    NX_AUTH_SCOPE,   /* a known one, without any of the scopes */
    NX_AUTH_RATE,    /* a good one, too often */
};

struct nx_auth_caller {
    char name[NX_AUTH_NAME_BYTES]; /* of the token; "" while it is not known, or none was needed */
    nx_ns retry_after_ns;          /* NX_AUTH_RATE: then one more will be let in */
    char sentence[160];            /* what the client is told, unless it is let in */
};

struct nx_auth;

/* *auth is NULL if path is "" or NULL: then everybody may do everything. */
enum nx_status nx_auth_open(const char *path, struct nx_auth **auth, struct nx_err *err);
enum nx_status nx_auth_reload(struct nx_auth *auth, struct nx_err *err); /* rates go on by name */
void nx_auth_close(struct nx_auth *auth);

/* `header` is the value of Authorization, NULL if there is none. auth may be NULL. Counts against the rate. */
enum nx_auth_verdict nx_auth_check(struct nx_auth *auth, const char *header, size_t len,
                                   unsigned scopes, nx_ns now, struct nx_auth_caller *caller);

/* For fuzzing and tests: the same from text. */
enum nx_status nx_auth_parse(const char *name, const char *text, struct nx_auth **auth,
                             struct nx_err *err);

#endif
