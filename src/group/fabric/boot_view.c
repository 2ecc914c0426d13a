/* The frames that carry a view: of the first view, of a seat, of the view with the joiner. */
#include "group/fabric/boot_codec.h"

static_assert(NX_MEMBERS_MAX * (5 * 8 + 48 + 1 + 1 + NX_ADDRESS_BYTES + 16) +
                      NX_SUBGROUPS_MAX * NX_SHARDS_MAX * 8 + 256 <
                  NX_BOOT_FRAME_MAX,
              "the largest view fits a frame, with its seal");

static void write_member(struct nx_writer *w, const struct nx_member *m,
                         const struct nx_fabric_card *card)
{
    nx_write_u32(w, m->node);
    nx_write_u32(w, m->subgroup);
    nx_write_u32(w, m->shard);
    nx_write_u64(w, m->since);
    nx_write_u32(w, m->gms_port);
    nx_boot_write_text(w, m->host);
    nx_boot_write_card(w, card);
}

static bool read_member(struct nx_reader *r, struct nx_member *m, struct nx_fabric_card *card)
{
    m->node = nx_read_u32(r);
    m->subgroup = nx_read_u32(r);
    m->shard = nx_read_u32(r);
    m->since = nx_read_u64(r);
    if (!nx_boot_read_port(r, &m->gms_port) || !nx_boot_read_text(r, m->host, sizeof m->host) ||
        !nx_boot_read_card(r, card))
        return false;
    m->address_bytes = card->address_bytes;
    memcpy(m->address, card->address, card->address_bytes);
    return m->subgroup < NX_SUBGROUPS_MAX && (m->shard < NX_SHARDS_MAX || m->shard == NX_SHARD_NONE);
}

static void write_bases(struct nx_writer *w, const struct nx_view *view)
{
    for (uint32_t i = 0; i < NX_SUBGROUPS_MAX; i++)
        for (uint32_t k = 0; k < NX_SHARDS_MAX; k++)
            nx_write_u64(w, view->base[i][k]);
}

static void read_bases(struct nx_reader *r, struct nx_view *view)
{
    for (uint32_t i = 0; i < NX_SUBGROUPS_MAX; i++)
        for (uint32_t k = 0; k < NX_SHARDS_MAX; k++)
            view->base[i][k] = nx_read_u64(r);
}

size_t nx_boot_encode_view(enum nx_boot_kind kind, const struct nx_boot_view *v,
                           uint8_t frame[NX_BOOT_FRAME_MAX])
{
    nx_assert(kind == NX_BOOT_VIEW || kind == NX_BOOT_SEAT || kind == NX_BOOT_WELCOME);
    const struct nx_view *view = &v->view;
    struct nx_writer w;
    nx_boot_begin(&w, frame, kind);
    nx_write_u64(&w, v->token);
    nx_write_u32(&w, v->rank);
    nx_write_u64(&w, v->peers);
    nx_write_u64(&w, view->vid);
    nx_write_u64(&w, view->group_id[0]);
    nx_write_u64(&w, view->group_id[1]);
    nx_write_u8(&w, (uint8_t)view->members_count);
    nx_write_u64(&w, view->vacant);
    nx_write_u64(&w, view->stateless);
    for (nx_rank r = 0; r < view->members_count; r++)
        if (!(view->vacant & NX_RANK_BIT(r)))
            write_member(&w, &view->members[r], &v->cards[r]);
    write_bases(&w, view);
    return nx_boot_finish(&w);
}

/* Whom to connect to: members, and not oneself; of a seat, that rank is nobody yet. */
static bool head_fits(const struct nx_boot_view *v)
{
    const struct nx_view *view = &v->view;
    if (v->token == 0 || view->members_count == 0 || view->members_count > NX_MEMBERS_MAX ||
        v->rank >= NX_MEMBERS_MAX)
        return false;
    nx_rankset seats = NX_RANK_BIT(view->members_count) - 1;
    nx_rankset members = nx_view_ranks(view);
    return !(view->vacant & ~seats) && members != 0 && !(view->stateless & ~members) &&
           !(v->peers & ~(members & ~NX_RANK_BIT(v->rank)));
}

enum nx_status nx_boot_decode_view(const uint8_t *payload, size_t len, struct nx_boot_view *view,
                                   struct nx_err *err)
{
    struct nx_boot_view v;
    memset(&v, 0, sizeof v);
    struct nx_reader r;
    nx_reader_init(&r, payload, len);
    v.token = nx_read_u64(&r);
    v.rank = nx_read_u32(&r);
    v.peers = nx_read_u64(&r);
    v.view.vid = nx_read_u64(&r);
    v.view.group_id[0] = nx_read_u64(&r);
    v.view.group_id[1] = nx_read_u64(&r);
    v.view.members_count = nx_read_u8(&r);
    v.view.vacant = nx_read_u64(&r);
    v.view.stateless = nx_read_u64(&r);
    if (r.bad || !head_fits(&v))
        return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at its head");
    for (nx_rank rank = 0; rank < v.view.members_count; rank++)
        if (!(v.view.vacant & NX_RANK_BIT(rank)) &&
            !read_member(&r, &v.view.members[rank], &v.cards[rank]))
            return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at member %u", rank);
    read_bases(&r, &v.view);
    if (nx_reader_left(&r) != 0 || r.bad)
        return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at its end");
    *view = v;
    return NX_OK;
}
