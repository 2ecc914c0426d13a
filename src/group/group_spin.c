#include "group/group_spin.h"

void nx_spin_init(struct nx_spin *spin, nx_ns most_ns)
{
    *spin = (struct nx_spin){.most_ns = most_ns, .idle_since = NX_NEVER};
}

static void judge_pause(struct nx_spin *spin, nx_ns pause)
{
    if (pause > spin->most_ns)
        spin->credit /= 2;
    else if (spin->credit < NX_SPIN_CREDIT_MAX)
        spin->credit++;
}

void nx_spin_note(struct nx_spin *spin, nx_ns now, bool busy)
{
    if (!busy && spin->idle_since == NX_NEVER)
        spin->idle_since = now;
    if (!busy || spin->idle_since == NX_NEVER)
        return;
    judge_pause(spin, now - spin->idle_since);
    spin->idle_since = NX_NEVER;
}

bool nx_spin_goes_on(const struct nx_spin *spin, nx_ns now)
{
    return spin->credit > 0 && spin->idle_since != NX_NEVER &&
           now - spin->idle_since < spin->most_ns;
}
