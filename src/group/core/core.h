/* core.h — the group protocol as one pure function.
 *
 *   step(core, now, event) → update
 *
 * The core has no clock, makes no system calls, starts no threads, allocates nothing after open and
 * has no writable globals. The same object files run under libfabric (group.c) and under the
 * simulator (sim/).
 *
 * A step takes one event and fills one update. The update holds connections to close, upcalls to
 * make, and writes to push into peers' memory. The caller handles it in this order:
 *   1. It closes the named connections. After that, no write of those peers may land, and nothing
 *      that is queued for them may leave.
 *   2. It makes the upcalls, in order.
 *   3. It posts the writes, in order.
 * Upcalls and writes point into the region or into the core. They are valid until the next VIEW,
 * POLL or SLEEP.
 *
 * Only VIEW, POLL and SLEEP produce upcalls and writes. All other events are requests. The update
 * of a request carries only a status (and a stream, or the number of bytes taken). An upcall may
 * therefore step the core with a request, using a second update. Data that a request puts into a
 * window leaves with the next POLL. If `busy` is set after a request or PEER_DOWN, a POLL is due.
 *
 * The region is the node's registered memory. It has the same layout at every node of the group
 * (nodes compare nx_core_layout_hash at bootstrap), so an offset means the same thing everywhere.
 * Peers write into the region at any time and in any pieces. Bytes become readable when a guard
 * (sst_guard.h) follows them on the same lane. The core checks everything that it reads from the
 * region as input from outside.
 *
 * Flow control towards the fabric: the poll event names the peers that can take writes. The core
 * never queues a control write that it cannot post. Instead it marks the column as dirty and pushes
 * the newest value when the peer is writable again. So counters coalesce, and no queue grows. When
 * a peer that was not writable at the last POLL becomes writable, this counts as news, like a write
 * that landed: a POLL is due, even if the node has gone to sleep in the meantime. Control writes
 * have at most NX_INLINE_MAX bytes and are flagged inline: the fabric copies them when they are
 * posted, so the row may change at once. Payload writes point into rings; these bytes do not change
 * until the receiver's counter shows that it has consumed them. */
#ifndef NX_GROUP_CORE_H
#define NX_GROUP_CORE_H

#include "group/group.h"
#include "group/membership/mb_change.h"
#include "group/multicast/mc_tree.h"

enum { NX_INLINE_MAX = 128, NX_WRITES_PER_PEER = 12, NX_UPCALLS_PER_STEP = 256 };

/* Properties of the fabric. The core and the simulated fabric look at these, never at a provider's name. */
struct nx_fabric_caps {
    bool waw;                   /* writes to one peer land in the order posted */
    uint32_t atomic_unit;       /* bytes that never tear; 1 = none */
    bool needs_target_progress; /* a write lands only while the target polls */
    bool wakes_on_plain_write;  /* a plain write wakes a sleeping target */
};

struct nx_core_config {
    nx_node self;
    struct nx_group_spec spec;
    struct nx_fabric_caps caps;
    uint32_t members_max;
    uint32_t mc_ring_bytes;              /* ordered multicast window per sender, power of two */
    uint32_t p2p_ring_bytes;             /* per ordered pair of members, power of two */
    uint32_t bulk_ring_bytes;            /* bulk window per sender, power of two */
    struct nx_schedule_limits schedules; /* zeros: the defaults */
    nx_ns timeout_ns;    /* a member that is silent for this long counts as failed; 0: never */
    nx_ns leave_held_ns; /* the longest wait of a leave for members that need our state; 0: none */
    /* simulator only: seeded defects that its judges must find; 0: none. Bits: core/mutants.h */
    uint64_t mutants;
};

struct nx_core;

size_t nx_core_region_bytes(const struct nx_core_config *config);
uint64_t nx_core_layout_hash(const struct nx_core_config *config);

/* `region` has nx_core_region_bytes bytes, is zeroed and aligned to 64, and outlives the core. The
 * core has no view yet. */
enum nx_status nx_core_open(const struct nx_core_config *config, void *region,
                            struct nx_core **core, struct nx_err *err);
void nx_core_close(struct nx_core *core);

enum nx_event_type {
    /* Installs our first view. Either it is the first view of the group, which the bootstrap agreed on, or it is the view
     * in which we joined, and its leader has told us that it is installed. In both cases all members are connected. The
     * caller reports deaths that it saw earlier after this event. */
    NX_EV_VIEW,
    NX_EV_POLL,      /* memory may have changed, time has passed, these peers are writable */
    NX_EV_PEER_DOWN, /* the fabric saw a peer die; its upcalls come with the next POLL */
    /* The leader `peer`, which is in view `vid`, reserves seat `rank` for the joiner `member`. If we agree, we accept the
     * joiner in this seat until the next view. A later ADMIT of the same leader for this seat replaces the earlier one.
     *
     * Order   The caller closes the connection of the seat's former owner before this event, and lets the joiner connect
     *         after it.
     * Status  NX_EXISTS: the seat is taken, or the joiner's node is a live member. NX_AGAIN: we are in another view, we
     *         follow another leader, or the seat is given away in this view; the leader should try another seat.
     *         NX_INVALID: there is no such seat or tier.
     * Rebirth A node that asks to join although the view has it as a member proves that its former process is dead. We
     *         keep this proof even if we refuse the seat. It counts towards the majority as soon as we suspect the
     *         former process. A leader with a view change under way therefore sends ADMIT to all other members. If it has
     *         no free seat, or is admitting another joiner, it sends `rank` NX_RANK_NONE, and the answer is NX_INVALID. */
    NX_EV_ADMIT,
    /* The leader's own step after ADMIT: propose the joiners in these seats as members. Precondition: we lead, and every
     * member that we do not suspect has agreed to these seats in this view and is connected to the joiners. The proposal
     * holds until the next view. NX_AGAIN: we do not lead or have no majority, a member is leaving, or a change has been
     * proposed already. NX_NOT_FOUND: a seat was not admitted in this view. NX_EXISTS: a joiner's node is a member. */
    NX_EV_JOIN,
    /* Our tier has the state of our shard as of the start of the view: deliveries begin. NX_AGAIN: the view is ending, so
     * only the state as of the next view will do. NX_EXISTS: the tier had the state before. */
    NX_EV_STATE,
    NX_EV_SEND,
    NX_EV_BULK_OPEN,
    NX_EV_BULK_WRITE,
    NX_EV_BULK_ABORT,
    NX_EV_QUERY_OPEN,
    NX_EV_QUERY_WRITE,
    NX_EV_QUERY_CANCEL,
    NX_EV_REPLY_OPEN,
    NX_EV_REPLY_WRITE,
    NX_EV_LOAD,
    NX_EV_SLEEP,    /* about to block: our row tells peers to ring us; NX_AGAIN: poll first */
    NX_EV_WANT_OUT, /* we want to leave: the others learn of it, and we continue to serve */
    NX_EV_LEAVE,    /* leave as soon as no member needs our state any more */
    NX_EV_DURABLE,  /* this much is on our disk; NX_AGAIN: this is about another view than ours */
};

/* What a member's disk holds about the member's current view (group/durable/dur_note.h). */
enum nx_note_state { NX_NOTE_NONE, NX_NOTE_WRITTEN, NX_NOTE_CERTAIN };

struct nx_event {
    enum nx_event_type type;
    const struct nx_view *view;     /* VIEW */
    nx_rankset writable;            /* POLL, SLEEP: peers that can take NX_WRITES_PER_PEER writes */
    nx_rank peer;                   /* PEER_DOWN, QUERY_OPEN; ADMIT: the leader */
    nx_rank rank;                   /* ADMIT */
    nx_vid vid;                     /* ADMIT, DURABLE */
    const struct nx_member *member; /* ADMIT: the joiner; its shard and `since` do not matter */
    nx_rankset ranks;               /* JOIN */
    uint32_t subgroup;              /* SEND, BULK_OPEN */
    nx_stream stream;               /* BULK_WRITE … REPLY_WRITE */
    uint64_t total;                 /* *_OPEN */
    const void *bytes;              /* SEND, *_WRITE; BULK_OPEN: the head */
    size_t len;
    void *cookie;            /* QUERY_OPEN */
    bool system;             /* QUERY_OPEN: between the shell's own layers; its parts are flagged */
    uint32_t word, value;    /* LOAD */
    enum nx_note_state note; /* DURABLE: what our note says about view `vid` */
    uint64_t places;         /* DURABLE: places of our shard's order, of all views, on our disk */
    bool anyway;             /* WANT_OUT, LEAVE: from now on the leave waits for no member */
    bool hold; /* POLL: our disk is behind; deliver nothing ordered or bulk unless the view ends */
    const char *why; /* PEER_DOWN: a static sentence */
};

/* Only the named fields of an upcall are filled in. */
enum nx_upcall_type {
    /* A view is installed: see nx_core_view and nx_core_layout. All messages of the old view have been delivered, and none
     * of the new one. A member without its shard's state (nx_core_has_state) gets no deliveries until NX_EV_STATE. A member
     * that had no state and that the new view does not list as `stateless` starts with the empty state: no member of its
     * shard has any other. */
    NX_UP_VIEW,
    NX_UP_MEMBER_DOWN, /* rank, clean, why */
    NX_UP_DELIVER,     /* delivery */
    NX_UP_BULK_PART,   /* part, subgroup, head, head_len */
    NX_UP_BULK_ABORTED, /* part.peer, part.stream; for our own: a new view brought a joiner to the shard */
    NX_UP_QUERY_PART,   /* part */
    NX_UP_QUERY_GONE,   /* part.peer, part.stream, part.system */
    NX_UP_REPLY_PART,   /* part, cookie */
    NX_UP_QUERY_FAILED, /* part.peer, part.stream, part.system, cookie, status */
    NX_UP_DOWN,         /* status, why; the core has stopped for good */
};

struct nx_upcall {
    enum nx_upcall_type type;
    struct nx_delivery delivery;
    struct nx_part part;
    uint32_t subgroup;
    const uint8_t *head;
    size_t head_len;
    void *cookie;
    nx_rank rank;
    bool clean;
    enum nx_status status;
    const char *why; /* MEMBER_DOWN, DOWN: a static sentence */
};

struct nx_write {
    nx_rank peer;
    bool inline_bytes; /* copy at post time (bytes <= NX_INLINE_MAX) */
    bool doorbell;     /* the peer sleeps; this write must wake it */
    uint32_t bytes;
    uint64_t local_offset, remote_offset; /* in the region */
};

struct nx_update {
    enum nx_status status; /* the result of a request */
    nx_stream stream;      /* BULK_OPEN, QUERY_OPEN */
    size_t taken;          /* *_WRITE */
    /* seats whose connections, if any, the caller closes before anything else */
    nx_rankset disconnect;
    bool busy;     /* something was done; poll again before sleeping */
    nx_ns wake_at; /* the latest time of the next POLL; NX_NEVER if only events matter */
    uint32_t upcalls_count, writes_count;
    struct nx_upcall upcalls[NX_UPCALLS_PER_STEP];
    struct nx_write writes[NX_MEMBERS_MAX * NX_WRITES_PER_PEER];
};

void nx_core_step(struct nx_core *core, nx_ns now, const struct nx_event *event,
                  struct nx_update *update);

/* The caller asks this before it makes each upcall of an update, and skips the upcall if the answer
 * is false: an earlier upcall of the same update has then made a request that removes its object (it
 * cancelled the query, or aborted the bulk message). */
bool nx_core_upcall_wanted(const struct nx_core *core, const struct nx_upcall *upcall);

/* The last check before blocking: whether a POLL would find something in the region that no step has
 * taken yet. Writes may land while the caller asks the fabric whether it may sleep. */
bool nx_core_has_news(const struct nx_core *core);

/* Facts for the getters of group.h. */
const struct nx_view *nx_core_view(const struct nx_core *core);
const struct nx_layout *nx_core_layout(const struct nx_core *core);
nx_rank nx_core_rank(const struct nx_core *core);
nx_rankset nx_core_alive(const struct nx_core *core);
nx_rankset nx_core_heard(const struct nx_core *core); /* the alive members that are not silent */
/* The leader, which admits joiners: the lowest rank that is neither suspected nor leaving. NX_RANK_NONE before the first
 * view. */
nx_rank nx_core_leader(const struct nx_core *core);
bool nx_core_has_state(const struct nx_core *core); /* of our shard; true for a spare */
/* members that are known to have the state of their shard */
nx_rankset nx_core_with_state(const struct nx_core *core);
/* Members whose shard lost its state at the start of this view: no member that had the state continued. A member that joined
 * in this view does not know this. */
nx_rankset nx_core_lost_state(const struct nx_core *core);
enum nx_status nx_core_shard_status(const struct nx_core *core, uint32_t subgroup, uint32_t shard);
/* Every member of our shard that has the shard's state has all messages up to this seq on disk, and
 * all members know that the view is certain. So what is acknowledged now survives a total failure.
 * NX_SEQ_NONE: nothing, or the shard keeps no log. */
nx_seq nx_core_durable(const struct nx_core *core, uint32_t subgroup);
/* written: all members, including us, have noted our view. certain: at least one member's note calls it certain. */
void nx_core_notes(const struct nx_core *core, bool *written, bool *certain);
/* Members that have not yet confirmed that they noted our view. Until they do, nothing is durable in this view. */
nx_rankset nx_core_without_note(const struct nx_core *core);
nx_seq nx_core_settled(const struct nx_core *core, uint32_t subgroup);
size_t nx_core_send_max(const struct nx_core *core);
uint32_t nx_core_load(const struct nx_core *core, nx_rank rank, unsigned word);
enum nx_change_state nx_core_change_state(const struct nx_core *core);
/* After WANT_OUT or LEAVE: the members for which our leave waits, because they are receiving state that only we have. */
nx_rankset nx_core_leave_awaits(const struct nx_core *core);
/* There is no such member, and no view change is under way that could bring one. */
bool nx_core_may_leave(const struct nx_core *core);
bool nx_core_is_leaving(const struct nx_core *core); /* nothing holds our leave back any more */
bool nx_core_left(const struct nx_core *core);       /* every live member knows of our leave */
void nx_core_get_stats(const struct nx_core *core, struct nx_group_stats *stats);

#endif
