#include "bench/bench_peer.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 1 << 20 };

static bool lost(const char *what)
{
    fprintf(stderr, "nexus-bench infer: the peer %s\n", what);
    return false;
}

static void become(const char *command, const int in[2], const int out[2])
{
    if (dup2(in[0], STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0)
        _exit(127);
    close(in[0]);
    close(in[1]);
    close(out[0]);
    close(out[1]);
    execlp(command, command, (char *)NULL);
    fprintf(stderr, "nexus-bench infer: cannot run %s\n", command);
    _exit(127);
}

/* One line as the answer to one line. */
static bool ask(struct bench_peer *peer, char *line, size_t bytes)
{
    if (fflush(peer->to) != 0 || !fgets(line, (int)bytes, peer->from))
        return lost("has gone");
    line[strcspn(line, "\n")] = '\0';
    return true;
}

bool bench_peer_start(struct bench_peer *peer, const char *command)
{
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0)
        return lost("gets no pipe");
    signal(SIGPIPE, SIG_IGN);
    peer->pid = fork();
    if (peer->pid < 0) {
        peer->pid = 0;
        return lost("gets no process");
    }
    if (peer->pid == 0)
        become(command, in, out);
    close(in[0]);
    close(out[1]);
    peer->to = fdopen(in[1], "w");
    peer->from = fdopen(out[0], "r");
    if (!peer->to || !peer->from)
        return lost("gets no stream");
    fputs("name\n", peer->to);
    return ask(peer, peer->name, sizeof peer->name);
}

bool bench_peer_open(struct bench_peer *peer, const char *onnx, uint32_t threads, uint32_t batch,
                     double *load_ms)
{
    char line[256];
    fprintf(peer->to, "open %s %u %u\n", onnx, threads, batch);
    if (!ask(peer, line, sizeof line))
        return false;
    *load_ms = strtod(line, NULL);
    return true;
}

bool bench_peer_run(struct bench_peer *peer, uint32_t session, double *ms, double *cpu_ms)
{
    char line[256];
    fprintf(peer->to, "run %u\n", session);
    return ask(peer, line, sizeof line) &&
           (sscanf(line, "%lf %lf", ms, cpu_ms) == 2 || lost("does not say how long it took"));
}

bool bench_peer_answer(struct bench_peer *peer, uint32_t session, float *values, uint32_t n)
{
    char *line = malloc(LINE_BYTES_MAX), *end;
    fprintf(peer->to, "answer %u\n", session);
    bool fine = line && ask(peer, line, LINE_BYTES_MAX);
    const char *at = line;
    for (uint32_t i = 0; fine && i < n; i++, at = end) {
        values[i] = strtof(at, &end);
        fine = end != at || lost("has fewer outputs");
    }
    free(line);
    return fine;
}

void bench_peer_stop(struct bench_peer *peer)
{
    if (peer->to) {
        fputs("quit\n", peer->to);
        fclose(peer->to);
    }
    if (peer->from)
        fclose(peer->from);
    if (peer->pid)
        waitpid(peer->pid, NULL, 0);
    *peer = (struct bench_peer){0};
}
