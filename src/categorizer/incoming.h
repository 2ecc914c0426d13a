/* incoming.h — operations on their way through a replica: what has come of each, and what it waits for.
 *
 *   READING ──► RUNNING ─────────────────────────────► REPLYING        a photo
 *      ├──────► ORDERING ──► DECIDING ──► SETTLING ──► REPLYING        install, remove (entry replica)
 *      │            ▲ a join │  └► MARKING ─┘▲                         decided by a view, not by a message
 *      │            └────────┘
 *      └──────────────────────────────────────────────► REPLYING        refused
 *
 * A bulk message that another replica sends is here as well: it only reads, and ends with its delivery.
 * Bytes of a body are taken into one allocation of its announced size, counted against a budget; a body that the
 * budget or a limit refuses is read and dropped, and the refusal is the answer.
 * Owner  the loop thread. Bounds  NX_INCOMING_MAX operations, the budget's bytes. */
#ifndef NX_CATEGORIZER_INCOMING_H
#define NX_CATEGORIZER_INCOMING_H

#include "categorizer/categorizer_wire.h"
#include "common/budget.h"
#include "group/group.h"

enum { NX_INCOMING_MAX = 4096, NX_INCOMING_BUCKETS = 1024 };

enum nx_incoming_state {
    NX_INCOMING_READING,  /* more bytes of the query */
    NX_INCOMING_RUNNING,  /* the device */
    NX_INCOMING_AWAITING, /* a photo: its model, which is being loaded from the log */
    NX_INCOMING_ORDERING, /* room in the multicast window */
    NX_INCOMING_DECIDING, /* the ordered messages that decide it */
    NX_INCOMING_MARKING,  /* a message of ours in the view that decided it */
    NX_INCOMING_SETTLING, /* every replica's delivery of the deciding message */
    NX_INCOMING_REPLYING, /* room in the asker's window */
};

struct nx_incoming {
    struct nx_incoming *next; /* in its bucket */
    nx_stream stream;
    bool is_bulk; /* another replica's bulk message, not a query */
    bool gone;    /* nobody waits for the answer any more */
    enum nx_incoming_state state;
    uint64_t total, got; /* of the stream, the head included */

    uint8_t head_bytes[NX_HEAD_BYTES_MAX]; /* until it is whole */
    uint32_t head_got;
    bool head_known;
    struct nx_request_head head;

    uint8_t *body;
    uint64_t body_bytes, body_got;
    /* not NX_OK: it is delivered, and this replica's disk has no room for it */
    struct nx_err bulk_room;
    struct nx_err refused; /* not NX_OK: the body is dropped, this is the answer */

    nx_stream bulk; /* INSTALL at its entry replica: our own bulk message; 0 before */
    uint64_t bulk_sent;
    bool repeated;            /* the shard knows this request: only its head is ordered */
    nx_seq settle_seq;        /* SETTLING: the deciding message */
    struct nx_job_infer *job; /* RUNNING */
    struct nx_answer answer;
    uint8_t *reply; /* REPLYING: the encoded answer */
    size_t reply_bytes, reply_sent;
    bool reply_opened;
};

struct nx_incomings {
    struct nx_incoming *buckets[NX_INCOMING_BUCKETS];
    uint32_t count;
    struct nx_budget *budget;
};

/* NULL: too many, or no memory. */
struct nx_incoming *nx_incoming_add(struct nx_incomings *all, nx_stream stream, uint64_t total);
struct nx_incoming *nx_incoming_find(struct nx_incomings *all, nx_stream stream);
/* Unlinks and frees it with its body and reply. */
void nx_incoming_drop(struct nx_incomings *all, struct nx_incoming *in);
/* Gives the body's memory back. */
void nx_incoming_drop_body(struct nx_incomings *all, struct nx_incoming *in);
/* Hands the body over: the caller frees it and gives body_bytes back to the budget. */
uint8_t *nx_incoming_take_body(struct nx_incoming *in);

/* Takes the next bytes of a query's stream: first the head, then the body. */
void nx_incoming_feed(struct nx_incomings *all, struct nx_incoming *in, const uint8_t *bytes,
                      size_t len);
/* The head is known otherwise (it came beside the bulk message): makes room for the body. */
void nx_incoming_set_head(struct nx_incomings *all, struct nx_incoming *in,
                          const struct nx_request_head *head);

/* Next after `in` (NULL: the first) in some order; safe if `in` itself is not dropped meanwhile. */
struct nx_incoming *nx_incoming_next(struct nx_incomings *all, const struct nx_incoming *in);

#endif
