/* A shard's state as a joiner takes it: whatever the donor writes, sealed or not; what decodes,
 * encodes to the same again. */
#include "categorizer/manifest.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void drop_store(struct nx_store *s)
{
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++)
        nx_kept_drop(nx_store_at(s, i)->kept);
    nx_store_close(s);
}

static void try_decode(const uint8_t *bytes, size_t len)
{
    static bool follow[NX_STORE_MODELS], followed[NX_STORE_MODELS];
    struct nx_spool *spool;
    struct nx_store *store = nx_store_open();
    struct nx_err err;
    uint64_t files;
    size_t again_len;
    nx_assert(store && nx_spool_open("/tmp", UINT64_C(1) << 40, &spool, &err) == NX_OK);
    if (nx_manifest_decode(bytes, len, spool, store, follow, &files, &err) == NX_OK) {
        uint8_t *again = nx_manifest_encode(store, followed, &again_len);
        nx_assert(again);
        if (memcmp(follow, followed, sizeof follow) == 0) /* otherwise some found no room here */
            nx_assert(again_len == len && memcmp(again, bytes, len) == 0);
        free(again);
    }
    drop_store(store);
    nx_spool_close(spool);
}

/* As it is; and with a head and a seal that fit, so that what lies between them is reached. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct nx_digest seal;
    try_decode(bytes, len);
    if (len < NX_MANIFEST_HEAD_BYTES || len > 1 << 16)
        return 0;
    uint8_t *sealed = malloc(len + NX_DIGEST_BYTES);
    nx_assert(sealed);
    memcpy(sealed, bytes, len);
    uint32_t size = (uint32_t)(len + NX_DIGEST_BYTES);
    memcpy(sealed, "NXST\x01\0\0\0", 8);
    memcpy(sealed + 8, &size, sizeof size); /* fuzzing runs on little-endian machines */
    nx_assert(nx_digest_of(sealed, len, &seal, NULL) == NX_OK);
    memcpy(sealed + len, seal.bytes, NX_DIGEST_BYTES);
    try_decode(sealed, size);
    free(sealed);
    return 0;
}
