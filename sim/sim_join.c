#include "sim_join.h"

#include "sim_node.h"

#include "common/nx_assert.h"
#include "group/view/rankset.h"

#include <string.h>

enum step { CALL, ADMIT, YES, NO, PROPOSE, WELCOME, GIVE_UP };
/* So often it calls; a silence of ten timeouts may come before the last. */
enum { TRIES_MAX = 160, SILENT_TRIES_MAX = 800 };

static void later(struct sim_world *world, unsigned joiner, enum step step, unsigned member,
                  nx_ns longest)
{
    nx_ns at = world->now + nx_prng_between(&world->prng, 500, longest);
    sim_events_add(&world->events, at, SIM_EVENT_JOIN, step == CALL || step == GIVE_UP, joiner,
                   (uint32_t)step << 8 | member, world->nodes[joiner]->join.attempt);
}

static nx_ns hop(const struct sim_world *world)
{
    return world->config->delay_max_ns + 4000;
}

static bool lives(const struct sim_world *world, unsigned node)
{
    return node < world->count && world->nodes[node]->life != SIM_DEAD;
}

static bool is_member(const struct sim_world *world, unsigned node)
{
    return lives(world, node) && !world->nodes[node]->waiting;
}

static bool is_awake(const struct sim_world *world, unsigned node)
{
    return is_member(world, node) && world->nodes[node]->paused_until <= world->now;
}

/* What is asked of a member over a link that stands still, or of one that does, is not answered in time. */
static bool answers(const struct sim_world *world, unsigned asker, unsigned member)
{
    nx_ns now = world->now;
    return is_awake(world, member) &&
           sim_fabric_stalled_until(&world->fabric, asker, member) <= now &&
           sim_fabric_stalled_until(&world->fabric, member, asker) <= now;
}

/* All that a try has built is taken down, and it calls again. */
static void start_over(struct sim_world *world, unsigned joiner)
{
    struct sim_node *x = world->nodes[joiner];
    for (unsigned n = 0; n < world->count; n++)
        if (n != joiner) {
            sim_fabric_sever(&world->fabric, n, joiner);
            sim_fabric_sever(&world->fabric, joiner, n);
        }
    memset(x->at, SIM_NOBODY, sizeof x->at);
    x->notices = 0;
    x->join.active = x->join.proposed = false;
    x->join.attempt++;
    uint32_t most = world->config->core.timeout_ns ? SILENT_TRIES_MAX : TRIES_MAX;
    if (x->join.tries++ < most)
        later(world, joiner, CALL, 0, nx_prng_chance(&world->prng, 1, 2) ? 100 * NX_US : 8 * NX_MS);
}

/* Asks the members one after the other who leads, from any on. */
static unsigned find_leader(struct sim_world *world)
{
    unsigned first = (unsigned)nx_prng_below(&world->prng, world->count);
    for (unsigned i = 0; i < world->count; i++) {
        unsigned n = (first + i) % world->count;
        if (!is_awake(world, n) || nx_core_leader(world->nodes[n]->core) == NX_RANK_NONE)
            continue;
        unsigned leader = sim_node_who(world->nodes[n], nx_core_leader(world->nodes[n]->core));
        if (!is_awake(world, leader))
            continue;
        const struct sim_node *l = world->nodes[leader];
        if (nx_core_leader(l->core) == l->seat)
            return leader;
    }
    return SIM_NOBODY;
}

static bool lets_another_in(const struct sim_world *world, unsigned leader)
{
    for (unsigned n = 0; n < world->count; n++)
        if (lives(world, n) && world->nodes[n]->join.active &&
            world->nodes[n]->join.seat != NX_RANK_NONE && world->nodes[n]->join.leader == leader)
            return true;
    return false;
}

/* The connection of the seat's former owner must have ended. */
static bool is_seat_free(const struct sim_world *world, unsigned at, nx_rank seat)
{
    unsigned owner = sim_node_who(world->nodes[at], seat);
    return owner == SIM_NOBODY || !lives(world, owner) || world->nodes[owner]->seat != seat ||
           !sim_fabric_connected(&world->fabric, owner, at);
}

static bool admit(struct sim_world *world, unsigned at, unsigned joiner, nx_rank seat, nx_vid vid)
{
    struct sim_node *node = world->nodes[at], *x = world->nodes[joiner];
    struct nx_member member = {.node = x->id, .subgroup = x->subgroup};
    struct nx_event event = {.type = NX_EV_ADMIT,
                             .peer = world->nodes[x->join.leader]->seat,
                             .vid = vid,
                             .rank = seat,
                             .member = &member};
    if (!is_seat_free(world, at, seat))
        return false;
    unsigned former = sim_node_who(node, seat);
    enum nx_status status = sim_node_request(node, event);
    if (node->due)
        sim_node_wake(node, false);
    if (status != NX_OK)
        return false;
    if (former != SIM_NOBODY && former != joiner && world->nodes[former]->seat == seat) {
        sim_fabric_sever(&world->fabric, former, at);
        sim_fabric_sever(&world->fabric, at, former);
    }
    node->notices &= ~(UINT64_C(1) << joiner);
    node->at[seat] = (uint8_t)joiner;
    x->at[node->seat] = (uint8_t)at;
    sim_fabric_connect(&world->fabric, at, joiner);
    return true;
}

static bool take_a_seat(struct sim_world *world, unsigned joiner)
{
    struct sim_node *x = world->nodes[joiner], *l = world->nodes[x->join.leader];
    nx_rankset taken = nx_view_ranks(nx_core_view(l->core));
    for (nx_rank seat = 0; seat < world->config->core.members_max; seat++) {
        if (taken & NX_RANK_BIT(seat))
            continue;
        x->seat = x->join.seat = seat;
        world->fabric.seats[joiner] = seat;
        if (admit(world, x->join.leader, joiner, seat, x->join.vid))
            return true;
    }
    return false;
}

/* Members that the leader does not suspect and that have not answered. */
static uint64_t unanswered(const struct sim_world *world, const struct sim_node *x)
{
    const struct sim_node *l = world->nodes[x->join.leader];
    return x->join.asked & sim_node_whose(l, nx_core_alive(l->core));
}

/* A seat, if there is one and nobody else is let in; without one the others are told all the same while a change waits
 * for a majority: that this node asks may prove a death. */
static bool may_try(struct sim_world *world, unsigned joiner, bool alone)
{
    struct sim_node *x = world->nodes[joiner];
    const struct sim_node *l = world->nodes[x->join.leader];
    if (alone && take_a_seat(world, joiner))
        return true;
    x->join.seat = NX_RANK_NONE;
    if (nx_core_change_state(l->core) == NX_CHANGE_STEADY)
        return false;
    (void)admit(world, x->join.leader, joiner, NX_RANK_NONE, x->join.vid);
    return true;
}

static void call(struct sim_world *world, unsigned joiner)
{
    struct sim_node *x = world->nodes[joiner];
    unsigned leader = find_leader(world);
    if (leader == SIM_NOBODY) {
        start_over(world, joiner);
        return;
    }
    bool alone = !lets_another_in(world, leader);
    struct sim_node *l = world->nodes[leader];
    x->join.active = true;
    x->join.leader = leader;
    x->join.vid = nx_core_view(l->core)->vid;
    if (!may_try(world, joiner, alone)) {
        start_over(world, joiner);
        return;
    }
    x->join.asked = sim_node_whose(l, nx_core_alive(l->core)) & ~(UINT64_C(1) << leader);
    for (unsigned n = 0; n < world->count; n++)
        if (x->join.asked >> n & 1)
            later(world, joiner, ADMIT, n, 3 * hop(world));
    if (!x->join.asked)
        later(world, joiner, PROPOSE, 0, hop(world));
    later(world, joiner, GIVE_UP, 0, 5 * NX_MS);
}

static void ask(struct sim_world *world, unsigned joiner, unsigned member)
{
    struct sim_node *x = world->nodes[joiner], *m = world->nodes[member];
    unsigned leader = x->join.leader;
    if (!answers(world, leader, member) || !answers(world, joiner, member) ||
        !sim_fabric_connected(&world->fabric, leader, member) ||
        !(nx_core_alive(m->core) & NX_RANK_BIT(world->nodes[leader]->seat)))
        return;
    bool ok = admit(world, member, joiner, x->join.seat, x->join.vid);
    if (x->join.seat == NX_RANK_NONE)
        return; /* it starts over in its time */
    later(world, joiner, ok ? YES : NO, member, hop(world));
}

static void propose(struct sim_world *world, unsigned joiner)
{
    struct sim_node *x = world->nodes[joiner], *l = world->nodes[x->join.leader];
    struct nx_event event = {.type = NX_EV_JOIN, .ranks = NX_RANK_BIT(x->join.seat & 31)};
    if (x->join.proposed)
        return;
    if (x->join.seat == NX_RANK_NONE || nx_core_view(l->core)->vid != x->join.vid ||
        unanswered(world, x) || sim_node_request(l, event) != NX_OK) {
        start_over(world, joiner);
        return;
    }
    x->join.proposed = true;
    sim_node_wake(l, false);
}

/* Who connects to a member that has died meanwhile learns it by that. */
static void find_dead(struct sim_world *world, unsigned joiner)
{
    const struct sim_node *x = world->nodes[joiner];
    for (nx_rankset left = nx_view_ranks(&x->join.view); left;) {
        unsigned peer = x->at[nx_rankset_take(&left)];
        if (peer != SIM_NOBODY && peer != joiner && world->nodes[peer]->life == SIM_DEAD)
            sim_events_add(&world->events, world->now + 100 * NX_US, SIM_EVENT_NOTICE, false,
                           joiner, peer, 0);
    }
}

static void welcome(struct sim_world *world, unsigned joiner)
{
    struct sim_node *x = world->nodes[joiner];
    const struct sim_node *l = world->nodes[x->join.leader];
    for (unsigned seat = 0; seat < NX_MEMBERS_MAX; seat++)
        if (x->at[seat] == SIM_NOBODY && l->at[seat] != joiner)
            x->at[seat] = l->at[seat];
    x->at[x->seat] = (uint8_t)joiner;
    x->join.active = false;
    x->waiting = false;
    sim_node_start(x, &x->join.view);
    find_dead(world, joiner);
}

/* Too long for a try. Once it is proposed only its own end is certain; a leader without a majority may wait for ever. */
static void give_up(struct sim_world *world, unsigned joiner)
{
    struct sim_node *x = world->nodes[joiner];
    const struct sim_node *l = world->nodes[x->join.leader];
    if (!x->join.proposed) {
        start_over(world, joiner);
    } else if (nx_core_change_state(l->core) == NX_CHANGE_BLOCKED) {
        x->comes_back_ns = 200 * NX_US;
        sim_node_kill(x, 0);
    } else if (!x->join.welcomed) {
        later(world, joiner, GIVE_UP, 0, 20 * NX_MS);
    }
}

/* Sometimes somebody who takes part dies of it. */
static void murder(struct sim_world *world, unsigned joiner)
{
    static const struct sim_fault of_it = {.notice_ns = 100 * NX_US};
    const struct sim_config *config = world->config;
    uint32_t odds = world->nodes[joiner]->join.proposed ? 2 : 8;
    if (world->murders >= config->murders_max || !nx_prng_chance(&world->prng, 1, odds))
        return;
    unsigned leader = world->nodes[joiner]->join.leader;
    unsigned victims[] = {leader, joiner, (unsigned)nx_prng_below(&world->prng, world->count)};
    unsigned victim = victims[nx_prng_below(&world->prng, 3)];
    if (!lives(world, victim))
        return;
    world->murders++;
    world->death = &of_it;
    world->nodes[victim]->comes_back_ns = nx_prng_between(&world->prng, 0, 1) * 300 * NX_US;
    sim_node_kill(world->nodes[victim], (uint32_t)nx_prng_below(&world->prng, 10));
}

void sim_join_step(struct sim_world *world, const struct sim_event *event)
{
    unsigned joiner = event->a, member = event->b & 255;
    struct sim_node *x = world->nodes[joiner];
    enum step step = (enum step)(event->b >> 8);
    if (x->life == SIM_DEAD || !x->waiting || event->c != x->join.attempt || world->rests)
        return;
    if (step != CALL && !lives(world, x->join.leader))
        return; /* it was bereaved */
    if (step == PROPOSE && !is_awake(world, x->join.leader))
        return; /* it starts over in its time */
    switch (step) {
    case CALL: call(world, joiner); break;
    case ADMIT: ask(world, joiner, member); break;
    case YES:
        x->join.asked &= ~(UINT64_C(1) << member);
        if (!unanswered(world, x))
            later(world, joiner, PROPOSE, 0, hop(world));
        break;
    case NO: start_over(world, joiner); break;
    case PROPOSE: propose(world, joiner); break;
    case WELCOME: welcome(world, joiner); break;
    case GIVE_UP: give_up(world, joiner); break;
    }
    if (x->life != SIM_DEAD && x->join.active)
        murder(world, joiner);
}

void sim_join_viewed(struct sim_world *world, unsigned node)
{
    const struct sim_node *l = world->nodes[node];
    const struct nx_view *view = nx_core_view(l->core);
    for (unsigned n = 0; n < world->count; n++) {
        struct sim_node *x = world->nodes[n];
        if (!lives(world, n) || !x->waiting || !x->join.active || x->join.leader != node ||
            x->join.welcomed)
            continue;
        nx_rank seat = x->join.seat;
        if (x->join.proposed && (nx_view_ranks(view) & NX_RANK_BIT(seat)) &&
            view->members[seat].since == view->vid && view->members[seat].node == x->id) {
            x->join.view = *view;
            x->join.welcomed = true;
            later(world, n, WELCOME, 0, 3 * hop(world));
        } else {
            start_over(world, n);
        }
    }
}

void sim_join_bereaved(struct sim_world *world, unsigned node)
{
    for (unsigned n = 0; n < world->count; n++) {
        struct sim_node *x = world->nodes[n];
        if (!lives(world, n) || !x->waiting || !x->join.active || x->join.leader != node)
            continue;
        if (x->join.proposed) {
            x->comes_back_ns = 200 * NX_US;
            sim_node_kill(x, 0);
        } else {
            start_over(world, n);
        }
    }
}

void sim_join_come(struct sim_world *world, nx_node id, uint32_t subgroup, unsigned former)
{
    if (world->count == SIM_NODES_MAX)
        return;
    for (unsigned n = 0; n < world->count; n++)
        if (lives(world, n) && world->nodes[n]->id == id)
            return;
    unsigned joiner = world->count;
    struct nx_err err;
    sim_fabric_add(&world->fabric, joiner);
    struct sim_node *x = sim_node_open(world, joiner, id, subgroup, &err);
    nx_assert(x != NULL);
    world->nodes[world->count++] = x;
    x->waiting = true;
    memset(x->at, SIM_NOBODY, sizeof x->at);
    sim_note(
        world, joiner, SIM_COMES,
        (struct sim_record){.id = id, .peer = (uint8_t)(former < SIM_NODES_MAX ? former : joiner)});
    later(world, joiner, CALL, 0, 20000);
}

bool sim_join_is_stuck(const struct sim_world *world, unsigned joiner)
{
    const struct sim_node *x = world->nodes[joiner];
    if (!lives(world, joiner) || !x->waiting || world->count == SIM_NODES_MAX || world->cuts)
        return false; /* the cut off may believe for long that they lead */
    for (unsigned n = 0; n < world->count; n++) {
        const struct sim_node *l = world->nodes[n];
        if (!is_member(world, n) || nx_core_leader(l->core) != l->seat ||
            nx_core_change_state(l->core) != NX_CHANGE_STEADY)
            continue;
        nx_rankset ranks = nx_view_ranks(nx_core_view(l->core));
        if ((uint32_t)__builtin_popcountll(ranks) < world->config->core.members_max)
            return true;
    }
    return false;
}
