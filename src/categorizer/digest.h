/* digest.h — SHA-256: what tells whether two replicas hold the same bytes. */
#ifndef NX_CATEGORIZER_DIGEST_H
#define NX_CATEGORIZER_DIGEST_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

enum { NX_DIGEST_BYTES = 32 };

struct nx_digest {
    uint8_t bytes[NX_DIGEST_BYTES];
};

enum nx_status nx_digest_of(const void *bytes, size_t len, struct nx_digest *digest,
                            struct nx_err *err); /* NX_NO_MEMORY */

#endif
