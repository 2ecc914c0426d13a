/* S1, and the part of F1 and S3 that the virtual fabric itself observes. */
#include "check.h"
#include "sim_map.h"

#include <inttypes.h>

static bool find_foul(const struct sim_record *r, size_t at, struct sim_verdict *verdict)
{
    static const char *const what[] = {
        [SIM_FOUL_BOUNDS] = "outside the region or over the inline limit",
        [SIM_FOUL_PEER] = "to itself or to nobody",
        [SIM_FOUL_CREDIT] = "beyond the credits it was given",
        [SIM_FOUL_SOURCE] = "whose source changed before it landed",
        [SIM_FOUL_OWNER] = "where another member writes",
    };
    return sim_find(verdict, r->id == SIM_FOUL_SOURCE ? "S3" : "F1", at,
                    "n%u posted a write to n%u, %" PRIu64 " bytes at %" PRIu64 ", %s", r->node,
                    r->peer, r->len, r->offset, what[r->id]);
}

static bool column_grows(struct sim_map *columns, const struct sim_record *r, size_t at,
                         struct sim_verdict *verdict)
{
    bool fresh;
    uint64_t *value = sim_map_at(columns, r->node, r->offset << 8 | (r->id & 255), &fresh);
    bool grows = r->status == SIM_LAW_GROWS || r->status == SIM_LAW_DECISION;
    bool lost = grows ? *value > r->total : (*value & ~r->total) != 0;
    if (lost && r->status != SIM_LAW_FREE)
        return sim_find(verdict, "S1", at,
                        "n%u's word at %" PRIu64 " fell from %" PRIu64 " to %" PRIu64, r->node,
                        r->offset, *value, r->total);
    *value = r->total;
    return true;
}

bool check_fabric(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    struct sim_map columns = {0};
    bool ok = true;
    for (size_t at = 0; ok && at < facts->trace->count; at++) {
        const struct sim_record *r = &facts->trace->records[at];
        if (r->kind == SIM_FOUL)
            ok = find_foul(r, at, verdict);
        else if (r->kind == SIM_COLUMN)
            ok = column_grows(&columns, r, at, verdict);
    }
    sim_map_free(&columns);
    return ok;
}
