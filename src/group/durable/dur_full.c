/* A full disk. What finds no room waits and is tried again every 100 ms, the newest note rather
 * than the one that failed; until it is written nothing that depends on it is told to others, as
 * if the disk were slow. Deliveries and queries go on, new bulk messages are refused. One line
 * when it begins, one when it ends. */
#include "group/durable/durable_state.h"

#include "common/log.h"

static const nx_ns RETRY_NS = 100 * NX_MS;

void nx_dur_is_full(struct nx_durable *d, enum nx_dur_waiter waiter, const struct nx_err *err)
{
    if (d->full == 0) {
        d->full_why = *err;
        d->full_since = d->now;
        nx_warn("the disk is full: %s (%llu bytes are free); changes wait and installs are refused "
                "until there is room",
                err->text, (unsigned long long)d->root->ops->room(d->root));
    }
    d->full |= waiter;
    if (waiter != NX_DUR_LOG) /* that has a clock of its own */
        d->retry_at = d->now + RETRY_NS;
}

void nx_dur_has_room(struct nx_durable *d, enum nx_dur_waiter waiter)
{
    if (!(d->full & waiter))
        return;
    d->full &= ~(uint32_t)waiter;
    if (d->full == 0)
        nx_warn("the disk of %s has room again: what waited is written, changes go on", d->folder);
}

bool nx_dur_may_try(const struct nx_durable *d, enum nx_dur_waiter waiter)
{
    return !(d->full & waiter) || d->now >= d->retry_at;
}

/* A group that begins waits for the notes of all; a shard holds its messages for a joiner whose old log is not void yet. */
static bool is_awaited(const struct nx_durable *d)
{
    return d->preparing || (d->note.void_log && !nx_durable_log_is_void(d));
}

void nx_dur_full_poll(struct nx_durable *d)
{
    struct nx_err err = {0};
    if (!(d->full & NX_DUR_NOTE) || d->failed.status != NX_OK || !is_awaited(d) ||
        d->now - d->full_since < NX_DURABLE_PATIENCE_NS)
        return;
    nx_err_set(&err, NX_UNAVAILABLE, "%s; the others wait for it, so this node makes way",
               d->full_why.text);
    nx_durable_fail(d, &err);
}
