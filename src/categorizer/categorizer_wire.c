#include "categorizer/categorizer_wire.h"

#include "common/codec.h"

#include <string.h>

enum { LENGTH_BYTES = 4 };

static void encode_infer(struct nx_writer *w, const struct nx_request_head *head)
{
    const struct nx_want *want = &head->want;
    nx_write_u64(w, (uint64_t)head->time_left_ns);
    nx_write_u8(w, (uint8_t)want->input);
    nx_write_name(w, want->tensor);
    nx_write_u32(w, want->top_max);
    nx_write_u8(w, want->outputs);
    nx_write_u8(w, (uint8_t)want->priority);
    if (head->version)
        nx_write_u64(w, head->version);
}

static void encode_install(struct nx_writer *w, const struct nx_request_head *head)
{
    nx_write_bytes(w, head->request.bytes, NX_REQUEST_ID_BYTES);
    nx_write_u8(w, (uint8_t)head->format);
    nx_write_u8(w, head->replace);
    nx_write_u64(w, head->synset_bytes);
    nx_write_u64(w, head->symbol_bytes);
    nx_write_u64(w, head->params_bytes);
    nx_write_u32(w, head->recipe_bytes);
    nx_write_bytes(w, head->recipe, head->recipe_bytes);
    if (head->calibration_bytes)
        nx_write_u32(w, head->calibration_bytes);
    else if (head->precision != NX_PRECISION_F32)
        nx_write_u8(w, (uint8_t)head->precision);
}

static uint8_t version_of(const struct nx_request_head *head)
{
    return head->op == NX_REQUEST_INSTALL && head->calibration_bytes ? NX_WIRE_VERSION_CALIBRATED
                                                                     : NX_WIRE_VERSION;
}

size_t nx_request_encode(const struct nx_request_head *head, void *bytes, size_t cap)
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, cap);
    nx_write_u32(&w, 0);
    nx_write_u8(&w, version_of(head));
    nx_write_u8(&w, (uint8_t)head->op);
    nx_write_u32(&w, head->tag);
    nx_write_name(&w, head->name);
    nx_write_bytes(&w, head->trace.trace_id, NX_TRACE_ID_BYTES);
    nx_write_bytes(&w, head->trace.span_id, NX_SPAN_ID_BYTES);
    nx_write_u8(&w, head->trace.flags);
    switch (head->op) {
    case NX_REQUEST_INFER: encode_infer(&w, head); break;
    case NX_REQUEST_INSTALL: encode_install(&w, head); break;
    case NX_REQUEST_REMOVE: nx_write_bytes(&w, head->request.bytes, NX_REQUEST_ID_BYTES); break;
    case NX_REQUEST_LIST:
    case NX_REQUEST_DESCRIBE: break;
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

static bool read_flag(struct nx_reader *r)
{
    uint8_t flag = nx_read_u8(r);
    r->bad |= flag > 1;
    return flag == 1;
}

static void decode_infer(struct nx_reader *r, struct nx_request_head *head)
{
    struct nx_want *want = &head->want;
    head->time_left_ns = (nx_ns)nx_read_u64(r);
    want->input = (enum nx_input)nx_read_u8(r);
    nx_read_name(r, want->tensor, sizeof want->tensor);
    r->bad |= want->input > NX_INPUT_TENSORS;
    want->top_max = nx_read_u32(r);
    want->outputs = read_flag(r);
    want->priority = nx_read_u8(r);
    r->bad |= want->top_max > NX_TOP_MAX || want->priority > NX_PRIORITY_MAX;
    if (r->bad || nx_reader_left(r) == 0)
        return;
    head->version = nx_read_u64(r);
    r->bad |= head->version == 0;
}

/* How it is computed: the end of an INSTALL's head. */
static void decode_precision(struct nx_reader *r, uint8_t version, struct nx_request_head *head)
{
    if (version == NX_WIRE_VERSION_CALIBRATED) {
        head->calibration_bytes = nx_read_u32(r);
        head->precision = NX_PRECISION_INT8;
        r->bad |= head->calibration_bytes == 0;
    } else if (!r->bad && nx_reader_left(r) > 0) {
        uint8_t precision = nx_read_u8(r);
        r->bad |= precision == NX_PRECISION_F32 || precision == NX_PRECISION_INT8 ||
                  precision >= NX_PRECISION_COUNT;
        head->precision = (enum nx_precision)precision;
    }
}

static void decode_install(struct nx_reader *r, uint8_t version, struct nx_request_head *head)
{
    decode_bytes(r, head->request.bytes, NX_REQUEST_ID_BYTES);
    head->format = (enum nx_model_format)nx_read_u8(r);
    head->replace = read_flag(r);
    head->synset_bytes = nx_read_u64(r);
    head->symbol_bytes = nx_read_u64(r);
    head->params_bytes = nx_read_u64(r);
    head->recipe_bytes = nx_read_u32(r);
    if (head->recipe_bytes > NX_RECIPE_BYTES_MAX)
        r->bad = true;
    else
        decode_bytes(r, head->recipe, head->recipe_bytes);
    decode_precision(r, version, head);
}

static void decode_fields(struct nx_reader *r, uint8_t version, struct nx_request_head *head)
{
    head->tag = nx_read_u32(r);
    nx_read_name(r, head->name, sizeof head->name);
    decode_bytes(r, head->trace.trace_id, NX_TRACE_ID_BYTES);
    decode_bytes(r, head->trace.span_id, NX_SPAN_ID_BYTES);
    head->trace.flags = nx_read_u8(r);
    switch (head->op) {
    case NX_REQUEST_INFER: decode_infer(r, head); break;
    case NX_REQUEST_INSTALL: decode_install(r, version, head); break;
    case NX_REQUEST_REMOVE: decode_bytes(r, head->request.bytes, NX_REQUEST_ID_BYTES); break;
    case NX_REQUEST_LIST:
    case NX_REQUEST_DESCRIBE: break;
    default: r->bad = true;
    }
    r->bad |= version == NX_WIRE_VERSION_CALIBRATED && head->op != NX_REQUEST_INSTALL;
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
    if (version != NX_WIRE_VERSION && version != NX_WIRE_VERSION_CALIBRATED)
        return nx_err_set(err, NX_UNSUPPORTED,
                          "an operation has wire version %u, this node speaks %d and %d", version,
                          NX_WIRE_VERSION, NX_WIRE_VERSION_CALIBRATED);
    struct nx_request_head decoded = {.op = (enum nx_request)nx_read_u8(&r)};
    decode_fields(&r, version, &decoded);
    if (r.bad || nx_reader_left(&r) != 0 ||
        (decoded.op == NX_REQUEST_INSTALL && !is_format(decoded.format)))
        return nx_err_set(err, NX_CORRUPT, "operation %d has a malformed head of %u bytes",
                          (int)decoded.op, head_bytes);
    *head = decoded;
    *used = head_bytes;
    return NX_OK;
}

bool nx_install_body_bytes(const struct nx_request_head *head, uint64_t *bytes)
{
    return !__builtin_add_overflow(head->synset_bytes, head->symbol_bytes, bytes) &&
           !__builtin_add_overflow(*bytes, head->params_bytes, bytes) &&
           !__builtin_add_overflow(*bytes, head->calibration_bytes, bytes);
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
    nx_write_u64(&w, answer->version);
    nx_write_u32(&w, answer->label_bytes);
    nx_write_bytes(&w, answer->label, answer->label_bytes);
    nx_write_u32(&w, answer->payload_bytes);
    if (answer->payload_bytes)
        nx_write_bytes(&w, answer->payload, answer->payload_bytes);
    return w.bad ? 0 : nx_writer_used(&w);
}

enum nx_status nx_answer_decode(const void *bytes, size_t len, struct nx_answer *answer,
                                struct nx_err *err)
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
    decoded.version = nx_read_u64(&r);
    decoded.label_bytes = nx_read_u32(&r);
    if (decoded.label_bytes <= NX_LABEL_BYTES_MAX)
        decode_bytes(&r, decoded.label, decoded.label_bytes);
    else
        r.bad = true;
    decoded.payload_bytes = nx_read_u32(&r);
    decoded.payload = nx_read_bytes(&r, decoded.payload_bytes);
    if (r.bad || nx_reader_left(&r) != 0 || version != NX_WIRE_VERSION || status >= NX_STATUS_COUNT)
        return nx_err_set(err, NX_CORRUPT, "a replica sent a malformed answer of %zu bytes", len);
    *answer = decoded;
    return NX_OK;
}
