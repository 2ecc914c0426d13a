/* mutants.h — seeded defects of the core: each breaks one promise, to prove that a judge sees it.
 *
 * Bits of nx_core_config.mutants. The simulator alone sets them; a node's configuration cannot. */
#ifndef NX_GROUP_MUTANTS_H
#define NX_GROUP_MUTANTS_H

enum nx_mutant {
    /* delivers what it received, not what is stable (D5) */
    NX_MUTANT_DELIVER_AT_RECEIVED = 1u << 0,
    /* posts the guard before the bytes it guards (S2, D1) */
    NX_MUTANT_GUARD_BEFORE_PAYLOAD = 1u << 1,
    /* reuses a message's bytes one round too early (S3, D1) */
    NX_MUTANT_WINDOW_OFF_BY_ONE = 1u << 2,
    NX_MUTANT_SKIP_GUARD_CHECK = 1u << 3, /* believes torn guards (S1) */
    NX_MUTANT_TRIM_MAX = 1u << 4, /* delivers what any survivor holds, not what all hold (D4) */
    NX_MUTANT_VIEW_BEFORE_WEDGE = 1u << 5,   /* agrees before the counts are frozen (D4, D5) */
    NX_MUTANT_EVICTED_WRITES = 1u << 6,      /* goes on reading who is out of the view (V4) */
    NX_MUTANT_DEAF_TO_SUSPICION = 1u << 7,   /* suspects only what it noticed itself (V6) */
    NX_MUTANT_ANYBODY_PROPOSES = 1u << 8,    /* everybody leads (V6, L1) */
    NX_MUTANT_MINORITY_GOES_ON = 1u << 10,   /* agrees without a majority (V1, V2) */
    NX_MUTANT_FORGETS_UNDELIVERED = 1u << 9, /* does not send again what the trim left over (D6) */
    NX_MUTANT_WEDGED_HEART_STOPS = 1u << 11, /* a wedged member's heart does not beat (V5) */
    NX_MUTANT_IGNORES_LATENESS = 1u << 12,   /* counts time in which it did not run (V5) */
    /* what it writes to anybody stands for a beat to all (V5) */
    NX_MUTANT_BEATS_WHEN_IDLE = 1u << 13,
    NX_MUTANT_EVERYBODY_JUDGES = 1u << 14, /* whom one does not hear all suspect (V6) */
    /* a relay turns to a plan before the old one is done (B1) */
    NX_MUTANT_READS_PAST_PLAN = 1u << 20,
    /* a view goes on where bulk bytes were posted, not read (B1) */
    NX_MUTANT_RESUMES_BLINDLY = 1u << 21,
    NX_MUTANT_SEAT_GIVEN_TWICE = 1u << 16,   /* takes a seat's card from two leaders (V1) */
    NX_MUTANT_SEAT_NOT_CLEARED = 1u << 17,   /* believes what a seat's former owner wrote (V5) */
    NX_MUTANT_STATELESS_ADEQUATE = 1u << 18, /* counts members that lack the state (T2) */
    NX_MUTANT_LEAVES_WITH_STATE = 1u << 27,  /* leaves while another is given its state (L3) */
    NX_MUTANT_DURABLE_ALONE = 1u << 15,      /* acknowledges what is on its own disk (P1) */
    NX_MUTANT_DURABLE_UNCERTAIN = 1u << 22,  /* … before all know the view to be certain (P1) */
    /* the shell's, which the simulator breaks */
    NX_MUTANT_SYNC_SKIPPED = 1u << 23,      /* the log says durable what is merely written (P1) */
    NX_MUTANT_TAIL_BELIEVED = 1u << 24,     /* the log believes records that are torn (P3) */
    NX_MUTANT_MINORITY_RESTARTS = 1u << 25, /* whoever comes first begins the group again (P4) */
    NX_MUTANT_ORDER_WAITS = 1u << 26,       /* deliveries wait for the disk (P6, D7) */
    /* the tier's: hands over the state as of the wedge (T1) */
    NX_MUTANT_SNAPSHOT_BEFORE_TRIM = 1u << 19,
};

#endif
