#include "function_tier/install.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { CHUNK_BYTES = 256 << 10, CHUNKS_PER_PUMP = 16 };

struct nx_install {
    struct nx_route_request *request;
    struct nx_archive *archive;
    nx_install_done *done;
    void *user;
    size_t chunk_bytes, chunk_sent;
    bool at_end, replace;
    char name[NX_MODEL_NAME_BYTES];
    uint8_t chunk[CHUNK_BYTES];
};

enum nx_status nx_install_request_id(struct nx_request_id *id, struct nx_err *err)
{
    if (getrandom(id->bytes, sizeof id->bytes, 0) != (ssize_t)sizeof id->bytes)
        return nx_err_set(err, NX_IO, "no random bytes: %s", strerror(errno));
    return NX_OK;
}

static void drop(struct nx_install *i)
{
    nx_archive_close(i->archive);
    free(i);
}

static void finish(struct nx_install *i, const struct nx_err *err)
{
    i->done(i->user, err);
    drop(i);
}

static void change_done(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct nx_install *i = user;
    struct nx_err err = answers[0].err;
    nx_assert(count == 1);
    if (i->replace && err.status == NX_EXISTS) /* by then: a newer one is about to be installed */
        nx_err_set(&err, NX_AGAIN, "another change of model %s came first; try again", i->name);
    finish(i, &err);
}

static enum nx_status make_head(const struct nx_archive *a, const char *name, const char *recipe,
                                bool replace, struct nx_request_head *head, struct nx_err *err)
{
    size_t recipe_bytes = strlen(recipe);
    if (recipe_bytes > NX_RECIPE_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the recipe has %zu bytes, the limit is %d",
                          recipe_bytes, NX_RECIPE_BYTES_MAX);
    *head = (struct nx_request_head){
        .op = NX_REQUEST_INSTALL,
        .replace = replace,
        .format = nx_archive_is_onnx(a) ? NX_FORMAT_ONNX : NX_FORMAT_MXNET,
        .synset_bytes = nx_archive_bytes(a, NX_ARCHIVE_SYNSET),
        .symbol_bytes = nx_archive_bytes(a, NX_ARCHIVE_SYMBOL),
        .params_bytes = nx_archive_bytes(a, NX_ARCHIVE_PARAMS),
        .calibration_bytes = (uint32_t)nx_archive_bytes(a, NX_ARCHIVE_CALIBRATION),
        .recipe_bytes = (uint32_t)recipe_bytes};
    memcpy(head->recipe, recipe, recipe_bytes);
    nx_head_set_name(head, name);
    return nx_install_request_id(&head->request, err);
}

enum nx_status nx_install_start(struct nx_route *route, struct nx_archive *archive,
                                const char *name, const char *recipe, bool replace,
                                const struct nx_trace_ids *trace, nx_install_done *done, void *user,
                                struct nx_install **install, struct nx_err *err)
{
    struct nx_request_head head;
    NX_TRY(make_head(archive, name, recipe, replace, &head, err));
    head.trace = *trace;
    struct nx_install *i = nx_calloc(1, sizeof *i);
    if (!i)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for an install");
    i->archive = archive;
    i->done = done;
    i->user = user;
    i->replace = replace;
    snprintf(i->name, sizeof i->name, "%s", name);
    enum nx_status status = nx_route_change(route, &head, change_done, i, &i->request, err);
    if (status != NX_OK) {
        free(i);
        return status;
    }
    *install = i;
    return NX_OK;
}

static bool refill(struct nx_install *i)
{
    struct nx_err err;
    if (nx_archive_read(i->archive, i->chunk, sizeof i->chunk, &i->chunk_bytes, &err) != NX_OK) {
        nx_route_cancel(i->request);
        finish(i, &err);
        return false;
    }
    i->chunk_sent = 0;
    i->at_end = i->chunk_bytes == 0;
    return true;
}

bool nx_install_pump(struct nx_install *i)
{
    for (int n = 0; n < CHUNKS_PER_PUMP && !i->at_end; n++) {
        if (i->chunk_sent == i->chunk_bytes && !refill(i))
            return false;
        if (i->at_end)
            break;
        i->chunk_sent +=
            nx_route_write(i->request, i->chunk + i->chunk_sent, i->chunk_bytes - i->chunk_sent);
        if (i->chunk_sent < i->chunk_bytes)
            break;
    }
    return true;
}

void nx_install_cancel(struct nx_install *i)
{
    nx_route_cancel(i->request);
    drop(i);
}
