#include "common/config.h"

#include "common/arena.h"
#include "common/given_file.h"
#include "common/nx_assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { NUMBER, TEXT, ADDRESS, PATH, LIST };

struct key {
    const char *section, *name;
    enum kind kind;
    size_t offset;
    uint32_t min, max;     /* of a number */
    const char *otherwise; /* the default; NULL: the key must be given */
    const char *choices;   /* " a b ": the allowed texts; NULL: any */
};

#define FIELD(f) offsetof(struct nx_config, f)
#define NUM(section, name, field, min, max, otherwise)                 \
    {                                                                  \
        section, name, NUMBER, FIELD(field), min, max, otherwise, NULL \
    }
#define STR(section, name, field, otherwise, choices)               \
    {                                                               \
        section, name, TEXT, FIELD(field), 0, 0, otherwise, choices \
    }
#define IP(section, name, field, otherwise)                         \
    {                                                               \
        section, name, ADDRESS, FIELD(field), 0, 0, otherwise, NULL \
    }
#define FILE_NAME(section, name, field, otherwise)               \
    {                                                            \
        section, name, PATH, FIELD(field), 0, 0, otherwise, NULL \
    }
#define NAMES(section, name, field, otherwise)                   \
    {                                                            \
        section, name, LIST, FIELD(field), 0, 0, otherwise, NULL \
    }
#define FUNCTION    "SUBGROUP/FUNCTION_TIER"
#define CATEGORIZER "SUBGROUP/CATEGORIZER_TIER"

static const struct key keys[] = {
    IP("NEXUS", "leader_ip", leader_ip, NULL),
    NUM("NEXUS", "leader_gms_port", leader_gms_port, 1, 65535, "23580"),
    NUM("NEXUS", "local_id", local_id, 0, 1000000, NULL),
    IP("NEXUS", "local_ip", local_ip, NULL),
    NUM("NEXUS", "gms_port", gms_port, 1, 65535, "23580"),
    STR("NEXUS", "tier", tier, NULL, " function categorizer "),
    NUM("NEXUS", "first_view_nodes", first_view_nodes, 1, 32, NULL),
    NUM("NEXUS", "members_max", members_max, 0, 32, "0"),
    FILE_NAME("NEXUS", "contacts", contacts, ""),
    NUM("NEXUS", "clock_skew_s", clock_skew_s, 1, 86400, "60"),
    STR("NEXUS", "rejoin", rejoin, "yes", " yes no "),
    NUM("NEXUS", "client_port", client_port, 0, 65535, "0"),
    NUM("NEXUS", "join_timeout_s", join_timeout_s, 1, 86400, "600"),
    NUM("NEXUS", "heartbeat_ms", heartbeat_ms, 0, 600000, "500"),
    STR("NEXUS", "log_level", log_level, "warn", " error warn info debug trace "),
    FILE_NAME("NEXUS", "otlp", otlp, ""),
    NUM("NEXUS", "otlp_per_million", otlp_per_million, 0, 1000000, "1000000"),
    STR("NEXUS", "log_format", log_format, "plain", " plain json "),
    FILE_NAME("NEXUS", "cpus", cpus, ""),
    FILE_NAME("NEXUS", "secret_file", secret_file, ""),
    STR("RDMA", "provider", provider, "tcp", " tcp verbs "),
    STR("RDMA", "domain", domain, "", NULL),
    NUM(FUNCTION, "num_shards", function_tier.num_shards, 1, 1, "1"),
    NUM(FUNCTION, "min_nodes", function_tier.min_nodes, 1, 32, "1"),
    NUM(FUNCTION, "max_nodes", function_tier.max_nodes, 1, 32, "32"),
    NUM(CATEGORIZER, "num_shards", categorizer_tier.num_shards, 1, 32, "1"),
    NUM(CATEGORIZER, "min_nodes", categorizer_tier.min_nodes, 1, 32, "1"),
    NUM(CATEGORIZER, "max_nodes", categorizer_tier.max_nodes, 1, 32, "32"),
    STR(CATEGORIZER, "persist", categorizer_tier.persist, "false", " true false "),
    FILE_NAME("PERS", "file_path", file_path, ".plog"),
    FILE_NAME("CLIENTS", "model_store", model_store, ""),
    STR("CLIENTS", "management", management, "loopback", " loopback anywhere "),
    STR("CLIENTS", "compat", compat, "both", " both 0.4 1.x "),
    NUM("CLIENTS", "connections_max", connections_max, 0, 1000000, "0"),
    NUM("CLIENTS", "requests_max", requests_max, 1, 100000, "960"),
    NUM("CLIENTS", "requests_mb", requests_mb, 1, 65536, "256"),
    NUM("CLIENTS", "request_max_mb", request_max_mb, 1, 256, "64"),
    NUM("CLIENTS", "response_timeout_s", response_timeout_s, 1, 86400, "120"),
    NUM("CLIENTS", "drain_s", drain_s, 0, 3600, "0"),
    FILE_NAME("CLIENTS", "listen", listen, ""),
    NAMES("CLIENTS", "load_models", load_models, ""),
    FILE_NAME("CLIENTS", "mms_config", mms_config, ""),
    FILE_NAME("CLIENTS", "tls_cert", tls_cert, ""),
    FILE_NAME("CLIENTS", "tls_key", tls_key, ""),
    FILE_NAME("CLIENTS", "tls_client_ca", tls_client_ca, ""),
    FILE_NAME("CLIENTS", "tokens", tokens, ""),
    STR("CLIENTS", "log_requests", log_requests, "no", " yes no "),
    STR("CATEGORIZER", "backend", backend, "cpu_dnnl", " auto gpu_cudnn cpu_dnnl cpu_ref "),
    STR("CATEGORIZER", "precision", precision, "f32", " f32 bf16 "),
    NUM("CATEGORIZER", "threads", threads, 0, 256, "0"),
    NUM("CATEGORIZER", "memory_mb", memory_mb, 1, 1048576, "4096"),
    NUM("CATEGORIZER", "batch_max", batch_max, 1, 256, "8"),
    FILE_NAME("CATEGORIZER", "profiles", profiles, ""),
};
enum { KEYS_COUNT = sizeof keys / sizeof *keys };

struct parse {
    const char *name; /* of the file */
    struct nx_config *config;
    bool given[KEYS_COUNT];  /* in the file or as an option */
    bool option[KEYS_COUNT]; /* as an option */
    struct nx_err cause;     /* of the first bad line */
};

static const struct key *find_key(const char *section, const char *name)
{
    for (size_t i = 0; i < KEYS_COUNT; i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static enum nx_status set_number(const struct key *key, void *at, const char *value,
                                 struct nx_err *err)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    bool digits = value[0] >= '0' && value[0] <= '9' && *end == 0 && errno == 0;
    if (!digits || v < key->min || v > key->max)
        return nx_err_set(err, NX_INVALID, "%s must be a number from %u to %u, not \"%s\"",
                          key->name, key->min, key->max, value);
    *(uint32_t *)at = (uint32_t)v;
    return NX_OK;
}

static bool is_choice(const char *choices, const char *value)
{
    char word[NX_CONFIG_TEXT_BYTES + 2];
    snprintf(word, sizeof word, " %s ", value);
    return !strchr(value, ' ') && strstr(choices, word);
}

/* What is chosen elsewhere. */
static const char *hint_of(const struct key *key, const char *value)
{
    if (key->offset == FIELD(precision) && strcmp(value, "int8") == 0)
        return ": int8 comes with a model, 'nexus client ... installmodel ... --calibration FILE'";
    return "";
}

/* "tier must be function or categorizer, not …" */
static enum nx_status say_choices(const struct key *key, const char *value, struct nx_err *err)
{
    char list[NX_ERR_TEXT_BYTES] = "";
    size_t len = 0;
    for (const char *at = key->choices + 1; *at;) {
        int word = (int)strcspn(at, " ");
        bool last = at[word + 1] == 0;
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%.*s",
                                len == 0 ? ""
                                : last   ? " or "
                                         : ", ",
                                word, at);
        at += word + 1;
    }
    return nx_err_set(err, NX_INVALID, "%s must be %s, not \"%s\"%s", key->name, list, value,
                      hint_of(key, value));
}

static enum nx_status set_text(const struct key *key, void *at, const char *value,
                               struct nx_err *err)
{
    struct in_addr ip;
    size_t room = key->kind == LIST   ? NX_CONFIG_LIST_BYTES
                  : key->kind == PATH ? NX_CONFIG_PATH_BYTES
                                      : NX_CONFIG_TEXT_BYTES;
    if (strlen(value) >= room)
        return nx_err_set(err, NX_INVALID, "%s is longer than %zu bytes", key->name, room - 1);
    if (key->kind == ADDRESS && inet_pton(AF_INET, value, &ip) != 1)
        return nx_err_set(err, NX_INVALID, "%s must be an IPv4 address, not \"%s\"", key->name,
                          value);
    if (key->choices && !is_choice(key->choices, value))
        return say_choices(key, value, err);
    memcpy(at, value, strlen(value) + 1);
    return NX_OK;
}

static enum nx_status set_key(const struct key *key, struct nx_config *config, const char *value,
                              struct nx_err *err)
{
    void *at = (char *)config + key->offset;
    return key->kind == NUMBER ? set_number(key, at, value, err) : set_text(key, at, value, err);
}

static enum nx_status set_line(struct parse *p, const char *section, const char *name,
                               const char *value)
{
    const struct key *key = find_key(section, name);
    if (!key)
        return nx_err_set(&p->cause, NX_INVALID, "unknown key \"%s\" in section [%s]", name,
                          section);
    if (p->given[key - keys])
        return nx_err_set(&p->cause, NX_INVALID, "%s is given twice", name);
    p->given[key - keys] = true;
    return set_key(key, p->config, value, &p->cause);
}

/* inih's callback: 0 reports the line as bad; only the first bad line is told. */
static int take_line(void *user, const char *section, const char *name, const char *value)
{
    struct parse *p = user;
    if (p->cause.status != NX_OK)
        return 0;
    return set_line(p, section, name, value) == NX_OK;
}

static enum nx_status parse_text(struct parse *p, const char *text, struct nx_err *err)
{
    int line = ini_parse_string(text, take_line, p);
    if (line == 0)
        return NX_OK;
    if (line < 0)
        return nx_err_set(err, NX_NO_MEMORY, "%s: out of memory", p->name);
    const char *what =
        p->cause.status != NX_OK ? p->cause.text : "expected \"key = value\" or \"[section]\"";
    return nx_err_set(err, NX_INVALID, "%s:%d: %s", p->name, line, what);
}

/* "--RDMA/provider" → the key; "--local_id" is short for [NEXUS]. */
static const struct key *find_option(const char *option, size_t len)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        char full[2 * NX_CONFIG_TEXT_BYTES];
        snprintf(full, sizeof full, "%s/%s", keys[i].section, keys[i].name);
        bool is_full = strlen(full) == len && memcmp(full, option, len) == 0;
        bool is_short = strcmp(keys[i].section, "NEXUS") == 0 && strlen(keys[i].name) == len &&
                        memcmp(keys[i].name, option, len) == 0;
        if (is_full || is_short)
            return &keys[i];
    }
    return NULL;
}

static enum nx_status apply_option(struct parse *p, const char *option, const char *next, int *used,
                                   struct nx_err *err)
{
    if (strncmp(option, "--", 2) != 0)
        return nx_err_set(err, NX_INVALID, "unexpected argument \"%s\"", option);
    const char *equals = strchr(option, '=');
    size_t len = equals ? (size_t)(equals - option) - 2 : strlen(option) - 2;
    const struct key *key = find_option(option + 2, len);
    if (!key)
        return nx_err_set(err, NX_INVALID, "unknown option \"%s\"", option);
    const char *value = equals ? equals + 1 : next;
    if (!value)
        return nx_err_set(err, NX_INVALID, "option \"%s\" has no value", option);
    if (p->option[key - keys])
        return nx_err_set(err, NX_INVALID, "option --%.*s is given twice", (int)len, option + 2);
    *used = equals ? 1 : 2;
    p->given[key - keys] = p->option[key - keys] = true;
    enum nx_status status = set_key(key, p->config, value, err);
    if (status != NX_OK)
        nx_err_prefix(err, "option --%.*s", (int)len, option + 2);
    return status;
}

static enum nx_status apply_options(struct parse *p, int argc, char **argv, struct nx_err *err)
{
    for (int i = 0, used = 0; i < argc; i += used)
        NX_TRY(apply_option(p, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used, err));
    return NX_OK;
}

static enum nx_status apply_beside(struct parse *p, const struct nx_config_beside *beside,
                                   uint32_t count, struct nx_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct key *key = find_key(beside[i].section, beside[i].name);
        nx_assert(key);
        if (p->given[key - keys])
            continue;
        p->given[key - keys] = true;
        enum nx_status status = set_key(key, p->config, beside[i].value, err);
        if (status != NX_OK) {
            nx_err_prefix(err, "%s", beside[i].where);
            return status;
        }
    }
    return NX_OK;
}

static enum nx_status fill_defaults(struct parse *p, struct nx_err *err)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (p->given[i])
            continue;
        if (!keys[i].otherwise)
            return nx_err_set(err, NX_INVALID, "%s: %s is missing in section [%s]", p->name,
                              keys[i].name, keys[i].section);
        NX_TRY(set_key(&keys[i], p->config, keys[i].otherwise, err));
    }
    return NX_OK;
}

static enum nx_status check_shards(const char *name, const char *tier,
                                   const struct nx_config_shards *s, struct nx_err *err)
{
    if (s->min_nodes > s->max_nodes)
        return nx_err_set(err, NX_INVALID, "%s: [SUBGROUP/%s] min_nodes %u is over max_nodes %u",
                          name, tier, s->min_nodes, s->max_nodes);
    return NX_OK;
}

/* "10.0.0.1:23580", or "[::1]:23580": *rest is behind it and its comma. */
static bool read_address(const char *text, bool six, struct nx_config_address *address,
                         const char **rest)
{
    bool brackets = six && *text == '[';
    const char *end = text + strcspn(text, ","), *from = text + brackets;
    const char *to = from + strcspn(from, brackets ? "]" : ":"), *colon = to + brackets;
    size_t len = to < end && *colon == ':' ? (size_t)(to - from) : 0;
    struct in6_addr ip; /* room for both */
    char *after;
    if (len == 0 || len >= sizeof address->ip || colon[1] < '0' || colon[1] > '9')
        return false;
    memcpy(address->ip, from, len);
    address->ip[len] = 0;
    errno = 0;
    unsigned long port = strtoul(colon + 1, &after, 10);
    after += strspn(after, " \t");
    address->port = (uint32_t)port;
    *rest = *end ? end + 1 : end;
    return inet_pton(brackets ? AF_INET6 : AF_INET, address->ip, &ip) == 1 && errno == 0 &&
           after == end && port >= 1 && port <= 65535;
}

static enum nx_status read_addresses(const char *name, const char *key, const char *text, bool six,
                                     struct nx_config_address *addresses, uint32_t max,
                                     uint32_t *count, struct nx_err *err)
{
    *count = 0;
    for (const char *rest = text + strspn(text, " \t"); *rest; rest += strspn(rest, " \t")) {
        if (*count == max)
            return nx_err_set(err, NX_INVALID, "%s: %s names more than %u addresses", name, key,
                              max);
        if (!read_address(rest, six, &addresses[(*count)++], &rest))
            return nx_err_set(err, NX_INVALID,
                              "%s: %s must be IPv4 addresses with ports, such as "
                              "\"10.0.0.1:23580, 10.0.0.2:23580\"%s, not \"%s\"",
                              name, key, six ? ", or IPv6 ones, such as \"[::1]:8080\"" : "", text);
    }
    return NX_OK;
}

static enum nx_status check_members(const char *name, struct nx_config *c, struct nx_err *err)
{
    if (c->members_max == 0)
        c->members_max = c->first_view_nodes < 16 ? 2 * c->first_view_nodes : 32;
    if (c->members_max < c->first_view_nodes)
        return nx_err_set(err, NX_INVALID, "%s: members_max is %u, but first_view_nodes is %u",
                          name, c->members_max, c->first_view_nodes);
    return NX_OK;
}

static enum nx_status check_whole(const char *name, struct nx_config *c, struct nx_err *err)
{
    NX_TRY(check_shards(name, "FUNCTION_TIER", &c->function_tier, err));
    NX_TRY(check_shards(name, "CATEGORIZER_TIER", &c->categorizer_tier, err));
    uint32_t need =
        c->function_tier.min_nodes + c->categorizer_tier.num_shards * c->categorizer_tier.min_nodes;
    if (c->first_view_nodes < need)
        return nx_err_set(err, NX_INVALID,
                          "%s: first_view_nodes is %u, but the shards need %u nodes (%u + %u x %u)",
                          name, c->first_view_nodes, need, c->function_tier.min_nodes,
                          c->categorizer_tier.num_shards, c->categorizer_tier.min_nodes);
    NX_TRY(check_members(name, c, err));
    NX_TRY(read_addresses(name, "contacts", c->contacts, false, c->contact, NX_CONFIG_CONTACTS_MAX,
                          &c->contacts_count, err));
    NX_TRY(read_addresses(name, "listen", c->listen, true, c->listen_at, NX_CONFIG_LISTEN_MAX,
                          &c->listen_count, err));
    if (c->client_port == 0) {
        if (c->local_id > 65535 - 28000)
            return nx_err_set(err, NX_INVALID,
                              "%s: local_id %u leaves no port at 28000 + id: "
                              "give client_port",
                              name, c->local_id);
        c->client_port = 28000 + c->local_id;
    }
    if (strcmp(c->tier, "function") == 0 && c->client_port == c->gms_port)
        return nx_err_set(err, NX_INVALID, "%s: gms_port and client_port are both %u", name,
                          c->gms_port);
    return NX_OK;
}

enum nx_status nx_config_parse_beside(const char *text, const char *name, int argc, char **argv,
                                      const struct nx_config_beside *beside, uint32_t beside_count,
                                      struct nx_config *config, struct nx_err *err)
{
    struct nx_config parsed = {0};
    struct parse p = {.name = name, .config = &parsed};
    NX_TRY(parse_text(&p, text, err));
    NX_TRY(apply_options(&p, argc, argv, err));
    NX_TRY(apply_beside(&p, beside, beside_count, err));
    NX_TRY(fill_defaults(&p, err));
    NX_TRY(check_whole(name, &parsed, err));
    *config = parsed;
    return NX_OK;
}

enum nx_status nx_config_parse(const char *text, const char *name, int argc, char **argv,
                               struct nx_config *config, struct nx_err *err)
{
    return nx_config_parse_beside(text, name, argc, argv, NULL, 0, config, err);
}

/* It is read once, at the start, and may be a pipe: its writer must not keep the node from starting for ever. */
static const struct nx_given_how how_read = {.bytes_max = 64 * 1024, .pipe_wait = 10 * NX_SEC};

enum nx_status nx_config_read(const char *path, const char *wanted, char **text, struct nx_err *err)
{
    struct nx_err why;
    char *got;
    size_t len;
    enum nx_status status = nx_given_read_whole(path, &how_read, &got, &len, NULL, &why);
    if (status == NX_IO)
        return nx_err_set(err, status, "%s (%s)", why.text, wanted);
    if (status != NX_OK)
        return nx_err_set(err, status, "no configuration file: %s", why.text);
    if (memchr(got, 0, len)) {
        free(got);
        return nx_err_set(err, NX_INVALID, "no configuration file: %s holds a zero byte", path);
    }
    *text = got;
    return NX_OK;
}

enum nx_status nx_config_load_beside(const char *path, int argc, char **argv,
                                     const struct nx_config_beside *beside, uint32_t beside_count,
                                     struct nx_config *config, struct nx_err *err)
{
    char *text;
    NX_TRY(nx_config_read(path, "a node's folder holds its nexus.cfg", &text, err));
    enum nx_status status =
        nx_config_parse_beside(text, path, argc, argv, beside, beside_count, config, err);
    free(text);
    return status;
}

enum nx_status nx_config_load(const char *path, int argc, char **argv, struct nx_config *config,
                              struct nx_err *err)
{
    return nx_config_load_beside(path, argc, argv, NULL, 0, config, err);
}
