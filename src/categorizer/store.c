#include "categorizer/store.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

struct nx_store {
    struct nx_entry entries[NX_STORE_MODELS];
    struct nx_outcome outcomes[NX_STORE_OUTCOMES]; /* a ring, newest at outcomes_count - 1 */
    uint64_t outcomes_count;
    uint64_t installs_count; /* that were begun: the source of generations */
};

struct nx_store *nx_store_open(void)
{
    return nx_calloc(1, sizeof(struct nx_store));
}

void nx_store_close(struct nx_store *store)
{
    free(store);
}

void nx_store_clear(struct nx_store *store)
{
    memset(store, 0, sizeof *store);
}

struct nx_entry *nx_store_at(struct nx_store *store, uint32_t i)
{
    nx_assert(i < NX_STORE_MODELS);
    return &store->entries[i];
}

const struct nx_entry *nx_store_peek(const struct nx_store *store, uint32_t i)
{
    nx_assert(i < NX_STORE_MODELS);
    return &store->entries[i];
}

struct nx_entry *nx_store_find_in(struct nx_store *store, uint32_t tag, enum nx_entry_state state)
{
    for (struct nx_entry *e = store->entries; e < store->entries + NX_STORE_MODELS; e++)
        if (e->state == state && e->tag == tag)
            return e;
    return NULL;
}

struct nx_entry *nx_store_find(struct nx_store *store, uint32_t tag)
{
    struct nx_entry *ready = nx_store_find_in(store, tag, NX_ENTRY_READY);
    return ready ? ready : nx_store_find_in(store, tag, NX_ENTRY_LOADING);
}

struct nx_entry *nx_store_find_version(struct nx_store *store, nx_seq version)
{
    for (struct nx_entry *e = store->entries; e < store->entries + NX_STORE_MODELS; e++)
        if (e->state != NX_ENTRY_FREE && e->version == version)
            return e;
    return NULL;
}

static struct nx_entry *find_request(struct nx_store *store, const struct nx_request_id *request)
{
    for (struct nx_entry *e = store->entries; e < store->entries + NX_STORE_MODELS; e++)
        if (e->state == NX_ENTRY_LOADING && memcmp(&e->request, request, sizeof *request) == 0)
            return e;
    return NULL;
}

static struct nx_entry *find_free(struct nx_store *store)
{
    for (struct nx_entry *e = store->entries; e < store->entries + NX_STORE_MODELS; e++)
        if (e->state == NX_ENTRY_FREE)
            return e;
    return NULL;
}

void nx_store_remember(struct nx_store *store, const struct nx_outcome *outcome)
{
    store->outcomes[store->outcomes_count++ % NX_STORE_OUTCOMES] = *outcome;
}

uint32_t nx_store_outcomes(const struct nx_store *store)
{
    uint64_t count = store->outcomes_count;
    return count < NX_STORE_OUTCOMES ? (uint32_t)count : NX_STORE_OUTCOMES;
}

const struct nx_outcome *nx_store_outcome(const struct nx_store *store, uint32_t i)
{
    uint32_t kept = nx_store_outcomes(store);
    nx_assert(i < kept);
    return &store->outcomes[(store->outcomes_count - kept + i) % NX_STORE_OUTCOMES];
}

static const struct nx_outcome *find_outcome(const struct nx_store *store,
                                             const struct nx_request_id *request)
{
    for (uint32_t i = nx_store_outcomes(store); i > 0; i--) {
        const struct nx_outcome *o = nx_store_outcome(store, i - 1);
        if (memcmp(&o->request, request, sizeof *request) == 0)
            return o;
    }
    return NULL;
}

static const char *op_name(enum nx_request op)
{
    return op == NX_REQUEST_INSTALL ? "installing" : "removing";
}

static void say_reused(enum nx_request op, uint32_t tag, struct nx_outcome *outcome)
{
    nx_err_set(&outcome->err, NX_INVALID, "the request id was used before, for %s tag %u",
               op_name(op), tag);
}

/* What this request came to the first time, if it is still known; a refusal if its id stood for something else.
 * `outcome` says which request it is. */
static bool recall(const struct nx_store *store, struct nx_outcome *outcome)
{
    const struct nx_outcome *first = find_outcome(store, &outcome->request);
    if (!first)
        return false;
    if (first->op == outcome->op && first->tag == outcome->tag)
        *outcome = *first;
    else
        say_reused(first->op, first->tag, outcome);
    return true;
}

bool nx_store_knows(const struct nx_store *store, const struct nx_request_id *request)
{
    for (const struct nx_entry *e = store->entries; e < store->entries + NX_STORE_MODELS; e++)
        if (e->state == NX_ENTRY_LOADING && memcmp(&e->request, request, sizeof *request) == 0)
            return true;
    return find_outcome(store, request) != NULL;
}

enum nx_status nx_store_say_taken(const struct nx_entry *e, struct nx_err *err)
{
    return nx_err_set(err, NX_EXISTS,
                      e->state == NX_ENTRY_LOADING
                          ? "tag %u%s%s is being installed"
                          : "tag %u%s%s is installed already; remove it first",
                      e->tag, e->name[0] ? ", model " : "", e->name);
}

bool nx_store_is_named(const struct nx_entry *e, const char *name)
{
    return name[0] == 0 || strcmp(e->name, name) == 0;
}

enum nx_status nx_store_say_missing(uint32_t tag, const char *name, struct nx_err *err)
{
    if (name[0])
        return nx_err_set(err, NX_NOT_FOUND, "model %s is not installed", name);
    return nx_err_set(err, NX_NOT_FOUND, "tag %u is not installed", tag);
}

struct nx_entry *nx_store_find_ready(struct nx_store *store, uint32_t tag, const char *name,
                                     struct nx_err *err)
{
    struct nx_entry *e = nx_store_find(store, tag);
    if (!e || !nx_store_is_named(e, name))
        nx_store_say_missing(tag, name, err);
    else if (e->state == NX_ENTRY_READY)
        return e;
    else if (name[0])
        nx_err_set(err, NX_UNAVAILABLE, "model %s is still loading; try again", name);
    else
        nx_err_set(err, NX_UNAVAILABLE, "tag %u is still loading; try again", tag);
    return NULL;
}

static void begin(struct nx_entry *e, uint64_t generation, nx_seq seq, uint32_t tag,
                  const struct nx_request_id *request, nx_rankset replicas)
{
    nx_assert(replicas != 0);
    *e = (struct nx_entry){.state = NX_ENTRY_LOADING,
                           .tag = tag,
                           .version = seq,
                           .generation = generation,
                           .request = *request,
                           .waiting = replicas};
}

/* `taken` is the entry that stands in the way, or NULL. */
static enum nx_verdict install(struct nx_store *store, nx_seq seq, uint32_t tag,
                               const struct nx_entry *taken, const struct nx_request_id *request,
                               nx_rankset replicas, struct nx_entry **entry,
                               struct nx_outcome *outcome)
{
    *entry = NULL;
    *outcome = (struct nx_outcome){.request = *request, .op = NX_REQUEST_INSTALL, .tag = tag};
    if (recall(store, outcome))
        return NX_VERDICT_DONE;
    struct nx_entry *same = find_request(store, request), *fresh = find_free(store);
    if (same && same->tag == tag)
        return NX_VERDICT_DUPLICATE;
    if (same) {
        say_reused(NX_REQUEST_INSTALL, same->tag, outcome);
        return NX_VERDICT_DONE;
    }
    if (!taken && fresh) {
        begin(fresh, ++store->installs_count, seq, tag, request, replicas);
        *entry = fresh;
        return NX_VERDICT_PENDING;
    }
    if (taken)
        nx_store_say_taken(taken, &outcome->err);
    else
        nx_err_set(&outcome->err, NX_TOO_LARGE, "the shard holds %d models already",
                   NX_STORE_MODELS);
    nx_store_remember(store, outcome);
    return NX_VERDICT_DONE;
}

enum nx_verdict nx_store_install(struct nx_store *store, nx_seq seq, uint32_t tag,
                                 const struct nx_request_id *request, nx_rankset replicas,
                                 struct nx_entry **entry, struct nx_outcome *outcome)
{
    return install(store, seq, tag, nx_store_find(store, tag), request, replicas, entry, outcome);
}

enum nx_verdict nx_store_replace(struct nx_store *store, nx_seq seq, uint32_t tag, const char *name,
                                 const struct nx_request_id *request, nx_rankset replicas,
                                 struct nx_entry **entry, struct nx_outcome *outcome)
{
    const struct nx_entry *ready = nx_store_find_in(store, tag, NX_ENTRY_READY);
    const struct nx_entry *taken = nx_store_find_in(store, tag, NX_ENTRY_LOADING);
    if (!taken && ready && strcmp(ready->name, name) != 0)
        taken = ready; /* two names with one tag are two models */
    return install(store, seq, tag, taken, request, replicas, entry, outcome);
}

struct nx_entry *nx_store_take_replaced(struct nx_store *store, const struct nx_entry *entry)
{
    for (struct nx_entry *e = store->entries; e < store->entries + NX_STORE_MODELS; e++)
        if (e->state == NX_ENTRY_READY && e->tag == entry->tag && e != entry) {
            e->state = NX_ENTRY_FREE;
            return e;
        }
    return NULL;
}

static void count_vote(struct nx_entry *e, const struct nx_err *failure,
                       const struct nx_digest *digest)
{
    bool is_first_note = failure->status == NX_OK && e->failure.text[0] == 0;
    if (e->failure.status == NX_OK && (failure->status != NX_OK || is_first_note))
        e->failure = *failure;
    if (failure->status != NX_OK)
        return;
    if (e->any_vote && memcmp(&e->digest, digest, sizeof *digest) != 0 &&
        e->failure.status == NX_OK)
        nx_err_set(&e->failure, NX_CORRUPT, "replicas received different bytes for tag %u", e->tag);
    e->digest = *digest;
    e->any_vote = true;
}

static void decide(struct nx_store *store, struct nx_entry *e, struct nx_outcome *outcome)
{
    *outcome = (struct nx_outcome){
        .request = e->request, .op = NX_REQUEST_INSTALL, .tag = e->tag, .err = e->failure};
    if (e->failure.status == NX_OK) {
        e->state = NX_ENTRY_READY;
        nx_err_set(&outcome->err, NX_OK, "install model successfully.%s%s",
                   e->failure.text[0] ? " " : "", e->failure.text);
    } else {
        e->state = NX_ENTRY_FREE;
    }
    nx_store_remember(store, outcome);
}

enum nx_verdict nx_store_vote(struct nx_store *store, nx_seq version, nx_rank voter,
                              const struct nx_err *failure, const struct nx_digest *digest,
                              struct nx_entry **entry, struct nx_outcome *outcome)
{
    *entry = NULL;
    struct nx_entry *e = nx_store_find_version(store, version);
    if (!e || e->state != NX_ENTRY_LOADING || !(e->waiting & NX_RANK_BIT(voter)))
        return NX_VERDICT_PENDING;
    e->waiting &= ~NX_RANK_BIT(voter);
    count_vote(e, failure, digest);
    *entry = e;
    if (e->waiting != 0)
        return NX_VERDICT_PENDING;
    decide(store, e, outcome);
    return NX_VERDICT_DONE;
}

bool nx_store_drop_voters(struct nx_store *store, nx_rankset replicas, struct nx_entry **entry,
                          struct nx_outcome *outcome)
{
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++) {
        struct nx_entry *e = nx_store_at(store, i);
        if (e->state != NX_ENTRY_LOADING)
            continue;
        e->waiting &= replicas;
        if (e->waiting != 0)
            continue;
        decide(store, e, outcome);
        *entry = e;
        return true;
    }
    return false;
}

void nx_store_add_voters(struct nx_store *store, nx_rankset newcomers)
{
    for (struct nx_entry *e = store->entries; e < store->entries + NX_STORE_MODELS; e++)
        if (e->state == NX_ENTRY_LOADING)
            e->waiting |= newcomers;
}

bool nx_store_is_resumed(const struct nx_view *view, nx_rankset replicas)
{
    for (nx_rankset left = replicas & ~view->stateless; left; left &= left - 1)
        if (view->members[__builtin_ctzll(left)].since != view->vid)
            return false;
    return true;
}

void nx_store_await_all(struct nx_store *store, nx_rankset replicas)
{
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++)
        if (nx_store_at(store, i)->state == NX_ENTRY_LOADING)
            nx_store_at(store, i)->waiting = replicas;
}

uint64_t nx_store_installs(const struct nx_store *store)
{
    return store->installs_count;
}

void nx_store_set_installs(struct nx_store *store, uint64_t count)
{
    store->installs_count = count;
}

void nx_store_remove(struct nx_store *store, uint32_t tag, const char *name,
                     const struct nx_request_id *request, struct nx_entry **removed,
                     struct nx_outcome *outcome)
{
    *removed = NULL;
    *outcome = (struct nx_outcome){.request = *request, .op = NX_REQUEST_REMOVE, .tag = tag};
    if (recall(store, outcome))
        return;
    struct nx_entry *pending = find_request(store, request);
    if (pending) {
        say_reused(NX_REQUEST_INSTALL, pending->tag, outcome);
        return;
    }
    struct nx_entry *e = nx_store_find(store, tag);
    if (!e || !nx_store_is_named(e, name))
        nx_store_say_missing(tag, name, &outcome->err);
    else if (nx_store_find_in(store, tag, NX_ENTRY_LOADING))
        nx_err_set(&outcome->err, NX_AGAIN, "tag %u is being installed", tag);
    else {
        nx_err_set(&outcome->err, NX_OK, "remove model successfully.");
        e->state = NX_ENTRY_FREE;
        *removed = e;
    }
    nx_store_remember(store, outcome);
}
