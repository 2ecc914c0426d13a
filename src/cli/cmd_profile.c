/* cmd_profile.c — `nexus profile`: how long does a batch take on this machine?
 *
 * Loads a model as a replica would, with the same bytes and so the same digest, measures its batch sizes and writes
 * the profile (categorizer/profile.h). In the folder that [CATEGORIZER] profiles names, as the file that the last line
 * on standard error says, it is used instead of the small one that is measured at load.
 * Exit status  0 written   1 not   2 usage */
#include "categorizer/model/calibration.h"
#include "categorizer/served.h"
#include "cli/client_file.h"
#include "cli/cmd.h"
#include "common/arena.h"
#include "common/cpus.h"
#include "common/given_file.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, BATCH_MAX = 8, REPEATS = 20, BATCH_LIMIT = 256, REPEATS_LIMIT = 10000 };
static const nx_ns TIME_MAX_NS = 600 * NX_SEC;

struct options {
    const char *files[3]; /* synset, symbol or .onnx, params or NULL */
    const char *backend, *out, *recipe, *calibration;
    uint32_t batch_max, threads, repeats;
    enum nx_precision precision;
};

/* All of the files, one after the other, as an install brings them. */
struct body {
    uint8_t *bytes;
    uint64_t len, sizes[4];
};

static bool parse_number(const char *text, uint32_t max, uint32_t *value)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || v < 1 || v > max)
        return false;
    *value = (uint32_t)v;
    return true;
}

static enum nx_status take_option(struct options *o, int option, struct nx_err *err)
{
    switch (option) {
    case 'b':
        if (parse_number(optarg, BATCH_LIMIT, &o->batch_max))
            return NX_OK;
        return nx_err_set(err, NX_INVALID, "--batch-max \"%s\" is not a number from 1 to %d",
                          optarg, BATCH_LIMIT);
    case 't':
        if (parse_number(optarg, 256, &o->threads))
            return NX_OK;
        return nx_err_set(err, NX_INVALID, "--threads \"%s\" is not a number from 1 to 256",
                          optarg);
    case 'r':
        if (parse_number(optarg, REPEATS_LIMIT, &o->repeats))
            return NX_OK;
        return nx_err_set(err, NX_INVALID, "--repeats \"%s\" is not a number from 1 to %d", optarg,
                          REPEATS_LIMIT);
    case 'p':
        if (nx_precision_of(optarg, &o->precision))
            return NX_OK;
        return nx_err_set(err, NX_INVALID, "--precision \"%s\" is not f32, bf16 or int8", optarg);
    case 'c': o->calibration = optarg; return NX_OK;
    case 'k': o->backend = optarg; return NX_OK;
    case 'e': o->recipe = optarg; return NX_OK;
    default: o->out = optarg; return NX_OK;
    }
}

static enum nx_status parse_options(int argc, char **argv, struct options *o, struct nx_err *err)
{
    static const struct option table[] = {
        {"batch-max", 1, NULL, 'b'}, {"threads", 1, NULL, 't'},     {"repeats", 1, NULL, 'r'},
        {"backend", 1, NULL, 'k'},   {"precision", 1, NULL, 'p'},   {"out", 1, NULL, 'o'},
        {"recipe", 1, NULL, 'e'},    {"calibration", 1, NULL, 'c'}, {0},
    };
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":", table, NULL)) != -1;) {
        if (option == ':')
            return nx_err_set(err, NX_INVALID, "%s needs a value", argv[optind - 1]);
        if (option == '?')
            return nx_err_set(err, NX_INVALID, "unknown option %s", argv[optind - 1]);
        NX_TRY(take_option(o, option, err));
    }
    if ((o->precision == NX_PRECISION_INT8) != (o->calibration != NULL))
        return nx_err_set(err, NX_INVALID, "--precision int8 and --calibration go together");
    int files = argc - optind;
    if (files < 2 || files > 3)
        return nx_err_set(
            err, NX_INVALID,
            "takes <synset> <symbol> <params>, or <synset> <model.onnx>; files given: %d", files);
    for (int i = 0; i < files; i++)
        o->files[i] = argv[optind + i];
    return NX_OK;
}

static enum nx_status append(struct body *body, int i, int fd, size_t len, const char *path,
                             struct nx_err *err)
{
    size_t got;
    if (len == 0)
        return nx_err_set(err, NX_INVALID, "%s is empty", path);
    uint8_t *bytes = nx_realloc(body->bytes, body->len + len);
    if (!bytes)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the %zu bytes of %s", len, path);
    body->bytes = bytes;
    NX_TRY(nx_given_read(fd, path, bytes + body->len, len, &got, err));
    if (got < len)
        return nx_err_set(err, NX_CORRUPT, "%s was cut while it was read", path);
    body->sizes[i] = len;
    body->len += len;
    return NX_OK;
}

static enum nx_status append_file(struct body *body, int i, const char *path, struct nx_err *err)
{
    struct stat facts;
    int fd;
    NX_TRY(nx_given_open(path, &fd, &facts, err));
    enum nx_status status = append(body, i, fd, (size_t)facts.st_size, path, err);
    close(fd);
    return status;
}

static enum nx_status read_body(const struct options *o, struct body *body, struct nx_err *err)
{
    for (int i = 0; i < 3 && o->files[i]; i++)
        NX_TRY(append_file(body, i, o->files[i], err));
    if (o->calibration)
        NX_TRY(append_file(body, 3, o->calibration, err));
    return body->sizes[3] <= NX_CALIBRATION_BYTES_MAX
               ? NX_OK
               : nx_calibration_say_too_large(body->sizes[3], err);
}

static enum nx_status write_text(const char *text, size_t len, const char *path, struct nx_err *err)
{
    FILE *f = path ? fopen(path, "wb") : stdout;
    bool written = f && fwrite(text, 1, len, f) == len && fflush(f) == 0;
    int why = errno;
    if (path && f)
        written &= fclose(f) == 0;
    return written ? NX_OK
                   : nx_err_set(err, NX_IO, "cannot write %s: %s", path ? path : "the profile",
                                strerror(why));
}

static enum nx_status measure(const struct options *o, struct nx_served *served,
                              const struct nx_digest *digest, struct nx_err *err)
{
    struct nx_profile profile;
    struct nx_profile_origin origin;
    char text[NX_PROFILE_FILE_BYTES_MAX];
    struct nx_profile_plan plan = {.batch_max = o->batch_max,
                                   .repeats = o->repeats,
                                   .time_max_ns = TIME_MAX_NS,
                                   .memory_bytes = nx_served_facts(served)->memory_bytes};
    NX_TRY(nx_served_measure(served, &plan, &profile, err));
    nx_served_origin(served, digest, &origin);
    size_t len = nx_profile_write(&profile, &origin, text, sizeof text);
    NX_TRY(write_text(text, len, o->out, err));
    uint32_t best = nx_profile_best(&profile);
    fprintf(stderr, "best batch %u: %.1f photos per second; a node looks for %.16s.profile\n", best,
            best * (double)NX_SEC / (double)nx_profile_mean(&profile, best),
            strchr(origin.model, ':') + 1);
    return NX_OK;
}

static enum nx_status take_recipe(const struct options *o, struct nx_request_head *head,
                                  struct nx_err *err)
{
    char text[NX_RECIPE_BYTES_MAX + 1];
    if (!o->recipe)
        return NX_OK;
    NX_TRY(nx_client_recipe_text(o->recipe, text, sizeof text, err));
    head->recipe_bytes = (uint32_t)strlen(text);
    memcpy(head->recipe, text, head->recipe_bytes);
    return NX_OK;
}

static enum nx_status profile(const struct options *o, const struct body *body, struct nx_err *err)
{
    struct nx_budget budget = {.limit_bytes = UINT64_MAX};
    struct nx_request_head head = {.op = NX_REQUEST_INSTALL,
                                   .format = o->files[2] ? NX_FORMAT_MXNET : NX_FORMAT_ONNX,
                                   .precision = o->precision,
                                   .synset_bytes = body->sizes[0],
                                   .symbol_bytes = body->sizes[1],
                                   .params_bytes = body->sizes[2],
                                   .calibration_bytes = (uint32_t)body->sizes[3]};
    struct nx_served_options options = {.backend = o->backend,
                                        .threads = o->threads,
                                        .batch_max = o->batch_max,
                                        .budget = &budget,
                                        .profiles = ""};
    struct nx_served *served;
    struct nx_digest digest;
    NX_TRY(take_recipe(o, &head, err));
    NX_TRY(nx_served_open(&head, body->bytes, &options, &served, &digest, err));
    enum nx_status status = measure(o, served, &digest, err);
    nx_served_close(served);
    return status;
}

int nx_cmd_profile(int argc, char **argv)
{
    struct options o = {.backend = "auto", .batch_max = BATCH_MAX, .repeats = REPEATS};
    struct body body = {0};
    struct nx_err err = {0};
    o.threads = nx_cpus_usable();
    if (parse_options(argc, argv, &o, &err) != NX_OK) {
        fprintf(stderr, "nexus profile: %s\n", err.text);
        return EXIT_USAGE;
    }
    nx_cmd_wait_passively(argc, argv);
    enum nx_status status = read_body(&o, &body, &err);
    if (status == NX_OK)
        status = profile(&o, &body, &err);
    free(body.bytes);
    if (status != NX_OK)
        fprintf(stderr, "nexus profile: %s\n", err.text);
    return status == NX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
