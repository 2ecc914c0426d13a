/* Indices, comparisons, sizes: ops that exporters write around nets for photos, and in nets for other things. */
#include <math.h>
#include <string.h>

#include "categorizer/model/onnx_parts.h"

static const struct nx_shape *shape_of(const struct nx_onnx_call *c, uint32_t tensor)
{
    return &nx_onnx_tensor(c, tensor)->shape;
}

/* --- Where and comparisons, also of shapes --- */

/* Is a == b whatever the batch? False: it depends. */
static bool compare_ints(struct nx_onnx_int a, struct nx_onnx_int b, bool *equal)
{
    int64_t base = a.base - b.base, per_photo = a.per_photo - b.per_photo;
    *equal = base == 0 && per_photo == 0;
    return per_photo == 0 || base % per_photo != 0 || -base / per_photo < 1;
}

static const struct nx_onnx_int *item_of(const struct nx_onnx_ints *ints, uint32_t i)
{
    return &ints->items[ints->n == 1 ? 0 : i];
}

static enum nx_status equal_ints(struct nx_onnx_call *c, const struct nx_onnx_ints *a,
                                 const struct nx_onnx_ints *b)
{
    struct nx_onnx_int items[NX_ONNX_INTS_MAX];
    uint32_t n = a->n > b->n ? a->n : b->n;
    if ((a->n != n && a->n != 1) || (b->n != n && b->n != 1))
        return nx_onnx_wrong(c, "its two lists of integers are of different lengths");
    for (uint32_t i = 0; i < n; i++) {
        bool equal;
        if (!compare_ints(*item_of(a, i), *item_of(b, i), &equal))
            return nx_onnx_refuse(c, "a comparison with the number of photos");
        items[i] = (struct nx_onnx_int){equal, 0};
    }
    return nx_onnx_set_ints(c, 0, a->scalar && b->scalar, items, n);
}

/* detail: nx_binary */
enum nx_status nx_onnx_compare(struct nx_onnx_call *c)
{
    const struct nx_onnx_ints *x, *z;
    uint32_t a, b, y;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_known(c, 0, &x));
    NX_TRY(nx_onnx_known(c, 1, &z));
    if (c->detail == NX_BINARY_EQ && x && z && x->n && z->n)
        return equal_ints(c, x, z);
    NX_TRY(nx_onnx_data(c, 0, &a));
    NX_TRY(nx_onnx_data(c, 1, &b));
    NX_TRY(nx_onnx_binary(c, (enum nx_binary)c->detail, a, b, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_mod(struct nx_onnx_call *c)
{
    bool fmod = false;
    NX_TRY(nx_onnx_attr_bool(c, "fmod", &fmod));
    c->detail = fmod ? NX_BINARY_FMOD : NX_BINARY_MOD;
    return nx_onnx_compare(c);
}

static enum nx_status where_ints(struct nx_onnx_call *c, const struct nx_onnx_ints *const *in)
{
    struct nx_onnx_int items[NX_ONNX_INTS_MAX];
    uint32_t n = 1;
    bool scalar = true;
    for (int i = 0; i < 3; i++) {
        n = in[i]->n > n ? in[i]->n : n;
        scalar &= in[i]->scalar;
    }
    for (int i = 0; i < 3; i++)
        if (in[i]->n != n && in[i]->n != 1)
            return nx_onnx_wrong(c, "its lists of integers are of different lengths");
    for (uint32_t i = 0; i < n; i++)
        items[i] = *item_of(in[item_of(in[0], i)->base ? 1 : 2], i);
    return nx_onnx_set_ints(c, 0, scalar, items, n);
}

enum nx_status nx_onnx_where(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_WHERE};
    const struct nx_onnx_ints *known[3];
    uint32_t inputs[3];
    bool all = true;
    NX_TRY(nx_onnx_arity(c, 3, 3));
    for (uint32_t i = 0; i < 3; i++) {
        NX_TRY(nx_onnx_known(c, i, &known[i]));
        all &= known[i] && known[i]->n;
    }
    if (all)
        return where_ints(c, known);
    for (uint32_t i = 0; i < 3; i++)
        NX_TRY(nx_onnx_data(c, i, &inputs[i]));
    return nx_onnx_finish(c, &node, inputs, 3);
}

/* --- Expand and Tile --- */

/* Ones of the shape (batch, 1, 1, …), from an input that has a batch: whatever stands in it. */
static enum nx_status ones_per_photo(struct nx_onnx_call *c, uint32_t rank, uint32_t *y)
{
    struct nx_node flat = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_FLATTEN};
    struct nx_node first = {.op = NX_OP_SLICE, .attr.slice = {.n = 1, .ranges = {{1, 0, 1, 1}}}};
    struct nx_onnx_int dims[NX_RANK_MAX] = {{0, 1}};
    uint32_t x = NX_NONE;
    for (uint32_t i = 0; i < c->o->n_inputs && x == NX_NONE; i++)
        if (c->o->inputs[i].batched)
            x = c->o->inputs[i].tensor;
    if (x == NX_NONE)
        return nx_onnx_refuse(c, "a shape that depends on the number of photos");
    for (uint32_t i = 1; i < rank; i++)
        dims[i] = (struct nx_onnx_int){1, 0};
    NX_TRY(nx_onnx_add(c, &flat, &x, 1, y));
    NX_TRY(nx_onnx_add(c, &first, y, 1, y));
    NX_TRY(nx_onnx_reshape(c, *y, dims, rank, y));
    return nx_onnx_unary(c, NX_UNARY_CONSTANT, 1, 0, *y, y);
}

/* x with 1s put before its dimensions until there are `rank`. */
static enum nx_status widen(struct nx_onnx_call *c, uint32_t x, uint32_t rank, uint32_t *y)
{
    *y = x;
    while (shape_of(c, *y)->rank < rank) {
        struct nx_node node = {.op = NX_OP_RESHAPE,
                               .attr.reshape = {.kind = NX_RESHAPE_EXPAND, .n = 1}};
        NX_TRY(nx_onnx_add(c, &node, y, 1, y));
    }
    return NX_OK;
}

static bool is_one(struct nx_onnx_int dim)
{
    return dim.base == 1 && dim.per_photo == 0;
}

/* The sides of `wanted` that x, of as many dimensions, does not have yet: *batch says that the first is the batch. */
static enum nx_status plan_expand(struct nx_onnx_call *c, uint32_t x,
                                  const struct nx_onnx_ints *wanted, struct nx_attr_tile *tile,
                                  bool *batch)
{
    uint32_t rank = shape_of(c, x)->rank, offset = rank - wanted->n;
    tile->n = rank;
    *batch = false;
    for (uint32_t i = 0; i < rank; i++) {
        struct nx_onnx_int have = nx_onnx_dim(c, x, i), want = {1, 0};
        if (i >= offset)
            want = wanted->items[i - offset];
        tile->counts[i] = 0;
        if (is_one(want) || (want.base == have.base && want.per_photo == have.per_photo))
            continue;
        if (!is_one(have))
            return nx_onnx_wrong(c, "a side that is not 1 cannot become another");
        if (want.per_photo == 0)
            tile->counts[i] = want.base;
        else if (i == 0 && want.base == 0 && want.per_photo == 1)
            *batch = true;
        else
            return nx_onnx_refuse(c, "such a shape, which depends on the number of photos");
    }
    return NX_OK;
}

enum nx_status nx_onnx_expand(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_TILE, .attr.tile.kind = NX_TILE_TO};
    struct nx_node spread = {.op = NX_OP_WHERE};
    const struct nx_onnx_ints *wanted;
    uint32_t x, inputs[3];
    bool batch;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_known(c, 1, &wanted));
    if (!wanted || wanted->n > NX_RANK_MAX)
        return nx_onnx_refuse(c, "a shape that depends on the input's content");
    NX_TRY(widen(c, x, wanted->n, &x));
    NX_TRY(plan_expand(c, x, wanted, &node.attr.tile, &batch));
    NX_TRY(nx_onnx_add(c, &node, &x, 1, &inputs[1]));
    if (!batch)
        return nx_onnx_set(c, 0, inputs[1]);
    NX_TRY(ones_per_photo(c, shape_of(c, inputs[1])->rank, &inputs[0]));
    inputs[2] = inputs[1];
    return nx_onnx_finish(c, &spread, inputs, 3);
}

enum nx_status nx_onnx_tile(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_TILE, .attr.tile.kind = NX_TILE_REPEAT};
    struct nx_attr_tile *a = &node.attr.tile;
    uint32_t x;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_constant_ints(c, 1, a->counts, NX_RANK_MAX, &a->n));
    if (a->n != shape_of(c, x)->rank)
        return nx_onnx_wrong(c, "one count for each dimension was expected");
    for (uint32_t i = 0; i < a->n; i++)
        if (a->counts[i] != 1)
            NX_TRY(nx_onnx_within_photo(c, x, i));
    return nx_onnx_finish(c, &node, &x, 1);
}

/* --- Resize and Upsample --- */

static enum nx_status read_places(struct nx_onnx_call *c, struct nx_attr_resize *a)
{
    const char *const modes[] = {"nearest", "linear", NULL};
    const char *const places[] = {"half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners",
                                  NULL};
    const char *const rounds[] = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil", NULL};
    const char *const policies[] = {"stretch", NULL};
    bool upsample = strcmp(c->node->op, "Upsample") == 0, antialias = false;
    bool old = upsample || c->o->opset < 11;
    int mode = 0, place = old ? NX_PLACE_ASYMMETRIC : NX_PLACE_HALF_PIXEL, ignored;
    int round = old ? NX_ROUND_FLOOR : NX_ROUND_HALF_DOWN;
    NX_TRY(nx_onnx_attr_choice(c, "mode", modes, &mode));
    NX_TRY(nx_onnx_attr_choice(c, "coordinate_transformation_mode", places, &place));
    NX_TRY(nx_onnx_attr_choice(c, "nearest_mode", rounds, &round));
    NX_TRY(nx_onnx_attr_choice(c, "keep_aspect_ratio_policy", policies, &ignored));
    NX_TRY(nx_onnx_attr_bool(c, "antialias", &antialias));
    if (antialias)
        return nx_onnx_refuse(c, "antialias");
    a->kind = (enum nx_resize)mode;
    a->place = (enum nx_resize_place)place;
    a->round = (enum nx_resize_round)round;
    return NX_OK;
}

/* `count` values, of the dimensions in `axes`, or of all. */
static enum nx_status place_factors(struct nx_onnx_call *c, const float *values, uint64_t count,
                                    const int64_t *axes, uint32_t n_axes, struct nx_attr_resize *a)
{
    if (count != (n_axes ? n_axes : 4))
        return nx_onnx_wrong(c, "a scale for each dimension was expected");
    a->scale[0] = a->scale[1] = 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        if (n_axes)
            NX_TRY(nx_onnx_axis(c, axes[i], 4, &at));
        if (at < 2 && values[i] != 1)
            return nx_onnx_refuse(c, "resizing the batch or the channels");
        if (at >= 2)
            a->scale[at - 2] = values[i];
    }
    return NX_OK;
}

static enum nx_status place_sizes(struct nx_onnx_call *c, uint32_t x,
                                  const struct nx_onnx_ints *sizes, const int64_t *axes,
                                  uint32_t n_axes, struct nx_attr_resize *a)
{
    if (!sizes || sizes->n != (n_axes ? n_axes : 4))
        return nx_onnx_refuse(c, "sizes that are not known while loading, one for each dimension,");
    for (int i = 0; i < 2; i++)
        a->size[i] = shape_of(c, x)->dims[2 + i];
    for (uint32_t i = 0; i < sizes->n; i++) {
        struct nx_onnx_int size = sizes->items[i];
        uint32_t at = i;
        if (n_axes)
            NX_TRY(nx_onnx_axis(c, axes[i], 4, &at));
        struct nx_onnx_int have = nx_onnx_dim(c, x, at);
        bool same = have.base == size.base && have.per_photo == size.per_photo;
        bool declared = at == 0 && size.per_photo == 0 && size.base == c->o->declared_batch;
        if (at < 2 && !same && !declared)
            return nx_onnx_refuse(c, "resizing the batch or the channels");
        if (at >= 2 && size.per_photo)
            return nx_onnx_refuse(c, "a size that depends on the number of photos");
        if (at >= 2)
            a->size[at - 2] = size.base;
    }
    return NX_OK;
}

static enum nx_status constant_floats(struct nx_onnx_call *c, uint32_t i, const float **values,
                                      uint64_t *n)
{
    uint32_t tensor;
    NX_TRY(nx_onnx_data(c, i, &tensor));
    *values = nx_onnx_values(c, tensor);
    *n = nx_tensor_bytes(nx_onnx_tensor(c, tensor)) / sizeof **values;
    return *values ? NX_OK : nx_onnx_refuse(c, "scales that are not known while loading");
}

/* Resize of opset 10 and Upsample have X and scales, Resize from 11 on X, roi, scales and sizes. An empty list of
 * scales is as good as none. */
enum nx_status nx_onnx_resize(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_RESIZE};
    struct nx_attr_resize *a = &node.attr.resize;
    const struct nx_onnx_ints *sizes = NULL;
    bool upsample = strcmp(c->node->op, "Upsample") == 0;
    uint32_t at = upsample || c->o->opset < 11 ? 1 : 2, x, n_axes, n_scales;
    int64_t axes[NX_RANK_MAX];
    float scales[NX_RANK_MAX];
    const float *values = scales;
    uint64_t n = 0;
    NX_TRY(nx_onnx_arity(c, 1, 4));
    NX_TRY(nx_onnx_data(c, 0, &x));
    if (shape_of(c, x)->rank != 4)
        return nx_onnx_refuse(c, "other than (N, C, H, W)");
    NX_TRY(read_places(c, a));
    if (a->kind == NX_RESIZE_LINEAR && nx_onnx_is_integer(c, 0))
        return nx_onnx_refuse(c, "an input of integers, which runtimes cut in different ways");
    NX_TRY(nx_onnx_attr_ints(c, "axes", axes, NX_RANK_MAX, &n_axes));
    NX_TRY(nx_onnx_attr_floats(c, "scales", scales, NX_RANK_MAX, &n_scales));
    if (nx_onnx_has(c, 3)) {
        NX_TRY(nx_onnx_known(c, 3, &sizes));
        NX_TRY(place_sizes(c, x, sizes, axes, n_axes, a));
        return nx_onnx_finish(c, &node, &x, 1);
    }
    n = n_scales;
    if (!n_scales)
        NX_TRY(constant_floats(c, at, &values, &n));
    NX_TRY(place_factors(c, values, n, axes, n_axes, a));
    return nx_onnx_finish(c, &node, &x, 1);
}

/* --- blocks of pixels as channels --- */

static struct nx_onnx_int number(int64_t n)
{
    return (struct nx_onnx_int){n, 0};
}

/* detail: 0 depth to space, 1 space to depth */
enum nx_status nx_onnx_depth_space(struct nx_onnx_call *c)
{
    const char *const modes[] = {"DCR", "CRD", NULL};
    /* y's dimension i is the x's perm[i] of the six in between */
    static const int32_t perms[3][6] = {{0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}, {0, 3, 5, 1, 2, 4}};
    struct nx_node node = {.op = NX_OP_TRANSPOSE, .attr.transpose.n = 6};
    int64_t b = 0;
    uint32_t x, y;
    int mode = 0;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_attr_int(c, "blocksize", &b));
    NX_TRY(nx_onnx_attr_choice(c, "mode", modes, &mode));
    NX_TRY(nx_onnx_data(c, 0, &x));
    const struct nx_shape s = *shape_of(c, x);
    if (s.rank != 4 || b < 1 || b > 1 << 15)
        return nx_onnx_wrong(c, "(N, C, H, W) and a blocksize are needed");
    bool to_depth = c->detail == 1;
    if (to_depth ? s.dims[2] % b || s.dims[3] % b : s.dims[1] % (b * b))
        return nx_onnx_wrong(c, "its blocksize does not divide its input");
    int64_t deep = to_depth ? s.dims[1] : s.dims[1] / (b * b);
    struct nx_onnx_int batch = nx_onnx_dim(c, x, 0);
    struct nx_onnx_int dcr[6] = {batch,        number(b),         number(b),
                                 number(deep), number(s.dims[2]), number(s.dims[3])};
    struct nx_onnx_int crd[6] = {batch,     number(deep),      number(b),
                                 number(b), number(s.dims[2]), number(s.dims[3])};
    struct nx_onnx_int flat[6] = {batch,     number(deep),          number(s.dims[2] / b),
                                  number(b), number(s.dims[3] / b), number(b)};
    struct nx_onnx_int shallow[4] = {batch, number(deep), number(s.dims[2] * b),
                                     number(s.dims[3] * b)};
    struct nx_onnx_int stacked[4] = {batch, number(deep * b * b), number(s.dims[2] / b),
                                     number(s.dims[3] / b)};
    memcpy(node.attr.transpose.axes, perms[to_depth ? 2 : mode], sizeof perms[0]);
    NX_TRY(nx_onnx_reshape(c, x, to_depth ? flat : mode ? crd : dcr, 6, &y));
    NX_TRY(nx_onnx_add(c, &node, &y, 1, &y));
    NX_TRY(nx_onnx_reshape(c, y, to_depth ? stacked : shallow, 4, &y));
    return nx_onnx_set(c, 0, y);
}

/* --- what is known while loading --- */

enum nx_status nx_onnx_range(struct nx_onnx_call *c)
{
    struct nx_onnx_int items[NX_ONNX_INTS_MAX];
    int64_t part[3];
    uint32_t n = 0, count;
    NX_TRY(nx_onnx_arity(c, 3, 3));
    for (uint32_t i = 0; i < 3; i++) {
        NX_TRY(nx_onnx_constant_ints(c, i, &part[i], 1, &count));
        if (count != 1)
            return nx_onnx_wrong(c, "three numbers were expected");
    }
    if (part[2] == 0)
        return nx_onnx_wrong(c, "it has a step of 0");
    for (int64_t v = part[0]; part[2] > 0 ? v < part[1] : v > part[1];) {
        if (n == NX_ONNX_INTS_MAX)
            return nx_onnx_refuse(c, "a range of more than 1024 numbers");
        items[n++] = number(v);
        if (__builtin_add_overflow(v, part[2], &v))
            break;
    }
    return nx_onnx_set_ints(c, 0, false, items, n);
}

enum nx_status nx_onnx_size(struct nx_onnx_call *c)
{
    struct nx_onnx_int size = {1, 0};
    uint32_t x;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_data(c, 0, &x));
    for (uint32_t i = 0; i < shape_of(c, x)->rank; i++) {
        struct nx_onnx_int dim = nx_onnx_dim(c, x, i), next;
        next.base = size.base * dim.base; /* bounded: x is a tensor that was checked */
        next.per_photo = size.base * dim.per_photo + size.per_photo * dim.base;
        if (size.per_photo && dim.per_photo)
            return nx_onnx_refuse(c, "such a size");
        size = next;
    }
    return nx_onnx_set_ints(c, 0, true, &size, 1);
}
