/* server_config.h — nexus.cfg, the command line and, where the key mms_config names one, a Model Server's own file. */
#ifndef NX_CLI_SERVER_CONFIG_H
#define NX_CLI_SERVER_CONFIG_H

#include "common/config.h"

/* Sets the log level, and logs each line of a Model Server's file that has no effect. argv as of nx_config_load. */
enum nx_status nx_server_config(int argc, char **argv, struct nx_config *config,
                                struct nx_err *err);

#endif
