/* process_work.h — what a test node does with its group: sends and checks messages, bulks and
 * queries.
 *
 * Every byte that travels is a function of who sends it, its number or size, and its offset, so
 * each end can check what it gets without keeping anything. A wrong byte ends the process with
 * exit code 9. */
#ifndef NX_PROCESS_WORK_H
#define NX_PROCESS_WORK_H

#include "group/group.h"

enum { WORK_QUERIES_MAX = 64, WORK_REPLIES_MAX = 1024 };

struct work_query {
    uint64_t total, sent, got;
    nx_stream stream;
    nx_rank peer;
    bool open;
};

struct work_reply {
    nx_stream query;
    uint64_t query_total, total, sent;
    bool opened;
};

struct work_task { /* one per peer that we query */
    uint64_t to_open, opened, answered, failed, size;
    unsigned outstanding;
};

struct work {
    struct nx_group *group;
    nx_rank rank;
    bool silent; /* takes queries and never answers */
    /* messages */
    uint64_t to_send, sent, delivered, order_hash;
    size_t size_max;
    uint64_t next_number[NX_MEMBERS_MAX]; /* per sender: FIFO without gaps */
    nx_rankset unheard; /* senders that were there before us: their first number may be any */
    nx_vid vid;         /* the view that we are in; 0: none yet */
    uint64_t view_delivered, view_hash; /* of it */
    /* bulk, ours and theirs */
    uint64_t bulk_total, bulk_sent;
    nx_stream bulk;
    uint64_t bulk_got[NX_MEMBERS_MAX];
    /* queries */
    struct work_task tasks[NX_MEMBERS_MAX];
    struct work_query queries[WORK_QUERIES_MAX];
    struct work_reply replies[WORK_REPLIES_MAX];
    unsigned replies_count;
};

/* one line to the driver */
void work_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void work_upcalls(struct nx_group_upcalls *upcalls);
bool work_push(struct work *w); /* does what fits the windows; true if something moved */
bool work_pending(const struct work *w);

#endif
