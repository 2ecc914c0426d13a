/* fabric_ofi.h — what the three files of the libfabric shell share. Private to them: nothing
 * else includes it.
 *
 *   fabric_ofi.c       open and close, what was asked of the provider and what it granted
 *   fabric_ofi_cm.c    connecting, accepting, the event queue, the death of a peer
 *   fabric_ofi_data.c  the write queues, completions, sleeping
 *
 * The write queue of a peer is one ring of entries and three counters that only grow:
 *
 *     done <= posted <= queued <= done + NX_OFI_QUEUE
 *     [done, posted)    the provider has them; their copy slots must not change
 *     [posted, queued)  waiting for the provider to take them
 *
 * Completions of one endpoint come in order (FI_ORDER_STRICT), so one signalled operation
 * completes all before it. */
#ifndef NX_GROUP_FABRIC_OFI_H
#define NX_GROUP_FABRIC_OFI_H

#include "common/nx_assert.h"
#include "group/fabric/fabric.h"
#include "group/fabric/ofi_lib.h"

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

enum {
    NX_OFI_QUEUE = 64,       /* writes per peer between posting and completion; a power of two */
    NX_OFI_SIGNAL_EVERY = 8, /* operations per completion asked for */
    NX_OFI_GATHER_MAX = 4,   /* writes in one operation, where the provider lands them in order */
    NX_OFI_DOORBELLS = 32,   /* receives posted per peer where doorbells consume them */
    NX_OFI_CQ_BATCH = 32,
    NX_OFI_EQ_EVERY = 64,     /* polls between two looks at the event queue while busy */
    NX_OFI_DRAIN_EVENTS = 64, /* events read at most when an endpoint is closed */
    NX_OFI_LIVES = 4,         /* connections of a seat whose late completions are told apart */
};
static_assert((NX_OFI_QUEUE & (NX_OFI_QUEUE - 1)) == 0, "the ring index is a mask");
static_assert(NX_OFI_QUEUE >= 2 * NX_WRITES_PER_PEER, "a writable peer takes a full batch");

enum nx_ofi_state {
    NX_OFI_IDLE,    /* no endpoint: ourselves, or not connecting */
    NX_OFI_AWAITED, /* a lower rank, or a joiner that was admitted; its call has not come */
    NX_OFI_CALLING, /* endpoint made, FI_CONNECTED awaited */
    NX_OFI_UP,
    NX_OFI_DOWN, /* died after it was up or calling; writes are dropped */
};

struct nx_ofi_entry {
    uint64_t local_offset, remote_offset;
    uint32_t bytes;
    bool copied; /* the bytes are in the entry's slot */
    bool doorbell;
};

/* The context of an endpoint's operations. A seat may get another connection while the provider
 * still has completions of the one before: they name another life. */
struct nx_ofi_life {
    struct nx_ofi_peer *peer;
    uint32_t number;
};

struct nx_ofi_peer {
    enum nx_ofi_state state;
    uint32_t life; /* of the current endpoint; grows */
    struct nx_ofi_life lives[NX_OFI_LIVES];
    uint64_t token;       /* what its call must bring, while it is awaited */
    const char *down_why; /* set when it died, until poll has reported it */
    struct fid_ep *ep;
    uint64_t base, key; /* of its region */
    uint32_t done, posted, queued;
    uint32_t unsignalled;                 /* operations since the last signalled one */
    uint32_t signals, signals_done;       /* signalled operations, and their completions */
    uint32_t signal_posted[NX_OFI_QUEUE]; /* `posted` as of signal n, at n mod the ring */
    uint32_t doorbells_lent;              /* receives in the provider's hands */
    struct nx_ofi_entry queue[NX_OFI_QUEUE];
    uint8_t (*slots)[NX_INLINE_MAX]; /* NX_OFI_QUEUE copies, one per entry */
};

/* A call that came before we knew the view. */
struct nx_ofi_call {
    struct fi_info *info;
    uint8_t data[32];
    size_t data_bytes;
};

struct nx_fabric {
    struct nx_fabric_config config;
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_eq *eq;
    struct fid_cq *cq;
    struct fid_pep *pep;
    int gate_fd; /* the listener's socket; -1: it has no gate */
    bool gate_shut;
    struct fid_mr *mr, *slots_mr;
    uint8_t *region;
    size_t region_bytes;
    uint8_t (*slots)[NX_INLINE_MAX];
    int epoll_fd, eq_fd, cq_fd;
    int watcher_fd;      /* the owner's epoll set; -1: none */
    bool gathers;        /* neighbouring writes may leave as one operation */
    bool doorbell_taken; /* a doorbell consumes a posted receive */
    bool local_mr;       /* source buffers need a descriptor */
    struct nx_fabric_caps caps;
    uint32_t polls; /* since the event queue was last read */
    bool seated;    /* our rank is known */
    nx_rank self;
    uint32_t peers_count;
    nx_rankset connected;
    nx_rankset forming; /* calls or connections of these are awaited */
    struct nx_ofi_peer peers[NX_MEMBERS_MAX];
    struct nx_ofi_call calls[NX_MEMBERS_MAX]; /* waiting for the view */
    uint32_t calls_count;
    struct nx_fabric_stats stats;
};

enum nx_status nx_ofi_err(struct nx_err *err, const char *what, int fi_errno);
/* Writes go over a byte stream, by what the provider says of itself, whatever it is called. */
bool nx_ofi_is_stream(const struct fi_info *info);

bool nx_ofi_read_eq(struct nx_fabric *f); /* true if there was an event */
bool nx_ofi_read_cq(struct nx_fabric *f); /* true if there were completions */
void nx_ofi_peer_died(struct nx_fabric *f, struct nx_ofi_peer *peer, const char *why);
/* The peer of an operation's context; NULL: of an endpoint that is gone. */
struct nx_ofi_peer *nx_ofi_peer_of(void *context);
static inline void *nx_ofi_context(struct nx_ofi_peer *peer)
{
    return &peer->lives[peer->life % NX_OFI_LIVES];
}
void nx_ofi_lend_doorbells(struct nx_ofi_peer *peer);

#endif
