/* mms_properties.c — config.properties, as Java reads such files: `key = value`, also with ':' or only a space between;
 * '#' and '!' begin a comment, a '\' at the end continues the line, '\' elsewhere takes the next character as it is. */
#include "common/mms_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 2 * NX_CONFIG_LIST_BYTES };

struct address {
    bool https;
    char ip[64];
    unsigned port, line;
};

struct properties {
    struct nx_mms_read *r;
    struct address inference, management;
};

/* --- what a key means ------------------------------------------------------------------------------- */

struct property {
    const char *name;
    enum nx_status (*take)(struct properties *p, const struct property *property, const char *value,
                           struct nx_err *err);
    const char *section, *key; /* of ours; or why it has no meaning here */
};

static enum nx_status take_as_it_is(struct properties *p, const struct property *property,
                                    const char *value, struct nx_err *err)
{
    return nx_mms_set(p->r, property->section, property->key, value, err);
}

static enum nx_status take_body_max(struct properties *p, const struct property *property,
                                    const char *value, struct nx_err *err)
{
    return nx_mms_set_body_max(p->r, property->name, value, err);
}

static enum nx_status take_debug(struct properties *p, const struct property *property,
                                 const char *value, struct nx_err *err)
{
    if (strcmp(value, "true") == 0)
        return nx_mms_set(p->r, "NEXUS", "log_level", "debug", err);
    if (strcmp(value, "false") == 0)
        return NX_OK;
    return nx_mms_refuse(p->r, err, "%s must be true or false, not \"%.60s\"", property->name,
                         value);
}

static enum nx_status take_nothing(struct properties *p, const struct property *property,
                                   const char *value, struct nx_err *err)
{
    (void)value, (void)err;
    nx_mms_note(p->r, "%s is not supported: %s", property->name, property->key);
    return NX_OK;
}

/* "https://127.0.0.1:8443"; without a port 80 or 443. */
static bool read_address(const char *value, struct address *to)
{
    const char *at = strstr(value, "://");
    to->https = strncmp(value, "https://", 8) == 0;
    if (!at || (!to->https && strncmp(value, "http://", 7) != 0))
        return false;
    at += 3;
    size_t len = strcspn(at, ":/");
    if (len == 0 || len >= sizeof to->ip)
        return false;
    memcpy(to->ip, at, len);
    to->ip[len] = 0;
    at += len;
    to->port = to->https ? 443 : 80;
    if (*at == ':') {
        char port[8];
        len = strcspn(at + 1, "/");
        snprintf(port, sizeof port, "%.*s", len < 7 ? (int)len : 7, at + 1);
        at += 1 + len;
        if (!nx_mms_port(port, &to->port))
            return false;
    }
    return *at == 0 || strcmp(at, "/") == 0;
}

static enum nx_status take_address(struct properties *p, const struct property *property,
                                   const char *value, struct nx_err *err)
{
    struct address *to =
        strcmp(property->name, "inference_address") == 0 ? &p->inference : &p->management;
    if (strncmp(value, "unix:", 5) == 0)
        return nx_mms_refuse(p->r, err, "%s: this node listens at IP addresses only, not at %.60s",
                             property->name, value);
    if (!read_address(value, to))
        return nx_mms_refuse(p->r, err,
                             "%s must be like http://127.0.0.1:8080 or https://…, not \"%.60s\"",
                             property->name, value);
    to->line = p->r->line;
    return NX_OK;
}

#define CODE   "no model's code runs here"
#define PEM    "keys are read from PEM files: certificate_file and private_key_file"
#define THREAD "one thread serves all connections"
#define JAVA   "no Java runs here"
#define CORS   "no header allows other origins; a proxy in front can add them"

static const struct property properties[] = {
    {"inference_address", take_address, NULL, NULL},
    {"management_address", take_address, NULL, NULL},
    {"load_models", take_as_it_is, "CLIENTS", "load_models"},
    {"model_store", take_as_it_is, "CLIENTS", "model_store"},
    {"default_workers_per_model", take_as_it_is, "CATEGORIZER", "threads"},
    {"default_response_timeout", take_as_it_is, "CLIENTS", "response_timeout_s"},
    {"job_queue_size", take_as_it_is, "CLIENTS", "requests_max"},
    {"max_request_size", take_body_max, NULL, NULL},
    {"certificate_file", take_as_it_is, "CLIENTS", "tls_cert"},
    {"private_key_file", take_as_it_is, "CLIENTS", "tls_key"},
    {"debug", take_debug, NULL, NULL},
    {"max_response_size", take_nothing, NULL, "answers have bounds of their own"},
    {"unregister_model_timeout", take_nothing, NULL, "a removal is answered once it is done"},
    {"number_of_gpu", take_nothing, NULL, "the key backend of categorizers chooses the device"},
    {"number_of_netty_threads", take_nothing, NULL, THREAD},
    {"netty_client_threads", take_nothing, NULL, THREAD},
    {"keystore", take_nothing, NULL, PEM},
    {"keystore_pass", take_nothing, NULL, PEM},
    {"keystore_type", take_nothing, NULL, PEM},
    {"cors_allowed_origin", take_nothing, NULL, CORS},
    {"cors_allowed_methods", take_nothing, NULL, CORS},
    {"cors_allowed_headers", take_nothing, NULL, CORS},
    {"blacklist_env_vars", take_nothing, NULL, CODE},
    {"default_service_handler", take_nothing, NULL, CODE},
    {"preload_model", take_nothing, NULL, CODE},
    {"plugins_path", take_nothing, NULL, CODE},
    {"decode_input_request", take_nothing, NULL, "the model's recipe says how input is read"},
    {"async_logging", take_nothing, NULL, "lines are written as they come"},
    {"metric_time_interval", take_nothing, NULL, "metrics are at /metrics whenever asked for"},
    {"enable_envvars_config", take_nothing, NULL, "settings come from files and options"},
    {"model_server_home", take_nothing, NULL, JAVA},
    {"prefer_direct_buffer", take_nothing, NULL, JAVA},
    {"use_native_io", take_nothing, NULL, JAVA},
    {"io_ratio", take_nothing, NULL, JAVA},
    {"vmargs", take_nothing, NULL, JAVA},
};

static enum nx_status take(struct properties *p, const char *key, const char *value,
                           struct nx_err *err)
{
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        if (strcmp(properties[i].name, key) == 0)
            return properties[i].take(p, &properties[i], value, err);
    nx_mms_note(p->r, "%.100s is no key of Model Server that is known here", key);
    return NX_OK;
}

/* --- lines ------------------------------------------------------------------------------------------ */

static bool is_continued(const char *line, size_t len)
{
    size_t slashes = 0;
    while (slashes < len && line[len - 1 - slashes] == '\\')
        slashes++;
    return slashes % 2 == 1;
}

/* The next logical line that says something, in `line`; *any false at the end. */
static enum nx_status next_logical(struct nx_mms_read *r, char **text, char line[LINE_BYTES],
                                   bool *any, struct nx_err *err)
{
    size_t used = 0;
    *any = false;
    for (char *part; (part = nx_mms_next_line(r, text));) {
        part += strspn(part, " \t\f\r");
        size_t len = strcspn(part, "\r");
        if (!*any && (len == 0 || part[0] == '#' || part[0] == '!'))
            continue;
        *any = true;
        bool more = is_continued(part, len);
        len -= more;
        if (used + len >= LINE_BYTES)
            return nx_mms_refuse(r, err, "a line of over %d bytes", LINE_BYTES - 1);
        memcpy(line + used, part, len);
        used += len;
        if (!more)
            break;
    }
    line[used] = 0;
    return NX_OK;
}

/* One character from *at on, which moves behind it. False: an escape that means another character. */
static bool unescape(const char **at, char *c)
{
    bool escaped = **at == '\\' && (*at)[1];
    *at += escaped;
    *c = *(*at)++;
    if (!escaped)
        return true;
    if (*c == 't')
        *c = '\t';
    return !strchr("unrf", *c);
}

static enum nx_status take_key(struct nx_mms_read *r, const char **at, char *key, size_t cap,
                               struct nx_err *err)
{
    size_t len = 0;
    while (**at && !strchr("=: \t", **at)) {
        if (!unescape(at, &key[len]))
            return nx_mms_refuse(r, err, "an escape \\u, \\n, \\r or \\f, which is not read here");
        if (++len == cap)
            return nx_mms_refuse(r, err, "a key of over %zu bytes", cap - 1);
    }
    key[len] = 0;
    *at += strspn(*at, " \t");
    if (**at == '=' || **at == ':')
        *at += 1 + strspn(*at + 1, " \t");
    return NX_OK;
}

/* "${NAME}" at *at: its value. */
static enum nx_status expand(struct nx_mms_read *r, const char **at, const char **value,
                             struct nx_err *err)
{
    char name[128];
    size_t len = strcspn(*at + 2, "}");
    if ((*at)[2 + len] != '}' || len == 0 || len >= sizeof name)
        return nx_mms_refuse(r, err, "\"%.40s\" is no ${NAME}", *at);
    memcpy(name, *at + 2, len);
    name[len] = 0;
    *value = getenv(name);
    *at += len + 3;
    return *value ? NX_OK : nx_mms_refuse(r, err, "the environment has no %s", name);
}

static enum nx_status take_text(struct nx_mms_read *r, const char *at, char *value, size_t cap,
                                struct nx_err *err)
{
    size_t len = 0;
    while (*at) {
        char one[2] = "";
        const char *more = one;
        if (at[0] == '$' && at[1] == '{')
            NX_TRY(expand(r, &at, &more, err));
        else if (!unescape(&at, one))
            return nx_mms_refuse(r, err, "an escape \\u, \\n, \\r or \\f, which is not read here");
        size_t more_bytes = strlen(more);
        if (len + more_bytes >= cap)
            return nx_mms_refuse(r, err, "a value of over %zu bytes", cap - 1);
        memcpy(value + len, more, more_bytes);
        len += more_bytes;
    }
    value[len] = 0;
    return NX_OK;
}

static enum nx_status read_line(struct properties *p, const char *line, struct nx_err *err)
{
    char key[128], value[LINE_BYTES];
    NX_TRY(take_key(p->r, &line, key, sizeof key, err));
    NX_TRY(take_text(p->r, line, value, sizeof value, err));
    return take(p, key, nx_mms_trim(value), err);
}

/* --- what follows from several keys ------------------------------------------------------------------ */

static enum nx_status settle_tls(struct properties *p, struct nx_err *err)
{
    struct nx_mms_read *r = p->r;
    bool https = p->inference.https || p->management.https;
    r->line = p->inference.https ? p->inference.line : p->management.line;
    if (https && (!nx_mms_get(r, "tls_cert") || !nx_mms_get(r, "tls_key")))
        return nx_mms_refuse(r, err, "https needs certificate_file and private_key_file");
    if (https && p->inference.https != p->management.https)
        nx_mms_note(r, "both addresses speak https: all ports of a node do, or none does");
    if (!https && nx_mms_get(r, "tls_cert"))
        nx_mms_note(r, "certificate_file is not used: no address is https");
    if (!https) {
        nx_mms_unset(r, "tls_cert");
        nx_mms_unset(r, "tls_key");
    }
    return NX_OK;
}

static enum nx_status settle_addresses(struct properties *p, struct nx_err *err)
{
    struct nx_mms_read *r = p->r;
    const struct address *manage = &p->management;
    r->line = p->inference.line;
    NX_TRY(nx_mms_listen(r, p->inference.ip, p->inference.port, err));
    r->line = manage->line;
    if (manage->port != p->inference.port)
        NX_TRY(nx_mms_listen(r, manage->ip, manage->port, err));
    bool here = strncmp(manage->ip, "127.", 4) == 0 || strcmp(manage->ip, "localhost") == 0;
    return nx_mms_set(r, "CLIENTS", "management", here ? "loopback" : "anywhere", err);
}

enum nx_status nx_mms_read_properties(struct nx_mms_read *r, char *text, struct nx_err *err)
{
    struct properties p = {.r = r, .inference = {.ip = "127.0.0.1", .port = 8080}};
    char line[LINE_BYTES];
    p.management = (struct address){.ip = "127.0.0.1", .port = 8081};
    for (;;) {
        bool any;
        NX_TRY(next_logical(r, &text, line, &any, err));
        if (!any)
            break;
        NX_TRY(read_line(&p, line, err));
    }
    NX_TRY(settle_tls(&p, err));
    return settle_addresses(&p, err);
}
