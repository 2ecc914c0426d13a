#include "sim_edit.h"

#include <stdlib.h>
#include <string.h>

static bool takes_index(char what)
{
    return strchr("nfo", what) != NULL;
}

static bool parse_digits(const char **at, uint32_t *number)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    unsigned long value = strtoul(*at, &end, 10);
    if (value > 1000000)
        return false;
    *number = (uint32_t)value;
    *at = end;
    return true;
}

static bool parse_edit(const char **at, struct sim_edit *edit)
{
    *edit = (struct sim_edit){.what = **at};
    if (edit->what == '\0' || !strchr("nfobqtd", edit->what))
        return false;
    ++*at;
    if (takes_index(edit->what) && !parse_digits(at, &edit->index))
        return false;
    if (edit->what != 'o')
        return true;
    if (**at != ':')
        return false;
    ++*at;
    return parse_digits(at, &edit->value);
}

bool sim_edits_parse(struct sim_edits *edits, const char *text)
{
    edits->count = 0;
    for (;;) {
        if (edits->count == SIM_EDITS_MAX || !parse_edit(&text, &edits->list[edits->count++]))
            return false;
        if (*text == '\0')
            return true;
        if (*text++ != ',')
            return false;
    }
}

void sim_edits_print(const struct sim_edits *edits, FILE *out)
{
    for (uint32_t i = 0; i < edits->count; i++) {
        const struct sim_edit *edit = &edits->list[i];
        fprintf(out, "%s%c", i ? "," : "", edit->what);
        if (takes_index(edit->what))
            fprintf(out, "%u", edit->index);
        if (edit->what == 'o')
            fprintf(out, ":%u", edit->value);
    }
}

static void drop_weights(struct sim_config *config, enum sim_op op)
{
    for (uint32_t n = 0; n < config->nodes; n++)
        config->loads[n].weights[op] = 0;
}

static void apply(const struct sim_edit *edit, struct sim_config *config, uint64_t *without)
{
    switch (edit->what) {
    case 'n':
        if (edit->index > 0 && edit->index < config->nodes)
            config->nodes = config->view.members_count = edit->index;
        return;
    case 'f': *without |= edit->index < SIM_FAULTS_MAX ? UINT64_C(1) << edit->index : 0; return;
    case 'o':
        if (edit->index < SIM_NODES_MAX && edit->value < config->loads[edit->index].ops)
            config->loads[edit->index].ops = edit->value;
        return;
    case 'b': drop_weights(config, SIM_OP_BULK); return;
    case 'q': drop_weights(config, SIM_OP_QUERY); return;
    case 't': config->tear_percent = 0; return;
    default: config->delay_max_ns = config->delay_min_ns; return;
    }
}

static bool is_between_nodes(const struct sim_fault *fault)
{
    return fault->kind == SIM_FAULT_STALL || fault->kind == SIM_FAULT_CUT;
}

static void drop_faults(struct sim_config *config, uint64_t without)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < config->faults_count; i++) {
        const struct sim_fault *fault = &config->faults[i];
        bool gone = fault->node >= config->nodes ||
                    (is_between_nodes(fault) && fault->peer >= config->nodes);
        if (!gone && !(without >> i & 1))
            config->faults[kept++] = *fault;
    }
    config->faults_count = kept;
}

void sim_edits_apply(const struct sim_edits *edits, struct sim_config *config)
{
    uint64_t without = 0;
    static_assert((int)SIM_FAULTS_MAX <= 64, "faults are a set in one word");
    for (uint32_t i = 0; i < edits->count; i++)
        apply(&edits->list[i], config, &without);
    drop_faults(config, without);
}
