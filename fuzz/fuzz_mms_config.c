/* A Model Server's file: any text is taken or refused with a sentence, and what is taken are keys of ours. */
#include "common/mms_config.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char node[] = "[NEXUS]\nleader_ip = 127.0.0.1\nlocal_id = 3\nlocal_ip = 127.0.0.1\n"
                           "tier = function\nfirst_view_nodes = 2\n";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct nx_mms_config mms;
    char *text = malloc(len + 1);
    struct nx_config config;
    struct nx_err err = {0};
    if (!text)
        return 0;
    memcpy(text, bytes, len);
    text[len] = 0;
    if (nx_mms_parse(text, "file", &mms, &err) != NX_OK) {
        nx_assert(err.text[0] != 0);
    } else {
        nx_assert(mms.settings_count <= NX_MMS_SETTINGS_MAX && mms.notes_count <= NX_MMS_NOTES_MAX);
        if (nx_config_parse_beside(node, "nexus.cfg", 0, NULL, mms.settings, mms.settings_count,
                                   &config, &err) != NX_OK)
            nx_assert(err.text[0] != 0);
    }
    free(text);
    return 0;
}
