/* A recipe from its text. The only file of this folder that includes libinih. */
#include "categorizer/image/recipe.h"

#include <ini.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct draft {
    struct nx_recipe recipe;
    unsigned seen;      /* bit i: keys[i] has come */
    struct nx_err *err; /* the first refusal, without its line */
    enum nx_status status;
};

/* Returns the index of `word` in the list, or -1. */
static int find_word(const char *word, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

static bool parse_side(const char *text, uint32_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    unsigned long v = strtoul(text, &end, 10);
    if (*end || v < 1 || v > NX_RECIPE_SIDE_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

static bool in_range(double v)
{
    return isfinite(v) && fabs(v) <= (double)NX_RECIPE_VALUE_MAX;
}

/* A number, or a quotient of two. *at moves behind it. */
static bool parse_number(const char **at, float *out)
{
    char *end;
    double v = strtod(*at, &end);
    if (end == *at)
        return false;
    if (*end == '/') {
        const char *below = end + 1;
        double divisor = strtod(below, &end);
        if (end == below || divisor == 0)
            return false;
        v /= divisor;
    }
    if (!in_range(v))
        return false;
    *at = end;
    *out = (float)v;
    return true;
}

static const char *skip_gap(const char *at)
{
    return at + strspn(at, " \t,");
}

/* One number for all three, or three. */
static bool parse_triple(const char *text, float out[3])
{
    float v[3];
    int n = 0;
    for (text = skip_gap(text); *text; text = skip_gap(text)) {
        if (n == 3 || !parse_number(&text, &v[n++]))
            return false;
        if (*text && !strchr(" \t,", *text))
            return false;
    }
    if (n != 1 && n != 3)
        return false;
    for (int i = 0; i < 3; i++)
        out[i] = v[n == 1 ? 0 : i];
    return true;
}

static bool set_preset(struct nx_recipe *r, const char *value)
{
    const struct nx_recipe *preset = nx_recipe_preset(value);
    if (preset)
        *r = *preset;
    return preset != NULL;
}

static bool set_size(struct nx_recipe *r, const char *value)
{
    return parse_side(value, &r->size);
}

static bool set_crop(struct nx_recipe *r, const char *value)
{
    return parse_side(value, &r->crop);
}

static bool set_fit(struct nx_recipe *r, const char *value)
{
    static const char *const words[] = {"squash", "short-side", NULL};
    int i = find_word(value, words);
    r->fit = i == 1 ? NX_FIT_SHORT_SIDE : NX_FIT_SQUASH;
    return i >= 0;
}

static bool set_filter(struct nx_recipe *r, const char *value)
{
    static const char *const words[] = {"bilinear", "triangle", NULL};
    int i = find_word(value, words);
    r->filter = i == 1 ? NX_FILTER_TRIANGLE : NX_FILTER_BILINEAR;
    return i >= 0;
}

static bool set_order(struct nx_recipe *r, const char *value)
{
    static const char *const words[] = {"rgb", "bgr", "grey", NULL};
    static const enum nx_channels orders[] = {NX_CHANNELS_RGB, NX_CHANNELS_BGR, NX_CHANNELS_GREY};
    int i = find_word(value, words);
    r->channels = orders[i < 0 ? 0 : i];
    return i >= 0;
}

static bool set_scale(struct nx_recipe *r, const char *value)
{
    return parse_number(&value, &r->scale) && *value == '\0' && r->scale != 0;
}

static bool set_mean(struct nx_recipe *r, const char *value)
{
    return parse_triple(value, r->mean);
}

static bool set_std(struct nx_recipe *r, const char *value)
{
    if (!parse_triple(value, r->std))
        return false;
    for (int i = 0; i < 3; i++)
        if (r->std[i] == 0 || !in_range(1 / (double)r->std[i]))
            return false;
    return true;
}

static bool set_softmax(struct nx_recipe *r, const char *value)
{
    r->softmax = strcmp(value, "yes") == 0;
    return r->softmax || strcmp(value, "no") == 0;
}

#define PRESET_NAMES "demo-2019, imagenet, caffe-bgr, raw-255 or grey-255"

static const struct key {
    const char *name, *expected;
    bool (*set)(struct nx_recipe *r, const char *value);
} keys[] = {
    {"preset", PRESET_NAMES, set_preset}, /* its place, 0, is used below */
    {"size", "1 to 4096", set_size},
    {"crop", "1 to 4096", set_crop},
    {"fit", "squash or short-side", set_fit},
    {"filter", "bilinear or triangle", set_filter},
    {"order", "rgb, bgr or grey", set_order},
    {"scale", "a number other than 0, or a quotient such as 1/255", set_scale},
    {"mean", "one number or three", set_mean},
    {"std", "one number or three, none of them 0", set_std},
    {"softmax", "yes or no", set_softmax},
};
enum { KEYS = sizeof keys / sizeof keys[0] };

static enum nx_status refuse_key(const struct draft *d, const char *section, const char *name,
                                 int i)
{
    if (*section)
        return nx_err_set(d->err, NX_INVALID, "section [%s], expected none", section);
    if (i == KEYS)
        return nx_err_set(d->err, NX_INVALID, "unknown key '%s'", name);
    if (d->seen & 1u << i)
        return nx_err_set(d->err, NX_INVALID, "'%s' comes twice", name);
    if (i == 0 && d->seen)
        return nx_err_set(d->err, NX_INVALID, "'preset' must come first");
    return NX_OK;
}

/* libinih goes on after a refusal; only the first one counts. 0 tells it to remember the line. */
static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct draft *d = user;
    if (d->status != NX_OK)
        return 0;
    int i = 0;
    while (i < KEYS && strcmp(keys[i].name, name) != 0)
        i++;
    d->status = refuse_key(d, section, name, i);
    if (d->status == NX_OK && !keys[i].set(&d->recipe, value))
        d->status =
            nx_err_set(d->err, NX_INVALID, "%s = '%s', expected %s", name, value, keys[i].expected);
    if (d->status != NX_OK)
        return 0;
    d->seen |= 1u << i;
    return 1;
}

static enum nx_status parse_ini(const char *text, struct nx_recipe *out, struct nx_err *err)
{
    struct draft d = {.recipe = *nx_recipe_preset(NX_RECIPE_DEFAULT), .err = err};
    int line = ini_parse_string(text, take_pair, &d);
    if (line != 0 && d.status == NX_OK)
        d.status = nx_err_set(err, NX_INVALID, "expected 'key = value'");
    if (d.status != NX_OK) {
        nx_err_prefix(err, "recipe line %d", line);
        return d.status;
    }
    if (d.recipe.crop > d.recipe.size)
        return nx_err_set(err, NX_INVALID, "recipe: crop %u is larger than size %u", d.recipe.crop,
                          d.recipe.size);
    *out = d.recipe;
    return NX_OK;
}

/* A line over libinih's buffer would be cut in two without a word. */
static enum nx_status check_lines(const char *text, struct nx_err *err)
{
    enum { LINE_MAX_BYTES = 190 };
    int line = 1;
    for (size_t n; *text; text += n, line++) {
        n = strcspn(text, "\n");
        if (n > LINE_MAX_BYTES)
            return nx_err_set(err, NX_INVALID, "recipe line %d: %zu bytes long, the limit is %d",
                              line, n, LINE_MAX_BYTES);
        n += text[n] == '\n';
    }
    return NX_OK;
}

static enum nx_status parse_name(const char *text, struct nx_recipe *out, struct nx_err *err)
{
    char name[32] = "";
    size_t n = strcspn(text, "\r\n");
    memcpy(name, text, n < sizeof name ? n : sizeof name - 1);
    const struct nx_recipe *preset = nx_recipe_preset(name);
    if (!preset)
        return nx_err_set(err, NX_INVALID,
                          "unknown recipe '%s', expected " PRESET_NAMES " or key = value lines",
                          name);
    *out = *preset;
    return NX_OK;
}

enum nx_status nx_recipe_parse(const char *text, size_t len, struct nx_recipe *out,
                               struct nx_err *err)
{
    char copy[NX_RECIPE_TEXT_MAX + 1];
    if (len > NX_RECIPE_TEXT_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the recipe has %zu bytes, the limit is %d", len,
                          NX_RECIPE_TEXT_MAX);
    if (len > 0 && memchr(text, 0, len))
        return nx_err_set(err, NX_INVALID, "the recipe is not text: it holds a zero byte");
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    const char *newline = strchr(copy, '\n');
    bool one_line = !newline || newline[1] == '\0';
    if (one_line && !strpbrk(copy, "=:[;#"))
        return parse_name(copy, out, err);
    NX_TRY(check_lines(copy, err));
    return parse_ini(copy, out, err);
}
