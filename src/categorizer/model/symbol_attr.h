/* symbol_attr.h — MXNet's attribute values, which are always strings.
 *
 *   integers  "64" "64L"        bools  "True" "False" "1" "0"        floats  "1e-4"
 *   tuples    "(3, 3)" "[0, 2]" "(2L, 2L)" "()" "(3,)" "3"           "None" where there is none
 *
 * Each returns false for anything else and then leaves its out-parameters alone. */
#ifndef NX_CATEGORIZER_MODEL_SYMBOL_ATTR_H
#define NX_CATEGORIZER_MODEL_SYMBOL_ATTR_H

#include <stdbool.h>
#include <stdint.h>

#define NX_TUPLE_MAX  32u
#define NX_TUPLE_NONE INT64_MAX /* a None inside a tuple */

struct nx_tuple {
    uint32_t n;
    int64_t items[NX_TUPLE_MAX];
};

bool nx_attr_int(const char *text, int64_t *value);
bool nx_attr_bool(const char *text, bool *value);
bool nx_attr_float(const char *text, float *value); /* finite, or inf/-inf by name */
bool nx_attr_tuple(const char *text, struct nx_tuple *tuple);
bool nx_attr_is_none(const char *text);

#endif
