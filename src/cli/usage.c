#include "cli/usage.h"

#include <stddef.h>
#include <string.h>

struct usage {
    const char *command;
    const char *calls; /* one a line, without the word nexus */
    const char *about;
};

static const struct usage usages[] = {
    {"server", "server [--KEY VALUE ...]\n",
     "server    runs a node from ./nexus.cfg; a key given here overrides the file's,\n"
     "          as in --local_id 3 or --RDMA/provider tcp; man nexus.cfg has the keys\n"},
    {"client",
     "client <function-tier-node> installmodel <tag> <synset> <symbol> <params>\n"
     "client <function-tier-node> installmodel <tag> <synset> <model.onnx>\n"
     "client <function-tier-node> inference <models> <photo>\n"
     "client <function-tier-node> removemodel <tag>\n"
     "client <function-tier-node> models [--json]\n",
     "client    asks a function tier node, given as host:port (127.0.0.1:28000)\n"
     "          <models>                tags or names, also with a version: 1,rose:3\n"
     "          models                  what every replica holds; --json: one object\n"
     "          --recipe NAME|FILE      installmodel: how a photo becomes the input;\n"
     "                                  a FILE has '/' or '.'\n"
     "          --calibration FILE      installmodel: serve in int8 (model calibrate)\n"
     "          --replace               installmodel: replace the tag's model\n"
     "          --timeout SECONDS       wait this long for the answer\n"
     "                                  (60; installmodel: 600)\n"
     "          --ca FILE               use TLS; the authorities to trust (PEM)\n"
     "          --cert FILE --key FILE  this client's certificate, and its key\n"
     "          --token FILE            a bearer token, for nodes that require one\n"},
    {"status", "status <function-tier-node> [--json]\n",
     "status    prints the group as a node sees it: members, shards, models, views\n"
     "          --json  one object   --timeout SECONDS (10)\n"
     "          --ca, --cert, --key, --token: as for client\n"},
    {"top", "top <function-tier-node> [--interval SECONDS]\n",
     "top       shows what status prints, live; q quits. Into a pipe: once\n"
     "          --interval SECONDS (1)   --timeout SECONDS (5)\n"
     "          --ca, --cert, --key, --token: as for client\n"},
    {"model",
     "model inspect <symbol> <params> | <model.onnx> [--batch N] [--json]\n"
     "model run <symbol> <params> | <model.onnx> --input [NAME=]X.npy ... [--output FOLDER]\n"
     "model time <symbol> <params> | <model.onnx> [--batch N] [--rounds N] [--top N]\n"
     "model calibrate <symbol> <params> | <model.onnx> --photos FOLDER|LIST --output FILE\n",
     "model     inspect    prints a model's graph, size and cost, and the parts that\n"
     "                     cannot run (exit status 1)\n"
     "          run        runs the model on tensors, without a service\n"
     "          time       shows how long each step of a run takes\n"
     "          calibrate  finds the ranges that int8 needs: [--recipe NAME|FILE]\n"
     "                     [--percentile P | --minmax]\n"
     "          all:                 --backend NAME  --size HxW\n"
     "          all but inspect:     --threads N\n"
     "          all but calibrate:   --precision f32|bf16|int8\n"
     "                               --calibration FILE, which int8 needs\n"},
    {"profile", "profile <synset> <symbol> <params> | <synset> <model.onnx> [options]\n",
     "profile   measures a model's latency per batch size, for [CATEGORIZER] profiles\n"
     "          --batch-max N (8)  --threads N (one per core)  --backend NAME (auto)\n"
     "          --precision f32|bf16|int8 (f32)   --calibration FILE, which int8 needs\n"
     "          --repeats N (20)  --recipe NAME|FILE  --out FILE (standard output)\n"},
    {"log", "log <dir> [--verify] [--json]\n",
     "log       prints a shard's durable log and checks it; exit status 1: damaged,\n"
     "          3: only its tail is torn (the next start cuts it)\n"
     "          --verify  do not print the records   --json  one object\n"},
};
enum { USAGES = sizeof usages / sizeof usages[0] };

static const struct usage *find(const char *command)
{
    for (size_t i = 0; command && i < USAGES; i++)
        if (!strcmp(usages[i].command, command))
            return &usages[i];
    return NULL;
}

/* Each call on a line of its own, below one another. */
static void print_calls(FILE *out, const struct usage *usage, bool first)
{
    for (const char *at = usage->calls; *at; first = false) {
        size_t len = strcspn(at, "\n") + 1;
        fprintf(out, "%s nexus %.*s", first ? "usage:" : "      ", (int)len, at);
        at += len;
    }
}

bool nx_usage_print(FILE *out, const char *command)
{
    const struct usage *one = find(command);
    const struct usage *begin = one ? one : usages, *end = one ? one + 1 : usages + USAGES;
    for (const struct usage *u = begin; u < end; u++)
        print_calls(out, u, u == begin);
    fputs(one ? "" : "       nexus [COMMAND] --help | --version\n", out);
    for (const struct usage *u = begin; u < end; u++)
        fprintf(out, "\n%s", u->about);
    return fflush(out) == 0 && !ferror(out);
}
