/* model_time.h — `nexus model time`: how long a run takes, and which of its steps take it. */
#ifndef NX_CLI_MODEL_TIME_H
#define NX_CLI_MODEL_TIME_H

#include "cli/model_args.h"

#include <stdio.h>

/* Some runs on made-up inputs of args->options.load.batch_max rows; then args->rounds watched ones, which the
 * table is about: time by kind of step, then the args->top slowest steps. A disturbed machine shows in the
 * spread, which is told. */
enum nx_status nx_model_time_files(struct nx_model_args *args, FILE *out, struct nx_err *err);

#endif
