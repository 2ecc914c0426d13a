#include <inttypes.h>
#include <stdio.h>

#include "categorizer/model/onnx_parts.h"
#include "categorizer/model/survey.h"

static void read_producer(const struct nx_onnx *o, struct nx_survey *survey)
{
    const char *name = o->producer && *o->producer ? o->producer : "unnamed producer";
    const char *version = o->producer_version ? o->producer_version : "";
    snprintf(survey->producer, sizeof survey->producer,
             "%.80s%s%.80s, IR version %" PRId64 ", opset %" PRId64, name, *version ? " " : "",
             version, o->ir, o->opset);
}

enum nx_status nx_onnx_survey(const void *bytes, size_t len, struct nx_arena *arena,
                              struct nx_survey *survey, struct nx_err *err)
{
    struct nx_graph graph;
    struct nx_onnx o = {.graph = &graph, .err = err};
    nx_graph_init(&graph, arena);
    nx_survey_init(survey, "ONNX", arena);
    enum nx_status status = nx_onnx_read(&o, bytes, len);
    read_producer(&o, survey);
    NX_TRY(status);
    nx_onnx_mark_needed(&o);
    for (uint32_t i = 0; i < o.n_nodes; i++)
        if (o.nodes[i].needed)
            NX_TRY(nx_survey_count(survey, o.nodes[i].op, nx_onnx_find_op(o.nodes[i].op), err));
    return NX_OK;
}
