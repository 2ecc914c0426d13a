/* mms_conf.c — mms.conf: four sections; of the first two, a flag on one line and its value on the next, "optional" for
 * none; then nginx's own server block, and environment variables. */
#include "common/mms_read.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum section { OUTSIDE, ARGUMENTS, GUNICORN, NGINX, ENVIRONMENT, UNKNOWN };

struct conf {
    struct nx_mms_read *r;
    enum section section;
    char flag[64]; /* waits for its value; "": none */
    unsigned flag_line;
    char host[64], port[8]; /* of [MMS Arguments] */
    bool nginx_noted, nginx_listens;
};

/* --- arguments ------------------------------------------------------------------------------------- */

/* One "name=path" of --models: the folder becomes the store, the file one of its models. */
static enum nx_status take_model(struct conf *c, const char *pair, char *list, size_t cap,
                                 struct nx_err *err)
{
    const char *path = strchr(pair, '=');
    const char *slash = strrchr(pair, '/');
    const char *store = nx_mms_get(c->r, "model_store");
    char folder[NX_CONFIG_PATH_BYTES] = ".";
    if (!path || path == pair || !path[1])
        return nx_mms_refuse(c->r, err, "--models: \"%.100s\" is not like name=path", pair);
    if (strstr(path, "://"))
        return nx_mms_refuse(
            c->r, err, "--models: this node fetches nothing: download %.100s and give its path",
            path + 1);
    path++;
    int folder_len = slash > path ? (int)(slash - path) : 1;
    if (slash && slash >= path && folder_len >= (int)sizeof folder)
        return nx_mms_refuse(c->r, err, "--models: a folder of %d bytes, at most %zu are allowed",
                             folder_len, sizeof folder - 1);
    if (slash && slash >= path)
        snprintf(folder, sizeof folder, "%.*s", folder_len, path);
    if (store && strcmp(store, folder) != 0)
        return nx_mms_refuse(
            c->r, err, "--models: all models lie in one folder, but there are %.60s and %.60s",
            store, folder);
    size_t used = strlen(list);
    int len = snprintf(list + used, cap - used, "%s%.*s=%s", used ? ", " : "",
                       (int)(path - 1 - pair), pair, slash && slash >= path ? slash + 1 : path);
    if (len >= (int)(cap - used))
        return nx_mms_refuse(c->r, err, "--models: over %zu bytes", cap - 1);
    return nx_mms_set(c->r, "CLIENTS", "model_store", folder, err);
}

static enum nx_status take_models(struct conf *c, char *value, struct nx_err *err)
{
    char list[NX_CONFIG_LIST_BYTES] = "";
    for (char *pair; (pair = strsep(&value, " \t,"));)
        if (*pair)
            NX_TRY(take_model(c, pair, list, sizeof list, err));
    return list[0] ? nx_mms_set(c->r, "CLIENTS", "load_models", list, err) : NX_OK;
}

static enum nx_status take_log_level(struct conf *c, const char *value, struct nx_err *err)
{
    static const struct {
        const char *theirs, *ours;
    } levels[] = {{"CRITICAL", "error"}, {"ERROR", "error"}, {"WARNING", "warn"},
                  {"WARN", "warn"},      {"INFO", "info"},   {"DEBUG", "debug"}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcasecmp(levels[i].theirs, value) == 0)
            return nx_mms_set(c->r, "NEXUS", "log_level", levels[i].ours, err);
    return nx_mms_refuse(c->r, err, "--log-level: \"%.60s\" is no level", value);
}

static enum nx_status take_argument(struct conf *c, char *value, struct nx_err *err)
{
    unsigned port;
    if (strcmp(c->flag, "--models") == 0)
        return take_models(c, value, err);
    if (strcmp(c->flag, "--log-level") == 0)
        return take_log_level(c, value, err);
    if (strcmp(c->flag, "--host") == 0) {
        if (strlen(value) >= sizeof c->host)
            return nx_mms_refuse(c->r, err, "--host: \"%.60s…\" is no address", value);
        snprintf(c->host, sizeof c->host, "%s", value);
    } else if (strcmp(c->flag, "--port") == 0) {
        if (!nx_mms_port(value, &port))
            return nx_mms_refuse(c->r, err, "--port: \"%.60s\" is no port", value);
        snprintf(c->port, sizeof c->port, "%u", port);
    } else if (strcmp(c->flag, "--num-gpu") == 0 || strcmp(c->flag, "--gpu") == 0) {
        nx_mms_note(c->r, "%s is not supported: the key backend of categorizers chooses the device",
                    c->flag);
    } else if (strcmp(c->flag, "--service") == 0) {
        nx_mms_note(c->r, "--service is not supported: no model's code runs here");
    } else {
        nx_mms_note(c->r, "%s is not supported", c->flag);
    }
    return NX_OK;
}

static enum nx_status take_gunicorn(struct conf *c, const char *value, struct nx_err *err)
{
    if (strcmp(c->flag, "--workers") == 0)
        return nx_mms_set(c->r, "CATEGORIZER", "threads", value, err);
    nx_mms_note(c->r, "%s is not supported: no Gunicorn runs here", c->flag);
    return NX_OK;
}

static enum nx_status take_flag_or_value(struct conf *c, char *line, struct nx_err *err)
{
    bool is_flag = strncmp(line, "--", 2) == 0;
    if (is_flag && c->flag[0])
        return nx_mms_refuse(c->r, err, "%s of line %u has no value", c->flag, c->flag_line);
    if (is_flag && strlen(line) >= sizeof c->flag)
        return nx_mms_refuse(c->r, err, "\"%.60s…\" is no flag", line);
    if (is_flag) {
        snprintf(c->flag, sizeof c->flag, "%s", line);
        c->flag_line = c->r->line;
        return NX_OK;
    }
    if (!c->flag[0])
        return nx_mms_refuse(c->r, err, "a value without a flag before it: \"%.60s\"", line);
    enum nx_status status = NX_OK;
    if (strcmp(line, "optional") != 0)
        status =
            c->section == ARGUMENTS ? take_argument(c, line, err) : take_gunicorn(c, line, err);
    c->flag[0] = 0;
    return status;
}

/* --- nginx ------------------------------------------------------------------------------------------ */

/* "8080", "127.0.0.1:8080"; what stands behind it (ssl, default_server) says nothing new. */
static enum nx_status take_listen(struct conf *c, char *value, struct nx_err *err)
{
    char *colon, *address = strsep(&value, " \t");
    unsigned port;
    if (address[0] == '[') {
        nx_mms_note(c->r, "listen %.60s: an IPv6 address goes into [CLIENTS] listen of nexus.cfg",
                    address);
        return NX_OK;
    }
    colon = strchr(address, ':');
    if (colon)
        *colon = 0;
    if (!nx_mms_port(colon ? colon + 1 : address, &port))
        return nx_mms_refuse(c->r, err, "listen: \"%.60s\" is no port",
                             colon ? colon + 1 : address);
    c->nginx_listens = true;
    return nx_mms_listen(c->r, colon && strcmp(address, "*") != 0 ? address : "0.0.0.0", port, err);
}

static enum nx_status take_nginx(struct conf *c, char *line, struct nx_err *err)
{
    char *name = strsep(&line, " \t"), *value = line ? nx_mms_trim(line) : NULL;
    if (value)
        value[strcspn(value, ";")] = 0;
    if (value && *value) {
        value = nx_mms_trim(value);
        if (strcmp(name, "listen") == 0)
            return take_listen(c, value, err);
        if (strcmp(name, "client_max_body_size") == 0)
            return nx_mms_set_body_max(c->r, name, value, err);
        if (strcmp(name, "ssl_certificate") == 0)
            return nx_mms_set(c->r, "CLIENTS", "tls_cert", value, err);
        if (strcmp(name, "ssl_certificate_key") == 0)
            return nx_mms_set(c->r, "CLIENTS", "tls_key", value, err);
    }
    if (!c->nginx_noted && isalpha((unsigned char)name[0]) && strcmp(name, "server") != 0) {
        c->nginx_noted = true;
        nx_mms_note(c->r,
                    "%.40s: of nginx's block only listen, client_max_body_size, "
                    "ssl_certificate and ssl_certificate_key are taken",
                    name);
    }
    return NX_OK;
}

/* --- sections --------------------------------------------------------------------------------------- */

static enum nx_status enter(struct conf *c, const char *line, struct nx_err *err)
{
    static const struct {
        const char *name;
        enum section section;
    } sections[] = {{"[MMS Arguments]", ARGUMENTS},
                    {"[Gunicorn Arguments]", GUNICORN},
                    {"[Nginx Configurations]", NGINX},
                    {"[MXNet Environment Variables]", ENVIRONMENT}};
    if (c->flag[0])
        return nx_mms_refuse(c->r, err, "%s of line %u has no value", c->flag, c->flag_line);
    c->section = UNKNOWN;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (strcmp(sections[i].name, line) == 0)
            c->section = sections[i].section;
    if (c->section == UNKNOWN)
        nx_mms_note(c->r, "section %.60s is not known here", line);
    return NX_OK;
}

static enum nx_status take_line(struct conf *c, char *line, struct nx_err *err)
{
    if (line[0] == 0 || line[0] == '#')
        return NX_OK;
    if (line[0] == '[')
        return enter(c, line, err);
    switch (c->section) {
    case OUTSIDE: return nx_mms_refuse(c->r, err, "\"%.60s\" stands before any section", line);
    case ARGUMENTS:
    case GUNICORN: return take_flag_or_value(c, line, err);
    case NGINX: return take_nginx(c, line, err);
    case ENVIRONMENT:
        nx_mms_note(c->r, "%.*s is not supported: no MXNet runs here",
                    (int)(strcspn(line, "=") < 60 ? strcspn(line, "=") : 60), line);
        return NX_OK;
    case UNKNOWN: return NX_OK;
    }
    return NX_OK;
}

enum nx_status nx_mms_read_conf(struct nx_mms_read *r, char *text, struct nx_err *err)
{
    struct conf c = {.r = r, .host = "127.0.0.1", .port = "8080"};
    for (char *line; (line = nx_mms_next_line(r, &text));)
        NX_TRY(take_line(&c, nx_mms_trim(line), err));
    if (c.flag[0])
        return nx_mms_refuse(r, err, "%s of line %u has no value", c.flag, c.flag_line);
    unsigned port;
    return c.nginx_listens || !nx_mms_port(c.port, &port) ? NX_OK
                                                          : nx_mms_listen(r, c.host, port, err);
}
