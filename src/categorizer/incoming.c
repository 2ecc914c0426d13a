#include "categorizer/incoming.h"

#include "categorizer/model/calibration.h"
#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

static struct nx_incoming **bucket_of(struct nx_incomings *all, nx_stream stream)
{
    uint64_t h = stream * 0x9e3779b97f4a7c15u;
    return &all->buckets[h >> 54 & (NX_INCOMING_BUCKETS - 1)];
}

struct nx_incoming *nx_incoming_find(struct nx_incomings *all, nx_stream stream)
{
    struct nx_incoming *in = *bucket_of(all, stream);
    while (in && in->stream != stream)
        in = in->next;
    return in;
}

struct nx_incoming *nx_incoming_add(struct nx_incomings *all, nx_stream stream, uint64_t total)
{
    nx_assert(!nx_incoming_find(all, stream));
    if (all->count == NX_INCOMING_MAX)
        return NULL;
    struct nx_incoming *in = nx_calloc(1, sizeof *in);
    if (!in)
        return NULL;
    struct nx_incoming **bucket = bucket_of(all, stream);
    in->stream = stream;
    in->total = total;
    in->next = *bucket;
    *bucket = in;
    all->count++;
    return in;
}

void nx_incoming_drop_body(struct nx_incomings *all, struct nx_incoming *in)
{
    if (!in->body)
        return;
    free(in->body);
    in->body = NULL;
    nx_budget_give(all->budget, in->body_bytes);
}

uint8_t *nx_incoming_take_body(struct nx_incoming *in)
{
    uint8_t *body = in->body;
    in->body = NULL;
    return body;
}

void nx_incoming_drop(struct nx_incomings *all, struct nx_incoming *in)
{
    struct nx_incoming **link = bucket_of(all, in->stream);
    while (*link != in)
        link = &(*link)->next;
    *link = in->next;
    nx_incoming_drop_body(all, in);
    free(in->reply);
    free(in);
    all->count--;
}

struct nx_incoming *nx_incoming_next(struct nx_incomings *all, const struct nx_incoming *in)
{
    if (in && in->next)
        return in->next;
    struct nx_incoming **b = in ? bucket_of(all, in->stream) + 1 : all->buckets;
    for (; b < all->buckets + NX_INCOMING_BUCKETS; b++)
        if (*b)
            return *b;
    return NULL;
}

/* What the head says the body is; UINT64_MAX if the sum overflows. */
static uint64_t announced_body(const struct nx_request_head *head, uint64_t left)
{
    uint64_t sum;
    if (head->op == NX_REQUEST_INFER)
        return left;
    if (head->op != NX_REQUEST_INSTALL)
        return 0;
    return nx_install_body_bytes(head, &sum) ? sum : UINT64_MAX;
}

static enum nx_status check_body(const struct nx_incoming *in, uint64_t left, struct nx_err *err)
{
    uint64_t announced = announced_body(&in->head, left);
    if (announced != left)
        return nx_err_set(err, NX_INVALID, "the files are announced as %llu bytes, %llu came",
                          (unsigned long long)announced, (unsigned long long)left);
    if (in->head.op == NX_REQUEST_INFER && left > NX_PHOTO_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the %s has %llu bytes, the limit is %d",
                          in->head.want.input == NX_INPUT_PHOTO ? "photo" : "tensor",
                          (unsigned long long)left, NX_PHOTO_BYTES_MAX);
    if (in->head.op == NX_REQUEST_INSTALL && in->head.calibration_bytes > NX_CALIBRATION_BYTES_MAX)
        return nx_calibration_say_too_large(in->head.calibration_bytes, err);
    return NX_OK;
}

static void make_room(struct nx_incomings *all, struct nx_incoming *in, uint64_t body_bytes)
{
    in->head_known = true;
    in->body_bytes = body_bytes;
    if (in->refused.status != NX_OK || check_body(in, body_bytes, &in->refused) != NX_OK ||
        body_bytes == 0)
        return;
    const char *what = in->head.op == NX_REQUEST_INFER ? "a photo" : "a model";
    if (nx_budget_take(all->budget, body_bytes, what, &in->refused) != NX_OK)
        return;
    /* not nx_calloc: a gigabyte need not be zeroed first, its pages come as they are filled */
    in->body = nx_malloc(body_bytes);
    if (!in->body) {
        nx_budget_give(all->budget, body_bytes);
        nx_err_set(&in->refused, NX_NO_MEMORY, "no memory for %s of %llu bytes", what,
                   (unsigned long long)body_bytes);
    }
}

void nx_incoming_set_head(struct nx_incomings *all, struct nx_incoming *in,
                          const struct nx_request_head *head)
{
    in->head = *head;
    make_room(all, in, in->total);
}

static size_t feed_head(struct nx_incomings *all, struct nx_incoming *in, const uint8_t *bytes,
                        size_t len)
{
    size_t room = sizeof in->head_bytes - in->head_got, take = len < room ? len : room, used;
    uint32_t before = in->head_got;
    memcpy(in->head_bytes + in->head_got, bytes, take);
    in->head_got += (uint32_t)take;
    enum nx_status status =
        nx_request_decode(in->head_bytes, in->head_got, &in->head, &used, &in->refused);
    if (status == NX_AGAIN)
        return take;
    if (status != NX_OK) {
        in->head_known = true; /* the rest is read and dropped */
        in->body_bytes = 0;
        return len;
    }
    make_room(all, in, in->total - used);
    return used - before;
}

void nx_incoming_feed(struct nx_incomings *all, struct nx_incoming *in, const uint8_t *bytes,
                      size_t len)
{
    in->got += len;
    if (!in->head_known) {
        size_t used = feed_head(all, in, bytes, len);
        bytes += used;
        len -= used;
    }
    if (in->head_known && in->body && len) {
        nx_assert(len <= in->body_bytes - in->body_got);
        memcpy(in->body + in->body_got, bytes, len);
    }
    if (in->head_known)
        in->body_got += len;
    if (in->got == in->total && !in->head_known)
        nx_err_set(&in->refused, NX_CORRUPT, "an operation ends within its head after %llu bytes",
                   (unsigned long long)in->got);
}
