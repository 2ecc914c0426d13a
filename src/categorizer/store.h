/* store.h — the models of one shard, as every replica holds them.
 *
 * The store is a function of the shard's ordered messages: replicas that applied the same messages hold the same
 * entries, versions, votes and outcomes. Installing is two ordered steps, because a model is installed only if
 * every replica can run it:
 *
 *     INSTALL ──► entry LOADING, each replica loads aside ──► VOTE of each replica ──► all in
 *                                                    all ok, one digest: READY │ else: gone
 *
 * A request id stands for one operation on one tag; used for another it is refused.
 * A tag is taken from its INSTALL on, so of two installs of one tag the one ordered first wins. A request that
 * is sent again (same id) gets the outcome of the first one, as long as it is among the last
 * NX_STORE_OUTCOMES.
 * Owner   the thread that delivers. Bounds  NX_STORE_MODELS entries; nothing is allocated after open. */
#ifndef NX_CATEGORIZER_STORE_H
#define NX_CATEGORIZER_STORE_H

#include "categorizer/categorizer_wire.h"
#include "categorizer/digest.h"
#include "group/group.h"

enum { NX_STORE_MODELS = 1024, NX_STORE_OUTCOMES = 1024 };

struct nx_kept;

enum nx_entry_state { NX_ENTRY_FREE, NX_ENTRY_LOADING, NX_ENTRY_READY };

struct nx_entry {
    enum nx_entry_state state;
    uint32_t tag;
    char name[NX_MODEL_NAME_BYTES]; /* "": none */
    enum nx_model_format format;
    nx_seq version;      /* the INSTALL's place in the order; names the install to voters */
    uint64_t generation; /* the how manieth install of the shard: what users see as the version */
    struct nx_request_id request;
    nx_rankset waiting;      /* LOADING: replicas that have not voted */
    struct nx_digest digest; /* of the body, by the first vote; the others must agree */
    /* the first vote against; NX_OK with a text: a note of the votes for it */
    struct nx_err failure;
    bool any_vote;
    /* This replica's own; the caller puts them here and takes them out. */
    void *model;
    struct nx_kept *kept; /* the files it came with */
};

/* What became of a request. DUPLICATE: it is the same as one that is still undecided. */
enum nx_verdict { NX_VERDICT_PENDING, NX_VERDICT_DUPLICATE, NX_VERDICT_DONE };

struct nx_outcome {
    struct nx_request_id request;
    enum nx_request op; /* INSTALL or REMOVE … */
    uint32_t tag;       /* … of this tag: what the request id stands for */
    struct nx_err err;  /* NX_OK and the sentence for the user, or the refusal */
};

struct nx_store;

struct nx_store *nx_store_open(void); /* NULL: no memory */
void nx_store_close(struct nx_store *store);
void nx_store_clear(struct nx_store *store); /* as opened */

/* INSTALL delivered at `seq`. PENDING: *entry is LOADING and waits for a vote from each of `replicas`. DONE:
 * *outcome says why not, or what it was the first time. */
enum nx_verdict nx_store_install(struct nx_store *store, nx_seq seq, uint32_t tag,
                                 const struct nx_request_id *request, nx_rankset replicas,
                                 struct nx_entry **entry, struct nx_outcome *outcome);

/* The same, in place of the tag's READY model if it has that name and no other install of the tag is under way: that
 * model goes on answering until the new one is decided. */
enum nx_verdict nx_store_replace(struct nx_store *store, nx_seq seq, uint32_t tag, const char *name,
                                 const struct nx_request_id *request, nx_rankset replicas,
                                 struct nx_entry **entry, struct nx_outcome *outcome);

/* To be called when an install is decided and READY: frees the entry in whose place it came, with its model and files
 * there for the caller to close. NULL: there was none. */
struct nx_entry *nx_store_take_replaced(struct nx_store *store, const struct nx_entry *entry);

/* VOTE delivered. `failure` is NX_OK if the voter can run the model; a text is then a note for the user. DONE when it
 * was the last vote: *entry is then READY, or was freed (state NX_ENTRY_FREE; its model and files are still there for
 * the caller to close) and *outcome tells. A vote for an install that is not waiting for it changes nothing (PENDING,
 * *entry NULL). */
enum nx_verdict nx_store_vote(struct nx_store *store, nx_seq version, nx_rank voter,
                              const struct nx_err *failure, const struct nx_digest *digest,
                              struct nx_entry **entry, struct nx_outcome *outcome);

/* A view is installed, in which `replicas` are left: the votes of the others are awaited no more. True for an install
 * that this decides, as nx_store_vote does with DONE; call again until it is false. */
bool nx_store_drop_voters(struct nx_store *store, nx_rankset replicas, struct nx_entry **entry,
                          struct nx_outcome *outcome);

/* A view is installed, to which `newcomers` came without state: installs under way wait for their votes as well, since they
 * must be able to run the model like the others. */
void nx_store_add_voters(struct nx_store *store, nx_rankset newcomers);

/* Whether none of the shard's members that have its state was in the view before: the group
 * began again, or members came back to a shard that nobody was left in, with its log. They have
 * other ranks than those that installs under way wait for. The same of a view that is replayed. */
bool nx_store_is_resumed(const struct nx_view *view, nx_rankset replicas);

/* Then: whoever is there votes once more. */
void nx_store_await_all(struct nx_store *store, nx_rankset replicas);

/* REMOVE delivered. Always decided. *removed is the freed entry with its model pointer, or NULL. */
void nx_store_remove(struct nx_store *store, uint32_t tag, const char *name,
                     const struct nx_request_id *request, struct nx_entry **removed,
                     struct nx_outcome *outcome);

/* Whether a request with this id was decided, or is about to be: what it asks for is not done again. */
bool nx_store_knows(const struct nx_store *store, const struct nx_request_id *request);

/* Installs begun so far, the source of generations; and the same of a state that is taken over. */
uint64_t nx_store_installs(const struct nx_store *store);
void nx_store_set_installs(struct nx_store *store, uint64_t count);

/* The outcomes that are kept, 0 the oldest; and one more, when a state is taken over. */
uint32_t nx_store_outcomes(const struct nx_store *store);
const struct nx_outcome *nx_store_outcome(const struct nx_store *store, uint32_t i);
void nx_store_remember(struct nx_store *store, const struct nx_outcome *outcome);

/* NX_EXISTS, and whether the tag is installed or about to be. */
enum nx_status nx_store_say_taken(const struct nx_entry *entry, struct nx_err *err);

/* Whether who asks by this name ("": by tag) means this entry, found by its tag. */
bool nx_store_is_named(const struct nx_entry *entry, const char *name);
/* The entry that answers who asks by this tag and name, or NULL: NX_UNAVAILABLE while it is
 * being installed, else NX_NOT_FOUND. */
struct nx_entry *nx_store_find_ready(struct nx_store *store, uint32_t tag, const char *name,
                                     struct nx_err *err);
/* NX_NOT_FOUND, with the name, or the tag if there is none. */
enum nx_status nx_store_say_missing(uint32_t tag, const char *name, struct nx_err *err);

/* The entry of a tag: READY if there is such a one, else LOADING, or NULL. */
struct nx_entry *nx_store_find(struct nx_store *store, uint32_t tag);
/* Of the tag, in that state; a tag that is being replaced has one of each. */
struct nx_entry *nx_store_find_in(struct nx_store *store, uint32_t tag, enum nx_entry_state state);
/* The entry that an install made, or NULL. */
struct nx_entry *nx_store_find_version(struct nx_store *store, nx_seq version);
struct nx_entry *nx_store_at(struct nx_store *store, uint32_t i); /* i < NX_STORE_MODELS */
const struct nx_entry *nx_store_peek(const struct nx_store *store, uint32_t i);

#endif
