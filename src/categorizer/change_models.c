#include "categorizer/categorizer_state.h"

#include "common/arena.h"
#include "common/log_traced.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

/* Refuses early what the order would refuse anyhow; the order still decides. */
bool nx_change_refused(struct nx_categorizer *c, struct nx_incoming *in)
{
    struct nx_entry *e = nx_store_find(c->store, in->head.tag);
    in->repeated = nx_store_knows(c->store, &in->head.request);
    if (!e || in->repeated || (in->head.replace && e->state == NX_ENTRY_READY))
        return false;
    nx_store_say_taken(e, &in->refused);
    nx_incoming_drop_body(&c->incomings, in);
    return true;
}

static enum nx_status open_bulk(struct nx_categorizer *c, struct nx_incoming *in)
{
    struct nx_ordered message = {.kind = NX_ORDERED_INSTALL, .op = in->head};
    if (!message.op.calibration_bytes)
        message.op.precision =
            c->config.precision; /* for all replicas; the others' do not matter */
    uint8_t head[NX_ORDERED_BYTES_MAX];
    size_t len = nx_ordered_encode(&message, head, sizeof head);
    return nx_bulk_open(c->group, c->config.subgroup, in->body_bytes, head, len, &in->bulk);
}

static void explain_multicast(enum nx_status status, struct nx_err *err)
{
    nx_err_set(err, status == NX_WEDGED ? NX_UNAVAILABLE : status,
               "the shard takes no changes now: %s",
               status == NX_WEDGED ? "the group has lost its majority" : nx_status_text(status));
}

/* Passes on what has come so far: the body streams through, it is not stored and forwarded. */
void nx_change_pump(struct nx_categorizer *c, struct nx_incoming *in)
{
    enum nx_status status = NX_OK;
    if (in->repeated)
        return;
    if (in->bulk == 0)
        status = open_bulk(c, in);
    while (status == NX_OK && in->bulk_sent < in->body_got) {
        size_t taken = 0;
        status = nx_bulk_write(c->group, in->bulk, in->body + in->bulk_sent,
                               in->body_got - in->bulk_sent, &taken);
        in->bulk_sent += taken;
        if (taken == 0)
            break;
    }
    if (status == NX_NOT_FOUND) {
        nx_change_aborted(c, in->bulk);
    } else if (status != NX_OK && status != NX_AGAIN) {
        explain_multicast(status, &in->refused);
        nx_incoming_drop_body(&c->incomings, in);
        if (in->bulk)
            nx_bulk_abort(c->group, in->bulk);
    }
}

bool nx_change_aborted(struct nx_categorizer *c, nx_stream stream)
{
    struct nx_incoming *in = NULL;
    while ((in = nx_incoming_next(&c->incomings, in)))
        if (!in->is_bulk && in->bulk == stream)
            break;
    if (!in)
        return false;
    in->bulk = 0;
    in->bulk_sent = 0;
    if (in->gone)
        nx_incoming_drop(&c->incomings, in);
    else if (in->state == NX_INCOMING_DECIDING)
        in->state = NX_INCOMING_ORDERING;
    return true;
}

/* A removal, or an INSTALL whose outcome the shard knows or will know. */
static void order_head(struct nx_categorizer *c, struct nx_incoming *in)
{
    struct nx_ordered message = {.kind = in->head.op == NX_REQUEST_REMOVE ? NX_ORDERED_REMOVE
                                                                          : NX_ORDERED_INSTALL,
                                 .op = in->head};
    uint8_t bytes[NX_ORDERED_BYTES_MAX];
    size_t len = nx_ordered_encode(&message, bytes, sizeof bytes);
    enum nx_status status = nx_group_send(c->group, c->config.subgroup, bytes, len);
    if (status == NX_OK) {
        in->state = NX_INCOMING_DECIDING;
    } else if (status != NX_AGAIN) {
        struct nx_err err;
        explain_multicast(status, &err);
        nx_categorizer_refuse(c, in, &err);
    }
}

void nx_change_order(struct nx_categorizer *c, struct nx_incoming *in)
{
    if (in->head.op == NX_REQUEST_REMOVE || in->repeated) {
        order_head(c, in);
        return;
    }
    nx_change_pump(c, in);
    if (in->refused.status != NX_OK)
        nx_categorizer_refuse(c, in, &in->refused);
    else if (in->bulk_sent == in->body_bytes)
        in->state = NX_INCOMING_DECIDING; /* its delivery finds the body by `bulk` */
}

/* Tells whoever waits here for this request what it came to, once all replicas have got there: to `seq`, or, if a view
 * decided it (NX_SEQ_NONE), to a message that is sent in that view. */
static void settle(struct nx_categorizer *c, const struct nx_outcome *outcome, nx_seq seq)
{
    struct nx_incoming *in = NULL;
    while ((in = nx_incoming_next(&c->incomings, in)))
        if (in->state == NX_INCOMING_DECIDING && !in->is_bulk &&
            memcmp(&in->head.request, &outcome->request, sizeof outcome->request) == 0) {
            in->answer = (struct nx_answer){.err = outcome->err};
            in->settle_seq = seq;
            in->state = seq == NX_SEQ_NONE ? NX_INCOMING_MARKING : NX_INCOMING_SETTLING;
            c->mark_wanted |= seq == NX_SEQ_NONE;
        }
}

static void apply_mark(struct nx_categorizer *c, const struct nx_delivery *d)
{
    struct nx_incoming *in = NULL;
    if (d->sender != nx_group_rank(c->group))
        return;
    while ((in = nx_incoming_next(&c->incomings, in)))
        if (in->state == NX_INCOMING_MARKING) {
            in->settle_seq = d->seq;
            in->state = NX_INCOMING_SETTLING;
        }
}

/* --- the ordered messages: the same at every replica --- */

struct nx_held_model *nx_held_make(struct nx_served *served, struct nx_err *err)
{
    struct nx_held_model *m = nx_calloc(1, sizeof *m);
    if (!m) {
        nx_err_set(err, NX_NO_MEMORY, "no memory for a model");
        nx_served_close(served);
        return NULL;
    }
    m->served = served;
    nx_lane_init(&m->photos, &nx_served_facts(served)->profile);
    nx_lane_init(&m->tensors, &nx_served_facts(served)->profile);
    m->tensors.best = m->tensors.size_max = 1; /* each has rows of its own to run together */
    if (nx_served_facts(served)->note[0])
        nx_err_set(err, NX_OK, "%s", nx_served_facts(served)->note);
    return m;
}

static void run_load(struct nx_job *job)
{
    struct nx_job_load *j = (struct nx_job_load *)job;
    if (j->arrival && atomic_load_explicit(j->wanted, memory_order_relaxed) != j->arrival)
        return; /* nobody will look at it */
    if (j->body)
        nx_kept_fill(j->kept,
                     nx_kept_write(j->kept, 0, j->body, j->body_bytes, &j->failure) == NX_OK);
    if (j->failure.status != NX_OK || !nx_kept_is_wanted(j->kept))
        return;
    const uint8_t *body = j->body ? j->body : nx_kept_map(j->kept, &j->failure);
    if (!body)
        return;
    nx_served_open(&j->kept->head, body, &j->options, &j->served, &j->digest, &j->failure);
    if (!j->body)
        nx_kept_unmap(j->kept, body);
}

struct nx_job_load *nx_change_make_load(struct nx_categorizer *c, nx_seq version,
                                        struct nx_kept *kept)
{
    struct nx_job_load *j = nx_calloc(1, sizeof *j);
    nx_assert(j); /* less than a KB; without it this replica could not even say no */
    j->job.run = run_load;
    j->version = version;
    j->kept = nx_kept_hold(kept);
    j->options = (struct nx_served_options){.backend = c->config.backend,
                                            .threads = c->config.threads,
                                            .batch_max = c->config.batch_max,
                                            .budget = &c->budget,
                                            .profiles = c->config.profiles};
    return j;
}

void nx_change_drop_load(struct nx_categorizer *c, struct nx_job_load *j)
{
    if (j->body)
        nx_budget_give(&c->budget, j->body_bytes);
    nx_served_close(j->served);
    nx_kept_drop(j->kept);
    free(j->body);
    free(j);
    nx_heap_trim(); /* of what it took to load, the files first of all */
}

static struct nx_incoming *find_body(struct nx_categorizer *c, const struct nx_delivery *d)
{
    if (d->bulk == 0)
        return NULL; /* a head alone: its files came under another message */
    struct nx_incoming *in = nx_incoming_find(&c->incomings, d->bulk);
    if (in && in->is_bulk)
        return in;
    in = NULL;
    while ((in = nx_incoming_next(&c->incomings, in)))
        if (in->bulk == d->bulk)
            return in;
    return NULL;
}

/* Hands the body to the loader, or a reason why this replica has none: it votes in either case. The loader's queue holds one
 * job per entry of the store, and is full only where a log is replayed that holds more, most of them removed since. */
static void start_load(struct nx_categorizer *c, struct nx_entry *e,
                       const struct nx_request_head *head, struct nx_incoming *in)
{
    struct nx_err no_room = {0};
    e->kept = nx_kept_open(c->spool, head, &no_room);
    nx_assert(e->kept); /* 5 KB, as the job */
    struct nx_job_load *j = nx_change_make_load(c, e->version, e->kept);
    if (!in)
        nx_err_set(&j->failure, NX_NO_MEMORY, "a replica could not take the files in");
    else if (in->refused.status != NX_OK)
        j->failure = in->refused;
    else if (in->bulk_room.status != NX_OK)
        j->failure = in->bulk_room;
    else if (nx_kept_state(e->kept) == NX_KEPT_LOST)
        j->failure = no_room;
    else {
        j->body_bytes = in->body_bytes;
        j->body = nx_incoming_take_body(in);
    }
    if (!j->body)
        nx_kept_fill(e->kept, false);
    while (nx_worker_submit(c->loader, &j->job) != NX_OK)
        nx_categorizer_await_load(c);
}

/* The log had the votes before the model was loaded: the shard serves it. */
static void take_replayed(struct nx_categorizer *c, struct nx_entry *e, struct nx_job_load *j)
{
    if (j->failure.status == NX_OK) {
        e->model = nx_held_make(j->served, &j->failure);
        j->served = NULL;
    }
    if (j->failure.status != NX_OK)
        nx_err_set(&c->down, j->failure.status, "tag %u, which the log holds, is of no use: %s",
                   e->tag, j->failure.text);
    nx_change_drop_load(c, j);
}

void nx_change_loaded(struct nx_categorizer *c, struct nx_job_load *j)
{
    struct nx_entry *e = nx_store_find_version(c->store, j->version);
    if (e && e->state == NX_ENTRY_READY && !e->model) {
        take_replayed(c, e, j);
        return;
    }
    if (!e || e->state != NX_ENTRY_LOADING || c->votes_count == NX_VOTES_MAX) {
        nx_change_drop_load(c, j); /* it is decided already */
        return;
    }
    if (j->failure.status == NX_OK) {
        e->model = nx_held_make(j->served, &j->failure);
        j->served = NULL;
    }
    c->votes[c->votes_count++] =
        (struct nx_ordered_vote){.version = j->version, .failure = j->failure, .digest = j->digest};
    nx_change_drop_load(c, j);
}

static bool send_mark(struct nx_categorizer *c)
{
    uint8_t bytes[1];
    struct nx_ordered message = {.kind = NX_ORDERED_MARK};
    size_t len = nx_ordered_encode(&message, bytes, sizeof bytes);
    if (!c->mark_wanted || nx_group_send(c->group, c->config.subgroup, bytes, len) != NX_OK)
        return false;
    c->mark_wanted = false;
    return true;
}

bool nx_change_send_votes(struct nx_categorizer *c)
{
    uint32_t sent = 0;
    if (c->arrival.lacking)
        return false;
    for (; sent < c->votes_count; sent++) {
        struct nx_ordered message = {.kind = NX_ORDERED_VOTE, .vote = c->votes[sent]};
        uint8_t bytes[NX_ORDERED_BYTES_MAX];
        size_t len = nx_ordered_encode(&message, bytes, sizeof bytes);
        if (nx_group_send(c->group, c->config.subgroup, bytes, len) != NX_OK)
            break;
    }
    c->votes_count -= sent;
    memmove(c->votes, c->votes + sent, c->votes_count * sizeof *c->votes);
    return send_mark(c) || sent > 0;
}

static void apply_install(struct nx_categorizer *c, const struct nx_delivery *d,
                          const struct nx_request_head *head)
{
    const struct nx_layout *layout = nx_group_layout(c->group);
    nx_rankset replicas = layout->shards[d->subgroup][d->shard].set;
    struct nx_incoming *body = find_body(c, d);
    if (body)
        (void)nx_bulk_room(c->group, d->bulk, &body->bulk_room);
    struct nx_entry *entry;
    struct nx_outcome outcome;
    enum nx_verdict verdict = head->replace
                                  ? nx_store_replace(c->store, d->seq, head->tag, head->name,
                                                     &head->request, replicas, &entry, &outcome)
                                  : nx_store_install(c->store, d->seq, head->tag, &head->request,
                                                     replicas, &entry, &outcome);
    if (verdict == NX_VERDICT_PENDING) {
        memcpy(entry->name, head->name, sizeof entry->name);
        entry->format = head->format;
        start_load(c, entry, head, body);
    }
    if (body && body->is_bulk)
        nx_incoming_drop(&c->incomings, body);
    else if (body)
        nx_incoming_drop_body(&c->incomings, body);
    if (verdict == NX_VERDICT_DONE)
        settle(c, &outcome, d->seq);
}

void nx_change_retire(struct nx_entry *entry)
{
    nx_held_retire(entry);
    nx_kept_give_up(entry->kept);
    nx_kept_drop(entry->kept);
    entry->kept = NULL;
}

static void take_decision(struct nx_categorizer *c, struct nx_entry *entry,
                          const struct nx_outcome *outcome, nx_seq seq)
{
    nx_info("tag %u: %s", entry->tag, outcome->err.text);
    struct nx_entry *gone =
        entry->state == NX_ENTRY_FREE ? entry : nx_store_take_replaced(c->store, entry);
    if (gone)
        nx_change_retire(gone); /* photos that wait for it still get its answer */
    settle(c, outcome, seq);
}

/* The dead vote no more, those who come do. A view stands at the same place of the order everywhere, so this decides alike;
 * but others may install it later, and are awaited before anybody is told. */
void nx_change_view(struct nx_categorizer *c, nx_rankset replicas, nx_rankset newcomers)
{
    struct nx_entry *entry;
    struct nx_outcome outcome;
    while (nx_store_drop_voters(c->store, replicas, &entry, &outcome))
        take_decision(c, entry, &outcome, NX_SEQ_NONE);
    nx_store_add_voters(c->store, newcomers);
}

static void apply_vote(struct nx_categorizer *c, const struct nx_delivery *d,
                       const struct nx_ordered_vote *vote)
{
    struct nx_entry *entry;
    struct nx_outcome outcome;
    if (nx_store_vote(c->store, vote->version, d->sender, &vote->failure, &vote->digest, &entry,
                      &outcome) != NX_VERDICT_DONE)
        return;
    take_decision(c, entry, &outcome, d->seq);
}

static void apply_remove(struct nx_categorizer *c, const struct nx_delivery *d,
                         const struct nx_request_head *head)
{
    struct nx_entry *removed;
    struct nx_outcome outcome;
    nx_store_remove(c->store, head->tag, head->name, &head->request, &removed, &outcome);
    nx_log_traced(NX_LOG_INFO, &head->trace, "tag %u: %s", head->tag, outcome.err.text);
    if (removed)
        nx_change_retire(removed);
    settle(c, &outcome, d->seq);
}

void nx_change_deliver(struct nx_categorizer *c, const struct nx_delivery *d)
{
    struct nx_ordered message;
    struct nx_err err;
    nx_trace("message %lld of rank %u: %zu bytes", (long long)d->seq, d->sender, d->len);
    if (nx_ordered_decode(d->bytes, d->len, &message, &err) != NX_OK) {
        nx_error("message %lld of rank %u: %s", (long long)d->seq, d->sender, err.text);
        return; /* every replica sees the same bytes and passes over them alike */
    }
    switch (message.kind) {
    case NX_ORDERED_INSTALL: apply_install(c, d, &message.op); break;
    case NX_ORDERED_REMOVE: apply_remove(c, d, &message.op); break;
    case NX_ORDERED_VOTE: apply_vote(c, d, &message.vote); break;
    case NX_ORDERED_MARK: apply_mark(c, d); break;
    }
}

void nx_change_replica_down(struct nx_categorizer *c, nx_node node)
{
    struct nx_incoming *in = NULL;
    struct nx_err why;
    nx_err_set(
        &why, NX_UNAVAILABLE,
        "node %u is gone before every replica had answered: whether this takes effect is not known",
        node);
    while ((in = nx_incoming_next(&c->incomings, in)))
        if (!in->is_bulk && (in->state == NX_INCOMING_DECIDING ||
                             in->state == NX_INCOMING_MARKING || in->state == NX_INCOMING_SETTLING))
            nx_categorizer_refuse(c, in, &why);
}
