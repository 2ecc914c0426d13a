/* wire_tensors.c — named tensors on the wire, and what may be asked of them. */
#include "categorizer/categorizer_wire.h"

#include "common/codec.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bytes;
} types[] = {
#define TYPE(type, name, bytes) {name, bytes},
    NX_TENSOR_TYPE_LIST(TYPE)
#undef TYPE
};

enum nx_tensor_type nx_tensor_type_of(const char *name)
{
    for (int i = NX_TYPE_NONE + 1; i < NX_TENSOR_TYPE_COUNT; i++)
        if (strcmp(types[i].name, name) == 0)
            return (enum nx_tensor_type)i;
    return NX_TYPE_NONE;
}

const char *nx_tensor_type_name(enum nx_tensor_type type)
{
    return types[type].name;
}

uint32_t nx_tensor_type_bytes(enum nx_tensor_type type)
{
    return types[type].bytes;
}

bool nx_tensor_elements(const uint64_t *dims, uint32_t rank, uint64_t *elements)
{
    uint64_t product = 1;
    for (uint32_t i = 0; i < rank; i++)
        if (dims[i] > INT32_MAX || __builtin_mul_overflow(product, dims[i], &product))
            return false;
    *elements = product;
    return true;
}

/* u32 rows | u8 count | each: name | u8 type | u8 rank | u64 per dimension | u64 bytes */
static void write_head(struct nx_writer *w, const struct nx_tensors *t)
{
    nx_write_u32(w, t->rows);
    nx_write_u8(w, (uint8_t)t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        const struct nx_tensor_part *p = &t->parts[i];
        nx_write_name(w, p->name);
        nx_write_u8(w, (uint8_t)p->type);
        nx_write_u8(w, (uint8_t)p->rank);
        for (uint32_t k = 0; k < p->rank; k++)
            nx_write_u64(w, p->dims[k]);
        nx_write_u64(w, p->bytes);
    }
}

size_t nx_tensors_encode(const struct nx_tensors *tensors, void *bytes, size_t cap)
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, cap);
    write_head(&w, tensors);
    return w.bad ? 0 : nx_writer_used(&w);
}

/* u8 count | each: name | u32 top | the tensors' head */
size_t nx_tensors_ask_encode(const struct nx_tensors_ask *ask, void *bytes, size_t cap)
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, cap);
    nx_write_u8(&w, (uint8_t)ask->outputs_count);
    for (uint32_t i = 0; i < ask->outputs_count; i++) {
        nx_write_name(&w, ask->outputs[i].name);
        nx_write_u32(&w, ask->outputs[i].top_max);
    }
    write_head(&w, &ask->in);
    return w.bad ? 0 : nx_writer_used(&w);
}

static void read_part(struct nx_reader *r, struct nx_tensor_part *p)
{
    nx_read_name(r, p->name, sizeof p->name);
    uint8_t type = nx_read_u8(r);
    p->rank = nx_read_u8(r);
    r->bad |= type == NX_TYPE_NONE || type >= NX_TENSOR_TYPE_COUNT || p->rank > NX_TENSOR_RANK_MAX;
    p->type = r->bad ? NX_TYPE_NONE : (enum nx_tensor_type)type;
    for (uint32_t k = 0; !r->bad && k < p->rank; k++)
        p->dims[k] = nx_read_u64(r);
    p->bytes = nx_read_u64(r);
}

/* Are they the elements of a BYTES tensor, no more and no fewer? */
static bool are_elements(const struct nx_tensor_part *p, uint64_t elements)
{
    struct nx_reader r;
    nx_reader_init(&r, p->data, p->bytes);
    for (; elements > 0 && !r.bad; elements--)
        nx_read_bytes(&r, nx_read_u32(&r));
    return !r.bad && nx_reader_left(&r) == 0;
}

static void read_data(struct nx_reader *r, struct nx_tensor_part *p)
{
    uint64_t elements, bytes;
    r->bad |= p->bytes > nx_reader_left(r) || !nx_tensor_elements(p->dims, p->rank, &elements);
    if (r->bad)
        return;
    p->data = nx_read_bytes(r, p->bytes);
    if (p->type == NX_TYPE_BYTES)
        r->bad |= !are_elements(p, elements);
    else
        r->bad |=
            __builtin_mul_overflow(elements, types[p->type].bytes, &bytes) || bytes != p->bytes;
}

static void read_tensors(struct nx_reader *r, struct nx_tensors *t)
{
    t->rows = nx_read_u32(r);
    t->count = nx_read_u8(r);
    r->bad |= t->count > NX_MODEL_TENSORS_MAX;
    for (uint32_t i = 0; !r->bad && i < t->count; i++)
        read_part(r, &t->parts[i]);
    for (uint32_t i = 0; !r->bad && i < t->count; i++)
        read_data(r, &t->parts[i]);
    r->bad |= nx_reader_left(r) > 0;
}

enum nx_status nx_tensors_decode(const void *bytes, size_t len, struct nx_tensors *tensors,
                                 struct nx_err *err)
{
    struct nx_reader r;
    struct nx_tensors t = {0};
    nx_reader_init(&r, bytes, len);
    read_tensors(&r, &t);
    if (r.bad)
        return nx_err_set(err, NX_CORRUPT, "a replica sent malformed tensors of %zu bytes", len);
    *tensors = t;
    return NX_OK;
}

enum nx_status nx_tensors_ask_decode(const void *bytes, size_t len, struct nx_tensors_ask *ask,
                                     struct nx_err *err)
{
    struct nx_reader r;
    struct nx_tensors_ask a = {0};
    nx_reader_init(&r, bytes, len);
    a.outputs_count = nx_read_u8(&r);
    r.bad |= a.outputs_count > NX_MODEL_TENSORS_MAX;
    for (uint32_t i = 0; !r.bad && i < a.outputs_count; i++) {
        nx_read_name(&r, a.outputs[i].name, sizeof a.outputs[i].name);
        a.outputs[i].top_max = nx_read_u32(&r);
        r.bad |= a.outputs[i].top_max > NX_TOP_MAX;
    }
    read_tensors(&r, &a.in);
    if (r.bad)
        return nx_err_set(err, NX_CORRUPT, "malformed tensors of %zu bytes were sent", len);
    *ask = a;
    return NX_OK;
}

size_t nx_class_encode(const struct nx_top_entry *entry, uint8_t *dst)
{
    char text[64];
    struct nx_writer w;
    size_t len = (size_t)snprintf(text, sizeof text, "%f:%u:", (double)entry->value, entry->index);
    size_t total = len + entry->label_bytes;
    if (!dst)
        return 4 + total;
    nx_writer_init(&w, dst, 4 + total);
    nx_write_u32(&w, (uint32_t)total);
    nx_write_bytes(&w, text, len);
    nx_write_bytes(&w, entry->label, entry->label_bytes);
    return 4 + total;
}
