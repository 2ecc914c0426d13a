#include "process/process_trace.h"

#include "sim_trace.h"

#include <stdio.h>
#include <stdlib.h>

static void note(nx_rank self, enum sim_kind kind, struct sim_record record)
{
    static FILE *file;
    const char *prefix = getenv("NX_TRACE_PREFIX");
    char path[256];
    if (!prefix)
        return;
    if (!file) {
        snprintf(path, sizeof path, "%s%u", prefix, self);
        file = fopen(path, "we");
        if (!file)
            abort();
        setvbuf(file, NULL, _IOLBF, BUFSIZ); /* whole lines, also if we are killed */
    }
    record.at = record.at ? record.at : nx_clock_now();
    record.node = (uint8_t)self;
    record.kind = (uint8_t)kind;
    sim_record_print(&record, file);
}

void trace_view(nx_rank self, const struct nx_view *view, const struct nx_layout *layout)
{
    uint32_t shard;
    note(self, SIM_VIEW, (struct sim_record){.id = view->vid, .mask = nx_view_ranks(view)});
    if (nx_layout_shard_of(layout, 0, self, &shard))
        note(self, SIM_MEMBER,
             (struct sim_record){.shard = (uint8_t)shard, .mask = layout->shards[0][shard].set});
    else
        note(self, SIM_SPARE, (struct sim_record){0});
}

void trace_down(nx_rank self, nx_rank rank, bool clean)
{
    note(self, SIM_DOWN, (struct sim_record){.peer = (uint8_t)rank, .status = clean});
}

void trace_out(nx_rank self, enum nx_status status)
{
    note(self, SIM_OUT, (struct sim_record){.status = (uint8_t)status});
}

void trace_send(nx_rank self, nx_ns at, const void *bytes, size_t len)
{
    note(self, SIM_SEND,
         (struct sim_record){.at = at, .len = len, .hash = sim_hash(SIM_HASH_EMPTY, bytes, len)});
}

void trace_deliver(nx_rank self, const struct nx_delivery *m, const struct nx_layout *layout)
{
    note(self, SIM_DELIVER,
         (struct sim_record){.shard = (uint8_t)m->shard,
                             .peer = (uint8_t)m->sender,
                             .seq = m->seq,
                             .len = m->len,
                             .hash = sim_hash(SIM_HASH_EMPTY, m->bytes, m->len),
                             .mask = layout->shards[0][m->shard].set});
}
