/* group_spin.h — is it worth looking on for a moment before falling asleep?
 *
 *   spins at t  <=>  idle since s, t − s < most_ns, and credit > 0
 *
 * Falling asleep and being woken costs both ends more than a message takes. So a thread that found nothing polls on for
 * up to most_ns, as long as news tends to come that soon. Every pause between two busy turns is judged when it ends: one
 * of at most most_ns adds a credit, a longer one takes half of them (and the last one). So a burst is learnt by its second
 * message and forgotten after four pauses; what is spun in vain is at most most_ns per message that came. A node whose
 * pauses are long sleeps at once: idle means asleep.
 * Owner   a value; most_ns 0: never spins. Thread  group thread only. Pure: time is a parameter
 * Source  the competitive argument for spinning as long as a sleep costs (Karlin et al., SOSP 1991) */
#ifndef NX_GROUP_SPIN_H
#define NX_GROUP_SPIN_H

#include "common/clock.h"

#include <stdbool.h>

enum { NX_SPIN_CREDIT_MAX = 8 };

struct nx_spin {
    nx_ns most_ns;
    nx_ns idle_since; /* the first turn that found nothing; NX_NEVER: the last one was busy */
    unsigned credit;  /* 0 … NX_SPIN_CREDIT_MAX */
};

void nx_spin_init(struct nx_spin *spin, nx_ns most_ns);

/* A turn ended at `now`, and found something to do or not. */
void nx_spin_note(struct nx_spin *spin, nx_ns now, bool busy);

/* Poll again instead of falling asleep. */
bool nx_spin_goes_on(const struct nx_spin *spin, nx_ns now);

#endif
