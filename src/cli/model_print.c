#include "cli/model_print.h"

#include <inttypes.h>

/* Text for a terminal or a JSON string. */
static void print_plain(FILE *out, const char *text)
{
    for (; *text; text++)
        putc(*text < ' ' || *text > '~' || *text == '"' || *text == '\\' ? '?' : *text, out);
}

static const struct nx_shape *shape_of(const struct nx_graph *graph, uint32_t tensor)
{
    return &graph->tensors[tensor].shape;
}

/* --- for people --- */

static void print_ports(FILE *out, const char *what, const struct nx_inspection *i,
                        const struct nx_port *ports, const uint32_t *tensors, uint32_t n)
{
    char text[NX_SHAPE_TEXT_BYTES];
    for (uint32_t k = 0; k < n; k++) {
        fprintf(out, "%-12s", k ? "" : what);
        print_plain(out, ports[k].name);
        fprintf(out, "  %s  %s%s\n", nx_dtype_name(ports[k].dtype),
                nx_shape_text(shape_of(&i->graph, tensors[k]), text),
                ports[k].batched ? "" : "  (no batch)");
    }
}

static void print_ops(FILE *out, const char *what, const struct nx_survey *survey, bool known)
{
    bool begun = false;
    for (uint32_t k = 0; k < survey->n_ops; k++) {
        if (survey->ops[k].known != known)
            continue;
        fputs(begun ? ", " : what, out);
        print_plain(out, survey->ops[k].name);
        fprintf(out, " %u", survey->ops[k].count);
        begun = true;
    }
    if (begun)
        putc('\n', out);
}

static void print_nodes(FILE *out, const struct nx_graph *graph)
{
    char text[NX_SHAPE_TEXT_BYTES];
    fprintf(out, "graph       %u nodes as they are computed: op, name, output\n", graph->n_nodes);
    for (uint32_t k = 0; k < graph->n_nodes; k++) {
        const struct nx_node *node = &graph->nodes[k];
        fprintf(out, "  %-22s ", nx_op_name(node->op));
        print_plain(out, node->name);
        for (uint32_t n = 0; n < node->n_outputs; n++)
            fprintf(out, "  %s", nx_shape_text(shape_of(graph, node->outputs[n]), text));
        putc('\n', out);
    }
}

static void print_odd(FILE *out, const struct nx_inspection *i)
{
    for (uint32_t k = 0; k < i->n_odd; k++) {
        fprintf(out, "warning     the weight '");
        print_plain(out, i->odd[k].name);
        fprintf(out, "' has %" PRIu64 " NaN and %" PRIu64 " infinite values\n", i->odd[k].nans,
                i->odd[k].infinities);
    }
}

static void print_graph(FILE *out, const struct nx_inspection *i)
{
    const struct nx_graph *graph = &i->graph;
    print_ports(out, "inputs", i, graph->in, graph->inputs, graph->n_inputs);
    print_ports(out, "outputs", i, graph->out, graph->outputs, graph->n_outputs);
    if (i->facts.size_is_free)
        fputs("            any height and width would do\n", out);
    print_nodes(out, graph);
    fprintf(out, "parameters  %" PRIu64 "\n", i->facts.params);
    fprintf(out, "work        %.3f GMAC for a batch of %u\n", (double)i->macs / 1e9, graph->batch);
    fprintf(out, "memory      %.1f MB of weights, %.1f MB of activations planned",
            (double)i->weight_bytes / 1e6, (double)i->activation_bytes / 1e6);
    if (i->backend)
        fprintf(out, ", %.1f MB held by %s (%.1f weights, %.1f activations)",
                (double)i->program.all / 1e6, i->backend, (double)i->program.weights / 1e6,
                (double)i->program.arena / 1e6);
    putc('\n', out);
    print_odd(out, i);
}

bool nx_model_print_text(FILE *out, const struct nx_inspection *i)
{
    fprintf(out, "format      %s\nproducer    ", i->survey.format);
    print_plain(out, *i->survey.producer ? i->survey.producer : "unknown");
    putc('\n', out);
    print_ops(out, "ops         ", &i->survey, true);
    print_ops(out, "unsupported ", &i->survey, false);
    if (i->has_graph)
        print_graph(out, i);
    fputs("runs        ", out);
    if (i->err.status == NX_OK)
        fprintf(out, "yes, on %s%s\n", i->backend, i->facts.takes_photos ? ", with photos" : "");
    else
        fprintf(out, "no: %s\n", i->err.text);
    return fflush(out) != EOF && !ferror(out);
}

/* --- JSON --- */

static void print_string(FILE *out, const char *text)
{
    putc('"', out);
    print_plain(out, text);
    putc('"', out);
}

static void json_shape(FILE *out, const struct nx_shape *shape)
{
    putc('[', out);
    for (uint32_t i = 0; i < shape->rank; i++)
        fprintf(out, "%s%" PRId64, i ? ", " : "", shape->dims[i]);
    putc(']', out);
}

static void json_ports(FILE *out, const char *key, const struct nx_inspection *i,
                       const struct nx_port *ports, const uint32_t *tensors, uint32_t n)
{
    fprintf(out, ", \"%s\": [", key);
    for (uint32_t k = 0; k < n; k++) {
        fputs(k ? ", {\"name\": " : "{\"name\": ", out);
        print_string(out, ports[k].name);
        fprintf(out,
                ", \"dtype\": \"%s\", \"batched\": %s, \"shape\": ", nx_dtype_name(ports[k].dtype),
                ports[k].batched ? "true" : "false");
        json_shape(out, shape_of(&i->graph, tensors[k]));
        putc('}', out);
    }
    putc(']', out);
}

static void json_nodes(FILE *out, const struct nx_graph *graph)
{
    fputs(", \"nodes\": [", out);
    for (uint32_t k = 0; k < graph->n_nodes; k++) {
        const struct nx_node *node = &graph->nodes[k];
        fprintf(out, "%s{\"op\": \"%s\", \"name\": ", k ? ", " : "", nx_op_name(node->op));
        print_string(out, node->name);
        fputs(", \"outputs\": [", out);
        for (uint32_t n = 0; n < node->n_outputs; n++) {
            fputs(n ? ", " : "", out);
            json_shape(out, shape_of(graph, node->outputs[n]));
        }
        fputs("]}", out);
    }
    putc(']', out);
}

static void json_odd(FILE *out, const struct nx_inspection *i)
{
    fputs(", \"not_finite\": [", out);
    for (uint32_t k = 0; k < i->n_odd; k++) {
        fputs(k ? ", {\"weight\": " : "{\"weight\": ", out);
        print_string(out, i->odd[k].name);
        fprintf(out, ", \"nan\": %" PRIu64 ", \"infinite\": %" PRIu64 "}", i->odd[k].nans,
                i->odd[k].infinities);
    }
    putc(']', out);
}

static void json_graph(FILE *out, const struct nx_inspection *i)
{
    const struct nx_graph *graph = &i->graph;
    fprintf(out, ", \"batch\": %u", graph->batch);
    json_ports(out, "inputs", i, graph->in, graph->inputs, graph->n_inputs);
    json_ports(out, "outputs", i, graph->out, graph->outputs, graph->n_outputs);
    json_nodes(out, graph);
    json_odd(out, i);
    fprintf(out,
            ", \"size_is_free\": %s, \"takes_photos\": %s, \"parameters\": %" PRIu64
            ", \"macs\": %" PRIu64 ", \"weight_bytes\": %" PRIu64 ", \"activation_bytes\": %" PRIu64
            ", \"planned_bytes\": %" PRIu64 ", \"program_bytes\": %" PRIu64
            ", \"program_weight_bytes\": %" PRIu64 ", \"program_activation_bytes\": %" PRIu64,
            i->facts.size_is_free ? "true" : "false", i->facts.takes_photos ? "true" : "false",
            i->facts.params, i->macs, i->weight_bytes, i->activation_bytes, i->planned_bytes,
            i->program.all, i->program.weights, i->program.arena);
}

static void json_ops(FILE *out, const struct nx_survey *survey)
{
    fputs(", \"ops\": [", out);
    for (uint32_t k = 0; k < survey->n_ops; k++) {
        fputs(k ? ", {\"op\": " : "{\"op\": ", out);
        print_string(out, survey->ops[k].name);
        fprintf(out, ", \"count\": %u, \"supported\": %s}", survey->ops[k].count,
                survey->ops[k].known ? "true" : "false");
    }
    putc(']', out);
}

bool nx_model_print_json(FILE *out, const struct nx_inspection *i)
{
    fprintf(out, "{\"format\": \"%s\", \"producer\": ", i->survey.format);
    print_string(out, i->survey.producer);
    json_ops(out, &i->survey);
    if (i->has_graph)
        json_graph(out, i);
    if (i->err.status == NX_OK) {
        fprintf(out, ", \"runs\": true, \"backend\": \"%s\"}\n", i->backend);
    } else {
        fputs(", \"runs\": false, \"error\": ", out);
        print_string(out, i->err.text);
        fputs("}\n", out);
    }
    return fflush(out) != EOF && !ferror(out);
}
