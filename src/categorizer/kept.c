#include "categorizer/kept.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdlib.h>

struct nx_kept *nx_kept_open(struct nx_spool *spool, const struct nx_request_head *head,
                             struct nx_err *err)
{
    struct nx_kept *k = nx_calloc(1, sizeof *k);
    if (!k) {
        nx_err_set(err, NX_NO_MEMORY, "no memory for a model's files");
        return NULL;
    }
    k->uses = 1;
    k->head = *head;
    bool sized = nx_install_body_bytes(head, &k->bytes);
    if (sized && k->bytes > 0 && nx_spool_take(spool, k->bytes, &k->at, err) == NX_OK)
        k->spool = spool;
    atomic_init(&k->state, k->spool ? NX_KEPT_COMING : NX_KEPT_LOST);
    atomic_init(&k->unwanted, false);
    return k;
}

struct nx_kept *nx_kept_hold(struct nx_kept *k)
{
    k->uses++;
    return k;
}

void nx_kept_drop(struct nx_kept *k)
{
    if (!k || --k->uses)
        return;
    if (k->spool)
        nx_spool_give(k->spool, k->at, k->bytes);
    free(k);
}

enum nx_status nx_kept_write(struct nx_kept *k, uint64_t offset, const void *bytes, size_t len,
                             struct nx_err *err)
{
    nx_assert(k->spool && offset <= k->bytes && len <= k->bytes - offset);
    return nx_spool_write(k->spool, k->at + offset, bytes, len, err);
}

void nx_kept_fill(struct nx_kept *k, bool whole)
{
    /* pairs with the acquire in nx_kept_state: who sees WHOLE finds the bytes */
    atomic_store_explicit(&k->state, whole ? NX_KEPT_WHOLE : NX_KEPT_LOST, memory_order_release);
}

void nx_kept_give_up(struct nx_kept *k)
{
    if (k)
        atomic_store_explicit(&k->unwanted, true, memory_order_relaxed);
}

bool nx_kept_is_wanted(const struct nx_kept *k)
{
    return !atomic_load_explicit(&k->unwanted, memory_order_relaxed);
}

enum nx_kept_state nx_kept_state(struct nx_kept *k)
{
    return (enum nx_kept_state)atomic_load_explicit(&k->state, memory_order_acquire);
}

const uint8_t *nx_kept_map(const struct nx_kept *k, struct nx_err *err)
{
    const uint8_t *bytes = nx_spool_map(k->spool, k->at, k->bytes);
    if (!bytes)
        nx_err_set(err, NX_NO_MEMORY, "a model's files of %llu bytes cannot be mapped",
                   (unsigned long long)k->bytes);
    return bytes;
}

void nx_kept_unmap(const struct nx_kept *k, const uint8_t *bytes)
{
    nx_spool_unmap(bytes, k->bytes);
}
