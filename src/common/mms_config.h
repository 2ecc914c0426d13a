/* mms_config.h — MXNet Model Server's own files as settings of a node: config.properties (1.x) and mms.conf (0.4).
 *
 *   [MMS Arguments], [Gunicorn Arguments], … anywhere    an mms.conf
 *   else                                                 a config.properties; ${NAME} is the environment's
 *
 * What has a meaning here becomes a key of nexus.cfg, which yields to nexus.cfg and to options. Everything else, known to
 * Model Server or not, becomes one note that names it: nobody should believe that it had an effect. A value that cannot
 * be meant is refused with file and line. docs/operations.md has the table.
 * Where Model Server has a default for the addresses, that is taken: clients come to 8080 and 8081.
 * Bounds   NX_MMS_SETTINGS_MAX, NX_MMS_NOTES_MAX (the last one then says that there are more)
 * Thread   any. Owner  the caller; about 70 KB, not for a stack */
#ifndef NX_COMMON_MMS_CONFIG_H
#define NX_COMMON_MMS_CONFIG_H

#include "common/config.h"

enum { NX_MMS_SETTINGS_MAX = 20, NX_MMS_NOTES_MAX = 64, NX_MMS_NOTE_BYTES = 320 };

struct nx_mms_config {
    struct nx_config_beside settings[NX_MMS_SETTINGS_MAX]; /* each key once */
    uint32_t settings_count;
    char notes[NX_MMS_NOTES_MAX][NX_MMS_NOTE_BYTES]; /* "config.properties:7: …" */
    uint32_t notes_count;
};

/* `name` stands for the file in sentences. On failure *config is of no use. */
enum nx_status nx_mms_parse(const char *text, const char *name, struct nx_mms_config *config,
                            struct nx_err *err);
enum nx_status nx_mms_load(const char *path, struct nx_mms_config *config, struct nx_err *err);

#endif
