/* How many photos are answered in time when more come than can be served?
 *
 *   nexus-bench batcher --synset FILE --symbol FILE --params FILE [--photo FILE] [--recipe NAME] [--backend NAME]
 *                     [--threads N] [--batch-max N] [--deadline-ms N] [--seconds S] [--loads 50,100,200]
 *
 * An open loop: photos come when a Poisson process says so, whatever became of those before, at given percentages of
 * what the model's profile promises. They go through the categorizer's own device and batcher: prepared side by side
 * (the photo is decoded for each; without one a pattern is copied), batched, run. In time means: the answer is in the
 * loop thread's hands before the deadline. */
#include "bench/bench_batcher.h"

#include "categorizer/device.h"
#include "categorizer/served.h"
#include "common/arena.h"
#include "common/given_file.h"
#include "common/prng.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LOADS_MAX = 16, JOBS_MAX = 4096, SAMPLES_MAX = 1 << 20 };

struct batcher_options {
    const char *synset, *symbol, *params, *photo, *recipe, *backend;
    uint32_t threads, batch_max, deadline_ms, loads[LOADS_MAX], loads_count;
    double seconds;
};

struct bench_file {
    uint8_t *bytes;
    size_t len;
};

/* A photo on its way. */
struct photo_job {
    struct nx_device_job job; /* first */
    struct photo_job *next_free;
    struct bench *bench;
    float *tensor;
    struct nx_answer answer;
};

struct bench {
    struct batcher_options options;
    struct bench_file photo;
    struct nx_served *served;
    struct nx_lane lane;
    struct nx_device *device;
    int bell;
    struct photo_job *jobs, *free_jobs;
    uint32_t under_way;
};

struct outcome {
    double offered;
    uint32_t asked, in_time, late, refused, given_up;
    uint32_t samples_count;
    float *samples_ms; /* of those in time */
    struct nx_device_figures figures;
    nx_ns took;
};

static bool read_whole(const char *path, struct bench_file *file)
{
    const struct nx_given_how how = {.bytes_max = UINT32_MAX};
    struct nx_err err;
    char *bytes;
    if (nx_given_read_whole(path, &how, &bytes, &file->len, NULL, &err) != NX_OK) {
        fprintf(stderr, "nexus-bench batcher: %s\n", err.text);
        return false;
    }
    file->bytes = (uint8_t *)bytes;
    return true;
}

/* --- the device's callbacks --------------------------------------------------------------------------- */

static enum nx_status prepare(struct nx_device_job *job, struct nx_err *err)
{
    struct photo_job *p = (struct photo_job *)job;
    const struct bench *b = p->bench;
    size_t floats = nx_served_facts(b->served)->tensor_bytes / sizeof(float);
    if (b->photo.bytes)
        return nx_served_prepare(b->served, b->photo.bytes, b->photo.len, p->tensor, err);
    for (size_t i = 0; i < floats; i++)
        p->tensor[i] = (float)(i * 2654435761u % 1024) / 1024;
    return NX_OK;
}

static void run(struct nx_device_job *const *jobs, uint32_t count)
{
    static const struct nx_want plain;
    struct nx_served_photo photos[NX_BATCH_ITEMS_MAX];
    uint8_t *payload = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct photo_job *p = (struct photo_job *)jobs[i];
        photos[i] = (struct nx_served_photo){p->tensor, &plain, &p->answer, &payload};
    }
    nx_served_run(((struct photo_job *)jobs[0])->bench->served, photos, count);
}

static const struct nx_device_ops ops = {.prepare = prepare, .run = run};

/* --- one load ------------------------------------------------------------------------------------------- */

static bool make_jobs(struct bench *b)
{
    b->jobs = nx_calloc(JOBS_MAX, sizeof *b->jobs);
    for (int i = 0; b->jobs && i < JOBS_MAX; i++) {
        b->jobs[i].next_free = b->free_jobs;
        b->free_jobs = &b->jobs[i];
    }
    return b->jobs != NULL;
}

static void give_back(struct bench *b, struct photo_job *p)
{
    free(p->tensor);
    p->tensor = NULL;
    p->next_free = b->free_jobs;
    b->free_jobs = p;
}

static void ask(struct bench *b, struct outcome *o, nx_ns now)
{
    struct nx_err err;
    struct photo_job *p = b->free_jobs;
    o->asked++;
    if (!p) {
        o->refused++;
        return;
    }
    b->free_jobs = p->next_free;
    *p = (struct photo_job){.bench = b, .job.ops = &ops};
    p->job.item.deadline_ns = now + (nx_ns)b->options.deadline_ms * NX_MS;
    p->job.item.bytes = nx_served_facts(b->served)->tensor_bytes;
    p->tensor = malloc(p->job.item.bytes);
    if (p->tensor && nx_device_submit(b->device, &b->lane, &p->job, now, &err) == NX_OK) {
        b->under_way++;
    } else {
        o->refused++;
        give_back(b, p);
    }
}

static void take_answers(struct bench *b, struct outcome *o)
{
    struct nx_device_job *job;
    uint64_t rung;
    ssize_t n = read(b->bell, &rung, sizeof rung);
    (void)n;
    while ((job = nx_device_finished(b->device))) {
        struct photo_job *p = (struct photo_job *)job;
        nx_ns now = nx_clock_now();
        b->under_way--;
        if (job->err.status != NX_OK) {
            o->given_up++;
        } else if (now <= job->item.deadline_ns) {
            o->in_time++;
            if (o->samples_count < SAMPLES_MAX)
                o->samples_ms[o->samples_count++] = (float)(now - job->item.arrived_ns) / NX_MS;
        } else {
            o->late++;
        }
        give_back(b, p);
    }
}

static void sleep_until(const struct bench *b, nx_ns until)
{
    nx_ns left = until - nx_clock_now();
    struct pollfd p = {.fd = b->bell, .events = POLLIN};
    struct timespec t = {.tv_sec = left / NX_SEC, .tv_nsec = left % NX_SEC};
    if (left > 0)
        (void)ppoll(&p, 1, &t, NULL);
}

static void offer(struct bench *b, double per_second, struct outcome *o)
{
    struct nx_prng prng;
    nx_prng_init(&prng, 7);
    nx_ns start = nx_clock_now(), end = start + (nx_ns)(b->options.seconds * (double)NX_SEC);
    struct nx_device_figures before = nx_device_figures(b->device);
    for (nx_ns next = start; next < end;) {
        sleep_until(b, next);
        take_answers(b, o);
        for (nx_ns now = nx_clock_now(); next <= now && next < end;) {
            ask(b, o, now);
            next += (nx_ns)(-log(1 - nx_prng_unit(&prng)) / per_second * (double)NX_SEC);
        }
    }
    o->took = nx_clock_now() - start;
    while (b->under_way > 0) {
        sleep_until(b, nx_clock_now() + 100 * NX_MS);
        take_answers(b, o);
    }
    o->figures = nx_device_figures(b->device);
    o->figures.work.batches -= before.work.batches;
    o->figures.work.photos -= before.work.photos;
    o->figures.work.busy_ns -= before.work.busy_ns;
    o->offered = per_second;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double quantile(const struct outcome *o, double q)
{
    return o->samples_count ? (double)o->samples_ms[(size_t)(q * (o->samples_count - 1))] : 0;
}

static double goodput(const struct outcome *o)
{
    return o->in_time * (double)NX_SEC / (double)o->took;
}

static void print_row(struct outcome *o, uint32_t load, double peak)
{
    qsort(o->samples_ms, o->samples_count, sizeof *o->samples_ms, ascending);
    printf("%5u %% %10.1f %10.1f %8.1f %% %7u %8u %9u %7.2f %8.1f %8.1f %7.0f %%\n", load,
           o->offered, goodput(o), 100 * goodput(o) / peak, o->late, o->refused, o->given_up,
           o->figures.work.batches
               ? (double)o->figures.work.photos / (double)o->figures.work.batches
               : 0,
           quantile(o, 0.5), quantile(o, 0.99),
           100 * (double)o->figures.work.busy_ns / (double)o->took);
}

static bool bench_loads(struct bench *b)
{
    const struct nx_profile *profile = &nx_served_facts(b->served)->profile;
    uint32_t best = nx_profile_best(profile);
    double capacity = best * (double)NX_SEC / (double)nx_profile_mean(profile, best), peak = 0;
    struct outcome outcomes[LOADS_MAX] = {0};
    char machine[NX_PROFILE_TEXT_BYTES];
    nx_profile_machine(machine);
    printf("machine     %s, %ld processors online\nmodel       %s on %s, %u threads\n"
           "profile     best batch %u of at most %u: %.1f photos per second\n"
           "deadline    %u ms; Poisson arrivals, %.1f s each\n",
           machine, sysconf(_SC_NPROCESSORS_ONLN), b->options.symbol,
           nx_served_facts(b->served)->backend, b->options.threads, best, b->options.batch_max,
           capacity, b->options.deadline_ms, b->options.seconds);
    for (uint32_t i = 0; i < b->options.loads_count; i++) {
        outcomes[i].samples_ms = nx_calloc(SAMPLES_MAX, sizeof(float));
        if (!outcomes[i].samples_ms)
            return false;
        offer(b, capacity * b->options.loads[i] / 100, &outcomes[i]);
        peak = fmax(peak, goodput(&outcomes[i]));
    }
    printf("   load    offered    in time  of peak      late  refused  given up   batch   p50 ms   "
           "p99 ms  device\n");
    for (uint32_t i = 0; i < b->options.loads_count; i++) {
        print_row(&outcomes[i], b->options.loads[i], peak);
        free(outcomes[i].samples_ms);
    }
    return true;
}

/* --- options ---------------------------------------------------------------------------------------------- */

static bool parse_number(const char *text, double low, double high, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == 0 && *value >= low && *value <= high;
}

static bool parse_loads(struct batcher_options *o, const char *text)
{
    char *end;
    for (o->loads_count = 0; o->loads_count < LOADS_MAX; text = end + 1) {
        unsigned long v = strtoul(text, &end, 10);
        if (end == text || v < 1 || v > 10000)
            return false;
        o->loads[o->loads_count++] = (uint32_t)v;
        if (*end != ',')
            return *end == 0;
    }
    return false;
}

static bool apply(struct batcher_options *o, int option, const char *arg)
{
    double v;
    switch (option) {
    case 'y': o->synset = arg; return true;
    case 's': o->symbol = arg; return true;
    case 'p': o->params = arg; return true;
    case 'j': o->photo = arg; return true;
    case 'r': o->recipe = arg; return true;
    case 'b': o->backend = arg; return true;
    case 't': return parse_number(arg, 1, 256, &v) && (o->threads = (uint32_t)v, true);
    case 'n': return parse_number(arg, 1, 256, &v) && (o->batch_max = (uint32_t)v, true);
    case 'd': return parse_number(arg, 1, 1e6, &v) && (o->deadline_ms = (uint32_t)v, true);
    case 'k': return parse_number(arg, 0.1, 600, &o->seconds);
    case 'l': return parse_loads(o, arg);
    default: return false;
    }
}

static bool parse_options(int argc, char **argv, struct batcher_options *o)
{
    static const struct option table[] = {
        {"synset", 1, NULL, 'y'},  {"symbol", 1, NULL, 's'},    {"params", 1, NULL, 'p'},
        {"photo", 1, NULL, 'j'},   {"recipe", 1, NULL, 'r'},    {"backend", 1, NULL, 'b'},
        {"threads", 1, NULL, 't'}, {"batch-max", 1, NULL, 'n'}, {"deadline-ms", 1, NULL, 'd'},
        {"seconds", 1, NULL, 'k'}, {"loads", 1, NULL, 'l'},     {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1)
        if (!apply(o, option, optarg))
            return false;
    return optind == argc && o->synset && o->symbol && o->params;
}

static bool open_served(struct bench *b, struct nx_budget *budget)
{
    const struct batcher_options *o = &b->options;
    struct bench_file files[3];
    struct nx_digest digest;
    struct nx_err err = {0};
    if (!read_whole(o->synset, &files[0]) || !read_whole(o->symbol, &files[1]) ||
        !read_whole(o->params, &files[2]))
        return false;
    struct nx_request_head head = {.op = NX_REQUEST_INSTALL,
                                   .format = NX_FORMAT_MXNET,
                                   .synset_bytes = files[0].len,
                                   .symbol_bytes = files[1].len,
                                   .params_bytes = files[2].len,
                                   .recipe_bytes = (uint32_t)strlen(o->recipe)};
    memcpy(head.recipe, o->recipe, head.recipe_bytes);
    uint8_t *body = malloc(files[0].len + files[1].len + files[2].len), *at = body;
    for (int i = 0; i < 3 && body; i++) {
        memcpy(at, files[i].bytes, files[i].len);
        at += files[i].len;
        free(files[i].bytes);
    }
    struct nx_served_options options = {.backend = o->backend,
                                        .threads = o->threads,
                                        .batch_max = o->batch_max,
                                        .budget = budget,
                                        .profiles = ""};
    bool opened = body && nx_served_open(&head, body, &options, &b->served, &digest, &err) == NX_OK;
    if (!opened)
        fprintf(stderr, "nexus-bench batcher: %s\n", err.text);
    free(body);
    return opened;
}

static bool open_bench(struct bench *b, struct nx_budget *budget)
{
    struct nx_err err = {0};
    if (!open_served(b, budget) || !make_jobs(b) ||
        (b->options.photo && !read_whole(b->options.photo, &b->photo)))
        return false;
    nx_lane_init(&b->lane, &nx_served_facts(b->served)->profile);
    b->bell = eventfd(0, EFD_NONBLOCK);
    struct nx_device_options device = {.preparers = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN),
                                       .items_max = 1024,
                                       .bytes_max = UINT64_C(1) << 30,
                                       .done_fd = b->bell};
    if (device.preparers > NX_DEVICE_PREPARERS_MAX)
        device.preparers = NX_DEVICE_PREPARERS_MAX;
    if (nx_device_open(&device, &b->device, &err) == NX_OK)
        return true;
    fprintf(stderr, "nexus-bench batcher: %s\n", err.text);
    return false;
}

int nx_bench_batcher(int argc, char **argv)
{
    struct bench b = {.options = {.recipe = "demo-2019",
                                  .backend = "auto",
                                  .threads = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN),
                                  .batch_max = 8,
                                  .deadline_ms = 200,
                                  .loads = {50, 80, 100, 120, 150, 200, 300},
                                  .loads_count = 7,
                                  .seconds = 3}};
    struct nx_budget budget = {.limit_bytes = UINT64_MAX};
    if (!parse_options(argc, argv, &b.options)) {
        fprintf(
            stderr,
            "usage: nexus-bench batcher --synset FILE --symbol FILE --params FILE [--photo FILE] "
            "[--recipe NAME] [--backend NAME] [--threads N] [--batch-max N] [--deadline-ms N] "
            "[--seconds S] [--loads 50,100,200]\n");
        return 2;
    }
    if (!open_bench(&b, &budget))
        return 1;
    bool fine = bench_loads(&b);
    nx_device_stop(b.device);
    nx_device_close(b.device);
    nx_served_close(b.served);
    free(b.photo.bytes);
    free(b.jobs);
    close(b.bell);
    return fine ? 0 : 1;
}
