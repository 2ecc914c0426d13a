/* check.h — the judges: they read a trace and say which promise was broken, if any.
 *
 * They share no code with the core and know nothing of its state: only what nodes asked, what they
 * were told, and what landed in their memory. The names are those of the group layer's promises:
 *
 *   V1  same vid, same members, also of a view that is only said to be decided
 *   V2  each view holds a majority of its predecessor, leavers counted
 *   V3  a member stands in the views it installs; vids go up by one
 *   V4  after a view nothing is handed up of who is not in it
 *   D4  members that install a view together have delivered the same
 *   D6  what a survivor sent is delivered at the end
 *   D1  delivered ⇒ sent, once, same bytes
 *   D2  the k-th delivery of a shard is the same (seq, sender, bytes) at every member, and seq
 *       ascends
 *   D3  one sender's messages are delivered in the order of sending, without gaps
 *   D5  at the first delivery of m anywhere, every live member of the shard that goes on holds m's
 *       bytes (a bulk: has been given all its parts), and nobody delivers in a view what those
 *       beyond it did not
 *   D7  everything accepted in a shard whose members all live is delivered by all of them, in a
 *       fault-free run within limits.deliver_ns, whoever idles; nobody waits for room for ever, but to ask or
 *       answer a member that died without a notice while there is no majority
 *   W1  after a member is reported down, a node accepts no sends until the next view (a bulk is no send: its place
 *       in the order is its commit's)
 *   V5  nobody is reported down who neither died nor left nor was wrongly given up; nobody else is
 *       put out. Wrongly given up: a connection of it was cut; or for the timeout nothing of it landed at another, or
 *       nothing of another at it, not counting that other's own
 *       pauses, and this because it was paused or the lane stalled
 *   V6  each death is reported to every live member; where a majority of a view lives, it installs
 *       one without the dead
 *       links: where all went on hearing one another but for one incident, a majority goes on after it
 *   S1  no guarded word regresses at any copy
 *   S3  m's bytes stay as they are at every member until all have delivered m; a posted write's
 *       source stays as it is until it has landed
 *   P1  what anybody was told is durable is there after all nodes have died, wherever its shard is
 *   P2  a log hands up what its shard once had, a prefix of it, in order; all that begin with a state begin with the same
 *   P3  … and each message and body as it was delivered; a disk that kept its promises can be read
 *   P4  who begins again holds a majority of the view in which something was last acknowledged, or
 *       of one after it; and where all have come back the group does begin
 *   P6  where nobody died or left, all that was delivered becomes durable (that no delivery waits for it D7 sees)
 *   F1  writes go to what the writer owns in another member's region, within the credits that
 *       POLL named
 *   B1  a bulk's parts come in order without gaps, and are the sender's bytes; B2 an aborted one
 *       is never delivered, and a bulk is aborted only where its sender went or gave it up, or the
 *       one that is told was put out, or where somebody came to the shard in a view of the one that
 *       is told
 *   R1  every accepted query has exactly one outcome: whole reply, failed (its peer is gone),
 *       cancelled; or waits at a member that lacks a majority, for one that died without a notice
 *   R2  query and reply arrive whole, in order, same bytes, the reply being that query's
 *   T1  a member that gets the state of its shard gets that of those who have it, at the view's start; and it gets
 *       it, if its shard has it and takes sends at the end
 *   T2  no shard delivers with fewer members with state than it needs
 *   L1  a leave is acknowledged within limits.leave_ns, and peers see it as clean.
 *       The bound does not hold after a silence that came before (its timeout is waited for), nor where a
 *       majority died: then nobody can let it go. Its own pauses do not count
 *       bound begins when nobody is given the state any more that only it has, or after limits.held_ns
 *   L3  and before that it does not leave
 *   L2  where a shard loses but one member, by a leave, all members have delivered all messages and
 *       bulks of that member. Not who began without the state: until it has it, it delivers nothing
 *   Q1  a group without work comes to rest, and then writes at most limits.idle_writes per ordered
 *       pair
 *   A1  what must be refused is refused
 *
 * Each judge has a unit test that feeds it a bad trace by hand: tests/unit/test_sim_check.c. */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "sim_trace.h"

enum { SIM_NODES_MAX = 16, SIM_SUBS_MAX = 4, SIM_SHARDS_MAX = 8, SIM_NOBODY = 255 };

struct sim_limits {
    nx_ns deliver_ns;     /* 0: no bound */
    nx_ns leave_ns;       /* 0: no bound; but for who waits for one that is given the state, … */
    nx_ns held_ns;        /* … which it does for so long at most */
    uint64_t idle_writes; /* per ordered pair of nodes, between IDLE and END */
    nx_ns timeout_ns;     /* who is silent for so long may be put out; 0: nobody */
    bool full_ends;       /* a full disk may end its node, whose tier refuses no bulk */
    /* one thing went wrong without a notice, and nothing else: the group goes on */
    bool one_incident;
};

struct sim_verdict {
    char rule[4]; /* empty: nothing is wrong */
    char text[200];
    size_t at; /* index of the record that showed it; the trace's count if its end did */
};

/* The first broken promise of the first judge that finds one; true if there is none. */
bool sim_check(const struct sim_trace *trace, const struct sim_limits *limits,
               struct sim_verdict *verdict);

/* --- for the judges --------------------------------------------------------------------- */

/* Who is who, and when they went: record indices, the trace's count for "never". */
struct sim_facts {
    const struct sim_trace *trace;
    const struct sim_limits *limits;
    uint32_t nodes;
    bool serves[SIM_NODES_MAX];
    uint8_t sub[SIM_NODES_MAX], shard[SIM_NODES_MAX];
    uint64_t members[SIM_NODES_MAX]; /* of the node's shard, when it began to serve there */
    bool late[SIM_NODES_MAX];        /* it did so after the first view, or was given the state */
    bool lacked[SIM_NODES_MAX];      /* it did so without the state */
    bool grew[SIM_SUBS_MAX]
             [SIM_SHARDS_MAX];       /* somebody came to the shard, who perhaps never knew */
    size_t came_back[SIM_NODES_MAX]; /* when another process of its node came: it is dead */
    uint64_t first_vid;              /* of the group's life */
    uint64_t vid[SIM_NODES_MAX];     /* the last view that it installed */
    size_t killed[SIM_NODES_MAX], leaving[SIM_NODES_MAX], left[SIM_NODES_MAX];
    uint64_t blocked; /* nodes that lack a majority at the end, and say so */
    uint64_t out; /* nodes that were put out: dead to the others, also if they called it a leave */
    uint64_t stopped; /* nodes that are out, or whose shard takes no sends at the end */
    size_t given_up[SIM_NODES_MAX]; /* wrongly: a connection to it was cut though it lived */
    /* nodes from which nothing came for the timeout, or to which nothing went */
    uint64_t unlinked[SIM_NODES_MAX];
};

/* Who was silent for longer than the timeout: given up, with whoever heard nothing. */
void sim_find_silence(struct sim_facts *facts);
void sim_facts_collect(struct sim_facts *facts, const struct sim_trace *trace,
                       const struct sim_limits *limits);
/* Neither killed nor gone before record `at`. */
bool sim_alive(const struct sim_facts *facts, unsigned node, size_t at);
/* A connection between it and another was cut before record `at`: it may be put out. */
bool sim_given_up(const struct sim_facts *facts, unsigned node, size_t at);
uint64_t sim_alive_of(const struct sim_facts *facts, uint64_t mask, size_t at);
/* So many of a view died or were put out that there may be no majority: what needs one is not owed. */
bool sim_majority_lost(const struct sim_facts *facts);
/* All members of this node's shard live, and stay, to the end, and nobody came; but for `but`, if that is one. */
bool sim_shard_whole(const struct sim_facts *facts, unsigned node, unsigned but);

/* Of a node that left at record `at`: until when its leave may have been held back for who is given its state. */
nx_ns sim_free_to_leave(const struct sim_facts *facts, unsigned node, size_t at);

/* Records the verdict and returns false, so that a finding is one statement. */
__attribute__((format(printf, 4, 5))) bool sim_find(struct sim_verdict *verdict, const char *rule,
                                                    size_t at, const char *format, ...);

typedef bool sim_judge(const struct sim_facts *facts, struct sim_verdict *verdict);
/* Of each life of the group by itself; check_disks: of all. */
sim_judge check_disks, check_fabric, check_order, check_bulk, check_p2p, check_members, check_views,
    check_links, check_liveness, check_leaves;

#endif
