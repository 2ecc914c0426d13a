#include "cli/client_args.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { INSTALL_TIMEOUT_S = 600, OTHER_TIMEOUT_S = 60 };
enum { VERB_AT = 1, OPERANDS_AT = 2, VERSION_DIGITS_MAX = 19 };

static const struct verb {
    const char *name;
    enum nx_client_verb verb;
    int operands_min, operands_max;
    const char *operands;
    uint32_t timeout_s;
} verbs[] = {
    {"installmodel", NX_CLIENT_INSTALL, 3, 4,
     "<tag> <synset> <symbol> <params>, or <tag> <synset> <model.onnx>", INSTALL_TIMEOUT_S},
    {"inference", NX_CLIENT_INFER, 2, 2, "<models> <photo>", OTHER_TIMEOUT_S},
    {"removemodel", NX_CLIENT_REMOVE, 1, 1, "<tag>", OTHER_TIMEOUT_S},
    {"models", NX_CLIENT_MODELS, 0, 0, "nothing", OTHER_TIMEOUT_S},
};

bool nx_client_parse_u32(const char *text, uint32_t *value)
{
    uint64_t v = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (uint64_t)(*p - '0');
        if (v > UINT32_MAX)
            return false;
    }
    if (p == text || *p)
        return false;
    *value = (uint32_t)v;
    return true;
}

static enum nx_status parse_tag(const char *text, struct nx_client_args *args, struct nx_err *err)
{
    if (!nx_client_parse_u32(text, &args->tags[0]))
        return nx_err_set(err, NX_INVALID, "tag \"%s\" is not a number from 0 to %u", text,
                          UINT32_MAX);
    args->tag_count = 1;
    return NX_OK;
}

static bool parse_version(const char *text, size_t len, uint64_t *version)
{
    uint64_t v = 0;
    if (len == 0 || len > VERSION_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text[i] - '0');
    }
    *version = v;
    return v > 0;
}

/* "7" and "rose" are names as well as "rose:3"; digits alone must be a tag, which goes into *tag, too. */
static bool parse_model(const char *text, size_t len, struct nx_client_model *model, uint32_t *tag,
                        bool *plain)
{
    static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *colon = memchr(text, ':', len);
    size_t name_len = colon ? (size_t)(colon - text) : len;
    *model = (struct nx_client_model){0};
    if (name_len == 0 || name_len >= sizeof model->name)
        return false;
    memcpy(model->name, text, name_len);
    if (colon && !parse_version(colon + 1, len - name_len - 1, &model->version))
        return false;
    bool number = strspn(model->name, "0123456789") == name_len;
    *plain = number && !colon;
    if (!number)
        return strspn(model->name, bytes) == name_len;
    if (!nx_client_parse_u32(model->name, tag))
        return false;
    snprintf(model->name, sizeof model->name, "%u", *tag); /* 007 is 7 */
    return true;
}

static enum nx_status parse_tags(const char *list, struct nx_client_args *args, struct nx_err *err)
{
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ",");
        uint32_t i = args->tag_count;
        bool plain = false;
        if (i == NX_CLIENT_TAGS_MAX)
            return nx_err_set(err, NX_INVALID, "tags \"%.60s\" are more than %d", list,
                              NX_CLIENT_TAGS_MAX);
        if (!parse_model(at, len, &args->models[i], &args->tags[i], &plain))
            return nx_err_set(err, NX_INVALID,
                              "\"%.*s\" in tags \"%.60s\" is neither a number from 0 to %u nor a "
                              "model's name, with or without its version, as rose:3",
                              len < 60 ? (int)len : 60, at, list, UINT32_MAX);
        args->by_name |= !plain;
        args->tag_count++;
        at += len;
        if (!*at)
            return NX_OK;
    }
}

/* The colon before the port, or NULL: host:port, where a host with colons stands in brackets. */
static const char *port_colon(const char *node)
{
    const char *colon = strrchr(node, ':');
    if (!colon || colon == node)
        return NULL;
    if (*node == '[')
        return colon[-1] == ']' && colon - node > 2 ? colon : NULL;
    size_t host_len = strspn(node, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789.-_");
    return host_len == (size_t)(colon - node) ? colon : NULL;
}

enum nx_status nx_client_check_node(const char *node, struct nx_err *err)
{
    const char *colon = port_colon(node);
    uint32_t port;
    if (!colon || strlen(node) > NX_CLIENT_NODE_BYTES_MAX ||
        !nx_client_parse_u32(colon + 1, &port) || port == 0 || port > 65535)
        return nx_err_set(err, NX_INVALID,
                          "function tier node \"%.64s\" is not host:port, as in 127.0.0.1:28000",
                          node);
    return NX_OK;
}

enum nx_status nx_client_parse_timeout(const char *text, uint32_t *timeout_s, struct nx_err *err)
{
    uint32_t seconds;
    if (!nx_client_parse_u32(text, &seconds) || seconds == 0 || seconds > NX_CLIENT_TIMEOUT_S_MAX)
        return nx_err_set(err, NX_INVALID, "--timeout \"%s\" is not a number of seconds, 1 to %d",
                          text, NX_CLIENT_TIMEOUT_S_MAX);
    *timeout_s = seconds;
    return NX_OK;
}

static enum nx_status parse_options(int argc, char **argv, struct nx_client_args *args,
                                    struct nx_err *err)
{
    static const struct option options[] = {
        {"recipe", required_argument, NULL, 'r'},
        {"calibration", required_argument, NULL, 'q'},
        {"timeout", required_argument, NULL, 't'},
        {"replace", no_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        NX_CLIENT_IDENTITY_OPTIONS,
        {0},
    };
    optind = 0; /* glibc: start over, whatever was parsed before */
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        switch (option) {
        case 'r': args->recipe = optarg; break;
        case 'q': args->calibration_path = optarg; break;
        case 't': NX_TRY(nx_client_parse_timeout(optarg, &args->timeout_s, err)); break;
        case 'p': args->replace = true; break;
        case 'j': args->json = true; break;
        case 'h': args->help = true; return NX_OK;
        case ':': return nx_err_set(err, NX_INVALID, "%s needs a value", argv[optind - 1]);
        default:
            if (nx_client_identity_option(option, optarg, &args->paths))
                break;
            if (optopt)
                return nx_err_set(err, NX_INVALID, "unknown option -%c", optopt);
            return nx_err_set(err, NX_INVALID, "unknown option %s", argv[optind - 1]);
        }
    }
    return NX_OK;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (!strcmp(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

static bool has_onnx_suffix(const char *path)
{
    size_t len = strlen(path);
    return len > 5 && !strcmp(path + len - 5, ".onnx");
}

static enum nx_status take_install(char **operands, int count, struct nx_client_args *args,
                                   struct nx_err *err)
{
    NX_TRY(parse_tag(operands[0], args, err));
    args->synset_path = operands[1];
    args->model_path = operands[2];
    args->params_path = count == 4 ? operands[3] : NULL;
    if (count == 3 && !has_onnx_suffix(args->model_path))
        return nx_err_set(err, NX_INVALID,
                          "\"%s\" does not end in .onnx, and a symbol file needs a params file "
                          "after it",
                          args->model_path);
    return NX_OK;
}

static enum nx_status take_operands(const struct verb *verb, char **operands, int count,
                                    struct nx_client_args *args, struct nx_err *err)
{
    if (count < verb->operands_min)
        return nx_err_set(err, NX_INVALID, "missing argument: %s takes %s", verb->name,
                          verb->operands);
    if (count > verb->operands_max)
        return nx_err_set(err, NX_INVALID, "superfluous argument \"%s\": %s takes %s",
                          operands[verb->operands_max], verb->name, verb->operands);
    switch (verb->verb) {
    case NX_CLIENT_INSTALL: return take_install(operands, count, args, err);
    case NX_CLIENT_INFER: args->photo_path = operands[1]; return parse_tags(operands[0], args, err);
    case NX_CLIENT_REMOVE: return parse_tag(operands[0], args, err);
    case NX_CLIENT_MODELS: return NX_OK;
    }
    return NX_OK;
}

/* The options that one verb alone takes. */
static enum nx_status check_belongs(const struct verb *verb, const struct nx_client_args *args,
                                    struct nx_err *err)
{
    bool installs = verb->verb == NX_CLIENT_INSTALL;
    const char *foreign = NULL;
    if (args->recipe && !installs)
        foreign = "--recipe";
    else if (args->calibration_path && !installs)
        foreign = "--calibration";
    else if (args->replace && !installs)
        foreign = "--replace";
    if (foreign)
        return nx_err_set(err, NX_INVALID, "%s belongs to installmodel, not to %s", foreign,
                          verb->name);
    if (args->json && verb->verb != NX_CLIENT_MODELS)
        return nx_err_set(err, NX_INVALID, "--json belongs to models, not to %s", verb->name);
    return NX_OK;
}

/* operands: node, verb, then what the verb takes. */
static enum nx_status take_command(char **operands, int count, struct nx_client_args *args,
                                   struct nx_err *err)
{
    if (count < OPERANDS_AT)
        return nx_err_set(err, NX_INVALID, "missing argument: %s",
                          count ? "installmodel, inference, removemodel or models"
                                : "a function tier node, as in 127.0.0.1:28000");
    const struct verb *verb = find_verb(operands[VERB_AT]);
    if (!verb)
        return nx_err_set(err, NX_INVALID,
                          "unknown command \"%s\"; there are installmodel, inference, "
                          "removemodel, models",
                          operands[VERB_AT]);
    args->verb = verb->verb;
    args->node = operands[0];
    if (!args->timeout_s)
        args->timeout_s = verb->timeout_s;
    NX_TRY(check_belongs(verb, args, err));
    NX_TRY(nx_client_identity_check(&args->paths, err));
    NX_TRY(take_operands(verb, operands + OPERANDS_AT, count - OPERANDS_AT, args, err));
    return nx_client_check_node(args->node, err);
}

enum nx_status nx_client_args_parse(int argc, char **argv, struct nx_client_args *args,
                                    struct nx_err *err)
{
    struct nx_client_args parsed = {0};
    NX_TRY(parse_options(argc, argv, &parsed, err));
    if (!parsed.help)
        NX_TRY(take_command(argv + optind, argc - optind, &parsed, err));
    *args = parsed;
    return NX_OK;
}
