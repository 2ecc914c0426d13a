/* sim_node.h — one virtual node: a real core, and a tier above it that asks at random and writes
 * down what it got.
 *
 * A turn is what the shell's poll is: let writes land, hand over deaths, poll, then some of the
 * workload. Between turns the node is awake (the next turn is scheduled) or asleep (after
 * NX_EV_SLEEP: until a doorbell, a plain write where those wake, a death, its own work, or the
 * time that the core named). */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "group/transfer/transfer.h"
#include "sim_join.h"
#include "sim_run.h"

struct sim_keeper;

enum {
    SIM_INFLOWS = 6,
    SIM_BULKS = 3,
    SIM_QUERIES = 48,
    SIM_SERVED = 512,
    SIM_BYTES_MAX = 20 << 10
};

enum sim_life { SIM_AWAKE, SIM_ASLEEP, SIM_DEAD };

struct sim_bulk {
    bool used;
    nx_stream stream;
    uint64_t id, total, offset, hash,
        quit_at; /* quit_at: aborts once so much is written; total: never */
};

struct sim_query {
    bool used;
    nx_stream stream;
    nx_rank peer;
    uint64_t cookie, total, offset, hash; /* of the question */
    uint64_t reply_offset, reply_hash;
    uint32_t cancel_in; /* turns; 0: never */
};

struct sim_served {
    bool used, ready, opened; /* ready: to be answered; whole, or refused early */
    bool lost;                /* it is known to be cancelled, and will be said to be gone */
    nx_stream stream;
    nx_rank peer;
    uint64_t hash;                /* of the question, as far as it has come */
    uint64_t reply_id;            /* the reply's bytes follow from the question */
    uint64_t reply_total, offset; /* of the reply */
    uint32_t wait;                /* turns until it is answered */
};

/* What a tier keeps: what it delivered, in order. */
struct sim_state {
    uint64_t hash, count;
};

/* Somebody else's bulk, as far as its running hash goes. */
struct sim_inflow {
    bool used;
    nx_stream stream;
    uint64_t hash;
};

/* An operation that was refused for lack of room, and is tried again after each poll. */
struct sim_pending {
    enum sim_op op;
    uint64_t id, total;
    size_t len;
    bool refused; /* once at least */
    nx_rank peer;
};

struct sim_node {
    struct sim_world *world;
    const struct sim_load *load;
    unsigned rank; /* which process of the run: its name in the trace */
    nx_rank seat;  /* its rank in its group */
    nx_node id;
    uint8_t at[NX_MEMBERS_MAX]; /* seat → process, as it is connected; SIM_NOBODY */
    uint32_t subgroup, shard;
    bool serves, waiting; /* waiting: it has no view yet */
    struct sim_joiner join;
    nx_ns comes_back_ns; /* after its death; 0: never */
    struct sim_state state, at_wedge, snapshot, came;
    struct sim_keeper *keeper; /* its disk; NULL: it keeps nothing */
    bool disk_failed, ready_waits;
    nx_ns disk_at; /* when it is woken for its disk */
    nx_seq durable, delivered;
    struct nx_transfer *transfer;
    bool lacks; /* the state of its shard */
    bool wedged;
    enum nx_change_state change; /* as of the last step, and … */
    nx_vid vid;                  /* … the view that it was in */
    struct nx_core *core;
    struct nx_prng prng;
    enum sim_life life;
    uint32_t turn;  /* number of the scheduled turn; older events are void */
    uint64_t turns; /* taken so far */
    nx_ns paused_until;
    uint64_t notices; /* deaths to hand over, by process */
    bool leaving;
    uint32_t ops_left, spins;
    nx_ns next_op_at;
    uint64_t ids;
    bool dying;
    uint32_t writes_to_live;
    struct sim_pending pending;
    struct sim_bulk bulks[SIM_BULKS];
    struct sim_query queries[SIM_QUERIES];
    struct sim_served served[SIM_SERVED];
    size_t served_high; /* above it, none is used */
    struct sim_inflow inflows[NX_MEMBERS_MAX * SIM_INFLOWS];
    nx_rankset gone; /* as the core reported it */
    nx_ns wake_at;   /* as the last poll said */
    bool due;        /* a request said that a poll is due */
    bool idles;      /* what it wakes for is the clock or a beat: no work */
    struct nx_update update, answer;
    uint8_t bytes[SIM_BYTES_MAX];
};

struct sim_node *sim_node_open(struct sim_world *world, unsigned rank, nx_node id,
                               uint32_t subgroup, struct nx_err *err);
void sim_node_close(struct sim_node *node);
void sim_node_start(struct sim_node *node, const struct nx_view *view); /* its first */

/* The process at a seat, the processes at seats, as the node knows them. */
unsigned sim_node_who(const struct sim_node *node, nx_rank seat);
uint64_t sim_node_whose(const struct sim_node *node, nx_rankset seats);
/* Its tier's state, and the transfer of it (sim_state.c). loaded: the tier can serve from what came in that view. */
struct nx_transfer *sim_state_open(struct sim_node *node);
void sim_state_begin_view(struct sim_node *node);
bool sim_state_poll(struct sim_node *node);
bool sim_state_upcall(struct sim_node *node, const struct nx_upcall *upcall);
void sim_state_loaded(struct sim_node *node, nx_vid vid);
/* The state as bytes, and from bytes that come in order. */
uint64_t sim_state_bytes(const struct sim_state *state);
uint8_t sim_state_byte(const struct sim_state *state, uint64_t offset);
enum nx_status sim_state_take(struct sim_state *state, uint64_t offset, const void *bytes,
                              size_t len, struct nx_err *err);

void sim_node_turn(struct sim_node *node, bool timer);
void sim_node_note_place(struct sim_node *node); /* in the view that it is in */
void sim_node_begin_view(struct sim_node *node); /* its tier's part of one that is installed */
/* Something came: if asleep, take a turn soon. It may be a mere beat. */
void sim_node_wake(struct sim_node *node, bool timer);
void sim_node_notice(struct sim_node *node, unsigned peer);
void sim_node_pause(struct sim_node *node, nx_ns until);
void sim_node_leave(struct sim_node *node);
void sim_node_outage(struct sim_node *node, bool power); /* all die: nobody is told */
void sim_node_kill(struct sim_node *node, uint32_t after_writes);
/* at the end: what it knows, what it still waits for */
void sim_node_last_words(struct sim_node *node);

/* A VIEW, POLL or SLEEP: upcalls written down, writes posted; false if the node died among them. */
bool sim_node_step(struct sim_node *node, const struct nx_event *event);
/* Any other event: a request, whose outcome is in node->answer. With a kind, it is written down
 * with its status (and BULK's stream as id), unless that is NX_AGAIN: then nothing has happened. */
enum nx_status sim_node_request(struct sim_node *node, struct nx_event event);
enum nx_status sim_node_ask(struct sim_node *node, struct nx_event event, enum sim_kind kind,
                            struct sim_record record);

/* sim_work.c: a turn's share of the workload; true if it has more to do at once. */
bool sim_work(struct sim_node *node);
bool sim_work_is_done(const struct sim_node *node);
/* What a tier may do inside an upcall: cancel, abort, answer at once. */
void sim_work_inside(struct sim_node *node);
/* sim_upcall.c: writes down what the core handed up. */
void sim_upcall(struct sim_node *node, const struct nx_upcall *upcall);

/* `len` bytes of the endless text number `id`, from `offset`. */
void sim_text(uint64_t id, uint64_t offset, uint8_t *bytes, size_t len);
uint64_t sim_text_hash(uint64_t id, uint64_t len);

#endif
