#include "categorizer/categorizer_state.h"

#include "categorizer/backend.h"
#include "common/arena.h"
#include "common/cpus.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void nx_categorizer_answer(struct nx_categorizer *c, struct nx_incoming *in)
{
    size_t room = NX_ANSWER_BYTES_MAX + (size_t)in->answer.payload_bytes;
    in->state = NX_INCOMING_REPLYING;
    nx_incoming_drop_body(&c->incomings, in);
    in->reply = nx_calloc(1, room);
    if (in->reply)
        in->reply_bytes = nx_answer_encode(&in->answer, in->reply, room);
    in->answer.payload = NULL; /* the caller's; encoded now */
    in->answer.payload_bytes = 0;
}

void nx_categorizer_refuse(struct nx_categorizer *c, struct nx_incoming *in,
                           const struct nx_err *why)
{
    in->answer = (struct nx_answer){.err = *why};
    nx_categorizer_answer(c, in);
}

/* True when the operation is over: answered, or nobody waits. */
static bool send_reply(struct nx_categorizer *c, struct nx_incoming *in)
{
    if (in->gone || !in->reply)
        return true;
    if (!in->reply_opened) {
        enum nx_status status = nx_reply_open(c->group, in->stream, in->reply_bytes);
        if (status == NX_AGAIN)
            return false;
        if (status != NX_OK)
            return true;
        in->reply_opened = true;
    }
    size_t taken = 0;
    enum nx_status status = nx_reply_write(c->group, in->stream, in->reply + in->reply_sent,
                                           in->reply_bytes - in->reply_sent, &taken);
    in->reply_sent += taken;
    return (status != NX_OK && status != NX_AGAIN) || in->reply_sent == in->reply_bytes;
}

/* All of the query is here. */
static void start(struct nx_categorizer *c, struct nx_incoming *in)
{
    if (in->head.op == NX_REQUEST_INFER)
        nx_photo_start(c, in);
    else if (in->head.op == NX_REQUEST_LIST || in->head.op == NX_REQUEST_DESCRIBE)
        nx_describe(c, in);
    else if (in->head.op == NX_REQUEST_INSTALL && in->body_bytes == 0)
        nx_categorizer_refuse(c, in, &(struct nx_err){NX_INVALID, "the model's files are empty"});
    else {
        in->state = NX_INCOMING_ORDERING;
        nx_change_order(c, in);
    }
}

static void on_view(void *ctx, const struct nx_view *view, const struct nx_layout *layout)
{
    struct nx_categorizer *c = ctx;
    uint32_t shard;
    if (!nx_layout_shard_of(layout, c->config.subgroup, nx_group_rank(c->group), &shard))
        return;
    nx_info("view %llu of %d nodes: this one serves shard %u", (unsigned long long)view->vid,
            __builtin_popcountll(nx_view_ranks(view)), shard);
    const struct nx_shard *s = &layout->shards[c->config.subgroup][shard];
    if (view->incarnation != c->incarnation)
        nx_store_await_all(c->store, s->set); /* ranks are given anew */
    c->incarnation = view->incarnation;
    c->delivered_seq = NX_SEQ_NONE; /* a view counts its messages anew */
    nx_change_view(c, s->set, s->stateless);
    nx_arrival_view(c, s->stateless & NX_RANK_BIT(nx_group_rank(c->group)));
}

static bool is_replica(const struct nx_categorizer *c, nx_rank rank)
{
    const struct nx_layout *layout = nx_group_layout(c->group);
    uint32_t ours, theirs;
    return nx_layout_shard_of(layout, c->config.subgroup, nx_group_rank(c->group), &ours) &&
           nx_layout_shard_of(layout, c->config.subgroup, rank, &theirs) && ours == theirs;
}

/* Whether our shard will take changes again, after a view change at the latest. */
static bool goes_on(const struct nx_categorizer *c)
{
    uint32_t shard;
    return nx_layout_shard_of(nx_group_layout(c->group), c->config.subgroup,
                              nx_group_rank(c->group), &shard) &&
           nx_group_shard_status(c->group, c->config.subgroup, shard) == NX_OK;
}

static void on_member_down(void *ctx, nx_rank rank, bool clean, const char *why)
{
    struct nx_categorizer *c = ctx;
    const struct nx_view *view = nx_group_view(c->group);
    if (clean)
        nx_info("node %u has left", view->members[rank].node);
    else
        nx_warn("node %u is gone: %s", view->members[rank].node, why);
    if (is_replica(c, rank) && !goes_on(c))
        nx_change_replica_down(c, view->members[rank].node);
}

static void on_deliver(void *ctx, const struct nx_delivery *delivery)
{
    struct nx_categorizer *c = ctx;
    c->delivered_seq = delivery->seq;
    nx_change_deliver(c, delivery);
}

static void on_bulk_part(void *ctx, uint32_t subgroup, const struct nx_part *part,
                         const uint8_t *head, size_t head_len)
{
    (void)subgroup;
    struct nx_categorizer *c = ctx;
    struct nx_incoming *in;
    if (part->offset == 0) {
        struct nx_ordered message;
        struct nx_err err;
        in = nx_incoming_add(&c->incomings, part->stream, part->total);
        if (!in || nx_ordered_decode(head, head_len, &message, &err) != NX_OK ||
            message.kind != NX_ORDERED_INSTALL) {
            nx_error("cannot take in a bulk message of %llu bytes from rank %u",
                     (unsigned long long)part->total, part->peer);
            if (in)
                nx_incoming_drop(&c->incomings, in);
            return;
        }
        in->is_bulk = true;
        nx_incoming_set_head(&c->incomings, in, &message.op);
    } else {
        in = nx_incoming_find(&c->incomings, part->stream);
    }
    if (in)
        nx_incoming_feed(&c->incomings, in, part->bytes, part->len);
}

static void on_bulk_aborted(void *ctx, nx_stream stream)
{
    struct nx_categorizer *c = ctx;
    struct nx_incoming *in = nx_incoming_find(&c->incomings, stream);
    if (in && in->is_bulk)
        nx_incoming_drop(&c->incomings, in);
    else
        nx_change_aborted(c, stream);
}

/* Of a member that cannot answer yet, whatever it is. */
static void refuse_early(struct nx_categorizer *c, struct nx_incoming *in)
{
    if (!c->arrival.lacking || in->refused.status != NX_OK)
        return;
    nx_err_set(&in->refused, NX_UNAVAILABLE,
               "this replica is unavailable: still receiving its state");
    nx_incoming_drop_body(&c->incomings, in);
}

/* There is no room to keep it: answered on the spot, as far as the window has room for that. */
static void turn_away(struct nx_categorizer *c, nx_stream stream)
{
    struct nx_answer busy = {0};
    uint8_t bytes[NX_ANSWER_BYTES_MAX];
    size_t taken;
    nx_err_set(&busy.err, NX_UNAVAILABLE, "%u operations are under way at this replica; try again",
               c->incomings.count);
    size_t len = nx_answer_encode(&busy, bytes, sizeof bytes);
    if (nx_reply_open(c->group, stream, len) != NX_OK ||
        nx_reply_write(c->group, stream, bytes, len, &taken) != NX_OK || taken < len)
        nx_warn("an operation was dropped without an answer: too many are under way");
}

static void on_query_part(void *ctx, const struct nx_part *part)
{
    struct nx_categorizer *c = ctx;
    struct nx_incoming *in = part->offset == 0
                                 ? nx_incoming_add(&c->incomings, part->stream, part->total)
                                 : nx_incoming_find(&c->incomings, part->stream);
    if (!in) {
        if (part->offset == 0)
            turn_away(c, part->stream);
        return; /* what comes of it after its answer is of no use */
    }
    if (part->offset == 0)
        c->asked_at = nx_clock_now();
    bool head_was_known = in->head_known;
    nx_incoming_feed(&c->incomings, in, part->bytes, part->len);
    if (in->head_known && !head_was_known)
        refuse_early(c, in);
    bool install =
        in->head_known && in->refused.status == NX_OK && in->head.op == NX_REQUEST_INSTALL;
    if (install && !head_was_known)
        install = !nx_change_refused(c, in);
    if (install && in->got < in->total && in->body_bytes > 0)
        nx_change_pump(c, in);
    if (in->state != NX_INCOMING_READING)
        return;
    if (in->refused.status != NX_OK)
        nx_categorizer_refuse(c, in, &in->refused); /* now, not when the rest has come */
    else if (in->got == in->total)
        start(c, in);
}

static void on_query_gone(void *ctx, nx_stream stream)
{
    struct nx_categorizer *c = ctx;
    struct nx_incoming *in = nx_incoming_find(&c->incomings, stream);
    if (!in || in->is_bulk)
        return;
    in->gone = true;
    if (in->job)
        nx_photo_cancel(c, in);
    bool is_install = in->head.op == NX_REQUEST_INSTALL;
    bool is_sent = is_install && in->bulk && in->bulk_sent == in->body_bytes;
    if (is_sent || (is_install && in->state == NX_INCOMING_DECIDING)) {
        in->state = NX_INCOMING_DECIDING; /* its body is wanted at its delivery */
        return;
    }
    if (in->bulk)
        nx_bulk_abort(c->group, in->bulk);
    nx_incoming_drop(&c->incomings, in);
}

static void on_reply_part(void *ctx, void *cookie, const struct nx_part *part)
{
    (void)ctx, (void)cookie, (void)part;
    nx_assert(!"a categorizer asks nothing");
}

static void on_query_failed(void *ctx, void *cookie, enum nx_status why)
{
    (void)ctx, (void)cookie, (void)why;
    nx_assert(!"a categorizer asks nothing");
}

static void on_down(void *ctx, const struct nx_err *err)
{
    struct nx_categorizer *c = ctx;
    c->down = *err;
}

const struct nx_group_upcalls *nx_categorizer_upcalls(void)
{
    static const struct nx_group_upcalls upcalls = {
        .view = on_view,
        .member_down = on_member_down,
        .deliver = on_deliver,
        .bulk_part = on_bulk_part,
        .bulk_aborted = on_bulk_aborted,
        .query_part = on_query_part,
        .query_gone = on_query_gone,
        .reply_part = on_reply_part,
        .query_failed = on_query_failed,
        .down = on_down,
        .state_snapshot = nx_state_snapshot,
        .state_read = nx_state_read,
        .state_release = nx_state_release,
        .state_part = nx_state_part,
    };
    return &upcalls;
}

/* All replicas have applied it, who is still getting its state, too; and it outlives them where that is promised. Who has no
 * room for it (NX_UNAVAILABLE) promises nothing, and could not for as long as a disk is full. */
static bool is_settled(const struct nx_categorizer *c, const struct nx_incoming *in)
{
    nx_seq seq = in->settle_seq;
    return nx_group_settled(c->group, c->config.subgroup) >= seq &&
           (in->answer.err.status == NX_UNAVAILABLE ||
            nx_group_durable(c->group, c->config.subgroup) >= seq);
}

/* Moves one operation on if what it waits for has come. True when it is over. */
static bool advance(struct nx_categorizer *c, struct nx_incoming *in)
{
    if (in->state == NX_INCOMING_READING && in->body && in->head.op == NX_REQUEST_INSTALL)
        nx_change_pump(c, in);
    if (in->state == NX_INCOMING_AWAITING)
        nx_photo_start(c, in);
    if (in->state == NX_INCOMING_ORDERING)
        nx_change_order(c, in);
    if (in->state == NX_INCOMING_SETTLING && is_settled(c, in))
        nx_categorizer_answer(c, in);
    if (in->state == NX_INCOMING_REPLYING && send_reply(c, in))
        return true;
    return false;
}

static bool advance_all(struct nx_categorizer *c)
{
    bool any = false;
    struct nx_incoming *in = nx_incoming_next(&c->incomings, NULL);
    while (in) {
        struct nx_incoming *next = nx_incoming_next(&c->incomings, in);
        if (!in->is_bulk && advance(c, in)) {
            nx_incoming_drop(&c->incomings, in);
            any = true;
        }
        in = next;
    }
    return any;
}

static bool take_loads(struct nx_categorizer *c)
{
    bool any = false;
    struct nx_job *job;
    while ((job = nx_worker_finished(c->loader))) {
        struct nx_job_load *load = (struct nx_job_load *)job;
        if (load->arrival)
            nx_arrival_loaded(c, load);
        else
            nx_change_loaded(c, load);
        any = true;
    }
    return any;
}

void nx_categorizer_await_load(struct nx_categorizer *c)
{
    struct pollfd done = {.fd = c->done_fd, .events = POLLIN};
    uint64_t rung;
    while (!take_loads(c)) {
        (void)poll(&done, 1, -1); /* an interrupted wait only looks once more */
        ssize_t n = read(c->done_fd, &rung, sizeof rung);
        (void)n;
    }
}

static bool take_finished(struct nx_categorizer *c)
{
    bool any = false;
    uint64_t rung;
    ssize_t n = read(c->done_fd, &rung, sizeof rung);
    (void)n; /* EAGAIN: nothing has rung */
    struct nx_device_job *photo;
    while ((photo = nx_device_finished(c->device))) {
        nx_photo_finish(c, (struct nx_job_infer *)photo);
        any = true;
    }
    return take_loads(c) || any;
}

bool nx_categorizer_poll(struct nx_categorizer *c)
{
    bool any = take_finished(c);
    any |= nx_arrival_poll(c);
    any |= nx_change_send_votes(c);
    any |= advance_all(c);
    return any;
}

void nx_categorizer_drain(struct nx_categorizer *c, nx_ns now)
{
    c->asked_at = now;
    if (nx_group_view(c->group))
        nx_group_set_load(c->group, NX_LOAD_LEAVING, 1);
}

bool nx_categorizer_drained(const struct nx_categorizer *c, nx_ns now)
{
    return !nx_group_view(c->group) ||
           (c->incomings.count == 0 && now >= c->asked_at + NX_QUIET_NS);
}

int nx_categorizer_fd(const struct nx_categorizer *c)
{
    return c->done_fd;
}

const struct nx_err *nx_categorizer_down(const struct nx_categorizer *c)
{
    return &c->down;
}

void nx_categorizer_attach(struct nx_categorizer *c, struct nx_group *group)
{
    c->group = group;
}

/* Decoding is a few per cent of a small network's work: some cores' worth keeps any device busy. */
static uint32_t preparers(void)
{
    uint32_t cpus = nx_cpus_usable();
    return cpus > NX_DEVICE_PREPARERS_MAX ? NX_DEVICE_PREPARERS_MAX : cpus;
}

/* Told at the start, and not to whoever installs the first model. */
static enum nx_status check_precision(const struct nx_categorizer_config *config,
                                      struct nx_err *err)
{
    struct nx_load_options load = {
        .batch_max = config->batch_max, .threads = config->threads, .precision = config->precision};
    if (config->precision == NX_PRECISION_F32 ||
        nx_backend_check(config->backend, &load, err) == NX_OK)
        return NX_OK;
    nx_err_prefix(err, "precision = %s", nx_precision_name(config->precision));
    return err->status;
}

static enum nx_status open_parts(struct nx_categorizer *c, struct nx_err *err)
{
    c->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (c->done_fd < 0)
        return nx_err_set(err, NX_IO, "eventfd: %s", strerror(errno));
    NX_TRY(nx_spool_open(c->config.spool_folder, c->config.spool_bytes, &c->spool, err));
    c->store = nx_store_open();
    if (!c->store)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the store");
    NX_TRY(nx_worker_open("nexus-load", NX_STORE_MODELS, c->done_fd, &c->loader, err));
    struct nx_device_options device = {.preparers = preparers(),
                                       .items_max = NX_PHOTOS_MAX,
                                       .bytes_max = NX_PHOTOS_BYTES_MAX,
                                       .done_fd = c->done_fd};
    return nx_device_open(&device, &c->device, err);
}

enum nx_status nx_categorizer_open(const struct nx_categorizer_config *config,
                                   struct nx_categorizer **categorizer, struct nx_err *err)
{
    struct nx_categorizer *c = nx_calloc(1, sizeof *c);
    if (!c)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a categorizer");
    c->config = *config;
    c->done_fd = -1;
    c->budget.limit_bytes = config->memory_bytes;
    c->incomings.budget = &c->budget;
    if (c->config.threads == 0)
        c->config.threads = nx_cpus_usable();
    enum nx_status status = check_precision(&c->config, err);
    if (status == NX_OK)
        status = open_parts(c, err);
    if (status != NX_OK) {
        nx_categorizer_close(c);
        return status;
    }
    *categorizer = c;
    return NX_OK;
}

static void drop_photos(struct nx_categorizer *c)
{
    struct nx_incoming *in = NULL;
    struct nx_device_job *photo;
    while ((in = nx_incoming_next(&c->incomings, in)))
        if (in->job)
            nx_photo_cancel(c, in);
    nx_device_stop(c->device);
    while ((photo = nx_device_finished(c->device)))
        nx_photo_drop(c, (struct nx_job_infer *)photo);
    nx_device_close(c->device);
}

static void drop_loads(struct nx_categorizer *c)
{
    struct nx_job *job;
    nx_worker_drain(c->loader);
    while ((job = nx_worker_finished(c->loader)))
        nx_change_drop_load(c, (struct nx_job_load *)job);
    nx_worker_close(c->loader);
}

void nx_categorizer_close(struct nx_categorizer *c)
{
    struct nx_incoming *in;
    if (c->device)
        drop_photos(c);
    if (c->loader)
        drop_loads(c);
    while ((in = nx_incoming_next(&c->incomings, NULL)))
        nx_incoming_drop(&c->incomings, in);
    nx_arrival_close(c);
    for (uint32_t i = 0; c->store && i < NX_STORE_MODELS; i++)
        nx_change_retire(nx_store_at(c->store, i));
    if (c->store)
        nx_store_close(c->store);
    if (c->spool)
        nx_spool_close(c->spool);
    if (c->done_fd >= 0)
        close(c->done_fd);
    free(c);
}
