#include "group/durable/dur_note.h"

#include "common/codec.h"
#include "common/nx_assert.h"

#include <string.h>

enum { MEMBER_STATELESS = 1, MEMBER_KEEPER = 2, MEMBER_FLAGS = 3 };
enum { FLAG_CERTAIN = 1, FLAG_AWAY = 2, FLAG_VOID = 4, FLAGS_ALL = 7 };

const struct nx_dur_member *nx_dur_find(const struct nx_dur_view *view, nx_node node)
{
    for (uint32_t i = 0; i < view->count; i++)
        if (view->members[i].node == node && !view->members[i].keeper)
            return &view->members[i];
    return NULL;
}

static bool same_places(const struct nx_dur_view *a, const struct nx_dur_view *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct nx_dur_member *x = &a->members[i], *y = nx_dur_find(b, x->node);
        if (x->keeper ? !nx_dur_keeps(b, x->node, x->subgroup, x->shard)
                      : !y || x->subgroup != y->subgroup || x->shard != y->shard ||
                            x->stateless != y->stateless)
            return false;
    }
    return true;
}

static bool add(struct nx_dur_note *note, const struct nx_dur_view *view, uint32_t most)
{
    nx_assert(view->vid > 0 && view->count > 0 && view->count <= NX_DUR_MEMBERS_MAX);
    const struct nx_dur_view *newest = nx_dur_newest(note);
    if (newest && view->vid <= newest->vid)
        return false;
    bool newest_is_certain = note->certain && note->count == 1;
    if (newest && !newest_is_certain && same_places(newest, view)) {
        note->views[note->count - 1] = *view;
        return true;
    }
    if (note->count >= most)
        return false;
    note->views[note->count++] = *view;
    return true;
}

bool nx_dur_note_add(struct nx_dur_note *note, const struct nx_dur_view *view)
{
    return add(note, view, NX_DUR_VIEWS_LIVE_MAX);
}

bool nx_dur_note_begin(struct nx_dur_note *note, const struct nx_dur_view *view)
{
    return add(note, view, NX_DUR_VIEWS_MAX);
}

bool nx_dur_keeps(const struct nx_dur_view *view, nx_node node, uint8_t subgroup, uint8_t shard)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const struct nx_dur_member *m = &view->members[i];
        if (m->node == node && m->subgroup == subgroup && m->shard == shard && !m->stateless)
            return true;
    }
    return false;
}

enum nx_status nx_dur_may_join(const struct nx_dur_note *note, const struct nx_dur_view *view,
                               struct nx_err *err)
{
    const struct nx_dur_view *certain = note->certain ? &note->views[0] : NULL;
    if (!certain || certain->vid < view->since ||
        (certain->incarnation == view->incarnation && certain->vid < view->vid))
        return NX_OK;
    return nx_err_set(err, NX_DENIED,
                      "its disk holds view %llu of another part of the group, which was restarted "
                      "apart from this one (view %llu)",
                      (unsigned long long)certain->vid, (unsigned long long)view->vid);
}

/* A view of another incarnation that this one did not count in when it began: its members went another way, and it was
 * never certain. */
static bool is_disproved(const struct nx_dur_view *old, const struct nx_dur_view *view)
{
    return old->vid >= view->vid ||
           (old->incarnation != view->incarnation && old->vid >= view->since);
}

bool nx_dur_note_join(struct nx_dur_note *note, const struct nx_dur_view *view)
{
    uint32_t kept = note->certain;
    for (uint32_t i = kept; i < note->count; i++)
        if (!is_disproved(&note->views[i], view))
            note->views[kept++] = note->views[i];
    note->count = kept;
    note->away = true;
    return nx_dur_note_add(note, view);
}

uint32_t nx_dur_members(const struct nx_dur_view *view)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->count; i++)
        count += !view->members[i].keeper;
    return count;
}

static uint32_t common(const struct nx_dur_view *a, const struct nx_dur_view *b)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct nx_dur_member *in_b = nx_dur_find(b, a->members[i].node);
        count += !a->members[i].keeper && in_b && !in_b->keeper;
    }
    return count;
}

/* It came again, and its log is another. */
static bool lacked_state(const struct nx_dur_note *note, nx_node node)
{
    for (uint32_t v = 0; v < note->count; v++) {
        const struct nx_dur_member *m = nx_dur_find(&note->views[v], node);
        if (m && m->stateless)
            return true;
    }
    return false;
}

/* Somebody who keeps the shard in the newest view had its state in the certain one, and ever since. */
static bool is_kept(const struct nx_dur_note *note, uint8_t subgroup, uint8_t shard)
{
    const struct nx_dur_view *newest = nx_dur_newest(note);
    for (uint32_t i = 0; i < newest->count; i++) {
        const struct nx_dur_member *m = &newest->members[i];
        if (m->keeper && m->subgroup == subgroup && m->shard == shard &&
            nx_dur_keeps(&note->views[0], m->node, subgroup, shard) && !lacked_state(note, m->node))
            return true;
    }
    return false;
}

bool nx_dur_note_kept_without(const struct nx_dur_note *note, nx_node comer, uint8_t subgroup,
                              uint8_t shard)
{
    const struct nx_dur_view *newest = nx_dur_newest(note);
    bool somebody = false;
    for (uint32_t i = 0; newest && i < newest->count; i++) {
        const struct nx_dur_member *m = &newest->members[i];
        if (m->keeper || m->stateless || m->subgroup != subgroup || m->shard != shard)
            continue;
        somebody = true;
        if (m->node != comer && note->certain && !note->away &&
            nx_dur_keeps(&note->views[0], m->node, subgroup, shard) && !lacked_state(note, m->node))
            return true;
    }
    return !somebody;
}

static bool shards_are_kept(const struct nx_dur_note *note)
{
    const struct nx_dur_view *newest = nx_dur_newest(note);
    for (uint32_t i = 0; i < newest->count; i++) {
        const struct nx_dur_member *m = &newest->members[i];
        if (m->keeper && !is_kept(note, m->subgroup, m->shard))
            return false;
    }
    return true;
}

bool nx_dur_note_may_settle(const struct nx_dur_note *note)
{
    const struct nx_dur_view *newest = nx_dur_newest(note);
    if (!newest || note->away || !note->certain || !shards_are_kept(note))
        return false;
    for (uint32_t i = 0; i + 1 < note->count; i++)
        if (2 * common(&note->views[i], newest) < nx_dur_members(&note->views[i]))
            return false;
    return true;
}

void nx_dur_note_settle(struct nx_dur_note *note)
{
    nx_assert(note->count > 0);
    note->views[0] = note->views[note->count - 1];
    note->count = 1;
    note->certain = true;
    note->away = false;
}

size_t nx_dur_note_encode(const struct nx_dur_note *note, uint8_t *dst, size_t cap)
{
    struct nx_writer w;
    nx_writer_init(&w, dst, cap);
    nx_write_u8(&w, (uint8_t)((note->certain ? FLAG_CERTAIN : 0) | (note->away ? FLAG_AWAY : 0) |
                              (note->void_log ? FLAG_VOID : 0)));
    nx_write_u8(&w, (uint8_t)note->count);
    for (uint32_t i = 0; i < note->count; i++) {
        const struct nx_dur_view *view = &note->views[i];
        nx_write_u64(&w, view->vid);
        nx_write_u32(&w, view->incarnation);
        nx_write_u64(&w, view->since);
        nx_write_u8(&w, (uint8_t)view->count);
        for (uint32_t m = 0; m < view->count; m++) {
            nx_write_u32(&w, view->members[m].node);
            nx_write_u8(&w, view->members[m].subgroup);
            nx_write_u8(&w, view->members[m].shard);
            nx_write_u8(&w, (uint8_t)((view->members[m].stateless ? MEMBER_STATELESS : 0) |
                                      (view->members[m].keeper ? MEMBER_KEEPER : 0)));
        }
    }
    nx_assert(!w.bad);
    return nx_writer_used(&w);
}

static bool read_view(struct nx_reader *r, struct nx_dur_view *view)
{
    view->vid = nx_read_u64(r);
    view->incarnation = nx_read_u32(r);
    view->since = nx_read_u64(r);
    view->count = nx_read_u8(r);
    if (r->bad || view->vid == 0 || view->vid > NX_VID_MAX || view->since > view->vid ||
        view->count == 0 || view->count > NX_DUR_MEMBERS_MAX)
        return false;
    for (uint32_t i = 0; i < view->count; i++) {
        struct nx_dur_member member = {.node = nx_read_u32(r)};
        member.subgroup = nx_read_u8(r);
        member.shard = nx_read_u8(r);
        uint8_t flags = nx_read_u8(r);
        member.stateless = flags & MEMBER_STATELESS;
        member.keeper = flags & MEMBER_KEEPER;
        bool placed = member.shard < NX_SHARDS_MAX || member.shard == NX_DUR_NO_SHARD;
        bool twice = false;
        for (uint32_t m = 0; m < i; m++)
            twice |= view->members[m].node == member.node && !view->members[m].keeper;
        if (r->bad || (twice && !member.keeper) || member.subgroup >= NX_SUBGROUPS_MAX || !placed ||
            flags > MEMBER_FLAGS)
            return false;
        view->members[i] = member;
    }
    return nx_dur_members(view) > 0 && nx_dur_members(view) <= NX_MEMBERS_MAX;
}

enum nx_status nx_dur_note_decode(const uint8_t *bytes, size_t len, struct nx_dur_note *note,
                                  struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    memset(note, 0, sizeof *note);
    uint8_t flags = nx_read_u8(&r);
    note->certain = flags & FLAG_CERTAIN;
    note->away = flags & FLAG_AWAY;
    note->void_log = flags & FLAG_VOID;
    note->count = nx_read_u8(&r);
    if (r.bad || flags > FLAGS_ALL || note->count > NX_DUR_VIEWS_MAX ||
        (note->certain && note->count == 0))
        return nx_err_set(err, NX_CORRUPT, "the view note is malformed at its head");
    for (uint32_t i = 0; i < note->count; i++) {
        struct nx_dur_view *view = &note->views[i];
        if (read_view(&r, view) && (i == 0 || view->vid > note->views[i - 1].vid))
            continue;
        if (!r.bad && view->vid > NX_VID_MAX)
            return nx_err_set(
                err, NX_CORRUPT, "view %u of %u in the view note has the number %llu: at most %llu",
                i + 1, note->count, (unsigned long long)view->vid, (unsigned long long)NX_VID_MAX);
        return nx_err_set(err, NX_CORRUPT, "the view note is malformed at view %u of %u", i + 1,
                          note->count);
    }
    if (r.bad || nx_reader_left(&r) != 0)
        return nx_err_set(err, NX_CORRUPT, "the view note is malformed at its end");
    return NX_OK;
}
