/* boot_state.h — what the files behind bootstrap.h share. Private to them.
 *
 *   bootstrap.c     open, close, the turn, the phases
 *   boot_caller.c   our own call: to the leader, to contacts, to where they send us
 *   boot_guests.c   the port: who calls us, what they may say, how they are sent away
 *   boot_leader.c   the first view: the configured leader gathers its nodes and lets them go
 *   boot_restart.c  where the group begins: anew, or where the disks of those who have come say
 *   boot_host.c     the port of a member: applicants for a seat in the running group; probes
 *
 * A guest is a connection to our port:
 *
 *   free ──accept──▶ stranger ──good hello──▶ gathered ──view or seat sent──▶ viewed ──connected──▶ ready
 *                       │ bad hello, or too late: refused                                (go, welcome) │
 *                       │ we are not the leader: redirected                                            │
 *                       ▼                                                                              ▼
 *                    leaving ◀─────────────────────────────────────────────────────────────────────────┘ */
#ifndef NX_GROUP_BOOT_STATE_H
#define NX_GROUP_BOOT_STATE_H

#include "group/fabric/boot_conn.h"
#include "group/fabric/bootstrap.h"

#include "common/nx_assert.h"
#include "common/prng.h"

enum {
    NX_BOOT_GUESTS_MAX = 96, /* strangers get what members leave: at least 64 */
    NX_BOOT_EVENTS_PER_POLL = 16,
    NX_BOOT_TARGETS_MAX = 1 + NX_CONTACTS_MAX,
    NX_BOOT_REDIRECTS_MAX = 4, /* in a row; then we wait as after a failure */
    NX_BOOT_TAG_LISTENER = NX_BOOT_GUESTS_MAX,
    NX_BOOT_TAG_CALL,
};
static_assert(NX_BOOT_GUESTS_MAX >= 2 * NX_MEMBERS_MAX, "strangers never crowd out members");

#define NX_BOOT_HELLO_TIMEOUT_NS (2 * NX_SEC) /* a stranger says hello within */
#define NX_BOOT_LEAVE_TIMEOUT_NS (1 * NX_SEC) /* a refused node reads its reason within */
#define NX_BOOT_CONNECT_TIMEOUT_NS \
    (5 * NX_SEC) /* all fabrics are connected within, or all start over */
#define NX_BOOT_RETRY_MIN_NS \
    (50 * NX_MS) /* between two rounds of calls, at first; doubled each time, … */
#define NX_BOOT_RETRY_MAX_NS      (400 * NX_MS) /* … up to this; half of it more or less by chance */
#define NX_BOOT_QUEUE_TIMEOUT_NS  (15 * NX_SEC) /* who waits for a seat is answered within */
#define NX_BOOT_ANSWER_TIMEOUT_NS (2 * NX_SEC)  /* who is called proves itself and answers within */

enum nx_boot_guest_state {
    NX_GUEST_FREE,
    NX_GUEST_STRANGER, /* its proof is awaited, then its hello */
    NX_GUEST_GATHERED, /* the others are awaited, or our group's word */
    NX_GUEST_VIEWED,   /* its fabric is awaited */
    NX_GUEST_READY,    /* the others' fabrics are awaited, or the view with it */
    NX_GUEST_LEAVING,  /* its end of the connection is awaited */
};

struct nx_boot_guest {
    struct nx_boot_conn conn;
    enum nx_boot_guest_state state;
    nx_applicant name; /* of this connection; never used again */
    nx_ns since;       /* of this state */
    uint32_t interest;
    struct nx_boot_hello hello; /* from GATHERED on */
};

/* Our call. */
struct nx_boot_caller {
    struct nx_boot_conn conn;
    struct nx_boot_address targets[NX_BOOT_TARGETS_MAX]; /* the leader, the contacts */
    uint32_t targets_count;
    uint32_t next;                /* of targets */
    uint32_t asked;               /* targets that have told us of no group, one after the other */
    bool group_seen;              /* one of them has a group */
    struct nx_boot_address at;    /* whom we call */
    struct nx_boot_address there; /* where we were sent; port 0: nowhere */
    uint32_t redirects;           /* in a row */
    bool said_hello, answered;
    bool queued; /* it has a group, and keeps us for a seat */
    bool aside;  /* it has a group, and no majority of it: others come first */
    nx_ns called_at, retry_at, retry_ns;
    uint32_t interest;
    char trouble[NX_ERR_TEXT_BYTES]; /* why it failed last time */
};

struct nx_bootstrap {
    struct nx_group_config config;
    struct nx_boot_hello mine;
    struct nx_boot_secret secret;
    struct nx_boot_identity identity; /* ours, to every connection */
    bool leader;                      /* of the first view, by configuration */
    bool joining;                     /* CONNECTING: to a running group */
    bool needs_card;                  /* what the last attempt has connected is worth nothing */
    enum nx_boot_phase phase;
    nx_ns deadline, phase_since;
    struct nx_err error;
    struct nx_boot_view view;
    uint32_t attempt;
    bool self_connected;
    int epoll_fd;
    struct nx_prng prng; /* of the backoff */
    struct nx_boot_caller caller;
    /* the port */
    int listen_fd;
    nx_ns listen_muted_until; /* no descriptor left: not asked again before; 0: listening */
    struct nx_boot_guest *guests;
    nx_applicant names;
    /* of a member */
    bool leads;                     /* the running group, now */
    struct nx_boot_address current; /* its leader, if that is another; port 0: not known */
    struct nx_view running;         /* the view that we are in; vid 0: none */
    nx_vid left_behind;             /* a later one without us */
    nx_rankset blocked;             /* whom we reach while we are blocked; 0: we are not */
    nx_rankset other_side;          /* whom another that is blocked in our view reaches */
    bool restarts;                  /* a leader gathers the disks of our group */
    /* we, those who are blocked with us and our applicants could begin again; 0: no */
    nx_ns enough_since;
    /* of the configured leader, while it gathers, and of a member that is blocked for good: boot_restart.c */
    struct nx_dur_offer offers[NX_MEMBERS_MAX];
    struct nx_dur_restart restart;
    char restart_said[NX_ERR_TEXT_BYTES];
    nx_ns restart_at; /* asked again, though nobody comes */
};

/* boot_restart.c: whoever says hello keeps no other group's log; those who have come may begin; where. */
enum nx_status nx_boot_restart_check(const struct nx_bootstrap *b,
                                     const struct nx_boot_hello *hello, struct nx_err *err);
bool nx_boot_restart_may_begin(struct nx_bootstrap *b, nx_ns now);
/* The group whose disks are gathered here; NULL: nobody has brought a note, or nothing is gathered. */
const struct nx_dur_offer *nx_boot_restart_gathers(const struct nx_bootstrap *b);
void nx_boot_restart_fill(struct nx_bootstrap *b);

/* bootstrap.c */
void nx_boot_enter(struct nx_bootstrap *b, enum nx_boot_phase phase, nx_ns now, const char *why);
void nx_boot_watch(struct nx_bootstrap *b, int fd, uint32_t *interest, uint32_t want, uint32_t tag);
void nx_boot_fail(struct nx_bootstrap *b, nx_ns now);
bool nx_boot_is_here(const struct nx_bootstrap *b, const struct nx_boot_address *at);

/* boot_caller.c */
void nx_boot_caller_open(struct nx_bootstrap *b, nx_ns now);
bool nx_boot_caller_event(struct nx_bootstrap *b, nx_ns now);
bool nx_boot_caller_turn(struct nx_bootstrap *b, nx_ns now);
void nx_boot_caller_hang_up(struct nx_bootstrap *b, nx_ns now, const char *why);
void nx_boot_caller_probe(struct nx_bootstrap *b, const struct nx_boot_address *at, nx_ns now);
bool nx_boot_caller_say_connected(struct nx_bootstrap *b);
/* Nobody whom we call has a group: the first view may form here. */
bool nx_boot_caller_found_none(const struct nx_bootstrap *b);
nx_ns nx_boot_caller_wake_at(const struct nx_bootstrap *b);

/* boot_guests.c */
enum nx_status nx_boot_guests_open(struct nx_bootstrap *b, struct nx_err *err);
void nx_boot_guests_close(struct nx_bootstrap *b);
bool nx_boot_guests_event(struct nx_bootstrap *b, uint32_t tag, nx_ns now);
bool nx_boot_guests_turn(struct nx_bootstrap *b, nx_ns now);
nx_ns nx_boot_guests_wake_at(const struct nx_bootstrap *b);
bool nx_boot_is_member(const struct nx_boot_guest *g); /* gathered, viewed or ready */
uint32_t nx_boot_guests_count(const struct nx_bootstrap *b, enum nx_boot_guest_state state);
/* The gathered guest with the lowest node id above `floor`, or NULL: a view seats them in this order. */
struct nx_boot_guest *nx_boot_guests_next(struct nx_bootstrap *b, int64_t floor);
void nx_boot_guest_become(struct nx_boot_guest *g, enum nx_boot_guest_state state, nx_ns now);
/* Sends a frame; false: it does not read, and was lost. */
bool nx_boot_guest_tell(struct nx_bootstrap *b, struct nx_boot_guest *g, const uint8_t *frame,
                        size_t bytes, nx_ns now);
/* A last frame: nothing it says is heard any more. */
void nx_boot_guest_dismiss(struct nx_bootstrap *b, struct nx_boot_guest *g, const uint8_t *frame,
                           size_t bytes, nx_ns now);
void nx_boot_guest_refuse(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now,
                          const char *why);
void nx_boot_guest_put_off(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now,
                           const char *why);
void nx_boot_guest_redirect(struct nx_bootstrap *b, struct nx_boot_guest *g,
                            const struct nx_boot_address *to, nx_ns now);
void nx_boot_guest_drop(struct nx_boot_guest *g);
void nx_boot_guest_lose(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now,
                        const char *why);

/* boot_host.c */
void nx_boot_host_probed(struct nx_bootstrap *b, struct nx_boot_guest *g, const uint8_t *payload,
                         size_t len, nx_ns now);

/* boot_leader.c */
enum nx_status nx_boot_leader_check(const struct nx_bootstrap *b, const struct nx_boot_hello *hello,
                                    struct nx_err *err);
bool nx_boot_leader_turn(struct nx_bootstrap *b, nx_ns now);
void nx_boot_leader_start_over(struct nx_bootstrap *b, nx_ns now, const char *why);
nx_ns nx_boot_leader_wake_at(const struct nx_bootstrap *b);

#endif
