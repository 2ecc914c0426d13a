/* profile.h — how long does a batch of b photos take on this model and this machine?
 *
 *   latency(b) = mean + std of the row b, linear between rows and beyond the last one; never falls as b grows
 *   best       = the smallest b of the profile whose photos per second are within 3 % of the most
 *
 * As text it is what `nexus profile` writes and what a node reads:
 *
 *     nexus profile 1
 *     model sha256:6f0c…
 *     backend cpu_dnnl
 *     threads 2
 *     machine Intel(R) Xeon(R) Platinum 8481C
 *     batch,mean(us),std(us),memory(B),repeats
 *     1,5123.4,33.1,23812344,10
 *
 * Owner   the caller owns every struct; nothing is kept, nothing allocated
 * Thread  any; no state
 * Source  Shen et al., "Nexus: a GPU cluster engine for accelerating DNN-based video analysis", SOSP 2019: profiles per
 *         batch size, always used as mean + std. Departure: one file per model and machine. */
#ifndef NX_CATEGORIZER_PROFILE_H
#define NX_CATEGORIZER_PROFILE_H

#include "common/clock.h"
#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
    NX_PROFILE_ROWS_MAX = 16, /* 1, 2, 4 … 4096, and the largest itself */
    NX_PROFILE_BATCH_MAX = 4096,
    NX_PROFILE_TEXT_BYTES = 128,
    NX_PROFILE_FILE_BYTES_MAX = 8192,
};

struct nx_profile_row {
    uint32_t batch;
    double mean_us, std_us; /* of one batch; mean > 0, std >= 0 */
    uint64_t memory_bytes;  /* that the model held when it was measured */
    uint32_t repeats;
};

struct nx_profile {
    uint32_t rows_count;                             /* >= 1 */
    struct nx_profile_row rows[NX_PROFILE_ROWS_MAX]; /* by growing batch */
};

/* Where it was measured. Texts are one printable line. */
struct nx_profile_origin {
    char model[NX_PROFILE_TEXT_BYTES]; /* "sha256:" and 64 hexadecimal digits */
    char backend[NX_PROFILE_TEXT_BYTES];
    uint32_t threads;
    char machine[NX_PROFILE_TEXT_BYTES];
};

nx_ns nx_profile_latency(const struct nx_profile *profile, uint32_t batch); /* batch >= 1 */
nx_ns nx_profile_mean(const struct nx_profile *profile, uint32_t batch);    /* without std */
uint32_t nx_profile_best(const struct nx_profile *profile);

/* Measures 1, 2, 4 … batch_max, and batch_max itself. `run` computes one batch; *memory_bytes is what the model
 * holds. Each size runs once unmeasured and then `repeats` times; a size for which that would not fit into what is
 * left of `time_max_ns` ends the profile. The row of 1 is always there, with one repeat at least.
 * Of five repeats or more the slowest is left out of mean and std. */
typedef enum nx_status nx_profile_run(void *ctx, uint32_t batch, struct nx_err *err);
struct nx_profile_plan {
    uint32_t batch_max, repeats;
    nx_ns time_max_ns;
    uint64_t memory_bytes;
};
enum nx_status nx_profile_measure(const struct nx_profile_plan *plan, nx_profile_run *run,
                                  void *ctx, struct nx_profile *profile, struct nx_err *err);

/* Bytes written without the NUL; 0 if cap is too small. */
size_t nx_profile_write(const struct nx_profile *profile, const struct nx_profile_origin *origin,
                        char *text, size_t cap);
/* Hostile text. NX_CORRUPT names the line. */
enum nx_status nx_profile_parse(const char *text, size_t len, struct nx_profile *profile,
                                struct nx_profile_origin *origin, struct nx_err *err);

/* The file for that origin in `folder`: the first 16 digits of the digest and ".profile". NX_NOT_FOUND: none;
 * NX_INVALID: it was measured of something else, or elsewhere. Rows beyond batch_max are left out. */
enum nx_status nx_profile_find(const char *folder, const struct nx_profile_origin *origin,
                               uint32_t batch_max, struct nx_profile *profile, struct nx_err *err);

/* The processor's name for `origin`, from the operating system; "unknown" if it does not say. */
void nx_profile_machine(char name[NX_PROFILE_TEXT_BYTES]);

#endif
