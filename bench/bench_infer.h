/* bench_infer.h — nexus-bench's mode `infer`. argv[0] is the mode's name. */
#ifndef BENCH_INFER_H
#define BENCH_INFER_H

int nx_bench_infer(int argc, char **argv);

#endif
