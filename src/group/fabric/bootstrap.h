/* bootstrap.h — how nodes that know only the leader's address become the first view.
 *
 * The node whose local_ip and gms_port are leader_ip and leader_gms_port is the leader. It waits
 * for first_view_nodes nodes (itself included), ranks itself first and the others by node id,
 * and sends everybody the view and the fabric cards. When all say that their fabric reaches all
 * the others, it says go:
 *
 *   installed at one node  =>  every member was connected to every other
 *
 * The order of starting does not matter: joiners call until join_timeout_ns has passed. When a
 * node is lost while the view forms, everybody starts over with those that are left. Afterwards
 * the leader's port stays open to say that joining is not possible yet.
 *
 * Input    the port is open to anybody: connections are bounded in number, bytes and time;
 *          strangers give way to newer ones, accepted members never do
 * Thread   the group's; nothing blocks
 * Failure  NX_BOOT_FAILED with one sentence; the leader logs why it refused a node
 * Source   ours; Derecho's leader contact, ACM TOCS 2019, is the model */
#ifndef NX_GROUP_BOOTSTRAP_H
#define NX_GROUP_BOOTSTRAP_H

#include "group/fabric/boot_wire.h"

struct nx_bootstrap;

enum nx_boot_phase {
    NX_BOOT_GATHERING,  /* nodes or the leader are awaited */
    NX_BOOT_CONNECTING, /* the view is known; nx_bootstrap_connected is awaited, then the others' */
    NX_BOOT_INSTALLED,  /* the view is to be installed; stays so */
    NX_BOOT_FAILED,     /* stays so */
};

enum nx_status nx_bootstrap_open(const struct nx_group_config *config, uint64_t layout_hash,
                                 const struct nx_fabric_card *card, nx_ns now,
                                 struct nx_bootstrap **boot, struct nx_err *err);
void nx_bootstrap_close(struct nx_bootstrap *boot);

/* Bounded work; true if there was some. The phase may fall back from CONNECTING to GATHERING:
 * the fabric's connections are then worth nothing. */
bool nx_bootstrap_poll(struct nx_bootstrap *boot, nx_ns now);
enum nx_boot_phase nx_bootstrap_phase(const struct nx_bootstrap *boot);

/* The view being connected or installed; changes with every attempt. */
const struct nx_boot_view *nx_bootstrap_view(const struct nx_bootstrap *boot);
uint32_t nx_bootstrap_attempt(const struct nx_bootstrap *boot);
const struct nx_err *nx_bootstrap_error(const struct nx_bootstrap *boot); /* of FAILED */

/* Our fabric reaches all peers of this attempt; or it failed to, and all start over. */
void nx_bootstrap_connected(struct nx_bootstrap *boot);
void nx_bootstrap_start_over(struct nx_bootstrap *boot, nx_ns now, const char *why);

int nx_bootstrap_fd(const struct nx_bootstrap *boot); /* an epoll descriptor */
nx_ns nx_bootstrap_wake_at(const struct nx_bootstrap *boot);

#endif
