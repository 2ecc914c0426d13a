/* Where the configured leader's group begins: anew, or where the disks of those who have come
 * say that the last one ended. */
#include "group/fabric/boot_state.h"

#include "common/log.h"
#include "group/view/rankset.h"

#include <string.h>

/* Those who have come are enough, but not all that there were: somebody may be about to come. */
#define GRACE_NS (2 * NX_SEC)

/* In the order in which a view seats them. */
static uint32_t collect(struct nx_bootstrap *b, nx_ns *newest)
{
    uint32_t count = 0;
    int64_t floor = -1;
    b->offers[count++] = b->mine.offer;
    *newest = b->phase_since;
    for (struct nx_boot_guest *g;
         count < b->config.members_max && (g = nx_boot_guests_next(b, floor));
         floor = g->hello.node) {
        b->offers[count++] = g->hello.offer;
        *newest = g->since > *newest ? g->since : *newest;
    }
    return count;
}

const struct nx_dur_offer *nx_boot_restart_gathers(const struct nx_bootstrap *b)
{
    if (!b->leader || b->phase != NX_BOOT_GATHERING)
        return NULL;
    if (b->mine.offer.has_note)
        return &b->mine.offer;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (b->guests[i].state == NX_GUEST_GATHERED && b->guests[i].hello.offer.has_note)
            return &b->guests[i].hello.offer;
    return NULL;
}

/* Those who are blocked with us would bring a disk like ours, with the log of the shard in which they are. */
static uint32_t collect_blocked(struct nx_bootstrap *b)
{
    uint32_t count = 0;
    b->offers[count++] = b->mine.offer;
    for (nx_rankset left = b->blocked & nx_view_ranks(&b->running); left;) {
        const struct nx_member *m = &b->running.members[nx_rankset_take(&left)];
        if (m->node == b->mine.node || count == NX_MEMBERS_MAX)
            continue;
        struct nx_dur_offer *offer = &b->offers[count++];
        *offer = b->mine.offer;
        offer->node = m->node;
        offer->subgroup = (uint8_t)m->subgroup;
        offer->shard = m->shard < NX_SHARDS_MAX ? (uint8_t)m->shard : NX_DUR_NO_SHARD;
        offer->has_log = true;
    }
    return count;
}

static bool is_collected(const struct nx_bootstrap *b, uint32_t count, nx_node node)
{
    for (uint32_t i = 0; i < count; i++)
        if (b->offers[i].node == node)
            return true;
    return false;
}

static uint32_t collect_applicants(struct nx_bootstrap *b, uint32_t count)
{
    for (int i = 0; i < NX_BOOT_GUESTS_MAX && count < NX_MEMBERS_MAX; i++) {
        const struct nx_boot_guest *g = &b->guests[i];
        if (g->state == NX_GUEST_GATHERED && !is_collected(b, count, g->hello.node) &&
            nx_dur_same_group(&b->mine.offer, &g->hello.offer, NULL) == NX_OK)
            b->offers[count++] = g->hello.offer;
    }
    return count;
}

enum nx_status nx_bootstrap_may_restart(struct nx_bootstrap *b, nx_ns now, struct nx_err *err)
{
    uint32_t count = collect_applicants(b, collect_blocked(b));
    nx_dur_restart_decide(b->offers, count, nx_dur_persistent(&b->config.spec), 0, &b->restart);
    bool enough = b->mine.offer.has_note && b->restart.verdict == NX_DUR_START;
    if (!enough)
        b->enough_since = 0;
    else if (b->enough_since == 0)
        b->enough_since = now;
    if (enough && (b->restart.complete || now >= b->enough_since + GRACE_NS))
        return NX_OK;
    return nx_err_set(err, NX_AGAIN, "%s", b->restart.why.text);
}

enum nx_status nx_boot_restart_check(const struct nx_bootstrap *b,
                                     const struct nx_boot_hello *hello, struct nx_err *err)
{
    NX_TRY(nx_dur_same_group(&b->mine.offer, &hello->offer, err));
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (nx_boot_is_member(&b->guests[i]))
            NX_TRY(nx_dur_same_group(&b->guests[i].hello.offer, &hello->offer, err));
    return NX_OK;
}

static void say_why(struct nx_bootstrap *b)
{
    const char *why = b->restart.why.text;
    if (b->restart.why.status == NX_OK || strcmp(why, b->restart_said) == 0)
        return;
    memcpy(b->restart_said, why, sizeof b->restart_said);
    nx_warn("the group begins again: %s", why);
}

bool nx_boot_restart_may_begin(struct nx_bootstrap *b, nx_ns now)
{
    nx_ns newest;
    uint32_t count = collect(b, &newest);
    b->restart_at = NX_NEVER;
    nx_dur_restart_decide(b->offers, count, nx_dur_persistent(&b->config.spec), 0, &b->restart);
    if (b->restart.verdict == NX_DUR_NEW)
        return count >= b->config.first_view_nodes;
    say_why(b);
    if (b->restart.verdict == NX_DUR_WAIT)
        return false;
    if (b->restart.complete || now >= newest + GRACE_NS)
        return true;
    b->restart_at = newest + GRACE_NS;
    return false;
}

void nx_boot_restart_fill(struct nx_bootstrap *b)
{
    struct nx_view *view = &b->view.view;
    uint64_t drawn = 0;
    if (nx_dur_persistent(&b->config.spec) != 0)
        (void)nx_bootstrap_token(&drawn); /* it worked a moment ago */
    nx_dur_restart_view(&b->restart, &b->config.spec, (uint32_t)drawn, view);
    if (b->restart.verdict == NX_DUR_START)
        nx_info("the group begins again with view %llu of %u nodes", (unsigned long long)view->vid,
                view->members_count);
}
