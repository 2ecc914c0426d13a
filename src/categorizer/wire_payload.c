/* wire_payload.c — names and tags, and what DESCRIBE, LIST and INFER tell beside a struct nx_answer. */
#include "categorizer/categorizer_wire.h"

#include "common/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- names ---------------------------------------------------------------------------------------- */

bool nx_name_is_number(const char *name)
{
    size_t len = strspn(name, "0123456789");
    if (len == 0 || len > 10 || name[len] != 0 || (name[0] == '0' && len > 1))
        return false;
    return strtoull(name, NULL, 10) <= UINT32_MAX;
}

/* FNV-1a: a name's bytes are few, and every node must find the same tag for ever. */
uint32_t nx_tag_of_name(const char *name)
{
    uint32_t hash = 2166136261u;
    if (nx_name_is_number(name))
        return (uint32_t)strtoull(name, NULL, 10);
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}

void nx_head_set_name(struct nx_request_head *head, const char *name)
{
    bool number = nx_name_is_number(name);
    head->tag = nx_tag_of_name(name);
    memset(head->name, 0, sizeof head->name);
    if (!number)
        memcpy(head->name, name, strnlen(name, sizeof head->name - 1));
}

bool nx_model_name_ok(const char *name)
{
    static const char *const reserved[] = {
        "v1",    "v2",      "algorithm",       "models", "predictions", "invocations",
        "ping",  "metrics", "api-description", "blobs",  "health",      "healthz",
        "livez", "readyz",  "nexus",           "stats",  ".",           ".."};
    size_t len = strlen(name);
    if (len == 0 || len >= NX_MODEL_NAME_BYTES ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len)
        return false;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(name, reserved[i]) == 0)
            return false;
    return true;
}

/* --- models --------------------------------------------------------------------------------------- */

static void write_tensors(struct nx_writer *w, const struct nx_tensor_facts *t, uint32_t count)
{
    nx_write_u8(w, (uint8_t)count);
    for (uint32_t i = 0; i < count; i++) {
        nx_write_name(w, t[i].name);
        nx_write_u8(w, (uint8_t)t[i].type);
        nx_write_u8(w, (uint8_t)t[i].rank);
        for (uint32_t k = 0; k < t[i].rank; k++)
            nx_write_u64(w, (uint64_t)t[i].dims[k]);
    }
}

static void read_tensors(struct nx_reader *r, struct nx_tensor_facts *t, uint32_t *count)
{
    *count = nx_read_u8(r);
    if (*count > NX_MODEL_TENSORS_MAX)
        r->bad = true;
    for (uint32_t i = 0; !r->bad && i < *count; i++) {
        nx_read_name(r, t[i].name, sizeof t[i].name);
        uint8_t type = nx_read_u8(r);
        t[i].rank = nx_read_u8(r);
        r->bad |= type >= NX_TENSOR_TYPE_COUNT || t[i].rank > NX_TENSOR_RANK_MAX;
        t[i].type = (enum nx_tensor_type)type;
        for (uint32_t k = 0; !r->bad && k < t[i].rank; k++)
            t[i].dims[k] = (int64_t)nx_read_u64(r);
    }
}

size_t nx_models_encode(const struct nx_model_facts_wire *models, uint32_t count, void *bytes,
                        size_t cap)
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, cap);
    nx_write_u32(&w, count);
    for (size_t at = sizeof(uint32_t); at < NX_MODELS_HEAD_BYTES; at += sizeof(uint64_t))
        nx_write_u64(&w, 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct nx_model_facts_wire *m = &models[i];
        nx_write_u32(&w, m->tag);
        nx_write_name(&w, m->name);
        nx_write_u8(&w, m->ready);
        nx_write_u8(&w, (uint8_t)m->format);
        nx_write_u64(&w, m->version);
        nx_write_bytes(&w, m->digest, sizeof m->digest);
        nx_write_u64(&w, m->params);
        nx_write_u64(&w, m->memory_bytes);
        nx_write_u64(&w, m->weights_bytes);
        nx_write_u64(&w, m->arena_bytes);
        nx_write_name(&w, m->backend);
        nx_write_u8(&w, (uint8_t)m->precision);
        nx_write_name(&w, m->recipe);
        nx_write_u64(&w, m->queries);
        nx_write_u64(&w, m->execs);
        nx_write_u64(&w, m->queue_ns);
        nx_write_u64(&w, m->run_ns);
        nx_write_u64(&w, m->input_ns);
        nx_write_u64(&w, m->output_ns);
        nx_write_u32(&w, m->batch);
        nx_write_u64(&w, m->batch_ns);
        write_tensors(&w, m->inputs, m->inputs_count);
        write_tensors(&w, m->outputs, m->outputs_count);
    }
    return w.bad ? 0 : nx_writer_used(&w);
}

void nx_models_set_memory(void *encoded, const struct nx_models_memory *memory)
{
    struct nx_writer w;
    nx_writer_init(&w, (uint8_t *)encoded + 4, 16);
    nx_write_u64(&w, memory->used_bytes);
    nx_write_u64(&w, memory->limit_bytes);
}

enum nx_status nx_models_get_memory(const void *bytes, size_t len, struct nx_models_memory *memory,
                                    struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    nx_read_u32(&r);
    struct nx_models_memory read = {.used_bytes = nx_read_u64(&r), .limit_bytes = nx_read_u64(&r)};
    if (r.bad)
        return nx_err_set(err, NX_CORRUPT, "a replica sent a malformed list of models");
    *memory = read;
    return NX_OK;
}

enum { MEMORY_BYTES = 20, WORK_WORDS = sizeof(struct nx_work) / sizeof(uint64_t) };

const uint32_t nx_wait_bounds_us[NX_WAIT_STEPS - 1] = {500,     1000,    2500,    5000,    10000,
                                                       25000,   50000,   100000,  250000,  500000,
                                                       1000000, 2500000, 5000000, 10000000};

void nx_models_set_work(void *encoded, const struct nx_work *work)
{
    static_assert(sizeof *work == WORK_WORDS * sizeof(uint64_t), "words only");
    uint64_t words[WORK_WORDS];
    struct nx_writer w;
    memcpy(words, work, sizeof words);
    nx_writer_init(&w, (uint8_t *)encoded + MEMORY_BYTES, sizeof words);
    for (size_t i = 0; i < WORK_WORDS; i++)
        nx_write_u64(&w, words[i]);
}

enum nx_status nx_models_get_work(const void *bytes, size_t len, struct nx_work *work,
                                  struct nx_err *err)
{
    uint64_t words[WORK_WORDS];
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    nx_read_bytes(&r, MEMORY_BYTES);
    for (size_t i = 0; i < WORK_WORDS; i++)
        words[i] = nx_read_u64(&r);
    if (r.bad)
        return nx_err_set(err, NX_CORRUPT, "a replica sent a malformed list of models");
    memcpy(work, words, sizeof *work);
    return NX_OK;
}

static void read_model(struct nx_reader *r, struct nx_model_facts_wire *m)
{
    *m = (struct nx_model_facts_wire){.tag = nx_read_u32(r)};
    nx_read_name(r, m->name, sizeof m->name);
    uint8_t ready = nx_read_u8(r), format = nx_read_u8(r);
    m->ready = ready == 1;
    m->format = (enum nx_model_format)format;
    r->bad |= ready > 1 || (format != NX_FORMAT_MXNET && format != NX_FORMAT_ONNX);
    m->version = nx_read_u64(r);
    const uint8_t *digest = nx_read_bytes(r, sizeof m->digest);
    if (digest)
        memcpy(m->digest, digest, sizeof m->digest);
    m->params = nx_read_u64(r);
    m->memory_bytes = nx_read_u64(r);
    m->weights_bytes = nx_read_u64(r);
    m->arena_bytes = nx_read_u64(r);
    nx_read_name(r, m->backend, sizeof m->backend);
    uint8_t precision = nx_read_u8(r);
    r->bad |= precision >= NX_PRECISION_COUNT;
    m->precision = (enum nx_precision)precision;
    nx_read_name(r, m->recipe, sizeof m->recipe);
    m->queries = nx_read_u64(r);
    m->execs = nx_read_u64(r);
    m->queue_ns = nx_read_u64(r);
    m->run_ns = nx_read_u64(r);
    m->input_ns = nx_read_u64(r);
    m->output_ns = nx_read_u64(r);
    m->batch = nx_read_u32(r);
    m->batch_ns = nx_read_u64(r);
    read_tensors(r, m->inputs, &m->inputs_count);
    read_tensors(r, m->outputs, &m->outputs_count);
}

enum nx_status nx_models_next(const void *bytes, size_t len, size_t *at,
                              struct nx_model_facts_wire *model, struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    nx_read_bytes(&r, *at ? *at : NX_MODELS_HEAD_BYTES);
    if (!r.bad && nx_reader_left(&r) == 0)
        return NX_NOT_FOUND;
    if (!r.bad)
        read_model(&r, model);
    if (r.bad)
        return nx_err_set(err, NX_CORRUPT, "a replica sent a malformed list of models");
    *at = len - nx_reader_left(&r);
    return NX_OK;
}

/* --- rows ----------------------------------------------------------------------------------------- */

bool nx_rows_next_top(const struct nx_rows *rows, size_t *at, struct nx_top_entry *entry)
{
    struct nx_reader r;
    nx_reader_init(&r, rows->top_bytes, rows->top_len);
    nx_read_bytes(&r, *at);
    if (nx_reader_left(&r) == 0)
        return false;
    entry->index = nx_read_u32(&r);
    uint32_t value = nx_read_u32(&r);
    memcpy(&entry->value, &value, sizeof value);
    entry->label_bytes = nx_read_u16(&r);
    entry->label = (const char *)nx_read_bytes(&r, entry->label_bytes);
    if (r.bad || entry->label_bytes > NX_LABEL_BYTES_MAX)
        return false;
    *at = rows->top_len - nx_reader_left(&r);
    return true;
}

enum nx_status nx_rows_decode(const void *bytes, size_t len, struct nx_rows *rows,
                              struct nx_err *err)
{
    struct nx_reader r;
    struct nx_rows d = {0};
    nx_reader_init(&r, bytes, len);
    nx_read_name(&r, d.output, sizeof d.output);
    d.rows = nx_read_u32(&r);
    d.columns = nx_read_u32(&r);
    d.top = nx_read_u32(&r);
    uint64_t values = (uint64_t)d.rows * d.columns;
    if (r.bad || d.rows == 0 || d.rows > NX_ROWS_MAX || d.top > NX_TOP_MAX ||
        values > nx_reader_left(&r) / 4)
        return nx_err_set(err, NX_CORRUPT, "a replica sent malformed results of %zu bytes", len);
    d.values = nx_read_bytes(&r, (size_t)values * 4);
    d.top_len = nx_reader_left(&r);
    d.top_bytes = nx_read_bytes(&r, d.top_len);
    struct nx_top_entry entry;
    size_t at = 0;
    uint64_t count = 0;
    while (nx_rows_next_top(&d, &at, &entry))
        count++;
    if (at != d.top_len || count != (uint64_t)d.rows * d.top)
        return nx_err_set(err, NX_CORRUPT, "a replica sent %llu categories, %u rows of %u expected",
                          (unsigned long long)count, d.rows, d.top);
    *rows = d;
    return NX_OK;
}
