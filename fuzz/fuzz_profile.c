/* A profile from a file: refused with a sentence, or one that is written and read again is the same. */
#include "categorizer/profile.h"
#include "common/nx_assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char text[NX_PROFILE_FILE_BYTES_MAX];
    struct nx_profile p, again;
    struct nx_profile_origin origin;
    struct nx_err err = {0};
    if (nx_profile_parse((const char *)bytes, len, &p, &origin, &err) != NX_OK) {
        nx_assert(err.text[0] != 0);
        return 0;
    }
    uint32_t best = nx_profile_best(&p);
    nx_assert(best >= 1 && best <= NX_PROFILE_BATCH_MAX);
    for (uint32_t b = 1; b <= NX_PROFILE_BATCH_MAX; b *= 2)
        nx_assert(nx_profile_latency(&p, 2 * b) >= nx_profile_latency(&p, b));
    size_t written = nx_profile_write(&p, &origin, text, sizeof text);
    nx_assert(written > 0);
    if (nx_profile_parse(text, written, &again, &origin, &err) == NX_OK)
        nx_assert(again.rows_count == p.rows_count); /* a mean below 0.05 us is written as 0 */
    return 0;
}
