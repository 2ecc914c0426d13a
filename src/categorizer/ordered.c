#include "categorizer/ordered.h"

#include "common/codec.h"

#include <string.h>

static size_t encode_vote(const struct nx_ordered_vote *vote, void *bytes, size_t cap)
{
    struct nx_writer w;
    size_t text_bytes = strnlen(vote->failure.text, NX_ERR_TEXT_BYTES - 1);
    nx_writer_init(&w, bytes, cap);
    nx_write_u8(&w, NX_ORDERED_VOTE);
    nx_write_u64(&w, (uint64_t)vote->version);
    nx_write_u8(&w, (uint8_t)vote->failure.status);
    nx_write_u16(&w, (uint16_t)text_bytes);
    nx_write_bytes(&w, vote->failure.text, text_bytes);
    nx_write_bytes(&w, vote->digest.bytes, NX_DIGEST_BYTES);
    return w.bad ? 0 : nx_writer_used(&w);
}

size_t nx_ordered_encode(const struct nx_ordered *message, void *bytes, size_t cap)
{
    if (message->kind == NX_ORDERED_VOTE)
        return encode_vote(&message->vote, bytes, cap);
    if (cap < 1)
        return 0;
    *(uint8_t *)bytes = (uint8_t)message->kind;
    if (message->kind == NX_ORDERED_MARK)
        return 1;
    size_t used = nx_request_encode(&message->op, (uint8_t *)bytes + 1, cap - 1);
    return used ? 1 + used : 0;
}

static enum nx_status decode_vote(struct nx_reader *r, struct nx_ordered_vote *vote,
                                  struct nx_err *err)
{
    *vote = (struct nx_ordered_vote){.version = (nx_seq)nx_read_u64(r)};
    uint8_t status = nx_read_u8(r);
    uint16_t text_bytes = nx_read_u16(r);
    const uint8_t *text = nx_read_bytes(r, text_bytes);
    const uint8_t *digest = nx_read_bytes(r, NX_DIGEST_BYTES);
    if (r->bad || nx_reader_left(r) != 0 || status >= NX_STATUS_COUNT ||
        text_bytes >= NX_ERR_TEXT_BYTES)
        return nx_err_set(err, NX_CORRUPT, "a malformed vote");
    vote->failure.status = (enum nx_status)status;
    memcpy(vote->failure.text, text, text_bytes);
    memcpy(vote->digest.bytes, digest, NX_DIGEST_BYTES);
    return NX_OK;
}

static enum nx_status decode_op(struct nx_reader *r, enum nx_request op,
                                struct nx_request_head *head, struct nx_err *err)
{
    size_t used, left = nx_reader_left(r);
    enum nx_status status = nx_request_decode(r->at, left, head, &used, err);
    if (status == NX_AGAIN || (status == NX_OK && (used != left || head->op != op)))
        return nx_err_set(err, NX_CORRUPT, "a malformed ordered operation");
    return status;
}

enum nx_status nx_ordered_decode(const void *bytes, size_t len, struct nx_ordered *message,
                                 struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    message->kind = (enum nx_ordered_kind)nx_read_u8(&r);
    switch (message->kind) {
    case NX_ORDERED_INSTALL: return decode_op(&r, NX_REQUEST_INSTALL, &message->op, err);
    case NX_ORDERED_REMOVE: return decode_op(&r, NX_REQUEST_REMOVE, &message->op, err);
    case NX_ORDERED_VOTE: return decode_vote(&r, &message->vote, err);
    case NX_ORDERED_MARK:
        return nx_reader_left(&r) == 0 ? NX_OK : nx_err_set(err, NX_CORRUPT, "a malformed mark");
    }
    return nx_err_set(err, NX_CORRUPT, "an ordered message of unknown kind %d", (int)message->kind);
}
