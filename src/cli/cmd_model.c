/* cmd_model.c — `nexus model inspect|run FILES …`: what is in a model, and what does it say to these tensors?
 *
 * Works on files, without a service.
 * Exit status  0 the model runs, or ran   1 it does not, or a file could not be read or written   2 usage */
#include "cli/cmd.h"
#include "cli/model_args.h"
#include "cli/model_print.h"
#include "cli/model_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "usage: nexus model inspect <symbol> <params> | <model.onnx>  [--batch N] [--backend B] "
    "[--json]\n"
    "       nexus model run     <symbol> <params> | <model.onnx>  --input [NAME=]X.npy ...\n"
    "                           [--output FOLDER] [--backend B] [--threads N]\n";

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

static int run(struct nx_model_args *args)
{
    struct nx_err err = {0};
    enum nx_status status = nx_model_run_files(args, stdout, &err);
    if (status != NX_OK)
        fprintf(stderr, "nexus model: %s\n", err.text);
    return status == NX_OK && fflush(stdout) != EOF && !ferror(stdout) ? EXIT_SUCCESS
                                                                       : EXIT_FAILURE;
}

int nx_cmd_model(int argc, char **argv)
{
    struct nx_err err = {0};
    struct nx_model_args args;
    bool wants_run = argc > 1 && !strcmp(argv[1], "run");
    if (argc < 2 || (!wants_run && strcmp(argv[1], "inspect") != 0)) {
        fprintf(stderr, "nexus model: inspect or run is expected\n%s", usage);
        return EXIT_USAGE;
    }
    enum nx_status status = nx_model_args_read(argc - 2, argv + 2, wants_run, &args, &err);
    int code = EXIT_FAILURE;
    if (status == NX_OK)
        code = wants_run ? run(&args) : inspect(&args);
    else
        fprintf(stderr, "nexus model: %s\n%s", err.text, status == NX_INVALID ? usage : "");
    nx_model_args_close(&args);
    return status == NX_INVALID ? EXIT_USAGE : code;
}
