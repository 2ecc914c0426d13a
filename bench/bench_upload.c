/* How fast does an upload come in, and what memory does it take?
 *
 *   nexus-bench upload [--megabytes N] [--chunk B] [--cert FILE --key FILE --ca FILE]
 *
 * One gRPC call that streams N MB in messages of B bytes, from this process to a server in another one that counts the
 * bytes and drops them: the wire of the function tier without what is behind it. With certificates both sides show
 * theirs (mTLS). The server's CPU time and its largest resident size are the kernel's figures. */
#include "bench/bench_upload.h"

#include "bench/load/load_run.h"
#include "common/arena.h"
#include "function_tier/grpc/grpc_frame.h"
#include "function_tier/grpc/grpc_server.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB 1000000u

struct upload_options {
    uint64_t bytes;
    uint32_t chunk;
    struct nx_tls_files files; /* of both sides */
};

static int complain(const char *text)
{
    fprintf(stderr, "nexus-bench upload: %s\n", text);
    return 1;
}

/* --- the server ------------------------------------------------------------------------------------- */

static enum nx_call_take drop_message(struct nx_call *call, const uint8_t *bytes, size_t len,
                                      nx_ns now)
{
    (void)call, (void)bytes, (void)len, (void)now;
    return NX_CALL_TAKEN;
}

static void answer(struct nx_call *call, nx_ns now)
{
    (void)now;
    nx_call_finish(call, nx_call_reply(call, "", 0) == NX_OK ? NX_GRPC_OK : NX_GRPC_INTERNAL, NULL);
}

static void gone(struct nx_call *call, enum nx_call_gone why)
{
    (void)call, (void)why;
}

static const struct nx_grpc_method sink = {.path = "/nexus.Bench/Sink",
                                           .kind = NX_CALL_CLIENT_STREAM,
                                           .on_message = drop_message,
                                           .on_end = answer,
                                           .on_cancel = gone};

/* In a process of its own, until it is killed; its port goes through the pipe. */
static _Noreturn void serve(const struct upload_options *o, int pipe_fd)
{
    struct nx_err err = {0};
    struct nx_grpc *server;
    struct nx_grpc_config config = {.at = {.ip = "127.0.0.1"}, .limits = nx_grpc_limits_default()};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (nx_tls_open(&o->files, &config.tls, &err) != NX_OK ||
        nx_grpc_open(&config, &sink, 1, &server, &err) != NX_OK) {
        complain(err.text);
        _exit(1);
    }
    uint16_t port = nx_grpc_port(server);
    if (write(pipe_fd, &port, sizeof port) != sizeof port)
        _exit(1);
    for (;;) {
        struct pollfd p = {.fd = nx_grpc_fd(server), .events = POLLIN};
        poll(&p, 1, 100);
        while (nx_grpc_poll(server, nx_clock_now()))
            ;
    }
}

static pid_t start_server(const struct upload_options *o, uint16_t *port)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        serve(o, ends[1]);
    close(ends[1]);
    if (pid > 0 && read(ends[0], port, sizeof *port) != sizeof *port) {
        waitpid(pid, NULL, 0);
        pid = -1;
    }
    close(ends[0]);
    return pid;
}

/* --- the client ------------------------------------------------------------------------------------- */

static enum nx_status make_request(const struct upload_options *o, struct load_request *request,
                                   struct nx_err *err)
{
    size_t len = NX_GRPC_PREFIX_BYTES + o->chunk;
    *request = (struct load_request){.grpc = true,
                                     .path = sink.path,
                                     .authority = "localhost",
                                     .bytes = nx_calloc(1, len),
                                     .len = len,
                                     .repeats = o->bytes / o->chunk - 1};
    if (!request->bytes)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a chunk of %u bytes", o->chunk);
    nx_grpc_frame_prefix(request->bytes, false, o->chunk);
    return NX_OK;
}

/* One call: the loop ends when it is answered. */
static enum nx_status upload(const struct upload_options *o, uint16_t port,
                             struct load_result *result, struct nx_err *err)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static struct load_options options = {.targets_count = 1,
                                          .clients = 1,
                                          .connections = 1,
                                          .streams = 1,
                                          .threads = 1,
                                          .duration = 1,
                                          .timeout = 600 * NX_SEC};
    memcpy(&options.targets[0].address, &address, sizeof address);
    options.targets[0].len = sizeof address;
    NX_TRY(make_request(o, &options.targets[0].request, err));
    enum nx_status status = NX_OK;
    if (o->files.cert)
        status =
            load_tls_open(&(struct load_tls_files){o->files.client_ca, o->files.cert, o->files.key},
                          true, &options.tls, err);
    if (status == NX_OK)
        status = load_run(&options, result, err);
    load_tls_close(options.tls);
    load_api_free(&options.targets[0].request);
    return status;
}

static void print_figures(const struct upload_options *o, const struct load_result *result,
                          const struct rusage *server)
{
    double seconds = (double)result->from_sent.max / (double)NX_SEC, gb = (double)o->bytes / 1e9;
    double cpu = (double)server->ru_utime.tv_sec + (double)server->ru_stime.tv_sec +
                 (double)(server->ru_utime.tv_usec + server->ru_stime.tv_usec) / 1e6;
    printf(
        "upload of %.2f GB in messages of %u B, %s: %.2f GB/s\n"
        "CPU of the server %.3f s/GB, of the client %.3f s/GB; the server's largest size %.1f MB\n",
        gb, o->chunk, o->files.cert ? "mTLS" : "plain", gb / seconds, cpu / gb,
        (double)result->cpu / (double)NX_SEC / gb, (double)server->ru_maxrss / 1e3);
}

static int measure(const struct upload_options *o)
{
    struct nx_err err = {0};
    struct rusage server;
    uint16_t port;
    pid_t pid = start_server(o, &port);
    if (pid < 0)
        return complain("no server");
    struct load_result *result = nx_calloc(1, sizeof *result);
    enum nx_status status = result ? upload(o, port, result, &err) : NX_NO_MEMORY;
    kill(pid, SIGKILL);
    wait4(pid, NULL, 0, &server);
    if (status == NX_OK && result->ok == 1)
        print_figures(o, result, &server);
    else
        complain(err.status ? err.text : "the upload failed");
    int code = status == NX_OK && result->ok == 1 ? 0 : 1;
    free(result);
    return code;
}

static bool parse(int argc, char **argv, struct upload_options *o)
{
    static const struct option table[] = {
        {"megabytes", 1, NULL, 'm'}, {"chunk", 1, NULL, 'c'}, {"cert", 1, NULL, 'x'},
        {"key", 1, NULL, 'k'},       {"ca", 1, NULL, 'a'},    {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1)
        switch (option) {
        case 'm': o->bytes = strtoull(optarg, NULL, 10) * MB; break;
        case 'c': o->chunk = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'x': o->files.cert = optarg; break;
        case 'k': o->files.key = optarg; break;
        case 'a': o->files.client_ca = optarg; break;
        default: return false;
        }
    return optind == argc && o->chunk >= 1 && o->chunk <= 4 * MB && o->bytes >= o->chunk &&
           !o->files.cert == !o->files.key;
}

int nx_bench_upload(int argc, char **argv)
{
    struct upload_options o = {.bytes = 1000 * (uint64_t)MB, .chunk = 64 << 10};
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: nexus-bench upload [--megabytes N] [--chunk B, at most 4000000] "
                        "[--cert FILE --key FILE --ca FILE]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    return measure(&o);
}
