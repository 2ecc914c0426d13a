#include "categorizer/model/survey.h"

#include <string.h>

void nx_survey_init(struct nx_survey *survey, const char *format, struct nx_arena *arena)
{
    *survey = (struct nx_survey){.format = format, .arena = arena};
}

static struct nx_survey_op *find(struct nx_survey *survey, const char *op)
{
    for (uint32_t i = 0; i < survey->n_ops; i++)
        if (strcmp(survey->ops[i].name, op) == 0)
            return &survey->ops[i];
    return NULL;
}

static enum nx_status add(struct nx_survey *survey, const char *op, bool known, struct nx_err *err)
{
    if (survey->n_ops == NX_SURVEY_OPS_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the model has more than %u different ops",
                          NX_SURVEY_OPS_MAX);
    if (!survey->ops)
        survey->ops = nx_arena_array(survey->arena, NX_SURVEY_OPS_MAX, sizeof *survey->ops);
    const char *name = nx_arena_strndup(survey->arena, op, strlen(op));
    if (!survey->ops || !name)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the survey of the model");
    survey->ops[survey->n_ops++] = (struct nx_survey_op){name, 1, known};
    return NX_OK;
}

enum nx_status nx_survey_count(struct nx_survey *survey, const char *op, bool known,
                               struct nx_err *err)
{
    struct nx_survey_op *found = find(survey, op);
    survey->n_nodes++;
    if (!found)
        return add(survey, op, known, err);
    found->count++;
    return NX_OK;
}
