/* Until the first view: the bootstrap moves, the fabric connects, the view is installed. */
#include "group/group_state.h"

#include "common/log.h"
#include "group/view/rankset.h"

#include <string.h>

/* What an attempt has connected may have been written into: the next one begins with other memory, under other keys.
 * The old is given up only when the new is there. */
static enum nx_status renew(struct nx_group *g, struct nx_err *err)
{
    struct nx_group_below old = g->below;
    struct nx_fabric_card card;
    g->below = (struct nx_group_below){0};
    enum nx_status status = nx_group_open_below(g, &card, err);
    nx_group_close_below(status == NX_OK ? &old : &g->below, g->region_bytes);
    if (status == NX_OK)
        nx_bootstrap_renew(g->boot, &card);
    else
        g->below = old;
    return status;
}

static void connect_fabric(struct nx_group *g, nx_ns now)
{
    const struct nx_boot_view *v = nx_bootstrap_view(g->boot);
    struct nx_err err = {0};
    enum nx_status status;
    g->connecting = nx_bootstrap_attempt(g->boot);
    if (nx_bootstrap_joins(g->boot))
        status = nx_fabric_join(g->fabric, v->rank, v->peers, v->cards, v->token, &err);
    else
        status =
            nx_fabric_connect(g->fabric, v->rank, v->view.members_count, v->cards, v->token, &err);
    if (status != NX_OK) {
        nx_warn("the fabric cannot connect: %s", err.text);
        nx_bootstrap_start_over(g->boot, now, "the fabric cannot connect");
    }
}

/* A joiner that told its leader that it is connected may be a member any moment: it does not give up for a peer that
 * dies, but hands the death over. */
void nx_group_form_lost(struct nx_group *g, nx_ns now, nx_rank peer, const char *why)
{
    if (nx_bootstrap_joins(g->boot) && nx_bootstrap_is_connected(g->boot))
        g->lost |= NX_RANK_BIT(peer);
    else
        nx_bootstrap_start_over(g->boot, now, why);
}

static void hand_over_losses(struct nx_group *g, nx_ns now)
{
    nx_rankset others = nx_view_ranks(nx_core_view(g->core)) & ~NX_RANK_BIT(nx_core_rank(g->core));
    for (nx_rankset left = others & ~nx_fabric_connected(g->fabric); left;)
        nx_group_peer_lost(g, now, nx_rankset_take(&left), "its connection ended before the view");
}

static void install(struct nx_group *g, nx_ns now)
{
    const struct nx_boot_view *v = nx_bootstrap_view(g->boot);
    struct nx_event event = {.type = NX_EV_VIEW, .view = &v->view};
    memcpy(g->cards, v->cards, sizeof g->cards);
    g->installed = true;
    g->lost = 0;
    nx_group_step(g, now, &event);
    if (g->update.status == NX_OK) {
        hand_over_losses(g, now);
        return;
    }
    struct nx_err err = {0};
    nx_err_set(&err, g->update.status, "the view that the leader sent is none: %s",
               nx_status_text(g->update.status));
    g->installed = false;
    nx_group_tell_down(g, &err);
}

static bool all_connected(const struct nx_group *g)
{
    const struct nx_boot_view *v = nx_bootstrap_view(g->boot);
    return !(v->peers & ~nx_fabric_connected(g->fabric));
}

static bool begin_again(struct nx_group *g)
{
    struct nx_err err = {0};
    g->connecting = 0;
    if (renew(g, &err) == NX_OK) {
        nx_group_keep_again(g);
        return true;
    }
    nx_group_tell_down(g, &err);
    return false;
}

bool nx_group_form_turn(struct nx_group *g, nx_ns now)
{
    bool moved = nx_group_keep_replay(g);
    moved |= nx_bootstrap_poll(g->boot, now);
    enum nx_boot_phase phase = nx_bootstrap_phase(g->boot);
    if (g->told_down || (nx_bootstrap_wants_card(g->boot) && !begin_again(g)))
        return moved;
    if (phase == NX_BOOT_CONNECTING && g->connecting != nx_bootstrap_attempt(g->boot))
        connect_fabric(g, now);
    else if (phase == NX_BOOT_CONNECTING && all_connected(g) && nx_group_keep_ready(g))
        nx_bootstrap_connected(g->boot);
    else if (phase == NX_BOOT_INSTALLED)
        install(g, now);
    else if (phase == NX_BOOT_FAILED)
        nx_group_tell_down(g, nx_bootstrap_error(g->boot));
    return moved;
}
