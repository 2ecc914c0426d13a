/* JSON as it is walked, and inference requests in it. The first two bytes say where the binary part begins. */
#include "common/nx_assert.h"
#include "function_tier/http/json_read.h"
#include "function_tier/v2_json.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool take_float(struct nx_json *json, void *user, size_t i, double value)
{
    float *dst = user;
    (void)json;
    dst[i] = (float)value;
    return true;
}

static void try_walk(const uint8_t *bytes, size_t len)
{
    struct nx_json j;
    struct nx_err err = {0};
    float floats[16];
    nx_json_init(&j, bytes, len, &err);
    nx_json_skip(&j);
    if (nx_json_end(&j) != NX_OK)
        nx_assert(err.status == NX_INVALID && err.text[0]);
    nx_json_init(&j, bytes, len, &err);
    nx_json_numbers(&j, 16, false, take_float, floats);
    char key[8];
    nx_json_init(&j, bytes, len, &err);
    for (nx_json_enter(&j, '{'); nx_json_key(&j, key, sizeof key);) {
        nx_assert(strlen(key) < sizeof key);
        nx_json_skip(&j);
    }
}

static void check_ask(const struct nx_infer_ask *ask)
{
    nx_assert(ask->bodies_count >= 1 && ask->bodies_count <= NX_INFER_PHOTOS_MAX);
    bool tensors = ask->want.input == NX_INPUT_TENSORS;
    nx_assert(tensors || ask->want.outputs || ask->want.top_max > 0);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < ask->bodies_count; i++)
        for (size_t k = 0; k < ask->bodies[i].len; k++)
            sum += ask->bodies[i].bytes[k]; /* readable, all of it */
    nx_assert(sum < UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct nx_err err = {0};
    struct nx_infer_ask ask;
    if (len < 2)
        return 0;
    size_t json = (size_t)(bytes[0] | bytes[1] << 8);
    bytes += 2;
    len -= 2;
    try_walk(bytes, len);
    struct nx_v2_request *request = nx_v2_new();
    if (!request)
        return 0;
    memcpy(request->model, "m", 2);
    if (nx_v2_json_read(bytes, len, json, request, &err) != NX_OK)
        nx_assert(err.text[0]);
    else if (nx_v2_to_ask(request, &ask, &err) == NX_OK)
        check_ask(&ask);
    nx_v2_free(request);
    return 0;
}
