#include "sim_keep.h"

#include "common/nx_assert.h"
#include "group/core/mutants.h"
#include "group/log/plog_recover.h"

#include <stdlib.h>
#include <string.h>

enum { PASSES_PER_TURN = 8 };

static void note(const struct sim_keeper *k, enum sim_kind kind, struct sim_record record)
{
    record.kind = (uint8_t)kind;
    record.id = k->id;
    record.sub = (uint8_t)k->subgroup;
    record.shard = (uint8_t)k->shard;
    sim_trace_add(k->trace, &record);
}

static nx_ns disks_now(const struct sim_keeper *k)
{
    nx_ns now = 0;
    for (unsigned i = 0; i < SIM_DISKS; i++)
        now = sim_disk_now(k->disks[i]) > now ? sim_disk_now(k->disks[i]) : now;
    return now;
}

static void advance_to(struct sim_keeper *k, nx_ns now)
{
    for (unsigned i = 0; i < SIM_DISKS; i++)
        if (sim_disk_now(k->disks[i]) < now)
            sim_disk_advance(k->disks[i], now);
}

void sim_keeper_advance(struct sim_keeper *k, nx_ns ns)
{
    nx_ns now = disks_now(k) + ns;
    advance_to(k, now);
    while (nx_durable_poll(k->disk.durable, now))
        ;
}

/* --- what a log hands up ------------------------------------------------------------------------------------------ */

static void replay_view(void *ctx, const struct nx_view *view, const struct nx_layout *layout)
{
    struct sim_keeper *k = ctx;
    (void)layout;
    nx_rank rank = nx_view_rank_of(view, k->id);
    if (rank != NX_RANK_NONE && view->members[rank].shard != NX_SHARD_NONE)
        k->shard = view->members[rank].shard;
}

static void replay_part(void *ctx, uint32_t subgroup, const struct nx_part *part,
                        const uint8_t *head, size_t head_len)
{
    struct sim_keeper *k = ctx;
    (void)subgroup, (void)head, (void)head_len;
    if (part->offset == 0)
        k->body_hash = SIM_HASH_EMPTY;
    k->body_hash = sim_hash(k->body_hash, part->bytes, part->len);
    k->body = part->offset + part->len;
}

static void replay_message(void *ctx, const struct nx_delivery *d)
{
    struct sim_keeper *k = ctx;
    uint64_t hash = sim_hash(SIM_HASH_EMPTY, d->bytes, d->len);
    k->state.hash = sim_state_hash(k->state.hash, d->seq, d->len, hash);
    k->state.count++;
    note(k, SIM_REPLAY,
         (struct sim_record){.seq = d->seq,
                             .len = d->len,
                             .hash = hash,
                             .total = k->body,
                             .mask = k->body ? k->body_hash : 0});
    k->body = 0;
}

static enum nx_status replay_state(void *ctx, uint32_t subgroup, uint64_t total, uint64_t offset,
                                   const void *bytes, size_t len, struct nx_err *err)
{
    struct sim_keeper *k = ctx;
    (void)subgroup;
    NX_TRY(sim_state_take(&k->came, offset, bytes, len, err));
    if (offset + len < total)
        return NX_OK;
    k->state = k->came;
    note(k, SIM_RESTORE, (struct sim_record){.total = k->state.count, .hash = k->state.hash});
    return NX_OK;
}

static const struct nx_group_upcalls replays = {.view = replay_view,
                                                .deliver = replay_message,
                                                .bulk_part = replay_part,
                                                .state_part = replay_state};

/* --- the tier of a node that lives, for its log -------------------------------------------------------------------- */

static void *cut(void *ctx, uint32_t subgroup, uint64_t *bytes)
{
    struct sim_node *node = ctx;
    (void)subgroup;
    struct sim_state *state = malloc(sizeof *state);
    nx_assert(state != NULL);
    *state = node->state;
    *bytes = sim_state_bytes(state);
    return state;
}

static size_t read_cut(void *ctx, void *snapshot, uint64_t offset, void *buf, size_t cap)
{
    (void)ctx;
    uint8_t *to = buf;
    uint64_t left = sim_state_bytes(snapshot) - offset;
    size_t len = left < cap ? (size_t)left : cap;
    for (size_t i = 0; i < len; i++)
        to[i] = sim_state_byte(snapshot, offset + i);
    return len;
}

static void release(void *ctx, void *snapshot)
{
    (void)ctx;
    free(snapshot);
}

static const struct nx_group_upcalls lives = {
    .state_snapshot = cut, .state_read = read_cut, .state_release = release};

/* --- opening and closing ------------------------------------------------------------------------------------------- */

static enum nx_status open_disk(void *ctx, const char *path, struct nx_disk **disk,
                                struct nx_err *err)
{
    struct sim_keeper *k = ctx;
    (void)err;
    bool bodies = strstr(path, "/blobs") != NULL, second = strstr(path, ".1") != NULL;
    unsigned which = strcmp(path, "node") == 0 ? 0
                     : bodies                  ? (second ? SIM_BODIES_TOO : SIM_BODIES)
                                               : 2 + second;
    *disk = sim_disk_handle(k->disks[which]);
    return NX_OK;
}

static struct nx_durable_config durable_config(struct sim_keeper *k)
{
    uint64_t mutants = k->config->core.mutants;
    struct nx_durable_config config = {.folder = "node",
                                       .node = k->id,
                                       .spec = k->config->core.spec,
                                       .subgroup = k->subgroup,
                                       .open_disk = open_disk,
                                       .disk_ctx = k,
                                       .compact_bodies = k->config->persist.compact_bodies};
    if (mutants & NX_MUTANT_SYNC_SKIPPED)
        config.log_mutants |= NX_PLOG_MUTANT_SKIP_SYNC;
    if (mutants & NX_MUTANT_TAIL_BELIEVED)
        config.log_mutants |= NX_PLOG_MUTANT_SKIP_CHECKS;
    return config;
}

static bool read_log(struct sim_keeper *k, struct nx_err *err)
{
    enum nx_status status;
    while ((status = nx_group_disk_replay(&k->disk, &replays, k, err)) == NX_AGAIN) {
        (void)nx_group_disk_ready(&k->disk);
        sim_keeper_advance(k, 100 * NX_US);
    }
    return status == NX_OK;
}

bool sim_keeper_open(struct sim_keeper *k)
{
    static const struct sim_disk_faults none = {.latency_min_ns = 1000, .latency_max_ns = 20000};
    struct nx_durable_config config = durable_config(k);
    struct nx_err err = {0};
    for (unsigned i = 0; i < SIM_DISKS; i++) {
        sim_disk_crash_in(k->disks[i], 0); /* it has power again */
        sim_disk_set_faults(k->disks[i], &none);
        sim_disk_fill(k->disks[i], 0, 0);
    }
    advance_to(k, disks_now(k));
    k->disk = (struct nx_group_disk){0};
    k->state = (struct sim_state){.hash = SIM_HASH_EMPTY};
    k->shard = 0;
    k->body = 0; /* of a log that broke off */
    k->up = nx_group_disk_open(&k->disk, &config, &err) == NX_OK;
    if (!k->up || !read_log(k, &err)) {
        sim_keeper_give_up(k, true, err.status);
        return false;
    }
    note(k, SIM_OFFER, (struct sim_record){.total = k->state.count, .hash = k->state.hash});
    return true;
}

void sim_keeper_close(struct sim_keeper *k, bool clean, bool power)
{
    for (unsigned i = 0; !clean && i < SIM_DISKS; i++)
        sim_disk_die(k->disks[i], power);
    nx_group_disk_close(&k->disk, &lives, NULL);
    k->up = false;
}

void sim_keeper_give_up(struct sim_keeper *k, bool clean, enum nx_status status)
{
    note(k, SIM_BROKEN, (struct sim_record){.status = (uint8_t)status});
    sim_keeper_close(k, clean, true);
    k->broken = true;
}

static void fill(struct sim_keeper *k)
{
    const struct sim_persist *persist = &k->config->persist;
    nx_ns from = k->base + persist->full_from[k->life];
    for (unsigned i = 0; i < SIM_DISKS && (persist->full >> (k->id & 63) & 1); i++)
        if (i != SIM_BODIES && i != SIM_BODIES_TOO)
            sim_disk_fill(k->disks[i], from, from + persist->full_for[k->life]);
}

void sim_keeper_begin(struct sim_keeper *k)
{
    for (unsigned i = 0; i < SIM_DISKS; i++)
        sim_disk_set_faults(k->disks[i], &k->config->persist.disk);
    k->base = disks_now(k);
    fill(k);
}

void sim_shelf_open(struct sim_shelf *shelf, const struct sim_config *config,
                    struct sim_trace *trace)
{
    static const struct sim_disk_faults none = {.latency_min_ns = 1000, .latency_max_ns = 20000};
    memset(shelf, 0, sizeof *shelf);
    nx_prng_init(&shelf->prng, config->seed ^ UINT64_C(0xd15c5));
    shelf->count = config->nodes;
    for (unsigned n = 0; n < shelf->count; n++) {
        struct sim_keeper *k = &shelf->keepers[n];
        const struct nx_member *member = &config->view.members[n];
        *k = (struct sim_keeper){
            .config = config, .trace = trace, .id = member->node, .subgroup = member->subgroup};
        for (unsigned i = 0; i < SIM_DISKS; i++)
            k->disks[i] = sim_disk_new((config->seed * SIM_NODES_MAX + n) * 4 + i, &none);
    }
}

void sim_shelf_close(struct sim_shelf *shelf)
{
    for (unsigned n = 0; n < shelf->count; n++) {
        if (shelf->keepers[n].up)
            sim_keeper_close(&shelf->keepers[n], false, false);
        for (unsigned i = 0; i < SIM_DISKS; i++)
            sim_disk_free(shelf->keepers[n].disks[i]);
    }
}

/* --- a node that lives --------------------------------------------------------------------------------------------- */

/* As the shell does: who cannot keep what it must keep leaves. */
static void fail(struct sim_node *node, enum nx_status status)
{
    if (node->disk_failed)
        return;
    node->disk_failed = true;
    sim_note(node->world, node->rank, SIM_DISK, (struct sim_record){.status = (uint8_t)status});
    sim_node_leave(node);
}

void sim_keep_upcall(struct sim_node *node, const struct nx_upcall *upcall)
{
    struct nx_err err = {0};
    if (!node->keeper)
        return;
    enum nx_status status =
        nx_group_disk_upcall(&node->keeper->disk, node->core, upcall, false, &err);
    if (status != NX_OK)
        fail(node, status);
}

void sim_keep_cut(struct sim_node *node, bool came)
{
    if (node->keeper)
        nx_group_disk_cut(&node->keeper->disk, &lives, node, node->subgroup, came);
}

void sim_keep_request(struct sim_node *node, const struct nx_event *event)
{
    struct nx_durable *durable = node->keeper ? node->keeper->disk.durable : NULL;
    if (!durable)
        return;
    if (event->type == NX_EV_BULK_OPEN)
        nx_durable_bulk(durable, node->answer.stream, event->total, NULL, 0);
    else if (event->type == NX_EV_BULK_WRITE && node->answer.taken > 0)
        nx_durable_bulk(durable, event->stream, 0, event->bytes, node->answer.taken);
    else if (event->type == NX_EV_BULK_ABORT)
        nx_durable_bulk_aborted(durable, event->stream);
}

void sim_keep_ready(struct sim_node *node)
{
    if (!node->keeper) {
        nx_transfer_ready(node->transfer);
        return;
    }
    node->ready_waits = true;
    node->due = true;
}

bool sim_keep_holds(const struct sim_node *node)
{
    if (!node->keeper)
        return false;
    bool waits = (node->world->config->core.mutants & NX_MUTANT_ORDER_WAITS) &&
                 nx_core_durable(node->core, node->subgroup) < node->delivered;
    return waits || nx_group_disk_behind(&node->keeper->disk);
}

static void wake_for_disk(struct sim_node *node)
{
    const struct sim_keeper *k = node->keeper;
    nx_ns at = nx_durable_wake_at(k->disk.durable), now = node->world->now;
    for (unsigned i = 0; i < SIM_DISKS; i++)
        at = sim_disk_next(k->disks[i]) < at ? sim_disk_next(k->disks[i]) : at;
    if (at == NX_NEVER)
        return;
    at = at - k->base > now ? at - k->base : now + 1;
    if (node->disk_at > now && node->disk_at <= at)
        return; /* it is woken by then */
    node->disk_at = at;
    sim_events_add(&node->world->events, at, SIM_EVENT_DISK, false, node->rank, 0, 0);
}

static void note_durable(struct sim_node *node)
{
    nx_seq durable = nx_core_durable(node->core, node->subgroup);
    if (!node->serves || durable <= node->durable)
        return;
    node->durable = durable;
    sim_note(node->world, node->rank, SIM_DURABLE,
             (struct sim_record){
                 .sub = (uint8_t)node->subgroup, .shard = (uint8_t)node->shard, .seq = durable});
}

bool sim_keep_turn(struct sim_node *node)
{
    struct sim_keeper *k = node->keeper;
    if (!k)
        return false;
    struct nx_err err = {0};
    bool moved = false, again = true, busy = false;
    nx_ns now = k->base + node->world->now;
    for (int i = 0; again && i < PASSES_PER_TURN; i++) {
        advance_to(k, now);
        again = nx_group_disk_turn(&k->disk, node->core, &lives, node, now, &node->answer, &busy);
        moved |= again;
    }
    node->due |= busy;
    if (node->ready_waits && nx_durable_log_is_void(k->disk.durable)) {
        node->ready_waits = false;
        nx_transfer_ready(node->transfer);
        moved = true;
    }
    if (nx_durable_status(k->disk.durable, &err) != NX_OK)
        fail(node, err.status);
    note_durable(node);
    wake_for_disk(node);
    return moved;
}

void sim_keep_begins(struct sim_node *node)
{
    if (!node->keeper || !node->serves || node->lacks)
        return;
    sim_note(node->world, node->rank, SIM_BEGINS,
             (struct sim_record){
                 .sub = (uint8_t)node->subgroup,
                 .shard = (uint8_t)node->shard,
                 .id = node->world->config->core.spec.subgroups[node->subgroup].persistent,
                 .total = node->state.count,
                 .hash = node->state.hash});
}
