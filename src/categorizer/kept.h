/* kept.h — the files that a model was installed with, as a replica keeps them for members that come later.
 *
 * A model in use does not need them any more, and they are as large as it is; so they lie in the node's spool (a temporary
 * file, spool.h), not in memory.
 *
 *   COMING ── all bytes written ──► WHOLE        by the loader thread, or as a donor's state comes in
 *      └───── they cannot be ─────► LOST
 *
 * Held by the store's entry, by snapshots and by the job that loads it; the last one gives the room back.
 * Thread  write and the change of state: whoever fills it, one thread; nx_kept_is_wanted: any; the rest: the loop thread. */
#ifndef NX_CATEGORIZER_KEPT_H
#define NX_CATEGORIZER_KEPT_H

#include "categorizer/categorizer_wire.h"
#include "common/spool.h"

#include <stdatomic.h>
#include <stdbool.h>

enum nx_kept_state { NX_KEPT_COMING, NX_KEPT_WHOLE, NX_KEPT_LOST };

struct nx_kept {
    struct nx_spool *spool; /* NULL: no room was had; LOST from the start */
    uint64_t at, bytes;     /* where it lies; all that the INSTALL brought */
    uint32_t uses;
    atomic_int state;            /* released by the one who fills it, acquired by nx_kept_state */
    atomic_bool unwanted;        /* the entry is gone */
    struct nx_request_head head; /* of the INSTALL */
};

/* With one use. Without room in the spool it is LOST, and *err says why; NULL: no memory. */
struct nx_kept *nx_kept_open(struct nx_spool *spool, const struct nx_request_head *head,
                             struct nx_err *err);
struct nx_kept *nx_kept_hold(struct nx_kept *kept);
void nx_kept_drop(struct nx_kept *kept); /* NULL is dropped already */

enum nx_status nx_kept_write(struct nx_kept *kept, uint64_t offset, const void *bytes, size_t len,
                             struct nx_err *err);
void nx_kept_fill(struct nx_kept *kept, bool whole); /* COMING → WHOLE or LOST */
enum nx_kept_state nx_kept_state(struct nx_kept *kept);

/* The entry is gone: its model need not be loaded any more. What holds the files still may read them. */
void nx_kept_give_up(struct nx_kept *kept); /* NULL: nothing */
bool nx_kept_is_wanted(const struct nx_kept *kept);

/* All of it, read only, as memory that costs none of ours; NULL, and *err says why. */
const uint8_t *nx_kept_map(const struct nx_kept *kept, struct nx_err *err);
void nx_kept_unmap(const struct nx_kept *kept, const uint8_t *bytes);

#endif
