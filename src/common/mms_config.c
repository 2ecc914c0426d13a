#include "common/mms_config.h"

#include "common/mms_read.h"
#include "common/nx_assert.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *nx_mms_next_line(struct nx_mms_read *r, char **text)
{
    char *line = strsep(text, "\n");
    if (line)
        r->line++;
    return line;
}

char *nx_mms_trim(char *text)
{
    static const char white[] = " \t\r\f";
    text += strspn(text, white);
    size_t len = strlen(text);
    while (len > 0 && strchr(white, text[len - 1]))
        text[--len] = 0;
    return text;
}

static struct nx_config_beside *find(const struct nx_mms_read *r, const char *key)
{
    for (uint32_t i = 0; i < r->config->settings_count; i++)
        if (strcmp(r->config->settings[i].name, key) == 0)
            return &r->config->settings[i];
    return NULL;
}

enum nx_status nx_mms_set(struct nx_mms_read *r, const char *section, const char *key,
                          const char *value, struct nx_err *err)
{
    struct nx_config_beside *s = find(r, key);
    if (strlen(value) >= sizeof s->value)
        return nx_mms_refuse(r, err, "a value of %zu bytes, at most %zu are taken", strlen(value),
                             sizeof s->value - 1);
    if (!s) {
        nx_assert(r->config->settings_count < NX_MMS_SETTINGS_MAX); /* keys are ours, and few */
        s = &r->config->settings[r->config->settings_count++];
    }
    s->section = section;
    s->name = key;
    snprintf(s->where, sizeof s->where, "%s:%u", r->name, r->line);
    memcpy(s->value, value, strlen(value) + 1);
    return NX_OK;
}

const char *nx_mms_get(const struct nx_mms_read *r, const char *key)
{
    const struct nx_config_beside *s = find(r, key);
    return s ? s->value : NULL;
}

void nx_mms_unset(struct nx_mms_read *r, const char *key)
{
    struct nx_config_beside *s = find(r, key);
    if (s)
        *s = r->config->settings[--r->config->settings_count];
}

void nx_mms_note(struct nx_mms_read *r, const char *format, ...)
{
    struct nx_mms_config *c = r->config;
    va_list args;
    if (c->notes_count == NX_MMS_NOTES_MAX)
        return;
    char *note = c->notes[c->notes_count++];
    size_t used = (size_t)snprintf(note, NX_MMS_NOTE_BYTES, "%.160s:%u: ", r->name, r->line);
    va_start(args, format);
    if (c->notes_count == NX_MMS_NOTES_MAX)
        snprintf(note + used, NX_MMS_NOTE_BYTES - used, "and more that has no meaning here");
    else
        vsnprintf(note + used, NX_MMS_NOTE_BYTES - used, format, args);
    va_end(args);
}

enum nx_status nx_mms_refuse(const struct nx_mms_read *r, struct nx_err *err, const char *format,
                             ...)
{
    char text[NX_ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return nx_err_set(err, NX_INVALID, "%s:%u: %s", r->name, r->line, text);
}

bool nx_mms_port(const char *text, unsigned *port)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 5 || text[len] != 0)
        return false;
    *port = (unsigned)strtoul(text, NULL, 10);
    return *port >= 1 && *port <= 65535;
}

enum nx_status nx_mms_listen(struct nx_mms_read *r, const char *ip, unsigned port,
                             struct nx_err *err)
{
    char list[NX_CONFIG_PATH_BYTES];
    struct in_addr at;
    const char *before = nx_mms_get(r, "listen");
    if (strcmp(ip, "localhost") == 0)
        ip = "127.0.0.1";
    if (inet_pton(AF_INET, ip, &at) != 1)
        return nx_mms_refuse(r, err, "\"%.60s\" is no IPv4 address to listen at", ip);
    int len = snprintf(list, sizeof list, "%s%s%s:%u", before ? before : "", before ? ", " : "", ip,
                       port);
    if (len >= (int)sizeof list)
        return nx_mms_refuse(r, err, "too many addresses to listen at");
    return nx_mms_set(r, "CLIENTS", "listen", list, err);
}

enum nx_status nx_mms_set_body_max(struct nx_mms_read *r, const char *key, const char *value,
                                   struct nx_err *err)
{
    char *end, text[24];
    unsigned long long bytes = strtoull(value, &end, 10);
    unsigned shift = *end == 'k' || *end == 'K'   ? 10
                     : *end == 'm' || *end == 'M' ? 20
                     : *end == 'g' || *end == 'G' ? 30
                                                  : 0;
    end += shift > 0;
    if (value[0] < '0' || value[0] > '9' || *end || bytes == 0 || bytes > UINT32_MAX)
        return nx_mms_refuse(r, err, "%s must be a number of bytes, not \"%.60s\"", key, value);
    bytes <<= shift;
    snprintf(text, sizeof text, "%llu", (bytes + (1 << 20) - 1) >> 20);
    return nx_mms_set(r, "CLIENTS", "request_max_mb", text, err);
}

static bool is_conf(const char *text)
{
    return strstr(text, "[MMS Arguments]") || strstr(text, "[Gunicorn Arguments]") ||
           strstr(text, "[Nginx Configurations]") || strstr(text, "[MXNet Environment Variables]");
}

enum nx_status nx_mms_parse(const char *text, const char *name, struct nx_mms_config *config,
                            struct nx_err *err)
{
    struct nx_mms_read r = {.name = name, .config = config};
    char *copy = strdup(text);
    if (!copy)
        return nx_err_set(err, NX_NO_MEMORY, "%s: out of memory", name);
    config->settings_count = config->notes_count = 0;
    enum nx_status status =
        is_conf(text) ? nx_mms_read_conf(&r, copy, err) : nx_mms_read_properties(&r, copy, err);
    free(copy);
    return status;
}

enum nx_status nx_mms_load(const char *path, struct nx_mms_config *config, struct nx_err *err)
{
    char *text;
    NX_TRY(nx_config_read(path, "the key mms_config names it", &text, err));
    enum nx_status status = nx_mms_parse(text, path, config, err);
    free(text);
    return status;
}
