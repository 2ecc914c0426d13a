#include "categorizer/graph/plan.h"

#include <string.h>

#include "common/nx_assert.h"

/* The input in whose slot the node's output lies: what it is a view of, or what it is added to. NX_NONE: none. */
static uint32_t shared_input(const struct nx_graph *graph, const struct nx_node *node, bool views)
{
    bool view = views && (node->op == NX_OP_RESHAPE || node->op == NX_OP_IDENTITY);
    if (!view && !node->post.sum)
        return NX_NONE;
    uint32_t in = node->inputs[node->post.sum ? node->n_inputs - 1 : 0];
    return graph->tensors[in].kind == NX_TENSOR_COMPUTED ? in : NX_NONE;
}

/* A slot for each output of the node at `step`, or a part in its input's. */
static void open_slots(const struct nx_graph *graph, uint32_t step, bool views,
                       struct nx_plan *plan)
{
    const struct nx_node *node = &graph->nodes[step];
    uint32_t shared = shared_input(graph, node, views);
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        uint32_t t = node->outputs[i];
        if (shared != NX_NONE) {
            plan->slot_of[t] = plan->slot_of[shared];
            continue;
        }
        plan->slot_of[t] = plan->n_slots;
        plan->slots[plan->n_slots++] = (struct nx_slot){
            .first = step, .last = step, .bytes = nx_tensor_bytes(&graph->tensors[t])};
    }
}

static void extend(struct nx_plan *plan, uint32_t tensor, uint32_t step)
{
    uint32_t slot = plan->slot_of[tensor];
    if (slot != NX_NONE && plan->slots[slot].last < step)
        plan->slots[slot].last = step;
}

enum nx_status nx_plan_slots(const struct nx_graph *graph, bool views, struct nx_plan *plan,
                             struct nx_err *err)
{
    struct nx_plan own = {0};
    own.slot_of = nx_arena_array(graph->arena, graph->n_tensors, sizeof *own.slot_of);
    own.slots = nx_arena_array(graph->arena, graph->n_tensors, sizeof *own.slots);
    if (!own.slot_of || !own.slots)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the memory plan");
    for (uint32_t i = 0; i < graph->n_tensors; i++)
        own.slot_of[i] = NX_NONE;
    for (uint32_t step = 0; step < graph->n_nodes; step++) {
        const struct nx_node *node = &graph->nodes[step];
        open_slots(graph, step, views, &own);
        for (uint32_t i = 0; i < node->n_inputs; i++)
            extend(&own, node->inputs[i], step);
        for (uint32_t i = 0; i < node->n_outputs; i++)
            extend(&own, node->outputs[i], step);
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        extend(&own, graph->outputs[i], graph->n_nodes);
    *plan = own;
    return NX_OK;
}

/* Slots placed so far, by offset: where the next one fits is found in one walk. */
struct packing {
    struct nx_slot *slots;
    uint32_t *by_offset, n_placed;
    uint64_t align, top;
};

static uint64_t rounded(const struct packing *p, uint64_t bytes)
{
    return (bytes + p->align - 1) & ~(p->align - 1);
}

static bool meet(const struct nx_slot *a, const struct nx_slot *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The start of the smallest gap that holds the slot, between those that live at the same time. */
static uint64_t best_gap(const struct packing *p, const struct nx_slot *slot)
{
    uint64_t need = rounded(p, slot->bytes), cursor = 0, best = UINT64_MAX, best_room = UINT64_MAX;
    for (uint32_t i = 0; i < p->n_placed; i++) {
        const struct nx_slot *other = &p->slots[p->by_offset[i]];
        if (!meet(slot, other))
            continue;
        uint64_t room = other->offset > cursor ? other->offset - cursor : 0;
        if (room >= need && room < best_room) {
            best = cursor;
            best_room = room;
        }
        uint64_t end = other->offset + rounded(p, other->bytes);
        cursor = end > cursor ? end : cursor;
    }
    return best == UINT64_MAX ? cursor : best;
}

static void place(struct packing *p, uint32_t at)
{
    struct nx_slot *slot = &p->slots[at];
    slot->offset = best_gap(p, slot);
    uint32_t i = p->n_placed++;
    for (; i > 0 && p->slots[p->by_offset[i - 1]].offset > slot->offset; i--)
        p->by_offset[i] = p->by_offset[i - 1];
    p->by_offset[i] = at;
    uint64_t end = slot->offset + rounded(p, slot->bytes);
    p->top = end > p->top ? end : p->top;
}

static bool larger(const struct nx_slot *slots, uint32_t a, uint32_t b)
{
    return slots[a].bytes > slots[b].bytes || (slots[a].bytes == slots[b].bytes && a < b);
}

/* Heap sort, largest first: nodes come from a file, so no quadratic worst case here. */
static void sift(const struct nx_slot *slots, uint32_t *order, uint32_t at, uint32_t n)
{
    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && larger(slots, order[child], order[child + 1]))
            child++;
        if (!larger(slots, order[at], order[child]))
            return;
        uint32_t swap = order[at];
        order[at] = order[child];
        order[child] = swap;
    }
}

static void sort_by_size(const struct nx_slot *slots, uint32_t *order, uint32_t n)
{
    for (uint32_t i = n / 2; i-- > 0;)
        sift(slots, order, i, n);
    for (uint32_t left = n; left > 1;) {
        uint32_t swap = order[0];
        order[0] = order[--left];
        order[left] = swap;
        sift(slots, order, 0, left);
    }
}

enum nx_status nx_plan_pack(struct nx_arena *scratch, struct nx_slot *slots, uint32_t n_slots,
                            uint64_t align, uint64_t *arena_bytes, struct nx_err *err)
{
    nx_assert(align && (align & (align - 1)) == 0);
    struct packing p = {.slots = slots, .align = align};
    uint32_t *order = nx_arena_array(scratch, n_slots, sizeof *order), n = 0;
    p.by_offset = nx_arena_array(scratch, n_slots, sizeof *p.by_offset);
    if (!order || !p.by_offset)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the memory plan");
    for (uint32_t i = 0; i < n_slots; i++) {
        slots[i].offset = 0;
        if (slots[i].bytes)
            order[n++] = i;
    }
    sort_by_size(slots, order, n);
    for (uint32_t i = 0; i < n; i++)
        place(&p, order[i]);
    *arena_bytes = p.top;
    return NX_OK;
}
