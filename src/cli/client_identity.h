/* client_identity.h — --ca, --cert, --key, --token: whom a client believes, and what it shows.
 *
 * Options are checked as they are read; files are opened by nx_client_identity_open, and their texts live until close.
 * Failure  one sentence that names the option and the file. Thread  one at a time (getopt_long keeps state). */
#ifndef NX_CLI_CLIENT_IDENTITY_H
#define NX_CLI_CLIENT_IDENTITY_H

#include "cli/client_call.h"

#include <getopt.h>
#include <stdbool.h>

#define NX_CLIENT_TOKEN_BYTES_MAX 512

/* Entries of a getopt_long table, and the letters that they stand for. */
#define NX_CLIENT_IDENTITY_OPTIONS                                                \
    {"ca", required_argument, NULL, 'a'}, {"cert", required_argument, NULL, 'c'}, \
        {"key", required_argument, NULL, 'k'},                                    \
    {                                                                             \
        "token", required_argument, NULL, 'o'                                     \
    }

/* Paths; NULL unless given. */
struct nx_client_paths {
    const char *ca, *cert,
        *key; /* PEM. ca: whom to believe, and thereby TLS; the others come together, and with ca */
    const char *token;
};

/* True if the letter is one of ours. */
bool nx_client_identity_option(int letter, const char *value, struct nx_client_paths *paths);
enum nx_status nx_client_identity_check(const struct nx_client_paths *paths, struct nx_err *err);

/* Reads the files. After a failure there is nothing to close. */
enum nx_status nx_client_identity_open(const struct nx_client_paths *paths,
                                       struct nx_client_identity *identity, struct nx_err *err);
void nx_client_identity_close(struct nx_client_identity *identity);

#endif
