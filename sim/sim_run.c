#include "sim_run.h"

#include "sim_faults.h"
#include "sim_join.h"
#include "sim_keep.h"
#include "sim_node.h"

#include "common/nx_assert.h"
#include "group/membership/mb_suspect.h"

#include <stdlib.h>
#include <string.h>

/* A run that has not come to rest by then never will. */
static const nx_ns longest_run_ns = 20 * NX_SEC;
enum { EVENTS_MAX = 2000000 };
/* without work, before we call it rest: timers may still bring some */
static const nx_ns grace_ns = 50 * NX_MS;

void sim_note(struct sim_world *world, unsigned node, enum sim_kind kind, struct sim_record record)
{
    record.at = world->now;
    record.node = (uint8_t)node;
    record.kind = (uint8_t)kind;
    sim_trace_add(world->trace, &record);
}

void sim_world_bury(struct sim_world *world, unsigned node, bool clean)
{
    static const struct sim_fault of_itself = {.notice_ns = NX_MS}; /* the core gave up */
    const struct sim_fault *death = world->death ? world->death : &of_itself;
    bool noticed = false;
    uint64_t connected = 0;
    for (unsigned peer = 0; peer < world->count; peer++)
        if (peer != node && sim_fabric_linked(&world->fabric, node, peer))
            connected |= UINT64_C(1) << peer;
    sim_fabric_cut(&world->fabric, node);
    if (death->unnoticed && !clean) /* who has left closes its connections */
        return;
    for (unsigned peer = 0; peer < world->count; peer++) {
        if (!(connected >> peer & 1) || world->nodes[peer]->life == SIM_DEAD)
            continue;
        if (noticed && death->some_are_deaf && nx_prng_chance(&world->prng, 1, 2))
            continue;
        noticed |= !world->nodes[peer]->waiting; /* who is outside tells nobody */
        nx_ns delay = nx_prng_between(&world->prng, 1000, death->notice_ns + 1000);
        sim_events_add(&world->events, world->now + delay, SIM_EVENT_NOTICE, false, peer, node, 0);
    }
}

void sim_world_cut(struct sim_world *world, const struct sim_fault *fault)
{
    nx_rank a = fault->node, b = fault->peer;
    if (a == b || world->nodes[a]->life == SIM_DEAD || world->nodes[b]->life == SIM_DEAD)
        return;
    world->cuts++;
    sim_note(world, a, SIM_CUT, (struct sim_record){.peer = (uint8_t)b});
    sim_fabric_sever(&world->fabric, b, a);
    sim_events_add(&world->events, world->now + 1000, SIM_EVENT_NOTICE, false, a, b, 0);
    if (nx_prng_chance(&world->prng, 1, 2))
        return; /* one-way: b hears of it from a */
    sim_fabric_sever(&world->fabric, a, b);
    nx_ns delay = nx_prng_between(&world->prng, 1000, fault->notice_ns + 1000);
    sim_events_add(&world->events, world->now + delay, SIM_EVENT_NOTICE, false, b, a, 0);
}

void sim_world_disconnect(struct sim_world *world, unsigned node, unsigned peer)
{
    if (peer >= world->count || !sim_fabric_linked(&world->fabric, node, peer))
        return;
    sim_fabric_sever(&world->fabric, node, peer);
    sim_fabric_sever(&world->fabric, peer, node);
    nx_ns delay = nx_prng_between(&world->prng, 1000, 100 * NX_US);
    nx_ns at = sim_fabric_stalled_until(&world->fabric, node, peer); /* the news stall, too */
    at = at > world->now ? at : world->now;
    if (world->nodes[peer]->life != SIM_DEAD)
        sim_events_add(&world->events, at + delay, SIM_EVENT_NOTICE, false, peer, node, 0);
}

uint64_t sim_world_holders(const struct sim_world *world, unsigned node, const uint8_t *bytes,
                           size_t len, uint64_t mask)
{
    const uint8_t *region = world->fabric.regions[node];
    if (bytes < region || bytes >= region + world->fabric.shape.bytes)
        return mask;
    size_t offset = (size_t)(bytes - region);
    uint64_t holders = 0;
    for (unsigned peer = 0; peer < world->count; peer++)
        if (memcmp(world->fabric.regions[peer] + offset, bytes, len) == 0)
            holders |= UINT64_C(1) << peer;
    return holders & mask;
}

static void handle(struct sim_world *world, const struct sim_event *event)
{
    struct sim_node *node;
    switch (event->kind) {
    case SIM_EVENT_TURN:
        node = world->nodes[event->a];
        if (event->b == node->turn && node->life != SIM_DEAD)
            sim_node_turn(node, event->timer);
        break;
    case SIM_EVENT_LANE: {
        struct sim_landing landing = sim_fabric_due(&world->fabric, world->now, event);
        if (landing.doorbell || (landing.moved && world->config->core.caps.wakes_on_plain_write))
            sim_node_wake(world->nodes[event->b], event->timer);
        break;
    }
    case SIM_EVENT_NOTICE: sim_node_notice(world->nodes[event->a], event->b); break;
    case SIM_EVENT_FAULT: sim_faults_apply(world, event->a); break;
    case SIM_EVENT_PARTING:
        world->in_change = (struct sim_fault){.notice_ns = world->config->load_ns};
        world->death = &world->in_change;
        sim_node_leave(world->nodes[event->a]);
        break;
    case SIM_EVENT_HEAL: break;
    case SIM_EVENT_DISK: sim_node_wake(world->nodes[event->a], false); break;
    case SIM_EVENT_OUTAGE: world->out = true; break;
    case SIM_EVENT_JOIN: sim_join_step(world, event); break;
    case SIM_EVENT_STATE: sim_state_loaded(world->nodes[event->a], event->b); break;
    case SIM_EVENT_COME: {
        const struct sim_node *former = world->nodes[event->a];
        sim_join_come(world, former->id, former->subgroup, event->a);
        break;
    }
    }
    for (unsigned n = 0; world->fabric.roomy; n++) {
        if (world->fabric.roomy >> n & 1)
            sim_node_wake(world->nodes[n], event->timer);
        world->fabric.roomy &= ~(UINT64_C(1) << n);
    }
}

/* Until nothing but timers has happened for `quiet_ns`; false if the run is too long. */
static bool run_until_rest(struct sim_world *world, nx_ns quiet_ns)
{
    nx_ns last_work = world->now;
    struct sim_event event;
    for (uint32_t i = 0; i < EVENTS_MAX; i++) {
        if (world->now > longest_run_ns)
            return false;
        if (!world->events.work &&
            (!world->events.count || world->events.heap[0].at > last_work + quiet_ns))
            return true;
        sim_events_next(&world->events, &event);
        world->now = event.at;
        if (!event.timer)
            last_work = event.at;
        handle(world, &event);
        if (world->out)
            return true;
    }
    return false;
}

static bool run_idle(struct sim_world *world)
{
    nx_ns until = world->now + world->config->idle_ns;
    struct sim_event event;
    for (uint32_t i = 0; i < EVENTS_MAX / 2; i++) {
        if (!world->events.count || world->events.heap[0].at > until)
            return true;
        sim_events_next(&world->events, &event);
        world->now = event.at;
        handle(world, &event);
    }
    return false;
}

static bool somebody_leaves(const struct sim_world *world)
{
    for (unsigned n = 0; n < world->count; n++)
        if (world->nodes[n]->leaving && world->nodes[n]->life != SIM_DEAD)
            return true;
    return false;
}

/* Kill -9 of all; what their disks lose is lost by now, but a bit may flip yet. */
static void put_out(struct sim_world *world)
{
    struct sim_shelf *shelf = world->shelf;
    const struct sim_persist *persist = &world->config->persist;
    for (unsigned n = 0; n < world->count; n++)
        sim_node_outage(world->nodes[n], persist->power[shelf->life]);
    struct sim_keeper *k = &shelf->keepers[nx_prng_below(&world->prng, shelf->count)];
    char name[NX_DISK_NAME_BYTES];
    uint64_t offset;
    if (persist->rots &&
        sim_disk_rot(k->disks[nx_prng_below(&world->prng, SIM_DISKS)], NULL, name, &offset))
        sim_note(world, 0, SIM_ROT, (struct sim_record){.id = k->id, .offset = offset});
    sim_note(world, 0, SIM_OUTAGE, (struct sim_record){.status = persist->power[shelf->life]});
}

static void plan_outage(struct sim_world *world)
{
    const struct sim_persist *persist = &world->config->persist;
    if (world->shelf && world->shelf->life + 1 < persist->lives)
        sim_events_add(&world->events, persist->outage_at[world->shelf->life], SIM_EVENT_OUTAGE,
                       false, 0, 0, 0);
}

static void run_to_the_end(struct sim_world *world)
{
    for (unsigned n = 0; n < world->count; n++)
        sim_node_start(world->nodes[n], &world->config->view);
    sim_faults_schedule(world);
    plan_outage(world);
    bool rests = run_until_rest(world, grace_ns + 4 * world->config->core.timeout_ns);
    if (world->out) {
        put_out(world);
        return;
    }
    if (rests && somebody_leaves(world)) /* nobody can let it go, and its end will bring work */
        rests = run_until_rest(world,
                               grace_ns + NX_LEAVE_PATIENCE_NS + world->config->core.leave_held_ns);
    if (rests) {
        world->rests = true;
        sim_note(world, 0, SIM_IDLE, (struct sim_record){0});
        rests = run_idle(world);
    }
    for (unsigned n = 0; n < world->count; n++)
        sim_node_last_words(world->nodes[n]);
    sim_note(world, 0, SIM_END, (struct sim_record){.status = !rests});
}

static struct sim_keeper *keeper_of(const struct sim_world *world, nx_node id)
{
    for (unsigned n = 0; world->shelf && n < world->shelf->count; n++)
        if (world->shelf->keepers[n].id == id)
            return &world->shelf->keepers[n];
    return NULL;
}

static enum nx_status open_nodes(struct sim_world *world, struct nx_err *err)
{
    for (nx_rank n = 0; n < world->config->nodes; n++) {
        const struct nx_member *member = &world->config->view.members[n];
        struct sim_node *node = sim_node_open(world, n, member->node, member->subgroup, err);
        if (!node)
            return NX_INVALID;
        world->nodes[world->count++] = node;
        node->keeper = keeper_of(world, member->node);
        if (node->keeper) {
            node->state = node->keeper->state;
            node->ids = (uint64_t)world->shelf->life << 24;
        }
    }
    return NX_OK;
}

/* From the first view until all is at rest, or dead. */
static enum nx_status live(const struct sim_config *config, struct sim_shelf *shelf,
                           struct sim_trace *trace, struct nx_err *err)
{
    struct sim_world world = {.config = config, .trace = trace, .shelf = shelf};
    nx_prng_init(&world.prng, config->seed ^ UINT64_C(0x3019d));
    NX_TRY(sim_fabric_open(&world.fabric, config, trace, &world.events, err));
    nx_assert(nx_core_region_bytes(&config->core) == world.fabric.shape.bytes);
    enum nx_status status = open_nodes(&world, err);
    if (status == NX_OK)
        run_to_the_end(&world);
    for (unsigned n = 0; n < world.count; n++)
        sim_node_close(world.nodes[n]);
    sim_fabric_close(&world.fabric);
    sim_events_free(&world.events);
    return status;
}

static enum nx_status live_often(const struct sim_config *config, struct sim_trace *trace,
                                 struct nx_err *err)
{
    struct sim_shelf *shelf = malloc(sizeof *shelf);
    enum nx_status status = NX_OK;
    nx_assert(shelf != NULL);
    sim_shelf_open(shelf, config, trace);
    for (; shelf->life < config->persist.lives && status == NX_OK; shelf->life++) {
        struct sim_config now = *config;
        if (!sim_restart(shelf, &now))
            break;
        sim_config_draw_life(&now, shelf->life);
        status = live(&now, shelf, trace, err);
        if (trace->records[trace->count - 1].kind == SIM_END)
            break; /* it never came to rest, so nothing put it out */
    }
    sim_shelf_close(shelf);
    free(shelf);
    return status;
}

enum nx_status sim_run(const struct sim_config *config, struct sim_trace *trace, struct nx_err *err)
{
    sim_trace_clear(trace);
    if (config->persist.lives > 0)
        return live_often(config, trace, err);
    return live(config, NULL, trace, err);
}
