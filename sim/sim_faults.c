#include "sim_faults.h"

#include "sim_node.h"

void sim_faults_schedule(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->config->faults_count; i++)
        sim_events_add(&world->events, world->config->faults[i].at, SIM_EVENT_FAULT, false, i, 0,
                       0);
}

/* The last process of the node that the fault names. */
static struct sim_node *victim_of(struct sim_world *world, const struct sim_fault *fault)
{
    nx_node id = world->config->view.members[fault->node].node;
    unsigned n = world->count - 1;
    while (world->nodes[n]->id != id)
        n--;
    return world->nodes[n];
}

void sim_faults_apply(struct sim_world *world, uint32_t index)
{
    const struct sim_fault *fault = &world->config->faults[index];
    struct sim_node *node = victim_of(world, fault);
    switch (fault->kind) {
    case SIM_FAULT_KILL:
        world->death = fault;
        node->comes_back_ns = fault->comes_back_ns;
        sim_node_kill(node, fault->after_writes);
        break;
    case SIM_FAULT_LEAVE:
        world->death = fault;
        node->comes_back_ns = fault->comes_back_ns;
        sim_node_leave(node);
        break;
    case SIM_FAULT_JOIN:
        sim_join_come(world, 100 + index, world->config->view.members[fault->node].subgroup,
                      SIM_NOBODY);
        break;
    case SIM_FAULT_PAUSE: sim_node_pause(node, world->now + fault->lasts_ns); break;
    case SIM_FAULT_CUT:
        world->death = fault; /* who is put out dies of it */
        sim_world_cut(world, fault);
        break;
    case SIM_FAULT_STALL:
        sim_note(world, fault->node, SIM_STALL, (struct sim_record){.peer = (uint8_t)fault->peer});
        sim_fabric_stall(&world->fabric, world->now, fault->node, fault->peer,
                         world->now + fault->lasts_ns);
        break;
    }
}
