#include "group/fabric/boot_wire.h"

#include "common/codec.h"
#include "common/nx_assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAGIC = 0x3162786e }; /* "nxb1" */

static void begin(struct nx_writer *w, uint8_t *frame, enum nx_boot_kind kind)
{
    nx_writer_init(w, frame, NX_BOOT_FRAME_MAX);
    nx_write_u32(w, 0);
    nx_write_u8(w, (uint8_t)kind);
}

static size_t finish(struct nx_writer *w)
{
    nx_assert(!w->bad); /* every frame's bound is below NX_BOOT_FRAME_MAX */
    size_t used = nx_writer_used(w);
    struct nx_writer head;
    nx_writer_init(&head, w->start, 4);
    nx_write_u32(&head, (uint32_t)(used - 4));
    return used;
}

static void write_text(struct nx_writer *w, const char *text)
{
    size_t len = strlen(text);
    nx_assert(len <= 255);
    nx_write_u8(w, (uint8_t)len);
    nx_write_bytes(w, text, len);
}

/* Text that fits in `cap` with its NUL and is printable: it goes into log lines and answers. */
static bool read_text(struct nx_reader *r, char *text, size_t cap)
{
    size_t len = nx_read_u8(r);
    const uint8_t *bytes = nx_read_bytes(r, len);
    if (!bytes || len >= cap)
        return false;
    for (size_t i = 0; i < len; i++)
        if (bytes[i] < 0x20 || bytes[i] > 0x7e)
            return false;
    memcpy(text, bytes, len);
    text[len] = '\0';
    return true;
}

static void write_card(struct nx_writer *w, const struct nx_fabric_card *card)
{
    nx_write_u8(w, (uint8_t)card->address_bytes);
    nx_write_bytes(w, card->address, card->address_bytes);
    nx_write_u64(w, card->region_base);
    nx_write_u64(w, card->region_key);
}

static bool read_card(struct nx_reader *r, struct nx_fabric_card *card)
{
    memset(card, 0, sizeof *card);
    size_t len = nx_read_u8(r);
    const uint8_t *bytes = nx_read_bytes(r, len);
    if (!bytes || len == 0 || len > sizeof card->address)
        return false;
    card->address_bytes = (uint32_t)len;
    memcpy(card->address, bytes, len);
    card->region_base = nx_read_u64(r);
    card->region_key = nx_read_u64(r);
    return !r->bad;
}

static void write_spec(struct nx_writer *w, const struct nx_group_spec *spec)
{
    nx_write_u8(w, (uint8_t)spec->subgroups_count);
    for (uint32_t i = 0; i < spec->subgroups_count; i++) {
        write_text(w, spec->subgroups[i].name);
        nx_write_u32(w, spec->subgroups[i].num_shards);
        nx_write_u32(w, spec->subgroups[i].min_nodes);
        nx_write_u32(w, spec->subgroups[i].max_nodes);
        nx_write_u8(w, spec->subgroups[i].persistent);
    }
}

static bool read_spec(struct nx_reader *r, struct nx_group_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->subgroups_count = nx_read_u8(r);
    if (r->bad || spec->subgroups_count > NX_SUBGROUPS_MAX)
        return false;
    for (uint32_t i = 0; i < spec->subgroups_count; i++) {
        struct nx_subgroup_spec *s = &spec->subgroups[i];
        if (!read_text(r, s->name, sizeof s->name))
            return false;
        s->num_shards = nx_read_u32(r);
        s->min_nodes = nx_read_u32(r);
        s->max_nodes = nx_read_u32(r);
        uint8_t persistent = nx_read_u8(r);
        if (persistent > 1)
            return false;
        s->persistent = persistent == 1;
    }
    return !r->bad;
}

size_t nx_boot_encode_hello(const struct nx_boot_hello *hello, uint8_t frame[NX_BOOT_FRAME_MAX])
{
    struct nx_writer w;
    begin(&w, frame, NX_BOOT_HELLO);
    nx_write_u32(&w, MAGIC);
    nx_write_u32(&w, hello->version);
    nx_write_u64(&w, hello->layout_hash);
    nx_write_u32(&w, hello->members_max);
    nx_write_u32(&w, hello->first_view_nodes);
    write_text(&w, hello->provider);
    write_spec(&w, &hello->spec);
    nx_write_u32(&w, hello->node);
    nx_write_u32(&w, hello->subgroup);
    nx_write_u16(&w, hello->gms_port);
    write_text(&w, hello->host);
    write_card(&w, &hello->card);
    return finish(&w);
}

size_t nx_boot_encode_refused(const char *why, uint8_t frame[NX_BOOT_FRAME_MAX])
{
    struct nx_writer w;
    begin(&w, frame, NX_BOOT_REFUSED);
    nx_write_bytes(&w, why, strnlen(why, NX_ERR_TEXT_BYTES));
    return finish(&w);
}

static void write_member(struct nx_writer *w, const struct nx_member *m,
                         const struct nx_fabric_card *card)
{
    nx_write_u32(w, m->node);
    nx_write_u32(w, m->subgroup);
    nx_write_u32(w, m->shard);
    nx_write_u64(w, m->since);
    nx_write_u16(w, m->gms_port);
    write_text(w, m->host);
    write_card(w, card);
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

size_t nx_boot_encode_view(const struct nx_boot_view *boot, uint8_t frame[NX_BOOT_FRAME_MAX])
{
    const struct nx_view *view = &boot->view;
    struct nx_writer w;
    begin(&w, frame, NX_BOOT_VIEW);
    nx_write_u64(&w, boot->token);
    nx_write_u32(&w, boot->rank);
    nx_write_u64(&w, view->vid);
    nx_write_u64(&w, view->group_id[0]);
    nx_write_u64(&w, view->group_id[1]);
    nx_write_u8(&w, (uint8_t)view->members_count);
    nx_write_u32(&w, (uint32_t)view->vacant);
    nx_write_u32(&w, (uint32_t)view->stateless);
    for (nx_rankset left = nx_view_ranks(view); left; left &= left - 1) {
        unsigned r = (unsigned)__builtin_ctzll(left);
        write_member(&w, &view->members[r], &boot->cards[r]);
    }
    write_base(&w, view);
    return finish(&w);
}

size_t nx_boot_encode(enum nx_boot_kind kind, const uint8_t *payload, size_t len,
                      uint8_t frame[NX_BOOT_FRAME_MAX])
{
    struct nx_writer w;
    begin(&w, frame, kind);
    nx_write_bytes(&w, payload, len);
    return finish(&w);
}

size_t nx_boot_encode_empty(enum nx_boot_kind kind, uint8_t frame[NX_BOOT_FRAME_MAX])
{
    return nx_boot_encode(kind, (const uint8_t *)"", 0, frame);
}

enum nx_status nx_boot_find_frame(const uint8_t *bytes, size_t len, enum nx_boot_kind *kind,
                                  const uint8_t **payload, size_t *payload_len, struct nx_err *err)
{
    if (len < NX_BOOT_HEAD_BYTES)
        return NX_AGAIN;
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    uint32_t follow = nx_read_u32(&r);
    uint8_t what = nx_read_u8(&r);
    if (follow < 1 || follow > NX_BOOT_FRAME_MAX - 4)
        return nx_err_set(err, NX_CORRUPT, "a frame of %u bytes, expected 1 to %d", follow,
                          NX_BOOT_FRAME_MAX - 4);
    if (what < NX_BOOT_HELLO || what >= NX_BOOT_KINDS_END)
        return nx_err_set(err, NX_CORRUPT, "a frame of kind %u, expected %d to %d", what,
                          NX_BOOT_HELLO, NX_BOOT_KINDS_END - 1);
    const uint8_t *rest = nx_read_bytes(&r, follow - 1);
    if (!rest)
        return NX_AGAIN;
    *kind = (enum nx_boot_kind)what;
    *payload = rest;
    *payload_len = follow - 1;
    return NX_OK;
}

static enum nx_status malformed(struct nx_err *err, const char *what)
{
    return nx_err_set(err, NX_CORRUPT, "the hello is malformed at its %s", what);
}

/* What follows the version may look different in another one, so that is asked first. */
enum nx_status nx_boot_decode_hello(const uint8_t *payload, size_t len, struct nx_boot_hello *hello,
                                    struct nx_err *err)
{
    struct nx_boot_hello h;
    memset(&h, 0, sizeof h);
    struct nx_reader r;
    nx_reader_init(&r, payload, len);
    if (nx_read_u32(&r) != MAGIC || r.bad)
        return malformed(err, "magic number");
    h.version = nx_read_u32(&r);
    if (!r.bad && h.version != NX_BOOT_VERSION)
        return nx_err_set(err, NX_DENIED,
                          "you speak version %u of the bootstrap protocol, this group %d",
                          h.version, NX_BOOT_VERSION);
    h.layout_hash = nx_read_u64(&r);
    h.members_max = nx_read_u32(&r);
    h.first_view_nodes = nx_read_u32(&r);
    if (!read_text(&r, h.provider, sizeof h.provider))
        return malformed(err, "provider");
    if (!read_spec(&r, &h.spec))
        return malformed(err, "subgroups");
    h.node = nx_read_u32(&r);
    h.subgroup = nx_read_u32(&r);
    h.gms_port = nx_read_u16(&r);
    if (!read_text(&r, h.host, sizeof h.host))
        return malformed(err, "host");
    if (!read_card(&r, &h.card))
        return malformed(err, "fabric address");
    if (nx_reader_left(&r) != 0)
        return malformed(err, "end");
    *hello = h;
    return NX_OK;
}

static bool read_member(struct nx_reader *r, nx_vid vid, struct nx_member *m,
                        struct nx_fabric_card *card)
{
    m->node = nx_read_u32(r);
    m->subgroup = nx_read_u32(r);
    m->shard = nx_read_u32(r);
    m->since = nx_read_u64(r);
    m->gms_port = nx_read_u16(r);
    if (!read_text(r, m->host, sizeof m->host) || !read_card(r, card))
        return false;
    if (m->subgroup >= NX_SUBGROUPS_MAX || m->since == 0 || m->since > vid ||
        (m->shard >= NX_SHARDS_MAX && m->shard != NX_SHARD_NONE))
        return false;
    m->address_bytes = card->address_bytes;
    memcpy(m->address, card->address, card->address_bytes);
    return true;
}

static bool read_view_head(struct nx_reader *r, struct nx_boot_view *v)
{
    v->token = nx_read_u64(r);
    v->rank = nx_read_u32(r);
    v->view.vid = nx_read_u64(r);
    v->view.group_id[0] = nx_read_u64(r);
    v->view.group_id[1] = nx_read_u64(r);
    v->view.members_count = nx_read_u8(r);
    v->view.vacant = nx_read_u32(r);
    v->view.stateless = nx_read_u32(r);
    if (r->bad || v->token == 0 || v->view.vid == 0 || v->view.members_count == 0 ||
        v->view.members_count > NX_MEMBERS_MAX || v->rank >= v->view.members_count)
        return false;
    nx_rankset ranks = nx_view_ranks(&v->view), all = NX_RANK_BIT(v->view.members_count) - 1;
    return (ranks & NX_RANK_BIT(v->rank)) && !(v->view.vacant & ~all) &&
           !(v->view.stateless & ~ranks);
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

enum nx_status nx_boot_decode_view(const uint8_t *payload, size_t len, struct nx_boot_view *view,
                                   struct nx_err *err)
{
    struct nx_boot_view v;
    memset(&v, 0, sizeof v);
    struct nx_reader r;
    nx_reader_init(&r, payload, len);
    if (!read_view_head(&r, &v))
        return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at its head");
    for (nx_rankset left = nx_view_ranks(&v.view); left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        if (!read_member(&r, v.view.vid, &v.view.members[i], &v.cards[i]))
            return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at member %u", i);
    }
    if (!read_base(&r, &v.view))
        return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at what was delivered");
    if (nx_reader_left(&r) != 0 || r.bad)
        return nx_err_set(err, NX_CORRUPT, "the leader's view is malformed at its end");
    *view = v;
    return NX_OK;
}

void nx_boot_decode_refused(const uint8_t *payload, size_t len, char *why, size_t why_bytes)
{
    snprintf(why, why_bytes, "%.*s", (int)(len < why_bytes ? len : why_bytes - 1),
             (const char *)payload);
}

static enum nx_status number_differs(struct nx_err *err, const char *key, const char *where,
                                     uint32_t joiner, uint32_t leader)
{
    return nx_err_set(err, NX_DENIED,
                      "your configuration differs: %s%s is %u at your node and %u at the leader",
                      key, where, joiner, leader);
}

static enum nx_status compare_subgroup(const struct nx_subgroup_spec *leader,
                                       const struct nx_subgroup_spec *joiner, struct nx_err *err)
{
    char where[NX_SUBGROUP_NAME_BYTES + 8];
    snprintf(where, sizeof where, " of %s", leader->name);
    if (strcmp(leader->name, joiner->name) != 0)
        return nx_err_set(err, NX_DENIED,
                          "your configuration differs: a subgroup is %s at your node and %s at "
                          "the leader",
                          joiner->name, leader->name);
    if (leader->num_shards != joiner->num_shards)
        return number_differs(err, "num_shards", where, joiner->num_shards, leader->num_shards);
    if (leader->min_nodes != joiner->min_nodes)
        return number_differs(err, "min_nodes", where, joiner->min_nodes, leader->min_nodes);
    if (leader->max_nodes != joiner->max_nodes)
        return number_differs(err, "max_nodes", where, joiner->max_nodes, leader->max_nodes);
    if (leader->persistent != joiner->persistent)
        return number_differs(err, "persistent", where, joiner->persistent, leader->persistent);
    return NX_OK;
}

enum nx_status nx_boot_compare(const struct nx_boot_hello *leader,
                               const struct nx_boot_hello *joiner, struct nx_err *err)
{
    if (strcmp(leader->provider, joiner->provider) != 0)
        return nx_err_set(err, NX_DENIED,
                          "your configuration differs: provider is %s at your node and %s at the "
                          "leader",
                          joiner->provider, leader->provider);
    if (leader->first_view_nodes != joiner->first_view_nodes)
        return number_differs(err, "the number of nodes in the first view", "",
                              joiner->first_view_nodes, leader->first_view_nodes);
    if (leader->members_max != joiner->members_max)
        return number_differs(err, "the largest number of members", "", joiner->members_max,
                              leader->members_max);
    if (leader->spec.subgroups_count != joiner->spec.subgroups_count)
        return number_differs(err, "the number of subgroups", "", joiner->spec.subgroups_count,
                              leader->spec.subgroups_count);
    for (uint32_t i = 0; i < leader->spec.subgroups_count; i++)
        NX_TRY(compare_subgroup(&leader->spec.subgroups[i], &joiner->spec.subgroups[i], err));
    if (joiner->subgroup >= leader->spec.subgroups_count)
        return nx_err_set(err, NX_DENIED, "you name subgroup %u, the group has %u",
                          joiner->subgroup, leader->spec.subgroups_count);
    if (leader->layout_hash != joiner->layout_hash)
        return nx_err_set(err, NX_DENIED,
                          "your configuration differs: the memory layout's hash is %016" PRIx64
                          " at your node and %016" PRIx64 " at the leader (another build?)",
                          joiner->layout_hash, leader->layout_hash);
    return NX_OK;
}
