/* bench_serve.h — nexus-bench's mode `serve`. argv[0] is the mode's name. */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

int nx_bench_serve(int argc, char **argv);

#endif
