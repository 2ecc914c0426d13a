/* sim_trace.h — what happened in a run, as records that the judges read.
 *
 * One record is one thing that a node asked, got or suffered, or that landed in its memory. A
 * record has a text form, one line, which parses back to the same record; processes can print it
 * and be judged by the same code:
 *
 *   [1234567] n2 deliver sub=0 shard=1 peer=0 seq=17 len=100 hash=9f… id=0 mask=7
 *
 * Nodes are named by rank, n0 … Only the fields that the kind's row in SIM_KINDS names are
 * printed.
 * Owner   the trace owns its records; records are plain values. */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include "common/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* X(KIND, name, fields). Hashes are running ones: of all bytes of the thing up to and including
 * this piece. */
#define SIM_KINDS(X)                                                                                    \
    /* n serves in this shard: mask its members, id those without its state, total how many it needs */ \
    X(MEMBER, "member", "sub shard mask id total")                                                      \
    X(SPARE, "spare", "") /* n serves in no shard */                                                    \
    X(VIEW, "view",                                                                                     \
      "id mask hash") /* n installed view id with these members; hash: all it says */                   \
    X(COMES, "comes",                                                                                   \
      "peer id") /* n is a process of node id; peer was its last one, or n itself */                    \
    /* disks. Until a life of the group begins n means nobody, and id is the node */                    \
    X(RESTORE, "restore", "id sub shard total hash") /* its log begins with a state of so many */       \
    X(REPLAY, "replay",                                                                                 \
      "id sub shard seq len hash total mask") /* … and hands this up, with a body of total, mask */   \
    X(OFFER, "offer", "id sub shard total hash") /* it has come with so many in all */                  \
    X(BROKEN, "broken", "id status") /* its disk cannot be read, or not hold what it must note */       \
    X(HALT, "halt", "total")         /* nobody else comes, and the group does not begin */              \
    X(ROT, "rot", "id offset")       /* a bit of its disk has flipped */                                \
    X(BEGINS, "begins",                                                                                 \
      "sub shard id total hash")           /* n begins with this state; id: kept on disks */            \
    X(DURABLE, "durable", "sub shard seq") /* n knows that all up to seq outlives an outage */          \
    X(DISK, "disk", "status")              /* n's disk has failed, so it leaves */                      \
    X(OUTAGE, "outage", "status")          /* all die at once; status: without power */                 \
    X(STATE, "state", "id hash") /* n has the state of its shard as of the start of view id */          \
    X(BULK_CUT, "bulkcut", "id") /* a join ended n's bulk */                                            \
    X(SEND, "send", "sub shard len hash status")                                                        \
    X(DELIVER, "deliver", "sub shard peer seq len hash id mask")                                        \
    X(BULK, "bulk", "sub shard id total len hash status") /* n opens a bulk; head's len, hash */        \
    X(BULK_END, "bulkend", "id hash")                     /* n handed over its last byte */             \
    X(BULK_QUIT, "bulkquit", "id")                        /* n called abort */                          \
    X(BULK_LOST, "bulklost", "id status")                 /* n was refused further bytes */             \
    X(HEAD, "head", "peer id len hash")                   /* a bulk begins to come in */                \
    X(PART, "part", "peer id offset len total hash")                                                    \
    X(ABORTED, "aborted", "id")                                                                         \
    X(QUERY, "query", "peer id total status")                                                           \
    X(QUERY_END, "queryend", "id hash")     /* n handed over its query's last byte */                   \
    X(QUERY_LOST, "querylost", "id status") /* n was refused further bytes */                           \
    X(CANCEL, "cancel", "id")                                                                           \
    X(ASKED, "asked", "peer id offset len total hash") /* a piece of somebody's query */                \
    X(GONE, "gone", "id")                                                                               \
    X(REPLY, "reply", "id total hash status") /* n announces a reply; hash of what will follow */       \
    X(ANSWER, "answer", "peer id offset len total hash") /* a piece of the reply to query id */         \
    X(FAILED, "failed", "id status")                                                                    \
    X(LOAD, "load", "id total")        /* n sets its word id to total */                                \
    X(LOADS, "loads", "peer id total") /* n reads peer's word id, at the end */                         \
    X(LEAVE, "leave", "")                                                                               \
    X(LEFT, "left", "") /* n's leave is known to all; it closes */                                      \
    X(KILL, "kill", "")                                                                                 \
    X(PAUSE, "pause", "total") /* n stands still for so long */                                         \
    X(RESUME, "resume", "")                                                                             \
    X(STALL, "stall", "peer total")       /* the lane n → peer stands still for so long */            \
    X(CUT, "cut", "peer")                 /* the connection of n and peer fails, both live */           \
    X(NOTICE, "notice", "peer")           /* the fabric told n that peer is dead */                     \
    X(DOWN, "down", "peer status")        /* n's upcall: peer is gone; status 1 = clean */              \
    X(OUT, "out", "status")               /* n's upcall: it cannot go on in the group */                \
    X(SHARD, "shard", "sub shard status") /* what n says of its shard, at the end */                    \
    X(BLOCKED, "blocked", "")             /* n lacks a majority, at the end */                          \
    X(FULL, "full", "id")                 /* a request finds no room, and is made again later */        \
    X(STUCK, "stuck", "peer id")          /* n still waits for room, at the end; id: for what */        \
    X(ODD, "odd", "id status")            /* a request that must be refused, and the answer */          \
    X(WRITE, "write", "peer offset len mask") /* n posts; mask 1 = inline, 2 = doorbell */              \
    X(FOUL, "foul", "peer id offset len") /* n broke the fabric's contract; id: enum sim_foul */        \
    X(COLUMN, "column",                                                                                 \
      "peer offset total status id") /* a guarded word of peer has landed at n */                       \
    X(IDLE, "idle", "")              /* from now on there is no work */                                 \
    X(END, "end", "status")          /* 0: the run came to rest; 1: it did not in time */

enum sim_kind {
#define SIM_KIND_ENUM(kind, name, fields) SIM_##kind,
    SIM_KINDS(SIM_KIND_ENUM)
#undef SIM_KIND_ENUM
        SIM_KIND_COUNT
};

enum sim_foul {
    SIM_FOUL_BOUNDS = 1, /* a write outside the region, of no bytes, or too long to be inline */
    SIM_FOUL_PEER,       /* to itself or to nobody */
    SIM_FOUL_CREDIT,     /* more writes than the peer was said to take */
    SIM_FOUL_SOURCE,     /* bytes of a posted write changed before they landed */
    SIM_FOUL_OWNER,      /* memory that belongs to another writer */
};

/* STUCK's id: with a query to peer, and with nothing else; or with replies alone, to peer among others. */
enum { SIM_STUCK_QUERY = 3, SIM_STUCK_REPLY = 0x200 };

/* How a column may change. */
enum sim_law {
    SIM_LAW_GROWS,
    SIM_LAW_SET_GROWS,
    SIM_LAW_FREE,
    SIM_LAW_DECISION /* grows; {number of a view, whatever its writer says is decided for it} */
};

struct sim_record {
    nx_ns at;
    uint8_t kind; /* enum sim_kind */
    uint8_t node; /* rank; 0 where nobody in particular is meant */
    uint8_t peer, sub, shard, status;
    int64_t seq;
    uint64_t id, offset, len, total, hash, mask;
};

struct sim_trace {
    struct sim_record *records;
    size_t count, capacity;
    uint64_t hash; /* of all records so far: equal for two runs of one seed */
};

void sim_trace_init(struct sim_trace *trace);
void sim_trace_free(struct sim_trace *trace);
void sim_trace_clear(struct sim_trace *trace); /* keeps the memory */
void sim_trace_add(struct sim_trace *trace, const struct sim_record *record);

void sim_record_print(const struct sim_record *record, FILE *out); /* one line with its newline */
/* False for anything but one well-formed line; a field that is not given is 0. */
bool sim_record_parse(const char *line, struct sim_record *record);

/* FNV-1a, continued from `hash`; start with SIM_HASH_EMPTY. */
#define SIM_HASH_EMPTY UINT64_C(14695981039346656037)
uint64_t sim_hash(uint64_t hash, const void *bytes, size_t len);
/* What a tier keeps in the simulator, after one more delivery. */
uint64_t sim_state_hash(uint64_t state, int64_t seq, uint64_t len, uint64_t hash);

#endif
