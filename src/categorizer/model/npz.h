/* npz.h — NumPy's .npz, a zip file of .npy files: what MXNet 2.0 writes under the name .params.
 *
 * Entries are stored or deflated, with or without zip64 sizes; each is checked against its CRC. Every length and offset
 * is checked against the file before it is followed. Data of a stored entry stays where it lies in the file.
 * Failure NX_CORRUPT, NX_UNSUPPORTED (encryption, another compression, sparse arrays, big-endian numbers),
 *         NX_TOO_LARGE, NX_NO_MEMORY; the sentence names the entry.
 * Source  PKWARE, APPNOTE.TXT 6.3.9, 4.3 (file layout) and 4.5.3 (zip64); MXNet 2.0, src/serialization/cnpy.cc. */
#ifndef NX_CATEGORIZER_MODEL_NPZ_H
#define NX_CATEGORIZER_MODEL_NPZ_H

#include "categorizer/model/params.h"

/* The bytes must outlive what was parsed. Arrays come unsorted, their names without ".npy". */
enum nx_status nx_npz_parse(const void *bytes, size_t len, struct nx_arena *arena,
                            struct nx_params *params, struct nx_err *err);

#endif
