#include "sim_node.h"

#include "sim_faults.h"
#include "sim_keep.h"

#include "common/nx_assert.h"
#include "group/view/rankset.h"

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

unsigned sim_node_who(const struct sim_node *node, nx_rank seat)
{
    return seat < NX_MEMBERS_MAX ? node->at[seat] : SIM_NOBODY;
}

uint64_t sim_node_whose(const struct sim_node *node, nx_rankset seats)
{
    uint64_t set = 0;
    for (; seats; seats &= seats - 1) {
        unsigned who = node->at[__builtin_ctzll(seats)];
        set |= who < SIM_NODES_MAX ? UINT64_C(1) << who : 0;
    }
    return set;
}

/* Seats that the fabric takes writes to. */
static nx_rankset writable(struct sim_node *node)
{
    uint64_t set = sim_fabric_writable(&node->world->fabric, node->rank);
    nx_rankset seats = 0;
    for (nx_rank seat = 0; seat < NX_MEMBERS_MAX; seat++)
        if (node->at[seat] < SIM_NODES_MAX && node->at[seat] != node->rank &&
            (set >> node->at[seat] & 1))
            seats |= NX_RANK_BIT(seat);
    return seats;
}

struct sim_node *sim_node_open(struct sim_world *world, unsigned rank, nx_node id,
                               uint32_t subgroup, struct nx_err *err)
{
    struct sim_node *node = calloc(1, sizeof *node);
    nx_assert(node != NULL);
    struct nx_core_config config = world->config->core;
    config.self = id;
    if (nx_core_open(&config, world->fabric.regions[rank], &node->core, err) != NX_OK) {
        free(node);
        return NULL;
    }
    nx_assert(nx_core_send_max(node->core) < sizeof node->bytes);
    node->world = world;
    node->rank = rank;
    node->seat = rank;
    node->id = id;
    node->subgroup = subgroup;
    for (unsigned seat = 0; seat < NX_MEMBERS_MAX; seat++)
        node->at[seat] = seat < world->config->nodes ? (uint8_t)seat : SIM_NOBODY;
    node->state.hash = SIM_HASH_EMPTY;
    node->durable = node->delivered = NX_SEQ_NONE;
    node->load = &world->config->loads[rank % world->config->nodes];
    node->ops_left = node->load->ops;
    nx_prng_init(&node->prng, world->config->seed * 64 + rank + 1);
    node->transfer = sim_state_open(node);
    nx_assert(node->transfer != NULL);
    return node;
}

static void die(struct sim_node *node, enum sim_kind kind)
{
    sim_note(node->world, node->rank, kind, (struct sim_record){0});
    nx_transfer_close(node->transfer);
    node->transfer = NULL;
    if (node->keeper)
        sim_keeper_close(node->keeper, kind == SIM_LEFT, nx_prng_chance(&node->world->prng, 1, 2));
    node->keeper = NULL;
    nx_core_close(node->core);
    node->core = NULL;
    node->life = SIM_DEAD;
    node->turn++;
    sim_world_bury(node->world, node->rank, kind == SIM_LEFT);
    sim_join_bereaved(node->world, node->rank);
    if (node->comes_back_ns)
        sim_events_add(&node->world->events, node->world->now + node->comes_back_ns, SIM_EVENT_COME,
                       false, node->rank, 0, 0);
}

void sim_node_outage(struct sim_node *node, bool power)
{
    if (node->life == SIM_DEAD)
        return;
    sim_note(node->world, node->rank, SIM_KILL, (struct sim_record){0});
    sim_keeper_close(node->keeper, false, power);
    node->keeper = NULL;
    node->life = SIM_DEAD;
}

void sim_node_close(struct sim_node *node)
{
    if (node && node->transfer)
        nx_transfer_close(node->transfer);
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
        struct nx_write write = node->update.writes[i];
        write.peer = sim_node_who(node, write.peer);
        sim_fabric_post(&node->world->fabric, node->world->now, node->rank, &write);
    }
    return true;
}

/* What the mutant hands over: the state before what the view ends with. */
static void note_wedge(struct sim_node *node)
{
    bool wedged = nx_core_change_state(node->core) != NX_CHANGE_STEADY;
    if (!wedged)
        node->at_wedge = node->state;
}

bool sim_node_step(struct sim_node *node, const struct nx_event *event)
{
    note_wedge(node);
    nx_core_step(node->core, node->world->now, event, &node->update);
    nx_assert(node->update.upcalls_count <= NX_UPCALLS_PER_STEP);
    for (nx_rankset left = node->update.disconnect; left;) {
        nx_rank seat = nx_rankset_take(&left);
        unsigned who = sim_node_who(node, seat);
        if (who < SIM_NODES_MAX && who != node->rank && node->world->nodes[who]->seat == seat)
            sim_world_disconnect(node->world, node->rank, who);
    }
    for (uint32_t i = 0; i < node->update.upcalls_count; i++) {
        if (!nx_core_upcall_wanted(node->core, &node->update.upcalls[i]))
            continue;
        sim_upcall(node, &node->update.upcalls[i]);
        if (node->turns && nx_prng_chance(&node->prng, 1, 16))
            sim_work_inside(node);
    }
    sim_faults_in_change(node);
    return post_writes(node);
}

enum nx_status sim_node_request(struct sim_node *node, struct nx_event event)
{
    nx_core_step(node->core, node->world->now, &event, &node->answer);
    node->due = node->due || node->answer.busy;
    if (node->answer.status == NX_OK)
        sim_keep_request(node, &event);
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
    node->serves = nx_layout_shard_of(layout, node->subgroup, node->seat, &node->shard);
    if (node->serves) {
        const struct nx_shard *shard = &layout->shards[node->subgroup][node->shard];
        record.sub = (uint8_t)node->subgroup;
        record.shard = (uint8_t)node->shard;
        record.mask = sim_node_whose(node, shard->set);
        record.id = sim_node_whose(node, shard->stateless);
        record.total = node->world->config->core.spec.subgroups[node->subgroup].min_nodes;
    }
    sim_note(node->world, node->rank, node->serves ? SIM_MEMBER : SIM_SPARE, record);
}

void sim_node_begin_view(struct sim_node *node)
{
    sim_node_note_place(node);
    sim_state_begin_view(node);
    sim_join_viewed(node->world, node->rank);
}

void sim_node_start(struct sim_node *node, const struct nx_view *view)
{
    struct nx_event event = {.type = NX_EV_VIEW, .view = view};
    sim_node_step(node, &event);
    nx_assert(node->update.status == NX_OK);
    sim_keep_begins(node);
    nx_ns now = node->world->now;
    node->next_op_at = now + nx_prng_between(&node->prng, 0, node->load->gap_ns + 1);
    schedule_turn(node, now + nx_prng_between(&node->prng, 0, 5000), false);
}

/* Says so in its row, looks once more, and blocks, if nothing is to do. */
static void go_to_sleep(struct sim_node *node)
{
    struct sim_world *world = node->world;
    struct nx_event sleep = {.type = NX_EV_SLEEP, .writable = writable(node)};
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
    for (unsigned peer = 0; node->notices; peer++) {
        if (!(node->notices >> peer & 1))
            continue;
        node->notices &= ~(UINT64_C(1) << peer);
        nx_rank seat = node->world->nodes[peer]->seat;
        if (sim_node_who(node, seat) != peer)
            continue; /* another has it by now */
        sim_note(node->world, node->rank, SIM_NOTICE, (struct sim_record){.peer = (uint8_t)peer});
        sim_node_request(node, (struct nx_event){.type = NX_EV_PEER_DOWN,
                                                 .peer = seat,
                                                 .why = "its connection ended"});
    }
}

/* False: the node died. */
static bool look_around(struct sim_node *node, bool *busy)
{
    struct sim_world *world = node->world;
    sim_fabric_progress(&world->fabric, world->now, node->rank);
    hand_over_deaths(node);
    struct nx_event poll = {
        .type = NX_EV_POLL, .writable = writable(node), .hold = sim_keep_holds(node)};
    node->due = false;
    if (!sim_node_step(node, &poll))
        return false;
    node->wake_at = node->update.wake_at;
    *busy = node->update.busy || node->update.upcalls_count;
    *busy |= sim_state_poll(node);
    *busy |= sim_keep_turn(node);
    return true;
}

/* Its leave is known, or it was put out: the process ends. */
static bool has_left(struct sim_node *node)
{
    if (!nx_core_left(node->core))
        return false;
    if (!node->leaving)
        node->comes_back_ns = node->world->config->rejoin_ns;
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

void sim_node_notice(struct sim_node *node, unsigned peer)
{
    /* A connection that was made since is another. */
    if (node->life == SIM_DEAD || (node->world->nodes[peer]->life != SIM_DEAD &&
                                   sim_fabric_connected(&node->world->fabric, peer, node->rank) &&
                                   node->world->nodes[peer]->waiting))
        return;
    node->notices |= UINT64_C(1) << peer;
    sim_fabric_sever(&node->world->fabric, peer, node->rank);
    sim_node_wake(node, false);
}

void sim_node_pause(struct sim_node *node, nx_ns until)
{
    if (node->life == SIM_DEAD || node->waiting)
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
    if (node->life == SIM_DEAD || node->leaving || node->waiting)
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
    if (after_writes == 0 || node->life == SIM_ASLEEP || node->waiting)
        die(node, SIM_KILL);
}

static void read_loads(struct sim_node *node)
{
    nx_rankset others = nx_view_ranks(nx_core_view(node->core)) & ~NX_RANK_BIT(node->seat);
    for (; others; others &= others - 1) {
        nx_rank seat = nx_rankset_first(others);
        for (unsigned word = 0; word < NX_LOAD_WORDS; word++)
            sim_note(node->world, node->rank, SIM_LOADS,
                     (struct sim_record){.peer = (uint8_t)sim_node_who(node, seat),
                                         .id = word,
                                         .total = nx_core_load(node->core, seat, word)});
    }
}

/* Who waits for a reply that finds no room; one that lives, if there is one. SIM_NOBODY if none waits. */
static unsigned unanswered(const struct sim_node *node)
{
    unsigned whom = SIM_NOBODY;
    for (size_t i = 0; i < SIM_SERVED; i++) {
        if (!node->served[i].used || !node->served[i].ready || node->served[i].lost)
            continue;
        unsigned who = sim_node_who(node, node->served[i].peer);
        if (whom == SIM_NOBODY ||
            (who < SIM_NODES_MAX && node->world->nodes[who]->life != SIM_DEAD))
            whom = who < SIM_NODES_MAX ? who : node->rank;
    }
    return whom;
}

void sim_node_last_words(struct sim_node *node)
{
    if (node->life == SIM_DEAD)
        return;
    struct sim_world *world = node->world;
    bool pends = !node->waiting && node->pending.op != SIM_OP_NONE;
    uint64_t stuck = pends ? 1 + (uint64_t)node->pending.op : 0;
    for (size_t i = 0; i < SIM_BULKS; i++)
        stuck |= node->bulks[i].used ? 0x100 : 0;
    unsigned asker = unanswered(node);
    stuck |= asker != SIM_NOBODY ? SIM_STUCK_REPLY : 0;
    stuck |= sim_join_is_stuck(world, node->rank) ? 0x400 : 0;
    bool asks = pends && node->pending.op == SIM_OP_QUERY;
    unsigned whom = asks ? sim_node_who(node, node->pending.peer) : node->rank;
    whom = stuck == SIM_STUCK_REPLY ? asker : whom;
    if (stuck)
        sim_note(world, node->rank, SIM_STUCK,
                 (struct sim_record){.id = stuck, .peer = (uint8_t)whom});
    if (node->serves)
        sim_note(world, node->rank, SIM_SHARD,
                 (struct sim_record){.sub = (uint8_t)node->subgroup,
                                     .shard = (uint8_t)node->shard,
                                     .status = (uint8_t)nx_core_shard_status(
                                         node->core, node->subgroup, node->shard)});
    if (node->waiting)
        return;
    if (nx_core_change_state(node->core) == NX_CHANGE_BLOCKED)
        sim_note(world, node->rank, SIM_BLOCKED, (struct sim_record){0});
    read_loads(node);
}
