/* synset.h — the names of the classes, one line each, as they stand in the file.
 *
 * UTF-8; a line may end in CR LF; the last newline may be missing; empty lines at the end do not count.
 * Failure  NX_CORRUPT names the line: not UTF-8, a control byte, over NX_CLASS_BYTES_MAX; NX_INVALID for an
 *          empty file or fewer lines than the model has outputs. More lines than outputs are fine. */
#ifndef NX_CATEGORIZER_MODEL_SYNSET_H
#define NX_CATEGORIZER_MODEL_SYNSET_H

#include "common/arena.h"
#include "common/status.h"

struct nx_synset {
    const char **names; /* in the arena */
    uint32_t n;
};

/* Keeps the first `wanted` names. */
enum nx_status nx_synset_parse(const char *text, size_t len, uint32_t wanted,
                               struct nx_arena *arena, struct nx_synset *synset,
                               struct nx_err *err);

#endif
