/* The port of a member of a running group: the way to its leader, and applicants for a seat. */
#include "group/fabric/boot_state.h"

#include "common/log.h"

#include <string.h>

struct nx_member nx_boot_member(const struct nx_boot_hello *hello)
{
    struct nx_member m = {
        .node = hello->node,
        .subgroup = hello->subgroup,
        .shard = NX_SHARD_NONE,
        .gms_port = hello->gms_port,
        .address_bytes = hello->card.address_bytes,
    };
    memcpy(m.address, hello->card.address, sizeof m.address);
    memcpy(m.host, hello->host, sizeof m.host);
    return m;
}

void nx_bootstrap_point_to(struct nx_bootstrap *b, const struct nx_boot_address *leader, nx_ns now)
{
    nx_assert(b->phase == NX_BOOT_INSTALLED);
    b->leads = !leader;
    b->current = leader ? *leader : (struct nx_boot_address){.port = 0};
    for (int i = 0; leader && i < NX_BOOT_GUESTS_MAX; i++)
        if (nx_boot_is_member(&b->guests[i]))
            nx_boot_guest_redirect(b, &b->guests[i], &b->current, now);
}

void nx_bootstrap_note_view(struct nx_bootstrap *b, const struct nx_view *view)
{
    b->running = *view;
    b->other_side = 0;
    b->restarts = false;
    b->enough_since = 0;
}

void nx_bootstrap_note_blocked(struct nx_bootstrap *b, nx_rankset alive)
{
    b->blocked = alive;
}

nx_rankset nx_bootstrap_other_side(const struct nx_bootstrap *b)
{
    return b->other_side;
}

bool nx_bootstrap_restarts(const struct nx_bootstrap *b)
{
    return b->restarts;
}

void nx_bootstrap_probe(struct nx_bootstrap *b, const struct nx_boot_address *at, nx_ns now)
{
    nx_assert(b->phase == NX_BOOT_INSTALLED);
    if (b->caller.conn.fd < 0 && !nx_boot_is_here(b, at))
        nx_boot_caller_probe(b, at, now);
}

nx_vid nx_bootstrap_left_behind(const struct nx_bootstrap *b)
{
    return b->left_behind;
}

void nx_boot_host_probed(struct nx_bootstrap *b, struct nx_boot_guest *g, const uint8_t *payload,
                         size_t len, nx_ns now)
{
    struct nx_boot_probe probe;
    struct nx_err err = {0};
    if (nx_boot_decode_probe(payload, len, &probe, &err) != NX_OK) {
        nx_boot_guest_lose(b, g, now, err.text);
        return;
    }
    const struct nx_view *view = &b->running;
    struct nx_boot_probe answer = {.group_id = {view->group_id[0], view->group_id[1]},
                                   .vid = view->vid,
                                   .node = b->mine.node,
                                   .alive = b->blocked};
    const struct nx_dur_offer *gathered = nx_boot_restart_gathers(b);
    if (gathered)
        memcpy(answer.group_id, gathered->group_id, sizeof answer.group_id);
    answer.member = view->vid != 0 && nx_view_rank_of(view, probe.node) != NX_RANK_NONE;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    nx_boot_guest_dismiss(b, g, frame, nx_boot_encode_probe(NX_BOOT_PROBED, &answer, frame), now);
}

static struct nx_boot_guest *find(const struct nx_bootstrap *b, nx_applicant applicant)
{
    for (int i = 0; applicant != 0 && i < NX_BOOT_GUESTS_MAX; i++)
        if (b->guests[i].name == applicant && nx_boot_is_member(&b->guests[i]))
            return &b->guests[i];
    return NULL;
}

nx_applicant nx_bootstrap_applicant(const struct nx_bootstrap *b)
{
    const struct nx_boot_guest *first = NULL;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (b->guests[i].state == NX_GUEST_GATHERED && (!first || b->guests[i].name < first->name))
            first = &b->guests[i];
    return first ? first->name : 0;
}

enum nx_standing nx_bootstrap_standing(const struct nx_bootstrap *b, nx_applicant applicant)
{
    const struct nx_boot_guest *g = find(b, applicant);
    if (!g)
        return NX_APPLICANT_GONE;
    return g->state == NX_GUEST_GATHERED ? NX_APPLICANT_WAITING
           : g->state == NX_GUEST_VIEWED ? NX_APPLICANT_SEATED
                                         : NX_APPLICANT_CONNECTED;
}

nx_ns nx_bootstrap_waits_since(const struct nx_bootstrap *b, nx_applicant applicant)
{
    const struct nx_boot_guest *g = find(b, applicant);
    return g ? g->since : NX_NEVER;
}

const struct nx_boot_hello *nx_bootstrap_hello(const struct nx_bootstrap *b, nx_applicant applicant)
{
    const struct nx_boot_guest *g = find(b, applicant);
    return g ? &g->hello : NULL;
}

void nx_bootstrap_seat(struct nx_bootstrap *b, nx_applicant applicant,
                       const struct nx_boot_view *seat, nx_ns now)
{
    struct nx_boot_guest *g = find(b, applicant);
    uint8_t frame[NX_BOOT_FRAME_MAX];
    if (g && nx_boot_guest_tell(b, g, frame, nx_boot_encode_view(NX_BOOT_SEAT, seat, frame), now))
        nx_boot_guest_become(g, NX_GUEST_VIEWED, now);
}

void nx_bootstrap_welcome(struct nx_bootstrap *b, nx_applicant applicant,
                          const struct nx_boot_view *view, nx_ns now)
{
    struct nx_boot_guest *g = find(b, applicant);
    uint8_t frame[NX_BOOT_FRAME_MAX];
    if (g)
        nx_boot_guest_dismiss(b, g, frame, nx_boot_encode_view(NX_BOOT_WELCOME, view, frame), now);
}

void nx_bootstrap_put_off(struct nx_bootstrap *b, nx_applicant applicant, nx_ns now,
                          const char *why)
{
    struct nx_boot_guest *g = find(b, applicant);
    if (g)
        nx_boot_guest_put_off(b, g, now, why);
}

void nx_bootstrap_refuse(struct nx_bootstrap *b, nx_applicant applicant, nx_ns now, const char *why)
{
    struct nx_boot_guest *g = find(b, applicant);
    if (g)
        nx_boot_guest_refuse(b, g, now, why);
}
