/* Any bytes as a `.params` file: read or refused with a sentence; what was read converts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/model/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_arena arena;
    struct nx_params params;
    struct nx_err err = {0};
    nx_arena_init(&arena, 64 << 20);
    enum nx_status status = nx_params_parse(data, size, &arena, &params, &err);
    if ((status == NX_OK) != (err.text[0] == '\0'))
        abort();
    for (uint32_t i = 0; status == NX_OK && i < params.n; i++) {
        const float *values;
        if (i && strcmp(params.arrays[i - 1].name, params.arrays[i].name) >= 0)
            abort();
        if (nx_params_find(&params, params.arrays[i].name) != &params.arrays[i])
            abort();
        if (params.arrays[i].elements &&
            nx_array_to_f32(&params.arrays[i], &arena, &values, &err) == NX_OK)
            (void)*(const volatile float *)values;
    }
    nx_arena_free(&arena);
    return 0;
}
