#include "cli/model_args.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE_MAX = 16384 };

static enum nx_status refuse(struct nx_err *err, const char *what, const char *argument)
{
    return nx_err_set(err, NX_INVALID, "%s \"%s\"", what, argument);
}

static enum nx_status read_count(const char *text, uint32_t most, uint32_t *count,
                                 struct nx_err *err)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || v < 1 || v > most)
        return nx_err_set(err, NX_INVALID, "\"%s\" is not a number from 1 to %u", text, most);
    *count = (uint32_t)v;
    return NX_OK;
}

static enum nx_status add_input(struct nx_model_args *args, const char *text, struct nx_err *err)
{
    const char *equals = strchr(text, '=');
    if (args->n_inputs == NX_PORTS_MAX)
        return nx_err_set(err, NX_INVALID, "more than %u inputs", NX_PORTS_MAX);
    struct nx_model_input_arg *input = &args->inputs[args->n_inputs++];
    *input = (struct nx_model_input_arg){NULL, 0, text};
    if (equals)
        *input = (struct nx_model_input_arg){text, (size_t)(equals - text), equals + 1};
    return NX_OK;
}

/* By what it begins with: a symbol is JSON, params have MXNet's or NumPy's magic, all else may be ONNX. */
static enum nx_status sort_file(struct nx_model_args *args, const struct nx_mapped_file *file,
                                struct nx_err *err)
{
    const char *text = file->bytes;
    size_t blank = 0;
    while (blank < file->len && blank < 64 && strchr(" \t\r\n", text[blank]) && text[blank])
        blank++;
    bool json = blank < file->len && text[blank] == '{';
    bool params = file->len >= 8 && (!memcmp(text, "\x12\x01\0\0\0\0\0\0", 8) ||
                                     !memcmp(text, "PK\3\4", 4) || !memcmp(text, "\x93NUMPY", 6));
    struct nx_file *slot = json     ? &args->files.symbol
                           : params ? &args->files.params
                                    : &args->files.onnx;
    if (slot->bytes)
        return nx_err_set(err, NX_INVALID, "two files look like %s",
                          json     ? "a symbol"
                          : params ? "params"
                                   : "ONNX");
    *slot = (struct nx_file){file->bytes, file->len};
    return NX_OK;
}

static enum nx_status add_file(struct nx_model_args *args, const char *path, struct nx_err *err)
{
    if (args->n_mapped == 2)
        return refuse(err, "a third file", path);
    struct nx_mapped_file *file = &args->mapped[args->n_mapped];
    NX_TRY(nx_mapped_file_open(path, file, err) == NX_OK ? NX_OK : NX_IO);
    args->n_mapped++;
    return sort_file(args, file, err);
}

struct cursor {
    int argc, at;
    char **argv;
};

static enum nx_status value_of(struct cursor *c, const char **value, struct nx_err *err)
{
    if (c->at + 1 >= c->argc)
        return refuse(err, "no value for", c->argv[c->at]);
    *value = c->argv[++c->at];
    return NX_OK;
}

/* Which verbs know an option that takes a value: one bit each. */
static unsigned verbs_of(const char *option)
{
    enum {
        INSPECT = 1 << NX_MODEL_INSPECT,
        RUN = 1 << NX_MODEL_RUN,
        TIME = 1 << NX_MODEL_TIME,
        CALIBRATE = 1 << NX_MODEL_CALIBRATE
    };
    static const struct {
        const char *option;
        unsigned verbs;
    } known[] = {
        {"--backend", INSPECT | RUN | TIME | CALIBRATE},
        {"--batch", INSPECT | TIME},
        {"--threads", RUN | TIME | CALIBRATE},
        {"--input", RUN},
        {"--output", RUN | CALIBRATE},
        {"-o", CALIBRATE},
        {"--photos", CALIBRATE},
        {"--recipe", CALIBRATE},
        {"--percentile", CALIBRATE},
        {"--precision", INSPECT | RUN | TIME},
        {"--calibration", INSPECT | RUN | TIME},
        {"--size", INSPECT | RUN | TIME | CALIBRATE},
        {"--rounds", TIME},
        {"--top", TIME},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(option, known[i].option))
            return known[i].verbs;
    return 0;
}

static enum nx_status read_precision(const char *text, enum nx_precision *precision,
                                     struct nx_err *err)
{
    if (!nx_precision_of(text, precision))
        return nx_err_set(err, NX_INVALID, "\"%s\" is not f32, bf16 or int8", text);
    return NX_OK;
}

static enum nx_status read_calibration(struct nx_model_args *args, const char *path,
                                       struct nx_err *err)
{
    if (args->calibration.bytes)
        return refuse(err, "a second calibration", path);
    NX_TRY(nx_mapped_file_open_for("--calibration", path, &args->calibration, err) == NX_OK
               ? NX_OK
               : NX_IO);
    args->files.calibration = (struct nx_file){args->calibration.bytes, args->calibration.len};
    return NX_OK;
}

static enum nx_status read_percentile(const char *text, struct nx_calibration_how *how,
                                      struct nx_err *err)
{
    char *end;
    double percent = strtod(text, &end);
    if (*text < '0' || *text > '9' || *end || !(percent > 50 && percent <= 100))
        return nx_err_set(err, NX_INVALID, "\"%s\" is not a percentile over 50, up to 100", text);
    how->rule = percent < 100 ? NX_RULE_PERCENTILE : NX_RULE_MINMAX;
    how->percent = percent;
    return NX_OK;
}

/* Of CALIBRATE. */
static enum nx_status read_calibrating(struct nx_model_args *args, const char *option,
                                       const char *value, struct nx_err *err)
{
    if (!strcmp(option, "--percentile"))
        return read_percentile(value, &args->how, err);
    *(!strcmp(option, "--photos")   ? &args->photos
      : !strcmp(option, "--recipe") ? &args->recipe
                                    : &args->output) = value;
    return NX_OK;
}

/* "299x299", height first. */
static enum nx_status read_size(const char *text, struct nx_model_options *options,
                                struct nx_err *err)
{
    char height[8];
    const char *x = strchr(text, 'x');
    size_t len = x ? (size_t)(x - text) : 0;
    if (len == 0 || len >= sizeof height)
        return nx_err_set(err, NX_INVALID, "\"%s\" is no size, such as 224x224", text);
    memcpy(height, text, len);
    height[len] = 0;
    NX_TRY(read_count(height, SIDE_MAX, &options->hint_height_px, err));
    return read_count(x + 1, SIDE_MAX, &options->hint_width_px, err);
}

static enum nx_status read_value(struct nx_model_args *args, const char *option, const char *value,
                                 struct nx_err *err)
{
    struct nx_load_options *load = &args->options.load;
    if (!strcmp(option, "--batch"))
        return read_count(value, NX_BATCH_MAX, &load->batch_max, err);
    if (!strcmp(option, "--threads"))
        return read_count(value, 1024, &load->threads, err);
    if (!strcmp(option, "--rounds"))
        return read_count(value, 10000, &args->rounds, err);
    if (!strcmp(option, "--top"))
        return read_count(value, 100000, &args->top, err);
    if (!strcmp(option, "--precision"))
        return read_precision(value, &load->precision, err);
    if (!strcmp(option, "--calibration"))
        return read_calibration(args, value, err);
    if (!strcmp(option, "--size"))
        return read_size(value, &args->options, err);
    if (!strcmp(option, "--input"))
        return add_input(args, value, err);
    if (strcmp(option, "--backend") != 0)
        return read_calibrating(args, option, value, err);
    args->options.backend = value;
    return NX_OK;
}

static enum nx_status read_option(struct nx_model_args *args, struct cursor *c,
                                  enum nx_model_verb verb, struct nx_err *err)
{
    const char *option = c->argv[c->at], *value = "";
    if (verb == NX_MODEL_INSPECT && !strcmp(option, "--json")) {
        args->json = true;
        return NX_OK;
    }
    if (verb == NX_MODEL_CALIBRATE && !strcmp(option, "--minmax"))
        return read_percentile("100", &args->how, err);
    if (!(verbs_of(option) >> verb & 1))
        return refuse(err, "unknown option", option);
    NX_TRY(value_of(c, &value, err));
    return read_value(args, option, value, err);
}

enum nx_status nx_model_args_read(int argc, char **argv, enum nx_model_verb verb,
                                  struct nx_model_args *args, struct nx_err *err)
{
    struct cursor c = {argc, 0, argv};
    *args = (struct nx_model_args){
        .options = {.backend = "auto", .load = {.batch_max = 1, .threads = 1}},
        .rounds = 10,
        .top = 15,
        .how = {NX_RULE_PERCENTILE, 99.99}};
    for (; c.at < argc; c.at++)
        NX_TRY(argv[c.at][0] == '-' ? read_option(args, &c, verb, err)
                                    : add_file(args, argv[c.at], err));
    if (args->n_mapped == 0)
        return nx_err_set(err, NX_INVALID, "no model");
    if (args->n_mapped == 1 && !args->files.onnx.bytes)
        return nx_err_set(err, NX_INVALID, "a symbol and its params are needed, one file is there");
    if (verb == NX_MODEL_CALIBRATE && (!args->photos || !args->output))
        return nx_err_set(err, NX_INVALID, "a calibration needs --photos and --output");
    return NX_OK;
}

void nx_model_args_close(struct nx_model_args *args)
{
    for (uint32_t i = 0; i < args->n_mapped; i++)
        nx_mapped_file_close(&args->mapped[i]);
    nx_mapped_file_close(&args->calibration);
}
