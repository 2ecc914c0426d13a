/* How fast does a model run, and how near is that to what the machine can do, and to another runtime?
 *
 *   nexus-bench infer --symbol FILE --params FILE | --onnx FILE [--photo FILE] [--recipe NAME]
 *                     [--backend NAME] [--threads 1,2] [--batch 1,8] [--precision f32|bf16|int8] [--calibration FILE]
 *                     [--rounds R] [--peer tools/ort_peer.py [--peer-onnx FILE]] [--against]
 *
 * --peer runs the ONNX file elsewhere as well, in turns with ours, and prints the ratio of the two; --peer-onnx is the file
 * there, if it is another: one that was quantised by other tools.
 * --against loads everything in f32 too, and the ratio is to that.
 *
 * All combinations are loaded first; then each round measures the limits and every combination once,
 * so that a disturbance of the machine meets them all alike. GFLOP/s and the share of the limit are by
 * processor time (of all threads, divided among them), everything else by the clock on the wall. */
#include "bench/bench_infer.h"

#include "bench/bench_limit.h"
#include "bench/bench_peer.h"
#include "categorizer/image/photo.h"
#include "categorizer/model/model.h"
#include "common/clock.h"
#include "common/given_file.h"
#ifdef NX_HAVE_DNNL
#include "categorizer/cpu/dnnl_api.h"
#endif

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 99, LIST_MAX = 8, CELLS_MAX = 32, GEMM_SIDE = 1024 };

struct infer_options {
    const char *symbol, *params, *onnx, *photo, *recipe, *backend, *peer, *peer_onnx;
    uint32_t threads[LIST_MAX], batches[LIST_MAX], n_threads, n_batches, rounds;
    enum nx_precision precision;
    const char *calibration; /* for int8 */
    bool against;            /* f32 */
};

struct series {
    double values[ROUNDS_MAX];
    uint32_t n;
};

struct limits {
    struct series fma, gemm; /* GFLOP/s */
};

struct cell {
    uint32_t threads, batch;
    struct nx_model *model;
    double load_ms;
    float *inputs, *outputs;
    struct series ms, cpu_ms; /* per batch; of all threads */
    struct cell *f32;         /* NULL: nothing to compare with */
    double peer_load_ms;
    struct series peer_ms, peer_cpu_ms,
        ratio; /* ratio: img/s of ours over theirs, round by round */
};

static void add_sample(struct series *s, double value)
{
    s->values[s->n++] = value;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const struct series *s, double *low, double *high)
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, s->values, s->n * sizeof *sorted);
    qsort(sorted, s->n, sizeof *sorted, ascending);
    *low = sorted[0];
    *high = sorted[s->n - 1];
    return s->n % 2 ? sorted[s->n / 2] : (sorted[s->n / 2 - 1] + sorted[s->n / 2]) / 2;
}

static double ms_since(nx_ns start)
{
    return (double)(nx_clock_now() - start) / 1e6;
}

static double rss_mb(void)
{
    unsigned long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f) {
        if (fscanf(f, "%lu %lu", &total, &resident) != 2)
            resident = 0;
        fclose(f);
    }
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static bool read_whole(const char *path, struct nx_file *file)
{
    const struct nx_given_how how = {.bytes_max = UINT32_MAX};
    struct nx_err err;
    char *bytes;
    size_t len;
    if (nx_given_read_whole(path, &how, &bytes, &len, NULL, &err) != NX_OK) {
        fprintf(stderr, "nexus-bench infer: %s\n", err.text);
        return false;
    }
    *file = (struct nx_file){bytes, len};
    return true;
}

static bool parse_list(const char *text, uint32_t max, uint32_t *list, uint32_t *n)
{
    char *end;
    for (*n = 0; *n < LIST_MAX; text = end + 1) {
        unsigned long v = strtoul(text, &end, 10);
        if (end == text || v < 1 || v > max)
            return false;
        list[(*n)++] = (uint32_t)v;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
    }
    return false;
}

static bool apply(struct infer_options *o, int option, const char *arg)
{
    uint32_t n, one[LIST_MAX];
    switch (option) {
    case 's': o->symbol = arg; return true;
    case 'p': o->params = arg; return true;
    case 'j': o->photo = arg; return true;
    case 'r': o->recipe = arg; return true;
    case 'b': o->backend = arg; return true;
    case 'o': o->onnx = arg; return true;
    case 'x': o->peer = arg; return true;
    case 'a': o->against = true; return true;
    case 't': return parse_list(arg, 256, o->threads, &o->n_threads);
    case 'n': return parse_list(arg, 256, o->batches, &o->n_batches);
    case 'i': o->calibration = arg; return true;
    case 'y': o->peer_onnx = arg; return true;
    case 'c': return nx_precision_of(arg, &o->precision);
    case 'k':
        if (!parse_list(arg, ROUNDS_MAX, one, &n) || n != 1)
            return false;
        o->rounds = one[0];
        return true;
    default: return false;
    }
}

static bool parse_options(int argc, char **argv, struct infer_options *o)
{
    static const struct option table[] = {
        {"symbol", 1, NULL, 's'},      {"params", 1, NULL, 'p'},    {"photo", 1, NULL, 'j'},
        {"recipe", 1, NULL, 'r'},      {"backend", 1, NULL, 'b'},   {"threads", 1, NULL, 't'},
        {"batch", 1, NULL, 'n'},       {"precision", 1, NULL, 'c'}, {"rounds", 1, NULL, 'k'},
        {"onnx", 1, NULL, 'o'},        {"peer", 1, NULL, 'x'},      {"against", 0, NULL, 'a'},
        {"calibration", 1, NULL, 'i'}, {"peer-onnx", 1, NULL, 'y'}, {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1)
        if (!apply(o, option, optarg))
            return false;
    bool files = o->onnx ? !o->symbol && !o->params : o->symbol && o->params;
    return optind == argc && files && (o->onnx || !o->peer) && !(o->peer && o->against);
}

static void print_cpu(void)
{
    char line[256], *colon;
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 && (colon = strchr(line, ':'))) {
            printf("machine     %s", colon + 2);
            break;
        }
    if (f)
        fclose(f);
    double load[1] = {0};
    if (getloadavg(load, 1) == 1)
        printf("            %ld processors online, load %.2f before the run\n",
               sysconf(_SC_NPROCESSORS_ONLN), load[0]);
}

static void print_machine(const struct infer_options *o, const struct nx_model_facts *facts,
                          const struct bench_peer *peer)
{
    print_cpu();
#ifdef NX_HAVE_DNNL
    printf("oneDNN      %s, code for %s\n", nx_dnnl_version(), nx_dnnl_isa());
#endif
    printf("model       %s\n            %.2f M parameters, %.3f GMAC, input %u x %u x %u\n",
           o->onnx ? o->onnx : o->symbol, (double)facts->params / 1e6, (double)facts->macs / 1e9,
           facts->channels, facts->height_px, facts->width_px);
    printf("backend     %s, %s; %u rounds, interleaved\n", facts->backend,
           nx_precision_name(o->precision), o->rounds);
    if (peer->pid)
        printf("peer        %s\n", peer->name);
}

static bool open_cell(const struct infer_options *o, const struct nx_model_files *files,
                      enum nx_precision precision, struct cell *c)
{
    struct nx_model_options options = {
        .backend = o->backend,
        .load = {.batch_max = c->batch, .threads = c->threads, .precision = precision}};
    struct nx_err err = {0};
    nx_ns start = nx_clock_now();
    if (nx_model_open(files, &options, &c->model, &err) != NX_OK) {
        fprintf(stderr, "nexus-bench infer: %s\n", err.text);
        return false;
    }
    c->load_ms = ms_since(start);
    const struct nx_model_facts *f = nx_model_facts(c->model);
    size_t n = (size_t)c->batch * f->channels * f->height_px * f->width_px;
    c->inputs = calloc(n, sizeof *c->inputs);
    c->outputs = calloc((size_t)c->batch * f->outputs, sizeof *c->outputs);
    if (!c->inputs || !c->outputs)
        return false;
    for (size_t i = 0; i < n; i++)
        c->inputs[i] = (float)(i * 2654435761u % 1024) / 1024; /* a pattern; the time is the same */
    return true;
}

static void close_cell(struct cell *c)
{
    nx_model_close(c->model);
    free(c->inputs);
    free(c->outputs);
}

/* What a runtime's threads do after a run is not to disturb the next one's. */
static void settle(void)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    nanosleep(&pause, NULL);
}

static bool run_cell(struct cell *c, bool keep)
{
    struct nx_err err = {0};
    nx_ns start = nx_clock_now(), cpu_start = nx_clock_process_cpu();
    if (nx_model_run(c->model, c->batch, c->inputs, c->outputs, &err) != NX_OK) {
        fprintf(stderr, "nexus-bench infer: %s\n", err.text);
        return false;
    }
    if (!keep)
        return true;
    add_sample(&c->ms, ms_since(start));
    add_sample(&c->cpu_ms, (double)(nx_clock_process_cpu() - cpu_start) / 1e6);
    return true;
}

static void measure_limits(const struct infer_options *o, struct limits *limits, float *matrices)
{
    for (uint32_t i = 0; i < o->n_threads; i++) {
        add_sample(&limits[i].fma, bench_limit_fma(o->threads[i], 0.1));
#ifdef NX_HAVE_DNNL
        size_t n = GEMM_SIDE, square = n * n;
        nx_ns start = nx_clock_now();
        nx_dnnl_sgemm(o->threads[i], GEMM_SIDE, GEMM_SIDE, GEMM_SIDE, matrices, matrices + square,
                      matrices + 2 * square);
        add_sample(&limits[i].gemm, 2.0 * (double)(n * square) / (double)(nx_clock_now() - start));
#else
        (void)matrices;
        add_sample(&limits[i].gemm, 0);
#endif
    }
}

static bool run_peer(struct bench_peer *peer, struct cell *c, uint32_t session)
{
    double ms, cpu_ms;
    settle();
    if (!bench_peer_run(peer, session, &ms, &cpu_ms) ||
        !bench_peer_run(peer, session, &ms, &cpu_ms))
        return false;
    add_sample(&c->peer_ms, ms);
    add_sample(&c->peer_cpu_ms, cpu_ms);
    add_sample(&c->ratio, ms / c->ms.values[c->ms.n - 1]);
    settle();
    return true;
}

/* Ours, then what it is compared with. */
static bool run_turn(struct bench_peer *peer, struct cell *c, uint32_t at)
{
    if (!run_cell(c, false) || !run_cell(c, true))
        return false;
    if (c->f32) {
        if (!run_cell(c->f32, false) || !run_cell(c->f32, true))
            return false;
        add_sample(&c->ratio, c->f32->ms.values[c->f32->ms.n - 1] / c->ms.values[c->ms.n - 1]);
    }
    return !peer->pid || run_peer(peer, c, at);
}

static bool run_rounds(const struct infer_options *o, struct cell *cells, uint32_t n,
                       struct bench_peer *peer, struct limits *limits)
{
    float *matrices = calloc((size_t)3 * GEMM_SIDE * GEMM_SIDE, sizeof *matrices);
    bool fine = matrices != NULL;
    for (size_t i = 0; fine && i < (size_t)2 * GEMM_SIDE * GEMM_SIDE; i++)
        matrices[i] = (float)(i % 17) / 17;
    for (uint32_t i = 0; i < n && fine; i++)
        fine = run_cell(&cells[i], false); /* warm */
    for (uint32_t round = 0; round < o->rounds && fine; round++) {
        measure_limits(o, limits, matrices);
        for (uint32_t i = 0; i < n && fine; i++)
            fine = run_turn(peer, &cells[i], i);
    }
    free(matrices);
    return fine;
}

static double print_limits(uint32_t threads, const struct limits *l)
{
    double low, high, gemm = median(&l->gemm, &low, &high);
    double fma = median(&l->fma, &low, &high);
    printf("%u thread%s  f32 multiply-adds in registers (%s) %.0f GFLOP/s (%.0f … %.0f), "
           "sgemm %d³ %.0f\n",
           threads, threads == 1 ? " " : "s", bench_limit_vectors(), fma, low, high, GEMM_SIDE,
           gemm);
    return fma;
}

static void print_cell(const struct cell *c, double fma_gflops)
{
    const struct nx_model_facts *f = nx_model_facts(c->model);
    double low, high, cpu_ms = median(&c->cpu_ms, &low, &high);
    double ms = median(&c->ms, &low, &high);
    double gflops = 2 * (double)f->macs * c->batch * c->threads / cpu_ms / 1e6;
    printf("%7u %5u %9.2f (%8.2f … %8.2f) %8.2f %8.1f %8.0f %8.0f %% %8.0f %9.1f\n", c->threads,
           c->batch, ms, low, high, cpu_ms, 1000 * c->batch / ms, gflops, 100 * gflops / fma_gflops,
           c->load_ms, (double)f->memory_bytes / 1e6);
}

static void print_table(const struct infer_options *o, const struct cell *cells,
                        const struct limits *limits)
{
    double fma[LIST_MAX];
    for (uint32_t i = 0; i < o->n_threads; i++)
        fma[i] = print_limits(o->threads[i], &limits[i]);
    printf("threads batch  ms/batch (     min …      max)   cpu ms    img/s  GFLOP/s of limit  "
           "load ms  "
           "memory MB\n");
    for (uint32_t i = 0; i < o->n_threads * o->n_batches; i++)
        print_cell(&cells[i], fma[i / o->n_batches]);
    printf("resident    %.0f MB for all of these together\n", rss_mb());
}

static void print_ratios(const struct cell *cells, uint32_t n, const char *other)
{
    printf("threads batch  img/s of ours over that of %s (    min …     max)  its ms/batch   "
           "cpu ms  ratio of cpu ms\n",
           other);
    for (uint32_t i = 0; i < n; i++) {
        const struct cell *c = &cells[i];
        double low, high, least, most, ratio = median(&c->ratio, &low, &high);
        double ms = median(c->f32 ? &c->f32->ms : &c->peer_ms, &least, &most);
        double cpu_ms = median(c->f32 ? &c->f32->cpu_ms : &c->peer_cpu_ms, &least, &most);
        double own_cpu_ms = median(&c->cpu_ms, &least, &most);
        printf("%7u %5u %9.3f (%8.3f … %8.3f) %12.2f %10.2f %8.3f\n", c->threads, c->batch, ratio,
               low, high, ms, cpu_ms, cpu_ms / own_cpu_ms);
    }
}

/* The same question to both. */
static bool compare_answers(struct bench_peer *peer, struct cell *c)
{
    uint32_t n = nx_model_facts(c->model)->outputs;
    float *theirs = calloc(n, sizeof *theirs), most = 0, furthest = 0;
    bool fine = theirs && bench_peer_answer(peer, 0, theirs, n);
    for (uint32_t i = 0; fine && i < n; i++) {
        most = fmaxf(most, fabsf(theirs[i]));
        furthest = fmaxf(furthest, fabsf(theirs[i] - c->outputs[i]));
    }
    struct nx_top a, b;
    if (fine && nx_topk(theirs, n, 1, &a) && nx_topk(c->outputs, n, 1, &b))
        printf("answers     differ by %.2g of the largest value at most; the first class is %s\n",
               (double)(furthest / most), a.index == b.index ? "the same" : "another");
    free(theirs);
    return fine;
}

/* Decode and recipe, one thread. */
static bool bench_photo(const struct infer_options *o, const struct nx_model_facts *f)
{
    struct nx_file photo;
    struct nx_recipe recipe;
    struct nx_err err = {0};
    if (nx_recipe_parse(o->recipe, strlen(o->recipe), &recipe, &err) != NX_OK) {
        fprintf(stderr, "nexus-bench infer: %s\n", err.text);
        return false;
    }
    if (!read_whole(o->photo, &photo))
        return false;
    float *out = calloc((size_t)f->channels * f->height_px * f->width_px, sizeof *out);
    struct series s = {0};
    enum nx_status status = out ? NX_OK : NX_NO_MEMORY;
    for (uint32_t i = 0; i < o->rounds && status == NX_OK; i++) {
        nx_ns start = nx_clock_now();
        status = nx_photo_to_tensor(photo.bytes, photo.len, &recipe, f->channels, f->height_px,
                                    f->width_px, out, NULL, &err);
        add_sample(&s, ms_since(start));
    }
    double low, high, ms = median(&s, &low, &high);
    if (status == NX_OK)
        printf("photo       %s (%zu bytes) by %s: %.2f ms (%.2f … %.2f), 1 thread\n", o->photo,
               photo.len, o->recipe, ms, low, high);
    else
        fprintf(stderr, "nexus-bench infer: %s\n", err.text);
    free(out);
    union {
        const void *read;
        void *owned;
    } bytes = {.read = photo.bytes};
    free(bytes.owned);
    return status == NX_OK;
}

static bool open_cells(const struct infer_options *o, const struct nx_model_files *files,
                       struct cell *cells, struct cell *f32, uint32_t n, struct bench_peer *peer)
{
    for (uint32_t i = 0; i < n; i++) {
        struct cell *c = &cells[i];
        *c = (struct cell){.threads = o->threads[i / o->n_batches],
                           .batch = o->batches[i % o->n_batches]};
        f32[i] = *c;
        if (!open_cell(o, files, o->precision, c))
            return false;
        if (o->against && !open_cell(o, files, NX_PRECISION_F32, &f32[i]))
            return false;
        c->f32 = o->against ? &f32[i] : NULL;
        if (peer->pid && !bench_peer_open(peer, o->peer_onnx ? o->peer_onnx : o->onnx, c->threads,
                                          c->batch, &c->peer_load_ms))
            return false;
    }
    return true;
}

static bool bench_cells(const struct infer_options *o, const struct nx_model_files *files,
                        struct bench_peer *peer)
{
    static struct cell cells[CELLS_MAX], f32[CELLS_MAX];
    static struct limits limits[LIST_MAX];
    uint32_t n = o->n_threads * o->n_batches;
    bool fine = n <= CELLS_MAX && open_cells(o, files, cells, f32, n, peer);
    if (fine) {
        print_machine(o, nx_model_facts(cells[0].model), peer);
        fine = run_rounds(o, cells, n, peer, limits);
    }
    if (fine) {
        print_table(o, cells, limits);
        if (o->against || peer->pid)
            print_ratios(cells, n, o->against ? "f32" : "the peer");
    }
    if (fine && peer->pid)
        fine = compare_answers(peer, &cells[0]);
    if (fine && o->photo)
        fine = bench_photo(o, nx_model_facts(cells[0].model));
    for (uint32_t i = 0; i < n && i < CELLS_MAX; i++) {
        close_cell(&cells[i]);
        close_cell(&f32[i]);
    }
    return fine;
}

int nx_bench_infer(int argc, char **argv)
{
    struct infer_options o = {.recipe = NX_RECIPE_DEFAULT,
                              .backend = "auto",
                              .threads = {1, 2},
                              .batches = {1, 8},
                              .n_threads = 2,
                              .n_batches = 2,
                              .rounds = 7};
    if (!parse_options(argc, argv, &o)) {
        fprintf(stderr, "usage: nexus-bench infer --symbol FILE --params FILE | --onnx FILE "
                        "[--photo FILE] [--recipe NAME] [--backend NAME] [--threads 1,2] "
                        "[--batch 1,8] [--precision f32|bf16|int8] [--calibration FILE] [--rounds "
                        "R] [--peer PROGRAM [--peer-onnx FILE]] [--against]\n");
        return 2;
    }
    struct nx_model_files files = {.symbol = {NULL, 0}, .params = {NULL, 0}};
    struct bench_peer peer = {0};
    bool fine = o.onnx ? read_whole(o.onnx, &files.onnx)
                       : read_whole(o.symbol, &files.symbol) && read_whole(o.params, &files.params);
    if (fine && o.calibration)
        fine = read_whole(o.calibration, &files.calibration);
    if (fine && o.peer)
        fine = bench_peer_start(&peer, o.peer);
    if (fine)
        fine = bench_cells(&o, &files, &peer);
    bench_peer_stop(&peer);
    return fine ? 0 : 1;
}
