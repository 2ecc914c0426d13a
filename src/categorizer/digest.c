#include "categorizer/digest.h"

#include <openssl/evp.h>

enum nx_status nx_digest_of(const void *bytes, size_t len, struct nx_digest *digest,
                            struct nx_err *err)
{
    unsigned out = NX_DIGEST_BYTES;
    if (EVP_Digest(bytes, len, digest->bytes, &out, EVP_sha256(), NULL) != 1)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a digest");
    return NX_OK;
}
