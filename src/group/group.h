/* group.h — a member's handle on its group: the public API, and all that a tier may include.
 *
 * Call order      open, then poll in a loop; everything else between polls or inside upcalls; close at the end.
 * Thread          one thread owns a group and makes every call here. Upcalls run on it, inside nx_group_poll.
 * Upcalls         may call send, bulk_*, query_*, reply_*, set_load, state_ready and leave; never poll, arm or close.
 * Bytes           handed to an upcall are valid until it returns. Bytes handed to a call are copied, or not
 *                 taken at all, before it returns.
 * Back-pressure   a call that finds its window full says NX_AGAIN (or takes fewer bytes) and changes nothing;
 *                 windows are freed by poll, so the caller tries again after the next one.
 *
 * Ordered multicast, per shard (Derecho's names; docs/architecture.md has the picture)
 *   - delivered(m) at one member  =>  m was sent, once, with these bytes, and every member of the shard holds it
 *   - all members of a shard deliver the same messages in the same order; one sender's messages in FIFO order
 *   - when a member dies or leaves, the others install the next view; until then sends answer NX_AGAIN. What was
 *     delivered anywhere is delivered by all who go on, before `view`; what a survivor sent and was not delivered is
 *     delivered after it, once. Bulk and queries between survivors go on. seq only grows, also across views
 *   - without a majority of the last view (`no primary partition`) nothing is ordered: sends answer NX_WEDGED. A
 *     member that merely does not hear the others for a while is in this state until it hears them again
 * Ranks          stay with their members; a rank is vacant once its member is out of the view
 * Bulk           a message of any size streams through a bounded window; it is delivered in the same total
 *                 order as small messages, when every member holds all its bytes. The transport keeps no buffer
 *                 of the message's size: receivers take parts as they come.
 * Persistence    a subgroup may keep its messages on disk. After a total failure the nodes that come back find out
 *                 together whether they may begin again, and whose log is the truth. Before the first view, poll then
 *                 hands up what this node's log holds, as it was: `view` (ranks and shards of then; hosts are not
 *                 kept), bulk_part (also of what this node sent), deliver. Meanwhile the getters tell of those views,
 *                 nx_group_replays is true, and requests answer NX_UNAVAILABLE. The first live view comes after it,
 *                 with another incarnation
 * State           a member that comes into a shard whose others have a state begins with theirs, as it was when its view
 *                 began: one of them (the donor) takes a snapshot there and is read, in pieces, while the shard goes on; the
 *                 joiner's deliveries begin when it said nx_group_state_ready. A new view before that: from the start.
 * Point-to-point  a query goes to one member and is answered by one reply, both of any size, many outstanding;
 *                 replies may overtake one another. A query whose peer dies ends in `query_failed`. */
#ifndef NX_GROUP_H
#define NX_GROUP_H

#include "common/clock.h"
#include "common/status.h"
#include "group/view/message.h"
#include "group/view/view.h"

#include <stddef.h>

#pragma GCC visibility push(default) /* what libnexus-group exports */

struct nx_group;

enum { NX_CONTACTS_MAX = 8 };

struct nx_contact {
    char ip[48];
    uint16_t port; /* its gms_port */
};

struct nx_group_config {
    nx_node local_id;
    char local_ip[48];
    /* where this node's bootstrap listens; 0: any free port, which a restart does not keep */
    uint16_t gms_port;
    char leader_ip[48];
    uint16_t leader_gms_port; /* where the first view meets */
    /* Other nodes that may be asked the way into a running group: whoever starts asks the leader, then these. The leader
     * itself asks these before it lets a first view form. */
    struct nx_contact contacts[NX_CONTACTS_MAX];
    uint32_t contacts_count;
    uint32_t first_view_nodes; /* the first view is installed when this many have come */
    uint32_t subgroup;         /* the tier of this node: an index in spec */
    struct nx_group_spec spec;
    char provider[16]; /* libfabric's: tcp, verbs */
    char domain[32];   /* empty: any */
    /* seats, >= first_view_nodes; a node that comes back takes another one than it had */
    uint32_t members_max;
    nx_ns join_timeout_ns; /* how long open's first view may take before the group gives up */
    /* A member of whom nothing was heard for so long is taken for failed; 0: never, only broken connections tell. The same
     * at all members, a whole number of milliseconds. */
    nx_ns timeout_ns;
    /* How long arm keeps the caller from falling asleep (NX_AGAIN) where news tends to come that soon, 10 ms at most; 0: not
     * at all. A wake-up costs tens of microseconds of latency; what is looked on in vain, at most this per message. */
    nx_ns spin_ns;
    /* a node whose wall clock differs by more is refused; 0: NX_CLOCK_SKEW_NS */
    nx_ns clock_skew_ns;
    /* A file of 16 to 4096 bytes that all members share and only its owner may read; read once, by
     * open. Empty: no authentication, whoever reaches a member's port may join. */
    char secret_file[256];
    /* The folder of this node's log, if a subgroup is persistent; made if there is none. No other process uses it. */
    char file_path[256];
};
#define NX_CLOCK_SKEW_NS (60 * NX_SEC)

/* Any of them may be NULL: what it would tell is dropped. Without query_part, queries to this node stay
 * unanswered. */
struct nx_group_upcalls {
    /* A view is installed. `layout` is its layout. All messages of the view before were delivered; the same ones at every
     * member of the shard. */
    void (*view)(void *ctx, const struct nx_view *view, const struct nx_layout *layout);
    /* A member is gone (crash or leave): the view without it will come, if there is a majority. */
    void (*member_down)(void *ctx, nx_rank rank, bool clean, const char *why);
    void (*deliver)(void *ctx, const struct nx_delivery *message);
    /* Bytes of somebody else's bulk message; `head` (head_len bytes) comes with the first piece only. */
    void (*bulk_part)(void *ctx, uint32_t subgroup, const struct nx_part *part, const uint8_t *head,
                      size_t head_len);
    /* A bulk message in progress will never be delivered: its sender gave up or died. */
    void (*bulk_aborted)(void *ctx, nx_stream stream);
    /* A query comes in; answer it, sooner or later, with nx_reply_*. */
    void (*query_part)(void *ctx, const struct nx_part *part);
    /* The asker gave the query up or died: no reply is wanted any more, its stream is forgotten. */
    void (*query_gone)(void *ctx, nx_stream stream);
    /* The reply to our query comes in. */
    void (*reply_part)(void *ctx, void *cookie, const struct nx_part *part);
    /* Our query will have no reply: NX_PEER_DOWN, its peer is gone. */
    void (*query_failed)(void *ctx, void *cookie, enum nx_status why);
    /* The state of this member's shard; all NULL: there is none to move, members that join are ready at once.
     *
     * snapshot: right after `view`, at the donor: a cut of the state as it is now, and its size. Cheap: references, copied
     * on write; it is read while the tier goes on. NULL: no memory. At most two are there at a time: a
     * member whose log begins with its state reads one itself.
     * read: up to cap bytes at `offset`. 0: not yet, it is asked again; NX_STATE_BROKEN: never.
     * release: nobody reads it any more.
     * part: at the joiner, in order; offset 0: throw away what you have, also what came before of another snapshot. What it
     * refuses is asked for again, a few times. An empty state is one part of no bytes. */
    void *(*state_snapshot)(void *ctx, uint32_t subgroup, uint64_t *bytes);
    size_t (*state_read)(void *ctx, void *snapshot, uint64_t offset, void *buf, size_t cap);
    void (*state_release)(void *ctx, void *snapshot);
    enum nx_status (*state_part)(void *ctx, uint32_t subgroup, uint64_t total, uint64_t offset,
                                 const void *bytes, size_t len, struct nx_err *err);
    /* This node cannot go on in the group (no view in time, refused by the leader; NX_FENCED: the others
     * go on without it, or begin again; it may close the group and open it again). */
    void (*down)(void *ctx, const struct nx_err *err);
};

/* Makes this process a node of the group that `config` describes; both structs are copied, `ctx` goes to every upcall. Waits
 * for nobody: the node looks for the others in nx_group_poll, and the first view comes as an upcall, or `down` does.
 * NX_INVALID: a value of config; other failures: err names what this machine refused. Nothing is left open then. */
enum nx_status nx_group_open(const struct nx_group_config *config,
                             const struct nx_group_upcalls *upcalls, void *ctx,
                             struct nx_group **group, struct nx_err *err);

/* One turn of bounded work; true if there was some. Never blocks. */
bool nx_group_poll(struct nx_group *group);

/* An epoll descriptor to sleep at, the same one until close: readable when there is work, if arm was called just before. */
int nx_group_fd(const struct nx_group *group);
/* Before each sleep. NX_OK: the descriptor tells of all that comes from now on, and poll is due at *wake_at anyhow (NX_NEVER:
 * not by time). NX_AGAIN: poll first. */
enum nx_status nx_group_arm(struct nx_group *group, nx_ns *wake_at);

const struct nx_view *nx_group_view(const struct nx_group *group);     /* NULL before the first */
const struct nx_layout *nx_group_layout(const struct nx_group *group); /* NULL before the first */
nx_rank nx_group_rank(const struct nx_group *group);                   /* ours in the view */
nx_rankset nx_group_alive(const struct nx_group *group);               /* members not suspected */

/* Members that are known to have the state of their shard by now; the others came without it and are still given it. */
nx_rankset nx_group_with_state(const struct nx_group *group);

/* Why there is no view yet, or why the group cannot go on from this one, in a sentence that says for whom it waits or what to
 * do; "": nothing of the kind is known. Good until the next poll. */
const char *nx_group_waits_for(const struct nx_group *group);

/* Why ordered sends into a shard are refused now: NX_OK (they are not, or only until the view
 * has changed), NX_UNAVAILABLE (inadequate), NX_WEDGED (no primary partition). */
enum nx_status nx_group_shard_status(const struct nx_group *group, uint32_t subgroup,
                                     uint32_t shard);

/* --- ordered multicast in the caller's own shard of `subgroup` ------------------------------------------- */

/* bytes of a small message, and of a bulk head */
size_t nx_group_send_max(const struct nx_group *group);

enum nx_status nx_group_send(struct nx_group *group, uint32_t subgroup, const void *bytes,
                             size_t len);

/* total > 0. The sender gets no bulk_part of its own message; it gets the delivery like everybody. */
enum nx_status nx_bulk_open(struct nx_group *group, uint32_t subgroup, uint64_t total,
                            const void *head, size_t head_len, nx_stream *stream);
/* Takes 0 … len bytes. NX_NOT_FOUND after an abort; NX_WEDGED when the view is ending. */
enum nx_status nx_bulk_write(struct nx_group *group, nx_stream stream, const void *bytes,
                             size_t len, size_t *taken);
void nx_bulk_abort(struct nx_group *group, nx_stream stream);
/* In the deliver upcall of a bulk message of a persistent subgroup: whether this member's disk has room for its bytes, and no
 * member's disk has kept all from having anything durable for 10 s.
 * NX_UNAVAILABLE: no, with the reason; the message is then kept without them, so the tier must refuse what it asks, at every
 * member alike (by a message of its own, say). A tier that does not ask leaves the group when the disk is full. */
enum nx_status nx_bulk_room(struct nx_group *group, nx_stream stream, struct nx_err *err);

/* Every member of our shard has run its deliver upcall for all messages up to this seq. */
nx_seq nx_group_settled(const struct nx_group *group, uint32_t subgroup);

/* What survives a total failure: every member of our shard, also one whose state is on its way, keeps all messages up to this seq,
 * with the bytes of their bulk bodies, on its disk, and every member of the view keeps the view. Of a subgroup that is not persistent:
 * what nx_group_settled says. NX_SEQ_NONE: nothing yet. */
nx_seq nx_group_durable(const struct nx_group *group, uint32_t subgroup);

/* The log of the last run is being handed up: see Persistence. */
bool nx_group_replays(const struct nx_group *group);

/* --- point to point -------------------------------------------------------------------------------------- */

/* NX_PEER_DOWN; NX_AGAIN: too many are open; NX_WEDGED: after nx_group_leave. */
enum nx_status nx_query_open(struct nx_group *group, nx_rank peer, uint64_t total, void *cookie,
                             nx_stream *stream);
enum nx_status nx_query_write(struct nx_group *group, nx_stream query, const void *bytes,
                              size_t len, size_t *taken);
/* No upcall for this query comes after this returns. */
void nx_query_cancel(struct nx_group *group, nx_stream query);

/* Announces the reply's size; `query` is the stream that query_part named. NX_NOT_FOUND: the asker is gone, or gave the
 * query up; parts that had come already may still be handed up, and then query_gone. */
enum nx_status nx_reply_open(struct nx_group *group, nx_stream query, uint64_t total);
enum nx_status nx_reply_write(struct nx_group *group, nx_stream query, const void *bytes,
                              size_t len, size_t *taken);

/* --- the rest -------------------------------------------------------------------------------------------- */

enum { NX_LOAD_WORDS = 4 };
/* Words of our own row that other members may read: what the tier wants routing to know. Any value. */
void nx_group_set_load(struct nx_group *group, unsigned word, uint32_t value);
uint32_t nx_group_load(const struct nx_group *group, nx_rank rank, unsigned word);

/* The tier can serve from the state that came (all parts of it; loading may have taken a while). Deliveries begin, and
 * nx_group_with_state has this member; unless the view is ending: then the state of the next one will come. */
void nx_group_state_ready(struct nx_group *group);

/* How long a leave is held back at most. */
#define NX_GROUP_LEAVE_HELD_NS (20 * NX_SEC)

/* Whether this member may leave and take nothing along: false while another is being given the state of its shard, which only
 * this one has, and which neither dies nor wants to leave itself; for NX_GROUP_LEAVE_HELD_NS from the first call at most.
 * That call tells the others that this member wants to leave; until nx_group_leave it serves on. The log says for whom it waits. */
bool nx_group_may_leave(struct nx_group *group);
/* Announces a clean departure once nx_group_may_leave would be true; poll until it says true (all peers know, or 1 s has passed
 * since it was announced). */
bool nx_group_leave(struct nx_group *group);
/* The leave, also a later one, waits for nobody who needs the state. */
void nx_group_leave_anyway(struct nx_group *group);
/* Frees all of it. Without a leave before, the others take this member for failed. */
void nx_group_close(struct nx_group *group);

/* Since open; they only grow. */
struct nx_group_stats {
    uint64_t sent;        /* small messages that nx_group_send took */
    uint64_t delivered;   /* deliver upcalls, of our own messages as well */
    uint64_t nulls;       /* places in the order that we gave up, so that nobody waits for us */
    uint64_t writes;      /* into peers' memory … */
    uint64_t write_bytes; /* … and their bytes */
    uint64_t doorbells;   /* of these, those that woke a sleeper */
    uint64_t wakeups;     /* how often arm let the caller sleep */
};
void nx_group_get_stats(const struct nx_group *group, struct nx_group_stats *stats);

#pragma GCC visibility pop

#endif
