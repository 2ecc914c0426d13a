#include "cli/client_models.h"

#include "cli/client_text.h"
#include "common/arena.h"
#include "function_tier/pb/pb_control.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 33, WHY_BYTES = 512, REPLICAS_MAX = 64 };

/* A model at a replica, its texts fit for a terminal. */
struct line {
    struct nx_pb_model_row row;
    uint32_t node;
    char state[NAME_BYTES], format[NAME_BYTES], recipe[NAME_BYTES], device[NAME_BYTES];
    char precision[NAME_BYTES];
};

struct printer {
    bool json;
    struct line *lines;
    size_t count, cap;
    bool no_memory, replica_open, model_printed;
    char silent[REPLICAS_MAX][WHY_BYTES]; /* what to say of those that gave no list */
    size_t silent_count;
};

/* --- as JSON --------------------------------------------------------------------------------------- */

/* What would end or escape a string is a '?': names have none, sentences can do without. */
static void print_string(const char *key, const char *text)
{
    char plain[WHY_BYTES];
    snprintf(plain, sizeof plain, "%s", text);
    nx_client_text_make_printable(plain);
    for (char *p = plain; *p; p++)
        if (*p == '"' || *p == '\\')
            *p = '\'';
    printf("\"%s\": \"%s\", ", key, plain);
}

static void json_replica(struct printer *p, const struct nx_pb_replica *r)
{
    printf("%s{\"node\": %" PRIu32 ", \"shard\": %" PRIu32 ", ", p->replica_open ? "]}, " : "",
           r->node, r->shard);
    print_string("error", r->error);
    printf("\"memory_used_bytes\": %" PRIu64 ", \"memory_limit_bytes\": %" PRIu64 ", \"models\": [",
           r->memory_used_bytes, r->memory_limit_bytes);
    p->replica_open = true;
    p->model_printed = false;
}

static void json_model(struct printer *p, const struct nx_pb_model_row *m)
{
    printf("%s{\"tag\": %" PRIu32 ", \"version\": %" PRIu64 ", ", p->model_printed ? ", " : "",
           m->tag, m->version);
    print_string("name", m->name);
    print_string("state", m->state);
    print_string("format", m->format);
    print_string("recipe", m->recipe);
    print_string("device", m->device);
    print_string("precision", m->precision);
    printf("\"weights_bytes\": %" PRIu64 ", \"arena_bytes\": %" PRIu64
           ", \"memory_bytes\": %" PRIu64 ", \"queries\": %" PRIu64 ", \"batch\": %" PRIu32
           ", \"batch_us\": %" PRIu64 "}",
           m->weights_bytes, m->arena_bytes, m->memory_bytes, m->queries, m->batch, m->batch_us);
    p->model_printed = true;
}

/* --- as a table ------------------------------------------------------------------------------------ */

static void copy_name(char to[NAME_BYTES], const char *from)
{
    snprintf(to, NAME_BYTES, "%s", from[0] ? from : "-");
    nx_client_text_make_printable(to);
}

static void keep_line(struct printer *p, uint32_t node, const struct nx_pb_model_row *m)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        struct line *lines = nx_realloc(p->lines, cap * sizeof *lines);
        if (!lines) {
            p->no_memory = true;
            return;
        }
        p->lines = lines;
        p->cap = cap;
    }
    struct line *line = &p->lines[p->count++];
    line->row = *m;
    line->node = node;
    copy_name(line->state, m->state);
    copy_name(line->format, m->format);
    copy_name(line->recipe, m->recipe);
    copy_name(line->device, m->device);
    copy_name(line->precision, m->precision);
}

static void keep_silent(struct printer *p, const struct nx_pb_replica *r)
{
    if (r->error[0] == 0 || p->silent_count == REPLICAS_MAX)
        return;
    char *text = p->silent[p->silent_count++];
    snprintf(text, WHY_BYTES, "node %" PRIu32 " of shard %" PRIu32 " gave no list: %.300s", r->node,
             r->shard, r->error);
    nx_client_text_make_printable(text);
}

static int by_tag_and_node(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    if (x->row.tag != y->row.tag)
        return x->row.tag < y->row.tag ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

static void print_table(struct printer *p)
{
    if (p->count)
        qsort(p->lines, p->count, sizeof *p->lines, by_tag_and_node);
    printf("%10s %8s %5s  %-7s  %-6s  %-10s  %-10s  %-5s %14s %12s %14s %10s\n", "TAG", "VERSION",
           "NODE", "STATE", "FORMAT", "RECIPE", "DEVICE", "TYPE", "WEIGHTS(B)", "ARENA(B)",
           "MEMORY(B)", "QUERIES");
    for (size_t i = 0; i < p->count; i++) {
        const struct line *l = &p->lines[i];
        printf("%10" PRIu32 " %8" PRIu64 " %5" PRIu32 "  %-7s  %-6s  %-10s  %-10s  %-5s %14" PRIu64
               " %12" PRIu64 " %14" PRIu64 " %10" PRIu64 "\n",
               l->row.tag, l->row.version, l->node, l->state, l->format, l->recipe, l->device,
               l->precision, l->row.weights_bytes, l->row.arena_bytes, l->row.memory_bytes,
               l->row.queries);
    }
    for (size_t i = 0; i < p->silent_count; i++)
        printf("%s\n", p->silent[i]);
}

static void take(void *ctx, const struct nx_pb_replica *replica,
                 const struct nx_pb_model_row *model)
{
    struct printer *p = ctx;
    if (p->json && model)
        json_model(p, model);
    else if (p->json)
        json_replica(p, replica);
    else if (model)
        keep_line(p, replica->node, model);
    else
        keep_silent(p, replica);
}

enum nx_status nx_client_models_print(const uint8_t *bytes, size_t len, bool json,
                                      struct nx_err *err)
{
    struct printer *p = nx_calloc(1, sizeof *p);
    if (!p)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a list");
    p->json = json;
    if (json)
        printf("{\"replicas\": [");
    enum nx_status status = nx_pb_list_decode(bytes, len, take, p, err);
    if (json)
        printf("%s]}\n", p->replica_open ? "]}" : "");
    else if (status == NX_OK)
        print_table(p);
    if (p->no_memory)
        status = nx_err_set(err, NX_NO_MEMORY, "no memory for a list");
    free(p->lines);
    free(p);
    return status;
}
