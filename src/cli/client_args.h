/* client_args.h — what `nexus client` was asked to do, as a checked value.
 *
 * Everything that can be known wrong without opening a file is found here, so that a mistyped
 * command sends nothing: operands missing or superfluous, a tag that is not a decimal number of
 * 32 bits, a model that is neither that nor a name, a node that is not host:port, an option that
 * does not belong to the verb.
 *
 * Owner    strings point into argv
 * Thread   one at a time (getopt_long keeps state)
 * Failure  NX_INVALID with one sentence that quotes the value */
#ifndef NX_CLI_CLIENT_ARGS_H
#define NX_CLI_CLIENT_ARGS_H

#include "cli/client_identity.h"
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#define NX_CLIENT_TAGS_MAX       64
#define NX_CLIENT_TIMEOUT_S_MAX  86400
#define NX_CLIENT_NODE_BYTES_MAX 255
#define NX_CLIENT_NAME_BYTES     128 /* the NUL included */

enum nx_client_verb { NX_CLIENT_INSTALL, NX_CLIENT_INFER, NX_CLIENT_REMOVE, NX_CLIENT_MODELS };

struct nx_client_model {
    char name[NX_CLIENT_NAME_BYTES]; /* a tag in digits, too */
    uint64_t version;                /* 0: whichever serves */
};

struct nx_client_args {
    enum nx_client_verb verb;
    bool help;        /* only the usage was asked for; nothing else is filled */
    const char *node; /* host:port, or [v6 address]:port */
    /* in the order given; one, except for inference and models */
    uint32_t tags[NX_CLIENT_TAGS_MAX];
    uint32_t tag_count;
    bool by_name; /* inference: one of them is no plain tag, and the models say who is asked */
    struct nx_client_model models[NX_CLIENT_TAGS_MAX]; /* inference: tag_count of them */
    bool json;                                         /* models */
    const char *photo_path;                            /* inference */
    const char *synset_path;                           /* install, from here on */
    const char *model_path;                            /* the symbol file, or the .onnx file */
    const char *params_path;      /* NULL for a .onnx file, which holds its own */
    const char *recipe;           /* NULL unless given, */
    const char *calibration_path; /* and so is this: for int8 */
    bool replace;
    uint32_t timeout_s; /* for the whole call, 1..NX_CLIENT_TIMEOUT_S_MAX */
    struct nx_client_paths paths;
};

/* argv[0] is "client". Writes *args only on success. */
enum nx_status nx_client_args_parse(int argc, char **argv, struct nx_client_args *args,
                                    struct nx_err *err);

/* "7" → 7, digits only. False for anything else, and for what 32 bits do not hold. */
bool nx_client_parse_u32(const char *text, uint32_t *value);

/* host:port, or [v6 address]:port. */
enum nx_status nx_client_check_node(const char *node, struct nx_err *err);

/* Seconds from 1 to NX_CLIENT_TIMEOUT_S_MAX; writes only on success. */
enum nx_status nx_client_parse_timeout(const char *text, uint32_t *timeout_s, struct nx_err *err);

#endif
