/* precision.h — in which numbers a model is computed. The codes travel in a shard's order and stand in its log: they never
 * change, and 0 is what was there before there was a choice.
 *
 * Thread  any; no state. */
#ifndef NX_COMMON_PRECISION_H
#define NX_COMMON_PRECISION_H

#include <stdbool.h>

/* X(constant, name) */
#define NX_PRECISION_LIST(X)     \
    X(NX_PRECISION_F32, "f32")   \
    X(NX_PRECISION_BF16, "bf16") \
    X(NX_PRECISION_INT8, "int8")

enum nx_precision {
#define NX_PRECISION_ENUM(precision, name) precision,
    NX_PRECISION_LIST(NX_PRECISION_ENUM)
#undef NX_PRECISION_ENUM
        NX_PRECISION_COUNT
};

const char *nx_precision_name(enum nx_precision precision); /* "?" for what is none */
/* False: `name` is none of them; *precision is then as it was. */
bool nx_precision_of(const char *name, enum nx_precision *precision);

#endif
