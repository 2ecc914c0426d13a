/* boot_nodes.h — nodes of a group that find each other over loopback, in one thread, without a
 * fabric: their cards are made up.
 *
 *   boot_nodes_init ── boot_nodes_open* ── BOOT_POLL_UNTIL(what is awaited) ── boot_nodes_fini
 *
 * Failure  of cmocka: the test fails. */
#ifndef NX_TEST_BOOT_NODES_H
#define NX_TEST_BOOT_NODES_H

#include "group/fabric/bootstrap.h"
#include "nx_test.h"

enum { BOOT_NODES = 3, BOOT_NODES_MAX = 4, BOOT_HASH = 77 };

struct boot_nodes {
    struct nx_group_config configs[BOOT_NODES_MAX]; /* BOOT_NODES of them are the first view's */
    struct nx_bootstrap *boots[BOOT_NODES_MAX];
    uint64_t card_key; /* the region key of every card; 0: each node's id */
    bool auto_connect; /* the fabrics connect at once */
    uint16_t port;     /* of the leader, node 0 */
    char log[16384];   /* what the nodes logged since init */
};

/* Node i has the id first_id + i * step. */
void boot_nodes_init(struct boot_nodes *nodes, nx_node first_id, int step);
void boot_nodes_fini(struct boot_nodes *nodes); /* closes those that are open */

void boot_nodes_open(struct boot_nodes *nodes, int i);
void boot_nodes_close(struct boot_nodes *nodes, int i);
void boot_nodes_turn(struct boot_nodes *nodes); /* all that are open, once */
enum nx_boot_phase boot_nodes_phase(const struct boot_nodes *nodes, int i);
bool boot_nodes_installed(const struct boot_nodes *nodes); /* all of the first view */

#define BOOT_POLL_UNTIL(nodes, condition)            \
    do {                                             \
        nx_ns until_ = nx_clock_now() + 60 * NX_SEC; \
        while (!(condition)) {                       \
            if (nx_clock_now() > until_)             \
                fail_msg("never: %s", #condition);   \
            boot_nodes_turn(nodes);                  \
        }                                            \
    } while (0)

#endif
