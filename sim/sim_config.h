/* sim_config.h — what one seed runs: drawn once, printed with the failure, the same on every
 * machine. */
#ifndef SIM_CONFIG_H
#define SIM_CONFIG_H

#include "check.h"
#include "group/core/core.h"
#include "sim_disk.h"

enum { SIM_FAULTS_MAX = 24, SIM_LIVES_MAX = 4 };

/* CUT: the connection of two live nodes fails; at least one of them learns of it.
 * STALL, PART, HUSH: nothing lands and nobody learns of it: from one node at another, between two, to and from one. What was
 * written lands afterwards, as over a connection that repeats what was lost. FREEZE: all nodes are paused. */
enum sim_fault_kind {
    SIM_FAULT_KILL,
    SIM_FAULT_LEAVE,
    SIM_FAULT_PAUSE,
    SIM_FAULT_STALL,
    SIM_FAULT_CUT,
    SIM_FAULT_PART,
    SIM_FAULT_HUSH,
    SIM_FAULT_FREEZE,
    SIM_FAULT_JOIN /* a new node comes, of the tier of `node` */
};

struct sim_fault {
    enum sim_fault_kind kind;
    nx_rank node, peer; /* peer: STALL, CUT, PART */
    nx_ns at;
    nx_ns lasts_ns;        /* all but KILL, LEAVE, CUT */
    uint32_t after_writes; /* KILL: dies while posting, after so many writes of its next turns */
    nx_ns notice_ns;       /* KILL, LEAVE: the longest until a peer's fabric says so */
    nx_ns comes_back_ns;   /* KILL, LEAVE: until the node comes again, as a new process; 0: never */
    bool unnoticed;        /* KILL: no fabric ever says so */
    bool some_are_deaf; /* KILL, LEAVE: only some fabrics notice; others must hear it from them */
};

/* What one node wants to do. */
struct sim_load {
    uint32_t ops;        /* in all; 0: it only receives and answers */
    nx_ns gap_ns;        /* the longest pause between two bursts */
    uint32_t burst;      /* the most operations in one turn */
    uint32_t weights[6]; /* enum sim_op */
    nx_ns turn_ns;       /* the longest time between two turns while it is awake */
    uint32_t spins;      /* turns without work before it sleeps */
};

enum sim_op { SIM_OP_SEND, SIM_OP_BULK, SIM_OP_QUERY, SIM_OP_LOAD, SIM_OP_ODD, SIM_OP_NONE };

/* Of a group that keeps something on disks: it lives more than once. All of its nodes die at once, and come again. */
struct sim_persist {
    uint32_t lives; /* 0: nothing is kept */
    nx_ns outage_at[SIM_LIVES_MAX];
    bool power[SIM_LIVES_MAX]; /* it fails: what is not synced is lost, or torn */
    bool rots;                 /* a bit of a disk flips in the outages */
    uint32_t compact_bodies;
    struct sim_disk_faults disk;
    /* In each life the disks of these nodes are full for a while, all but that of bodies: the tier here refuses nothing. */
    uint64_t full; /* set of nodes by id */
    nx_ns full_from[SIM_LIVES_MAX], full_for[SIM_LIVES_MAX];
};

struct sim_config {
    uint64_t seed;
    const char *profile; /* tcp, verbs, shm */
    uint32_t nodes;
    struct nx_view view;
    struct nx_core_config core; /* self is filled in per node */
    struct sim_load loads[SIM_NODES_MAX];
    uint32_t small_max, bulk_max, query_max; /* bytes */
    /* the fabric */
    nx_ns delay_min_ns, delay_max_ns; /* of a write */
    uint32_t unit_bytes;   /* that a write is cut into; 0: a unit of 1, 8 or 64 per write */
    uint32_t tear_percent; /* of writes that land piece by piece */
    nx_ns tear_ns;         /* the longest time between two pieces */
    uint32_t lane_depth;   /* writes in flight to one peer */
    struct sim_fault faults[SIM_FAULTS_MAX];
    uint32_t faults_count;
    uint32_t murders_max; /* of those who let somebody in, or are let in */
    /* of those who are about to tell of a change, or just installed its view */
    uint32_t change_deaths_max;
    /* the longest until the others learn of such a death, each in its time */
    nx_ns change_notice_ns;
    uint32_t partings_max; /* of members of a shard in which somebody is given the state */
    nx_ns rejoin_ns;       /* until a node that was put out comes again; 0: never */
    nx_ns load_ns;         /* the longest that a tier takes to load the state that came */
    bool comes;            /* nodes come, and come back */
    bool calm;             /* nobody dies, leaves, pauses or is slow, no lane stalls */
    nx_ns idle_ns;         /* how long the rest is watched */
    struct sim_persist persist;
    struct sim_limits limits;
};

void sim_config_draw(struct sim_config *config, uint64_t seed, uint64_t mutants);
/* What goes wrong in a life of the group, whose members are known now. */
void sim_config_draw_life(struct sim_config *config, uint32_t life);
void sim_config_print(const struct sim_config *config, FILE *out);

#endif
