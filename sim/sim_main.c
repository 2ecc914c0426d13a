/* sim_main.c — nexus-sim: runs seeds, judges each, and prints one line that replays what failed.
 *
 *   nexus-sim [--seed N | --seeds A..B] [--disks] [--mutant NAME] [--edit LIST] [--shrink] [--trace]
 *   nexus-sim --mutants [--within N]
 *   nexus-sim --list-mutants
 *
 * --disks skips the seeds of groups that keep nothing on disks.
 * --edit takes parts of what a seed draws away (sim_edit.h); --shrink looks for such a list that shows the same failure.
 * Exit code 0: every promise held (with --mutants: every mutant was caught), or --help; 1: not; 2: usage. */
#include "sim_seed.h"
#include "sim_shrink.h"

#include "common/log.h"
#include "common/nx_assert.h"
#include "group/core/mutants.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LAST_RECORDS = 40, CAUGHT_WITHIN = 10000, SHRINK_RUNS = 1000 };

static const struct mutant {
    const char *name;
    uint64_t bit;
    bool on_disks; /* only groups that keep something can show it */
} mutants[] = {
    {"deliver-at-received", NX_MUTANT_DELIVER_AT_RECEIVED, false},
    {"guard-before-payload", NX_MUTANT_GUARD_BEFORE_PAYLOAD, false},
    {"window-off-by-one", NX_MUTANT_WINDOW_OFF_BY_ONE, false},
    {"skip-guard-check", NX_MUTANT_SKIP_GUARD_CHECK, false},
    {"trim-max", NX_MUTANT_TRIM_MAX, false},
    {"view-before-wedge", NX_MUTANT_VIEW_BEFORE_WEDGE, false},
    {"evicted-writes", NX_MUTANT_EVICTED_WRITES, false},
    {"deaf-to-suspicion", NX_MUTANT_DEAF_TO_SUSPICION, false},
    {"anybody-proposes", NX_MUTANT_ANYBODY_PROPOSES, false},
    {"minority-goes-on", NX_MUTANT_MINORITY_GOES_ON, false},
    {"forgets-undelivered", NX_MUTANT_FORGETS_UNDELIVERED, false},
    {"seat-given-twice", NX_MUTANT_SEAT_GIVEN_TWICE, false},
    {"seat-not-cleared", NX_MUTANT_SEAT_NOT_CLEARED, false},
    {"stateless-adequate", NX_MUTANT_STATELESS_ADEQUATE, false},
    {"snapshot-before-trim", NX_MUTANT_SNAPSHOT_BEFORE_TRIM, false},
    {"leaves-with-the-state", NX_MUTANT_LEAVES_WITH_STATE, false},
    {"reads-past-plan", NX_MUTANT_READS_PAST_PLAN, false},
    {"resumes-blindly", NX_MUTANT_RESUMES_BLINDLY, false},
    {"wedged-heart-stops", NX_MUTANT_WEDGED_HEART_STOPS, false},
    {"ignores-lateness", NX_MUTANT_IGNORES_LATENESS, false},
    {"beats-when-idle", NX_MUTANT_BEATS_WHEN_IDLE, false},
    {"everybody-judges", NX_MUTANT_EVERYBODY_JUDGES, false},
    {"durable-alone", NX_MUTANT_DURABLE_ALONE, true},
    {"durable-uncertain", NX_MUTANT_DURABLE_UNCERTAIN, true},
    {"sync-skipped", NX_MUTANT_SYNC_SKIPPED, true},
    {"tail-believed", NX_MUTANT_TAIL_BELIEVED, true},
    {"minority-restarts", NX_MUTANT_MINORITY_RESTARTS, true},
    {"order-waits", NX_MUTANT_ORDER_WAITS, true},
};
enum { MUTANTS = sizeof mutants / sizeof *mutants };

struct options {
    uint64_t first, last;
    const struct mutant *mutant;
    bool trace, all_mutants, list, shrink, disks;
    uint64_t within;
    struct sim_edits edits;
};

static void draw(struct sim_config *config, uint64_t seed, const struct mutant *mutant,
                 const struct sim_edits *edits)
{
    sim_config_draw(config, seed, mutant ? mutant->bit : 0);
    if (edits)
        sim_edits_apply(edits, config);
}

/* What the seeds have exercised, to see that they do. */
struct tally {
    uint64_t kinds[SIM_KIND_COUNT];
};

static void print_records(const struct sim_trace *trace, size_t from, size_t to)
{
    for (size_t i = from; i < to && i < trace->count; i++)
        sim_record_print(&trace->records[i], stdout);
}

static void print_replay(const struct sim_config *config, const struct options *options,
                         const struct sim_edits *edits, const struct sim_verdict *verdict)
{
    printf("nexus-sim --seed %" PRIu64 "%s%s", config->seed, options->mutant ? " --mutant " : "",
           options->mutant ? options->mutant->name : "");
    if (edits->count) {
        fputs(" --edit ", stdout);
        sim_edits_print(edits, stdout);
    }
    printf(" # %s: %s\n", verdict->rule, verdict->text);
}

static void print_failure(const struct sim_config *config, const struct options *options,
                          const struct sim_edits *edits, const struct sim_trace *trace,
                          const struct sim_verdict *verdict)
{
    sim_config_print(config, stdout);
    size_t to = verdict->at < trace->count ? verdict->at + 1 : trace->count;
    if (!options->trace)
        print_records(trace, to > LAST_RECORDS ? to - LAST_RECORDS : 0, to);
    print_replay(config, options, edits, verdict);
}

/* The same failure with less around it, and the line that replays it. */
static void print_shrunk(const struct options *options, uint64_t seed, const char *rule,
                         struct sim_trace *trace)
{
    struct sim_edits edits = options->edits;
    struct sim_config config;
    struct sim_verdict verdict;
    draw(&config, seed, options->mutant, NULL);
    uint32_t runs = sim_shrink(&config, rule, SHRINK_RUNS, &edits, trace);
    sim_edits_apply(&edits, &config);
    (void)sim_seed_run(&config, trace, &verdict);
    printf("# shrunk in %u runs\n", runs);
    print_failure(&config, options, &edits, trace, &verdict);
}

static void count_kinds(struct tally *tally, const struct sim_trace *trace)
{
    for (size_t i = 0; i < trace->count; i++)
        tally->kinds[trace->records[i].kind]++;
}

static void print_tally(const struct tally *tally, uint64_t seeds)
{
    const uint64_t *k = tally->kinds;
    printf("%" PRIu64 " seeds held: %" PRIu64 " sends, %" PRIu64 " deliveries, %" PRIu64
           " bulks, %" PRIu64 " queries, %" PRIu64 " deaths, %" PRIu64 " leaves, %" PRIu64
           " views, %" PRIu64 " comers, %" PRIu64 " states, %" PRIu64 " cuts, %" PRIu64
           " writes, %" PRIu64 " waits for room, %" PRIu64 " outages, %" PRIu64
           " times durable, %" PRIu64 " replayed, %" PRIu64 " checkpoints restored, %" PRIu64
           " failed disks\n",
           seeds, k[SIM_SEND], k[SIM_DELIVER], k[SIM_BULK], k[SIM_QUERY], k[SIM_KILL], k[SIM_LEFT],
           k[SIM_VIEW], k[SIM_COMES], k[SIM_STATE], k[SIM_CUT], k[SIM_WRITE], k[SIM_FULL],
           k[SIM_OUTAGE], k[SIM_DURABLE], k[SIM_REPLAY], k[SIM_RESTORE], k[SIM_DISK]);
}

/* What makes two runs differ (a byte not set, an order by address) does so in many seeds: one in eight of a range is
 * enough to see it, and so is each that fails, since its line is to replay it. */
static bool run_one(const struct options *options, const struct sim_config *config,
                    struct sim_trace *trace, struct sim_verdict *verdict)
{
    enum { ONE_IN = 8 };
    bool alone = options->first == options->last;
    if (alone || config->seed % ONE_IN == 0)
        return sim_seed_run_twice(config, trace, verdict);
    return sim_seed_run(config, trace, verdict) || sim_seed_run_twice(config, trace, verdict);
}

static bool run_seeds(const struct options *options, struct sim_trace *trace)
{
    struct tally tally = {0};
    struct sim_config config;
    uint64_t seeds = 0, failed = 0;
    for (uint64_t seed = options->first; seed <= options->last; seed++) {
        struct sim_verdict verdict = {0};
        draw(&config, seed, options->mutant, &options->edits);
        if (options->disks && config.persist.lives == 0)
            continue;
        seeds++;
        if (options->trace)
            sim_config_print(&config, stdout);
        bool ok = run_one(options, &config, trace, &verdict);
        if (options->trace)
            print_records(trace, 0, trace->count);
        count_kinds(&tally, trace);
        if (ok)
            continue;
        print_failure(&config, options, &options->edits, trace, &verdict);
        if (options->shrink)
            print_shrunk(options, seed, verdict.rule, trace);
        fflush(stdout);
        if (options->mutant)
            return false;
        failed++;
    }
    print_tally(&tally, seeds - failed);
    if (failed)
        printf("%" PRIu64 " of %" PRIu64 " seeds failed\n", failed, seeds);
    return !failed;
}

/* What fails without the mutant, too, says nothing of it. */
static bool fails_anyway(uint64_t seed, struct sim_trace *trace)
{
    struct sim_config config;
    struct sim_verdict verdict;
    draw(&config, seed, NULL, NULL);
    return !sim_seed_run(&config, trace, &verdict);
}

static bool catch_mutant(const struct mutant *mutant, uint64_t within, struct sim_trace *trace)
{
    struct sim_config config;
    for (uint64_t seed = 1; seed <= within; seed++) {
        struct sim_verdict verdict = {0};
        draw(&config, seed, mutant, NULL);
        if (mutant->on_disks && config.persist.lives == 0)
            continue;
        if (sim_seed_run(&config, trace, &verdict) || fails_anyway(seed, trace))
            continue;
        printf("%-22s caught after %4" PRIu64 " seeds  # %s: %s\n", mutant->name, seed,
               verdict.rule, verdict.text);
        return true;
    }
    printf("%-22s survived %" PRIu64 " seeds\n", mutant->name, within);
    return false;
}

static bool catch_mutants(const struct options *options, struct sim_trace *trace)
{
    bool all = true;
    for (size_t i = 0; i < MUTANTS; i++)
        all &= catch_mutant(&mutants[i], options->within, trace);
    return all;
}

static void list_mutants(void)
{
    for (size_t i = 0; i < MUTANTS; i++)
        puts(mutants[i].name);
}

static bool parse_number(const char *text, uint64_t *number, const char **rest)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    *rest = end;
    return end != text && !errno && text[0] >= '0' && text[0] <= '9';
}

static bool parse_range(const char *text, struct options *options)
{
    const char *rest;
    return parse_number(text, &options->first, &rest) && strncmp(rest, "..", 2) == 0 &&
           parse_number(rest + 2, &options->last, &rest) && !*rest &&
           options->first <= options->last && options->last < UINT64_MAX;
}

static bool parse_single(const char *text, uint64_t *number)
{
    const char *rest;
    return parse_number(text, number, &rest) && !*rest && *number < UINT64_MAX;
}

static bool parse_mutant(const char *text, struct options *options)
{
    for (size_t i = 0; i < MUTANTS; i++)
        if (strcmp(mutants[i].name, text) == 0)
            options->mutant = &mutants[i];
    return options->mutant != NULL;
}

/* An option with its value; false if it is none, or its value is no good. */
static bool parse_pair(const char *name, const char *value, struct options *options)
{
    if (!value)
        return false;
    if (strcmp(name, "--seed") == 0) {
        bool ok = parse_single(value, &options->first);
        options->last = options->first;
        return ok;
    }
    if (strcmp(name, "--seeds") == 0)
        return parse_range(value, options);
    if (strcmp(name, "--mutant") == 0)
        return parse_mutant(value, options);
    if (strcmp(name, "--edit") == 0)
        return sim_edits_parse(&options->edits, value);
    return strcmp(name, "--within") == 0 && parse_single(value, &options->within);
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    *options = (struct options){.first = 1, .last = 100, .within = CAUGHT_WITHIN};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            options->trace = true;
        else if (strcmp(argv[i], "--mutants") == 0)
            options->all_mutants = true;
        else if (strcmp(argv[i], "--disks") == 0)
            options->disks = true;
        else if (strcmp(argv[i], "--list-mutants") == 0)
            options->list = true;
        else if (strcmp(argv[i], "--shrink") == 0)
            options->shrink = true;
        else if (!parse_pair(argv[i], argv[i + 1], options))
            return false;
        else
            i++;
    }
    return true;
}

static const char usage[] =
    "usage: nexus-sim [--seed N | --seeds A..B] [--disks] [--mutant NAME] [--edit LIST] "
    "[--shrink] [--trace]\n"
    "       nexus-sim --mutants [--within N]\n"
    "       nexus-sim --list-mutants\n";

/* Wherever it stands, as other options may be half written. */
static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* What nodes say of their disks: the trace has it. */
static void say_nothing(void *ctx, enum nx_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
}

int main(int argc, char **argv)
{
    struct options options;
    nx_log_set_sink(say_nothing, NULL);
    if (asks_help(argc, argv)) {
        fputs(usage, stdout);
        return 0;
    }
    if (!parse_options(argc, argv, &options)) {
        fputs(usage, stderr);
        return 2;
    }
    struct sim_trace trace;
    sim_trace_init(&trace);
    bool ok = true;
    if (options.list)
        list_mutants();
    else if (options.all_mutants)
        ok = catch_mutants(&options, &trace);
    else
        ok = run_seeds(&options, &trace);
    sim_trace_free(&trace);
    return ok ? 0 : 1;
}
