/* model_run.h — `nexus model run`: tensors from .npy files through a model, and its outputs told or written. */
#ifndef NX_CLI_MODEL_RUN_H
#define NX_CLI_MODEL_RUN_H

#include "cli/model_args.h"

#include <stdio.h>

/* With args->output every output becomes a file <name>.npy there, with '_' for what a file's name does not hold;
 * without, a line says its type, shape and first values. */
enum nx_status nx_model_run_files(struct nx_model_args *args, FILE *out, struct nx_err *err);

#endif
