/* nexus status: the group as one of its function tier nodes sees it, once. */
#include "cli/client_ask.h"
#include "cli/client_status.h"
#include "cli/cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, TIMEOUT_S = 10, TEXT_MAX = 64 << 20 };

static volatile sig_atomic_t interrupted; /* by nobody: a signal ends the process as it is */

struct args {
    struct nx_client_ask ask;
    bool json;
};

static enum nx_status parse(int argc, char **argv, struct args *args, struct nx_err *err)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, NX_CLIENT_ASK_OPTIONS, {0}};
    opterr = 0;
    for (int option;
         !args->ask.help && (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        if (option == 'j')
            args->json = true;
        else
            NX_TRY(nx_client_ask_option(option, argv, &args->ask, err));
    }
    return nx_client_ask_finish(argc, argv, &args->ask, err);
}

/* Who one is is needed until the connection stands. */
static enum nx_status ask(const struct nx_client_ask *ask, struct nx_arena *arena,
                          struct nx_pb_status *status, struct nx_err *err)
{
    struct nx_client_identity identity;
    NX_TRY(nx_client_identity_open(&ask->paths, &identity, err));
    enum nx_status done =
        nx_client_status(ask->node, &identity, ask->timeout_s, &interrupted, arena, status, err);
    nx_client_identity_close(&identity);
    return done;
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
    struct args args = {.ask.timeout_s = TIMEOUT_S};
    struct nx_pb_status status;
    struct nx_arena arena;
    struct nx_err err = {0};
    if (parse(argc, argv, &args, &err) != NX_OK) {
        fprintf(stderr, "nexus status: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (args.ask.help)
        return nx_cmd_help(argc, argv);
    nx_arena_init(&arena, NX_PB_STATUS_ALLOC_BYTES);
    enum nx_status done = ask(&args.ask, &arena, &status, &err);
    if (done == NX_OK)
        done = print(&status, args.json, &err);
    nx_arena_free(&arena);
    if (done != NX_OK)
        fprintf(stderr, "nexus status: %s\n", err.text);
    return done == NX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
