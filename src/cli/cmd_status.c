/* nexus status: the group as one of its function tier nodes sees it, once. */
#include "cli/client_args.h"
#include "cli/client_status.h"
#include "cli/cmd.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, TIMEOUT_S = 10, TEXT_MAX = 64 << 20 };

static volatile sig_atomic_t interrupted; /* by nobody: a signal ends the process as it is */

struct args {
    const char *node;
    uint32_t timeout_s;
    bool json, help;
};

static enum nx_status parse(int argc, char **argv, struct args *args, struct nx_err *err)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        switch (option) {
        case 'j': args->json = true; break;
        case 't': NX_TRY(nx_client_parse_timeout(optarg, &args->timeout_s, err)); break;
        case 'h': args->help = true; return NX_OK;
        case ':': return nx_err_set(err, NX_INVALID, "%s needs a value", argv[optind - 1]);
        default: return nx_err_set(err, NX_INVALID, "unknown option %s", argv[optind - 1]);
        }
    }
    if (argc - optind != 1)
        return nx_err_set(err, NX_INVALID, "%d arguments; it takes one node, as 127.0.0.1:28000",
                          argc - optind);
    args->node = argv[optind];
    return nx_client_check_node(args->node, err);
}

static enum nx_status print(const struct nx_pb_status *status, bool json, struct nx_err *err)
{
    struct nx_text text;
    nx_text_init(&text, TEXT_MAX);
    if (json) {
        nx_pb_status_json(status, &text);
    } else {
        nx_client_status_table(status, &text);
        nx_text_add(&text, "\nsince its start: ");
        nx_client_status_traffic(&status->traffic, (double)status->uptime_ms / 1e3, &text);
    }
    bool written =
        !text.bad && fwrite(text.at, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
    nx_text_free(&text);
    return written ? NX_OK : nx_err_set(err, NX_IO, "cannot write the status: %s", strerror(errno));
}

int nx_cmd_status(int argc, char **argv)
{
    struct args args = {.timeout_s = TIMEOUT_S};
    struct nx_pb_status status;
    struct nx_arena arena;
    struct nx_err err = {0};
    if (parse(argc, argv, &args, &err) != NX_OK) {
        fprintf(stderr, "nexus status: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (args.help)
        return nx_cmd_help(argc, argv);
    nx_arena_init(&arena, NX_PB_STATUS_ALLOC_BYTES);
    enum nx_status done =
        nx_client_status(args.node, args.timeout_s, &interrupted, &arena, &status, &err);
    if (done == NX_OK)
        done = print(&status, args.json, &err);
    nx_arena_free(&arena);
    if (done != NX_OK)
        fprintf(stderr, "nexus status: %s\n", err.text);
    return done == NX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
