/* nx_assert.h — three kinds of assertion.
 *
 *   static_assert     layout and relations between constants
 *   nx_assert         our own invariants, on in release too: a stopped node is a case the protocol
 *                     handles, a wrong one is not
 *   nx_assert_slow    the expensive ones, under NX_CHECKED
 *
 * Input from a peer, a client, a file or an image is never asserted on; it gets a status. */
#ifndef NX_COMMON_ASSERT_H
#define NX_COMMON_ASSERT_H

#include <assert.h> /* static_assert */

__attribute__((noreturn)) void nx_assert_failed(const char *file, int line, const char *what);

#define nx_assert(cond)                                  \
    do {                                                 \
        if (__builtin_expect(!(cond), 0))                \
            nx_assert_failed(__FILE__, __LINE__, #cond); \
    } while (0)

#ifdef NX_CHECKED
#define nx_assert_slow(cond) nx_assert(cond)
#else
#define nx_assert_slow(cond) ((void)0)
#endif

#endif
