/* bench_peer.h — another runtime, asked in turns with ours: a child process that answers lines (tools/ort_peer.py
 * says which). Failure: a line on stderr and false. One thread. */
#ifndef NX_BENCH_PEER_H
#define NX_BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct bench_peer {
    pid_t pid; /* 0: there is none */
    FILE *to, *from;
    char name[128];
};

/* `command` is a program's path, without arguments. */
bool bench_peer_start(struct bench_peer *peer, const char *command);
bool bench_peer_open(struct bench_peer *peer, const char *onnx, uint32_t threads, uint32_t batch,
                     double *load_ms);
/* Sessions count from 0 in the order of opening. */
bool bench_peer_run(struct bench_peer *peer, uint32_t session, double *ms, double *cpu_ms);
/* Its first output for the first row. False as well if there are not n numbers. */
bool bench_peer_answer(struct bench_peer *peer, uint32_t session, float *values, uint32_t n);
void bench_peer_stop(struct bench_peer *peer); /* none is fine */

#endif
