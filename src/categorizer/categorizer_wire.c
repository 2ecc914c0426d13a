#include "categorizer/categorizer_wire.h"

#include "common/codec.h"

#include <string.h>

enum { LENGTH_BYTES = 4 };

static void encode_install(struct nx_writer *w, const struct nx_request_head *head)
{
    nx_write_bytes(w, head->request.bytes, NX_REQUEST_ID_BYTES);
    nx_write_u8(w, (uint8_t)head->format);
    nx_write_u64(w, head->synset_bytes);
    nx_write_u64(w, head->symbol_bytes);
    nx_write_u64(w, head->params_bytes);
    nx_write_u32(w, head->recipe_bytes);
    nx_write_bytes(w, head->recipe, head->recipe_bytes);
}

size_t nx_request_encode(const struct nx_request_head *head, void *bytes, size_t cap)
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, cap);
    nx_write_u32(&w, 0);
    nx_write_u8(&w, NX_WIRE_VERSION);
    nx_write_u8(&w, (uint8_t)head->op);
    nx_write_u32(&w, head->tag);
    switch (head->op) {
    case NX_REQUEST_INFER: nx_write_u64(&w, (uint64_t)head->time_left_ns); break;
    case NX_REQUEST_INSTALL: encode_install(&w, head); break;
    case NX_REQUEST_REMOVE: nx_write_bytes(&w, head->request.bytes, NX_REQUEST_ID_BYTES); break;
    case NX_REQUEST_LIST: break;
    }
    if (w.bad)
        return 0;
    size_t used = nx_writer_used(&w);
    nx_writer_init(&w, bytes, LENGTH_BYTES);
    nx_write_u32(&w, (uint32_t)used);
    return used;
}

static void decode_bytes(struct nx_reader *r, void *to, size_t len)
{
    const uint8_t *bytes = nx_read_bytes(r, len);
    if (bytes)
        memcpy(to, bytes, len);
}

static void decode_install(struct nx_reader *r, struct nx_request_head *head)
{
    decode_bytes(r, head->request.bytes, NX_REQUEST_ID_BYTES);
    head->format = (enum nx_model_format)nx_read_u8(r);
    head->synset_bytes = nx_read_u64(r);
    head->symbol_bytes = nx_read_u64(r);
    head->params_bytes = nx_read_u64(r);
    head->recipe_bytes = nx_read_u32(r);
    if (head->recipe_bytes > NX_RECIPE_BYTES_MAX)
        r->bad = true;
    else
        decode_bytes(r, head->recipe, head->recipe_bytes);
}

static void decode_fields(struct nx_reader *r, struct nx_request_head *head)
{
    head->tag = nx_read_u32(r);
    switch (head->op) {
    case NX_REQUEST_INFER: head->time_left_ns = (nx_ns)nx_read_u64(r); break;
    case NX_REQUEST_INSTALL: decode_install(r, head); break;
    case NX_REQUEST_REMOVE: decode_bytes(r, head->request.bytes, NX_REQUEST_ID_BYTES); break;
    case NX_REQUEST_LIST: break;
    default: r->bad = true;
    }
}

static int is_format(enum nx_model_format format)
{
    return format == NX_FORMAT_MXNET || format == NX_FORMAT_ONNX;
}

enum nx_status nx_request_decode(const void *bytes, size_t len, struct nx_request_head *head,
                                 size_t *used, struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    uint32_t head_bytes = nx_read_u32(&r);
    if (r.bad)
        return NX_AGAIN;
    if (head_bytes < LENGTH_BYTES + 2 || head_bytes > NX_HEAD_BYTES_MAX)
        return nx_err_set(err, NX_CORRUPT, "an operation's head claims %u bytes, 6 to %d are legal",
                          head_bytes, NX_HEAD_BYTES_MAX);
    if (len < head_bytes)
        return NX_AGAIN;
    nx_reader_init(&r, bytes, head_bytes);
    nx_read_u32(&r);
    uint8_t version = nx_read_u8(&r);
    if (version != NX_WIRE_VERSION)
        return nx_err_set(err, NX_UNSUPPORTED,
                          "an operation has wire version %u, this node speaks %d", version,
                          NX_WIRE_VERSION);
    struct nx_request_head decoded = {.op = (enum nx_request)nx_read_u8(&r)};
    decode_fields(&r, &decoded);
    if (r.bad || nx_reader_left(&r) != 0 ||
        (decoded.op == NX_REQUEST_INSTALL && !is_format(decoded.format)))
        return nx_err_set(err, NX_CORRUPT, "operation %d has a malformed head of %u bytes",
                          (int)decoded.op, head_bytes);
    *head = decoded;
    *used = head_bytes;
    return NX_OK;
}

size_t nx_answer_encode(const struct nx_answer *answer, void *bytes, size_t cap)
{
    struct nx_writer w;
    uint32_t value;
    size_t text_bytes = strnlen(answer->err.text, NX_ERR_TEXT_BYTES - 1);
    memcpy(&value, &answer->value, sizeof value);
    nx_writer_init(&w, bytes, cap);
    nx_write_u8(&w, NX_WIRE_VERSION);
    nx_write_u8(&w, (uint8_t)answer->err.status);
    nx_write_u16(&w, (uint16_t)text_bytes);
    nx_write_bytes(&w, answer->err.text, text_bytes);
    nx_write_u32(&w, answer->index);
    nx_write_u32(&w, value);
    nx_write_u32(&w, answer->label_bytes);
    nx_write_bytes(&w, answer->label, answer->label_bytes);
    return w.bad ? 0 : nx_writer_used(&w);
}

enum nx_status nx_answer_decode_first(const void *bytes, size_t len, struct nx_answer *answer,
                                      size_t *used, struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    struct nx_answer decoded = {0};
    uint8_t version = nx_read_u8(&r), status = nx_read_u8(&r);
    uint16_t text_bytes = nx_read_u16(&r);
    if (text_bytes < NX_ERR_TEXT_BYTES)
        decode_bytes(&r, decoded.err.text, text_bytes);
    else
        r.bad = true;
    decoded.err.status = (enum nx_status)status;
    decoded.index = nx_read_u32(&r);
    uint32_t value = nx_read_u32(&r);
    memcpy(&decoded.value, &value, sizeof value);
    decoded.label_bytes = nx_read_u32(&r);
    if (decoded.label_bytes <= NX_LABEL_BYTES_MAX)
        decode_bytes(&r, decoded.label, decoded.label_bytes);
    else
        r.bad = true;
    if (r.bad || version != NX_WIRE_VERSION || status >= NX_STATUS_COUNT)
        return nx_err_set(err, NX_CORRUPT, "a replica sent a malformed answer of %zu bytes", len);
    *answer = decoded;
    *used = len - nx_reader_left(&r);
    return NX_OK;
}

enum nx_status nx_answer_decode(const void *bytes, size_t len, struct nx_answer *answer,
                                struct nx_err *err)
{
    struct nx_answer decoded;
    size_t used;
    NX_TRY(nx_answer_decode_first(bytes, len, &decoded, &used, err));
    if (used != len)
        return nx_err_set(err, NX_CORRUPT, "a replica sent a malformed answer of %zu bytes", len);
    *answer = decoded;
    return NX_OK;
}
