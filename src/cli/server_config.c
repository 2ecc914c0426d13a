#include "cli/server_config.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/mms_config.h"

#include <stdlib.h>
#include <string.h>

static const char own_file[] = "nexus.cfg";

static void set_log(const struct nx_config *config)
{
    enum nx_level level;
    if (nx_log_parse_level(config->log_level, &level))
        nx_log_set_level(level);
    if (strcmp(config->log_format, "json") == 0)
        nx_log_set_json(config->local_id);
}

static enum nx_status add_mms(int argc, char **argv, struct nx_config *config, struct nx_err *err)
{
    struct nx_mms_config *mms = nx_calloc(1, sizeof *mms);
    if (!mms)
        return nx_err_set(err, NX_NO_MEMORY, "%s: out of memory", config->mms_config);
    enum nx_status status = nx_mms_load(config->mms_config, mms, err);
    if (status == NX_OK)
        status = nx_config_load_beside(own_file, argc, argv, mms->settings, mms->settings_count,
                                       config, err);
    if (status == NX_OK)
        set_log(config);
    for (uint32_t i = 0; status == NX_OK && i < mms->notes_count; i++)
        nx_warn("%s", mms->notes[i]);
    free(mms);
    return status;
}

enum nx_status nx_server_config(int argc, char **argv, struct nx_config *config, struct nx_err *err)
{
    NX_TRY(nx_config_load(own_file, argc, argv, config, err));
    set_log(config);
    return config->mms_config[0] ? add_mms(argc, argv, config, err) : NX_OK;
}
