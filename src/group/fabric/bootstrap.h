/* bootstrap.h — how nodes find each other: the first view, and the way into a running group.
 *
 * The first view   The node whose local_ip and gms_port are leader_ip and leader_gms_port is its leader.
 *   It waits for first_view_nodes nodes (itself included), ranks itself first and the others by node
 *   id, and sends everybody the view and the fabric cards. When all say that their fabric reaches all
 *   the others, it says go:
 *
 *     installed at one node  =>  every member was connected to every other
 *
 *   When a node is lost while the view forms, everybody starts over with those that are left.
 *
 * A running group   Every node listens on its gms_port and shows whoever calls the way to the one that
 *   leads now. That one keeps the applicants; whether and when they get a seat is the owner's
 *   (group_admit.c): nx_bootstrap_applicant … nx_bootstrap_welcome.
 *
 * Whoever starts calls the leader and its contacts in turn, until join_timeout_ns has passed, with
 * growing pauses that chance spreads; so the order of starting does not matter. The configured leader
 * first asks its contacts, and does not let a first view form while one of them has a group.
 *
 * Input    the port is open to anybody: connections are bounded in number, bytes and time;
 *          strangers give way to newer ones, nodes that were heard never do
 * Thread   the group's; nothing blocks
 * Failure  NX_BOOT_FAILED with one sentence; both ends log why a node was refused
 * Source   ours; Derecho's leader contact, ACM TOCS 2019, is the model */
#ifndef NX_GROUP_BOOTSTRAP_H
#define NX_GROUP_BOOTSTRAP_H

#include "group/fabric/boot_wire.h"

struct nx_bootstrap;

enum nx_boot_phase {
    NX_BOOT_GATHERING,  /* nodes, the leader or a group are awaited */
    NX_BOOT_CONNECTING, /* the view is known; nx_bootstrap_connected is awaited, then the others' */
    NX_BOOT_INSTALLED,  /* the view is to be installed; stays so */
    NX_BOOT_FAILED,     /* stays so */
};

enum nx_status nx_bootstrap_open(const struct nx_group_config *config, uint64_t layout_hash,
                                 const struct nx_fabric_card *card, nx_ns now,
                                 struct nx_bootstrap **boot, struct nx_err *err);
/* Who waits at our port for the first view, or for a seat, is told that this node ends, and why
 * ("": not known), and asks others first. Close says so to those who are still there. */
void nx_bootstrap_end(struct nx_bootstrap *boot, nx_ns now, const char *why);
void nx_bootstrap_close(struct nx_bootstrap *boot);
/* What our disk holds: before the first poll, and again with nx_bootstrap_renew. A group with a
 * persistent subgroup then begins as its members' disks allow (dur_restart.h): as a new one,
 * when first_view_nodes have come and all disks are empty, or where the last one ended. */
void nx_bootstrap_offer(struct nx_bootstrap *boot, const struct nx_dur_offer *offer);

/* Bounded work; true if there was some. The phase may fall back from CONNECTING to GATHERING:
 * what was connected, and the memory that was written to, is then worth nothing, and nobody is
 * called before nx_bootstrap_renew brings the card of a fresh fabric. */
bool nx_bootstrap_poll(struct nx_bootstrap *boot, nx_ns now);
enum nx_boot_phase nx_bootstrap_phase(const struct nx_bootstrap *boot);
bool nx_bootstrap_wants_card(const struct nx_bootstrap *boot);
void nx_bootstrap_renew(struct nx_bootstrap *boot, const struct nx_fabric_card *card);

/* The view being connected or installed; changes with every attempt. To a running group: first the
 * view before ours, and, when INSTALLED, the one with us. */
const struct nx_boot_view *nx_bootstrap_view(const struct nx_bootstrap *boot);
bool nx_bootstrap_joins(const struct nx_bootstrap *boot); /* a running group */
/* Until INSTALLED: for whom, or why; "": nothing is known. */
const char *nx_bootstrap_waits_for(const struct nx_bootstrap *boot);
uint32_t nx_bootstrap_attempt(const struct nx_bootstrap *boot);
const struct nx_err *nx_bootstrap_error(const struct nx_bootstrap *boot); /* of FAILED */

/* Our fabric reaches all peers of this attempt; or it failed to, and all start over. */
void nx_bootstrap_connected(struct nx_bootstrap *boot);
bool nx_bootstrap_is_connected(const struct nx_bootstrap *boot); /* that was said */
void nx_bootstrap_start_over(struct nx_bootstrap *boot, nx_ns now, const char *why);

/* --- the port of a member: once INSTALLED --- */

/* Who leads the group now: NULL for ourselves; port 0: nobody knows, callers try again. */
void nx_bootstrap_point_to(struct nx_bootstrap *boot, const struct nx_boot_address *leader,
                           nx_ns now);

/* A node that asks for a seat; its name is never given to another. 0: none. */
typedef uint64_t nx_applicant;

enum nx_standing {
    NX_APPLICANT_GONE, /* its connection ended, or it took too long */
    NX_APPLICANT_WAITING,
    NX_APPLICANT_SEATED,    /* it connects */
    NX_APPLICANT_CONNECTED, /* it awaits the view */
};

/* The one that has waited longest; 0: none. Its hello was checked, but for its id. */
nx_applicant nx_bootstrap_applicant(const struct nx_bootstrap *boot);
enum nx_standing nx_bootstrap_standing(const struct nx_bootstrap *boot, nx_applicant applicant);
/* When it came; NX_NEVER: it is gone. */
nx_ns nx_bootstrap_waits_since(const struct nx_bootstrap *boot, nx_applicant applicant);
const struct nx_boot_hello *nx_bootstrap_hello(const struct nx_bootstrap *boot,
                                               nx_applicant applicant); /* NULL: gone */
/* Who says hello, as a member; its shard is not given yet. */
struct nx_member nx_boot_member(const struct nx_boot_hello *hello);
/* Of one that is gone: nothing. */
void nx_bootstrap_seat(struct nx_bootstrap *boot, nx_applicant applicant,
                       const struct nx_boot_view *seat, nx_ns now);
void nx_bootstrap_welcome(struct nx_bootstrap *boot, nx_applicant applicant,
                          const struct nx_boot_view *view, nx_ns now);
void nx_bootstrap_put_off(struct nx_bootstrap *boot, nx_applicant applicant, nx_ns now,
                          const char *why); /* it tries again; others first, if we are blocked */
void nx_bootstrap_refuse(struct nx_bootstrap *boot, nx_applicant applicant, nx_ns now,
                         const char *why); /* for good */

/* What this member answers to probes: its view (`vid` 0: it is in none), and, while it is blocked, whom it reaches. */
void nx_bootstrap_note_view(struct nx_bootstrap *boot, const struct nx_view *view);
void nx_bootstrap_note_blocked(struct nx_bootstrap *boot, nx_rankset alive); /* 0: it is not */
/* Asks a member that we have lost which view it is in; one at a time, and nothing while one is under way. */
void nx_bootstrap_probe(struct nx_bootstrap *boot, const struct nx_boot_address *at, nx_ns now);
/* The view of our group that goes on without us, as a probe has found; 0: none was found. */
nx_vid nx_bootstrap_left_behind(const struct nx_bootstrap *boot);
/* Whom a member of our own view reaches, that is blocked like us; 0: none was found in this view. */
nx_rankset nx_bootstrap_other_side(const struct nx_bootstrap *boot);

/* A probe has found that a leader gathers the disks of our group, since this view. */
bool nx_bootstrap_restarts(const struct nx_bootstrap *boot);
/* Of a member that is blocked, has offered its disk, and leads: if all those that are blocked
 * with it gave their view up, could they and the applicants begin the group again
 * (dur_restart.h)? NX_AGAIN: for whom they would wait. */
enum nx_status nx_bootstrap_may_restart(struct nx_bootstrap *boot, nx_ns now, struct nx_err *err);

/* A secret that nobody guesses, never 0; false: no random bytes. */
bool nx_bootstrap_token(uint64_t *token);

/* Where our port is; config's, or the one that the kernel chose. */
uint16_t nx_bootstrap_port(const struct nx_bootstrap *boot);

int nx_bootstrap_fd(const struct nx_bootstrap *boot); /* an epoll descriptor */
nx_ns nx_bootstrap_wake_at(const struct nx_bootstrap *boot);

#endif
