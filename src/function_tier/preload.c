#include "function_tier/preload.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "function_tier/audit.h"
#include "function_tier/install.h"
#include "function_tier/model_list.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE_BYTES = 1 << 20, SLICES_PER_POLL = 4 };

static const nx_ns PAUSE_NS = 500 * NX_MS;    /* before a model is asked for again */
static const nx_ns PATIENCE_NS = 10 * NX_SEC; /* with an answer */

enum step { ASKING, INSTALLING, COMPARING, DONE };

struct item {
    char url[NX_ARCHIVE_URL_BYTES_MAX], name[NX_MODEL_NAME_BYTES];
};

struct nx_preload {
    struct nx_route *route;
    char store[256];
    struct item *items;
    uint32_t count, at; /* in hand */
    enum step step;     /* what is awaited */
    nx_ns due;          /* ASKING, with nothing under way: when; else when patience ends */
    bool told;          /* why this model waits */
    struct nx_route_request *asked;
    struct nx_install *install;
    /* COMPARING */
    struct nx_archive *archive;
    EVP_MD_CTX *hash;
    uint8_t there[NX_MODEL_DIGEST_BYTES];
};

/* --- the list ------------------------------------------------------------------------------------- */

static enum nx_status add(struct nx_preload *p, const char *name, const char *url,
                          struct nx_err *err)
{
    struct item *item = &p->items[p->count];
    if (p->count == NX_ARCHIVE_LIST_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "load_models: more than %d models",
                          NX_ARCHIVE_LIST_MAX);
    if (!url[0])
        return nx_err_set(err, NX_INVALID, "load_models: \"%.60s=\" names no file",
                          name ? name : "");
    if (strlen(url) >= sizeof item->url)
        return nx_err_set(err, NX_INVALID,
                          "load_models: \"%.60s…\" has %zu bytes, a file's name at most %zu", url,
                          strlen(url), sizeof item->url - 1);
    snprintf(item->url, sizeof item->url, "%s", url);
    if (name)
        snprintf(item->name, sizeof item->name, "%.*s", NX_MODEL_NAME_BYTES - 1, name);
    else
        nx_archive_name(url, item->name, sizeof item->name);
    if (!nx_model_name_ok(name ? name : item->name))
        return nx_err_set(err, NX_INVALID, "load_models: \"%.60s\" cannot be a model's name",
                          name ? name : item->name);
    p->count++;
    return NX_OK;
}

/* A folder's name that cannot be a model's is somebody's business, but no reason not to start. */
static enum nx_status add_all(struct nx_preload *p, struct nx_err *err)
{
    struct nx_archive_list *list = nx_calloc(1, sizeof *list);
    if (!list)
        return nx_err_set(err, NX_NO_MEMORY, "load_models: out of memory");
    enum nx_status status = nx_archive_list(p->store, list, err);
    for (uint32_t i = 0; status == NX_OK && i < list->count; i++)
        if (add(p, NULL, list->urls[i], err) != NX_OK)
            nx_warn("%s", err->text);
    free(list);
    return status;
}

static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t", text[len - 1]))
        text[--len] = 0;
    return text;
}

static enum nx_status add_listed(struct nx_preload *p, char *list, struct nx_err *err)
{
    for (char *word; (word = strsep(&list, ","));) {
        char *name = trim(word), *equals = strchr(name, '=');
        if (!*name)
            continue;
        if (equals)
            *equals = 0;
        NX_TRY(equals ? add(p, trim(name), trim(equals + 1), err) : add(p, NULL, name, err));
    }
    return NX_OK;
}

static enum nx_status read_list(struct nx_preload *p, const char *models, struct nx_err *err)
{
    if (strcmp(models, "ALL") == 0 || strcmp(models, "all") == 0)
        return add_all(p, err);
    char *copy = strdup(models);
    enum nx_status status = copy ? add_listed(p, copy, err)
                                 : nx_err_set(err, NX_NO_MEMORY, "load_models: out of memory");
    free(copy);
    return status;
}

enum nx_status nx_preload_open(struct nx_route *route, const char *store, const char *models,
                               struct nx_preload **preload, struct nx_err *err)
{
    if (models[0] && !store[0])
        return nx_err_set(err, NX_INVALID, "load_models needs model_store");
    struct nx_preload *p = nx_calloc(1, sizeof *p);
    if (p)
        p->items = nx_calloc(models[0] ? NX_ARCHIVE_LIST_MAX : 1, sizeof *p->items);
    if (!p || !p->items) {
        free(p);
        return nx_err_set(err, NX_NO_MEMORY, "load_models: out of memory");
    }
    p->route = route;
    snprintf(p->store, sizeof p->store, "%s", store);
    enum nx_status status = models[0] ? read_list(p, models, err) : NX_OK;
    if (status != NX_OK) {
        nx_preload_close(p);
        return status;
    }
    p->step = p->count ? ASKING : DONE;
    *preload = p;
    return NX_OK;
}

const char *nx_preload_only(const struct nx_preload *p)
{
    return p->count == 1 ? p->items[0].name : "";
}

/* --- moves ---------------------------------------------------------------------------------------- */

static void end_compare(struct nx_preload *p)
{
    if (p->archive)
        nx_archive_close(p->archive);
    EVP_MD_CTX_free(p->hash);
    p->archive = NULL;
    p->hash = NULL;
}

static void go_on(struct nx_preload *p)
{
    end_compare(p);
    p->told = false;
    p->due = 0;
    p->step = ++p->at < p->count ? ASKING : DONE;
}

static const struct item *in_hand(const struct nx_preload *p)
{
    return &p->items[p->at];
}

/* Asks again after a pause; why is said once for each model. */
static void wait_for(struct nx_preload *p, const struct nx_err *why)
{
    if (!p->told && why)
        nx_warn("load_models: %s waits: %s", in_hand(p)->name, why->text);
    p->told |= why != NULL;
    p->step = ASKING;
    p->due = nx_clock_now() + PAUSE_NS;
}

static void give_up(struct nx_preload *p, const char *why)
{
    nx_error("load_models: %s of %s is not registered: %s", in_hand(p)->name, in_hand(p)->url, why);
    go_on(p);
}

/* What may be otherwise in a moment. */
static bool passes(enum nx_status status)
{
    return status == NX_UNAVAILABLE || status == NX_DEADLINE || status == NX_AGAIN ||
           status == NX_PEER_DOWN || status == NX_WEDGED || status == NX_CANCELLED;
}

static void fail(struct nx_preload *p, const struct nx_err *err)
{
    if (passes(err->status))
        wait_for(p, err);
    else
        give_up(p, err->text);
}

static void installed(void *user, const struct nx_err *err)
{
    struct nx_preload *p = user;
    p->install = NULL;
    if (err->status == NX_EXISTS) {
        wait_for(p, NULL); /* somebody else was faster: its bytes are looked at */
    } else if (err->status != NX_OK) {
        fail(p, err);
    } else {
        nx_audit("load_models", "", "-", "model %s registered", in_hand(p)->name);
        go_on(p);
    }
}

static void begin_install(struct nx_preload *p)
{
    struct nx_archive *archive;
    struct nx_err err;
    if (nx_archive_open(p->store, in_hand(p)->url, &archive, &err) != NX_OK) {
        give_up(p, err.text);
        return;
    }
    p->step = INSTALLING;
    const struct nx_trace_ids none = {0}; /* nobody asked for it */
    if (nx_install_start(p->route, archive, in_hand(p)->name, "", false, &none, installed, p,
                         &p->install, &err) == NX_OK)
        return;
    nx_archive_close(archive);
    fail(p, &err);
}

static void begin_compare(struct nx_preload *p, const struct nx_model_facts_wire *model)
{
    struct nx_err err;
    if (!model->ready) {
        wait_for(p, NULL);
        return;
    }
    memcpy(p->there, model->digest, sizeof p->there);
    p->hash = EVP_MD_CTX_new();
    if (nx_archive_open(p->store, in_hand(p)->url, &p->archive, &err) != NX_OK)
        give_up(p, err.text);
    else if (!p->hash || EVP_DigestInit_ex(p->hash, EVP_sha256(), NULL) != 1)
        give_up(p, "no memory for a digest");
    else
        p->step = COMPARING;
}

static void told(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct nx_preload *p = user;
    struct nx_model_list list;
    struct nx_err err = answers[0].err;
    nx_assert(count == 1);
    p->asked = NULL;
    if (err.status == NX_NOT_FOUND) {
        begin_install(p);
    } else if (err.status != NX_OK || nx_model_list_gather(answers, count, &list, &err) != NX_OK) {
        fail(p, &err);
    } else {
        if (list.count > 0)
            begin_compare(p, &list.models[0]);
        else
            wait_for(p, NULL);
        nx_model_list_free(&list);
    }
}

static void ask(struct nx_preload *p, nx_ns now)
{
    struct nx_err err;
    p->due = now + PATIENCE_NS;
    if (nx_model_ask(p->route, NX_REQUEST_DESCRIBE, in_hand(p)->name, p->due, told, p, &p->asked,
                     &err) != NX_OK)
        fail(p, &err);
}

static void compared(struct nx_preload *p)
{
    uint8_t ours[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_DigestFinal_ex(p->hash, ours, &len) != 1 || len != sizeof p->there)
        give_up(p, "its digest cannot be computed");
    else if (memcmp(ours, p->there, sizeof p->there) != 0)
        give_up(p, "a model of that name with other bytes is installed; that one stays");
    else {
        nx_info("load_models: %s is there already", in_hand(p)->name);
        go_on(p);
    }
}

static void compare_some(struct nx_preload *p)
{
    static uint8_t slice[SLICE_BYTES]; /* one thread, and used up at once */
    struct nx_err err;
    for (int i = 0; i < SLICES_PER_POLL; i++) {
        size_t len;
        if (nx_archive_read(p->archive, slice, sizeof slice, &len, &err) != NX_OK) {
            give_up(p, err.text);
            return;
        }
        if (len == 0) {
            compared(p);
            return;
        }
        if (EVP_DigestUpdate(p->hash, slice, len) != 1) {
            give_up(p, "its digest cannot be computed");
            return;
        }
    }
}

/* --- the loop's ----------------------------------------------------------------------------------- */

nx_ns nx_preload_next_timer(const struct nx_preload *p)
{
    if (p->step == COMPARING)
        return 0;
    return p->step == ASKING && (p->asked || nx_route_ready(p->route)) ? p->due : NX_NEVER;
}

bool nx_preload_poll(struct nx_preload *p, nx_ns now)
{
    switch (p->step) {
    case ASKING:
        if (p->asked && now >= p->due)
            nx_route_expire(p->asked);
        else if (!p->asked && now >= p->due && nx_route_ready(p->route))
            ask(p, now);
        return false;
    case INSTALLING: return !nx_install_pump(p->install);
    case COMPARING: compare_some(p); return true;
    case DONE: break;
    }
    return false;
}

void nx_preload_close(struct nx_preload *p)
{
    if (p->asked)
        nx_route_cancel(p->asked);
    if (p->install)
        nx_install_cancel(p->install);
    end_compare(p);
    free(p->items);
    free(p);
}
