#include "sim_events.h"

#include "common/nx_assert.h"

#include <stdlib.h>

void sim_events_free(struct sim_events *events)
{
    free(events->heap);
    *events = (struct sim_events){0};
}

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->tie < b->tie;
}

void sim_events_add(struct sim_events *events, nx_ns at, enum sim_event_kind kind, bool timer,
                    uint32_t a, uint32_t b, uint32_t c)
{
    if (events->count == events->capacity) {
        events->capacity = events->capacity ? events->capacity * 2 : 256;
        events->heap = realloc(events->heap, events->capacity * sizeof *events->heap);
        nx_assert(events->heap != NULL);
    }
    struct sim_event event = {at, events->ties++, kind, timer, a, b, c};
    size_t i = events->count++;
    for (; i > 0 && before(&event, &events->heap[(i - 1) / 2]); i = (i - 1) / 2)
        events->heap[i] = events->heap[(i - 1) / 2];
    events->heap[i] = event;
    events->work += !timer;
}

bool sim_events_next(struct sim_events *events, struct sim_event *event)
{
    if (!events->count)
        return false;
    *event = events->heap[0];
    struct sim_event last = events->heap[--events->count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < events->count) {
        if (child + 1 < events->count && before(&events->heap[child + 1], &events->heap[child]))
            child++;
        if (!before(&events->heap[child], &last))
            break;
        events->heap[i] = events->heap[child];
        i = child;
    }
    events->heap[i] = last;
    events->work -= !event->timer;
    return true;
}
