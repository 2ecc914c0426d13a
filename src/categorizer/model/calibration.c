#include "categorizer/model/calibration.h"

#include "common/lines.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char first_line[] = "nexus calibration 1", last_line[] = "end\n";

/* Eight bytes a step, as FNV-1a has them one at a time; the shift brings high bits back down. */
static uint64_t mix(uint64_t mark, uint64_t word)
{
    mark = (mark ^ word) * UINT64_C(0x100000001b3);
    return mark ^ mark >> 29;
}

static uint64_t mix_bytes(uint64_t mark, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    mark = mix(mark, len);
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word = 0;
        for (int i = 0; i < 8; i++)
            word |= (uint64_t)at[i] << 8 * i;
        mark = mix(mark, word);
    }
    for (size_t i = 0; i < len; i++)
        mark = mix(mark, at[i]);
    return mark;
}

static uint64_t mix_file(uint64_t mark, const struct nx_file *file)
{
    return mix_bytes(mark, file->bytes ? file->bytes : "", file->bytes ? file->len : 0);
}

uint64_t nx_calibration_mark(const struct nx_model_files *files, const struct nx_graph *graph)
{
    uint64_t mark = UINT64_C(0xcbf29ce484222325);
    mark = mix_file(mark, &files->symbol);
    mark = mix_file(mark, &files->params);
    mark = mix_file(mark, &files->onnx);
    mark = mix(mark, graph->n_tensors);
    for (uint32_t t = 0; t < graph->n_tensors; t++) {
        mark = mix_bytes(mark, graph->tensors[t].name, strlen(graph->tensors[t].name));
        mark = mix(mark, graph->tensors[t].kind);
    }
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct nx_node *node = &graph->nodes[i];
        mark = mix(mark, (uint64_t)node->op << 32 | node->n_inputs);
        mark = mix(mark, (uint64_t)node->post.act.fn << 1 | node->post.sum);
        for (uint32_t k = 0; k < node->n_inputs; k++)
            mark = mix(mark, node->inputs[k]);
        for (uint32_t k = 0; k < node->n_outputs; k++)
            mark = mix(mark, node->outputs[k]);
    }
    return mark;
}

struct lines {
    const char *at, *end;
    unsigned number; /* of the line in hand, from 1 */
    char line[NX_CALIBRATION_LINE_MAX + 1];
};

/* False at the end, and for a line that is too long or holds a NUL. */
static bool next_line(struct lines *l)
{
    l->number++;
    return nx_line_take(&l->at, l->end, l->line, sizeof l->line);
}

static enum nx_status bad_line(const struct lines *l, const char *expected, struct nx_err *err)
{
    return nx_err_set(err, NX_CORRUPT, "calibration line %u: expected %s", l->number, expected);
}

/* What follows a key and a blank; NULL without it. */
static const char *after(const struct lines *l, const char *key)
{
    size_t n = strlen(key);
    return strncmp(l->line, key, n) == 0 && l->line[n] == ' ' ? l->line + n + 1 : NULL;
}

static bool read_mark(const char *text, uint64_t *mark)
{
    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *mark = strtoull(text, NULL, 16);
    return true;
}

static bool read_rule(const char *text, char rule[NX_CALIBRATION_RULE_MAX])
{
    if (!text || strlen(text) >= NX_CALIBRATION_RULE_MAX)
        return false;
    for (const char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            return false;
    snprintf(rule, NX_CALIBRATION_RULE_MAX, "%s", text);
    return true;
}

/* Digits and nothing else up to `end`. */
static bool read_count(const char *text, char end, uint32_t most, uint32_t *n, const char **rest)
{
    size_t digits = text ? strspn(text, "0123456789") : 0;
    if (digits < 1 || digits > 9 || text[digits] != end)
        return false;
    *n = (uint32_t)strtoul(text, NULL, 10);
    *rest = text + digits + (end != 0);
    return *n <= most;
}

/* A finite number before a blank or the end. */
static bool read_bound(const char *text, float *bound, const char **rest)
{
    char *end;
    size_t n = strspn(text, "+-.0123456789eE"); /* neither hexadecimal nor "nan" */
    *bound = strtof(text, &end);
    *rest = end + (*end == ' ');
    return n > 0 && end == text + n && (*end == ' ' || *end == 0) &&
           fabsf(*bound) <= NX_QUANT_RANGE_MAX;
}

static enum nx_status read_head(struct lines *l, struct nx_calibration *c, struct nx_err *err)
{
    const char *rest;
    if (!next_line(l) || strcmp(l->line, first_line) != 0)
        return bad_line(l,
                        "\"nexus calibration 1\"; a calibration (an archive's *.cal is one) is "
                        "what 'nexus model calibrate' writes",
                        err);
    if (!next_line(l) || !read_mark(after(l, "model"), &c->mark))
        return bad_line(l, "\"model\" and 16 hexadecimal digits", err);
    if (!next_line(l) || !read_rule(after(l, "rule"), c->rule))
        return bad_line(l, "\"rule\" and what the ranges were made by", err);
    if (!next_line(l) ||
        !read_count(after(l, "tensors"), 0, NX_TENSORS_MAX, &c->n_tensors, &rest) ||
        c->n_tensors == 0)
        return bad_line(l, "\"tensors\" and how many the model has", err);
    return NX_OK;
}

static enum nx_status read_range(struct lines *l, struct nx_calibration *c, uint32_t *least,
                                 struct nx_err *err)
{
    uint32_t tensor;
    const char *at;
    struct nx_quant_range range = {.known = true};
    if (!next_line(l) || !read_count(l->line, ' ', UINT32_MAX, &tensor, &at))
        return bad_line(l, "the index of a tensor, its range and its name", err);
    if (tensor >= c->n_tensors)
        return bad_line(l, "the index of a tensor that the model has", err);
    if (tensor < *least)
        return bad_line(l, "an index above that of the line before", err);
    if (!read_bound(at, &range.low, &at) || !read_bound(at, &range.high, &at) ||
        !(range.low <= range.high))
        return bad_line(l, "two numbers within 1e18 of 0, low <= high", err);
    c->ranges[tensor] = range;
    *least = tensor + 1;
    return NX_OK;
}

static bool is_last(const struct lines *l)
{
    size_t n = sizeof last_line - 1;
    return (size_t)(l->end - l->at) == n && memcmp(l->at, last_line, n) == 0;
}

enum nx_status nx_calibration_say_too_large(uint64_t bytes, struct nx_err *err)
{
    return nx_err_set(err, NX_TOO_LARGE,
                      "the calibration has %" PRIu64 " bytes, at most %" PRIu64 " are possible",
                      bytes, NX_CALIBRATION_BYTES_MAX);
}

enum nx_status nx_calibration_parse(const char *text, size_t len, struct nx_arena *arena,
                                    struct nx_calibration *calibration, struct nx_err *err)
{
    struct lines l = {.at = text, .end = text + len};
    struct nx_calibration c = {0};
    uint32_t least = 0;
    if (len > NX_CALIBRATION_BYTES_MAX)
        return nx_calibration_say_too_large(len, err);
    NX_TRY(read_head(&l, &c, err));
    c.ranges = nx_arena_array(arena, c.n_tensors, sizeof *c.ranges);
    if (!c.ranges)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the calibration");
    while (l.at < l.end && !is_last(&l))
        NX_TRY(read_range(&l, &c, &least, err));
    if (least == 0)
        return bad_line(&l, "at least one tensor's range", err);
    l.number++;
    if (l.at == l.end)
        return bad_line(&l, "\"end\": the file is cut", err);
    *calibration = c;
    return NX_OK;
}

static void write_name(FILE *out, const char *name)
{
    enum { NAME_MAX_BYTES = 160 };
    for (size_t i = 0; name && name[i] && i < NAME_MAX_BYTES; i++)
        putc(name[i] < ' ' || name[i] > '~' ? '?' : name[i], out);
}

enum nx_status nx_calibration_write(FILE *out, const struct nx_calibration *c,
                                    const char *const *names, struct nx_err *err)
{
    fprintf(out, "%s\nmodel %016" PRIx64 "\nrule %s\ntensors %u\n", first_line, c->mark, c->rule,
            c->n_tensors);
    for (uint32_t t = 0; t < c->n_tensors; t++) {
        if (!c->ranges[t].known)
            continue;
        fprintf(out, "%u %.9g %.9g ", t, (double)c->ranges[t].low, (double)c->ranges[t].high);
        write_name(out, names[t]);
        putc('\n', out);
    }
    fputs(last_line, out);
    if (ferror(out) || fflush(out) == EOF)
        return nx_err_set(err, NX_IO, "cannot write the calibration: %s", strerror(errno));
    return NX_OK;
}

static enum nx_status check_tensors(const struct nx_graph *graph, const struct nx_calibration *c,
                                    struct nx_arena *arena, struct nx_err *err)
{
    bool *wanted = nx_arena_array(arena, graph->n_tensors, sizeof *wanted);
    if (!wanted)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the calibration");
    nx_quant_wanted_ranges(graph, wanted);
    for (uint32_t t = 0; t < c->n_tensors; t++)
        if (c->ranges[t].known && !wanted[t])
            return nx_err_set(err, NX_INVALID,
                              "the calibration has a range for tensor %u ('%s'), which takes none",
                              t, graph->tensors[t].name);
    return NX_OK;
}

enum nx_status nx_calibration_read(const struct nx_model_files *files, const struct nx_graph *graph,
                                   struct nx_arena *arena, struct nx_load_options *load,
                                   struct nx_err *err)
{
    struct nx_calibration c;
    const struct nx_file *file = &files->calibration;
    if (load->precision != NX_PRECISION_INT8)
        return NX_OK;
    if (!file->bytes)
        return nx_err_set(
            err, NX_INVALID,
            "int8 needs a calibration, which 'nexus model calibrate' makes; none came");
    NX_TRY(nx_calibration_parse(file->bytes, file->len, arena, &c, err));
    uint64_t mark = nx_calibration_mark(files, graph);
    if (c.mark != mark || c.n_tensors != graph->n_tensors)
        return nx_err_set(err, NX_INVALID,
                          "the calibration is for model %016" PRIx64 ", this is %016" PRIx64
                          ": it was made for another one, or by another nexus",
                          c.mark, mark);
    NX_TRY(check_tensors(graph, &c, arena, err));
    load->ranges = c.ranges;
    return NX_OK;
}
