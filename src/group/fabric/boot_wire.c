#include "group/fabric/boot_codec.h"

#include "common/nx_assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAGIC = 0x3162786e }; /* "nxb1" */

static_assert(NX_BOOT_HEAD_BYTES + NX_BOOT_HELLO_BYTES_MAX + NX_DUR_OFFER_BYTES_MAX +
                      NX_BOOT_SEAL_BYTES_MAX <=
                  NX_BOOT_FRAME_MAX,
              "the longest hello fits a frame, with the longest note of views and its seal");

static void write_spec(struct nx_writer *w, const struct nx_group_spec *spec)
{
    nx_write_u8(w, (uint8_t)spec->subgroups_count);
    for (uint32_t i = 0; i < spec->subgroups_count; i++) {
        nx_boot_write_text(w, spec->subgroups[i].name);
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
        if (!nx_boot_read_text(r, s->name, sizeof s->name))
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
    nx_boot_begin(&w, frame, NX_BOOT_HELLO);
    nx_write_u32(&w, MAGIC);
    nx_write_u32(&w, hello->version);
    nx_write_u64(&w, hello->layout_hash);
    nx_write_u32(&w, hello->members_max);
    nx_write_u32(&w, hello->first_view_nodes);
    nx_write_u32(&w, hello->timeout_ms);
    nx_boot_write_text(&w, hello->provider);
    write_spec(&w, &hello->spec);
    nx_write_u32(&w, hello->node);
    nx_write_u32(&w, hello->subgroup);
    nx_boot_write_text(&w, hello->host);
    nx_write_u16(&w, hello->gms_port);
    nx_write_u64(&w, (uint64_t)hello->clock);
    nx_boot_write_card(&w, &hello->card);
    uint8_t offer[NX_DUR_OFFER_BYTES_MAX];
    nx_write_bytes(&w, offer, nx_dur_offer_encode(&hello->offer, offer, sizeof offer));
    return nx_boot_finish(&w);
}

size_t nx_boot_encode_reason(enum nx_boot_kind kind, const char *why,
                             uint8_t frame[NX_BOOT_FRAME_MAX])
{
    nx_assert(kind == NX_BOOT_REFUSED || kind == NX_BOOT_LATER || kind == NX_BOOT_ASIDE);
    struct nx_writer w;
    nx_boot_begin(&w, frame, kind);
    nx_write_bytes(&w, why, strnlen(why, NX_ERR_TEXT_BYTES));
    return nx_boot_finish(&w);
}

size_t nx_boot_encode_redirect(const struct nx_boot_address *to, uint8_t frame[NX_BOOT_FRAME_MAX])
{
    struct nx_writer w;
    nx_boot_begin(&w, frame, NX_BOOT_REDIRECT);
    nx_boot_write_text(&w, to->host);
    nx_write_u16(&w, to->port);
    return nx_boot_finish(&w);
}

size_t nx_boot_encode(enum nx_boot_kind kind, const uint8_t *payload, size_t len,
                      uint8_t frame[NX_BOOT_FRAME_MAX])
{
    struct nx_writer w;
    nx_boot_begin(&w, frame, kind);
    nx_write_bytes(&w, payload, len);
    return nx_boot_finish(&w);
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
    h.timeout_ms = nx_read_u32(&r);
    if (!nx_boot_read_text(&r, h.provider, sizeof h.provider))
        return malformed(err, "provider");
    if (!read_spec(&r, &h.spec))
        return malformed(err, "subgroups");
    h.node = nx_read_u32(&r);
    h.subgroup = nx_read_u32(&r);
    if (!nx_boot_read_text(&r, h.host, sizeof h.host))
        return malformed(err, "host");
    h.gms_port = nx_read_u16(&r);
    h.clock = (nx_ns)nx_read_u64(&r);
    if (!nx_boot_read_card(&r, &h.card))
        return malformed(err, "fabric address");
    if (r.bad)
        return malformed(err, "end");
    size_t left = nx_reader_left(&r);
    h.offer.node = h.node;
    h.offer.subgroup = (uint8_t)h.subgroup;
    NX_TRY(nx_dur_offer_decode(nx_read_bytes(&r, left), left, &h.offer, err));
    *hello = h;
    return NX_OK;
}

size_t nx_boot_encode_probe(enum nx_boot_kind kind, const struct nx_boot_probe *p,
                            uint8_t frame[NX_BOOT_FRAME_MAX])
{
    struct nx_writer w;
    nx_boot_begin(&w, frame, kind);
    nx_write_u64(&w, p->group_id[0]);
    nx_write_u64(&w, p->group_id[1]);
    nx_write_u64(&w, p->vid);
    nx_write_u32(&w, p->node);
    nx_write_u8(&w, p->member);
    nx_write_u32(&w, (uint32_t)p->alive);
    return nx_boot_finish(&w);
}

enum nx_status nx_boot_decode_probe(const uint8_t *payload, size_t len, struct nx_boot_probe *probe,
                                    struct nx_err *err)
{
    struct nx_boot_probe p = {.vid = 0};
    struct nx_reader r;
    nx_reader_init(&r, payload, len);
    p.group_id[0] = nx_read_u64(&r);
    p.group_id[1] = nx_read_u64(&r);
    p.vid = nx_read_u64(&r);
    p.node = nx_read_u32(&r);
    uint8_t member = nx_read_u8(&r);
    p.alive = nx_read_u32(&r);
    if (r.bad || member > 1 || nx_reader_left(&r) != 0)
        return nx_err_set(err, NX_CORRUPT, "the probe is malformed");
    p.member = member == 1;
    *probe = p;
    return NX_OK;
}

enum nx_status nx_boot_decode_redirect(const uint8_t *payload, size_t len,
                                       struct nx_boot_address *to, struct nx_err *err)
{
    struct nx_boot_address at = {.port = 0};
    struct nx_reader r;
    nx_reader_init(&r, payload, len);
    if (!nx_boot_read_text(&r, at.host, sizeof at.host) || (at.port = nx_read_u16(&r)) == 0 ||
        nx_reader_left(&r) != 0)
        return nx_err_set(err, NX_CORRUPT, "its redirect names no address");
    *to = at;
    return NX_OK;
}

/* It goes into log lines and to terminals, whoever sent it. */
void nx_boot_decode_reason(const uint8_t *payload, size_t len, char *why, size_t why_bytes)
{
    size_t kept = len < why_bytes ? len : why_bytes - 1;
    for (size_t i = 0; i < kept; i++)
        why[i] = (char)(payload[i] < 0x20 || payload[i] == 0x7f ? '?' : payload[i]);
    why[kept] = '\0';
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
        return nx_err_set(err, NX_DENIED,
                          "your configuration differs: persist%s is %s at your node and %s at the "
                          "leader",
                          where, joiner->persistent ? "true" : "false",
                          leader->persistent ? "true" : "false");
    return NX_OK;
}

/* The program's key is in heartbeats, three of which are the timeout. */
static enum nx_status heartbeat_differs(struct nx_err *err, uint32_t joiner_ms, uint32_t leader_ms)
{
    return nx_err_set(err, NX_DENIED,
                      "your configuration differs: heartbeat_ms (a third of the timeout) is %g at "
                      "your node and %g at the leader",
                      joiner_ms / 3.0, leader_ms / 3.0);
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
        return number_differs(err, "first_view_nodes", "", joiner->first_view_nodes,
                              leader->first_view_nodes);
    if (leader->members_max != joiner->members_max)
        return number_differs(err, "members_max", "", joiner->members_max, leader->members_max);
    if (leader->timeout_ms != joiner->timeout_ms)
        return heartbeat_differs(err, joiner->timeout_ms, leader->timeout_ms);
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

enum nx_status nx_boot_compare_clocks(const struct nx_boot_hello *joiner, nx_ns now, nx_ns skew_max,
                                      struct nx_err *err)
{
    bool ahead = joiner->clock > now;
    uint64_t apart =
        ahead ? (uint64_t)joiner->clock - (uint64_t)now : (uint64_t)now - (uint64_t)joiner->clock;
    if (apart <= (uint64_t)skew_max)
        return NX_OK;
    return nx_err_set(err, NX_DENIED,
                      "the clock of node %u is %.1f s %s this node's, at most %g s are allowed: "
                      "set it (NTP)",
                      joiner->node, (double)apart / (double)NX_SEC, ahead ? "ahead of" : "behind",
                      (double)skew_max / (double)NX_SEC);
}
