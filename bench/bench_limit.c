#include "bench/bench_limit.h"

#include "common/clock.h"

#include <pthread.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { CHAINS = 12, BURST = 1 << 14, THREADS_MAX = 256 };

/* CHAINS independent sums hide the latency of a multiply-add; they stay in registers. ISO C does not
 * fuse by itself, hence the intrinsics. */
#if defined(__x86_64__)
#define FMA_BURST(name, features, vector, set, fma)                                          \
    __attribute__((target(features))) static float name(float seed)                          \
    {                                                                                        \
        vector a[CHAINS], x = set(seed);                                                     \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) a[i] = set((float)i);      \
        for (int k = 0; k < BURST; k++)                                                      \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)                        \
            {                                                                                \
                a[i] = fma(a[i], x, x);                                                      \
                __asm__ volatile("" : "+v"(a[i])); /* or the loop would be folded */         \
            }                                                                                \
        _Pragma("GCC unroll 12") for (int n = 1; n < CHAINS; n++) a[0] = fma(a[n], x, a[0]); \
        float sum;                                                                           \
        memcpy(&sum, &a[0], sizeof sum);                                                     \
        return sum;                                                                          \
    }

FMA_BURST(burst_512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps)
FMA_BURST(burst_256, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)
#endif

static float burst_scalar(float seed)
{
    float a[CHAINS] = {0}, sum = 0;
    for (int k = 0; k < BURST; k++)
        for (int i = 0; i < CHAINS; i++)
            a[i] = a[i] * seed + seed;
    for (int i = 0; i < CHAINS; i++)
        sum += a[i];
    return sum;
}

struct vectors {
    const char *name;
    float (*burst)(float seed);
    int lanes;
};

static struct vectors widest(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return (struct vectors){"avx512f", burst_512, 16};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct vectors){"avx2+fma", burst_256, 8};
#endif
    return (struct vectors){"scalar", burst_scalar, 1};
}

const char *bench_limit_vectors(void)
{
    return widest().name;
}

struct work {
    pthread_t thread;
    double seconds, gflops;
    float sink;
};

static void *work_on(void *arg)
{
    struct work *w = arg;
    struct vectors v = widest();
    nx_ns start = nx_clock_now(), cpu_start = nx_clock_thread_cpu(), spent;
    double bursts = 0;
    for (; (double)(nx_clock_now() - start) < w->seconds * 1e9; bursts++)
        w->sink += v.burst(0.5f);
    spent = nx_clock_thread_cpu() - cpu_start;
    w->gflops = bursts * BURST * CHAINS * v.lanes * 2 / (double)spent;
    return NULL;
}

double bench_limit_fma(uint32_t threads, double seconds)
{
    struct work work[THREADS_MAX];
    uint32_t n = threads < THREADS_MAX ? threads : THREADS_MAX, started = 0;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        work[i] = (struct work){.seconds = seconds};
        if (pthread_create(&work[i].thread, NULL, work_on, &work[i]) != 0)
            break;
        started++;
    }
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(work[i].thread, NULL);
        sum += work[i].gflops;
    }
    return started == threads ? sum : 0;
}
