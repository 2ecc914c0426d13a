#include "sim_faults.h"

#include "sim_node.h"

void sim_faults_schedule(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->config->faults_count; i++)
        sim_events_add(&world->events, world->config->faults[i].at, SIM_EVENT_FAULT, false, i, 0,
                       0);
}

/* The last process of a node of the first view. */
static nx_rank last_of(const struct sim_world *world, nx_rank first)
{
    nx_node id = world->config->view.members[first].node;
    unsigned n = world->count - 1;
    while (world->nodes[n]->id != id)
        n--;
    return n;
}

/* Until it is over the run has work. */
static nx_ns heals_at(struct sim_world *world, const struct sim_fault *fault)
{
    nx_ns at = world->now + fault->lasts_ns;
    sim_events_add(&world->events, at, SIM_EVENT_HEAL, false, 0, 0, 0);
    return at;
}

static void stall(struct sim_world *world, nx_rank from, nx_rank to, nx_ns until)
{
    if (from == to)
        return;
    sim_note(world, from, SIM_STALL,
             (struct sim_record){.peer = (uint8_t)to, .total = (uint64_t)(until - world->now)});
    sim_fabric_stall(&world->fabric, world->now, from, to, until);
}

static void part(struct sim_world *world, nx_rank a, nx_rank b, nx_ns until)
{
    stall(world, a, b, until);
    stall(world, b, a, until);
}

/* They wake one after the other, within a quarter of the pause or of the timeout. */
static void freeze(struct sim_world *world, const struct sim_fault *fault)
{
    nx_ns spread =
        (fault->lasts_ns < world->config->core.timeout_ns ? fault->lasts_ns
                                                          : world->config->core.timeout_ns) /
        4;
    nx_ns until = heals_at(world, fault);
    for (unsigned n = 0; n < world->count; n++)
        sim_node_pause(world->nodes[n], until + nx_prng_between(&world->prng, 0, spread));
}

void sim_faults_apply(struct sim_world *world, uint32_t index)
{
    const struct sim_fault *fault = &world->config->faults[index];
    nx_rank victim = last_of(world, fault->node);
    struct sim_node *node = world->nodes[victim];
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
        stall(world, victim, last_of(world, fault->peer), heals_at(world, fault));
        break;
    case SIM_FAULT_PART:
        part(world, victim, last_of(world, fault->peer), heals_at(world, fault));
        break;
    case SIM_FAULT_HUSH:
        for (nx_rank other = 0; other < world->count; other++)
            part(world, victim, other, heals_at(world, fault));
        break;
    case SIM_FAULT_FREEZE: freeze(world, fault); break;
    }
}

void sim_faults_in_change(struct sim_node *node)
{
    struct sim_world *world = node->world;
    enum nx_change_state state = nx_core_change_state(node->core);
    nx_vid vid = nx_core_view(node->core)->vid;
    bool news = node->turns && ((state != node->change && state >= NX_CHANGE_AWAIT_PROPOSAL &&
                                 state != NX_CHANGE_BLOCKED) ||
                                vid != node->vid);
    node->change = state;
    node->vid = vid;
    if (!news || node->dying || world->change_deaths >= world->config->change_deaths_max ||
        !nx_prng_chance(&world->prng, 1, 4))
        return;
    world->change_deaths++;
    world->in_change = (struct sim_fault){.notice_ns = world->config->change_notice_ns};
    world->death = &world->in_change;
    node->dying = true;
    node->writes_to_live = (uint32_t)nx_prng_below(&world->prng, 8);
}
