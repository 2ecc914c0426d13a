/* sim_run.h — one run of one seed: nodes, fabric, time and faults in one world, and what happened
 * in a trace. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "sim_config.h"
#include "sim_events.h"
#include "sim_fabric.h"

struct sim_node;
struct sim_shelf;

struct sim_world {
    const struct sim_config *config;
    struct sim_trace *trace;
    struct sim_events events;
    struct sim_fabric fabric;
    struct sim_node *nodes[SIM_NODES_MAX];
    unsigned count;    /* processes, in the order of coming */
    uint32_t partings; /* of members of shards whose state moves */
    uint32_t murders;  /* of those who let somebody in */
    uint32_t cuts;
    struct sim_shelf *shelf; /* the nodes' disks; NULL: they have none */
    bool out;                /* all are dead */
    bool rests;              /* nobody comes any more */
    struct nx_prng prng;
    nx_ns now;
    const struct sim_fault *death; /* the latest */
    uint32_t change_deaths;        /* of those who were telling of a change … */
    struct sim_fault in_change;    /* … and how the others learn of it */
};

/* Adds a record of `kind` at this node and time; the caller has filled the rest. */
void sim_note(struct sim_world *world, unsigned node, enum sim_kind kind, struct sim_record record);

/* Runs to rest, or until the run is too long; the judges say what that means. NX_INVALID: the core
 * refuses the configuration, with why. */
enum nx_status sim_run(const struct sim_config *config, struct sim_trace *trace,
                       struct nx_err *err);

/* A node has died or left: its lanes are cut, the others learn of it one by one. */
void sim_world_bury(struct sim_world *world, unsigned node, bool clean);

/* The connection of two live nodes fails. */
void sim_world_cut(struct sim_world *world, const struct sim_fault *fault);

/* `node` closes its connection to `peer`, which learns of it. */
void sim_world_disconnect(struct sim_world *world, unsigned node, unsigned peer);

/* Members of `mask` whose memory holds these bytes where `node`'s has them; all, if they are not
 * in its region. */
uint64_t sim_world_holders(const struct sim_world *world, unsigned node, const uint8_t *bytes,
                           size_t len, uint64_t mask);

#endif
