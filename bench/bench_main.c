/* nexus-bench MODE [options]: a table of modes, and their options. */
#include "bench/bench.h"
#ifdef NX_BENCH_INFER
#include "bench/bench_batcher.h"
#include "bench/bench_infer.h"
#endif
#ifdef NX_BENCH_SERVE
#include "bench/bench_serve.h"
#include "bench/bench_upload.h"
#endif

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: nexus-bench raw|multicast|bulk|p2p|idle|silence|kill|ready|hogged [options]\n"
#ifdef NX_BENCH_INFER
    "       nexus-bench infer …\n"
    "       nexus-bench batcher …\n"
#endif
#ifdef NX_BENCH_SERVE
    "       nexus-bench serve HOST:PORT … (a load on running nodes)\n"
    "       nexus-bench upload …\n"
#endif
    "  --nodes N      processes, 2 to 32                       (3; p2p, idle: 2; ready: 6)\n"
    "  --size B       bytes of a message, query or transfer    (100; bulk: 100000000)\n"
    "  --reply B      bytes of an answer, p2p                  (16)\n"
    "  --window W     messages or queries outstanding          (4096; p2p: 64)\n"
    "  --seconds S    per measurement                          (1; idle: 3; hogged: 10; not bulk)\n"
    "  --rounds R     measurements of each kind, interleaved   (3; silence: 5; kill: 20)\n"
    "  --spin|--block poll without end, or sleep when idle     (--spin; the last five: --block)\n"
    "  --spin-us US   looked on before falling asleep, --block (0)\n"
    "  --senders one|all                                       (one)\n"
    "  --provider P   libfabric's                              (tcp)\n"
    "  --timeout MS   of silent members; 0: none               (1500; hogged: 100)\n";

static const struct {
    const char *name;
    int (*run)(const struct bench_options *options);
    struct bench_options defaults;
} modes[] = {
    {"raw", bench_main_raw, {3, 4096, 3, 100, 16, 1, false, false, "tcp", 1500, 0}},
    {"multicast", bench_main_multicast, {3, 4096, 3, 100, 16, 1, false, false, "tcp", 1500, 0}},
    {"bulk", bench_main_bulk, {3, 1, 3, 100000000, 16, 0, false, false, "tcp", 1500, 0}},
    {"p2p", bench_main_p2p, {2, 64, 3, 100, 16, 1, false, false, "tcp", 1500, 0}},
    {"idle", bench_main_idle, {2, 1, 1, 0, 0, 3, true, false, "tcp", 1500, 0}},
    {"silence", bench_main_silence, {3, 1, 5, 0, 0, 0, true, false, "tcp", 1500, 0}},
    {"kill", bench_main_kill, {3, 1, 20, 100, 0, 0, true, false, "tcp", 1500, 0}},
    {"ready", bench_main_ready, {6, 1, 5, 0, 0, 0, true, false, "tcp", 1500, 0}},
    {"hogged", bench_main_hogged, {3, 1, 1, 0, 0, 10, true, false, "tcp", 100, 0}},
};

static int complain(const char *what, const char *value)
{
    fprintf(stderr, "nexus-bench: %s %s\n%s", what, value, usage);
    return 2;
}

static bool parse_number(const char *text, double low, double high, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value >= low && *value <= high;
}

enum {
    OPT_NODES = 1,
    OPT_SIZE,
    OPT_REPLY,
    OPT_WINDOW,
    OPT_SECONDS,
    OPT_ROUNDS,
    OPT_SPIN,
    OPT_BLOCK,
    OPT_SENDERS,
    OPT_PROVIDER,
    OPT_TIMEOUT,
    OPT_SPIN_US
};

static bool apply(struct bench_options *o, int option, const char *arg)
{
    double v = 0;
    switch (option) {
    case OPT_NODES: return parse_number(arg, 2, 32, &v) && (o->nodes = (unsigned)v, true);
    case OPT_SIZE: return parse_number(arg, 1, 1e12, &v) && (o->size = (uint64_t)v, true);
    case OPT_REPLY: return parse_number(arg, 1, 1e7, &v) && (o->reply = (uint64_t)v, true);
    case OPT_WINDOW: return parse_number(arg, 1, 1e6, &v) && (o->window = (unsigned)v, true);
    case OPT_SECONDS: return parse_number(arg, 0.01, 3600, &v) && (o->seconds = v, true);
    case OPT_ROUNDS:
        return parse_number(arg, 1, BENCH_ROUNDS_MAX, &v) && (o->rounds = (unsigned)v, true);
    case OPT_SPIN: o->block = false; return true;
    case OPT_BLOCK: o->block = true; return true;
    case OPT_SENDERS:
        o->all_send = strcmp(arg, "all") == 0;
        return o->all_send || strcmp(arg, "one") == 0;
    case OPT_PROVIDER: snprintf(o->provider, sizeof o->provider, "%s", arg); return true;
    case OPT_TIMEOUT:
        return parse_number(arg, 0, 3600000, &v) && (o->timeout_ms = (unsigned)v, true);
    case OPT_SPIN_US: return parse_number(arg, 0, 10000, &v) && (o->spin_us = (unsigned)v, true);
    default: return false;
    }
}

static int run_mode(size_t mode, int argc, char **argv)
{
    static const struct option table[] = {
        {"nodes", 1, NULL, OPT_NODES},
        {"size", 1, NULL, OPT_SIZE},
        {"reply", 1, NULL, OPT_REPLY},
        {"window", 1, NULL, OPT_WINDOW},
        {"seconds", 1, NULL, OPT_SECONDS},
        {"rounds", 1, NULL, OPT_ROUNDS},
        {"spin", 0, NULL, OPT_SPIN},
        {"block", 0, NULL, OPT_BLOCK},
        {"senders", 1, NULL, OPT_SENDERS},
        {"provider", 1, NULL, OPT_PROVIDER},
        {"timeout", 1, NULL, OPT_TIMEOUT},
        {"spin-us", 1, NULL, OPT_SPIN_US},
        {NULL, 0, NULL, 0},
    };
    struct bench_options o = modes[mode].defaults;
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1)
        if (!apply(&o, option, optarg))
            return complain("bad option near", argv[optind - 1]);
    if (optind != argc)
        return complain("superfluous argument", argv[optind]);
    return modes[mode].run(&o);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return complain("a mode is missing:", "");
#ifdef NX_BENCH_INFER
    if (strcmp(argv[1], "infer") == 0)
        return nx_bench_infer(argc - 1, argv + 1);
    if (strcmp(argv[1], "batcher") == 0)
        return nx_bench_batcher(argc - 1, argv + 1);
#endif
#ifdef NX_BENCH_SERVE
    if (strcmp(argv[1], "serve") == 0)
        return nx_bench_serve(argc - 1, argv + 1);
    if (strcmp(argv[1], "upload") == 0)
        return nx_bench_upload(argc - 1, argv + 1);
#endif
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            return run_mode(i, argc - 1, argv + 1);
    return complain("unknown mode", argv[1]);
}
