/* process_driver.h — starts test nodes as processes, writes them commands and awaits their
 * lines. */
#ifndef NX_PROCESS_DRIVER_H
#define NX_PROCESS_DRIVER_H

#include "common/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { DRIVER_NODES_MAX = 9, DRIVER_LINE_BYTES = 512 };

struct driver_node {
    pid_t pid; /* 0: not running */
    int in, out;
    char buffer[4096];
    size_t used;
    char line[DRIVER_LINE_BYTES]; /* the last one awaited */
    uint16_t fabric_port;
};

struct driver {
    const char *program, *ip, *provider;
    uint16_t port; /* the leader's */
    /* Where the others listen, by index; 0: anywhere. Those that have one are each other's contacts. */
    uint16_t ports[DRIVER_NODES_MAX];
    const char *secret_file; /* of nodes started from now on; NULL: none */
    unsigned timeout_ms;     /* of silent members; 0: none */
    bool own_ips;            /* node i is 127.0.0.(i + 1) */
    int log;                 /* where their standard error goes; 0: where ours does */
    struct driver_node nodes[DRIVER_NODES_MAX];
};

void driver_start(struct driver *d, unsigned index, unsigned id, unsigned nodes, unsigned min_nodes,
                  double join_timeout_s);
void driver_stop_all(struct driver *d); /* by kill; whatever state they are in */

void driver_tell(struct driver *d, unsigned index, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next line that starts with `prefix`; others are skipped, except that "wrong", "failed" and
 * "refused" fail the test unless they are what is awaited. Fails after 100 s. */
const char *driver_await(struct driver *d, unsigned index, const char *prefix);
/* Its answer to "report"; NULL: it has ended, which is no failure. */
const char *driver_report(struct driver *d, unsigned index);
void driver_kill(struct driver *d, unsigned index);      /* -9; returns when it is gone */
int driver_await_exit(struct driver *d, unsigned index); /* the exit code; -signal */

#endif
