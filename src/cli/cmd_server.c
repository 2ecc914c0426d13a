/* cmd_server.c — `nexus server`: one node, until ENTER, SIGINT or SIGTERM.
 *
 * One thread: a turn polls the group, then the tier, then sleeps until a descriptor rings or a timer is due.
 *
 *     FORMING ──first view──► SERVING ──stop asked──► DRAINING ──idle──► LEAVING ──► exit 0
 *        └──────────stop asked or the group failed: exit at once────────────┘ */
#include "categorizer/categorizer.h"
#include "cli/cmd.h"
#include "common/config.h"
#include "common/log.h"
#include "function_tier/function_tier.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { FUNCTION, CATEGORIZER }; /* indices of the subgroups in every node's spec */
enum { EXIT_USAGE = 2 };

static const nx_ns DRAIN_MAX_NS = 5 * NX_SEC; /* what is under way at a stop may take so long */
static const nx_ns STOPPING_NS = NX_MS;       /* how often a node that stops looks whether it may */
