/* group.h — a member's handle on its group. This is the whole public API, and the only header of the group that a tier
 * may include.
 *
 * Call order      Open the group, then call poll in a loop. Make all other calls between polls or inside upcalls. Close
 *                 the group at the end.
 * Thread          One thread owns a group and makes every call in this file. Upcalls run on that thread, inside
 *                 nx_group_poll.
 * Upcalls         An upcall may call send, bulk_*, query_*, reply_*, set_load, state_ready and leave. It must not call
 *                 poll, arm or close.
 * Bytes           Bytes passed to an upcall are valid until the upcall returns. A call copies the bytes that it accepts
 *                 before it returns; it never keeps the caller's pointer.
 * Back-pressure   A call that finds its window full returns NX_AGAIN (or takes fewer bytes) and changes nothing. Poll
 *                 frees windows, so the caller tries again after the next poll.
 *
 * Ordered multicast, per shard (the names are Derecho's; docs/architecture.md has the picture)
 *   - If one member delivers m, then m was sent once with these bytes, and every member of the shard holds it.
 *   - All members of a shard deliver the same messages in the same order. Messages of one sender are in FIFO order.
 *   - When a member dies or leaves, the others install the next view. Until then, sends return NX_AGAIN. A message that
 *     any member delivered is delivered by all survivors before `view`. A message that a survivor sent and that was not
 *     delivered is delivered once, after `view`. Bulk messages and queries between survivors continue. A seq only
 *     grows, also from one view to the next.
 *   - Without a majority of the last view (`no primary partition`) nothing is ordered, and sends return NX_WEDGED. A
 *     member that only stops hearing the others for a while is in this state until it hears them again.
 * Ranks           A member keeps its rank as long as it is in the view. When it leaves the view, its rank becomes vacant.
 * Bulk            A message of any size streams through a bounded window. It is delivered in the same total order as
 *                 small messages, once every member holds all of its bytes. The transport never buffers a whole
 *                 message: receivers take its parts as they arrive.
 * Persistence     A subgroup may keep its messages on disk. After a total failure, the nodes that return decide together
 *                 whether the group may start again, and whose log is authoritative. Before the first live view, poll
 *                 replays this node's log as upcalls: `view` (with the ranks and shards of that time; hosts are not
 *                 kept), bulk_part (also for messages that this node sent) and deliver. During the replay the getters
 *                 describe the replayed views, nx_group_replays is true, and requests return NX_UNAVAILABLE. The first
 *                 live view follows the replay and has a new incarnation.
 * State           A member may join a shard whose other members have state. The joiner starts with their state as it was
 *                 at the start of its view. One of them, the donor, takes a snapshot at that point. The snapshot is read
 *                 in pieces while the shard keeps working. The joiner's deliveries start when it has called
 *                 nx_group_state_ready. If a new view is installed before that, the transfer starts over.
 * Point-to-point  A query goes to one member and gets one reply. Both may have any size, many queries may be open, and
 *                 replies may overtake one another. A query whose peer dies ends with `query_failed`. */
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
    /* the port on which this node's bootstrap listens; 0: any free port (a restart then gets another one) */
    uint16_t gms_port;
    char leader_ip[48];
    uint16_t leader_gms_port; /* with leader_ip: where nodes meet for the first view */
    /* Other nodes that can show a starting node the way into a running group. A starting node asks the leader first,
     * then these. The leader asks these before it lets a first view form. */
    struct nx_contact contacts[NX_CONTACTS_MAX];
    uint32_t contacts_count;
    uint32_t first_view_nodes; /* the first view is installed when this many nodes have arrived */
    uint32_t subgroup;         /* the tier of this node: an index in spec */
    struct nx_group_spec spec;
    char provider[16]; /* libfabric's: tcp, verbs */
    char domain[32];   /* empty: any */
    /* number of seats, at least first_view_nodes; a node that comes back takes a different seat */
    uint32_t members_max;
    nx_ns join_timeout_ns; /* after open: how long the group waits for its first view */
    /* A member that has been silent for this long is treated as failed. 0: silence never counts, only broken
     * connections do. Must be a whole number of milliseconds, and the same at all members. */
    nx_ns timeout_ns;
    /* How long arm returns NX_AGAIN instead of letting the caller sleep, if events tend to arrive that soon. At most
     * 10 ms; 0: never. A wake-up adds tens of microseconds of latency. Spinning in vain costs at most this much CPU
     * time per message. */
    nx_ns spin_ns;
    /* a node whose wall clock differs by more than this is refused; 0: NX_CLOCK_SKEW_NS */
    nx_ns clock_skew_ns;
    /* A file of 16 to 4096 bytes that all members share and only its owner and group may read. Open reads it once. Empty: no
     * authentication; anyone who can reach a member's port may join. */
    char secret_file[256];
    /* The folder of this node's log, if a subgroup is persistent. Created if it is missing. No other process may use it. */
    char file_path[256];
};
#define NX_CLOCK_SKEW_NS (60 * NX_SEC)

/* Any upcall may be NULL; its events are then dropped. Without query_part, queries to this node stay unanswered. */
struct nx_group_upcalls {
    /* A view has been installed; `layout` is its layout. All messages of the previous view have been delivered, and every
     * member of the shard has delivered the same ones. */
    void (*view)(void *ctx, const struct nx_view *view, const struct nx_layout *layout);
    /* A member is gone (crash or leave). A view without it follows if there is a majority. */
    void (*member_down)(void *ctx, nx_rank rank, bool clean, const char *why);
    void (*deliver)(void *ctx, const struct nx_delivery *message);
    /* Bytes of another member's bulk message. Only the first part carries `head` (head_len bytes). */
    void (*bulk_part)(void *ctx, uint32_t subgroup, const struct nx_part *part, const uint8_t *head,
                      size_t head_len);
    /* A bulk message in progress will never be delivered, because its sender aborted it or died. */
    void (*bulk_aborted)(void *ctx, nx_stream stream);
    /* Part of an incoming query. Answer the query with nx_reply_*, now or later. */
    void (*query_part)(void *ctx, const struct nx_part *part);
    /* The sender of a query cancelled it or died. It needs no reply any more, and its stream is no longer valid. */
    void (*query_gone)(void *ctx, nx_stream stream);
    /* Part of the reply to a query of this node. */
    void (*reply_part)(void *ctx, void *cookie, const struct nx_part *part);
    /* A query of this node will get no reply. NX_PEER_DOWN: its peer is gone. */
    void (*query_failed)(void *ctx, void *cookie, enum nx_status why);
    /* The state of this member's shard. If all four are NULL, there is no state to move, and joiners are ready at once.
     *
     * state_snapshot: called at the donor, right after `view`. Returns a snapshot of the current state, and its size.
     *   It should be cheap (references, copied on write), since it is read while the tier keeps working. NULL: out of
     *   memory. At most two snapshots exist at a time: a member whose log starts with its state reads one itself.
     * state_read: copies up to cap bytes from `offset`. 0: not available yet, the call is repeated later.
     *   NX_STATE_BROKEN: never available.
     * state_release: the snapshot has no reader any more.
     * state_part: called at the joiner, in order. Offset 0 means: discard everything received so far, which may come from
     *   another snapshot. A part that the joiner refuses is sent again a few times. An empty state is one part of zero
     *   bytes. */
    void *(*state_snapshot)(void *ctx, uint32_t subgroup, uint64_t *bytes);
    size_t (*state_read)(void *ctx, void *snapshot, uint64_t offset, void *buf, size_t cap);
    void (*state_release)(void *ctx, void *snapshot);
    enum nx_status (*state_part)(void *ctx, uint32_t subgroup, uint64_t total, uint64_t offset,
                                 const void *bytes, size_t len, struct nx_err *err);
    /* This node cannot continue in the group: no view in time, or the leader refused it. NX_FENCED: the others continue
     * without it, or start again; this node may close the group and open it again. */
    void (*down)(void *ctx, const struct nx_err *err);
};

/* Makes this process a node of the group that `config` describes. Copies both structs, and passes `ctx` to every upcall.
 * Does not wait for other nodes: nx_group_poll looks for them, and the first view arrives as an upcall (or `down` does).
 * NX_INVALID: a value of config is not valid. For other failures, err names what this machine refused. After a failure
 * nothing is left open. */
enum nx_status nx_group_open(const struct nx_group_config *config,
                             const struct nx_group_upcalls *upcalls, void *ctx,
                             struct nx_group **group, struct nx_err *err);

/* Does one turn of bounded work. Returns true if there was any. Never blocks. */
bool nx_group_poll(struct nx_group *group);

/* An epoll descriptor to wait on, the same one until close. It becomes readable when there is work, provided that arm was
 * called just before the wait. */
int nx_group_fd(const struct nx_group *group);
/* Call this before each wait. NX_OK: the descriptor will report every event from now on, and poll is due at *wake_at in any
 * case (NX_NEVER: at no particular time). NX_AGAIN: do not wait, poll first. */
enum nx_status nx_group_arm(struct nx_group *group, nx_ns *wake_at);

const struct nx_view *nx_group_view(const struct nx_group *group);     /* NULL before the first */
const struct nx_layout *nx_group_layout(const struct nx_group *group); /* NULL before the first */
nx_rank nx_group_rank(const struct nx_group *group);                   /* ours in the view */
nx_rankset nx_group_alive(const struct nx_group *group);               /* members not suspected */

/* Members that are known to have the state of their shard. The others joined without it and are still receiving it. */
nx_rankset nx_group_with_state(const struct nx_group *group);

/* One sentence that says why there is no view yet, or why the group cannot continue from this one: which nodes it waits for,
 * or what to do. "": no such reason is known. Valid until the next poll. */
const char *nx_group_waits_for(const struct nx_group *group);

/* Says whether a shard refuses ordered sends, and why. NX_OK: it accepts them, or refuses them only until the view has
 * changed. NX_UNAVAILABLE: the shard has fewer members than min_nodes (inadequate). NX_WEDGED: no primary partition. */
enum nx_status nx_group_shard_status(const struct nx_group *group, uint32_t subgroup,
                                     uint32_t shard);

/* --- ordered multicast in the caller's own shard of `subgroup` ------------------------------------------- */

/* The largest size of a small message, and of a bulk head, in bytes. */
size_t nx_group_send_max(const struct nx_group *group);

enum nx_status nx_group_send(struct nx_group *group, uint32_t subgroup, const void *bytes,
                             size_t len);

/* Starts a bulk message of `total` bytes, total > 0. The sender gets no bulk_part for its own message, but it gets the
 * delivery like every other member. */
enum nx_status nx_bulk_open(struct nx_group *group, uint32_t subgroup, uint64_t total,
                            const void *head, size_t head_len, nx_stream *stream);
/* Takes between 0 and len bytes. NX_NOT_FOUND: the message was aborted. NX_WEDGED: the view is ending. */
enum nx_status nx_bulk_write(struct nx_group *group, nx_stream stream, const void *bytes,
                             size_t len, size_t *taken);
void nx_bulk_abort(struct nx_group *group, nx_stream stream);
/* Call this in the deliver upcall of a bulk message of a persistent subgroup. NX_OK: this member's disk has room for the
 * message's bytes, and no member's disk has held up all durability for the last 10 s. NX_UNAVAILABLE: one of these does not
 * hold; err has the reason. The log then keeps the message without its bytes, so the tier must refuse the request in it, and
 * all members must do so alike (for example by a message of the tier's own). A member whose tier does not call this leaves
 * the group when its disk is full. */
enum nx_status nx_bulk_room(struct nx_group *group, nx_stream stream, struct nx_err *err);

/* Every member of our shard has returned from its deliver upcall for all messages up to this seq. */
nx_seq nx_group_settled(const struct nx_group *group, uint32_t subgroup);

/* All messages up to this seq survive a total failure: every member of our shard has them on disk, with the bytes of their
 * bulk bodies, and every member of the view has the view on disk. This includes members that are still receiving their
 * state. For a subgroup that is not persistent, this is nx_group_settled. NX_SEQ_NONE: nothing yet. */
nx_seq nx_group_durable(const struct nx_group *group, uint32_t subgroup);

/* The log of the last run is being replayed: see Persistence. */
bool nx_group_replays(const struct nx_group *group);

/* --- point to point -------------------------------------------------------------------------------------- */

/* Starts a query of `total` bytes to `peer`. NX_PEER_DOWN: the peer is gone. NX_AGAIN: too many queries are open.
 * NX_WEDGED: nx_group_leave was called before. */
enum nx_status nx_query_open(struct nx_group *group, nx_rank peer, uint64_t total, void *cookie,
                             nx_stream *stream);
enum nx_status nx_query_write(struct nx_group *group, nx_stream query, const void *bytes,
                              size_t len, size_t *taken);
/* After this returns, no upcall for this query follows. */
void nx_query_cancel(struct nx_group *group, nx_stream query);

/* Announces the reply's size. `query` is the stream that query_part named. NX_NOT_FOUND: the sender of the query is gone or
 * cancelled it; parts that arrived before may still be handed up, followed by query_gone. */
enum nx_status nx_reply_open(struct nx_group *group, nx_stream query, uint64_t total);
enum nx_status nx_reply_write(struct nx_group *group, nx_stream query, const void *bytes,
                              size_t len, size_t *taken);

/* --- the rest -------------------------------------------------------------------------------------------- */

enum { NX_LOAD_WORDS = 4 };
/* Words in our own row that other members can read. A tier uses them to tell its load to routers; any value is allowed. */
void nx_group_set_load(struct nx_group *group, unsigned word, uint32_t value);
uint32_t nx_group_load(const struct nx_group *group, nx_rank rank, unsigned word);

/* The tier has loaded all parts of the state that it received and can serve from it. Deliveries
 * start, and nx_group_with_state includes this member. If the view is ending, neither happens: the
 * state as of the next view follows. */
void nx_group_state_ready(struct nx_group *group);

/* The longest time for which a leave is held back. */
#define NX_GROUP_LEAVE_HELD_NS (20 * NX_SEC)

/* Whether this member can leave without loss of state. False while this member is the only one with its shard's state and
 * another member, which is alive and does not want to leave, is still receiving that state. False for at most
 * NX_GROUP_LEAVE_HELD_NS after the first call. The first call tells the others that this member wants to leave; the member
 * serves on until nx_group_leave. The log names the members that it waits for. */
bool nx_group_may_leave(struct nx_group *group);
/* Announces a clean departure as soon as nx_group_may_leave would return true. Call it again, with
 * polls in between, until it returns true: all peers then know, or 1 s has passed since the
 * announcement. */
bool nx_group_leave(struct nx_group *group);
/* From now on a leave, pending or later, no longer waits for members that need the state. */
void nx_group_leave_anyway(struct nx_group *group);
/* Frees the group. Without a leave before it, the others treat this member as failed. */
void nx_group_close(struct nx_group *group);

/* Counters since open; they only grow. */
struct nx_group_stats {
    uint64_t sent;        /* small messages that nx_group_send took */
    uint64_t delivered;   /* deliver upcalls, also for our own messages */
    uint64_t nulls;       /* places in the order that we gave up, to keep others from waiting */
    uint64_t writes;      /* one-sided writes into peers' memory */
    uint64_t write_bytes; /* bytes of these writes */
    uint64_t doorbells;   /* of these writes, those that woke a sleeping peer */
    uint64_t wakeups;     /* how often arm let the caller sleep */
};
void nx_group_get_stats(const struct nx_group *group, struct nx_group_stats *stats);

#pragma GCC visibility pop

#endif
