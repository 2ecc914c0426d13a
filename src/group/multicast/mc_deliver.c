#include "group/multicast/mc_deliver.h"

#include "group/multicast/mc_order.h"

#include <string.h>

/* Skips places that are nulls, as far as the current run goes. True if the place was one. */
static bool skip_null(struct nx_mc *mc, uint32_t sender)
{
    if (mc->due_nulls[sender] == 0)
        return false;
    mc->due_nulls[sender]--;
    mc->delivered++;
    return true;
}

static void fill_delivery(const struct nx_mc *mc, uint32_t sender, const struct nx_record *record,
                          const uint8_t *payload, struct nx_delivery *delivery)
{
    *delivery = (struct nx_delivery){
        .subgroup = mc->subgroup,
        .shard = mc->shard,
        .sender = mc->members[sender],
        .seq = (nx_seq)(mc->base + mc->delivered),
        .bytes = payload,
        .len = record->len,
    };
    if (record->kind == NX_REC_COMMIT) {
        delivery->bulk = nx_remote_load(payload);
        delivery->bytes += sizeof(nx_stream);
        delivery->len -= sizeof(nx_stream);
    }
}

/* The record at the sender's delivery cursor; it was checked when it was received, but lies in
 * memory that a hostile peer may have written since. */
static const char *next_record(struct nx_mc *mc, uint32_t sender, struct nx_record *record,
                               const uint8_t **payload)
{
    if (nx_intake_next(&mc->due[sender], record, payload) != NX_INTAKE_RECORD)
        return "its multicast ring changed after it was received";
    return nx_mc_check_record(mc, record, nx_order_index(mc->delivered, mc->senders));
}

enum nx_deliver_got nx_deliver_next(struct nx_mc *mc, uint64_t frontier,
                                    struct nx_delivery *delivery, const char **why)
{
    if ((mc->wedged && !mc->trimming) || mc->senders == 0)
        return NX_DELIVER_NONE;
    uint64_t end = frontier < mc->received ? frontier : mc->received;
    for (unsigned looked = 0; mc->delivered < end; looked++) {
        if (looked == NX_DELIVER_PLACES_MAX)
            return NX_DELIVER_AGAIN;
        uint32_t sender = nx_order_sender(mc->delivered, mc->senders);
        if (skip_null(mc, sender))
            continue;
        struct nx_record record;
        const uint8_t *payload;
        *why = next_record(mc, sender, &record, &payload);
        if (*why) {
            delivery->sender = mc->members[sender];
            return NX_DELIVER_CORRUPT;
        }
        if (record.kind == NX_REC_NULLS) {
            mc->due_nulls[sender] = record.len;
            continue;
        }
        fill_delivery(mc, sender, &record, payload, delivery);
        mc->delivered++;
        return NX_DELIVER_MESSAGE;
    }
    return NX_DELIVER_NONE;
}
