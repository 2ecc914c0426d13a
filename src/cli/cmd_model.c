/* cmd_model.c — `nexus model inspect|run|time|calibrate FILES …`: what is in a model, what does it say to these tensors,
 * where does its time go, and which ranges do its values take?
 *
 * Works on files, without a service.
 * Exit status  0 the model runs, or ran   1 it does not, or a file could not be read or written   2 usage */
#include "cli/cmd.h"
#include "cli/model_args.h"
#include "cli/model_calibrate.h"
#include "cli/model_print.h"
#include "cli/model_run.h"
#include "cli/model_time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };
#define HELP "nexus model --help"

static int inspect(const struct nx_model_args *args)
{
    struct nx_inspection inspection;
    nx_model_inspect(&args->files, &args->options, &inspection);
    bool printed = args->json ? nx_model_print_json(stdout, &inspection)
                              : nx_model_print_text(stdout, &inspection);
    bool runs = inspection.err.status == NX_OK;
    if (!runs)
        fprintf(stderr, "nexus model: %s\n", inspection.err.text);
    nx_inspection_close(&inspection);
    return printed && runs ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* By enum nx_model_verb; NULL: inspect, whose failure is told with what was found. */
static enum nx_status (*const works[])(struct nx_model_args *, FILE *, struct nx_err *) = {
    [NX_MODEL_INSPECT] = NULL,
    [NX_MODEL_RUN] = nx_model_run_files,
    [NX_MODEL_TIME] = nx_model_time_files,
    [NX_MODEL_CALIBRATE] = nx_model_calibrate_files,
};

static int work(struct nx_model_args *args, enum nx_model_verb verb)
{
    struct nx_err err = {0};
    if (!works[verb])
        return inspect(args);
    enum nx_status status = works[verb](args, stdout, &err);
    if (status != NX_OK)
        fprintf(stderr, "nexus model: %s\n", err.text);
    return status == NX_OK && fflush(stdout) != EOF && !ferror(stdout) ? EXIT_SUCCESS
                                                                       : EXIT_FAILURE;
}

static bool read_verb(const char *text, enum nx_model_verb *verb)
{
    static const char *const names[] = {"inspect", "run", "time", "calibrate"};
    for (*verb = NX_MODEL_INSPECT; *verb <= NX_MODEL_CALIBRATE; (*verb)++)
        if (!strcmp(text, names[*verb]))
            return true;
    return false;
}

int nx_cmd_model(int argc, char **argv)
{
    struct nx_err err = {0};
    struct nx_model_args args;
    enum nx_model_verb verb;
    if (argc < 2 || !read_verb(argv[1], &verb)) {
        fprintf(stderr, "nexus model: inspect, run, time or calibrate is expected; see " HELP "\n");
        return EXIT_USAGE;
    }
    if (verb != NX_MODEL_INSPECT)
        nx_cmd_wait_passively(argc, argv);
    enum nx_status status = nx_model_args_read(argc - 2, argv + 2, verb, &args, &err);
    int code = EXIT_FAILURE;
    if (status == NX_OK)
        code = work(&args, verb);
    else
        fprintf(stderr, "nexus model: %s%s\n", err.text, status == NX_INVALID ? "; see " HELP : "");
    nx_model_args_close(&args);
    return status == NX_INVALID ? EXIT_USAGE : code;
}
