#include "sim_node.h"

#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

static nx_ns turn_gap(struct sim_node *node)
{
    return nx_prng_between(&node->prng, node->load->turn_ns / 8 + 1, node->load->turn_ns);
}

static void schedule_turn(struct sim_node *node, nx_ns at, bool timer)
{
    if (at < node->paused_until)
        at = node->paused_until;
    sim_events_add(&node->world->events, at, SIM_EVENT_TURN, timer, node->rank, ++node->turn, 0);
}

struct sim_node *sim_node_open(struct sim_world *world, nx_rank rank, struct nx_err *err)
{
    struct sim_node *node = calloc(1, sizeof *node);
    nx_assert(node != NULL);
    struct nx_core_config config = world->config->core;
    config.self = world->config->view.members[rank].node;
    if (nx_core_open(&config, world->fabric.regions[rank], &node->core, err) != NX_OK) {
        free(node);
        return NULL;
    }
    nx_assert(nx_core_send_max(node->core) < sizeof node->bytes);
    node->world = world;
    node->rank = rank;
    node->load = &world->config->loads[rank];
    node->ops_left = node->load->ops;
    nx_prng_init(&node->prng, world->config->seed * 64 + rank + 1);
    return node;
}

static void die(struct sim_node *node, enum sim_kind kind)
{
    sim_note(node->world, node->rank, kind, (struct sim_record){0});
    nx_core_close(node->core);
    node->core = NULL;
    node->life = SIM_DEAD;
    node->turn++;
    sim_world_bury(node->world, node->rank);
}

void sim_node_close(struct sim_node *node)
{
    if (node && node->core)
        nx_core_close(node->core);
    free(node);
}

/* Posts the writes; false if the node died among them. */
static bool post_writes(struct sim_node *node)
{
    for (uint32_t i = 0; i < node->update.writes_count; i++) {
        if (node->dying && node->writes_to_live-- == 0) {
            die(node, SIM_KILL);
            return false;
        }
        sim_fabric_post(&node->world->fabric, node->world->now, node->rank,
                        &node->update.writes[i]);
    }
    return true;
}

bool sim_node_step(struct sim_node *node, const struct nx_event *event)
{
    nx_core_step(node->core, node->world->now, event, &node->update);
    nx_assert(node->update.upcalls_count <= NX_UPCALLS_PER_STEP);
    for (nx_rankset left = node->update.disconnect; left; left &= left - 1)
        sim_world_disconnect(node->world, node->rank, (nx_rank)__builtin_ctzll(left));
    for (uint32_t i = 0; i < node->update.upcalls_count; i++) {
        if (!nx_core_upcall_wanted(node->core, &node->update.upcalls[i]))
            continue;
        sim_upcall(node, &node->update.upcalls[i]);
        if (node->turns && nx_prng_chance(&node->prng, 1, 16))
            sim_work_inside(node);
    }
    return post_writes(node);
}

enum nx_status sim_node_request(struct sim_node *node, struct nx_event event)
{
    nx_core_step(node->core, node->world->now, &event, &node->answer);
    node->due = node->due || node->answer.busy;
    return node->answer.status;
}

enum nx_status sim_node_ask(struct sim_node *node, struct nx_event event, enum sim_kind kind,
                            struct sim_record record)
{
    enum nx_status status = sim_node_request(node, event);
    record.status = (uint8_t)status;
    if (kind == SIM_BULK)
        record.id = node->answer.stream;
    if (status != NX_AGAIN)
        sim_note(node->world, node->rank, kind, record);
    return status;
}

void sim_node_note_place(struct sim_node *node)
{
    const struct nx_layout *layout = nx_core_layout(node->core);
    struct sim_record record = {.mask = 0};
    node->subgroup = node->world->config->view.members[node->rank].subgroup;
    node->serves = nx_layout_shard_of(layout, node->subgroup, node->rank, &node->shard);
    if (node->serves) {
        record.sub = (uint8_t)node->subgroup;
        record.shard = (uint8_t)node->shard;
        record.mask = layout->shards[node->subgroup][node->shard].set;
    }
    sim_note(node->world, node->rank, node->serves ? SIM_MEMBER : SIM_SPARE, record);
}

void sim_node_start(struct sim_node *node)
{
    struct nx_event event = {.type = NX_EV_VIEW, .view = &node->world->config->view};
    sim_node_step(node, &event);
    sim_node_note_place(node);
    node->next_op_at = nx_prng_between(&node->prng, 0, node->load->gap_ns + 1);
    schedule_turn(node, nx_prng_between(&node->prng, 0, 5000), false);
}

/* Says so in its row, looks once more, and blocks, if nothing is to do. */
static void go_to_sleep(struct sim_node *node)
{
    struct sim_world *world = node->world;
    struct nx_event sleep = {.type = NX_EV_SLEEP,
                             .writable = sim_fabric_writable(&world->fabric, node->rank)};
    if (!sim_node_step(node, &sleep))
        return;
    if (node->update.status == NX_AGAIN || node->update.busy || node->due ||
        sim_fabric_waits(&world->fabric, world->now, node->rank)) {
        schedule_turn(node, world->now + turn_gap(node), node->idles);
        return;
    }
    node->life = SIM_ASLEEP;
    node->turn++;
    nx_ns wake_at = node->update.wake_at < node->wake_at ? node->update.wake_at : node->wake_at;
    nx_ns work_at = sim_work_is_done(node) ? NX_NEVER : node->next_op_at;
    nx_ns at = work_at < wake_at ? work_at : wake_at;
    if (at != NX_NEVER)
        schedule_turn(node, at > world->now ? at : world->now + 1, work_at == NX_NEVER);
}

static void hand_over_deaths(struct sim_node *node)
{
    for (nx_rank peer = 0; node->notices; peer++) {
        if (!(node->notices & NX_RANK_BIT(peer)))
            continue;
        node->notices &= ~NX_RANK_BIT(peer);
        sim_note(node->world, node->rank, SIM_NOTICE, (struct sim_record){.peer = (uint8_t)peer});
        sim_node_request(node, (struct nx_event){.type = NX_EV_PEER_DOWN,
                                                 .peer = peer,
                                                 .why = "its connection ended"});
    }
}

/* False: the node died. */
static bool look_around(struct sim_node *node, bool *busy)
{
    struct sim_world *world = node->world;
    sim_fabric_progress(&world->fabric, world->now, node->rank);
    hand_over_deaths(node);
    struct nx_event poll = {.type = NX_EV_POLL,
                            .writable = sim_fabric_writable(&world->fabric, node->rank)};
    node->due = false;
    if (!sim_node_step(node, &poll))
        return false;
    node->wake_at = node->update.wake_at;
    *busy = node->update.busy || node->update.upcalls_count;
    return true;
}

/* Its leave is known, or it was put out: the process ends. */
static bool has_left(struct sim_node *node)
{
    if (!nx_core_left(node->core))
        return false;
    die(node, node->leaving ? SIM_LEFT : SIM_KILL);
    return true;
}

void sim_node_turn(struct sim_node *node, bool timer)
{
    bool busy;
    node->idles = timer;
    node->life = SIM_AWAKE;
    node->turns++;
    if (!look_around(node, &busy) || has_left(node))
        return;
    busy |= sim_work(node);
    node->idles = node->idles && !busy && !node->due;
    if (busy || node->due)
        node->spins = node->load->spins;
    else if (node->spins > 0)
        node->spins--;
    else {
        go_to_sleep(node);
        return;
    }
    schedule_turn(node, node->world->now + turn_gap(node), node->idles);
}

void sim_node_wake(struct sim_node *node, bool timer)
{
    if (node->life != SIM_ASLEEP)
        return;
    node->life = SIM_AWAKE;
    schedule_turn(node, node->world->now + turn_gap(node), timer);
}

void sim_node_notice(struct sim_node *node, nx_rank peer)
{
    if (node->life == SIM_DEAD)
        return;
    node->notices |= NX_RANK_BIT(peer);
    sim_fabric_sever(&node->world->fabric, peer, node->rank);
    sim_node_wake(node, false);
}

void sim_node_pause(struct sim_node *node, nx_ns until)
{
    if (node->life == SIM_DEAD)
        return;
    if (until <= node->paused_until)
        return;
    sim_note(node->world, node->rank, SIM_PAUSE,
             (struct sim_record){.total = (uint64_t)(until - node->world->now)});
    node->paused_until = until;
    node->life = SIM_AWAKE;
    schedule_turn(node, until, false);
}

void sim_node_leave(struct sim_node *node)
{
    if (node->life == SIM_DEAD || node->leaving)
        return;
    node->leaving = true;
    node->ops_left = 0;
    sim_node_wake(node, false);
    sim_note(node->world, node->rank, SIM_LEAVE, (struct sim_record){0});
    sim_node_request(node, (struct nx_event){.type = NX_EV_LEAVE});
}

void sim_node_kill(struct sim_node *node, uint32_t after_writes)
{
    if (node->life == SIM_DEAD || node->dying)
        return;
    node->dying = true;
    node->writes_to_live = after_writes;
    if (after_writes == 0 || node->life == SIM_ASLEEP)
        die(node, SIM_KILL);
}

static void read_loads(struct sim_node *node)
{
    for (nx_rank peer = 0; peer < node->world->config->nodes; peer++)
        for (unsigned word = 0; peer != node->rank && word < NX_LOAD_WORDS; word++)
            sim_note(node->world, node->rank, SIM_LOADS,
                     (struct sim_record){.peer = (uint8_t)peer,
                                         .id = word,
                                         .total = nx_core_load(node->core, peer, word)});
}

void sim_node_last_words(struct sim_node *node)
{
    if (node->life == SIM_DEAD)
        return;
    struct sim_world *world = node->world;
    uint64_t stuck = node->pending.op == SIM_OP_NONE ? 0 : 1 + (uint64_t)node->pending.op;
    for (size_t i = 0; i < SIM_BULKS; i++)
        stuck |= node->bulks[i].used ? 0x100 : 0;
    for (size_t i = 0; i < SIM_SERVED; i++)
        stuck |= node->served[i].used && node->served[i].ready ? 0x200 : 0;
    if (stuck)
        sim_note(world, node->rank, SIM_STUCK, (struct sim_record){.id = stuck});
    if (node->serves)
        sim_note(world, node->rank, SIM_SHARD,
                 (struct sim_record){.sub = (uint8_t)node->subgroup,
                                     .shard = (uint8_t)node->shard,
                                     .status = (uint8_t)nx_core_shard_status(
                                         node->core, node->subgroup, node->shard)});
    if (nx_core_change_state(node->core) == NX_CHANGE_BLOCKED)
        sim_note(world, node->rank, SIM_BLOCKED, (struct sim_record){0});
    read_loads(node);
}
