/* R1 and R2: what became of queries. A query is known at its asker by its cookie, at its replier
 * by a stream. */
#include "check.h"
#include "sim_map.h"

#include "common/nx_assert.h"

#include <inttypes.h>
#include <stdlib.h>

struct query {
    unsigned asker, peer;
    uint64_t cookie, total, hash;
    uint64_t offset; /* of the reply, so far */
    bool handed_over, matched, over, cancelled;
    bool gone; /* it is cancelled, and the one that was to answer it was told */
};

/* A query at the node that is to answer it. */
struct asked {
    unsigned node, peer;
    uint64_t offset, hash, reply_total, reply_hash;
    struct query *query;              /* once whole */
    bool whole, gone, replied, early; /* early: replied before it was whole */
};

struct court {
    const struct sim_facts *facts;
    struct query *queries;
    struct asked *asked;
    size_t queries_count, asked_count;
    struct sim_map by_cookie, by_stream; /* index + 1 */
};

static struct query *query_of(const struct court *court, const struct sim_record *r)
{
    const uint64_t *index = sim_map_find(&court->by_cookie, r->node, r->id);
    return index && *index ? &court->queries[*index - 1] : NULL;
}

static struct asked *asked_of(const struct court *court, const struct sim_record *r)
{
    const uint64_t *index = sim_map_find(&court->by_stream, r->node, r->id);
    return index && *index ? &court->asked[*index - 1] : NULL;
}

static bool asks(struct court *court, const struct sim_record *r, size_t at,
                 struct sim_verdict *verdict)
{
    bool fresh;
    (void)at;
    (void)verdict;
    if (r->status)
        return true;
    court->queries[court->queries_count++] =
        (struct query){.asker = r->node, .peer = r->peer, .cookie = r->id, .total = r->total};
    *sim_map_at(&court->by_cookie, r->node, r->id, &fresh) = court->queries_count;
    return true;
}

/* The query whose bytes these are: its asker has handed all of them over, and no other stream was
 * matched to it. */
static struct query *match(struct court *court, const struct asked *asked,
                           const struct sim_record *r)
{
    for (size_t i = 0; i < court->queries_count; i++) {
        struct query *q = &court->queries[i];
        if (q->asker == r->peer && q->peer == r->node && q->handed_over && !q->matched &&
            q->total == r->total && q->hash == asked->hash)
            return q;
    }
    return NULL;
}

static bool is_asked(struct court *court, const struct sim_record *r, size_t at,
                     struct sim_verdict *verdict)
{
    struct asked *asked = asked_of(court, r);
    if (!asked) {
        bool fresh;
        asked = &court->asked[court->asked_count++];
        *asked = (struct asked){.node = r->node, .peer = r->peer};
        *sim_map_at(&court->by_stream, r->node, r->id, &fresh) = court->asked_count;
    }
    if (asked->gone || asked->whole || asked->peer != r->peer || asked->offset != r->offset)
        return sim_find(verdict, "R2", at, "n%u was given bytes %" PRIu64 " of a query of n%u%s",
                        r->node, r->offset, r->peer,
                        asked->gone ? " that is gone" : " out of order");
    asked->offset += r->len;
    if (asked->offset < r->total)
        return true;
    asked->whole = true;
    asked->hash = r->hash;
    asked->query = match(court, asked, r);
    if (!asked->query)
        return sim_find(verdict, "R2", at,
                        "n%u was asked %" PRIu64 " bytes that n%u did not ask, or asked once only",
                        r->node, r->total, r->peer);
    asked->query->matched = true;
    return true;
}

static bool replies(struct court *court, const struct sim_record *r, size_t at,
                    struct sim_verdict *verdict)
{
    struct asked *asked = asked_of(court, r);
    (void)at;
    (void)verdict;
    if (!asked || r->status)
        return true;
    asked->replied = true;
    asked->early = !asked->whole;
    asked->reply_total = r->total;
    asked->reply_hash = r->hash;
    return true;
}

static bool was_replied(const struct court *court, const struct query *q,
                        const struct sim_record *r)
{
    for (size_t i = 0; i < court->asked_count; i++) {
        const struct asked *a = &court->asked[i];
        if (a->node == q->peer && a->peer == q->asker && a->replied &&
            (a->early || a->hash == q->hash) && a->reply_total == r->total &&
            a->reply_hash == r->hash)
            return true;
    }
    return false;
}

static bool is_answered(struct court *court, const struct sim_record *r, size_t at,
                        struct sim_verdict *verdict)
{
    struct query *q = query_of(court, r);
    if (!q || q->over)
        return sim_find(verdict, "R1", at,
                        "n%u was given a reply to query %" PRIx64 ", which is %s", r->node, r->id,
                        q ? "over" : "not its own");
    if (r->peer != q->peer || r->offset != q->offset)
        return sim_find(verdict, "R2", at,
                        "n%u was given bytes %" PRIu64 " of a reply where %" PRIu64 " was due",
                        r->node, r->offset, q->offset);
    q->offset += r->len;
    if (q->offset < r->total)
        return true;
    q->over = true;
    return was_replied(court, q, r) ||
           sim_find(verdict, "R2", at,
                    "n%u was given a reply to query %" PRIx64 " that n%u did not give", r->node,
                    r->id, r->peer);
}

static bool has_failed(struct court *court, const struct sim_record *r, size_t at,
                       struct sim_verdict *verdict)
{
    struct query *q = query_of(court, r);
    if (!q || q->over)
        return sim_find(verdict, "R1", at,
                        "n%u was told that query %" PRIx64 " failed, which is %s", r->node, r->id,
                        q ? "over" : "not its own");
    q->over = true;
    if (!sim_alive(court->facts, q->peer, at) || court->facts->leaving[q->peer] < at ||
        court->facts->leaving[r->node] < at || sim_given_up(court->facts, q->peer, at) ||
        sim_given_up(court->facts, r->node, at))
        return true;
    return sim_find(verdict, "R1", at,
                    "n%u was told that query %" PRIx64 " failed (%u), but n%u lives", r->node,
                    r->id, r->status, q->peer);
}

/* The asker has taken it back, and nothing was said of that yet. Which of several a half query
 * is, or one of those that have the same bytes, the trace does not tell: so each excuses one
 * that is gone. */
static bool is_taken_back(struct court *court, const struct asked *asked)
{
    for (size_t i = 0; i < court->queries_count; i++) {
        struct query *q = &court->queries[i];
        if (q->asker != asked->peer || q->peer != asked->node || !q->over)
            continue;
        if (!asked->whole)
            return true;
        if (q->cancelled && !q->gone && q->handed_over && q->total == asked->query->total &&
            q->hash == asked->query->hash) {
            q->gone = true;
            return true;
        }
    }
    return asked->whole && asked->query->over && !asked->query->cancelled;
}

static bool is_gone(struct court *court, const struct sim_record *r, size_t at,
                    struct sim_verdict *verdict)
{
    struct asked *asked = asked_of(court, r);
    if (!asked || asked->gone)
        return sim_find(verdict, "R1", at,
                        "n%u was told twice, or of nothing, that query %" PRIx64 " is gone",
                        r->node, r->id);
    asked->gone = true;
    unsigned asker = asked->peer;
    if (!sim_alive(court->facts, asker, at) || court->facts->leaving[asker] < at ||
        sim_given_up(court->facts, asker, at) || sim_given_up(court->facts, r->node, at) ||
        is_taken_back(court, asked))
        return true;
    return sim_find(verdict, "R1", at,
                    "n%u was told that a query of n%u is gone that it still waits for", r->node,
                    asker);
}

static bool judge_record(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    struct query *q = NULL;
    switch (r->kind) {
    case SIM_QUERY: return asks(court, r, at, verdict);
    case SIM_ASKED: return is_asked(court, r, at, verdict);
    case SIM_REPLY: return replies(court, r, at, verdict);
    case SIM_ANSWER: return is_answered(court, r, at, verdict);
    case SIM_FAILED: return has_failed(court, r, at, verdict);
    case SIM_GONE: return is_gone(court, r, at, verdict);
    case SIM_QUERY_END:
    case SIM_CANCEL: q = query_of(court, r); break;
    default: break;
    }
    if (q && r->kind == SIM_CANCEL)
        q->over = q->cancelled = true;
    if (q && r->kind == SIM_QUERY_END) {
        q->handed_over = true;
        q->hash = r->hash;
    }
    return true;
}

static bool all_are_over(const struct court *court, struct sim_verdict *verdict)
{
    size_t end = court->facts->trace->count;
    for (size_t i = 0; i < court->queries_count; i++) {
        const struct query *q = &court->queries[i];
        bool waits =
            (court->facts->blocked >> q->asker & 1) && !sim_alive(court->facts, q->peer, end);
        if (!q->over && sim_alive(court->facts, q->asker, end) && !waits)
            return sim_find(verdict, "R1", end,
                            "query %" PRIx64 " of n%u to n%u never had an outcome", q->cookie,
                            q->asker, q->peer);
    }
    return true;
}

bool check_p2p(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    struct court court = {.facts = facts};
    size_t queries = 1, asked = 1;
    for (size_t at = 0; at < facts->trace->count; at++) {
        queries += facts->trace->records[at].kind == SIM_QUERY;
        asked += facts->trace->records[at].kind == SIM_ASKED;
    }
    court.queries = calloc(queries, sizeof *court.queries);
    court.asked = calloc(asked, sizeof *court.asked);
    nx_assert(court.queries && court.asked);
    bool ok = true;
    for (size_t at = 0; ok && at < facts->trace->count; at++)
        ok = judge_record(&court, at, verdict);
    ok = ok && all_are_over(&court, verdict);
    sim_map_free(&court.by_cookie);
    sim_map_free(&court.by_stream);
    free(court.queries);
    free(court.asked);
    return ok;
}
