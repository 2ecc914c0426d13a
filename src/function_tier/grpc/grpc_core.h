/* grpc_core.h — what all connections of one server share. Internal to the wire.
 *
 * No sockets here: server, connections, calls and the fuzz targets all hang on one of these.
 * Owner  whoever inits it (grpc_server.c, a test). Thread  one. */
#ifndef NX_GRPC_CORE_H
#define NX_GRPC_CORE_H

#include "function_tier/grpc/grpc_buffer.h"
#include "function_tier/grpc/grpc_server.h"
#include "function_tier/grpc/grpc_timer.h"

#include <sys/queue.h>

struct nx_h2;
struct nx_grpc_conn;

struct nx_grpc_core {
    struct nx_grpc_limits limits;
    struct nx_grpc_neighbour neighbour;
    struct nx_grpc_guard guard;
    struct nx_grpc_witness witness;
    struct nx_prng prng; /* of request ids and trace ids */
    const struct nx_grpc_method *methods;
    size_t method_count;
    struct nx_timers timers;
    struct nx_grpc_budget memory; /* limit: server_buffer_bytes */
    TAILQ_HEAD(, nx_h2) woken;    /* sessions whose calls changed outside their own receive */
    uint32_t calls;               /* objects, those still flushing included; <= calls_max */
    size_t inflate_left;          /* of this turn: NX_INFLATE_PIECE_BYTES, for all calls */
    TAILQ_HEAD(, nx_call)
    inflating; /* who waits for a turn at it; one that is not done goes to the end */
    struct nx_call *inflate_turn;    /* NULL, or whose turn it is: woken, and no longer in line */
    uint32_t upcalls;                /* depth; the server must not be closed while > 0 */
    nx_ns now;                       /* of the current or last turn */
    SLIST_HEAD(, nx_grpc_conn) dead; /* marked, and freed at the end of the turn */
    struct nx_grpc_stats stats;
};

enum nx_status nx_grpc_core_init(struct nx_grpc_core *core, const struct nx_grpc_limits *limits,
                                 const struct nx_grpc_method *methods, size_t method_count);
void nx_grpc_core_fini(struct nx_grpc_core *core);

void nx_grpc_core_begin_turn(struct nx_grpc_core *core, nx_ns now);

const struct nx_grpc_method *nx_grpc_core_method(const struct nx_grpc_core *core, const char *path,
                                                 size_t len);

#endif
