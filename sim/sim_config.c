#include "sim_config.h"

#include "common/prng.h"

#include <inttypes.h>
#include <string.h>

enum { PERSISTENT_ONE_IN = 10 };

static uint32_t between(struct nx_prng *prng, uint32_t low, uint32_t high)
{
    return (uint32_t)nx_prng_between(prng, low, high);
}

/* Uniform in the exponent: small values are as likely as large ones. */
static uint32_t scaled(struct nx_prng *prng, uint32_t low, uint32_t high)
{
    uint32_t value = low;
    while (value < high && nx_prng_chance(prng, 2, 3))
        value *= 2;
    return value < high ? value + (uint32_t)nx_prng_below(prng, value) : high;
}

static uint32_t power_of_two(struct nx_prng *prng, uint32_t low_bits, uint32_t high_bits)
{
    return 1u << between(prng, low_bits, high_bits);
}

static void draw_profile(struct sim_config *config, struct nx_prng *prng)
{
    static const struct {
        const char *name;
        struct nx_fabric_caps caps;
    } profiles[] = {
        {"tcp", {true, 1, true, true}},
        {"verbs", {true, 8, false, false}},
        {"verbs-torn", {true, 1, false, false}}, /* Soft-RoCE copying byte by byte */
        {"shm", {true, 8, false, false}},
    };
    size_t pick = nx_prng_below(prng, sizeof profiles / sizeof *profiles);
    config->profile = profiles[pick].name;
    config->core.caps = profiles[pick].caps;
}

static void draw_members(struct sim_config *config, struct nx_prng *prng)
{
    struct nx_group_spec *spec = &config->core.spec;
    config->nodes = nx_prng_chance(prng, 1, 3) ? 2 : between(prng, 1, 8);
    spec->subgroups_count = between(prng, 1, 3);
    for (uint32_t s = 0; s < spec->subgroups_count; s++) {
        struct nx_subgroup_spec *subgroup = &spec->subgroups[s];
        snprintf(subgroup->name, sizeof subgroup->name, "S%u", s);
        subgroup->num_shards = nx_prng_chance(prng, 2, 3) ? 1 : 2;
        subgroup->min_nodes = nx_prng_chance(prng, 2, 3) ? 1 : 2;
        subgroup->max_nodes = nx_prng_chance(prng, 4, 5) ? 8 : 3;
    }
    config->core.members_max = config->nodes + (nx_prng_chance(prng, 1, 3) ? 2 : 0);
    config->view = (struct nx_view){.vid = 1, .members_count = config->nodes};
    for (uint32_t n = 0; n < config->nodes; n++) {
        config->view.members[n].node = 10 + n;
        /* mostly one large subgroup: order needs company */
        config->view.members[n].subgroup =
            nx_prng_chance(prng, 2, 3) ? 0 : (uint32_t)nx_prng_below(prng, spec->subgroups_count);
    }
}

static void draw_sizes(struct sim_config *config, struct nx_prng *prng)
{
    bool tiny = nx_prng_chance(prng, 1, 2);
    config->core.mc_ring_bytes = power_of_two(prng, 12, tiny ? 12 : 16);
    config->core.p2p_ring_bytes = power_of_two(prng, 12, tiny ? 12 : 16);
    config->core.bulk_ring_bytes = power_of_two(prng, 12, tiny ? 12 : 16);
    if (nx_prng_chance(prng, 2, 3)) /* else large ones alone are relayed: none here */
        config->core.schedules = (struct nx_schedule_limits){
            .binomial_bytes = scaled(prng, 16, 16384), .chain_bytes = scaled(prng, 16, 16384)};
    config->small_max = scaled(prng, 16, 4096);
    config->bulk_max = scaled(prng, 64, 6 * config->core.bulk_ring_bytes);
    config->query_max = scaled(prng, 16, 6 * config->core.p2p_ring_bytes);
    if (config->bulk_max > 64 << 10)
        config->bulk_max = 64 << 10;
    if (config->query_max > 32 << 10)
        config->query_max = 32 << 10;
}

static void draw_load(struct sim_config *config, struct nx_prng *prng, uint32_t n)
{
    struct sim_load *load = &config->loads[n];
    uint32_t weights[] = {between(prng, 0, 12), between(prng, 0, 2), between(prng, 0, 6), 1, 1};
    memcpy(load->weights, weights, sizeof weights);
    load->ops = nx_prng_chance(prng, 1, 4) ? 0 : scaled(prng, 8, 300);
    load->gap_ns = nx_prng_chance(prng, 1, 3) ? 0 : scaled(prng, 1000, 400000);
    load->burst = nx_prng_chance(prng, 1, 3) ? 1 : scaled(prng, 2, 32);
    load->turn_ns = between(prng, 500, 4000);
    load->spins = nx_prng_chance(prng, 1, 2) ? 0 : between(prng, 1, 20);
}

static void draw_fabric(struct sim_config *config, struct nx_prng *prng)
{
    config->delay_min_ns = between(prng, 500, 5000);
    config->delay_max_ns = config->delay_min_ns + scaled(prng, 1000, 50000);
    uint32_t atomic = config->core.caps.atomic_unit;
    static const uint32_t units[] = {0, 1, 8, 64};
    config->unit_bytes = units[nx_prng_below(prng, 4)];
    if (config->unit_bytes && config->unit_bytes < atomic)
        config->unit_bytes = atomic;
    config->tear_percent = nx_prng_chance(prng, 1, 4) ? 0 : between(prng, 5, 70);
    config->tear_ns = scaled(prng, 500, 20000);
    config->lane_depth =
        nx_prng_chance(prng, 1, 2) ? NX_WRITES_PER_PEER : between(prng, NX_WRITES_PER_PEER + 1, 64);
}

static void add_fault(struct sim_config *config, struct nx_prng *prng, enum sim_fault_kind kind)
{
    if (config->faults_count == SIM_FAULTS_MAX)
        return;
    struct sim_fault *fault = &config->faults[config->faults_count++];
    *fault = (struct sim_fault){
        .kind = kind,
        .node = (nx_rank)nx_prng_below(prng, config->nodes),
        .peer = (nx_rank)nx_prng_below(prng, config->nodes),
        .at = nx_prng_between(prng, 1000, scaled(prng, 20000, 3000000)),
        .lasts_ns = nx_prng_between(prng, 1000, scaled(prng, 10000, 20000000)),
        .after_writes = (uint32_t)nx_prng_below(prng, 12),
        .notice_ns = scaled(prng, 2000, 5000000),
    };
    config->calm = false;
}

static void draw_faults(struct sim_config *config, struct nx_prng *prng)
{
    uint32_t mood = (uint32_t)nx_prng_below(prng, 10);
    config->calm = true;
    if (mood < 4)
        return;
    bool slow = mood != 4 && nx_prng_chance(prng, 1, 2);
    for (uint32_t n = 0; slow && n < config->nodes; n++)
        if (nx_prng_chance(prng, 1, 3)) {
            config->loads[n].turn_ns *= scaled(prng, 4, 200);
            config->calm = false;
        }
    for (uint32_t i = between(prng, 0, 6); i > 0; i--)
        add_fault(config, prng, nx_prng_chance(prng, 1, 2) ? SIM_FAULT_PAUSE : SIM_FAULT_STALL);
    if (mood >= 6)
        add_fault(config, prng, mood >= 8 ? SIM_FAULT_LEAVE : SIM_FAULT_KILL);
    if (mood == 7 || mood == 9)
        add_fault(config, prng, nx_prng_chance(prng, 1, 2) ? SIM_FAULT_LEAVE : SIM_FAULT_KILL);
    /* More of them, and close together, in a large group. */
    if (mood >= 6 && config->nodes > 4 && nx_prng_chance(prng, 1, 2)) {
        nx_ns first = config->faults[config->faults_count - 1].at;
        for (uint32_t i = between(prng, 1, 3); i > 0; i--) {
            add_fault(config, prng, nx_prng_chance(prng, 1, 4) ? SIM_FAULT_LEAVE : SIM_FAULT_KILL);
            if (nx_prng_chance(prng, 1, 2))
                config->faults[config->faults_count - 1].at =
                    first + nx_prng_between(prng, 0, 10 * config->delay_max_ns);
        }
    }
    if (mood >= 4 && nx_prng_chance(prng, 1, 6))
        add_fault(config, prng, SIM_FAULT_CUT);
}

/* A fabric may miss a death, if somebody who notices it stays to say so. */
static void draw_deafness(struct sim_config *config, struct nx_prng *prng)
{
    struct sim_fault *death = NULL;
    for (uint32_t i = 0; i < config->faults_count; i++) {
        if (config->faults[i].kind == SIM_FAULT_PAUSE || config->faults[i].kind == SIM_FAULT_STALL)
            continue;
        if (death || config->faults[i].kind == SIM_FAULT_CUT)
            return;
        death = &config->faults[i];
    }
    if (death)
        death->some_are_deaf = nx_prng_chance(prng, 1, 3);
}

static void draw_joins(struct sim_config *config, struct nx_prng *prng)
{
    config->load_ns = scaled(prng, 1000, 2000000);
    if (nx_prng_chance(prng, 1, 2))
        return;
    config->calm = false;
    config->comes = true;
    config->core.members_max += between(prng, 0, 2);
    for (uint32_t i = 0; i < config->faults_count; i++)
        if (config->faults[i].kind <= SIM_FAULT_LEAVE && nx_prng_chance(prng, 2, 3))
            config->faults[i].comes_back_ns =
                nx_prng_between(prng, 1000, scaled(prng, 2000, 2000000));
    for (uint32_t i = between(prng, 0, 3); i > 0; i--)
        add_fault(config, prng, SIM_FAULT_JOIN);
    /* Several at once: they want the same seat. */
    for (uint32_t i = 0; nx_prng_chance(prng, 1, 3) && i + 1 < config->faults_count; i++)
        if (config->faults[i].kind == SIM_FAULT_JOIN)
            config->faults[i].at = config->faults[config->faults_count - 1].at;
    config->murders_max = nx_prng_chance(prng, 1, 2) ? between(prng, 1, 3) : 0;
    config->rejoin_ns = nx_prng_chance(prng, 1, 2) ? nx_prng_between(prng, 1000, 1000000) : 0;
}

static struct sim_fault *add_silence(struct sim_config *config, struct nx_prng *prng,
                                     enum sim_fault_kind kind, nx_ns at)
{
    nx_ns timeout = config->core.timeout_ns;
    add_fault(config, prng, kind);
    struct sim_fault *fault = &config->faults[config->faults_count - 1];
    fault->at = at;
    fault->lasts_ns = timeout / 10 * scaled(prng, 1, 100);
    return fault;
}

/* One thing that goes wrong without a notice. The links of a LINKS fail and come back together. */
static void add_incident(struct sim_config *config, struct nx_prng *prng)
{
    enum { PAUSES, FREEZE, LINK, LINKS, HOST, DEATH, INCIDENTS };
    nx_ns at = nx_prng_between(prng, 1000, 3 * config->core.timeout_ns);
    uint32_t pick = (uint32_t)nx_prng_below(prng, INCIDENTS);
    uint32_t count = pick == PAUSES || pick == LINKS ? between(prng, 1, 4) : 1;
    nx_ns lasts = config->core.timeout_ns / 10 * scaled(prng, 1, 100);
    bool together = nx_prng_chance(prng, 1, 2);
    for (uint32_t i = 0; i < count; i++) {
        static const enum sim_fault_kind kinds[] = {SIM_FAULT_PAUSE, SIM_FAULT_FREEZE,
                                                    SIM_FAULT_PART,  SIM_FAULT_PART,
                                                    SIM_FAULT_HUSH,  SIM_FAULT_KILL};
        struct sim_fault *fault = add_silence(config, prng, kinds[pick], at);
        if (pick == LINKS || together)
            fault->lasts_ns = lasts;
        if ((pick == LINK || pick == LINKS) && nx_prng_chance(prng, 1, 3))
            fault->kind = SIM_FAULT_STALL;
        fault->unnoticed = pick == DEATH;
    }
}

/* Some work for several timeouts, of which many members hear nothing. */
static void draw_trickle(struct sim_config *config, bool asks)
{
    /* so sleep needs no word, which all would hear */
    config->core.caps.wakes_on_plain_write = true;
    for (uint32_t n = 0; n < config->nodes; n++) {
        struct sim_load *load = &config->loads[n];
        config->view.members[n].subgroup = n % config->core.spec.subgroups_count;
        load->ops = load->ops > 90 ? 90 : load->ops;
        load->burst = 1;
        load->gap_ns = config->core.timeout_ns / 9;
        load->weights[SIM_OP_LOAD] = load->weights[SIM_OP_BULK] = 0;
        load->weights[SIM_OP_QUERY] *= asks;
    }
}

/* A stream of its own, so that what else a seed draws does not depend on it. */
static void draw_silence(struct sim_config *config)
{
    struct nx_prng prng;
    nx_prng_init(&prng, config->seed ^ UINT64_C(0x6ea47));
    config->idle_ns = 2 * NX_SEC;
    if (nx_prng_chance(&prng, 1, 3))
        return;
    bool alone = config->faults_count == 0;
    config->core.timeout_ns = between(&prng, 10, 40) * NX_MS;
    config->idle_ns = 1200 * NX_MS; /* a leaver's patience ends within */
    if (nx_prng_chance(&prng, 1, 6))
        draw_trickle(config, nx_prng_chance(&prng, 1, 3));
    uint32_t incidents = nx_prng_chance(&prng, 1, 3) ? 0 : between(&prng, 1, 3);
    for (uint32_t i = 0; i < incidents && config->faults_count + 4 <= SIM_FAULTS_MAX; i++)
        add_incident(config, &prng);
    config->limits.one_incident = alone && incidents == 1;
}

/* Who learns of a death, of the change that follows and of the next death in which order: many orders, if some die
 * while they speak. A stream of its own, too. */
static void draw_change_deaths(struct sim_config *config)
{
    struct nx_prng prng;
    nx_prng_init(&prng, config->seed ^ UINT64_C(0xc4a2e));
    bool changes = false, misses = config->limits.one_incident;
    for (uint32_t i = 0; i < config->faults_count; i++) {
        changes |= config->faults[i].kind <= SIM_FAULT_LEAVE;
        misses |= config->faults[i].some_are_deaf; /* the one who is to say so may not die */
    }
    if (!changes || misses || config->nodes < 3 || !nx_prng_chance(&prng, 1, 2))
        return;
    config->change_deaths_max = between(&prng, 1, 3);
    config->change_notice_ns = scaled(&prng, 2000, 500000);
}

/* Who leaves while the state moves: the one that alone has it, several that have, who is given
 * it. A stream of its own, too. */
static void draw_partings(struct sim_config *config)
{
    struct nx_prng prng;
    nx_prng_init(&prng, config->seed ^ UINT64_C(0x1ea7e));
    if (config->comes && !config->limits.one_incident && nx_prng_chance(&prng, 1, 4))
        config->partings_max = between(&prng, 1, 3);
}

static void draw_full_disks(struct sim_persist *persist, struct nx_prng *prng)
{
    persist->full = nx_prng_chance(prng, 1, 3) ? UINT64_MAX : nx_prng_u64(prng);
    for (uint32_t life = 0; life < persist->lives; life++) {
        persist->full_from[life] = nx_prng_between(prng, 0, scaled(prng, 50000, 20000000));
        persist->full_for[life] = nx_prng_between(prng, 1000, scaled(prng, 50000, 500 * NX_MS));
    }
}

/* Nobody comes but after an outage: all keep what they have. */
static void draw_persistence(struct sim_config *config)
{
    struct nx_prng prng;
    struct sim_persist *persist = &config->persist;
    nx_prng_init(&prng, config->seed ^ UINT64_C(0xd15c));
    if (!nx_prng_chance(&prng, 1, PERSISTENT_ONE_IN))
        return;
    struct nx_group_spec *spec = &config->core.spec;
    for (uint32_t s = 0; s < spec->subgroups_count; s++)
        spec->subgroups[s].persistent = s == 0 || nx_prng_chance(&prng, 2, 3);
    persist->lives = between(&prng, 2, SIM_LIVES_MAX);
    persist->compact_bodies = nx_prng_chance(&prng, 1, 2) ? between(&prng, 2, 8) : 0;
    persist->rots = nx_prng_chance(&prng, 1, 6);
    for (uint32_t life = 0; life + 1 < persist->lives; life++) {
        persist->outage_at[life] = nx_prng_between(&prng, 1000, scaled(&prng, 50000, 20000000));
        persist->power[life] = nx_prng_chance(&prng, 2, 3);
    }
    persist->disk.latency_min_ns = 1000;
    persist->disk.latency_max_ns = scaled(&prng, 5000, 2000000);
    persist->disk.tail_ns = scaled(&prng, 100000, 20000000);
    persist->disk.tail_permille = nx_prng_chance(&prng, 1, 2) ? 50 : 0;
    persist->disk.enospc_permille = !config->calm && nx_prng_chance(&prng, 1, 5) ? 20 : 0;
    persist->disk.eio_permille = !config->calm && nx_prng_chance(&prng, 1, 5) ? 4 : 0;
    config->limits.full_ends = persist->disk.enospc_permille > 0;
    if (!config->calm && nx_prng_chance(&prng, 1, 3))
        draw_full_disks(persist, &prng);
    persist->disk.thin = nx_prng_chance(&prng, 1, 3);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < config->faults_count; i++)
        if (config->faults[i].kind != SIM_FAULT_JOIN) {
            config->faults[kept] = config->faults[i];
            config->faults[kept++].comes_back_ns = 0;
        }
    config->faults_count = kept;
    config->murders_max = config->partings_max = 0;
    config->rejoin_ns = 0;
    config->comes = config->limits.one_incident = false;
}

void sim_config_draw_life(struct sim_config *config, uint32_t life)
{
    struct nx_prng prng;
    bool calm = config->calm;
    nx_prng_init(&prng, config->seed ^ UINT64_C(0x11fe) << 32 ^ life);
    config->seed ^= (uint64_t)life << 48;
    if (life > 0) {
        struct sim_load loads[SIM_NODES_MAX]; /* who is slow is so in all lives, and no slower */
        memcpy(loads, config->loads, sizeof loads);
        config->faults_count = 0;
        if (!calm)
            draw_faults(config, &prng);
        memcpy(config->loads, loads, sizeof loads);
        config->calm = calm;
    }
    for (uint32_t i = 0; i < config->faults_count; i++) { /* of those who have come */
        config->faults[i].node %= config->nodes;
        config->faults[i].peer %= config->nodes;
    }
}

void sim_config_draw(struct sim_config *config, uint64_t seed, uint64_t mutants)
{
    struct nx_prng prng;
    nx_prng_init(&prng, seed);
    memset(config, 0, sizeof *config);
    config->seed = seed;
    config->core.mutants = mutants;
    draw_profile(config, &prng);
    draw_members(config, &prng);
    draw_sizes(config, &prng);
    for (uint32_t n = 0; n < config->nodes; n++)
        draw_load(config, &prng, n);
    draw_fabric(config, &prng);
    draw_faults(config, &prng);
    draw_deafness(config, &prng);
    draw_joins(config, &prng);
    draw_silence(config);
    draw_change_deaths(config);
    draw_partings(config);
    draw_persistence(config);
    nx_view_assign(NULL, &config->core.spec, &config->view);
    /* The worst that 250 calm seeds have shown is 8 hops; fifty milliseconds would be a lost
     * doorbell. */
    nx_ns hop = config->delay_max_ns + 8 * config->tear_ns;
    nx_ns timeout = config->core.timeout_ns;
    config->limits.deliver_ns = config->calm ? 200 * NX_US + 30 * hop : 0;
    config->limits.leave_ns = 250 * NX_MS; /* half of the patience: it is not to end by that */
    config->core.leave_held_ns = config->limits.held_ns = 500 * NX_MS;
    config->limits.idle_writes = 2 * 24; /* two seconds */
    config->limits.timeout_ns = timeout;
    if (timeout) /* six beats, a little early sometimes */
        config->limits.idle_writes += (uint64_t)(config->idle_ns * 8 / timeout);
}

static void print_fault(const struct sim_fault *fault, FILE *out)
{
    static const char *const names[] = {"kill", "leave", "pause",  "stall", "cut",
                                        "part", "hush",  "freeze", "join"};
    fprintf(out, "#   at %" PRId64 " ns %s n%u", fault->at, names[fault->kind], fault->node);
    if (fault->kind == SIM_FAULT_STALL || fault->kind == SIM_FAULT_CUT ||
        fault->kind == SIM_FAULT_PART)
        fprintf(out, " -> n%u", fault->peer);
    if (fault->kind == SIM_FAULT_JOIN)
        fprintf(out, "'s tier\n");
    else if (fault->kind >= SIM_FAULT_PAUSE)
        fprintf(out, " for %" PRId64 " ns\n", fault->lasts_ns);
    else
        fprintf(out,
                " after %u more writes, noticed%s within %" PRId64 " ns, back after %" PRId64
                " ns\n",
                fault->after_writes,
                fault->unnoticed       ? " by nobody"
                : fault->some_are_deaf ? " by some"
                                       : "",
                fault->notice_ns, fault->comes_back_ns);
}

static void print_persistence(const struct sim_persist *persist, FILE *out)
{
    fprintf(out,
            "#   disks: requests to %" PRId64 " ns, %u of 1000 %" PRId64
            " ns, %u without room%s, %u fail%s; %u lives\n",
            persist->disk.latency_max_ns, persist->disk.tail_permille, persist->disk.tail_ns,
            persist->disk.enospc_permille, persist->disk.thin ? " at the sync" : "",
            persist->disk.eio_permille, persist->rots ? ", bits flip" : "", persist->lives);
    for (uint32_t life = 0; persist->full && life < persist->lives; life++)
        fprintf(out,
                "#   life %u: disks of nodes %" PRIx64 " are full at %" PRId64 " ns for %" PRId64
                " ns\n",
                life, persist->full, persist->full_from[life], persist->full_for[life]);
    for (uint32_t life = 0; life + 1 < persist->lives; life++)
        fprintf(out, "#   life %u: all die at %" PRId64 " ns%s\n", life, persist->outage_at[life],
                persist->power[life] ? ", without power" : "");
}

void sim_config_print(const struct sim_config *config, FILE *out)
{
    const struct nx_core_config *core = &config->core;
    fprintf(out, "# seed %" PRIu64 ": %u nodes (of %u), %s, mutants %" PRIx64 "\n", config->seed,
            config->nodes, core->members_max, config->profile, core->mutants);
    if (core->timeout_ns)
        fprintf(out, "#   who is silent for %" PRId64 " ns is out\n", core->timeout_ns);
    for (uint32_t s = 0; s < core->spec.subgroups_count; s++)
        fprintf(out, "#   subgroup %u: %u shards of %u to %u\n", s,
                core->spec.subgroups[s].num_shards, core->spec.subgroups[s].min_nodes,
                core->spec.subgroups[s].max_nodes);
    fprintf(out,
            "#   rings: multicast %u, p2p %u, bulk %u; messages to %u, bulks to %u, queries to %u "
            "bytes\n",
            core->mc_ring_bytes, core->p2p_ring_bytes, core->bulk_ring_bytes, config->small_max,
            config->bulk_max, config->query_max);
    fprintf(out,
            "#   writes: %" PRId64 " to %" PRId64
            " ns, %u in flight, %u %% in pieces of %u up to %" PRId64 " ns apart\n",
            config->delay_min_ns, config->delay_max_ns, config->lane_depth, config->tear_percent,
            config->unit_bytes, config->tear_ns);
    for (uint32_t n = 0; n < config->nodes; n++)
        fprintf(out,
                "#   n%u: subgroup %u, %u operations, bursts of %u, gaps to %" PRId64
                " ns, turns to %" PRId64 " ns, %u spins\n",
                n, config->view.members[n].subgroup, config->loads[n].ops, config->loads[n].burst,
                config->loads[n].gap_ns, config->loads[n].turn_ns, config->loads[n].spins);
    if (config->partings_max)
        fprintf(out, "#   up to %u leave while the state of their shard moves\n",
                config->partings_max);
    if (config->change_deaths_max)
        fprintf(out, "#   up to %u die in a change, noticed within %" PRId64 " ns\n",
                config->change_deaths_max, config->change_notice_ns);
    if (config->persist.lives)
        print_persistence(&config->persist, out);
    for (uint32_t i = 0; i < config->faults_count; i++)
        print_fault(&config->faults[i], out);
}
