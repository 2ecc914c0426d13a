/* mutants.h — seeded defects of the core: each breaks one promise, to prove that a judge sees it.
 *
 * Bits of nx_core_config.mutants. The simulator alone sets them; a node's configuration cannot. */
#ifndef NX_GROUP_MUTANTS_H
#define NX_GROUP_MUTANTS_H

enum nx_mutant {
    NX_MUTANT_DELIVER_AT_RECEIVED = 1u
                                    << 0, /* delivers what it received, not what is stable (D5) */
    NX_MUTANT_GUARD_BEFORE_PAYLOAD = 1u
                                     << 1, /* posts the guard before the bytes it guards (S2, D1) */
    NX_MUTANT_WINDOW_OFF_BY_ONE = 1u
                                  << 2, /* reuses a message's bytes one round too early (S3, D1) */
    NX_MUTANT_SKIP_GUARD_CHECK = 1u << 3, /* believes torn guards (S1) */
};

#endif
