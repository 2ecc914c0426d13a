/* A member's port and what hangs on it: who is shown where, seats and their connections, what the group's own layers ask
 * each other. */
#include "group/group_state.h"

#include "common/log.h"
#include "common/nx_assert.h"

#include <stdio.h>
#include <string.h>

#define PORT_EVERY_NS (20 * NX_MS) /* how often the port is looked at while we are busy */
#define SEAT_PATIENCE_NS \
    (15 * NX_SEC) /* a seat whose owner was admitted is kept so long without a view */

/* --- seats ------------------------------------------------------------------------------------ */

/* Deaths before the view are news of the view. */
void nx_group_peer_lost(struct nx_group *g, nx_ns now, nx_rank peer, const char *why)
{
    if (!(nx_view_ranks(nx_core_view(g->core)) & NX_RANK_BIT(peer))) {
        g->lost |= NX_RANK_BIT(peer);
        return;
    }
    struct nx_event event = {.type = NX_EV_PEER_DOWN, .peer = peer, .why = why};
    nx_core_step(g->core, now, &event, &g->request);
    g->requested = true;
}

/* An admission holds for the view in which it was made. */
static void release_seats(struct nx_group *g)
{
    for (nx_rankset left = g->admitted; left; left &= left - 1)
        nx_fabric_drop(g->fabric, (nx_rank)__builtin_ctzll(left));
    g->lost &= ~g->admitted;
    g->admitted = 0;
}

void nx_group_note_view(struct nx_group *g, nx_ns now)
{
    const struct nx_view *view = nx_core_view(g->core);
    if (view->vid == g->vid)
        return;
    g->vid = view->vid;
    nx_bootstrap_note_view(g->boot, view);
    g->port_at = 0;
    nx_rankset came = g->admitted & nx_view_ranks(view);
    g->admitted &= ~came;
    release_seats(g);
    nx_rankset lost = g->lost & came;
    g->lost = 0;
    for (nx_rankset left = lost; left; left &= left - 1)
        nx_group_peer_lost(g, now, (nx_rank)__builtin_ctzll(left),
                           "its connection ended before the view");
}

/* --- the port --------------------------------------------------------------------------------- */

static void point(struct nx_group *g, nx_ns now)
{
    nx_rank leader = nx_core_left(g->core) || nx_core_is_leaving(g->core) ? NX_RANK_NONE
                                                                          : nx_core_leader(g->core);
    if (g->pointed && leader == g->leader)
        return;
    struct nx_boot_address at = {.port = 0};
    if (leader != NX_RANK_NONE) {
        const struct nx_member *m = &nx_core_view(g->core)->members[leader];
        at.port = m->gms_port;
        memcpy(at.host, m->host, sizeof at.host);
    }
    nx_bootstrap_point_to(g->boot, leader == nx_core_rank(g->core) ? NULL : &at, now);
    g->pointed = true;
    g->leader = leader;
}

static void send_answers(struct nx_group *g);

bool nx_group_port_turn(struct nx_group *g, nx_ns now)
{
    send_answers(g);
    /* first: whoever came may lead from now on, and has its welcome from us */
    bool moved = nx_group_admit_turn(g, now);
    if (now >= g->port_at) {
        g->port_at = now + PORT_EVERY_NS;
        point(g, now);
        moved |= nx_bootstrap_poll(g->boot, now);
        nx_group_seek_turn(g, now);
    }
    if (g->admitted && g->admission.state == NX_ADMIT_IDLE &&
        now >= g->admitted_at + SEAT_PATIENCE_NS)
        release_seats(g);
    return moved;
}

nx_ns nx_group_port_wake_at(const struct nx_group *g)
{
    nx_ns at = nx_group_admit_wake_at(g);
    if (nx_core_change_state(g->core) == NX_CHANGE_BLOCKED && g->probe_at < at)
        at = g->probe_at; /* group_seek.c */
    for (nx_rank r = 0; r < NX_MEMBERS_MAX; r++)
        if (g->answers[r].query)
            return g->port_at; /* its window was full */
    nx_ns release = g->admitted ? g->admitted_at + SEAT_PATIENCE_NS : NX_NEVER;
    return release < at ? release : at;
}

/* --- system queries --------------------------------------------------------------------------- */

enum nx_status nx_group_ask(struct nx_group *g, struct nx_ask *ask, const void *bytes, size_t len)
{
    struct nx_event open = {
        .type = NX_EV_QUERY_OPEN, .peer = ask->peer, .total = len, .cookie = ask, .system = true};
    NX_TRY(nx_group_request(g, &open));
    ask->stream = g->request.stream;
    struct nx_event write = {
        .type = NX_EV_QUERY_WRITE, .stream = ask->stream, .bytes = bytes, .len = len};
    enum nx_status status = nx_group_request(g, &write);
    if (status == NX_OK && g->request.taken == len)
        return NX_OK;
    nx_group_unask(g, ask);
    return status == NX_OK ? NX_AGAIN : status;
}

void nx_group_unask(struct nx_group *g, struct nx_ask *ask)
{
    if (ask->stream)
        (void)nx_group_request(
            g, &(struct nx_event){.type = NX_EV_QUERY_CANCEL, .stream = ask->stream});
    ask->stream = 0;
}

/* True: it has left, or nobody waits for it any more. */
static bool send_answer(struct nx_group *g, struct nx_system_answer *a)
{
    struct nx_event open = {.type = NX_EV_REPLY_OPEN, .stream = a->query, .total = a->bytes};
    struct nx_event write = {
        .type = NX_EV_REPLY_WRITE, .stream = a->query, .bytes = a->text, .len = a->bytes};
    if (!a->opened && nx_group_request(g, &open) != NX_OK)
        return true;
    a->opened = true;
    return nx_group_request(g, &write) != NX_OK || g->request.taken == a->bytes;
}

static void send_answers(struct nx_group *g)
{
    for (nx_rank r = 0; r < NX_MEMBERS_MAX; r++)
        if (g->answers[r].query && send_answer(g, &g->answers[r]))
            g->answers[r].query = 0;
}

/* One answer a member is kept: whoever asks again has given the question before up. */
void nx_group_answer(struct nx_group *g, const struct nx_part *query, enum nx_status status,
                     const char *why)
{
    struct nx_system_answer *a = &g->answers[query->peer];
    *a = (struct nx_system_answer){.query = query->stream};
    a->text[0] = (uint8_t)status;
    size_t len = strnlen(why, NX_ERR_TEXT_BYTES);
    memcpy(a->text + 1, why, len);
    a->bytes = 1 + len;
    if (send_answer(g, a))
        a->query = 0;
}

void nx_group_system_gone(struct nx_group *g, nx_stream query)
{
    for (nx_rank r = 0; r < NX_MEMBERS_MAX; r++)
        if (g->answers[r].query == query)
            g->answers[r].query = 0;
}

void nx_group_system_part(struct nx_group *g, const struct nx_part *part)
{
    uint8_t what = part->offset == 0 && part->len > 0 ? part->bytes[0] : 0;
    if (what == NX_SYSTEM_ADMIT && part->len == part->total)
        nx_group_admit_asked(g, part);
    else if (part->offset == 0)
        nx_group_answer(g, part, NX_UNSUPPORTED, "this member does not know that question");
}
