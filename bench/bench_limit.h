/* bench_limit.h — what this machine can do at most, measured beside what we do.
 *
 * The rates are in GFLOP/s, a multiply-add counted as two, of the time that the threads had a processor:
 * what others take away lowers neither the limit nor, by the same clock, the share reached of it.
 * Each call takes `seconds`. */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <stdint.h>

/* A loop of fused multiply-adds in registers only, with the widest vectors of the machine. */
double bench_limit_fma(uint32_t threads, double seconds);
const char *bench_limit_vectors(void); /* "avx512f", "avx2+fma" or "scalar" */

#endif
