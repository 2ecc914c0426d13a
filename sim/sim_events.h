/* sim_events.h — virtual time: what will happen, earliest first; equal times in the order of
 * scheduling.
 *
 * A *timer* is an event that only means "look at the clock"; all others are work. A group is at
 * rest when no work is scheduled. */
#ifndef SIM_EVENTS_H
#define SIM_EVENTS_H

#include "common/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_event_kind {
    SIM_EVENT_TURN,    /* node a takes a turn, if b is still its turn's number */
    SIM_EVENT_LANE,    /* the head of lane a → b may land, if c is still the lane's number */
    SIM_EVENT_NOTICE,  /* node a learns that b is dead */
    SIM_EVENT_FAULT,   /* fault a begins */
    SIM_EVENT_JOIN,    /* joiner a takes a step b, if c is still its try */
    SIM_EVENT_COME,    /* a process comes, of the node of process a; a new node if there is none */
    SIM_EVENT_STATE,   /* the tier of node a has loaded the state that came in view b */
    SIM_EVENT_DISK,    /* the disk of node a has news */
    SIM_EVENT_OUTAGE,  /* all die */
    SIM_EVENT_PARTING, /* node a leaves while the state of its shard moves */
    SIM_EVENT_HEAL,    /* a fault ends */
};

struct sim_event {
    nx_ns at;
    uint64_t tie;
    enum sim_event_kind kind;
    bool timer;
    uint32_t a, b, c;
};

struct sim_events {
    struct sim_event *heap;
    size_t count, capacity, work;
    uint64_t ties;
};

void sim_events_free(struct sim_events *events);
void sim_events_add(struct sim_events *events, nx_ns at, enum sim_event_kind kind, bool timer,
                    uint32_t a, uint32_t b, uint32_t c);
bool sim_events_next(struct sim_events *events,
                     struct sim_event *event); /* takes it; false: none */

#endif
