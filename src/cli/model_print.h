/* model_print.h — an inspection as text for people, or as one JSON object. What a file brought is printed with '?' for
 * what is not plain ASCII. False: the stream has an error. */
#ifndef NX_CLI_MODEL_PRINT_H
#define NX_CLI_MODEL_PRINT_H

#include "categorizer/model/inspect.h"

#include <stdio.h>

bool nx_model_print_text(FILE *out, const struct nx_inspection *inspection);
bool nx_model_print_json(FILE *out, const struct nx_inspection *inspection);

#endif
