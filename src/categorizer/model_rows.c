/* model_rows.c — what follows the answer to a LIST (categorizer_wire.h).
 *
 *     u64 used | u64 limit | u32 rows | rows: u32 tag, u64 version, u8 state, u8 format, two texts (u8 length, bytes),
 *                                       u64 weights, arena, memory, queries, u32 batch, u64 batch_ns */
#include "categorizer/categorizer_wire.h"

#include "common/codec.h"
#include "common/nx_assert.h"

#include <string.h>

static_assert(4 + 8 + 2 + 1 + NX_RECIPE_NAME_BYTES + 1 + NX_DEVICE_NAME_BYTES + 4 * 8 + 4 + 8 <=
                  NX_MODEL_ROW_BYTES_MAX,
              "a row has room");

size_t nx_models_head_encode(const struct nx_models_head *head, void *bytes, size_t cap)
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, cap);
    nx_write_u64(&w, head->used_bytes);
    nx_write_u64(&w, head->limit_bytes);
    nx_write_u32(&w, head->rows_count);
    return w.bad ? 0 : nx_writer_used(&w);
}

enum nx_status nx_models_head_decode(const void *bytes, size_t len, struct nx_models_head *head,
                                     struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    struct nx_models_head decoded = {.used_bytes = nx_read_u64(&r), .limit_bytes = nx_read_u64(&r)};
    decoded.rows_count = nx_read_u32(&r);
    if (r.bad)
        return nx_err_set(err, NX_CORRUPT, "a replica sent a malformed list of %zu bytes", len);
    *head = decoded;
    return NX_OK;
}

static void write_text(struct nx_writer *w, const char *text, size_t cap)
{
    size_t len = strnlen(text, cap - 1);
    nx_write_u8(w, (uint8_t)len);
    nx_write_bytes(w, text, len);
}

static void read_text(struct nx_reader *r, char *text, size_t cap)
{
    size_t len = nx_read_u8(r);
    const uint8_t *bytes = nx_read_bytes(r, len);
    if (!bytes || len >= cap || memchr(bytes, 0, len)) {
        r->bad = true;
        return;
    }
    memcpy(text, bytes, len);
    text[len] = 0;
}

size_t nx_model_row_encode(const struct nx_model_row *row, void *bytes, size_t cap)
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, cap);
    nx_write_u32(&w, row->tag);
    nx_write_u64(&w, row->version);
    nx_write_u8(&w, (uint8_t)row->state);
    nx_write_u8(&w, (uint8_t)row->format);
    write_text(&w, row->recipe, sizeof row->recipe);
    write_text(&w, row->device, sizeof row->device);
    nx_write_u64(&w, row->weights_bytes);
    nx_write_u64(&w, row->arena_bytes);
    nx_write_u64(&w, row->memory_bytes);
    nx_write_u64(&w, row->queries);
    nx_write_u32(&w, row->batch);
    nx_write_u64(&w, row->batch_ns);
    return w.bad ? 0 : nx_writer_used(&w);
}

static int is_state(enum nx_model_state state)
{
    return state == NX_MODEL_LOADING || state == NX_MODEL_READY;
}

enum nx_status nx_model_row_decode(const void *bytes, size_t len, struct nx_model_row *row,
                                   size_t *used, struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    struct nx_model_row decoded = {.tag = nx_read_u32(&r)};
    decoded.version = nx_read_u64(&r);
    decoded.state = (enum nx_model_state)nx_read_u8(&r);
    decoded.format = (enum nx_model_format)nx_read_u8(&r);
    read_text(&r, decoded.recipe, sizeof decoded.recipe);
    read_text(&r, decoded.device, sizeof decoded.device);
    decoded.weights_bytes = nx_read_u64(&r);
    decoded.arena_bytes = nx_read_u64(&r);
    decoded.memory_bytes = nx_read_u64(&r);
    decoded.queries = nx_read_u64(&r);
    decoded.batch = nx_read_u32(&r);
    decoded.batch_ns = nx_read_u64(&r);
    if (r.bad || !is_state(decoded.state))
        return nx_err_set(err, NX_CORRUPT, "a replica sent a malformed row of its list");
    *row = decoded;
    *used = len - nx_reader_left(&r);
    return NX_OK;
}
