#include "sim_trace.h"

#include "common/nx_assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct kind {
    const char *name, *fields;
} kinds[] = {
#define SIM_KIND_ROW(kind, name, fields) {name, fields},
    SIM_KINDS(SIM_KIND_ROW)
#undef SIM_KIND_ROW
};

enum width { BYTE, NUMBER, SIGNED, HEX };

static const struct field {
    const char *name;
    size_t offset;
    enum width width;
} fields[] = {
    {"peer", offsetof(struct sim_record, peer), BYTE},
    {"sub", offsetof(struct sim_record, sub), BYTE},
    {"shard", offsetof(struct sim_record, shard), BYTE},
    {"status", offsetof(struct sim_record, status), BYTE},
    {"seq", offsetof(struct sim_record, seq), SIGNED},
    {"id", offsetof(struct sim_record, id), HEX},
    {"offset", offsetof(struct sim_record, offset), NUMBER},
    {"len", offsetof(struct sim_record, len), NUMBER},
    {"total", offsetof(struct sim_record, total), NUMBER},
    {"hash", offsetof(struct sim_record, hash), HEX},
    {"mask", offsetof(struct sim_record, mask), HEX},
};
enum { FIELDS = sizeof fields / sizeof *fields };

void sim_trace_init(struct sim_trace *trace)
{
    *trace = (struct sim_trace){.hash = SIM_HASH_EMPTY};
}

void sim_trace_free(struct sim_trace *trace)
{
    free(trace->records);
    sim_trace_init(trace);
}

void sim_trace_clear(struct sim_trace *trace)
{
    trace->count = 0;
    trace->hash = SIM_HASH_EMPTY;
}

/* Word-wise, since it is taken of every record of every run. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t record_hash(uint64_t hash, const struct sim_record *r)
{
    hash = mix(hash, (uint64_t)r->at);
    hash = mix(hash, (uint64_t)r->kind | (uint64_t)r->node << 8 | (uint64_t)r->peer << 16 |
                         (uint64_t)r->sub << 24 | (uint64_t)r->shard << 32 |
                         (uint64_t)r->status << 40);
    const uint64_t words[] = {(uint64_t)r->seq, r->id,   r->offset, r->len,
                              r->total,         r->hash, r->mask};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        hash = mix(hash, words[i]);
    return hash;
}

void sim_trace_add(struct sim_trace *trace, const struct sim_record *record)
{
    if (trace->count == trace->capacity) {
        trace->capacity = trace->capacity ? trace->capacity * 2 : 4096;
        trace->records = realloc(trace->records, trace->capacity * sizeof *trace->records);
        nx_assert(trace->records != NULL);
    }
    trace->hash = record_hash(trace->hash, record);
    trace->records[trace->count++] = *record;
}

static void print_field(const struct field *field, const struct sim_record *record, FILE *out)
{
    const char *at = (const char *)record + field->offset;
    uint64_t value;
    switch (field->width) {
    case BYTE: fprintf(out, " %s=%u", field->name, *(const uint8_t *)at); return;
    case SIGNED:
        memcpy(&value, at, 8);
        fprintf(out, " %s=%" PRId64, field->name, (int64_t)value);
        return;
    case NUMBER:
        memcpy(&value, at, 8);
        fprintf(out, " %s=%" PRIu64, field->name, value);
        return;
    case HEX:
        memcpy(&value, at, 8);
        fprintf(out, " %s=%" PRIx64, field->name, value);
        return;
    }
}

static const struct field *find_field(const char *name, size_t len)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strlen(fields[i].name) == len && memcmp(fields[i].name, name, len) == 0)
            return &fields[i];
    return NULL;
}

void sim_record_print(const struct sim_record *record, FILE *out)
{
    const struct kind *kind = &kinds[record->kind];
    fprintf(out, "[%" PRId64 "] n%u %s", record->at, record->node, kind->name);
    for (const char *name = kind->fields; *name;) {
        size_t len = strcspn(name, " ");
        print_field(find_field(name, len), record, out);
        name += len + (name[len] == ' ');
    }
    fputc('\n', out);
}

static bool parse_field(const char *word, struct sim_record *record)
{
    const char *equals = strchr(word, '=');
    const struct field *field = equals ? find_field(word, (size_t)(equals - word)) : NULL;
    if (!field || !equals[1])
        return false;
    char *end;
    uint64_t value = field->width == SIGNED
                         ? (uint64_t)strtoll(equals + 1, &end, 10)
                         : strtoull(equals + 1, &end, field->width == HEX ? 16 : 10);
    if (*end || (field->width == BYTE && value > UINT8_MAX))
        return false;
    char *at = (char *)record + field->offset;
    if (field->width == BYTE)
        *(uint8_t *)at = (uint8_t)value;
    else
        memcpy(at, &value, sizeof value);
    return true;
}

static bool parse_kind(const char *name, struct sim_record *record)
{
    for (uint8_t kind = 0; kind < SIM_KIND_COUNT; kind++)
        if (strcmp(kinds[kind].name, name) == 0) {
            record->kind = kind;
            return true;
        }
    return false;
}

bool sim_record_parse(const char *line, struct sim_record *record)
{
    char text[512], name[32];
    int used = 0;
    unsigned node;
    struct sim_record parsed = {0};
    if (sscanf(line, "[%" SCNd64 "] n%u %31s%n", &parsed.at, &node, name, &used) != 3 ||
        node > 255 || strlen(line + used) >= sizeof text || !parse_kind(name, &parsed))
        return false;
    parsed.node = (uint8_t)node;
    strcpy(text, line + used);
    char *rest;
    for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
        if (!parse_field(word, &parsed))
            return false;
    *record = parsed;
    return true;
}

uint64_t sim_hash(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * UINT64_C(1099511628211);
    return hash;
}

uint64_t sim_state_hash(uint64_t state, int64_t seq, uint64_t len, uint64_t hash)
{
    uint64_t facts[] = {(uint64_t)seq, len, hash};
    return sim_hash(state, facts, sizeof facts);
}
