/* client_ask.h — what `nexus status` and `nexus top` are told alike: a node, how long to wait for it, and who one is.
 *
 *     nexus … NODE [--timeout SECONDS] [--ca FILE [--cert FILE --key FILE]] [--token FILE]
 *
 * Owner  strings point into argv. Failure  NX_INVALID with one sentence that quotes the value. */
#ifndef NX_CLI_CLIENT_ASK_H
#define NX_CLI_CLIENT_ASK_H

#include "cli/client_identity.h"

struct nx_client_ask {
    const char *node;
    uint32_t timeout_s;
    bool help; /* only the usage was asked for; nothing else is checked */
    struct nx_client_paths paths;
};

/* Entries of a getopt_long table, beside a command's own. The short options are ":h". */
#define NX_CLIENT_ASK_OPTIONS                                              \
    NX_CLIENT_IDENTITY_OPTIONS, {"timeout", required_argument, NULL, 't'}, \
    {                                                                      \
        "help", no_argument, NULL, 'h'                                     \
    }

/* A letter of getopt_long that is none of the command's own: one of these, or refused. */
enum nx_status nx_client_ask_option(int letter, char **argv, struct nx_client_ask *ask,
                                    struct nx_err *err);
/* Behind the options: the node, and nothing else. Checks the whole. */
enum nx_status nx_client_ask_finish(int argc, char **argv, struct nx_client_ask *ask,
                                    struct nx_err *err);

#endif
