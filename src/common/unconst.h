/* unconst.h — for libraries whose interfaces take what they only read by a pointer that is not const. */
#ifndef NX_UNCONST_H
#define NX_UNCONST_H

/* The same address. Nothing may be written there: who passes it on vouches for the callee. */
static inline void *nx_unconst(const void *p)
{
    union {
        const void *read;
        void *write;
    } u = {.read = p};
    return u.write;
}

#endif
