/* profile_text.c — a profile as the lines of a file. */
#include "categorizer/profile.h"

#include "common/lines.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* of one batch: a quarter of an hour; sums stay far from overflow */
static const double US_MAX = 1e9;
static const char first_line[] = "nexus profile 1";
static const char columns[] = "batch,mean(us),std(us),memory(B),repeats";

__attribute__((format(printf, 4, 5))) static void put(char *text, size_t cap, size_t *used,
                                                      const char *format, ...)
{
    va_list args;
    if (*used >= cap)
        return;
    va_start(args, format);
    int n = vsnprintf(text + *used, cap - *used, format, args);
    va_end(args);
    *used = n < 0 ? cap : *used + (size_t)n;
}

size_t nx_profile_write(const struct nx_profile *p, const struct nx_profile_origin *origin,
                        char *text, size_t cap)
{
    size_t used = 0;
    put(text, cap, &used, "%s\nmodel %s\nbackend %s\nthreads %u\nmachine %s\n%s\n", first_line,
        origin->model, origin->backend, origin->threads, origin->machine, columns);
    for (uint32_t i = 0; i < p->rows_count; i++) {
        const struct nx_profile_row *r = &p->rows[i];
        put(text, cap, &used, "%u,%.1f,%.1f,%" PRIu64 ",%u\n", r->batch, r->mean_us, r->std_us,
            r->memory_bytes, r->repeats);
    }
    return used < cap ? used : 0;
}

struct lines {
    const char *at, *end;
    unsigned number; /* of the line in hand, from 1 */
    char line[2 * NX_PROFILE_TEXT_BYTES];
};

/* False at the end, and for a line that is too long or holds a NUL. */
static bool next_line(struct lines *l)
{
    l->number += l->at < l->end; /* at the end the last line is meant */
    return nx_line_take(&l->at, l->end, l->line, sizeof l->line);
}

static enum nx_status bad_line(const struct lines *l, const char *expected, struct nx_err *err)
{
    return nx_err_set(err, NX_CORRUPT, "profile line %u: expected %s", l->number, expected);
}

static bool read_text(const struct lines *l, const char *key, char text[NX_PROFILE_TEXT_BYTES])
{
    size_t n = strlen(key);
    if (strncmp(l->line, key, n) != 0 || l->line[n] != ' ' ||
        strlen(l->line + n + 1) >= NX_PROFILE_TEXT_BYTES)
        return false;
    snprintf(text, NX_PROFILE_TEXT_BYTES, "%s", l->line + n + 1);
    return true;
}

static enum nx_status read_origin(struct lines *l, struct nx_profile_origin *o, struct nx_err *err)
{
    char threads[NX_PROFILE_TEXT_BYTES], *end = threads;
    if (!next_line(l) || strcmp(l->line, first_line) != 0)
        return bad_line(l, "\"nexus profile 1\"", err);
    if (!next_line(l) || !read_text(l, "model", o->model))
        return bad_line(l, "\"model\" and its digest", err);
    if (!next_line(l) || !read_text(l, "backend", o->backend))
        return bad_line(l, "\"backend\" and its name", err);
    unsigned long n = 0;
    if (next_line(l) && read_text(l, "threads", threads))
        n = strtoul(threads, &end, 10);
    if (n < 1 || n > 4096 || *end)
        return bad_line(l, "\"threads\" and how many", err);
    o->threads = (uint32_t)n;
    if (!next_line(l) || !read_text(l, "machine", o->machine))
        return bad_line(l, "\"machine\" and its name", err);
    if (!next_line(l) || strcmp(l->line, columns) != 0)
        return bad_line(l, "the names of the five columns", err);
    return NX_OK;
}

static bool read_row(const char *line, struct nx_profile_row *r)
{
    int used = 0;
    if (sscanf(line, "%8u,%lf,%lf,%" SCNu64 ",%8u%n", &r->batch, &r->mean_us, &r->std_us,
               &r->memory_bytes, &r->repeats, &used) != 5 ||
        line[used])
        return false;
    return r->batch >= 1 && r->batch <= NX_PROFILE_BATCH_MAX && r->mean_us > 0 &&
           r->mean_us < US_MAX && r->std_us >= 0 && r->std_us < US_MAX;
}

enum nx_status nx_profile_parse(const char *text, size_t len, struct nx_profile *profile,
                                struct nx_profile_origin *origin, struct nx_err *err)
{
    struct lines l = {.at = text, .end = text + len};
    struct nx_profile p = {0};
    struct nx_profile_origin o = {0};
    NX_TRY(read_origin(&l, &o, err));
    while (l.at < l.end) {
        struct nx_profile_row *r = &p.rows[p.rows_count];
        if (p.rows_count == NX_PROFILE_ROWS_MAX)
            return bad_line(&l, "the end: too many rows", err);
        if (!next_line(&l) || !read_row(l.line, r))
            return bad_line(&l, "five numbers: batch, mean > 0, std, memory, repeats", err);
        if (p.rows_count > 0 && r->batch <= r[-1].batch)
            return bad_line(&l, "a larger batch than the line before", err);
        p.rows_count++;
    }
    if (p.rows_count == 0)
        return bad_line(&l, "at least one row", err);
    *profile = p;
    *origin = o;
    return NX_OK;
}

void nx_profile_machine(char name[NX_PROFILE_TEXT_BYTES])
{
    char line[512], *colon;
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(name, NX_PROFILE_TEXT_BYTES, "unknown");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 && (colon = strchr(line, ':'))) {
            line[strcspn(line, "\n")] = 0;
            snprintf(name, NX_PROFILE_TEXT_BYTES, "%.127s", colon[1] ? colon + 2 : "unknown");
            break;
        }
    if (f)
        fclose(f);
}
