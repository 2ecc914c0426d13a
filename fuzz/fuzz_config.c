/* A node's file: any text is taken whole or refused with a sentence. */
#include "common/config.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);
    struct nx_config config;
    struct nx_err err = {0};
    if (!text)
        return 0;
    memcpy(text, bytes, len);
    text[len] = 0;
    if (nx_config_parse(text, "nexus.cfg", 0, NULL, &config, &err) != NX_OK)
        nx_assert(err.text[0] != 0);
    else
        nx_assert(config.first_view_nodes >= 1 && config.local_id <= 1000000);
    free(text);
    return 0;
}
