#include "categorizer/model/lower.h"

#include <inttypes.h>
#include <string.h>

static enum nx_status malformed(const struct nx_lower *l, const char *key, const char *wanted)
{
    return nx_err_set(l->err, NX_INVALID, "%s '%s' has %s = \"%s\", %s was expected", l->op,
                      l->name, key, nx_lower_attr(l, key), wanted);
}

enum nx_status nx_lower_int(const struct nx_lower *l, const char *key, int64_t least, int64_t most,
                            int64_t *value)
{
    const char *text = nx_lower_attr(l, key);
    int64_t v = 0;
    if (!text)
        return NX_OK;
    if (!nx_attr_int(text, &v))
        return malformed(l, key, "an integer");
    if (v < least || v > most)
        return nx_err_set(l->err, NX_INVALID,
                          "%s '%s' has %s = %" PRId64 ", %" PRId64 " to %" PRId64 " are possible",
                          l->op, l->name, key, v, least, most);
    *value = v;
    return NX_OK;
}

enum nx_status nx_lower_bool(const struct nx_lower *l, const char *key, bool *value)
{
    const char *text = nx_lower_attr(l, key);
    if (text && !nx_attr_is_none(text) && !nx_attr_bool(text, value))
        return malformed(l, key, "True or False");
    return NX_OK;
}

enum nx_status nx_lower_float(const struct nx_lower *l, const char *key, float *value)
{
    const char *text = nx_lower_attr(l, key);
    if (text && !nx_attr_is_none(text) && !nx_attr_float(text, value))
        return malformed(l, key, "a number");
    return NX_OK;
}

enum nx_status nx_lower_tuple(const struct nx_lower *l, const char *key, struct nx_tuple *value)
{
    const char *text = nx_lower_attr(l, key);
    if (text && !nx_attr_is_none(text) && !nx_attr_tuple(text, value))
        return malformed(l, key, "a tuple of integers");
    return NX_OK;
}

enum nx_status nx_lower_choice(const struct nx_lower *l, const char *key,
                               const char *const *choices, int *index)
{
    const char *text = nx_lower_attr(l, key);
    if (!text || nx_attr_is_none(text))
        return NX_OK;
    for (int i = 0; choices[i]; i++)
        if (strcmp(choices[i], text) == 0) {
            *index = i;
            return NX_OK;
        }
    return nx_err_set(l->err, NX_UNSUPPORTED, "%s '%s' has %s = \"%s\", which is not supported",
                      l->op, l->name, key, text);
}

enum nx_status nx_lower_required(const struct nx_lower *l, const char *key)
{
    if (nx_lower_attr(l, key))
        return NX_OK;
    return nx_err_set(l->err, NX_INVALID, "%s '%s' has no %s", l->op, l->name, key);
}

enum nx_status nx_lower_unsupported(const struct nx_lower *l, const char *what)
{
    return nx_err_set(l->err, NX_UNSUPPORTED, "%s '%s': %s is not supported", l->op, l->name, what);
}

enum nx_status nx_lower_arity(const struct nx_lower *l, uint32_t wanted)
{
    if (l->n_inputs == wanted)
        return NX_OK;
    return nx_err_set(l->err, NX_INVALID, "%s '%s' has %u inputs, %u were expected", l->op, l->name,
                      l->n_inputs, wanted);
}

enum nx_status nx_lower_add(struct nx_lower *l, struct nx_node *node, uint32_t *inputs,
                            uint32_t n_inputs)
{
    uint32_t index;
    node->name = l->name;
    node->inputs = inputs;
    node->n_inputs = n_inputs;
    node->n_outputs = node->n_outputs ? node->n_outputs : 1;
    NX_TRY(nx_graph_add_node(l->graph, node, &index, l->err));
    const struct nx_node *made = &l->graph->nodes[index];
    memcpy(l->outputs, made->outputs, made->n_outputs * sizeof *l->outputs);
    l->n_outputs = made->n_outputs;
    return NX_OK;
}

enum nx_status nx_lower_simple(struct nx_lower *l, struct nx_node *node)
{
    uint32_t x;
    NX_TRY(nx_lower_data(l, 0, &x));
    return nx_lower_add(l, node, &x, 1);
}
