/* Values, buffers and steps of one variant. */
#include "categorizer/cpu/dnnl_build.h"

#include <string.h>

#include "common/nx_assert.h"

enum { ALIGN = 64 };

enum nx_status nx_dnnl_out_of_memory(struct nx_dnnl_build *b)
{
    return nx_err_set(b->err, NX_NO_MEMORY, "cpu_dnnl: out of memory for the program");
}

/* Room for one more; what is left behind is as large as what is in use, at most. */
static bool grow(struct nx_dnnl_build *b, void *array, uint32_t n, uint32_t *cap, size_t item_bytes)
{
    if (n < *cap)
        return true;
    uint32_t more = *cap ? 2 * *cap : 64;
    void *larger = nx_arena_array(b->arena, more, item_bytes), *old;
    if (!larger)
        return false;
    memcpy(&old, array, sizeof old); /* array is a pointer to a pointer to items */
    if (n)
        memcpy(larger, old, n * item_bytes);
    memcpy(array, &larger, sizeof larger);
    *cap = more;
    return true;
}

static enum nx_status add_buffer(struct nx_dnnl_build *b, enum nx_dnnl_place place, uint32_t index,
                                 size_t bytes, uint32_t *buffer)
{
    struct nx_dnnl_variant *v = b->v;
    if (!grow(b, &v->buffers, v->n_buffers, &v->cap_buffers, sizeof *v->buffers))
        return nx_dnnl_out_of_memory(b);
    v->buffers[v->n_buffers] = (struct nx_dnnl_buffer){
        .place = place, .index = index, .bytes = bytes, .first = UINT32_MAX};
    *buffer = v->n_buffers++;
    return NX_OK;
}

static enum nx_status add_value(struct nx_dnnl_build *b, const struct nx_dnnl_layout *layout,
                                uint32_t buffer, uint32_t *value)
{
    struct nx_dnnl_variant *v = b->v;
    if (!layout || !grow(b, &v->values, v->n_values, &v->cap_values, sizeof *v->values))
        return nx_dnnl_out_of_memory(b);
    v->values[v->n_values] =
        (struct nx_dnnl_value){.layout = layout, .buffer = buffer, .step = 1, .next = NX_NONE};
    *value = v->n_values++;
    return NX_OK;
}

static uint32_t sides_of(const struct nx_dnnl_build *b, uint32_t tensor, const int64_t **dims)
{
    static const int64_t one[1] = {1};
    const struct nx_shape *shape = &b->v->graph.tensors[tensor].shape;
    *dims = shape->rank ? shape->dims : one;
    return shape->rank ? shape->rank : 1;
}

const struct nx_dnnl_layout *nx_dnnl_rows_of(struct nx_dnnl_build *b, uint32_t tensor)
{
    const int64_t *dims;
    uint32_t rank = sides_of(b, tensor, &dims);
    return nx_dnnl_rows(b->dnnl, NX_DNNL_F32, rank, dims);
}

const struct nx_dnnl_layout *nx_dnnl_any_of(struct nx_dnnl_build *b, enum nx_dnnl_type type,
                                            uint32_t tensor)
{
    const int64_t *dims;
    uint32_t rank = sides_of(b, tensor, &dims);
    return nx_dnnl_any(b->dnnl, type, rank, dims);
}

enum nx_status nx_dnnl_value_new(struct nx_dnnl_build *b, const struct nx_dnnl_layout *layout,
                                 uint32_t *value)
{
    uint32_t buffer;
    if (!layout)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(add_buffer(b, NX_DNNL_IN_ARENA, 0, nx_dnnl_bytes(layout), &buffer));
    return add_value(b, layout, buffer, value);
}

enum nx_status nx_dnnl_buffer_new(struct nx_dnnl_build *b, size_t bytes, uint32_t *buffer)
{
    return add_buffer(b, NX_DNNL_IN_ARENA, 0, bytes, buffer);
}

enum nx_status nx_dnnl_value_at(struct nx_dnnl_build *b, const struct nx_dnnl_layout *layout,
                                const struct nx_dnnl_spot *spot, uint32_t *value)
{
    NX_TRY(add_value(b, layout, spot->buffer, value));
    b->v->values[*value].offset = spot->offset;
    b->v->buffers[spot->buffer].shared = true;
    return NX_OK;
}

enum nx_status nx_dnnl_value_outside(struct nx_dnnl_build *b, enum nx_dnnl_place place, uint32_t i,
                                     uint32_t *value)
{
    const struct nx_graph *g = &b->v->graph;
    uint32_t tensor = place == NX_DNNL_IN_INPUT ? g->inputs[i] : g->outputs[i], buffer;
    NX_TRY(add_buffer(b, place, i, nx_tensor_bytes(&g->tensors[tensor]), &buffer));
    return add_value(b, nx_dnnl_rows_of(b, tensor), buffer, value);
}

enum nx_status nx_dnnl_value_weight(struct nx_dnnl_build *b, const struct nx_dnnl_layout *layout,
                                    void *at, uint32_t *value)
{
    uint32_t buffer;
    NX_TRY(add_buffer(b, NX_DNNL_IN_WEIGHTS, 0, nx_dnnl_bytes(layout), &buffer));
    b->v->buffers[buffer].at = at;
    return add_value(b, layout, buffer, value);
}

enum nx_status nx_dnnl_value_alias(struct nx_dnnl_build *b, uint32_t value,
                                   const struct nx_dnnl_layout *layout, uint32_t *alias)
{
    const struct nx_dnnl_value *v = &b->v->values[value];
    const struct nx_dnnl_spot spot = {.buffer = v->buffer, .offset = v->offset};
    float step = v->step;
    NX_TRY(nx_dnnl_value_at(b, layout, &spot, alias));
    b->v->values[*alias].step = step;
    return NX_OK;
}

enum nx_status nx_dnnl_value_over(struct nx_dnnl_build *b, uint32_t value,
                                  const struct nx_dnnl_layout *layout, uint32_t *over)
{
    const struct nx_dnnl_value old = b->v->values[value];
    nx_assert(nx_dnnl_bytes(layout) == nx_dnnl_bytes(old.layout));
    NX_TRY(add_value(b, layout, old.buffer, over));
    b->v->values[*over].offset = old.offset;
    return NX_OK;
}

void nx_dnnl_value_set(struct nx_dnnl_build *b, uint32_t tensor, uint32_t value)
{
    b->v->first_value[tensor] = value;
    b->v->values[value].next = NX_NONE;
    b->v->rows_value[tensor] = NX_NONE;
}

static void add_version(struct nx_dnnl_build *b, uint32_t tensor, uint32_t value)
{
    uint32_t *link = &b->v->first_value[tensor];
    while (*link != NX_NONE)
        link = &b->v->values[*link].next;
    *link = value;
}

/* The first mention of an input or a constant makes its value. */
enum nx_status nx_dnnl_value_stored(struct nx_dnnl_build *b, uint32_t tensor, uint32_t *value)
{
    struct nx_dnnl_variant *v = b->v;
    if (v->first_value[tensor] == NX_NONE) {
        const struct nx_dnnl_layout *rows = nx_dnnl_rows_of(b, tensor);
        if (!rows)
            return nx_dnnl_out_of_memory(b);
        nx_assert(v->graph.tensors[tensor].kind == NX_TENSOR_CONSTANT);
        NX_TRY(nx_dnnl_weight_in(b, tensor, rows, rows, value));
        add_version(b, tensor, *value);
    }
    *value = v->first_value[tensor];
    return NX_OK;
}

enum nx_status nx_dnnl_value_native(struct nx_dnnl_build *b, uint32_t tensor, uint32_t *value)
{
    NX_TRY(nx_dnnl_value_stored(b, tensor, value));
    if (!nx_dnnl_is_int8(b->v->values[*value].layout))
        return NX_OK;
    const struct nx_dnnl_layout *f32 =
        nx_dnnl_retyped(b->dnnl, b->v->values[*value].layout, NX_DNNL_F32);
    return f32 ? nx_dnnl_value_in(b, tensor, f32, value) : nx_dnnl_out_of_memory(b);
}

enum nx_status nx_dnnl_step_reorder(struct nx_dnnl_build *b, uint32_t from, uint32_t to)
{
    const struct nx_dnnl_value *x = &b->v->values[from], *y = &b->v->values[to];
    struct nx_dnnl_made made;
    float scale = y->step < 1 || y->step > 1 ? x->step * (1 / y->step) : x->step;
    enum nx_status status =
        nx_dnnl_make_reorder(b->dnnl, x->layout, y->layout, scale, &made, b->err);
    if (status == NX_UNSUPPORTED)
        return nx_err_set(b->err, NX_INTERNAL, "cpu_dnnl: oneDNN cannot reorder a tensor");
    NX_TRY(status);
    const uint32_t args[] = {NX_DNNL_SRC, NX_DNNL_DST}, both[] = {from, to};
    return nx_dnnl_step_call(b, &made, 2, args, both);
}

enum nx_status nx_dnnl_value_in(struct nx_dnnl_build *b, uint32_t tensor,
                                const struct nx_dnnl_layout *layout, uint32_t *value)
{
    uint32_t native;
    NX_TRY(nx_dnnl_value_stored(b, tensor, &native));
    for (uint32_t i = native; i != NX_NONE; i = b->v->values[i].next)
        if (nx_dnnl_same(b->v->values[i].layout, layout)) {
            *value = i;
            return NX_OK;
        }
    NX_TRY(nx_dnnl_value_new(b, layout, value));
    b->v->values[*value].step = nx_dnnl_step_in(b, tensor, layout);
    NX_TRY(nx_dnnl_step_reorder(b, native, *value));
    add_version(b, tensor, *value);
    return NX_OK;
}

enum nx_status nx_dnnl_value_rows(struct nx_dnnl_build *b, uint32_t tensor, uint32_t *value)
{
    const struct nx_dnnl_layout *rows = nx_dnnl_rows_of(b, tensor);
    if (!rows)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_value_in(b, tensor, rows, value));
    b->v->rows_value[tensor] = *value;
    return NX_OK;
}

enum nx_status nx_dnnl_value_take(struct nx_dnnl_build *b, uint32_t tensor,
                                  const struct nx_dnnl_layout *layout, bool read, uint32_t *value)
{
    if (!layout)
        return nx_dnnl_out_of_memory(b);
    uint32_t found;
    NX_TRY(nx_dnnl_value_in(b, tensor, layout, &found));
    const struct nx_dnnl_buffer *buffer = &b->v->buffers[b->v->values[found].buffer];
    if (buffer->place == NX_DNNL_IN_ARENA && !buffer->shared && !read) {
        *value = found;
        return NX_OK;
    }
    NX_TRY(nx_dnnl_value_new(b, layout, value));
    b->v->values[*value].step = b->v->values[found].step;
    return nx_dnnl_step_reorder(b, found, *value);
}

static void touch(struct nx_dnnl_build *b, uint32_t value, uint32_t step)
{
    struct nx_dnnl_buffer *buffer = &b->v->buffers[b->v->values[value].buffer];
    if (step < buffer->first)
        buffer->first = step;
    if (step > buffer->last)
        buffer->last = step;
}

static enum nx_status add_step(struct nx_dnnl_build *b, const struct nx_dnnl_step *step,
                               const uint32_t *args, const uint32_t *values)
{
    struct nx_dnnl_variant *v = b->v;
    struct nx_dnnl_step own = *step;
    own.args = nx_arena_array(b->arena, step->n, sizeof *own.args);
    own.values = nx_arena_array(b->arena, step->n, sizeof *own.values);
    if (!own.args || !own.values ||
        !grow(b, &v->steps, v->n_steps, &v->cap_steps, sizeof *v->steps))
        return nx_dnnl_out_of_memory(b);
    for (uint32_t i = 0; i < step->n; i++) {
        own.args[i] = args ? args[i] : 0;
        own.values[i] = values[i];
        touch(b, values[i], v->n_steps);
    }
    v->steps[v->n_steps++] = own;
    return NX_OK;
}

enum nx_status nx_dnnl_step_call(struct nx_dnnl_build *b, const struct nx_dnnl_made *made,
                                 uint32_t n, const uint32_t *args, const uint32_t *values)
{
    uint32_t *all = nx_arena_array(b->arena2, 2 * (size_t)n + 2, sizeof *all);
    if (!all)
        return nx_dnnl_out_of_memory(b);
    uint32_t *all_values = all + n + 1;
    memcpy(all, args, n * sizeof *all);
    memcpy(all_values, values, n * sizeof *all);
    struct nx_dnnl_step step = {.kind = NX_DNNL_STEP_CALL, .op = made->op, .node = b->node, .n = n};
    if (made->scratch) {
        all[step.n] = NX_DNNL_SCRATCH;
        NX_TRY(nx_dnnl_value_new(b, made->scratch, &all_values[step.n]));
        step.n++;
    }
    return add_step(b, &step, all, all_values);
}

enum nx_status nx_dnnl_step_ref(struct nx_dnnl_build *b, const struct nx_node *node)
{
    uint32_t n = node->n_inputs + node->n_outputs;
    uint32_t *values = nx_arena_array(b->arena2, n, sizeof *values);
    if (!values)
        return nx_dnnl_out_of_memory(b);
    for (uint32_t i = 0; i < node->n_inputs; i++)
        NX_TRY(nx_dnnl_value_rows(b, node->inputs[i], &values[i]));
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        uint32_t *value = &values[node->n_inputs + i];
        NX_TRY(nx_dnnl_value_new(b, nx_dnnl_rows_of(b, node->outputs[i]), value));
        nx_dnnl_value_set(b, node->outputs[i], *value);
        b->v->rows_value[node->outputs[i]] = *value;
    }
    struct nx_dnnl_step step = {.kind = NX_DNNL_STEP_REF, .node = node, .n = n};
    return add_step(b, &step, NULL, values);
}

enum nx_status nx_dnnl_step_act(struct nx_dnnl_build *b, const struct nx_node *node)
{
    uint32_t out = node->outputs[0], value;
    NX_TRY(nx_dnnl_value_take(b, out, nx_dnnl_rows_of(b, out), false, &value));
    nx_dnnl_value_set(b, out, value);
    b->v->rows_value[out] = value;
    struct nx_dnnl_step step = {.kind = NX_DNNL_STEP_ACT, .node = node, .n = 1};
    return add_step(b, &step, NULL, &value);
}

/* An input or output of the graph lives outside; weights have their place. */
static bool in_arena(const struct nx_dnnl_buffer *buffer)
{
    return buffer->place == NX_DNNL_IN_ARENA && buffer->first <= buffer->last;
}

enum nx_status nx_dnnl_pack(struct nx_dnnl_build *b, uint64_t *bytes)
{
    struct nx_dnnl_variant *v = b->v;
    struct nx_slot *slots = nx_arena_array(b->arena2, v->n_buffers, sizeof *slots);
    if (!slots)
        return nx_dnnl_out_of_memory(b);
    for (uint32_t i = 0; i < v->n_buffers; i++)
        if (in_arena(&v->buffers[i]))
            slots[i] = (struct nx_slot){.first = v->buffers[i].first,
                                        .last = v->buffers[i].last,
                                        .bytes = v->buffers[i].bytes};
    NX_TRY(nx_plan_pack(b->arena2, slots, v->n_buffers, ALIGN, bytes, b->err));
    for (uint32_t i = 0; i < v->n_buffers; i++)
        v->buffers[i].offset = slots[i].offset;
    return NX_OK;
}

static enum nx_status prepare_call(struct nx_dnnl_build *b, uint32_t at)
{
    const struct nx_dnnl_step *step = &b->v->steps[at];
    struct nx_dnnl_memory **memories = nx_arena_array(b->arena2, step->n, sizeof *memories);
    if (!memories)
        return nx_dnnl_out_of_memory(b);
    for (uint32_t i = 0; i < step->n; i++)
        memories[i] = b->v->values[step->values[i]].memory;
    return nx_dnnl_prepare(b->dnnl, step->op, step->n, step->args, memories, &b->v->calls[at],
                           b->err);
}

static void *address_of(const struct nx_dnnl_variant *v, uint32_t value)
{
    uint8_t *at = v->buffers[v->values[value].buffer].at;
    return at ? at + v->values[value].offset : NULL;
}

enum nx_status nx_dnnl_bind_all(struct nx_dnnl_build *b, uint8_t *base)
{
    struct nx_dnnl_variant *v = b->v;
    for (uint32_t i = 0; i < v->n_buffers; i++)
        if (in_arena(&v->buffers[i]))
            v->buffers[i].at = base + v->buffers[i].offset;
    for (uint32_t i = 0; i < v->n_values; i++)
        NX_TRY(nx_dnnl_bind(b->dnnl, v->values[i].layout, address_of(v, i), &v->values[i].memory,
                            b->err));
    v->calls = nx_arena_array(b->arena, v->n_steps, sizeof *v->calls);
    v->rows = nx_arena_array(b->arena, v->graph.n_tensors, sizeof *v->rows);
    if (!v->calls || !v->rows)
        return nx_dnnl_out_of_memory(b);
    for (uint32_t i = 0; i < v->n_steps; i++)
        if (v->steps[i].kind == NX_DNNL_STEP_CALL)
            NX_TRY(prepare_call(b, i));
    for (uint32_t t = 0; t < v->graph.n_tensors; t++)
        if (v->rows_value[t] != NX_NONE)
            v->rows[t] = address_of(v, v->rows_value[t]);
    return NX_OK;
}
