/* nx_onnx_file.h — writes ONNX files for tests, as wrong as wanted: protobuf's wire format and little more. */
#ifndef NX_ONNX_FILE_H
#define NX_ONNX_FILE_H

#include "nx_test.h"

#include "common/codec.h"

#include <string.h>

#define NX_ONNX_FILE_BYTES (1 << 18)

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

struct nx_onnx_file {
    uint8_t bytes[NX_ONNX_FILE_BYTES];
    struct nx_writer w;
};

static inline void nx_of_begin(struct nx_onnx_file *f)
{
    nx_writer_init(&f->w, f->bytes, sizeof f->bytes);
}

static inline size_t nx_of_len(const struct nx_onnx_file *f)
{
    assert_false(f->w.bad);
    return nx_writer_used(&f->w);
}

static inline void nx_of_varint(struct nx_onnx_file *f, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        nx_write_u8(&f->w, (uint8_t)(v | 0x80));
    nx_write_u8(&f->w, (uint8_t)v);
}

static inline void nx_of_key(struct nx_onnx_file *f, uint32_t number, uint32_t wire)
{
    nx_of_varint(f, (uint64_t)number << 3 | wire);
}

static inline void nx_of_int(struct nx_onnx_file *f, uint32_t number, int64_t v)
{
    nx_of_key(f, number, 0);
    nx_of_varint(f, (uint64_t)v);
}

static inline void nx_of_float(struct nx_onnx_file *f, uint32_t number, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    nx_of_key(f, number, 5);
    nx_write_u32(&f->w, bits);
}

static inline void nx_of_bytes(struct nx_onnx_file *f, uint32_t number, const void *bytes,
                               size_t len)
{
    nx_of_key(f, number, 2);
    nx_of_varint(f, len);
    nx_write_bytes(&f->w, bytes, len);
}

static inline void nx_of_text(struct nx_onnx_file *f, uint32_t number, const char *text)
{
    nx_of_bytes(f, number, text, strlen(text));
}

/* A message inside: open, write its fields, close. Its length has four bytes, of which some say nothing. */
static inline size_t nx_of_open(struct nx_onnx_file *f, uint32_t number)
{
    nx_of_key(f, number, 2);
    nx_write_u32(&f->w, 0);
    return nx_writer_used(&f->w);
}

static inline void nx_of_close(struct nx_onnx_file *f, size_t start)
{
    size_t len = nx_writer_used(&f->w) - start;
    assert_true(len < 1 << 28);
    for (int i = 0; i < 4; i++)
        f->bytes[start - 4 + (size_t)i] = (uint8_t)((len >> (7 * i) & 0x7f) | (i < 3 ? 0x80 : 0));
}

static inline void nx_of_dims(struct nx_onnx_file *f, uint32_t n, const int64_t *dims)
{
    for (uint32_t i = 0; i < n; i++)
        nx_of_int(f, 1, dims[i]);
}

/* An initialiser of `n` floats in raw_data, first, first + 0.01, …  */
static inline void nx_of_weight(struct nx_onnx_file *f, const char *name, uint32_t rank,
                                const int64_t *dims, uint32_t n, float first)
{
    size_t tensor = nx_of_open(f, 5);
    nx_of_dims(f, rank, dims);
    nx_of_int(f, 2, 1);
    nx_of_text(f, 8, name);
    nx_of_key(f, 9, 2);
    nx_of_varint(f, 4 * (uint64_t)n);
    for (uint32_t i = 0; i < n; i++) {
        float v = first + 0.01f * (float)(i % 50);
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        nx_write_u32(&f->w, bits);
    }
    nx_of_close(f, tensor);
}

/* The type of an input (field 11) or output (12), as TensorProto.DataType numbers it; a dimension of 0 is a name. */
static inline void nx_of_typed_info(struct nx_onnx_file *f, uint32_t number, const char *name,
                                    int64_t data_type, uint32_t rank, const int64_t *dims)
{
    size_t info = nx_of_open(f, number);
    nx_of_text(f, 1, name);
    size_t type = nx_of_open(f, 2), tensor = nx_of_open(f, 1);
    nx_of_int(f, 1, data_type);
    size_t shape = nx_of_open(f, 2);
    for (uint32_t i = 0; i < rank; i++) {
        size_t dim = nx_of_open(f, 1);
        if (dims[i])
            nx_of_int(f, 1, dims[i]);
        else
            nx_of_text(f, 2, "N");
        nx_of_close(f, dim);
    }
    nx_of_close(f, shape);
    nx_of_close(f, tensor);
    nx_of_close(f, type);
    nx_of_close(f, info);
}

/* Of floats. */
static inline void nx_of_info(struct nx_onnx_file *f, uint32_t number, const char *name,
                              uint32_t rank, const int64_t *dims)
{
    nx_of_typed_info(f, number, name, 1, rank, dims);
}

/* A node; inputs and outputs NULL-terminated. Attributes may follow before nx_of_close. */
static inline size_t nx_of_node(struct nx_onnx_file *f, const char *op, const char *const *inputs,
                                const char *const *outputs)
{
    size_t node = nx_of_open(f, 1);
    for (; *inputs; inputs++)
        nx_of_text(f, 1, *inputs);
    for (; *outputs; outputs++)
        nx_of_text(f, 2, *outputs);
    nx_of_text(f, 4, op);
    return node;
}

static inline void nx_of_attr_ints(struct nx_onnx_file *f, const char *name, uint32_t n,
                                   const int64_t *items)
{
    size_t attribute = nx_of_open(f, 5);
    nx_of_text(f, 1, name);
    for (uint32_t i = 0; i < n; i++)
        nx_of_int(f, 8, items[i]);
    nx_of_int(f, 20, 7);
    nx_of_close(f, attribute);
}

/* ModelProto up to its graph; close the graph, then nx_of_opset. */
static inline size_t nx_of_model(struct nx_onnx_file *f, int64_t ir)
{
    nx_of_begin(f);
    nx_of_int(f, 1, ir);
    return nx_of_open(f, 7);
}

static inline void nx_of_opset(struct nx_onnx_file *f, int64_t version)
{
    size_t opset = nx_of_open(f, 8);
    nx_of_int(f, 2, version);
    nx_of_close(f, opset);
}

#endif
