#include "group/durable/dur_restart.h"

#include "common/codec.h"
#include "common/nx_assert.h"

#include <stdio.h>
#include <string.h>

enum { OFFER_NOTE = 1, OFFER_LOG = 2, OFFER_FLAGS = 3 };

size_t nx_dur_offer_encode(const struct nx_dur_offer *offer, uint8_t *dst, size_t cap)
{
    struct nx_writer w;
    nx_writer_init(&w, dst, cap);
    nx_write_u8(&w,
                (uint8_t)((offer->has_note ? OFFER_NOTE : 0) | (offer->has_log ? OFFER_LOG : 0)));
    if (!offer->has_note)
        return nx_writer_used(&w);
    nx_write_u8(&w, offer->shard);
    nx_write_bytes(&w, offer->group_id, sizeof offer->group_id);
    nx_write_u64(&w, offer->log_vid);
    nx_write_u64(&w, offer->places);
    size_t head = nx_writer_used(&w);
    nx_assert(!w.bad);
    return head + nx_dur_note_encode(&offer->note, dst + head, cap - head);
}

enum nx_status nx_dur_offer_decode(const uint8_t *bytes, size_t len, struct nx_dur_offer *offer,
                                   struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    uint8_t flags = nx_read_u8(&r);
    offer->has_note = flags & OFFER_NOTE;
    offer->has_log = flags & OFFER_LOG;
    if (r.bad || flags > OFFER_FLAGS || (!offer->has_note && (offer->has_log || len > 1)))
        return nx_err_set(err, NX_CORRUPT, "what it says of its log is malformed at its head");
    if (!offer->has_note)
        return NX_OK;
    offer->shard = nx_read_u8(&r);
    const uint8_t *id = nx_read_bytes(&r, sizeof offer->group_id);
    offer->log_vid = nx_read_u64(&r);
    offer->places = nx_read_u64(&r);
    if (r.bad || (offer->shard >= NX_SHARDS_MAX && offer->shard != NX_DUR_NO_SHARD) ||
        offer->places > INT64_MAX >> 16)
        return nx_err_set(err, NX_CORRUPT, "what it says of its log is malformed");
    memcpy(offer->group_id, id, sizeof offer->group_id);
    size_t left = nx_reader_left(&r);
    return nx_dur_note_decode(nx_read_bytes(&r, left), left, &offer->note, err);
}

/* The offers, and the view that all begins with. */
struct scene {
    const struct nx_dur_offer *offers;
    uint32_t count, persistent;
    unsigned mutants;
    const struct nx_dur_view *basis;
    bool certain; /* the basis is; else it is a first view that nobody knows to be */
};

static void say_group(const uint8_t id[NX_DUR_GROUP_BYTES], char text[9])
{
    snprintf(text, 9, "%02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
}

enum nx_status nx_dur_same_group(const struct nx_dur_offer *here, const struct nx_dur_offer *comer,
                                 struct nx_err *err)
{
    char ours[9], theirs[9];
    if (!here->has_note || !comer->has_note ||
        memcmp(here->group_id, comer->group_id, NX_DUR_GROUP_BYTES) == 0)
        return NX_OK;
    say_group(here->group_id, ours);
    say_group(comer->group_id, theirs);
    return nx_err_set(err, NX_DENIED,
                      "node %u keeps the log of group %s…, node %u that of group %s…", comer->node,
                      theirs, here->node, ours);
}

/* --- the basis ------------------------------------------------------------------------------------------- */

/* The newest certain view; without any, the oldest first view of a node that was there when its group began. */
static void find_basis(struct scene *scene)
{
    for (uint32_t i = 0; i < scene->count; i++) {
        const struct nx_dur_note *note = &scene->offers[i].note;
        if (!scene->offers[i].has_note || note->count == 0)
            continue;
        const struct nx_dur_view *first = &note->views[0];
        bool better = !scene->basis || (note->certain && !scene->certain) ||
                      (note->certain ? first->vid > scene->basis->vid
                                     : !scene->certain && first->vid < scene->basis->vid);
        if ((note->certain || !note->away) && better) {
            scene->basis = first;
            scene->certain |= note->certain;
        }
    }
}

static const struct nx_dur_offer *offer_of(const struct scene *scene, nx_node node)
{
    for (uint32_t i = 0; i < scene->count; i++)
        if (scene->offers[i].node == node)
            return &scene->offers[i];
    return NULL;
}

struct tally {
    uint32_t all, here, blank; /* members with a note; members that came with a fresh disk */
};

static struct tally count_members(const struct scene *scene, const struct nx_dur_view *view)
{
    struct tally tally = {0, 0, 0};
    for (uint32_t i = 0; i < view->count; i++) {
        const struct nx_dur_offer *offer = offer_of(scene, view->members[i].node);
        if (view->members[i].keeper)
            continue;
        tally.all++;
        tally.here += offer && offer->has_note;
        tally.blank += offer && !offer->has_note;
    }
    return tally;
}

static bool has_quorum(const struct scene *scene, const struct nx_dur_view *view)
{
    struct tally tally = count_members(scene, view);
    if (scene->mutants & NX_DUR_MUTANT_MINORITY)
        return true;
    if (!scene->certain && tally.here + tally.blank == tally.all)
        return true; /* nothing was ever acknowledged, and nobody is left who could think otherwise */
    return 2 * tally.here > tally.all;
}

/* "node 2", "nodes 2, 5": the members that are missing, or come without their notes. */
static void say_missing(const struct scene *scene, const struct nx_dur_view *view, char *text,
                        size_t cap)
{
    struct tally tally = count_members(scene, view);
    const char *before = " ";
    size_t used = (size_t)snprintf(text, cap, "node%s", tally.all - tally.here == 1 ? "" : "s");
    for (uint32_t i = 0; i < view->count; i++) {
        const struct nx_dur_offer *offer = offer_of(scene, view->members[i].node);
        if ((offer && offer->has_note) || view->members[i].keeper)
            continue;
        int n = snprintf(text + used, cap - used, "%s%u%s", before, view->members[i].node,
                         offer ? " (its disk is empty)" : "");
        before = ", ";
        used += n > 0 && used + (size_t)n < cap ? (size_t)n : 0;
    }
}

/* Every view that must have a majority: the basis, and what is later in any note. */
static bool needs(const struct scene *scene, const struct nx_dur_view *view)
{
    return view == scene->basis || view->vid > scene->basis->vid;
}

/* The next view in the notes that must have a majority, after offer *i and its view *v; NULL: no more. */
static const struct nx_dur_view *next_needed(const struct scene *scene, uint32_t *i, uint32_t *v)
{
    for (; *i < scene->count; (*i)++, *v = 0) {
        const struct nx_dur_offer *offer = &scene->offers[*i];
        while (offer->has_note && *v < offer->note.count) {
            const struct nx_dur_view *view = &offer->note.views[(*v)++];
            if (needs(scene, view))
                return view;
        }
    }
    return NULL;
}

static bool check_quorums(const struct scene *scene, struct nx_dur_restart *restart)
{
    uint32_t i = 0, v = 0;
    const struct nx_dur_view *view;
    restart->complete = true;
    while ((view = next_needed(scene, &i, &v))) {
        struct tally tally = count_members(scene, view);
        char missing[NX_ERR_TEXT_BYTES - 96];
        say_missing(scene, view, missing, sizeof missing);
        if (tally.here < tally.all && restart->complete) {
            restart->complete = false;
            nx_err_set(&restart->why, NX_UNAVAILABLE, "waiting for %s of view %llu", missing,
                       (unsigned long long)view->vid);
        }
        if (has_quorum(scene, view))
            continue;
        nx_err_set(&restart->why, NX_UNAVAILABLE,
                   "waiting for %s of view %llu: %u of its %u members %s here, %u %s needed",
                   missing, (unsigned long long)view->vid, tally.here, tally.all,
                   tally.here == 1 ? "is" : "are", tally.all / 2 + 1,
                   tally.all == 1 ? "is" : "are");
        return false;
    }
    return true;
}

/* --- whose log ------------------------------------------------------------------------------------------- */

/* The newest view of its note in which the node had the shard's state; 0: none. */
static nx_vid stood_with_state(const struct nx_dur_offer *offer)
{
    for (uint32_t v = offer->note.count; v > 0; v--)
        if (nx_dur_keeps(&offer->note.views[v - 1], offer->node, offer->subgroup, offer->shard))
            return offer->note.views[v - 1].vid;
    return 0;
}

/* The view of its log's newest record, if that is of the basis' incarnation and not older: then the log holds all that
 * was delivered before the basis, and if it is newer, in it. Whoever came after the basis got the state then. */
static nx_vid logged(const struct scene *scene, const struct nx_dur_offer *offer)
{
    const struct nx_dur_member *m = nx_dur_find(scene->basis, offer->node);
    bool stands = m && m->subgroup == offer->subgroup && m->shard == offer->shard;
    uint64_t oldest = nx_dur_stamp(scene->basis->incarnation, scene->basis->vid);
    bool same = offer->log_vid >> 32 == oldest >> 32;
    bool late = offer->log_vid > oldest || (stands && offer->log_vid == oldest);
    return same && late ? (uint32_t)offer->log_vid : 0;
}

/* Whether its log holds all that was ever acknowledged in its shard. */
static bool holds_all(const struct scene *scene, const struct nx_dur_offer *offer)
{
    return offer->has_note && offer->has_log &&
           (nx_dur_keeps(scene->basis, offer->node, offer->subgroup, offer->shard) ||
            logged(scene, offer) != 0);
}

static nx_vid newest_stand(const struct scene *scene, const struct nx_dur_offer *offer)
{
    nx_vid noted = stood_with_state(offer), kept = logged(scene, offer);
    return noted > kept ? noted : kept;
}

static bool is_better(const struct scene *scene, const struct nx_dur_offer *offer,
                      const struct nx_dur_offer *best)
{
    nx_vid stood = newest_stand(scene, offer), best_stood = best ? newest_stand(scene, best) : 0;
    return !best || stood > best_stood || (stood == best_stood && offer->places > best->places);
}

static bool is_same_log(const struct nx_dur_offer *a, const struct nx_dur_offer *b)
{
    return a->log_vid == b->log_vid && a->places == b->places;
}

/* Somebody stood in the shard, so there is a log of it, here or elsewhere. */
static bool is_kept(const struct scene *scene, uint8_t subgroup, uint8_t shard)
{
    for (uint32_t i = 0; scene->certain && i < scene->basis->count; i++)
        if (scene->basis->members[i].subgroup == subgroup &&
            scene->basis->members[i].shard == shard)
            return true;
    return false;
}

static bool has_log(const struct scene *scene, const struct nx_dur_offer *offer)
{
    (void)scene;
    return offer->has_note && offer->has_log;
}

typedef bool may_be_truth(const struct scene *scene, const struct nx_dur_offer *offer);

static const struct nx_dur_offer *best_log(const struct scene *scene, uint8_t subgroup,
                                           uint8_t shard, may_be_truth *may)
{
    const struct nx_dur_offer *best = NULL;
    for (uint32_t i = 0; i < scene->count; i++) {
        const struct nx_dur_offer *offer = &scene->offers[i];
        if (offer->subgroup == subgroup && offer->shard == shard && may(scene, offer) &&
            is_better(scene, offer, best))
            best = offer;
    }
    return best;
}

/* A shard that nobody stood in has acknowledged nothing: any log of it will do, which its node has replayed. Who has none
 * begins with the empty state. */
static void choose_truth(const struct scene *scene, uint8_t subgroup, uint8_t shard,
                         struct nx_dur_restart *restart)
{
    may_be_truth *may = holds_all;
    const struct nx_dur_offer *best = best_log(scene, subgroup, shard, may);
    bool is_free = !best && !is_kept(scene, subgroup, shard);
    if (is_free)
        best = best_log(scene, subgroup, shard, may = has_log);
    restart->base[subgroup][shard] = best ? best->places : 0;
    for (uint32_t i = 0; i < scene->count; i++) {
        const struct nx_dur_offer *offer = &scene->offers[i];
        if (offer->subgroup == subgroup && offer->shard == shard)
            restart->places[i].has_state =
                best ? may(scene, offer) && is_same_log(offer, best) : is_free;
    }
}

/* Of each persistent shard of the basis, somebody with its state must have come; without anybody who ever had it there
 * is nothing to wait for. */
static bool check_shard(const struct scene *scene, uint8_t subgroup, uint8_t shard,
                        struct nx_dur_restart *restart)
{
    char missing[NX_ERR_TEXT_BYTES - 96] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < scene->count; i++)
        if (scene->offers[i].subgroup == subgroup && scene->offers[i].shard == shard &&
            holds_all(scene, &scene->offers[i]))
            return true;
    for (uint32_t i = 0; i < scene->basis->count; i++) {
        const struct nx_dur_member *m = &scene->basis->members[i];
        if (m->subgroup != subgroup || m->shard != shard || m->stateless)
            continue;
        int n =
            snprintf(missing + used, sizeof missing - used, "%s%u", used ? " or " : "", m->node);
        used += n > 0 && used + (size_t)n < sizeof missing ? (size_t)n : 0;
    }
    if (used == 0 || !scene->certain)
        return true;
    nx_err_set(&restart->why, NX_UNAVAILABLE,
               "waiting for node %s of view %llu, which keeps the log of shard %u", missing,
               (unsigned long long)scene->basis->vid, shard);
    return false;
}

static bool check_shards(const struct scene *scene, struct nx_dur_restart *restart)
{
    for (uint8_t g = 0; g < NX_SUBGROUPS_MAX; g++)
        for (uint8_t s = 0; s < NX_SHARDS_MAX && (scene->persistent >> g & 1); s++)
            if (!check_shard(scene, g, s, restart) && !(scene->mutants & NX_DUR_MUTANT_MINORITY))
                return false;
    return true;
}

/* --- the verdict ----------------------------------------------------------------------------------------- */

/* Who stood in a shard goes on there. */
static void choose_places(const struct scene *scene, struct nx_dur_restart *restart)
{
    for (uint32_t i = 0; i < scene->count; i++) {
        const struct nx_dur_offer *offer = &scene->offers[i];
        bool keeps_logs = scene->persistent >> offer->subgroup & 1;
        restart->places[i] = (struct nx_dur_place){NX_DUR_NO_SHARD, !keeps_logs};
        const struct nx_dur_view *newest = offer->has_note ? nx_dur_newest(&offer->note) : NULL;
        const struct nx_dur_member *m = newest ? nx_dur_find(newest, offer->node) : NULL;
        if (keeps_logs && offer->has_log)
            restart->places[i].shard = offer->shard;
        else if (m && m->subgroup == offer->subgroup)
            restart->places[i].shard = m->shard;
    }
    for (uint8_t g = 0; g < NX_SUBGROUPS_MAX; g++)
        for (uint8_t s = 0; s < NX_SHARDS_MAX && (scene->persistent >> g & 1); s++)
            choose_truth(scene, g, s, restart);
}

/* No group has seen so many that it could not have these, too. Whose disk says otherwise is not believed. */
enum { VIDS_LEFT = 1 << 20 };

/* Above all that any note or log holds. */
static bool number_view(const struct scene *scene, struct nx_dur_restart *restart)
{
    nx_node last = 0;
    for (uint32_t i = 0; i < scene->count; i++) {
        const struct nx_dur_offer *offer = &scene->offers[i];
        if (!offer->has_note)
            continue;
        memcpy(restart->group_id, offer->group_id, sizeof restart->group_id);
        const struct nx_dur_view *newest = nx_dur_newest(&offer->note);
        nx_vid seen = newest ? newest->vid : 0;
        nx_vid logged = (uint32_t)offer->log_vid;
        seen = logged > seen ? logged : seen;
        last = seen > restart->vid ? offer->node : last;
        restart->vid = seen > restart->vid ? seen : restart->vid;
    }
    if (++restart->vid <= NX_VID_MAX - VIDS_LEFT)
        return true;
    nx_err_set(&restart->why, NX_TOO_LARGE,
               "the disk of node %u tells of view %llu, and no group goes on from beyond %llu: "
               "without that disk it may begin again",
               last, (unsigned long long)restart->vid - 1,
               (unsigned long long)(NX_VID_MAX - VIDS_LEFT - 1));
    return false;
}

static bool nobody_has_a_note(const struct scene *scene)
{
    for (uint32_t i = 0; i < scene->count; i++)
        if (scene->offers[i].has_note)
            return false;
    return true;
}

void nx_dur_restart_decide(const struct nx_dur_offer *offers, uint32_t count, uint32_t persistent,
                           unsigned mutants, struct nx_dur_restart *restart)
{
    nx_assert(count <= NX_MEMBERS_MAX);
    struct scene scene = {
        .offers = offers, .count = count, .persistent = persistent, .mutants = mutants};
    memset(restart, 0, sizeof *restart);
    restart->verdict = NX_DUR_WAIT;
    if (nobody_has_a_note(&scene)) {
        restart->verdict = NX_DUR_NEW;
        restart->vid = 1;
        return;
    }
    find_basis(&scene);
    if (!scene.basis) {
        nx_err_set(&restart->why, NX_UNAVAILABLE,
                   "waiting for a node that was a member before those that have come");
        return;
    }
    if (!check_quorums(&scene, restart) || !check_shards(&scene, restart))
        return;
    if (!number_view(&scene, restart))
        return;
    restart->verdict = NX_DUR_START;
    choose_places(&scene, restart);
}
