/* Where the configured leader's group begins: anew, or where the disks of those who have come say that the last one ended. */
#include "group/fabric/boot_state.h"

#include "common/log.h"

#include <string.h>

/* Those who have come are enough, but not all that there were: somebody may be about to come. */
#define GRACE_NS (2 * NX_SEC)

static struct nx_boot_guest *gathered_after(struct nx_bootstrap *b, int64_t floor)
{
    struct nx_boot_guest *best = NULL;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++) {
        struct nx_boot_guest *g = &b->guests[i];
        if (g->state == NX_GUEST_GATHERED && g->hello.node > floor &&
            (!best || g->hello.node < best->hello.node))
            best = g;
    }
    return best;
}

/* In the order in which a view seats them. */
static uint32_t collect(struct nx_bootstrap *b, nx_ns *newest)
{
    uint32_t count = 0;
    int64_t floor = -1;
    b->offers[count++] = b->mine.offer;
    *newest = b->phase_since;
    for (struct nx_boot_guest *g; count < b->config.members_max && (g = gathered_after(b, floor));
         floor = g->hello.node) {
        b->offers[count++] = g->hello.offer;
        *newest = g->since > *newest ? g->since : *newest;
    }
    return count;
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
