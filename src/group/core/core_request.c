#include "group/core/core_state.h"

/* Whether this member may send ordered messages in its shard of `subgroup`, now or after a view change. */
static enum nx_status may_send(const struct nx_core *core, uint32_t subgroup)
{
    if (core->mc.senders == 0 || subgroup != core->mc.subgroup)
        return NX_INVALID;
    NX_TRY(nx_core_shard_status(core, core->mc.subgroup, core->mc.shard));
    return core->leave_asked ? NX_WEDGED : NX_OK;
}

/* While the view changes, or we lack what was ordered before, nothing new is ordered: the caller
 * tries again, as with a full window. */
static enum nx_status may_order(const struct nx_core *core)
{
    return core->mc.wedged || !core->has_state ? NX_AGAIN : NX_OK;
}

static enum nx_status send_message(struct nx_core *core, const struct nx_event *event)
{
    NX_TRY(may_send(core, event->subgroup));
    if (event->len > core->send_max)
        return NX_TOO_LARGE;
    NX_TRY(may_order(core));
    NX_TRY(nx_mc_append(&core->mc, NX_REC_MESSAGE, 0, event->bytes, event->len));
    core->stats.sent++;
    return NX_OK;
}

static enum nx_status bulk_open(struct nx_core *core, const struct nx_event *event,
                                struct nx_update *update)
{
    NX_TRY(may_send(core, event->subgroup));
    if (event->total == 0)
        return NX_INVALID;
    if (event->len > core->send_max)
        return NX_TOO_LARGE;
    if (!core->has_state)
        return NX_AGAIN;
    return nx_bulk_start(&core->bulk, event->total, event->bytes, event->len, &update->stream);
}

static enum nx_status bulk_write(struct nx_core *core, const struct nx_event *event,
                                 struct nx_update *update)
{
    NX_TRY(may_send(core, core->mc.subgroup));
    return nx_bulk_put(&core->bulk, event->stream, event->bytes, event->len, &update->taken);
}

static enum nx_status query_open(struct nx_core *core, const struct nx_event *event,
                                 struct nx_update *update)
{
    if (event->peer >= core->view.members_count || event->peer == core->self)
        return NX_INVALID;
    if (!(core->suspect.alive & NX_RANK_BIT(event->peer)))
        return NX_PEER_DOWN;
    if (core->suspect.leaving || (core->leave_asked && !event->system))
        return NX_WEDGED;
    return nx_p2p_ask(&core->p2p, event->peer, event->total, event->system, event->cookie,
                      &update->stream);
}

void nx_core_tell_loads(struct nx_core *core, nx_rankset peers)
{
    nx_table_tell_all(&core->table, peers, NX_COL_LOAD_LOW,
                      core->load[0] | (uint64_t)core->load[1] << 32);
    nx_table_tell_all(&core->table, peers, NX_COL_LOAD_HIGH,
                      core->load[2] | (uint64_t)core->load[3] << 32);
}

static enum nx_status set_load(struct nx_core *core, const struct nx_event *event)
{
    if (event->word >= NX_LOAD_WORDS)
        return NX_INVALID;
    core->load[event->word] = event->value;
    nx_core_tell_loads(core, nx_core_others(core));
    return NX_OK;
}

static enum nx_status dispatch(struct nx_core *core, nx_ns now, const struct nx_event *event,
                               struct nx_update *update)
{
    switch (event->type) {
    case NX_EV_SEND: return send_message(core, event);
    case NX_EV_BULK_OPEN: return bulk_open(core, event, update);
    case NX_EV_BULK_WRITE: return bulk_write(core, event, update);
    case NX_EV_BULK_ABORT: nx_bulk_give_up(&core->bulk, event->stream); return NX_OK;
    case NX_EV_QUERY_OPEN: return query_open(core, event, update);
    case NX_EV_QUERY_WRITE:
        return nx_p2p_ask_more(&core->p2p, event->stream, event->bytes, event->len, &update->taken);
    case NX_EV_QUERY_CANCEL: nx_p2p_cancel(&core->p2p, event->stream); return NX_OK;
    case NX_EV_REPLY_OPEN: return nx_p2p_reply(&core->p2p, event->stream, event->total);
    case NX_EV_REPLY_WRITE:
        return nx_p2p_reply_more(&core->p2p, event->stream, event->bytes, event->len,
                                 &update->taken);
    case NX_EV_LOAD: return set_load(core, event);
    case NX_EV_ADMIT: return nx_core_admit(core, event);
    case NX_EV_JOIN: return nx_core_join(core, event);
    case NX_EV_STATE: return nx_core_take_state(core);
    case NX_EV_WANT_OUT:
    case NX_EV_LEAVE: nx_core_want_out(core, now, event); return NX_OK;
    case NX_EV_VIEW:
    case NX_EV_POLL:
    case NX_EV_SLEEP:
    case NX_EV_PEER_DOWN:
    case NX_EV_DURABLE: break;
    }
    nx_assert(!"a request");
    return NX_INTERNAL;
}

void nx_core_request(struct nx_core *core, nx_ns now, const struct nx_event *event,
                     struct nx_update *update)
{
    if (!core->has_view)
        update->status = NX_UNAVAILABLE;
    else if (core->down != NX_OK)
        update->status = core->down;
    else
        update->status = dispatch(core, now, event, update);
    /* What a full window refused is worth another turn only when the window has moved, which is
     * news by itself. */
    bool is_write = event->type == NX_EV_QUERY_WRITE || event->type == NX_EV_REPLY_WRITE ||
                    event->type == NX_EV_BULK_WRITE;
    bool took = update->status == NX_OK && (!is_write || update->taken > 0);
    bool turns = event->type == NX_EV_BULK_WRITE && core->bulk.turning; /* the plan goes first */
    bool told = event->type == NX_EV_ADMIT; /* of a death, perhaps, also if it was refused */
    update->busy = took || core->p2p.postponed || turns || told;
    core->p2p.postponed = false;
}
