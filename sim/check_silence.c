/* Who was not heard, from what landed: the excuse for putting a live node out. */
#include "check.h"

#include "common/nx_assert.h"

#include <stdlib.h>

enum { PAUSES_MAX = 32, STALLS_MAX = 1024, SILENCES_MAX = 8192 };

struct pause {
    nx_ns from, until;
};

struct stall {
    unsigned from, to;
    struct pause when;
};

/* Node `at` heard nothing of node `of` for so long that at `from` it may have put it out. What its pauses cost it of that is
 * known but for a beat each: it may have known of the silence no sooner than at `due`. */
struct silence {
    unsigned at, of;
    nx_ns from, due, until;
    bool healed;  /* `of` was heard again at `until`; or there was nothing more to expect */
    bool whole;   /* of the full timeout: it cannot have been heard in time */
    size_t since; /* what is recorded after it may follow from it */
};

struct ears {
    struct sim_facts *facts;
    bool closed[SIM_NODES_MAX][SIM_NODES_MAX]; /* [at][of]: nothing is expected any more */
    /* nothing is expected yet: one of them comes later */
    bool foreign[SIM_NODES_MAX][SIM_NODES_MAX];
    nx_ns heard[SIM_NODES_MAX][SIM_NODES_MAX];
    uint64_t members[SIM_NODES_MAX]; /* of its view */
    struct silence silences[SILENCES_MAX];
    unsigned silences_count;
    struct pause pauses[SIM_NODES_MAX][PAUSES_MAX];
    unsigned pauses_count[SIM_NODES_MAX];
    struct stall stalls[STALLS_MAX];
    unsigned stalls_count;
};

/* The first record at this time or later. */
static size_t record_at(const struct sim_trace *trace, nx_ns time)
{
    size_t low = 0, high = trace->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (trace->records[middle].at < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static nx_ns overlap(const struct pause *pause, nx_ns from, nx_ns until)
{
    nx_ns begin = pause->from > from ? pause->from : from;
    nx_ns end = pause->until < until ? pause->until : until;
    return end > begin ? end - begin : 0;
}

/* How long of this time node `of` could not write, or its writes could not land at node `at`. A heart that does not beat
 * though it could is no excuse. */
static nx_ns hindered(const struct ears *ears, unsigned at, unsigned of, nx_ns from, nx_ns until)
{
    nx_ns sum = 0;
    for (unsigned i = 0; i < ears->pauses_count[of]; i++)
        sum += overlap(&ears->pauses[of][i], from, until);
    for (unsigned i = 0; i < ears->stalls_count; i++)
        if (ears->stalls[i].from == of && ears->stalls[i].to == at)
            sum += overlap(&ears->stalls[i].when, from, until);
    return sum;
}

/* A word is read before the last piece of its write has landed, sometimes: so nearly the timeout is enough. */
static nx_ns enough(const struct ears *ears)
{
    return ears->facts->limits->timeout_ns - ears->facts->limits->timeout_ns / 16;
}

/* A node that is late by less than a beat cannot know it: so much of each of its pauses counts. */
static nx_ns beat_of(const struct ears *ears)
{
    return ears->facts->limits->timeout_ns / 6;
}

static nx_ns excused(const struct ears *ears, unsigned at, nx_ns from, nx_ns until)
{
    nx_ns sum = 0, beat = beat_of(ears);
    for (unsigned i = 0; i < ears->pauses_count[at]; i++) {
        nx_ns shared = overlap(&ears->pauses[at][i], from, until);
        sum += shared > beat ? shared - beat : 0;
    }
    return sum;
}

/* When node `at`, which listens for so long from `heard` on, is through, if `lost` of each of
 * its pauses counts as listening. Pauses come in their order: one that begins before the end
 * moves it. */
static nx_ns listened(const struct ears *ears, unsigned at, nx_ns heard, nx_ns lost)
{
    nx_ns end = heard + enough(ears);
    for (unsigned i = 0; i < ears->pauses_count[at]; i++) {
        const struct pause *pause = &ears->pauses[at][i];
        nx_ns shared = pause->from < end ? overlap(pause, heard, pause->until) : 0;
        end += shared > lost ? shared - lost : 0;
    }
    return end;
}

static void give_up(struct sim_facts *facts, unsigned node, size_t at)
{
    if (at < facts->given_up[node])
        facts->given_up[node] = at;
}

static void note_silence(struct ears *ears, unsigned at, unsigned of, nx_ns now)
{
    struct sim_facts *facts = ears->facts;
    nx_ns heard = ears->heard[at][of], from = listened(ears, at, heard, beat_of(ears));
    size_t after = record_at(facts->trace, from);
    bool whole = now - heard - excused(ears, at, heard, now) >= facts->limits->timeout_ns;
    nx_assert(ears->silences_count < SILENCES_MAX);
    ears->silences[ears->silences_count++] = (struct silence){.at = at,
                                                              .of = of,
                                                              .from = from,
                                                              .due = listened(ears, at, heard, 0),
                                                              .until = now,
                                                              .whole = whole,
                                                              .since = after ? after - 1 : 0};
    facts->unlinked[at] |= UINT64_C(1) << of;
    facts->unlinked[of] |= UINT64_C(1) << at;
}

/* Between `heard` and `now` nothing of node `of` landed at node `at`. Whether that is a silence. */
static bool measure(struct ears *ears, unsigned at, unsigned of, nx_ns now)
{
    const struct sim_facts *facts = ears->facts;
    nx_ns heard = ears->heard[at][of];
    if (ears->closed[at][of] || ears->foreign[at][of] ||
        now - heard - excused(ears, at, heard, now) < enough(ears) ||
        hindered(ears, at, of, heard, now) < facts->limits->timeout_ns / 2)
        return false;
    note_silence(ears, at, of, now);
    return true;
}

/* Its link to `at` stood still for a while when it died: that cannot be told from its death. */
static void measure_dying(struct ears *ears, unsigned at, unsigned of, nx_ns now)
{
    nx_ns heard = ears->heard[at][of], half = ears->facts->limits->timeout_ns / 2;
    if (!ears->closed[at][of] && !ears->foreign[at][of] && now - heard >= half &&
        hindered(ears, at, of, heard, now) >= half / 3)
        note_silence(ears, at, of, now);
}

static void close_pair(struct ears *ears, unsigned a, unsigned b, nx_ns now)
{
    measure(ears, a, b, now);
    measure(ears, b, a, now);
    ears->closed[a][b] = ears->closed[b][a] = true;
}

static void close_node(struct ears *ears, unsigned node, nx_ns now)
{
    for (unsigned peer = 0; peer < SIM_NODES_MAX; peer++)
        close_pair(ears, node, peer, now);
}

/* Of who comes something is expected from the first view with it, or from its first word. */
static void expect(struct ears *ears, unsigned at, unsigned of, nx_ns now)
{
    if (ears->foreign[at][of])
        ears->heard[at][of] = now;
    ears->foreign[at][of] = false;
}

static void note_view(struct ears *ears, const struct sim_record *r)
{
    uint64_t gone = ears->members[r->node] & ~r->mask;
    for (unsigned peer = 0; peer < SIM_NODES_MAX; peer++) {
        if (gone >> peer & 1)
            close_pair(ears, r->node, peer, r->at);
        if (r->mask >> peer & 1)
            expect(ears, r->node, peer, r->at);
    }
    ears->members[r->node] = r->mask;
}

/* One that begins before the last is over makes it longer: no time counts twice. */
static void note_pause(struct ears *ears, const struct sim_record *r)
{
    unsigned *count = &ears->pauses_count[r->node];
    struct pause *last = *count ? &ears->pauses[r->node][*count - 1] : NULL;
    struct pause pause = {r->at, r->at + (nx_ns)r->total};
    if (last && pause.from < last->until) {
        last->until = pause.until > last->until ? pause.until : last->until;
        return;
    }
    nx_assert(*count < PAUSES_MAX);
    ears->pauses[r->node][(*count)++] = pause;
}

static void note_record(struct ears *ears, const struct sim_record *r)
{
    switch (r->kind) {
    case SIM_PAUSE: note_pause(ears, r); return;
    case SIM_STALL:
        nx_assert(ears->stalls_count < STALLS_MAX);
        ears->stalls[ears->stalls_count++] =
            (struct stall){r->node, r->peer, {r->at, r->at + (nx_ns)r->total}};
        return;
    case SIM_COLUMN:
        expect(ears, r->node, r->peer, r->at);
        if (measure(ears, r->node, r->peer, r->at))
            ears->silences[ears->silences_count - 1].healed = true;
        ears->heard[r->node][r->peer] = r->at;
        return;
    case SIM_COMES:
        for (unsigned peer = 0; peer < SIM_NODES_MAX; peer++)
            ears->foreign[r->node][peer] = ears->foreign[peer][r->node] = true;
        return;
    case SIM_VIEW: note_view(ears, r); return;
    case SIM_DOWN: /* who announced its leave is listened to until the view without it */
        if (!r->status)
            close_pair(ears, r->node, r->peer, r->at);
        return;
    case SIM_KILL: /* a link that stood still before will not be told from its death */
        for (unsigned peer = 0; peer < SIM_NODES_MAX; peer++)
            measure_dying(ears, peer, r->node, r->at);
        close_node(ears, r->node, r->at);
        return;
    case SIM_OUT:
    case SIM_LEFT: close_node(ears, r->node, r->at); return;
    default: return;
    }
}

/* Whether it is of one of these, and due at about this time. The other end; SIM_NOBODY if not. */
static unsigned other_end(const struct silence *silence, unsigned node, nx_ns due, nx_ns within)
{
    nx_ns apart = silence->due > due ? silence->due - due : due - silence->due;
    if (apart > within || (silence->at != node && silence->of != node))
        return SIM_NOBODY;
    return silence->at == node ? silence->of : silence->at;
}

/* Whether somebody of `ends` lost another than the node, or the node another than those. */
static bool lost_others(const struct ears *ears, unsigned node, uint64_t ends, nx_ns due)
{
    nx_ns within = 2 * ears->facts->limits->timeout_ns;
    for (unsigned i = 0; i < ears->silences_count; i++) {
        const struct silence *silence = &ears->silences[i];
        for (unsigned n = 0; n < ears->facts->nodes; n++) {
            unsigned other = other_end(silence, n, due, within);
            if (other == SIM_NOBODY)
                continue;
            if ((n == node && !(ends >> other & 1)) || ((ends >> n & 1) && other != node))
                return true;
        }
    }
    return false;
}

/* Another link of the host carried again while this one stood: it is this link that was broken. */
static bool outlasts(const struct ears *ears, const struct silence *silence,
                     const struct silence *other)
{
    bool same = (silence->at == other->at && silence->of == other->of) ||
                (silence->at == other->of && silence->of == other->at);
    return !same && other->healed &&
           silence->until > other->until + ears->facts->limits->timeout_ns / 24;
}

/* The node's links broke at this one time, so many that it has no majority, and about then their other ends lost nobody
 * else: nobody else is to go for this silence. Links that are found broken more than a quarter
 * of the timeout later are of another time: who judges has found what it sees for a twelfth, and
 * heard again whom it has to for a sixth. */
static bool is_silent_host(const struct ears *ears, unsigned node, const struct silence *silence)
{
    nx_ns within = ears->facts->limits->timeout_ns / 2;
    uint64_t ends = 0, mute = 0;
    for (unsigned i = 0; i < ears->silences_count; i++) {
        const struct silence *other = &ears->silences[i];
        unsigned end = other_end(other, node, silence->due, within);
        if (end == SIM_NOBODY || !other->whole ||
            other->due > silence->due + ears->facts->limits->timeout_ns / 4)
            continue;
        if (outlasts(ears, silence, other))
            return false;
        ends |= UINT64_C(1) << end;
        mute |= other->of == node ? UINT64_C(1) << end : 0;
    }
    unsigned linked = ears->facts->nodes - (unsigned)__builtin_popcountll(ends);
    return (ends & (ends - 1)) != 0 && ends == mute && 2 * linked <= ears->facts->nodes &&
           !lost_others(ears, node, ends, silence->due);
}

static void blame(struct ears *ears)
{
    for (unsigned i = 0; i < ears->silences_count; i++) {
        const struct silence *silence = &ears->silences[i];
        if (!is_silent_host(ears, silence->of, silence))
            give_up(ears->facts, silence->at, silence->since);
        if (!is_silent_host(ears, silence->at, silence))
            give_up(ears->facts, silence->of, silence->since);
    }
}

void sim_find_silence(struct sim_facts *facts)
{
    const struct sim_trace *trace = facts->trace;
    struct ears *ears = calloc(1, sizeof *ears);
    nx_assert(ears != NULL);
    ears->facts = facts;
    for (unsigned a = 0; a < SIM_NODES_MAX; a++)
        for (unsigned b = 0; b < SIM_NODES_MAX; b++)
            ears->closed[a][b] = a == b || a >= facts->nodes || b >= facts->nodes;
    for (size_t at = 0; at < trace->count; at++)
        note_record(ears, &trace->records[at]);
    nx_ns end = trace->count ? trace->records[trace->count - 1].at : 0;
    for (unsigned node = 0; node < facts->nodes; node++)
        close_node(ears, node, end);
    blame(ears);
    free(ears);
}
