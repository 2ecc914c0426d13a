/* The frames that carry a view: of the first view, of a seat, of the view with the joiner. */
#include "group/fabric/boot_codec.h"

static_assert(NX_MEMBERS_MAX * (3 * 4 + 8 + 2 + 48 + NX_BOOT_CARD_BYTES_MAX) +
                      NX_SUBGROUPS_MAX * (1 + NX_SHARDS_MAX * 8) + NX_KEEPERS_MAX * 15 + 256 +
                      NX_BOOT_SEAL_BYTES_MAX <=
                  NX_BOOT_FRAME_MAX,
              "the largest view fits a frame, with its seal");

static void write_member(struct nx_writer *w, const struct nx_member *m,
                         const struct nx_fabric_card *card)
{
    nx_write_u32(w, m->node);
    nx_write_u32(w, m->subgroup);
    nx_write_u32(w, m->shard);
    nx_write_u64(w, m->since);
    nx_write_u16(w, m->gms_port);
    nx_boot_write_text(w, m->host);
    nx_boot_write_card(w, card);
}

/* Of each subgroup the shards up to the last that has delivered something. */
static void write_base(struct nx_writer *w, const struct nx_view *view)
{
    for (uint32_t g = 0; g < NX_SUBGROUPS_MAX; g++) {
        uint32_t count = NX_SHARDS_MAX;
        while (count > 0 && view->base[g][count - 1] == 0)
            count--;
        nx_write_u8(w, (uint8_t)count);
        for (uint32_t s = 0; s < count; s++)
            nx_write_u64(w, view->base[g][s]);
    }
}

static void write_keepers(struct nx_writer *w, const struct nx_view *view)
{
    nx_write_u8(w, (uint8_t)view->keepers_count);
    for (uint32_t i = 0; i < view->keepers_count; i++) {
        nx_write_u32(w, view->keepers[i].node);
        nx_write_u8(w, (uint8_t)view->keepers[i].subgroup);
        nx_write_u8(w, (uint8_t)view->keepers[i].shard);
        nx_write_u64(w, view->keepers[i].vid);
        nx_write_u8(w, view->keepers[i].late);
    }
}

size_t nx_boot_encode_view(enum nx_boot_kind kind, const struct nx_boot_view *boot,
                           uint8_t frame[NX_BOOT_FRAME_MAX])
{
    nx_assert(kind == NX_BOOT_VIEW || kind == NX_BOOT_SEAT || kind == NX_BOOT_WELCOME);
    const struct nx_view *view = &boot->view;
    struct nx_writer w;
    nx_boot_begin(&w, frame, kind);
    nx_write_u64(&w, boot->token);
    nx_write_u32(&w, boot->rank);
    nx_write_u32(&w, (uint32_t)boot->peers);
    nx_write_u64(&w, view->vid);
    nx_write_u64(&w, view->group_id[0]);
    nx_write_u64(&w, view->group_id[1]);
    nx_write_u32(&w, view->incarnation);
    nx_write_u64(&w, view->begun);
    nx_write_u8(&w, (uint8_t)view->members_count);
    nx_write_u32(&w, (uint32_t)view->vacant);
    nx_write_u32(&w, (uint32_t)view->stateless);
    for (nx_rankset left = nx_view_ranks(view); left; left &= left - 1) {
        unsigned r = (unsigned)__builtin_ctzll(left);
        write_member(&w, &view->members[r], &boot->cards[r]);
    }
    write_base(&w, view);
    write_keepers(&w, view);
    return nx_boot_finish(&w);
}

static bool read_member(struct nx_reader *r, nx_vid vid, struct nx_member *m,
                        struct nx_fabric_card *card)
{
    m->node = nx_read_u32(r);
    m->subgroup = nx_read_u32(r);
    m->shard = nx_read_u32(r);
    m->since = nx_read_u64(r);
    m->gms_port = nx_read_u16(r);
    if (!nx_boot_read_text(r, m->host, sizeof m->host) || !nx_boot_read_card(r, card))
        return false;
    if (m->subgroup >= NX_SUBGROUPS_MAX || m->since == 0 || m->since > vid ||
        (m->shard >= NX_SHARDS_MAX && m->shard != NX_SHARD_NONE))
        return false;
    m->address_bytes = card->address_bytes;
    memcpy(m->address, card->address, card->address_bytes);
    return true;
}

/* Who gets it stands in it; of a seat, nobody has it yet. Peers are members other than that. */
static bool read_head(struct nx_reader *r, enum nx_boot_kind kind, struct nx_boot_view *v)
{
    v->token = nx_read_u64(r);
    v->rank = nx_read_u32(r);
    v->peers = nx_read_u32(r);
    v->view.vid = nx_read_u64(r);
    v->view.group_id[0] = nx_read_u64(r);
    v->view.group_id[1] = nx_read_u64(r);
    v->view.incarnation = nx_read_u32(r);
    v->view.begun = nx_read_u64(r);
    v->view.members_count = nx_read_u8(r);
    v->view.vacant = nx_read_u32(r);
    v->view.stateless = nx_read_u32(r);
    if (r->bad || v->token == 0 || v->view.vid == 0 || v->view.vid > NX_VID_MAX ||
        v->view.begun > v->view.vid || v->view.members_count == 0 ||
        v->view.members_count > NX_MEMBERS_MAX || v->rank >= NX_MEMBERS_MAX)
        return false;
    nx_rankset ranks = nx_view_ranks(&v->view), all = NX_RANK_BIT(v->view.members_count) - 1;
    nx_rankset self = NX_RANK_BIT(v->rank);
    return ranks != 0 && ((ranks & self) == 0) == (kind == NX_BOOT_SEAT) &&
           !(v->view.vacant & ~all) && !(v->view.stateless & ~ranks) && !(v->peers & ~ranks) &&
           !(v->peers & self);
}

static bool read_base(struct nx_reader *r, struct nx_view *view)
{
    for (uint32_t g = 0; g < NX_SUBGROUPS_MAX; g++) {
        uint32_t count = nx_read_u8(r);
        if (r->bad || count > NX_SHARDS_MAX)
            return false;
        for (uint32_t s = 0; s < count; s++)
            view->base[g][s] = nx_read_u64(r);
        if (count > 0 && view->base[g][count - 1] == 0)
            return false;
    }
    return !r->bad;
}

static bool read_keepers(struct nx_reader *r, struct nx_view *view)
{
    uint32_t count = nx_read_u8(r);
    if (r->bad || count > NX_KEEPERS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct nx_keeper *k = &view->keepers[i];
        k->node = nx_read_u32(r);
        k->subgroup = nx_read_u8(r);
        k->shard = nx_read_u8(r);
        k->vid = nx_read_u64(r);
        uint8_t late = nx_read_u8(r);
        k->late = late == 1;
        if (k->subgroup >= NX_SUBGROUPS_MAX || k->shard >= NX_SHARDS_MAX || late > 1 ||
            k->vid == 0 || k->vid >= view->vid)
            return false;
    }
    view->keepers_count = count;
    return !r->bad;
}

enum nx_status nx_boot_decode_view(enum nx_boot_kind kind, const uint8_t *payload, size_t len,
                                   struct nx_boot_view *view, struct nx_err *err)
{
    struct nx_boot_view v;
    memset(&v, 0, sizeof v);
    struct nx_reader r;
    nx_reader_init(&r, payload, len);
    if (!read_head(&r, kind, &v))
        return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at its head");
    for (nx_rankset left = nx_view_ranks(&v.view); left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        if (!read_member(&r, v.view.vid, &v.view.members[i], &v.cards[i]))
            return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at member %u", i);
    }
    if (!read_base(&r, &v.view))
        return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at what was delivered");
    if (!read_keepers(&r, &v.view))
        return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at its keepers");
    if (nx_reader_left(&r) != 0 || r.bad)
        return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at its end");
    *view = v;
    return NX_OK;
}
