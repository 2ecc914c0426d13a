/* bench_batcher.h — nexus-bench's mode `batcher`. argv[0] is the mode's name. */
#ifndef BENCH_BATCHER_H
#define BENCH_BATCHER_H

int nx_bench_batcher(int argc, char **argv);

#endif
