/* archive.h — a model in the model store: a `.model` or `.mar` archive, or a plain folder; read, never unpacked to disk.
 *
 *     NAME-symbol.json, NAME-0000.params, synset.txt        MXNet      (MANIFEST.json, signature.json, *.py: ignored)
 *     NAME.onnx, synset.txt                                 ONNX
 *     and, if it is to be served in int8, NAME.cal          what `nexus model calibrate` wrote
 *
 * Everything in an archive is hostile: names that leave it, symbolic links, encryption, more than NX_ARCHIVE_ENTRIES_MAX
 * entries, two candidates for one role, sizes over the engine's bounds, and what expands more than
 * NX_ARCHIVE_RATIO_MAX times are refused by name, before a byte of it is sent anywhere.
 * Bounds  the caller's chunk is inflated at a time. Blocks on local disk reads.
 * Owner, thread  whoever opened it; one thread. */
#ifndef NX_FUNCTION_TIER_ARCHIVE_H
#define NX_FUNCTION_TIER_ARCHIVE_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NX_ARCHIVE_ENTRIES_MAX = 1000, NX_ARCHIVE_RATIO_MAX = 200, NX_ARCHIVE_URL_BYTES_MAX = 128 };
#define NX_ARCHIVE_BYTES_MAX (UINT64_C(8) << 30)

enum nx_archive_role {
    NX_ARCHIVE_SYNSET,
    NX_ARCHIVE_SYMBOL,
    NX_ARCHIVE_PARAMS,
    NX_ARCHIVE_CALIBRATION, /* none: 0 bytes */
    NX_ARCHIVE_ROLES
};

struct nx_archive;

/* `url` names one file or folder directly in `store`. NX_NOT_FOUND, NX_DENIED (it leads out of the store), NX_INVALID or
 * NX_CORRUPT (no model), NX_TOO_LARGE. */
enum nx_status nx_archive_open(const char *store, const char *url, struct nx_archive **archive,
                               struct nx_err *err);
/* The model of that name in the store: NAME.mar, NAME.model, or the folder NAME. store "": NX_INVALID, there is none. */
enum nx_status nx_archive_find(const char *store, const char *name, struct nx_archive **archive,
                               struct nx_err *err);

/* Whether `url` names something directly in a store; NX_INVALID, NX_NOT_FOUND. */
enum nx_status nx_archive_check_url(const char *url, struct nx_err *err);

/* The file or folder names in the store that may hold models: *.mar, *.model, folders; hidden ones left out. At most
 * NX_ARCHIVE_LIST_MAX, sorted; one with a longer name than NX_ARCHIVE_URL_BYTES_MAX is left out, and the log says so. */
enum { NX_ARCHIVE_LIST_MAX = 256 };
struct nx_archive_list {
    uint32_t count;
    char urls[NX_ARCHIVE_LIST_MAX][NX_ARCHIVE_URL_BYTES_MAX];
};
enum nx_status nx_archive_list(const char *store, struct nx_archive_list *list, struct nx_err *err);
/* The model's name unless one is given: the file's without .mar, .model or .zip. */
void nx_archive_name(const char *url, char *name, size_t cap);

void nx_archive_close(struct nx_archive *archive);

/* SYMBOL is then the ONNX file, PARAMS empty */
bool nx_archive_is_onnx(const struct nx_archive *archive);
uint64_t nx_archive_bytes(const struct nx_archive *archive, enum nx_archive_role role);

/* The next bytes of synset, symbol, params and calibration, one after the other; *len 0 at the
 * end of all. NX_CORRUPT: they are not what the archive's directory says. */
enum nx_status nx_archive_read(struct nx_archive *archive, void *dst, size_t cap, size_t *len,
                               struct nx_err *err);

#endif
