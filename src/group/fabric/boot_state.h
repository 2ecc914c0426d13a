/* boot_state.h — what bootstrap.c (everybody, and the joiner) and boot_leader.c share. Private
 * to them.
 *
 * A guest is a connection to the leader's port:
 *
 *   free ──accept──▶ stranger ──good hello──▶ gathered ──view sent──▶ viewed ──connected──▶ ready
 *                       │ bad hello, or too late: refused                      (go sent) │
 *                       ▼                                                                ▼
 *                    leaving ◀───────────────────────────────────────────────────────────┘ */
#ifndef NX_GROUP_BOOT_STATE_H
#define NX_GROUP_BOOT_STATE_H

#include "group/fabric/boot_conn.h"
#include "group/fabric/bootstrap.h"

#include "common/nx_assert.h"

enum {
    NX_BOOT_GUESTS_MAX = 96, /* strangers get what members leave: at least 65 */
    NX_BOOT_EVENTS_PER_POLL = 16,
};
static_assert(NX_BOOT_GUESTS_MAX >= 2 * NX_MEMBERS_MAX, "strangers never crowd out members");

#define NX_BOOT_HELLO_TIMEOUT_NS (2 * NX_SEC) /* a stranger says hello within */
#define NX_BOOT_LEAVE_TIMEOUT_NS (1 * NX_SEC) /* a refused node reads its reason within */
#define NX_BOOT_CONNECT_TIMEOUT_NS \
    (5 * NX_SEC)                      /* all fabrics are connected within, or all start over */
#define NX_BOOT_RETRY_NS (50 * NX_MS) /* between two calls to the leader */
#define NX_BOOT_PROOF_TIMEOUT_NS \
    (2 * NX_SEC) /* the leader proves itself within, or is called again */

enum nx_boot_guest_state {
    NX_GUEST_FREE,
    NX_GUEST_STRANGER, /* its proof is awaited, then its hello */
    NX_GUEST_GATHERED, /* the others are awaited */
    NX_GUEST_VIEWED,   /* its fabric is awaited */
    NX_GUEST_READY,    /* the others' fabrics are awaited */
    NX_GUEST_LEAVING,  /* its end of the connection is awaited */
};

struct nx_boot_guest {
    struct nx_boot_conn conn;
    enum nx_boot_guest_state state;
    nx_ns since; /* of this state */
    uint32_t interest;
    struct nx_boot_hello hello; /* from GATHERED on */
};

struct nx_bootstrap {
    struct nx_group_config config;
    struct nx_boot_hello mine;
    struct nx_boot_secret secret;
    struct nx_boot_identity identity; /* ours, to every connection */
    bool leader;
    enum nx_boot_phase phase;
    nx_ns deadline, phase_since, retry_at;
    struct nx_err error;
    struct nx_boot_view view;
    uint32_t attempt;
    bool self_connected;
    int epoll_fd;
    /* joiner */
    struct nx_boot_conn conn;
    bool said_hello;
    nx_ns called_at;
    uint32_t interest;
    char last_trouble[NX_ERR_TEXT_BYTES]; /* why the leader was not reached last time */
    /* leader */
    int listen_fd;
    nx_ns listen_muted_until; /* no descriptor left: not asked again before; 0: listening */
    struct nx_boot_guest *guests;
};

void nx_boot_enter(struct nx_bootstrap *b, enum nx_boot_phase phase, nx_ns now, const char *why);
void nx_boot_watch(struct nx_bootstrap *b, int fd, uint32_t *interest, uint32_t want, uint32_t tag);
void nx_boot_fail(struct nx_bootstrap *b, nx_ns now);

enum nx_status nx_boot_leader_open(struct nx_bootstrap *b, struct nx_err *err);
void nx_boot_leader_close(struct nx_bootstrap *b);
bool nx_boot_leader_event(struct nx_bootstrap *b, uint32_t tag, nx_ns now);
bool nx_boot_leader_turn(struct nx_bootstrap *b, nx_ns now); /* timeouts and phase moves */
void nx_boot_leader_start_over(struct nx_bootstrap *b, nx_ns now, const char *why);
nx_ns nx_boot_leader_wake_at(const struct nx_bootstrap *b);

#endif
