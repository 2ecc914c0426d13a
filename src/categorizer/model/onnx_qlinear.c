/* Ops on integers that say their own scales, as quantised files of the older form have them: each is its op in f32 between
 * DequantizeLinear and QuantizeLinear, and runs as these do (onnx_quant.c). */
#include <string.h>

#include "categorizer/model/onnx_parts.h"

enum { NONE = -1, FIRST = 0, LAST = -1, COLUMNS = -99 };

/* Where such an op has what: an operand is three inputs in a row (integers, scale, zero point). */
static const struct form {
    const char *op;    /* in f32 */
    uint32_t first, n; /* its first operand, and how many; n 0: all that are there */
    int bias;          /* the input that is a bias of 32 bits */
    uint32_t result;   /* the input that is the result's scale, its zero point behind */
    int64_t axis;      /* of the second operand, if it has many scales */
} forms[] = {
    {"Conv", 0, 2, 8, 6, FIRST},
    {"MatMul", 0, 2, NONE, 6, LAST},
    {"Gemm", 0, 2, 6, 7, COLUMNS},
    {"Add", 0, 2, NONE, 6, LAST},
    {"Mul", 0, 2, NONE, 6, LAST},
    {"Sigmoid", 0, 1, NONE, 3, LAST},
    {"LeakyRelu", 0, 1, NONE, 3, LAST},
    {"AveragePool", 0, 1, NONE, 3, LAST},
    {"GlobalAveragePool", 0, 1, NONE, 3, LAST},
    {"Concat", 2, 0, NONE, 0, LAST},
};

static uint32_t spare(struct nx_onnx_call *c, uint32_t i, uint32_t tensor)
{
    struct nx_onnx_value *v = &c->o->values[c->o->spares + i];
    *v = (struct nx_onnx_value){
        .name = c->node->name, .writer = NX_NONE, .tensor = tensor, .ready = tensor != NX_NONE};
    return c->o->spares + i;
}

/* Along the filters or columns of the second operand, to which its scales belong. */
static enum nx_status axis_of(const struct nx_onnx_call *c, const struct form *form, int64_t *axis)
{
    bool transposed = false;
    *axis = form->axis;
    if (form->axis != COLUMNS)
        return NX_OK;
    NX_TRY(nx_onnx_attr_bool(c, "transB", &transposed));
    *axis = transposed ? FIRST : LAST;
    return NX_OK;
}

/* In steps of the product of its operands' scales. */
static enum nx_status read_bias(struct nx_onnx_call *c, uint32_t i, const struct nx_onnx_grid *x,
                                const struct nx_onnx_grid *w, uint32_t *y)
{
    uint32_t bias;
    float *to;
    NX_TRY(nx_onnx_data(c, i, &bias));
    const struct nx_shape shape = nx_onnx_tensor(c, bias)->shape;
    const float *from = nx_onnx_values(c, bias);
    if (!from || !nx_onnx_is_integer(c, i))
        return nx_onnx_refuse(c, "a bias that is not integers of the file");
    if (shape.rank != 1 || (w->n > 1 && shape.dims[0] != w->n))
        return nx_onnx_wrong(c, "its bias has not one number for each scale");
    if (x->n != 1)
        return nx_onnx_refuse(c, "an input with many scales");
    NX_TRY(nx_onnx_new_constant(c, &shape, &to, y));
    for (int64_t k = 0; k < shape.dims[0]; k++)
        to[k] = from[k] * (x->scale[0] * w->scale[w->n > 1 ? k : 0]);
    return NX_OK;
}

/* What the f32 ops do not have, or take otherwise. */
static enum nx_status check_attributes(const struct nx_onnx_call *c, const struct form *form)
{
    bool channels_last = false;
    float alpha = 1;
    NX_TRY(nx_onnx_attr_bool(c, "channels_last", &channels_last));
    if (channels_last)
        return nx_onnx_refuse(c, "an input that is not (N, C, H, W)");
    if (form->axis == COLUMNS)
        NX_TRY(nx_onnx_attr_float(c, "alpha", &alpha));
    return alpha == 1 ? NX_OK : nx_onnx_refuse(c, "an alpha other than 1");
}

static enum nx_status count_operands(const struct nx_onnx_call *c, const struct form *form,
                                     uint32_t *n)
{
    *n = form->n ? form->n : (c->node->n_inputs - form->first) / 3;
    if (!form->n && (c->node->n_inputs < 5 || (c->node->n_inputs - form->first) % 3))
        return nx_onnx_wrong(c,
                             "its inputs are not a scale, a zero point, and three for each part");
    if (*n + 2 > NX_ONNX_SPARES)
        return nx_onnx_refuse(c, "such a number of parts");
    return NX_OK;
}

enum nx_status nx_onnx_qlinear(struct nx_onnx_call *c)
{
    const struct form *form = &forms[c->detail];
    const struct nx_onnx_op *op = nx_onnx_find_op(form->op);
    struct nx_onnx_grid grids[2] = {{.n = 1}};
    uint32_t inputs[NX_ONNX_SPARES], n, tensor, output;
    int64_t axis;
    NX_TRY(count_operands(c, form, &n));
    NX_TRY(check_attributes(c, form));
    NX_TRY(axis_of(c, form, &axis));
    for (uint32_t i = 0; i < n; i++) {
        NX_TRY(nx_onnx_dequantize_input(c, form->first + 3 * i, axis, &grids[i > 0], &tensor));
        inputs[i] = spare(c, i, tensor);
    }
    if (form->bias != NONE && nx_onnx_has(c, (uint32_t)form->bias)) {
        NX_TRY(read_bias(c, (uint32_t)form->bias, &grids[0], &grids[1], &tensor));
        inputs[n] = spare(c, n, tensor);
        n++;
    }
    output = spare(c, n, NX_NONE);
    struct nx_onnx_node node = *c->node;
    node.inputs = inputs;
    node.outputs = &output;
    node.n_inputs = n;
    node.n_outputs = 1;
    struct nx_onnx_call inner = {.o = c->o, .node = &node, .detail = op->detail};
    NX_TRY(op->lower(&inner));
    if (form->axis == COLUMNS && !nx_onnx_has(c, form->result)) {
        nx_onnx_set_integer(c, NX_F32);
        return nx_onnx_set(c, 0, c->o->values[output].tensor);
    }
    return nx_onnx_quantize_output(c, c->o->values[output].tensor, form->result, LAST, NX_U8);
}
