#include "categorizer/model/symbol_attr.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

/* One integer, maybe with Python 2's L; NULL if there is none at `at`. */
static const char *read_int(const char *at, int64_t *value)
{
    char *end;
    if (!isdigit((unsigned char)*at) && *at != '-' && *at != '+')
        return NULL;
    errno = 0;
    long long v = strtoll(at, &end, 10);
    if (end == at || errno)
        return NULL;
    *value = v;
    return *end == 'L' ? end + 1 : end;
}

bool nx_attr_int(const char *text, int64_t *value)
{
    int64_t v;
    const char *at = read_int(skip_space(text), &v);
    if (!at || *skip_space(at))
        return false;
    *value = v;
    return true;
}

bool nx_attr_bool(const char *text, bool *value)
{
    bool yes = strcmp(text, "True") == 0 || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    bool no = strcmp(text, "False") == 0 || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
    if (!yes && !no)
        return false;
    *value = yes;
    return true;
}

/* strtod reads the locale's decimal point; the program never sets a locale, so that is '.'. */
bool nx_attr_float(const char *text, float *value)
{
    char *end;
    const char *at = skip_space(text);
    double v = strtod(at, &end);
    if (end == at || *skip_space(end) || isnan(v))
        return false;
    *value = (float)v;
    return true;
}

bool nx_attr_is_none(const char *text)
{
    return strcmp(text, "None") == 0;
}

static const char *read_item(const char *at, int64_t *value)
{
    if (strncmp(at, "None", 4) == 0) {
        *value = NX_TUPLE_NONE;
        return at + 4;
    }
    return read_int(at, value);
}

static const char *read_items(const char *at, char close, struct nx_tuple *tuple)
{
    at = skip_space(at);
    while (*at != close) {
        if (tuple->n == NX_TUPLE_MAX)
            return NULL;
        at = read_item(at, &tuple->items[tuple->n++]);
        if (!at)
            return NULL;
        at = skip_space(at);
        if (*at == ',')
            at = skip_space(at + 1);
        else if (*at != close)
            return NULL;
    }
    return at + 1;
}

bool nx_attr_tuple(const char *text, struct nx_tuple *tuple)
{
    struct nx_tuple own = {.n = 0};
    const char *at = skip_space(text);
    if (*at != '(' && *at != '[') {
        own.n = 1;
        at = nx_attr_int(at, &own.items[0]) ? "" : NULL;
    } else {
        at = read_items(at + 1, *at == '(' ? ')' : ']', &own);
    }
    if (!at || *skip_space(at))
        return false;
    *tuple = own;
    return true;
}
