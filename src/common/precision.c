#include "common/precision.h"

#include <string.h>

static const char *const names[] = {
#define NX_PRECISION_NAME(precision, name) [precision] = name,
    NX_PRECISION_LIST(NX_PRECISION_NAME)
#undef NX_PRECISION_NAME
};

const char *nx_precision_name(enum nx_precision precision)
{
    return (unsigned)precision < NX_PRECISION_COUNT ? names[precision] : "?";
}

bool nx_precision_of(const char *name, enum nx_precision *precision)
{
    for (int i = 0; i < NX_PRECISION_COUNT; i++)
        if (strcmp(names[i], name) == 0) {
            *precision = (enum nx_precision)i;
            return true;
        }
    return false;
}
