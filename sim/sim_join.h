/* sim_join.h — how a node comes to a group, as the shell does it: in the world's time, beside the lanes.
 *
 *   call ─▶ the leader picks a seat ─▶ every member admits it ─▶ NX_EV_JOIN ─▶ a view with it ─▶ welcome
 *
 * Anybody may die at each step, and every message takes its time. What fails starts over; a joiner whose leader dies
 * after it was proposed ends, as it cannot know whether it is a member, and comes again as another process. */
#ifndef SIM_JOIN_H
#define SIM_JOIN_H

#include "sim_run.h"

/* What a joiner is at; of sim_node. */
struct sim_joiner {
    bool active, proposed, welcomed;
    uint32_t attempt, tries;
    unsigned leader;
    nx_rank seat;
    nx_vid vid;     /* of the view that it wants to be admitted in */
    uint64_t asked; /* members that have not answered */
    struct nx_view view;
};

/* A new process of this node id; `former`: its last one, SIM_NOBODY if there was none. */
void sim_join_come(struct sim_world *world, nx_node id, uint32_t subgroup, unsigned former);
void sim_join_step(struct sim_world *world, const struct sim_event *event);
/* The node has installed a view, or died: those it was letting in go on, or start over. */
void sim_join_viewed(struct sim_world *world, unsigned node);
void sim_join_bereaved(struct sim_world *world, unsigned node);

/* At the end: whether a joiner still waits that a leader could have let in. */
bool sim_join_is_stuck(const struct sim_world *world, unsigned joiner);

#endif
