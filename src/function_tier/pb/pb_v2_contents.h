/* pb_v2_contents.h — InferTensorContents, the protocol's typed form of a tensor's elements, and the raw form. For pb_v2_*.c.
 *
 * A datatype has one field: BOOL bool_contents, INT8 to INT32 int_contents, UINT8 to UINT32
 * uint_contents, and so on; FP16 and BF16 have none. Raw is row-major and little-endian. */
#ifndef NX_PB_V2_CONTENTS_H
#define NX_PB_V2_CONTENTS_H

#include "function_tier/pb/pb_v2.h"
#include "inference.pb-c.h"

/* How many of the fields have elements. */
int nx_pb_v2_contents_kinds(const Inference__InferTensorContents *contents);

/* Contents of any datatype but BYTES as raw bytes: in *owned, which the caller frees, or where they lie. NX_INVALID: of
 * another datatype, of two, a number out of the datatype's range. data->at stays NULL without elements. */
enum nx_status nx_pb_v2_contents_read(const char *name, const char *datatype,
                                      const Inference__InferTensorContents *contents,
                                      uint8_t **owned, struct nx_pb_v2_bytes *data,
                                      struct nx_err *err);

/* Raw bytes as contents, which point into *owned (aligned) or, for BYTES, into the raw bytes by it. The caller frees it. */
enum nx_status nx_pb_v2_contents_write(const struct nx_pb_v2_tensor *tensor,
                                       Inference__InferTensorContents *contents, void **owned);

#endif
