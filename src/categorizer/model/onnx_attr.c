#include <inttypes.h>
#include <string.h>

#include "categorizer/model/onnx_parts.h"

/* NodeProto and AttributeProto: field numbers of onnx.proto. */
enum { NODE_ATTRIBUTE = 5 };
enum {
    A_NAME = 1,
    A_FLOAT = 2,
    A_INT = 3,
    A_STRING = 4,
    A_TENSOR = 5,
    A_GRAPH = 6,
    A_FLOATS = 7,
    A_INTS = 8,
    A_GRAPHS = 11
};

static enum nx_status not_a(const struct nx_onnx_call *c, const char *key, const char *wanted)
{
    return nx_err_set(c->o->err, NX_INVALID, "onnx: %s '%s': its attribute %s is not %s",
                      c->node->op, c->node->name, key, wanted);
}

static bool is_named(struct nx_onnx_bytes attribute, const char *key)
{
    struct nx_reader r;
    struct nx_proto_field f;
    nx_reader_init(&r, attribute.bytes, attribute.len);
    while (nx_proto_next(&r, &f))
        if (nx_proto_is_bytes(&f, A_NAME))
            return f.len == strlen(key) && memcmp(f.bytes, key, f.len) == 0;
    return false;
}

bool nx_onnx_attr(const struct nx_onnx_call *c, const char *key, struct nx_onnx_bytes *attribute)
{
    struct nx_reader r;
    struct nx_proto_field f;
    nx_reader_init(&r, c->node->message.bytes, c->node->message.len);
    while (nx_proto_next(&r, &f)) {
        struct nx_onnx_bytes message = {f.bytes, f.len};
        if (!nx_proto_is_bytes(&f, NODE_ATTRIBUTE) || !is_named(message, key))
            continue;
        *attribute = message;
        return true;
    }
    return false;
}

static enum nx_status check_one(const struct nx_onnx_call *c,
                                const struct nx_proto_field *attribute)
{
    struct nx_reader r;
    struct nx_proto_field f;
    nx_reader_init(&r, attribute->bytes, attribute->len);
    while (nx_proto_next(&r, &f))
        if (f.number == A_GRAPH || f.number == A_GRAPHS)
            return nx_onnx_refuse(c, "a subgraph");
    return r.bad ? nx_err_set(c->o->err, NX_CORRUPT, "onnx: %s '%s' has a malformed attribute",
                              c->node->op, c->node->name)
                 : NX_OK;
}

enum nx_status nx_onnx_attrs_check(const struct nx_onnx_call *c)
{
    struct nx_reader r;
    struct nx_proto_field f;
    nx_reader_init(&r, c->node->message.bytes, c->node->message.len);
    while (nx_proto_next(&r, &f))
        if (nx_proto_is_bytes(&f, NODE_ATTRIBUTE))
            NX_TRY(check_one(c, &f));
    return NX_OK;
}

/* The last field `number` of the attribute. False: the attribute has none. */
static bool single(struct nx_onnx_bytes attribute, uint32_t number, enum nx_proto_wire wire,
                   struct nx_proto_field *found)
{
    struct nx_reader r;
    struct nx_proto_field f;
    bool any = false;
    nx_reader_init(&r, attribute.bytes, attribute.len);
    while (nx_proto_next(&r, &f))
        if (f.number == number && f.wire == wire) {
            *found = f;
            any = true;
        }
    return any;
}

enum nx_status nx_onnx_attr_int(const struct nx_onnx_call *c, const char *key, int64_t *value)
{
    struct nx_onnx_bytes attribute;
    struct nx_proto_field f;
    if (!nx_onnx_attr(c, key, &attribute))
        return NX_OK;
    if (!single(attribute, A_INT, NX_PROTO_VARINT, &f))
        return not_a(c, key, "an integer");
    *value = (int64_t)f.value;
    return NX_OK;
}

enum nx_status nx_onnx_attr_bool(const struct nx_onnx_call *c, const char *key, bool *value)
{
    int64_t number = *value;
    NX_TRY(nx_onnx_attr_int(c, key, &number));
    *value = number != 0;
    return NX_OK;
}

static float float_of(uint64_t bits)
{
    uint32_t narrow = (uint32_t)bits;
    float value;
    memcpy(&value, &narrow, sizeof value);
    return value;
}

enum nx_status nx_onnx_attr_float(const struct nx_onnx_call *c, const char *key, float *value)
{
    struct nx_onnx_bytes attribute;
    struct nx_proto_field f;
    if (!nx_onnx_attr(c, key, &attribute))
        return NX_OK;
    if (!single(attribute, A_FLOAT, NX_PROTO_32, &f))
        return not_a(c, key, "a number");
    *value = float_of(f.value);
    return NX_OK;
}

enum nx_status nx_onnx_attr_tensor(const struct nx_onnx_call *c, const char *key,
                                   struct nx_onnx_bytes *message)
{
    struct nx_onnx_bytes attribute;
    struct nx_proto_field f;
    if (!nx_onnx_attr(c, key, &attribute))
        return NX_OK;
    if (!single(attribute, A_TENSOR, NX_PROTO_BYTES, &f))
        return not_a(c, key, "a tensor");
    *message = (struct nx_onnx_bytes){f.bytes, f.len};
    return NX_OK;
}

struct list {
    uint64_t *items;
    uint32_t n, cap;
    bool too_many, wrong;
};

static void append(struct list *list, uint64_t item)
{
    if (list->n < list->cap)
        list->items[list->n++] = item;
    else
        list->too_many = true;
}

/* One value, or packed ones. */
static void append_field(struct list *list, const struct nx_proto_field *f, enum nx_proto_wire wire)
{
    struct nx_reader r;
    if (f->wire == wire) {
        append(list, f->value);
        return;
    }
    nx_reader_init(&r, f->bytes, f->wire == NX_PROTO_BYTES ? f->len : 0);
    list->wrong |= f->wire != NX_PROTO_BYTES;
    while (nx_reader_left(&r) && !r.bad && !list->too_many)
        append(list, wire == NX_PROTO_VARINT ? nx_proto_varint(&r) : nx_read_u32(&r));
    list->wrong |= r.bad;
}

static enum nx_status read_list(const struct nx_onnx_call *c, const char *key, uint32_t number,
                                enum nx_proto_wire wire, struct list *list)
{
    struct nx_onnx_bytes attribute;
    struct nx_reader r;
    struct nx_proto_field f;
    if (!nx_onnx_attr(c, key, &attribute))
        return NX_OK;
    nx_reader_init(&r, attribute.bytes, attribute.len);
    while (nx_proto_next(&r, &f) && !list->too_many)
        if (f.number == number)
            append_field(list, &f, wire);
    if (list->too_many)
        return nx_err_set(c->o->err, NX_INVALID,
                          "onnx: %s '%s': its attribute %s has more than %u entries", c->node->op,
                          c->node->name, key, list->cap);
    return list->wrong ? not_a(c, key, "a list of numbers") : NX_OK;
}

enum nx_status nx_onnx_attr_ints(const struct nx_onnx_call *c, const char *key, int64_t *items,
                                 uint32_t cap, uint32_t *n)
{
    uint64_t read[NX_ONNX_INTS_MAX];
    struct list list = {.items = read, .cap = cap < NX_ONNX_INTS_MAX ? cap : NX_ONNX_INTS_MAX};
    NX_TRY(read_list(c, key, A_INTS, NX_PROTO_VARINT, &list));
    for (uint32_t i = 0; i < list.n; i++)
        items[i] = (int64_t)read[i];
    *n = list.n;
    return NX_OK;
}

enum nx_status nx_onnx_attr_floats(const struct nx_onnx_call *c, const char *key, float *items,
                                   uint32_t cap, uint32_t *n)
{
    uint64_t read[NX_ONNX_INTS_MAX];
    struct list list = {.items = read, .cap = cap < NX_ONNX_INTS_MAX ? cap : NX_ONNX_INTS_MAX};
    NX_TRY(read_list(c, key, A_FLOATS, NX_PROTO_32, &list));
    for (uint32_t i = 0; i < list.n; i++)
        items[i] = float_of(read[i]);
    *n = list.n;
    return NX_OK;
}

enum nx_status nx_onnx_attr_choice(const struct nx_onnx_call *c, const char *key,
                                   const char *const *choices, int *index)
{
    struct nx_onnx_bytes attribute;
    struct nx_proto_field f;
    if (!nx_onnx_attr(c, key, &attribute))
        return NX_OK;
    if (!single(attribute, A_STRING, NX_PROTO_BYTES, &f))
        return not_a(c, key, "a text");
    for (int i = 0; choices[i]; i++)
        if (f.len == strlen(choices[i]) && memcmp(f.bytes, choices[i], f.len) == 0) {
            *index = i;
            return NX_OK;
        }
    return nx_err_set(c->o->err, NX_UNSUPPORTED,
                      "onnx: %s '%s' has %s = \"%.*s\", which is not supported", c->node->op,
                      c->node->name, key, f.len > 64 ? 64 : (int)f.len, (const char *)f.bytes);
}
