/* The rules of dur_note.h and dur_restart.h against every way in which disks may be late and nodes may die: a model of
 * a group that orders records, changes its views, crashes and restarts, drawn at random, and one judge:
 *
 *   what was once acknowledged as durable is a prefix of every later history
 *   when all nodes have come, the group begins
 *
 * A group that anybody may restart shows that the judge sees. */
#include "common/prng.h"
#include "group/durable/dur_restart.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

enum { MUTANT_NOTED_BEFORE_KEPT = NX_DUR_MUTANT_MINORITY << 1 };
enum { NODES = 5, RECORDS = 400, VIEWS = 200, STEPS = 800, NOBODY = -1 };

struct view {
    uint32_t members, stateless, keepers; /* as it began */
    nx_vid vid, since;
    uint32_t incarnation;
    uint32_t base, count;      /* places: earlier views'; all that are stable */
    uint32_t history[RECORDS]; /* ids */
    uint32_t noted, certain;   /* who said so */
    uint32_t has_state;
    bool closed; /* a next view was installed */
};

struct node {
    bool up;
    int view; /* index; NOBODY: in none */
    uint32_t delivered, durable;
    uint32_t log[RECORDS];
    uint64_t stamps[RECORDS];      /* of each record, */
    uint64_t kept_stamp;           /* and of the newest one or checkpoint that is durable */
    struct nx_dur_note note, disk; /* in memory; on the disk */
    bool has_disk, has_log;
    bool is_void,
        writes; /* its log counts for nothing; a checkpoint of the state that it got is on its way there */
    uint32_t cut;       /* of the checkpoint: places, … */
    uint64_t cut_stamp; /* … and the view in which it was made */
};

struct world {
    struct nx_prng prng;
    unsigned mutants;
    uint32_t calm;  /* percent of the steps */
    uint32_t shard; /* the nodes that keep the log; the others only take part in views */
    struct node nodes[NODES];
    struct view views[VIEWS];
    int views_count;
    uint32_t ids, incarnations, acked_count, acked[RECORDS];
    const char *broken;
};

static uint32_t draw(struct world *w, uint32_t below)
{
    return (uint32_t)nx_prng_below(&w->prng, below);
}

static struct nx_dur_view shape(const struct world *w, const struct view *v)
{
    struct nx_dur_view shape = {.vid = v->vid, .since = v->since, .incarnation = v->incarnation};
    for (uint32_t n = 0; n < NODES; n++)
        if (v->members >> n & 1)
            shape.members[shape.count++] = (struct nx_dur_member){
                .node = n, .subgroup = !(w->shard >> n & 1), .stateless = v->stateless >> n & 1};
    for (uint32_t n = 0; n < NODES; n++)
        if (v->keepers >> n & 1)
            shape.members[shape.count++] = (struct nx_dur_member){.node = n, .keeper = true};
    return shape;
}

static void note_view(const struct world *w, struct node *node, const struct view *v, bool joins)
{
    struct nx_dur_view s = shape(w, v);
    node->note = node->disk;
    if (joins)
        (void)nx_dur_note_join(&node->note, &s);
    else
        (void)nx_dur_note_add(&node->note, &s);
}

static void judge_history(struct world *w, const struct view *v, uint32_t count)
{
    uint32_t both = count < w->acked_count ? count : w->acked_count;
    for (uint32_t i = 0; i < both; i++)
        if (v->history[i] != w->acked[i])
            w->broken = "a history differs from what was acknowledged";
}

static void order(struct world *w, struct view *v)
{
    if (!v->closed && v->count < RECORDS && v->has_state)
        v->history[v->count++] = ++w->ids;
}

static void deliver(struct world *w, struct node *n, uint32_t self)
{
    struct view *v = &w->views[n->view];
    if (!(v->has_state >> self & 1) || n->delivered >= v->count)
        return;
    n->log[n->delivered] = v->history[n->delivered];
    n->stamps[n->delivered++] = nx_dur_stamp(v->incarnation, v->vid);
}

static void flush(struct world *w, struct node *n)
{
    if (n->writes && draw(w, 8)) {
        return; /* a state is larger than a record */
    } else if (n->writes) {
        n->durable = n->cut;
        n->kept_stamp = n->cut_stamp;
        n->writes = n->is_void = false;
    } else if (n->delivered > n->durable) {
        n->durable += 1 + draw(w, n->delivered - n->durable);
        n->has_log = true;
        n->kept_stamp = n->stamps[n->durable - 1];
    }
}

static void write_note(struct world *w, struct node *n, uint32_t self)
{
    struct view *v = &w->views[n->view];
    const struct nx_dur_view *newest = nx_dur_newest(&n->note);
    bool keeps = w->shard >> self & 1; /* else there is no log to wait for */
    bool stateless = v->stateless >> self & 1;
    bool behind = keeps && !stateless && !n->writes && n->durable < v->base;
    if (!newest || newest->vid != v->vid || behind)
        return;
    n->disk = n->note;
    n->has_disk = true;
    n->has_log = w->shard >> self & 1;
    n->is_void |= keeps && !(v->has_state >> self & 1) && (v->members & ~v->stateless & w->shard);
    if (stateless || !n->writes || (w->mutants & MUTANT_NOTED_BEFORE_KEPT))
        v->noted |= 1u << self;
}

static void settle(struct world *w, struct node *n, uint32_t self)
{
    struct view *v = &w->views[n->view];
    bool may = v->certain || nx_dur_note_may_settle(&n->note);
    if (v->noted != v->members || !may || !(v->noted >> self & 1) || (v->certain >> self & 1))
        return;
    nx_dur_note_settle(&n->note);
    n->disk = n->note;
    v->certain |= 1u << self;
}

/* Members whose process has gone on to another view have said their last word of this one. */
static void acknowledge(struct world *w, struct view *v)
{
    uint32_t all = RECORDS;
    if (v->certain != v->members)
        return;
    for (uint32_t n = 0; n < NODES; n++) {
        const struct node *node = &w->nodes[n];
        bool has_state = (v->has_state | ~v->stateless) >> n & 1;
        if (!(v->members >> n & 1) || !(w->shard >> n & 1))
            continue;
        bool here = has_state && node->up && node->view >= 0 && &w->views[node->view] == v;
        uint32_t durable = here ? node->durable : 0;
        all = durable < all ? durable : all;
    }
    judge_history(w, v, all);
    for (uint32_t i = w->acked_count; i < all && all <= v->count; i++)
        w->acked[w->acked_count++] = v->history[i];
}

static void get_state(struct world *w, struct node *n, uint32_t self)
{
    struct view *v = &w->views[n->view];
    if (v->has_state == 0 || !((v->stateless & ~v->has_state) >> self & 1))
        return;
    memcpy(n->log, v->history, v->base * sizeof *n->log);
    n->delivered = n->cut = v->base;
    n->cut_stamp = nx_dur_stamp(v->incarnation, v->vid);
    n->durable = 0;
    n->has_log = n->is_void = n->writes = true;
    v->has_state |= 1u << self;
}

static void die(struct world *w, uint32_t n)
{
    w->nodes[n].up = false;
    w->nodes[n].view = NOBODY;
    w->nodes[n].writes = false;
}

static uint32_t weight(uint32_t set)
{
    return (uint32_t)__builtin_popcount(set);
}

static void enter(struct world *w, int index, uint32_t n, bool joins)
{
    struct node *node = &w->nodes[n];
    node->up = true;
    node->view = index;
    note_view(w, node, &w->views[index], joins);
}

/* Of those who are there, the leader knows which logs others can spare. */
static bool may_join(const struct world *w, const struct view *v, uint32_t leader, uint32_t n)
{
    struct nx_dur_view s = shape(w, v);
    const struct nx_dur_note *note = &w->nodes[leader].note;
    bool has_log = (w->shard >> n & 1) && w->nodes[n].has_log && !w->nodes[n].is_void;
    if (has_log && (nx_dur_newest(note)->vid != v->vid || !nx_dur_note_kept_without(note, n, 0, 0)))
        return false;
    s.vid++;
    return !w->nodes[n].has_disk || nx_dur_may_join(&w->nodes[n].disk, &s, NULL) == NX_OK;
}

/* Some live members of v, half of it at least and with those that come again a majority, install the next view. */
static void change(struct world *w, int index)
{
    struct view *v = &w->views[index];
    uint32_t going = 0, coming = 0;
    if (v->closed || w->views_count == VIEWS)
        return;
    for (uint32_t n = 0; n < NODES; n++)
        if (w->nodes[n].up && w->nodes[n].view == index && draw(w, 8))
            going |= 1u << n;
    for (uint32_t n = 0; going && n < NODES; n++)
        if (w->nodes[n].view != index && draw(w, 3) == 0 && !(coming & w->shard) &&
            may_join(w, v, (uint32_t)__builtin_ctz(going), n))
            coming |= 1u << n;
    if (2 * weight(going) < weight(v->members) ||
        2 * weight((going | coming) & v->members) <= weight(v->members))
        return;
    struct view *next = &w->views[w->views_count];
    *next = *v;
    next->vid++;
    next->members = going | coming;
    next->stateless = (coming | (v->stateless & ~v->has_state & going)) & w->shard;
    next->has_state = next->members & ~next->stateless & w->shard;
    next->keepers = next->has_state ? 0 : (v->members & ~v->stateless & w->shard) | v->keepers;
    next->base = v->count;
    next->noted = next->certain = 0;
    v->closed = true;
    for (uint32_t n = 0; n < NODES; n++) {
        if (going >> n & 1) {
            while (w->nodes[n].delivered < v->count && (v->has_state >> n & 1))
                deliver(w, &w->nodes[n], n);
            struct node before = w->nodes[n];
            enter(w, w->views_count, n, false);
            w->nodes[n].note = before.note; /* also what is not on the disk yet */
            struct nx_dur_view s = shape(w, next);
            (void)nx_dur_note_add(&w->nodes[n].note, &s);
        } else if (coming >> n & 1) {
            enter(w, w->views_count, n, true);
        }
    }
    w->views_count++;
}

static uint32_t offer_some(struct world *w, bool all, struct nx_dur_offer *offers)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < NODES; n++) {
        const struct node *node = &w->nodes[n];
        if (node->view != NOBODY || (!all && draw(w, 3) == 0))
            continue;
        offers[count] = (struct nx_dur_offer){.node = n, .has_note = node->has_disk};
        offers[count].subgroup = !(w->shard >> n & 1);
        offers[count].note = node->disk;
        offers[count].has_log = node->has_log && !node->is_void;
        offers[count].log_vid = node->kept_stamp;
        offers[count].places = node->durable;
        count++;
    }
    return count;
}

static void judge_restart(struct world *w, const struct view *v)
{
    if (v->base < w->acked_count)
        w->broken = "a restart lost what was acknowledged";
    judge_history(w, v, v->base);
}

/* Those who have come write the view into their notes; sometimes one dies meanwhile, and all start over. */
static void begin_again(struct world *w, const struct nx_dur_offer *offers, uint32_t count,
                        const struct nx_dur_restart *restart)
{
    struct view *v = &w->views[w->views_count];
    bool fails = draw(w, 4) == 0;
    *v = (struct view){.vid = restart->vid, .since = restart->vid, .base = restart->base[0][0]};
    v->incarnation = ++w->incarnations;
    v->count = v->base;
    for (uint32_t i = 0; i < count; i++) {
        v->members |= 1u << offers[i].node;
        v->stateless |= restart->places[i].has_state ? 0u : 1u << offers[i].node;
        if (restart->places[i].has_state && offers[i].has_log)
            memcpy(v->history, w->nodes[offers[i].node].log, sizeof v->history);
    }
    v->has_state = v->members & ~v->stateless & w->shard;
    judge_restart(w, v);
    for (uint32_t i = 0; i < count; i++) {
        struct node *node = &w->nodes[offers[i].node];
        if (fails && draw(w, 2))
            continue;
        if (node->is_void && restart->places[i].has_state) {
            node->durable = 0; /* an empty log */
            node->is_void = false;
        }
        node->delivered = node->durable;
        enter(w, w->views_count, offers[i].node, false);
        write_note(w, node, offers[i].node);
        if (fails)
            die(w, offers[i].node);
    }
    for (uint32_t i = 0; i < count && !fails; i++) {
        struct node *node = &w->nodes[offers[i].node];
        nx_dur_note_settle(&node->note); /* everybody has it in its note */
        if (draw(w, 2)) {
            node->disk = node->note;
            v->certain |= 1u << offers[i].node;
        }
    }
    w->views_count++;
}

static void restart(struct world *w)
{
    static struct nx_dur_offer offers[NODES];
    static struct nx_dur_restart restart;
    uint32_t count = offer_some(w, false, offers);
    if (count == 0 || w->views_count == VIEWS)
        return;
    nx_dur_restart_decide(offers, count, 1, w->mutants & NX_DUR_MUTANT_MINORITY, &restart);
    if (restart.verdict == NX_DUR_START)
        begin_again(w, offers, count, &restart);
}

static void all_come(struct world *w)
{
    static struct nx_dur_offer offers[NODES];
    static struct nx_dur_restart restart;
    for (uint32_t n = 0; n < NODES; n++)
        die(w, n);
    uint32_t count = offer_some(w, true, offers);
    nx_dur_restart_decide(offers, count, 1, 0, &restart);
    bool began = false; /* some view was certain */
    for (uint32_t i = 0; i < count; i++)
        began |= offers[i].note.certain;
    if (began && restart.verdict != NX_DUR_START)
        w->broken = "all nodes have come, and the group does not begin";
}

static void step(struct world *w)
{
    uint32_t self = draw(w, NODES);
    struct node *n = &w->nodes[self];
    uint32_t what = draw(w, 100);
    if (what < w->calm)
        what = 20 + draw(w, 80); /* nobody dies, nobody comes */
    if (what < 1)
        for (uint32_t i = 0; i < NODES; i++)
            die(w, i);
    else if (what < 3)
        die(w, self);
    else if (what < 11)
        restart(w);
    else if (n->view == NOBODY)
        return;
    else if (what < 20)
        change(w, n->view);
    else if (what < 28)
        order(w, &w->views[n->view]);
    else if (what < 46)
        deliver(w, n, self);
    else if (what < 56)
        flush(w, n);
    else if (what < 70)
        write_note(w, n, self);
    else if (what < 84)
        settle(w, n, self);
    else if (what < 88)
        get_state(w, n, self);
    else
        acknowledge(w, &w->views[n->view]);
}

static void begin(struct world *w, uint64_t seed, unsigned mutants)
{
    memset(w, 0, sizeof *w);
    nx_prng_init(&w->prng, seed);
    w->mutants = mutants;
    w->calm = draw(w, 90);
    w->views[0] = (struct view){.members = (1u << NODES) - 1, .vid = 1, .since = 1};
    w->shard =
        1u << draw(w, NODES) | 1u << draw(w, NODES) | (draw(w, 2) ? draw(w, 1u << NODES) : 0);
    w->views[0].has_state = w->shard;
    w->views_count = 1;
    for (uint32_t n = 0; n < NODES; n++) {
        enter(w, 0, n, false);
        write_note(w, &w->nodes[n], n); /* "in every note before it is installed anywhere" */
    }
    for (uint32_t n = 0; n < NODES; n++)
        nx_dur_note_settle(&w->nodes[n].note);
}

struct tally {
    uint64_t acked, restarts, views, broken;
};

static struct tally run(uint64_t first, uint64_t last, unsigned mutants)
{
    struct world *w = malloc(sizeof *w);
    struct tally tally = {0, 0, 0, 0};
    assert_non_null(w);
    for (uint64_t seed = first; seed <= last && tally.broken == 0; seed++) {
        begin(w, seed, mutants);
        for (uint32_t s = 0; s < STEPS && !w->broken; s++)
            step(w);
        if (!w->broken)
            all_come(w);
        if (w->broken && mutants == 0)
            fail_msg("seed %u: %s", (unsigned)seed, w->broken);
        if (w->broken)
            print_message("# seed %u: %s\n", (unsigned)seed, w->broken);
        tally.broken += w->broken != NULL;
        tally.acked += w->acked_count;
        tally.views += (uint64_t)w->views_count;
    }
    free(w);
    return tally;
}

static void what_was_acknowledged_stays(void **state)
{
    (void)state;
    struct tally tally = run(1, 20000, 0);
    print_message("# %u records acknowledged, %u views\n", (unsigned)tally.acked,
                  (unsigned)tally.views);
    assert_true(tally.acked > 20000);
}

static void a_minority_that_restarts_is_seen(void **state)
{
    (void)state;
    assert_true(run(1, 2000, NX_DUR_MUTANT_MINORITY).broken > 0);
}

/* A view is said to be in a note while the state that the node got is on its way to its disk. */
static void a_log_that_is_forgotten_is_seen(void **state)
{
    (void)state;
    assert_true(run(1, 20000, MUTANT_NOTED_BEFORE_KEPT).broken > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_stays),
        cmocka_unit_test(a_minority_that_restarts_is_seen),
        cmocka_unit_test(a_log_that_is_forgotten_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
