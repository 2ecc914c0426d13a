/* load_h1.h — the replies of an HTTP/1.1 connection that asks one thing at a time: status and where they end.
 *
 * Pure. Bodies are counted, not kept. A reply has a Content-Length, or none and no body (1xx, 204, 304); what is coded
 * otherwise is LOAD_H1_BROKEN, as is a head over LOAD_H1_HEAD_BYTES. */
#ifndef NX_BENCH_LOAD_H1_H
#define NX_BENCH_LOAD_H1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_H1_HEAD_BYTES = 8 << 10 };

enum load_h1_progress { LOAD_H1_MORE, LOAD_H1_WHOLE, LOAD_H1_BROKEN };

/* Zeroed before use; after WHOLE it is ready for the next reply. */
struct load_h1 {
    char head[LOAD_H1_HEAD_BYTES];
    size_t head_bytes;
    bool in_body;
    uint64_t body_left;
    int status;  /* of the last whole reply */
    bool closes; /* it said that it is the connection's last */
};

/* Takes what belongs to the present reply; *used <= len says how much that was. */
enum load_h1_progress load_h1_feed(struct load_h1 *h1, const char *bytes, size_t len, size_t *used);

#endif
