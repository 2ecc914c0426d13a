/* sim_keep.h — the nodes' disks in a run: they outlive the processes, and the group's total failure.
 *
 *   keeper   a node through all of its lives: its virtual disks, and, while it is up, the durable layer and its wiring
 *            (group_disk.h) as the shell has them, under virtual time
 *   shelf    all keepers of a run
 *
 * A node that dies loses, by a drawn lot, what was written and not synced (the power failed), or
 * keeps it. Disks have a clock of their own, since opening waits for them; `base` is what it
 * said when this life of the group began. */
#ifndef SIM_KEEP_H
#define SIM_KEEP_H

#include "group/group_disk.h"
#include "sim_disk.h"
#include "sim_node.h"

/* Of a node: the folder, bodies, the log of either shard that it may be in, bodies of the second. */
enum { SIM_BODIES = 1, SIM_BODIES_TOO = 4, SIM_DISKS };

struct sim_keeper {
    const struct sim_config *config; /* the run's */
    struct sim_trace *trace;
    nx_node id;
    uint32_t subgroup;
    struct sim_disk *disks[SIM_DISKS];
    nx_ns base;
    uint32_t life;   /* of the group */
    bool up, broken; /* broken: it cannot be read */
    struct nx_group_disk disk;
    /* what its log hands up */
    uint32_t shard;
    struct sim_state state, came;
    uint64_t body, body_hash;
};

struct sim_shelf {
    struct sim_keeper keepers[SIM_NODES_MAX];
    unsigned count;
    uint32_t life; /* of the group, from 0 */
    struct nx_prng prng;
};

void sim_shelf_open(struct sim_shelf *shelf, const struct sim_config *config,
                    struct sim_trace *trace);
void sim_shelf_close(struct sim_shelf *shelf);

/* Reads its disk, and writes down what that hands up. False: it cannot be read. */
bool sim_keeper_open(struct sim_keeper *keeper);
/* `clean`: it closes; else it dies, and if the `power` fails its disks lose what is not synced. */
void sim_keeper_close(struct sim_keeper *keeper, bool clean, bool power);
/* It cannot come to this life of the group. */
void sim_keeper_give_up(struct sim_keeper *keeper, bool clean, enum nx_status status);
void sim_keeper_advance(struct sim_keeper *keeper, nx_ns ns); /* before it lives: its disks' time */
void sim_keeper_begin(struct sim_keeper *keeper); /* a life begins: the disks are as bad as drawn */

/* Of a node that lives; without a keeper nothing happens. */
void sim_keep_upcall(struct sim_node *node, const struct nx_upcall *upcall); /* before its tier */
void sim_keep_cut(struct sim_node *node, bool came);
void sim_keep_request(struct sim_node *node, const struct nx_event *event); /* granted just now */
void sim_keep_ready(struct sim_node *node); /* its tier can serve from the state that came */
bool sim_keep_holds(const struct sim_node *node);
bool sim_keep_turn(struct sim_node *node);
void sim_keep_begins(struct sim_node *node); /* its first view */

/* sim_restart.c: nodes come in any order, until those who have come may begin, and have noted that. Fills in the members and
 * the view of the life; false: they never may. */
bool sim_restart(struct sim_shelf *shelf, struct sim_config *life);

#endif
