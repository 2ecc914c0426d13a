/* manifest.h — the replicated state of a shard as bytes: what a member that joins gets before the models' files.
 *
 *     state      = manifest | files of the 1st entry that has some | of the 2nd | …
 *     manifest   = u32 magic | u16 version | u16 0 | u32 manifest bytes | u32 entries | u32 outcomes | u64 installs
 *                | entry … | outcome … | SHA-256 of all before
 *     entry      = u16 slot | u8 state | u8 votes seen | u8 files follow | u64 version | u64 generation | u64 ranks awaited
 *                | 32 bytes digest | status and sentence of the first vote against | the INSTALL's
 *                head as in categorizer_wire.h
 *     outcome    = 16 bytes request id | u8 operation | u32 tag | status and sentence         the oldest first
 *
 * decode(encode(store)) = store, up to what is a replica's own (its loaded models). Outcomes are the request ids already
 * taken; an entry that is being installed carries its voters, so that the joiner decides it with the others.
 * All integers little-endian; decoded as input from outside. */
#ifndef NX_CATEGORIZER_MANIFEST_H
#define NX_CATEGORIZER_MANIFEST_H

#include "categorizer/kept.h"
#include "categorizer/store.h"

enum {
    NX_MANIFEST_VERSION = 1,
    NX_MANIFEST_HEAD_BYTES = 28,
    NX_MANIFEST_BYTES_MAX = NX_MANIFEST_HEAD_BYTES + NX_DIGEST_BYTES +
                            NX_STORE_MODELS * (72 + NX_ERR_TEXT_BYTES + NX_HEAD_BYTES_MAX) +
                            NX_STORE_OUTCOMES * (32 + NX_ERR_TEXT_BYTES),
};

/* malloc'd; NULL: no memory. files_follow[i]: the files of the entry at i are part of the state. */
uint8_t *nx_manifest_encode(const struct nx_store *store, bool files_follow[NX_STORE_MODELS],
                            size_t *bytes);

/* How long the manifest is that begins so (NX_MANIFEST_HEAD_BYTES of it). */
enum nx_status nx_manifest_size(const uint8_t *head, size_t *bytes, struct nx_err *err);

/* Into an empty store; each entry holds its files, which are COMING, or LOST if they do not follow or have no room in the
 * spool. `files_bytes` is what follows. A store that this refused is of no use but to be closed. */
enum nx_status nx_manifest_decode(const uint8_t *bytes, size_t len, struct nx_spool *spool,
                                  struct nx_store *store, bool files_follow[NX_STORE_MODELS],
                                  uint64_t *files_bytes, struct nx_err *err);

#endif
