/* What the group keeps on its member's disk, as part of its turns. A disk that fails makes the member leave rather than
 * say what is not so. */
#include "group/group_state.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

static void disk_failed(struct nx_group *g, const struct nx_err *why)
{
    if (g->disk_failed.status != NX_OK)
        return;
    nx_err_set(&g->disk_failed, why->status, "the disk failed: %s", why->text);
    if (!g->installed)
        nx_group_tell_down(g, &g->disk_failed);
    else
        (void)nx_group_leave(g);
}

void nx_group_keep_again(struct nx_group *g)
{
    if (g->disk.durable)
        nx_bootstrap_offer(g->boot, nx_durable_offer(g->disk.durable));
}

enum nx_status nx_group_keep_open(struct nx_group *g, struct nx_err *err)
{
    struct epoll_event want = {.events = EPOLLIN};
    struct nx_durable_config durable = {.folder = g->config.file_path,
                                        .node = g->config.local_id,
                                        .spec = g->config.spec,
                                        .subgroup = g->config.subgroup};
    NX_TRY(nx_group_disk_open(&g->disk, &durable, err));
    if (g->disk.durable &&
        epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, nx_durable_fd(g->disk.durable), &want) != 0)
        return nx_err_set(err, NX_FATAL, "cannot watch the disk: %s", strerror(errno));
    nx_group_keep_again(g);
    return NX_OK;
}

void nx_group_keep_tell_ready(struct nx_group *g)
{
    if (!g->ready_waits || (g->disk.durable && !nx_durable_log_is_void(g->disk.durable)))
        return;
    g->ready_waits = false;
    nx_group_transfer_ready(g->transfer);
}

/* Leaves first, says why afterwards. */
bool nx_group_keep_turn(struct nx_group *g, nx_ns now)
{
    struct nx_err err = {0};
    bool busy = false;
    bool moved = nx_group_disk_turn(&g->disk, g->core, &g->up, g->ctx, now, &g->request, &busy);
    g->requested |= busy;
    nx_group_keep_tell_ready(g);
    if (g->disk.durable && nx_durable_status(g->disk.durable, &err) != NX_OK)
        disk_failed(g, &err);
    if (g->disk_failed.status != NX_OK && g->installed && nx_group_leave(g))
        nx_group_tell_down(g, &g->disk_failed);
    return moved;
}

void nx_group_keep_upcall(struct nx_group *g, const struct nx_upcall *u)
{
    struct nx_err err = {0};
    if (nx_group_disk_upcall(&g->disk, g->core, u, nx_bootstrap_joins(g->boot), &err) != NX_OK)
        disk_failed(g, &err);
}

void nx_group_keep_state(struct nx_group *g)
{
    nx_group_disk_cut(&g->disk, &g->up, g->ctx, g->config.subgroup, true);
}

/* A joiner cannot know its view yet: it notes it when it is installed, and nothing of it is certain before. */
bool nx_group_keep_ready(struct nx_group *g)
{
    struct nx_err err = {0};
    uint32_t attempt = nx_bootstrap_attempt(g->boot);
    if (!g->disk.durable)
        return true;
    if (g->disk.replaying || g->disk_failed.status != NX_OK)
        return false;
    if (nx_bootstrap_joins(g->boot))
        return true;
    if (g->prepared != attempt) {
        g->prepared = attempt;
        if (nx_durable_prepare(g->disk.durable, &nx_bootstrap_view(g->boot)->view, &err) != NX_OK)
            disk_failed(g, &err);
    }
    return nx_durable_prepared(g->disk.durable);
}

bool nx_group_keep_replay(struct nx_group *g)
{
    struct nx_err err = {0};
    if (!g->disk.replaying || g->disk_failed.status != NX_OK)
        return false;
    g->in_upcall = true;
    enum nx_status status = nx_group_disk_replay(&g->disk, &g->up, g->ctx, &err);
    g->in_upcall = false;
    if (status != NX_OK && status != NX_AGAIN)
        disk_failed(g, &err);
    return true;
}
