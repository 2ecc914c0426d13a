/* model_args.h — the arguments of `nexus model`, with the files they name opened. */
#ifndef NX_CLI_MODEL_ARGS_H
#define NX_CLI_MODEL_ARGS_H

#include "categorizer/model/calibrate.h"
#include "categorizer/model/inspect.h"
#include "cli/mapped_file.h"

struct nx_model_input_arg {
    const char *name; /* NULL: none was given; not NUL-terminated at the '=' */
    size_t name_len;
    const char *path;
};

enum nx_model_verb { NX_MODEL_INSPECT, NX_MODEL_RUN, NX_MODEL_TIME, NX_MODEL_CALIBRATE };

struct nx_model_args {
    struct nx_model_files files; /* which is which is told by what they hold */
    struct nx_model_options options;
    bool json;
    const char *output; /* a folder, of CALIBRATE a file; or NULL */
    struct nx_model_input_arg inputs[NX_PORTS_MAX];
    uint32_t n_inputs;
    struct nx_mapped_file mapped[2];
    uint32_t n_mapped;
    struct nx_mapped_file calibration;
    const char *photos, *recipe; /* of CALIBRATE: a folder or a list; a preset or a file */
    struct nx_calibration_how how;
    uint32_t rounds, top; /* of TIME: runs, and steps to be told */
};

/* `args` is to be closed whatever comes back. NX_INVALID: usage; anything else is a file's. */
enum nx_status nx_model_args_read(int argc, char **argv, enum nx_model_verb verb,
                                  struct nx_model_args *args, struct nx_err *err);
void nx_model_args_close(struct nx_model_args *args);

#endif
