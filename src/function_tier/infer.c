#include "function_tier/infer.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

struct part {
    struct nx_infer *infer;
    struct nx_route_request *request; /* while it is under way */
    uint8_t *reply;                   /* which the payload lies in */
    const uint8_t *payload;
    struct nx_rows rows; /* of a photo */
    uint32_t payload_bytes;
    uint64_t version; /* of the model that answered */
};

struct nx_infer {
    struct nx_route *route;
    nx_infer_done *done;
    void *user;
    uint32_t parts_count, parts_done;
    bool tensors;  /* one part, whose payload is tensors */
    bool kept;     /* by who was told: it is dropped when they say so */
    bool starting; /* no upcall to the owner before start has returned */
    struct nx_err failure;
    struct part parts[];
};

static void drop(struct nx_infer *f)
{
    for (uint32_t i = 0; i < f->parts_count; i++) {
        if (f->parts[i].request)
            nx_route_cancel(f->parts[i].request);
        free(f->parts[i].reply);
    }
    free(f);
}

void nx_infer_cancel(struct nx_infer *infer)
{
    drop(infer);
}

void nx_infer_keep(struct nx_infer *infer)
{
    infer->kept = true;
}

static void gather_tensors(const struct nx_infer *f, struct nx_tensors *tensors,
                           struct nx_infer_result *result)
{
    const struct part *p = &f->parts[0];
    if (nx_tensors_decode(p->payload, p->payload_bytes, tensors, &result->err) != NX_OK)
        return;
    result->tensors = tensors;
    result->rows = tensors->rows;
}

static void gather(const struct nx_infer *f, struct nx_rows *all, struct nx_infer_result *result)
{
    *result = (struct nx_infer_result){.parts_count = f->parts_count,
                                       .parts = all,
                                       .columns = f->parts[0].rows.columns,
                                       .top = f->parts[0].rows.top,
                                       .output = f->parts[0].rows.output};
    for (uint32_t i = 0; i < f->parts_count; i++) {
        all[i] = f->parts[i].rows;
        result->rows += all[i].rows;
        if (all[i].columns != result->columns || all[i].top != result->top)
            nx_err_set(&result->err, NX_UNAVAILABLE,
                       "the model was replaced while it was asked; try again");
    }
}

static void finish(struct nx_infer *f)
{
    struct nx_rows all[NX_INFER_PHOTOS_MAX];
    struct nx_infer_result result = {.err = f->failure};
    struct nx_tensors tensors;
    if (f->failure.status == NX_OK && f->tensors)
        gather_tensors(f, &tensors, &result);
    else if (f->failure.status == NX_OK)
        gather(f, all, &result);
    for (uint32_t i = 0; i < f->parts_count; i++)
        if (f->parts[i].version > result.version)
            result.version = f->parts[i].version;
    f->done(f->user, &result);
    if (!f->kept)
        drop(f);
}

static void part_done(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct part *p = user;
    struct nx_infer *f = p->infer;
    const struct nx_answer *a = &answers[0];
    nx_assert(count == 1);
    struct nx_route_request *request = p->request;
    p->request = NULL;
    f->parts_done++;
    if (f->failure.status != NX_OK)
        return;
    struct nx_err err = a->err;
    if (err.status == NX_OK) {
        p->reply = nx_route_keep_reply(request, 0);
        p->payload = a->payload;
        p->payload_bytes = a->payload_bytes;
        p->version = a->version;
    }
    if (err.status == NX_OK && !f->tensors)
        nx_rows_decode(p->payload, a->payload_bytes, &p->rows, &err);
    if (err.status != NX_OK && f->parts_count > 1)
        nx_err_prefix(&err, "photo %u of %u", (unsigned)(p - f->parts) + 1, f->parts_count);
    f->failure = err;
    if (!f->starting && (err.status != NX_OK || f->parts_done == f->parts_count))
        finish(f);
}

static size_t sum(const struct nx_infer_span *pieces, uint32_t count)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++)
        len += pieces[i].len;
    return len;
}

static uint8_t *join(const struct nx_infer_span *pieces, uint32_t count, size_t len)
{
    uint8_t *body = nx_malloc(len), *at = body;
    for (uint32_t i = 0; body && i < count; i++) {
        if (pieces[i].len)
            memcpy(at, pieces[i].bytes, pieces[i].len);
        at += pieces[i].len;
    }
    return body;
}

enum nx_status nx_infer_join(struct nx_infer_ask *ask, struct nx_err *err)
{
    nx_assert(ask->want.input == NX_INPUT_TENSORS && !ask->whole);
    ask->whole_bytes = sum(ask->bodies, ask->bodies_count);
    ask->whole = join(ask->bodies, ask->bodies_count, ask->whole_bytes);
    return ask->whole ? NX_OK
                      : nx_err_set(err, NX_NO_MEMORY, "no memory for a body of %zu bytes",
                                   ask->whole_bytes);
}

/* The i-th part's body: of tensors all pieces, perhaps put together before. */
static enum nx_status start_part(struct nx_infer *f, const struct nx_request_head *head,
                                 const struct nx_infer_ask *ask, uint32_t i, nx_ns deadline,
                                 struct nx_err *err)
{
    const struct nx_infer_span *pieces = &ask->bodies[i];
    uint32_t count = f->tensors ? ask->bodies_count : 1;
    size_t len = ask->whole ? ask->whole_bytes : sum(pieces, count);
    struct part *p = &f->parts[i];
    p->infer = f;
    if (nx_route_reserve(f->route, len, err) != NX_OK) {
        free(ask->whole);
        return err->status;
    }
    uint8_t *copy = ask->whole ? ask->whole : join(pieces, count, len);
    enum nx_status status = NX_NO_MEMORY;
    if (copy)
        status = nx_route_ask(f->route, head, &head->tag, 1, copy, len, deadline, part_done, p,
                              &p->request, err);
    else
        nx_err_set(err, status, "no memory for a body of %zu bytes", len);
    if (status != NX_OK) {
        free(copy);
        nx_route_unreserve(f->route, len);
    }
    return status;
}

enum nx_status nx_infer_start(struct nx_route *route, const struct nx_infer_ask *ask,
                              nx_ns deadline, nx_infer_done *done, void *user,
                              struct nx_infer **infer, struct nx_err *err)
{
    nx_assert(ask->bodies_count >= 1 && ask->bodies_count <= NX_INFER_PHOTOS_MAX);
    bool tensors = ask->want.input == NX_INPUT_TENSORS;
    uint32_t parts = tensors ? 1 : ask->bodies_count;
    nx_assert(tensors || !ask->whole);
    nx_assert(tensors || ask->want.outputs || ask->want.top_max > 0);
    struct nx_infer *f = nx_calloc(1, sizeof *f + parts * sizeof f->parts[0]);
    if (!f) {
        free(ask->whole);
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a request");
    }
    *f = (struct nx_infer){
        .route = route, .done = done, .user = user, .tensors = tensors, .starting = true};
    struct nx_request_head head = {
        .op = NX_REQUEST_INFER, .want = ask->want, .version = ask->version};
    nx_head_set_name(&head, ask->model);
    if (ask->trace)
        head.trace = *ask->trace;
    for (uint32_t i = 0; i < parts; i++) {
        f->parts_count++;
        enum nx_status status = start_part(f, &head, ask, i, deadline, err);
        if (status == NX_OK && f->failure.status != NX_OK) {
            *err = f->failure;
            status = err->status;
        }
        if (status != NX_OK) {
            drop(f);
            return status;
        }
    }
    f->starting = false;
    *infer = f;
    return NX_OK;
}
