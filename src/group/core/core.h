/* core.h — the protocol of a group as one pure function.
 *
 *   step(core, now, event) → update
 *
 * No clock, no system call, no thread, no allocation after open, no writable global. The same
 * objects run under libfabric (group.c) and under the simulator (sim/). A turn takes one event and
 * fills an update: writes to push to peers' memory, and upcalls to make. The caller makes the
 * upcalls first, in order, then posts the writes in order; both point into the region or into the
 * core and are valid until the next VIEW, POLL or SLEEP. Before both it closes the connections that
 * the update names: nothing of those peers may land afterwards, nothing queued for them may leave.
 *
 * Only VIEW, POLL and SLEEP make upcalls and writes. The other events are requests: their update
 * carries a status (and a stream, or the bytes taken) alone, so an upcall may step the core with
 * them and a second update. What they put into the windows leaves with the next POLL. `busy` after
 * a request or PEER_DOWN: a POLL is due.
 *
 * The region is the node's registered memory. Every node of a group has the same layout of it
 * (checked by nx_core_layout_hash at bootstrap), so an offset means the same thing everywhere.
 * Peers write into it at any time, in any pieces; what makes bytes readable is a guard
 * (sst_guard.h) that was written after them on the same lane. Everything read from the region is
 * checked as input from outside.
 *
 * Flow to the fabric: the poll event says which peers can take writes. The core never queues a
 * control write it cannot post; it remembers that the column is dirty and pushes its newest value
 * when the peer is writable, so counters coalesce and nothing grows. A peer that was not writable
 * at the last POLL and is now is news, like a landed write: a POLL is due, also of a node that went
 * to sleep meanwhile. Control writes are at most NX_INLINE_MAX bytes and flagged inline: the fabric
 * copies them at post time, so the row may change at once. Payload writes point into rings whose
 * bytes stay as they are until the receiver's counter says that they were consumed. */
#ifndef NX_GROUP_CORE_H
#define NX_GROUP_CORE_H

#include "group/group.h"
#include "group/membership/mb_change.h"
#include "group/multicast/mc_tree.h"

enum { NX_INLINE_MAX = 128, NX_WRITES_PER_PEER = 12, NX_UPCALLS_PER_STEP = 256 };

/* What the fabric is like. The core and the simulated fabric ask these, never a provider's name. */
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
    nx_ns timeout_ns;    /* who was silent for so long is taken for failed; 0: nobody is */
    nx_ns leave_held_ns; /* how long a leave waits at most for who is given our state; 0: not */
    /* simulator only: seeded defects that the judges must catch; 0 = none. Bits: core/mutants.h */
    uint64_t mutants;
};

struct nx_core;

size_t nx_core_region_bytes(const struct nx_core_config *config);
uint64_t nx_core_layout_hash(const struct nx_core_config *config);

/* `region` is region_bytes long, zeroed, aligned to 64, and outlives the core. No view yet. */
enum nx_status nx_core_open(const struct nx_core_config *config, void *region,
                            struct nx_core **core, struct nx_err *err);
void nx_core_close(struct nx_core *core);

enum nx_event_type {
    /* Our first view: the group's first, agreed at bootstrap, all members connected; or the one in which we joined, all
     * members connected, since their leader said that it is installed. Deaths seen before are handed over after it. */
    NX_EV_VIEW,
    NX_EV_POLL,      /* memory may have changed, time has passed, these peers are writable */
    NX_EV_PEER_DOWN, /* the fabric saw a peer die; its upcalls come with the next POLL */
    /* Member `peer`, who leads and is in view `vid`, prepares seat `rank` for `member`: until the next view we accept it
     * there. Before, the caller has closed the connection of the seat's former owner; after, it lets the new one in.
     * Replaces what `peer` prepared there before. NX_EXISTS: the seat is taken, or the node is a member that lives;
     * NX_AGAIN: we are in another view or follow another, or the seat is given away in this view: try another. A node
     * that asks although it is a member proves that its former self is dead, which counts for the majority once that is
     * suspected, also if it is refused. So a leader with a change under way asks all the others, without a seat (`rank` NX_RANK_NONE, which
     * is NX_INVALID) if it has none left or lets another in. */
    NX_EV_ADMIT,
    /* We lead, and every member that we do not suspect said yes to ADMIT of these seats in this view, and is connected to
     * their new owners: propose them. NX_AGAIN: we do not lead, have no majority, a member
     * leaves, or the change under way is proposed; NX_NOT_FOUND:
     * not admitted in this view; NX_EXISTS: its node is a member. Holds until the next view. */
    NX_EV_JOIN,
    /* Our tier has the state of our shard as of the view's start: deliveries begin. NX_AGAIN: the view is ending: only the
     * state as of the next one will do; NX_EXISTS: it had it. */
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
    NX_EV_SLEEP, /* about to block: says so in our row, so that peers ring; NX_AGAIN: poll first */
    NX_EV_WANT_OUT, /* we want to leave: the others learn of it, and we serve on */
    NX_EV_LEAVE,    /* we leave, as soon as nobody is waited for */
    NX_EV_DURABLE,  /* this much is on our disk; NX_AGAIN: of another view than ours */
};

/* What is on a member's disk about the view it is in (group/durable/dur_note.h). */
enum nx_note_state { NX_NOTE_NONE, NX_NOTE_WRITTEN, NX_NOTE_CERTAIN };

struct nx_event {
    enum nx_event_type type;
    const struct nx_view *view;     /* VIEW */
    nx_rankset writable;            /* POLL, SLEEP: peers that can take NX_WRITES_PER_PEER writes */
    nx_rank peer;                   /* PEER_DOWN, QUERY_OPEN; ADMIT: who leads */
    nx_rank rank;                   /* ADMIT */
    nx_vid vid;                     /* ADMIT, DURABLE */
    const struct nx_member *member; /* ADMIT: its shard and `since` do not matter */
    nx_rankset ranks;               /* JOIN */
    uint32_t subgroup;              /* SEND, BULK_OPEN */
    nx_stream stream;               /* BULK_WRITE … REPLY_WRITE */
    uint64_t total;                 /* *_OPEN */
    const void *bytes;              /* SEND, *_WRITE; BULK_OPEN: the head */
    size_t len;
    void *cookie;            /* QUERY_OPEN */
    bool system;             /* QUERY_OPEN: between the shell's own layers; its parts are flagged */
    uint32_t word, value;    /* LOAD */
    enum nx_note_state note; /* … what our note says of it … */
    uint64_t places; /* … and the places of our shard's order, of all views, that are on our disk */
    bool anyway;     /* WANT_OUT, LEAVE: nobody is waited for from now on */
    bool hold; /* POLL: our disk is behind: hand up nothing ordered or bulk, unless the view ends */
    const char *why; /* PEER_DOWN: a static sentence */
};

/* Only the named fields of an upcall are filled in. */
enum nx_upcall_type {
    /* nx_core_view, nx_core_layout: a view is installed; all of the old one is delivered, nothing of the new one. A member
     * that lacks the state (nx_core_has_state) is handed no deliveries until NX_EV_STATE. One that lacked it and now is not
     * in the view's `stateless` begins with the empty state: nobody has another. */
    NX_UP_VIEW,
    NX_UP_MEMBER_DOWN, /* rank, clean, why */
    NX_UP_DELIVER,     /* delivery */
    NX_UP_BULK_PART,   /* part, subgroup, head, head_len */
    NX_UP_BULK_ABORTED, /* part.peer, part.stream; ours: a view in which somebody came to the shard has ended it */
    NX_UP_QUERY_PART,   /* part */
    NX_UP_QUERY_GONE,   /* part.peer, part.stream, part.system */
    NX_UP_REPLY_PART,   /* part, cookie */
    NX_UP_QUERY_FAILED, /* part.peer, part.stream, part.system, cookie, status */
    NX_UP_DOWN,         /* status, why; the core does nothing any more */
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
    bool doorbell;     /* the peer sleeps: wake it with this write */
    uint32_t bytes;
    uint64_t local_offset, remote_offset; /* in the region */
};

struct nx_update {
    enum nx_status status; /* of the request the event carried */
    nx_stream stream;      /* BULK_OPEN, QUERY_OPEN */
    size_t taken;          /* *_WRITE */
    /* seats: close their connections, if there are any, before anything else */
    nx_rankset disconnect;
    bool busy;     /* something was done; poll again before sleeping */
    nx_ns wake_at; /* the latest time of the next POLL; NX_NEVER if only events matter */
    uint32_t upcalls_count, writes_count;
    struct nx_upcall upcalls[NX_UPCALLS_PER_STEP];
    struct nx_write writes[NX_MEMBERS_MAX * NX_WRITES_PER_PEER];
};

void nx_core_step(struct nx_core *core, nx_ns now, const struct nx_event *event,
                  struct nx_update *update);

/* Asked before each upcall of an update is made: false if a request made by an earlier upcall of
 * that update (a cancelled query, an aborted bulk) has taken the ground from under it. It is
 * skipped then. */
bool nx_core_upcall_wanted(const struct nx_core *core, const struct nx_upcall *upcall);

/* The last look before blocking: whether a POLL would find something in the region that no step has
 * taken. A fabric may land writes while it is asked whether it may sleep. */
bool nx_core_has_news(const struct nx_core *core);

/* Facts for group.h's getters. */
const struct nx_view *nx_core_view(const struct nx_core *core);
const struct nx_layout *nx_core_layout(const struct nx_core *core);
nx_rank nx_core_rank(const struct nx_core *core);
nx_rankset nx_core_alive(const struct nx_core *core);
nx_rankset nx_core_heard(const struct nx_core *core); /* of these, those that are not silent */
/* The lowest rank neither suspected nor leaving: who admits joiners. NX_RANK_NONE before the first view. */
nx_rank nx_core_leader(const struct nx_core *core);
bool nx_core_has_state(const struct nx_core *core); /* of our shard; true for a spare */
/* members that are known to have theirs */
nx_rankset nx_core_with_state(const struct nx_core *core);
/* Members of which the view's start lost the state: nobody of their shard that had it goes on. A joiner does not know. */
nx_rankset nx_core_lost_state(const struct nx_core *core);
enum nx_status nx_core_shard_status(const struct nx_core *core, uint32_t subgroup, uint32_t shard);
/* Every member of our shard that has its state keeps all messages up to this seq on its disk, and all members know the view
 * to be certain: what is acknowledged now outlives a total failure. NX_SEQ_NONE: nothing, or the shard keeps no log. */
nx_seq nx_core_durable(const struct nx_core *core, uint32_t subgroup);
/* Whether all members, we too, have our view in their notes, and whether one calls it certain. */
void nx_core_notes(const struct nx_core *core, bool *written, bool *certain);
/* Members that do not say yet that they have noted our view: nothing is durable in it until they do. */
nx_rankset nx_core_without_note(const struct nx_core *core);
nx_seq nx_core_settled(const struct nx_core *core, uint32_t subgroup);
size_t nx_core_send_max(const struct nx_core *core);
uint32_t nx_core_load(const struct nx_core *core, nx_rank rank, unsigned word);
enum nx_change_state nx_core_change_state(const struct nx_core *core);
/* Since WANT_OUT or LEAVE: members that are given the state that only we have, for whom a leave waits. may_leave: nobody is, and
 * no view is changing that could bring one. */
nx_rankset nx_core_leave_awaits(const struct nx_core *core);
bool nx_core_may_leave(const struct nx_core *core);
bool nx_core_is_leaving(const struct nx_core *core); /* nothing holds our leave back, or did */
bool nx_core_left(const struct nx_core *core);       /* our leave is known to every live member */
void nx_core_get_stats(const struct nx_core *core, struct nx_group_stats *stats);

#endif
