/* Parts of a tensor and parts put together: of data, and of shapes that are known while loading. */
#include <inttypes.h>
#include <string.h>

#include "categorizer/model/onnx_parts.h"

static uint32_t rank_of(const struct nx_onnx_call *c, uint32_t tensor)
{
    return nx_onnx_tensor(c, tensor)->shape.rank;
}

/* --- Concat --- */

static enum nx_status all_known(struct nx_onnx_call *c, bool *known)
{
    const struct nx_onnx_ints *ints;
    *known = true;
    for (uint32_t i = 0; i < c->node->n_inputs && *known; i++) {
        NX_TRY(nx_onnx_known(c, i, &ints));
        *known = ints && !ints->scalar;
    }
    return NX_OK;
}

static enum nx_status concat_ints(struct nx_onnx_call *c)
{
    struct nx_onnx_int items[NX_ONNX_INTS_MAX];
    const struct nx_onnx_ints *ints;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->node->n_inputs; i++) {
        NX_TRY(nx_onnx_known(c, i, &ints));
        if (ints->n > NX_ONNX_INTS_MAX - n)
            return nx_onnx_refuse(c, "such a long list of integers");
        if (ints->n)
            memcpy(items + n, ints->items, ints->n * sizeof *items);
        n += ints->n;
    }
    return nx_onnx_set_ints(c, 0, false, items, n);
}

enum nx_status nx_onnx_concat(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_CONCAT};
    uint32_t inputs[NX_NODE_INPUTS_MAX], at;
    int64_t axis = 1;
    bool known;
    NX_TRY(nx_onnx_arity(c, 1, NX_NODE_INPUTS_MAX));
    NX_TRY(all_known(c, &known));
    if (known)
        return concat_ints(c);
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    for (uint32_t i = 0; i < c->node->n_inputs; i++)
        NX_TRY(nx_onnx_data(c, i, &inputs[i]));
    NX_TRY(nx_onnx_axis(c, axis, rank_of(c, inputs[0]), &at));
    NX_TRY(nx_onnx_within_photo(c, inputs[0], at));
    node.attr.concat.axis = (int32_t)at;
    return nx_onnx_finish(c, &node, inputs, c->node->n_inputs);
}

/* --- Gather: of a shape, one place of an axis, or many --- */

static enum nx_status find_place(const struct nx_onnx_call *c, int64_t index, int64_t n,
                                 uint32_t *place)
{
    if (index < -n || index >= n)
        return nx_err_set(c->o->err, NX_INVALID,
                          "onnx: %s '%s' takes index %" PRId64 " of %" PRId64, c->node->op,
                          c->node->name, index, n);
    *place = (uint32_t)(index < 0 ? index + n : index);
    return NX_OK;
}

static enum nx_status gather_ints(struct nx_onnx_call *c, const struct nx_onnx_ints *from,
                                  const struct nx_onnx_ints *at)
{
    struct nx_onnx_int items[NX_ONNX_INTS_MAX];
    uint32_t place = 0;
    for (uint32_t i = 0; i < at->n; i++) {
        if (at->items[i].per_photo)
            return nx_onnx_refuse(c, "an index that depends on the number of photos");
        NX_TRY(find_place(c, at->items[i].base, from->n, &place));
        items[i] = from->items[place];
    }
    return nx_onnx_set_ints(c, 0, at->scalar, items, at->n);
}

static enum nx_status squeeze_axis(struct nx_onnx_call *c, uint32_t x, uint32_t axis, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_RESHAPE,
                           .attr.reshape = {.kind = NX_RESHAPE_SQUEEZE, .n = 1}};
    node.attr.reshape.codes[0] = axis;
    return nx_onnx_add(c, &node, &x, 1, y);
}

static enum nx_status slice_once(struct nx_onnx_call *c, uint32_t x, uint32_t axis, int64_t begin,
                                 int64_t end, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_SLICE, .attr.slice.n = 1};
    node.attr.slice.ranges[0] = (struct nx_range){(int32_t)axis, begin, end, 1};
    return nx_onnx_add(c, &node, &x, 1, y);
}

/* Many places, or places that are computed: -1 is the last. */
static enum nx_status gather_data(struct nx_onnx_call *c, uint32_t x, uint32_t axis)
{
    struct nx_node node = {.op = NX_OP_GATHER,
                           .attr.gather = {.axis = (int32_t)axis, .negative_is_from_end = true}};
    uint32_t inputs[2] = {x};
    NX_TRY(nx_onnx_data(c, 1, &inputs[1]));
    return nx_onnx_finish(c, &node, inputs, 2);
}

enum nx_status nx_onnx_gather(struct nx_onnx_call *c)
{
    const struct nx_onnx_ints *from, *places;
    int64_t axis = 0;
    uint32_t x, at, place = 0, y;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_known(c, 0, &from));
    NX_TRY(nx_onnx_known(c, 1, &places));
    if (from && places && !from->scalar)
        return gather_ints(c, from, places);
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    NX_TRY(nx_onnx_axis(c, axis, rank_of(c, x), &at));
    NX_TRY(nx_onnx_within_photo(c, x, at));
    if (!places || places->n != 1 || places->items[0].per_photo)
        return gather_data(c, x, at);
    NX_TRY(find_place(c, places->items[0].base, nx_onnx_tensor(c, x)->shape.dims[at], &place));
    NX_TRY(slice_once(c, x, at, place, (int64_t)place + 1, &y));
    if (places->scalar)
        NX_TRY(squeeze_axis(c, y, at, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_gather_elements(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_GATHER_EACH, .attr.gather.negative_is_from_end = true};
    uint32_t inputs[2], at;
    int64_t axis = 0;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_data(c, 0, &inputs[0]));
    NX_TRY(nx_onnx_data(c, 1, &inputs[1]));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    NX_TRY(nx_onnx_axis(c, axis, rank_of(c, inputs[0]), &at));
    NX_TRY(nx_onnx_within_photo(c, inputs[0], at));
    if (!nx_onnx_is_integer(c, 1))
        return nx_onnx_wrong(c, "its indices are not integers");
    for (uint32_t i = 0; i < rank_of(c, inputs[0]) && i < rank_of(c, inputs[1]); i++)
        if (i != at &&
            nx_onnx_dim(c, inputs[0], i).per_photo != nx_onnx_dim(c, inputs[1], i).per_photo)
            return nx_onnx_refuse(c, "working across the photos of a batch");
    node.attr.gather.axis = (int32_t)at;
    return nx_onnx_finish(c, &node, inputs, 2);
}

/* --- Slice --- */

struct slicing {
    int64_t begin[NX_RANK_MAX], end[NX_RANK_MAX], axes[NX_RANK_MAX], step[NX_RANK_MAX];
    uint32_t n;
};

static enum nx_status read_slicing(struct nx_onnx_call *c, struct slicing *s)
{
    uint32_t ends, axes, steps;
    NX_TRY(nx_onnx_ints_either(c, "starts", 1, s->begin, NX_RANK_MAX, &s->n));
    NX_TRY(nx_onnx_ints_either(c, "ends", 2, s->end, NX_RANK_MAX, &ends));
    NX_TRY(nx_onnx_ints_either(c, "axes", 3, s->axes, NX_RANK_MAX, &axes));
    NX_TRY(nx_onnx_constant_ints(c, 4, s->step, NX_RANK_MAX, &steps));
    if (s->n == 0 || ends != s->n || (axes && axes != s->n) || (steps && steps != s->n))
        return nx_onnx_wrong(c, "starts, ends, axes and steps are of different lengths");
    for (uint32_t i = 0; i < s->n; i++) {
        s->axes[i] = axes ? s->axes[i] : i;
        s->step[i] = steps ? s->step[i] : 1;
    }
    return NX_OK;
}

static int64_t clamp(int64_t at, int64_t n, int64_t least, int64_t most)
{
    if (at < 0)
        at = at < -n ? least : at + n;
    return at < least ? least : at > most ? most : at;
}

static enum nx_status slice_ints(struct nx_onnx_call *c, const struct nx_onnx_ints *from,
                                 const struct slicing *s)
{
    struct nx_onnx_int items[NX_ONNX_INTS_MAX];
    uint32_t n = 0;
    if (s->n != 1 || (s->axes[0] != 0 && s->axes[0] != -1) || s->step[0] == 0 ||
        s->step[0] < -(int64_t)NX_ONNX_INTS_MAX || s->step[0] > (int64_t)NX_ONNX_INTS_MAX)
        return nx_onnx_refuse(c, "such a slice of a shape");
    bool back = s->step[0] < 0;
    int64_t least = back ? -1 : 0, most = back ? (int64_t)from->n - 1 : from->n;
    int64_t at = clamp(s->begin[0], from->n, least, most);
    int64_t end = clamp(s->end[0], from->n, least, most);
    for (; back ? at > end : at < end; at += s->step[0])
        items[n++] = from->items[at];
    return nx_onnx_set_ints(c, 0, false, items, n);
}

enum nx_status nx_onnx_slice(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_SLICE};
    struct slicing s;
    const struct nx_onnx_ints *known;
    uint32_t x, at;
    NX_TRY(nx_onnx_arity(c, 1, 5));
    NX_TRY(nx_onnx_known(c, 0, &known));
    NX_TRY(read_slicing(c, &s));
    if (known && !known->scalar)
        return slice_ints(c, known, &s);
    NX_TRY(nx_onnx_data(c, 0, &x));
    node.attr.slice.n = s.n;
    for (uint32_t i = 0; i < s.n; i++) {
        NX_TRY(nx_onnx_axis(c, s.axes[i], rank_of(c, x), &at));
        bool whole = s.begin[i] == 0 && s.end[i] >= INT32_MAX && s.step[i] == 1;
        if (!whole)
            NX_TRY(nx_onnx_within_photo(c, x, at));
        node.attr.slice.ranges[i] = (struct nx_range){(int32_t)at, s.begin[i], s.end[i], s.step[i]};
    }
    return nx_onnx_finish(c, &node, &x, 1);
}

/* --- Split --- */

static enum nx_status split_evenly(struct nx_onnx_call *c, uint32_t x, uint32_t axis)
{
    struct nx_node node = {
        .op = NX_OP_SPLIT, .n_outputs = c->node->n_outputs, .attr.split.axis = (int32_t)axis};
    uint32_t first;
    NX_TRY(nx_onnx_add(c, &node, &x, 1, &first));
    for (uint32_t i = 0; i < c->node->n_outputs;
         i++) /* the graph numbers them one after the other */
        NX_TRY(nx_onnx_set(c, i, first + i));
    return NX_OK;
}

static enum nx_status split_as_told(struct nx_onnx_call *c, uint32_t x, uint32_t axis,
                                    const int64_t *parts)
{
    int64_t at = 0, whole = nx_onnx_tensor(c, x)->shape.dims[axis];
    uint32_t y;
    for (uint32_t i = 0; i < c->node->n_outputs; i++) {
        if (parts[i] < 1 || parts[i] > whole - at)
            return nx_onnx_wrong(c, "its parts are not those of the whole");
        NX_TRY(slice_once(c, x, axis, at, at + parts[i], &y));
        NX_TRY(nx_onnx_set(c, i, y));
        at += parts[i];
    }
    return at == whole ? NX_OK : nx_onnx_wrong(c, "its parts are not those of the whole");
}

/* From opset 18 without sizes: equal parts but the last, which may be smaller. */
static void even_parts(int64_t whole, int64_t n, int64_t *parts)
{
    int64_t each = (whole + n - 1) / n;
    for (int64_t i = 0; i < n; i++)
        parts[i] = whole - i * each < each ? whole - i * each : each;
}

enum nx_status nx_onnx_split(struct nx_onnx_call *c)
{
    int64_t axis = 0, parts[NX_ONNX_INTS_MAX];
    uint32_t x, at, n;
    NX_TRY(nx_onnx_arity(c, 1, 2));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    NX_TRY(nx_onnx_axis(c, axis, rank_of(c, x), &at));
    NX_TRY(nx_onnx_ints_either(c, "split", 1, parts, NX_ONNX_INTS_MAX, &n));
    NX_TRY(nx_onnx_within_photo(c, x, at));
    int64_t whole = nx_onnx_tensor(c, x)->shape.dims[at];
    if (n == 0 && whole % c->node->n_outputs == 0)
        return split_evenly(c, x, at);
    if (n == 0)
        even_parts(whole, c->node->n_outputs, parts);
    else if (n != c->node->n_outputs)
        return nx_onnx_wrong(c, "it has another number of parts than of outputs");
    return split_as_told(c, x, at, parts);
}

/* --- Squeeze and Unsqueeze --- */

enum nx_status nx_onnx_squeeze(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_SQUEEZE};
    const struct nx_onnx_ints *known;
    int64_t axes[NX_RANK_MAX];
    uint32_t x, at;
    NX_TRY(nx_onnx_arity(c, 1, 2));
    NX_TRY(nx_onnx_known(c, 0, &known));
    if (known && known->n == 1)
        return nx_onnx_set_ints(c, 0, true, known->items, 1);
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_ints_either(c, "axes", 1, axes, NX_RANK_MAX, &node.attr.reshape.n));
    for (uint32_t i = 0; i < node.attr.reshape.n; i++) {
        NX_TRY(nx_onnx_axis(c, axes[i], rank_of(c, x), &at));
        node.attr.reshape.codes[i] = at;
    }
    return nx_onnx_finish(c, &node, &x, 1);
}

/* axes are those of the result; put in from the left, each lands where it belongs. */
static enum nx_status expand(struct nx_onnx_call *c, uint32_t x, uint32_t mask, uint32_t rank)
{
    for (uint32_t i = 0; i < rank; i++) {
        struct nx_node node = {.op = NX_OP_RESHAPE,
                               .attr.reshape = {.kind = NX_RESHAPE_EXPAND, .n = 1, .codes = {i}}};
        if (mask >> i & 1)
            NX_TRY(nx_onnx_add(c, &node, &x, 1, &x));
    }
    return nx_onnx_set(c, 0, x);
}

enum nx_status nx_onnx_unsqueeze(struct nx_onnx_call *c)
{
    const struct nx_onnx_ints *known;
    int64_t axes[NX_RANK_MAX];
    uint32_t x, n, mask = 0, at;
    NX_TRY(nx_onnx_arity(c, 1, 2));
    NX_TRY(nx_onnx_known(c, 0, &known));
    if (known && known->scalar)
        return nx_onnx_set_ints(c, 0, false, known->items, 1);
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_ints_either(c, "axes", 1, axes, NX_RANK_MAX, &n));
    uint32_t rank = rank_of(c, x) + n;
    if (n == 0 || rank > NX_RANK_MAX)
        return nx_onnx_refuse(c, "such a list of axes");
    for (uint32_t i = 0; i < n; i++) {
        NX_TRY(nx_onnx_axis(c, axes[i], rank, &at));
        if (mask >> at & 1)
            return nx_onnx_wrong(c, "an axis is named twice");
        mask |= 1u << at;
    }
    return expand(c, x, mask, rank);
}
