#include "cli/cmd.h"
#include "cli/usage.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int nx_cmd_help(int argc, char **argv)
{
    return nx_usage_print(stdout, argc > 0 ? argv[0] : NULL) ? 0 : 1;
}

static int print_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    return printf("nexus %s\n", NX_VERSION) < 0 || fflush(stdout) == EOF;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"client", nx_cmd_client},    {"log", nx_cmd_log},       {"model", nx_cmd_model},
    {"profile", nx_cmd_profile},  {"server", nx_cmd_server}, {"status", nx_cmd_status},
    {"top", nx_cmd_top},          {"--help", nx_cmd_help},   {"-h", nx_cmd_help},
    {"--version", print_version},
};

/* `nexus client --help`, `nexus model run --help`; behind more arguments a command looks for it itself. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 2; i < argc && i < 4; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

/* Libraries of fabric providers catch fatal signals when they are loaded, print a trace and exit with 1: a crash would
 * look like a refusal, and SIGTERM to a client that is just starting as well. Sanitizers keep theirs. */
static void restore_signals(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    static const int caught[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        signal(caught[i], SIG_DFL);
#endif
}

int main(int argc, char **argv)
{
    restore_signals();
    if (argc < 2 || asks_for_help(argc, argv))
        return nx_cmd_help(argc - 1, argv + 1);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "nexus: unknown command \"%s\"; see nexus --help\n", argv[1]);
    return 2;
}
