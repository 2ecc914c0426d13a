#include "bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    _exit(1);
}

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        bench_die("no free port: %s", strerror(errno));
    close(fd);
    return ntohs(a.sin_port);
}

static double rss_mb(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

void bench_meet(struct bench_run *run, bool (*turn)(void *ctx), void *ctx)
{
    atomic_fetch_add(&run->shared->ready, 1);
    while (atomic_load(&run->shared->ready) < run->options->nodes) {
        turn(ctx);
        sched_yield();
    }
    run->start = nx_clock_now();
    run->cpu_start = (double)nx_clock_process_cpu() / NX_SEC;
}

void bench_note(struct bench_run *run, uint64_t count)
{
    struct bench_node_result *r = &run->shared->nodes[run->index];
    r->count = count;
    r->wall_s = (double)(nx_clock_now() - run->start) / NX_SEC;
    r->cpu_s = (double)nx_clock_process_cpu() / NX_SEC - run->cpu_start;
    r->rss_mb = rss_mb();
    if (run->index == 0)
        atomic_store(&run->shared->stop, 1);
}

void bench_sample(struct bench_run *run, nx_ns duration)
{
    struct bench_shared *s = run->shared;
    if (s->samples_count < BENCH_SAMPLES_MAX)
        s->samples_ns[s->samples_count++] = duration > UINT32_MAX ? UINT32_MAX : (uint32_t)duration;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void sum_up(const struct bench_options *o, struct bench_shared *s,
                   struct bench_figures *figures)
{
    double cpu = 0, rss = 0;
    nx_ns late = 0;
    for (unsigned i = 0; i < o->nodes; i++) {
        cpu += s->nodes[i].cpu_s;
        rss = s->nodes[i].rss_mb > rss ? s->nodes[i].rss_mb : rss;
        late = s->nodes[i].late > late ? s->nodes[i].late : late;
    }
    double count = (double)s->nodes[0].count;
    figures->per_second = count > 0 ? count / s->nodes[0].wall_s : 0;
    figures->cpu_per_1000 = count > 0 ? cpu / count * 1000 : 0;
    figures->rss_mb = rss;
    figures->evicted = atomic_load(&s->evicted);
    figures->late_ms = (double)late / NX_MS;
    figures->p50_us = figures->p99_us = 0;
    if (s->samples_count > 0) {
        qsort(s->samples_ns, s->samples_count, sizeof s->samples_ns[0], by_value);
        figures->p50_us = s->samples_ns[s->samples_count / 2] / 1e3;
        figures->p99_us = s->samples_ns[(uint64_t)s->samples_count * 99 / 100] / 1e3;
    }
}

static pid_t fork_node(const struct bench_options *o, struct bench_shared *s, unsigned index,
                       bench_node node)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct bench_run run = {.options = o, .shared = s, .index = index};
    alarm((unsigned)(60 + o->seconds)); /* a node that hangs ends the cell */
    node(&run);
    _exit(0);
}

/* A cell may kill its victim itself. */
static bool ended_well(const struct bench_shared *s, pid_t pid, int status)
{
    if (pid > 0 && WIFSIGNALED(status) && pid == atomic_load(&s->victim))
        return WTERMSIG(status) == SIGKILL;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool wait_for(const struct bench_shared *s, const pid_t *pids, unsigned count)
{
    bool ok = true;
    for (unsigned i = 0; i < count; i++) {
        int status = 0;
        pid_t pid = wait(&status);
        bool good = ended_well(s, pid, status);
        for (unsigned k = 0; ok && !good && k < count; k++)
            if (pids[k] != pid && pids[k] > 0)
                kill(pids[k], SIGKILL);
        if (ok && !good)
            fprintf(stderr, "a node failed (wait status %d)\n", status);
        ok = ok && good;
    }
    return ok;
}

bool bench_cell(const struct bench_options *o, bench_node node, struct bench_figures *figures)
{
    struct bench_shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        bench_die("no shared memory: %s", strerror(errno));
    s->port = free_port();
    s->forked_at = nx_clock_now();
    pid_t pids[NX_MEMBERS_MAX];
    for (unsigned i = 0; i < o->nodes; i++)
        pids[i] = fork_node(o, s, i, node);
    bool ok = wait_for(s, pids, o->nodes);
    if (ok)
        sum_up(o, s, figures);
    munmap(s, sizeof *s);
    return ok;
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_quantile(const struct bench_row *row, size_t field_offset, double share)
{
    double values[BENCH_ROUNDS_MAX];
    for (unsigned i = 0; i < row->count; i++)
        memcpy(&values[i], (const char *)&row->rounds[i] + field_offset, sizeof values[i]);
    qsort(values, row->count, sizeof values[0], by_double);
    unsigned at = (unsigned)(share * row->count);
    return values[at < row->count ? at : row->count - 1];
}

double bench_median(const struct bench_row *row, size_t field_offset, double *min, double *max)
{
    if (min)
        *min = bench_quantile(row, field_offset, 0);
    if (max)
        *max = bench_quantile(row, field_offset, 1);
    return bench_quantile(row, field_offset, 0.5);
}

void bench_print_rate(const char *name, const struct bench_row *row, const struct bench_row *raw,
                      uint64_t size)
{
    double min, max, rate = BENCH_MEDIAN(row, per_second, &min, &max);
    double cpu = BENCH_MEDIAN(row, cpu_per_1000, NULL, NULL);
    printf("  %-26s %12.0f /s (%.0f … %.0f)  %9.1f MB/s  %.6f CPU-s/1000", name, rate, min, max,
           rate * (double)size / 1e6, cpu);
    if (raw)
        printf("  %.2f × raw", rate / BENCH_MEDIAN(raw, per_second, NULL, NULL));
    printf("\n");
}

void bench_print_latency(const char *name, const struct bench_row *row, const struct bench_row *raw,
                         const char *of_raw)
{
    double min, max, p50 = BENCH_MEDIAN(row, p50_us, &min, &max);
    double p99 = BENCH_MEDIAN(row, p99_us, NULL, NULL);
    printf("  %-26s p50 %8.2f µs (%.2f … %.2f)  p99 %8.2f µs", name, p50, min, max, p99);
    if (raw)
        printf("  %.2f × %s", p50 / BENCH_MEDIAN(raw, p50_us, NULL, NULL), of_raw);
    printf("\n");
}

static void cpu_model(char *model, size_t bytes)
{
    snprintf(model, bytes, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            snprintf(model, bytes, "%s", strchr(line, ':') + 2);
            model[strcspn(model, "\n")] = '\0';
            break;
        }
    if (file)
        fclose(file);
}

void bench_print_machine(const struct bench_options *o, const char *mode)
{
    char model[128];
    cpu_model(model, sizeof model);
    printf("%s: %s, %ld cores; provider %s; %u nodes on loopback; %s; %u rounds", mode, model,
           sysconf(_SC_NPROCESSORS_ONLN), o->provider, o->nodes, o->block ? "blocking" : "polling",
           o->rounds);
    if (o->seconds > 0)
        printf(" of %.2f s", o->seconds);
    printf(", medians (min … max)\n");
}
