/* What do clients of a running node see?
 *
 *   nexus-bench serve HOST:PORT[,HOST:PORT…] --api NAME [options]; `usage` below has them all
 *
 * Open loop (--rate): requests are due by a Poisson process, and latencies count from then. A generator that waits for an
 * answer before it asks again leaves out just the requests that would have been slow; "from sent" shows what it would
 * have reported. Closed loop (--clients): "corrected" adds what the clients would have asked meanwhile. */
#include "bench/bench_serve.h"

#include "bench/bench_held.h"
#include "bench/load/load_report.h"
#include "common/arena.h"
#include "common/given_file.h"

#include <getopt.h>
#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    HOST_BYTES = 256,
    REPORT_BYTES_MAX = 1 << 20,
    CONNECTIONS_MAX = 60000,
    STREAMS_MAX = 1000,
    ELEMENTS_MAX = 16 << 20
};

static const char usage[] =
    "usage: nexus-bench serve HOST:PORT[,HOST:PORT…] --api NAME (--rate R | --clients N | --idle "
    "N) "
    "[options]\n"
    "  --api NAME        %s\n"
    "  --rate R          open loop: so many requests per second, Poisson\n"
    "  --clients N       closed loop: N clients, each asks again when it is answered\n"
    "  --idle N          N connections that ask once and are then silent for --seconds; --pid PID "
    "of the\n"
    "                    node: what they cost it\n"
    "  --seconds S       of measurement                             (5)\n"
    "  --warmup S        before it, not counted                     (0.5)\n"
    "  --timeout-ms T    for one answer                             (10000)\n"
    "  --connections C   over all nodes and threads                 (closed loop: N; open: 32)\n"
    "  --streams S       calls at once on a gRPC connection         (100; closed loop: 1)\n"
    "  --threads T       that send                                  (1)\n"
    "  --model M         tag or name; --photo FILE, --input NAME    (input: data)\n"
    "  --tensor D[,D…]   for v2-*: FP32 zeros of that shape, in place of a photo\n"
    "  --header 'N: V'   beside the API's own, up to 8\n"
    "  --tls             --ca FILE to verify the server, --cert FILE --key FILE to be verified\n"
    "  --seed N          of the arrivals                            (1)\n"
    "  --json            one JSON object instead of text\n";

struct serve {
    struct load_options options;
    struct load_ask ask;
    struct load_tls_files files;
    const char *nodes, *photo;
    char hosts[LOAD_TARGETS_MAX][HOST_BYTES];
    double seconds, warmup, timeout_ms;
    unsigned headers_count, idle, node_pid;
    bool tls, json;
};

static int complain(const char *text)
{
    fprintf(stderr, "nexus-bench serve: %s\n", text);
    return 2;
}

/* --- options ---------------------------------------------------------------------------------------- */

static bool parse_number(const char *text, double low, double high, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value >= low && *value <= high;
}

static bool parse_count(const char *text, unsigned high, unsigned *value)
{
    double v;
    if (!parse_number(text, 1, high, &v))
        return false;
    *value = (unsigned)v;
    return true;
}

enum {
    OPT_API = 1,
    OPT_RATE,
    OPT_CLIENTS,
    OPT_IDLE,
    OPT_PID,
    OPT_SECONDS,
    OPT_WARMUP,
    OPT_TIMEOUT,
    OPT_CONNECTIONS,
    OPT_STREAMS,
    OPT_THREADS,
    OPT_MODEL,
    OPT_PHOTO,
    OPT_INPUT,
    OPT_TENSOR,
    OPT_HEADER,
    OPT_TLS,
    OPT_CA,
    OPT_CERT,
    OPT_KEY,
    OPT_SEED,
    OPT_JSON
};

static bool add_header(struct serve *s, const char *header)
{
    if (s->headers_count == LOAD_HEADERS_MAX)
        return false;
    s->ask.headers[s->headers_count++] = header;
    return true;
}

static bool parse_shape(const char *text, struct load_ask *ask)
{
    uint64_t elements = 1;
    for (ask->rank = 0; ask->rank < LOAD_RANK_MAX; text++) {
        char *end;
        unsigned long d = strtoul(text, &end, 10);
        elements *= d;
        if (end == text || d < 1 || d > ELEMENTS_MAX || elements > ELEMENTS_MAX)
            return false;
        ask->dims[ask->rank++] = (uint32_t)d;
        text = end;
        if (*end != ',')
            return *end == 0;
    }
    return false;
}

static bool apply_load(struct serve *s, int option, const char *arg)
{
    struct load_options *o = &s->options;
    double v;
    switch (option) {
    case OPT_RATE: return parse_number(arg, 0.01, 1e7, &o->rate);
    case OPT_CLIENTS: return parse_count(arg, CONNECTIONS_MAX, &o->clients);
    case OPT_IDLE: return parse_count(arg, CONNECTIONS_MAX, &s->idle);
    case OPT_PID: return parse_count(arg, INT_MAX, &s->node_pid);
    case OPT_SECONDS: return parse_number(arg, 0.05, 86400, &s->seconds);
    case OPT_WARMUP: return parse_number(arg, 0, 3600, &s->warmup);
    case OPT_TIMEOUT: return parse_number(arg, 1, 3600000, &s->timeout_ms);
    case OPT_CONNECTIONS: return parse_count(arg, CONNECTIONS_MAX, &o->connections);
    case OPT_STREAMS: return parse_count(arg, STREAMS_MAX, &o->streams);
    case OPT_THREADS: return parse_count(arg, LOAD_THREADS_MAX, &o->threads);
    case OPT_SEED: return parse_number(arg, 0, 1e15, &v) && (o->seed = (uint64_t)v, true);
    default: return false;
    }
}

static bool apply(struct serve *s, int option, const char *arg)
{
    switch (option) {
    case OPT_API: s->ask.api = arg; return true;
    case OPT_MODEL: s->ask.model = arg; return true;
    case OPT_PHOTO: s->photo = arg; return true;
    case OPT_INPUT: s->ask.input = arg; return true;
    case OPT_TENSOR: return parse_shape(arg, &s->ask);
    case OPT_HEADER: return add_header(s, arg);
    case OPT_TLS: s->tls = true; return true;
    case OPT_CA: s->files.ca = arg; return s->tls = true;
    case OPT_CERT: s->files.cert = arg; return s->tls = true;
    case OPT_KEY: s->files.key = arg; return s->tls = true;
    case OPT_JSON: s->json = true; return true;
    default: return apply_load(s, option, arg);
    }
}

static bool parse_options(struct serve *s, int argc, char **argv)
{
    static const struct option table[] = {
        {"api", 1, NULL, OPT_API},
        {"rate", 1, NULL, OPT_RATE},
        {"clients", 1, NULL, OPT_CLIENTS},
        {"idle", 1, NULL, OPT_IDLE},
        {"pid", 1, NULL, OPT_PID},
        {"seconds", 1, NULL, OPT_SECONDS},
        {"warmup", 1, NULL, OPT_WARMUP},
        {"timeout-ms", 1, NULL, OPT_TIMEOUT},
        {"connections", 1, NULL, OPT_CONNECTIONS},
        {"streams", 1, NULL, OPT_STREAMS},
        {"threads", 1, NULL, OPT_THREADS},
        {"model", 1, NULL, OPT_MODEL},
        {"photo", 1, NULL, OPT_PHOTO},
        {"input", 1, NULL, OPT_INPUT},
        {"tensor", 1, NULL, OPT_TENSOR},
        {"header", 1, NULL, OPT_HEADER},
        {"tls", 0, NULL, OPT_TLS},
        {"ca", 1, NULL, OPT_CA},
        {"cert", 1, NULL, OPT_CERT},
        {"key", 1, NULL, OPT_KEY},
        {"seed", 1, NULL, OPT_SEED},
        {"json", 0, NULL, OPT_JSON},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1)
        if (!apply(s, option, optarg))
            return false;
    if (optind + 1 == argc)
        s->nodes = argv[optind];
    int modes = (s->options.rate > 0) + (s->options.clients > 0) + (s->idle > 0);
    return s->nodes && s->ask.api && modes == 1;
}

/* --- preparations ----------------------------------------------------------------------------------- */

static bool read_photo(struct serve *s, struct nx_err *err)
{
    const struct nx_given_how how = {.bytes_max = 1 << 30};
    char *bytes;
    if (nx_given_read_whole(s->photo, &how, &bytes, &s->ask.photo_bytes, NULL, err) != NX_OK)
        return false;
    s->ask.photo = (uint8_t *)bytes;
    return true;
}

static enum nx_status find_address(const char *node, struct load_target *target, struct nx_err *err)
{
    char host[HOST_BYTES];
    const char *colon = strrchr(node, ':');
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (!colon || colon == node || (size_t)(colon - node) >= sizeof host)
        return nx_err_set(err, NX_INVALID, "node \"%s\": expected HOST:PORT", node);
    bool brackets = node[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - node) - 2 * brackets, node + brackets);
    int failed = getaddrinfo(host, colon + 1, &hints, &found);
    if (failed)
        return nx_err_set(err, NX_INVALID, "node \"%s\": %s", node, gai_strerror(failed));
    memcpy(&target->address, found->ai_addr, found->ai_addrlen);
    target->len = found->ai_addrlen;
    freeaddrinfo(found);
    return NX_OK;
}

static enum nx_status add_targets(struct serve *s, struct nx_err *err)
{
    for (const char *at = s->nodes; *at;) {
        size_t len = strcspn(at, ",");
        unsigned i = s->options.targets_count;
        if (i == LOAD_TARGETS_MAX || len >= HOST_BYTES)
            return nx_err_set(err, NX_INVALID, "nodes: expected at most %d of them",
                              LOAD_TARGETS_MAX);
        snprintf(s->hosts[i], HOST_BYTES, "%.*s", (int)len, at);
        NX_TRY(find_address(s->hosts[i], &s->options.targets[i], err));
        s->ask.host = s->hosts[i];
        NX_TRY(load_api_make(&s->ask, &s->options.targets[i].request, err));
        s->options.targets_count++;
        at += len + (at[len] == ',');
    }
    return NX_OK;
}

static void set_defaults(struct serve *s)
{
    struct load_options *o = &s->options;
    bool open = o->rate > 0, grpc = o->targets[0].request.grpc;
    if (s->idle)
        o->connections = s->idle;
    if (!o->connections)
        o->connections = open ? 32 : o->clients;
    if (o->threads > o->connections)
        o->threads = o->connections;
    if (!o->streams)
        o->streams = open ? 100 : (o->clients + o->connections - 1) / o->connections;
    if (!grpc)
        o->streams = 1;
    o->duration = (nx_ns)(s->seconds * (double)NX_SEC);
    o->warmup = (nx_ns)(s->warmup * (double)NX_SEC);
    o->timeout = (nx_ns)(s->timeout_ms * (double)NX_MS);
}

static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum nx_status check_room(const struct load_options *o, struct nx_err *err)
{
    if ((uint64_t)o->connections * o->streams >= o->clients)
        return NX_OK;
    return nx_err_set(err, NX_INVALID,
                      "%u clients: expected at most %u, since %u connections carry %u calls each",
                      o->clients, o->connections * o->streams, o->connections, o->streams);
}

static enum nx_status prepare(struct serve *s, struct nx_err *err)
{
    if (s->photo && !read_photo(s, err))
        return err->status;
    NX_TRY(add_targets(s, err));
    set_defaults(s);
    NX_TRY(check_room(&s->options, err));
    if (s->tls)
        NX_TRY(load_tls_open(&s->files, s->options.targets[0].request.grpc, &s->options.tls, err));
    return NX_OK;
}

/* --- the mode --------------------------------------------------------------------------------------- */

static void print_report(const struct serve *s, const struct load_result *result)
{
    struct load_about about = {s->ask.api, s->nodes, s->options.targets[0].request.len};
    struct nx_text text;
    nx_text_init(&text, REPORT_BYTES_MAX);
    (s->json ? load_report_json : load_report_text)(&about, &s->options, result, &text);
    fputs(text.at && !text.bad ? text.at : "nexus-bench serve: no memory for the report\n", stdout);
    nx_text_free(&text);
}

static int measure(struct serve *s)
{
    if (s->idle)
        return bench_held(&s->options, (int)s->node_pid);
    struct nx_err err = {0};
    struct load_result *result = nx_calloc(1, sizeof *result);
    if (!result)
        return complain("out of memory");
    enum nx_status status = load_run(&s->options, result, &err);
    if (status == NX_OK)
        print_report(s, result);
    else
        complain(err.text);
    int code = status == NX_OK && result->ok > 0 ? 0 : 1;
    free(result);
    return code;
}

int nx_bench_serve(int argc, char **argv)
{
    struct serve s = {.ask.input = "data",
                      .options = {.threads = 1, .seed = 1},
                      .seconds = 5,
                      .warmup = 0.5,
                      .timeout_ms = 10000};
    struct nx_err err = {0};
    if (!parse_options(&s, argc, argv)) {
        fprintf(stderr, usage, load_api_names());
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_descriptors();
    int code = prepare(&s, &err) == NX_OK ? measure(&s) : complain(err.text);
    for (unsigned i = 0; i < s.options.targets_count; i++)
        load_api_free(&s.options.targets[i].request);
    load_tls_close(s.options.tls);
    free((void *)(uintptr_t)s.ask.photo);
    return code;
}
