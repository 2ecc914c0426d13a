#include "cli/cmd.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: nexus server [--KEY VALUE ...]\n"
    "       nexus client <function-tier-node> installmodel <tag> <synset> <symbol> <params>\n"
    "       nexus client <function-tier-node> installmodel <tag> <synset> <model.onnx>\n"
    "       nexus client <function-tier-node> inference <models> <photo>\n"
    "       nexus client <function-tier-node> removemodel <tag>\n"
    "       nexus client <function-tier-node> models [--json]\n"
    "       nexus status <function-tier-node> [--json]\n"
    "       nexus top <function-tier-node> [--interval SECONDS]\n"
    "       nexus profile <synset> <symbol> <params> | <synset> <model.onnx> [options]\n"
    "       nexus log <dir> [--verify] [--json]\n"
    "       nexus model inspect <symbol> <params> | <model.onnx> [--batch N] [--json]\n"
    "       nexus model run <symbol> <params> | <model.onnx> --input [NAME=]X.npy ... [--output "
    "DIR]\n"
    "       nexus model time <symbol> <params> | <model.onnx> [--batch N] [--threads N]\n"
    "       nexus --help | --version\n"
    "\n"
    "server    runs a node from ./nexus.cfg; a key given here overrides the file's,\n"
    "          as in --local_id 3 or --RDMA/provider tcp\n"
    "log       prints a shard's durable log and checks it; exit status 1 if it is wrong,\n"
    "          3 if only its tail is torn (the next start cuts it)\n"
    "          --verify  without the records   --json  one object\n"
    "model     inspect prints a model's graph, size and cost, and what of it cannot run (exit "
    "status 1)\n"
    "          run     puts tensors through it, without a service\n"
    "          time    says which steps of a run take how long\n"
    "          all: --precision P  --backend NAME  --size HxW; run, time: --threads N;\n"
    "          inspect, time: --batch N; time: --rounds N  --top N\n"
    "client    asks a function tier node, given as host:port (127.0.0.1:28000)\n"
    "          tags  one tag or several: 1 or 1,2,3\n"
    "          --ca FILE           speak TLS, and believe whom these authorities vouch for (PEM)\n"
    "          --cert FILE --key FILE  the certificate to show, and its key\n"
    "          --token FILE        a bearer token, for nodes that want one\n"
    "          --recipe NAME|FILE  how a photo becomes the model's input; a FILE has '/' or '.'\n"
    "          --replace           installmodel: in place of the tag's model, without a gap\n"
    "          --timeout SECONDS   how long to wait for the answer (60; installmodel: 600)\n"
    "          models prints what every replica holds; --json as one object\n"
    "status    prints the group as a node sees it: members, shards, models, the latest views\n"
    "          --json  one object   --timeout SECONDS (10)\n"
    "          --ca, --cert, --key, --token: as of client\n"
    "top       the same, live; q quits. Into a pipe: once\n"
    "          --interval SECONDS (1)   --timeout SECONDS (5)\n"
    "          --ca, --cert, --key, --token: as of client\n"
    "profile   measures a model's latency per batch size, for [CATEGORIZER] profiles\n"
    "          --batch-max N (8)  --threads N (one per core)  --backend NAME (auto)\n"
    "          --precision f32|bf16 (f32)\n"
    "          --repeats N (20)   --recipe NAME|FILE   --out FILE (the standard output)\n";

int nx_cmd_help(int argc, char **argv)
{
    (void)argc, (void)argv;
    return fputs(usage, stdout) == EOF || fflush(stdout) == EOF;
}

static int print_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    return printf("nexus %s\n", NX_VERSION) < 0 || fflush(stdout) == EOF;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} modes[] = {
    {"client", nx_cmd_client},    {"log", nx_cmd_log},       {"model", nx_cmd_model},
    {"profile", nx_cmd_profile},  {"server", nx_cmd_server}, {"status", nx_cmd_status},
    {"top", nx_cmd_top},          {"--help", nx_cmd_help},   {"-h", nx_cmd_help},
    {"--version", print_version},
};

static bool asks_for_help(const char *argument)
{
    return !strcmp(argument, "--help") || !strcmp(argument, "-h");
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
    if (argc < 2 || (argc > 2 && asks_for_help(argv[2])))
        return nx_cmd_help(argc, argv);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (!strcmp(argv[1], modes[i].name))
            return modes[i].run(argc - 1, argv + 1);
    fprintf(stderr, "nexus: unknown mode \"%s\"\n%s", argv[1], usage);
    return 2;
}
