/* sim_fabric.h — one-sided writes between the regions of virtual nodes, as unkind as the contract
 * allows.
 *
 * Each ordered pair of nodes has a lane. A write is posted, travels for a random time, and lands:
 * as a whole, or in units of 1, 8 or 64 bytes in any order, some now and some later. Writes of one
 * lane land one after the other; nothing relates two lanes. An inline write carries the bytes of
 * the time of posting; any other reads its source as it lands, and a source that has changed by
 * then is a foul. On a profile that needs the target's progress, what has travelled lands in the
 * target's next turn and not before. */
#ifndef SIM_FABRIC_H
#define SIM_FABRIC_H

#include "sim_config.h"
#include "sim_events.h"

#include "common/prng.h"
#include "group/sst/sst_layout.h"

enum { SIM_DEPTH_MAX = 128 };

struct sim_write {
    struct nx_write write;
    uint8_t copy[NX_INLINE_MAX];
    nx_ns due;
    uint64_t source_hash;
    uint32_t unit_bytes, units, landed; /* units 0: not begun */
    uint32_t next, stride; /* the order of units: next, next + stride, … modulo units */
    bool torn_off;         /* its sender died: `keep` more units land, and then nothing */
    uint32_t keep;
};

struct sim_lane {
    struct sim_write ring[SIM_DEPTH_MAX];
    uint32_t head, count;
    uint32_t number;  /* of the scheduled event; older ones are void */
    uint32_t credits; /* writes that may still be posted on the last POLL's word */
    nx_ns last_due, stalled_until;
    bool cut;  /* the sender is dead: what is in it may land, nothing more comes */
    bool dead; /* nothing lands any more */
};

struct sim_fabric {
    const struct sim_config *config;
    struct sim_trace *trace;
    struct sim_events *events;
    struct nx_prng prng;
    uint8_t
        *regions[SIM_NODES_MAX];  /* stay mapped after a node's death: its last writes read them */
    struct nx_region_shape shape; /* of the regions: who may write where, which words are columns */
    struct sim_lane *lanes;       /* [from][to], by process */
    unsigned nodes;               /* processes */
    nx_rank seats[SIM_NODES_MAX]; /* of each process: what it may write */
    uint64_t roomy; /* nodes that could not write to a peer and now can: completions wake them */
};

/* What a landing means to its target. */
struct sim_landing {
    bool moved;    /* bytes changed, or wait for the target's turn */
    bool doorbell; /* a write that rings has landed */
};

/* NX_INVALID, with why: the sizes do not fit. */
enum nx_status sim_fabric_open(struct sim_fabric *fabric, const struct sim_config *config,
                               struct sim_trace *trace, struct sim_events *events,
                               struct nx_err *err);
void sim_fabric_close(struct sim_fabric *fabric);
/* One more process, connected to nobody. */
void sim_fabric_add(struct sim_fabric *fabric, unsigned node);
void sim_fabric_connect(struct sim_fabric *fabric, unsigned a, unsigned b);
bool sim_fabric_connected(const struct sim_fabric *fabric, unsigned a, unsigned b); /* both ways */
bool sim_fabric_linked(const struct sim_fabric *fabric, unsigned a, unsigned b); /* at least one */

/* Processes that can take NX_WRITES_PER_PEER writes; these become the credits. */
uint64_t sim_fabric_writable(struct sim_fabric *fabric, nx_rank node);
/* write->peer: a process. */
void sim_fabric_post(struct sim_fabric *fabric, nx_ns now, unsigned from,
                     const struct nx_write *write);

/* A LANE event: lands what is due, or leaves it to the target's turn. */
struct sim_landing sim_fabric_due(struct sim_fabric *fabric, nx_ns now,
                                  const struct sim_event *event);
/* The target's turn: lands what is due on all its lanes. */
void sim_fabric_progress(struct sim_fabric *fabric, nx_ns now, nx_rank node);
/* Something waits for the node's turn. */
bool sim_fabric_waits(const struct sim_fabric *fabric, nx_ns now, nx_rank node);

void sim_fabric_stall(struct sim_fabric *fabric, nx_ns now, nx_rank from, nx_rank to, nx_ns until);
nx_ns sim_fabric_stalled_until(const struct sim_fabric *fabric, nx_rank from, nx_rank to);
/* The node is gone: a random part of each of its lanes still lands; what flies to it is lost. */
void sim_fabric_cut(struct sim_fabric *fabric, nx_rank node);
/* The target knows: nothing of the lane lands any more. */
void sim_fabric_sever(struct sim_fabric *fabric, nx_rank from, nx_rank to);

#endif
