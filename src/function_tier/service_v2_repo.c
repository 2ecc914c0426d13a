#include "function_tier/service_v2_state.h"

#include "common/arena.h"
#include "function_tier/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refuse(struct nx_v2_call *v, const char *what, const struct nx_err *err)
{
    char change[NX_PB_V2_NAME_BYTES + 16];
    snprintf(change, sizeof change, "%s %s", what, v->model);
    nx_audit_refusal(nx_call_peer(v->call), nx_call_caller(v->call), nx_call_request_id(v->call),
                     change, err->text);
    nx_v2_call_fail(v, err);
}

static void done_well(struct nx_v2_call *v, const char *what)
{
    uint8_t *nothing = nx_malloc(1);
    nx_audit(nx_call_peer(v->call), nx_call_caller(v->call), nx_call_request_id(v->call),
             "model %s %s", v->model, what);
    nx_v2_call_reply(v, nothing ? NX_OK : NX_NO_MEMORY, nothing, 0);
}

/* --- index ------------------------------------------------------------------------------------------ */

static void index_told(struct nx_v2_call *v, const struct nx_model_list *list)
{
    struct nx_pb_v2_model *models = nx_calloc(list->count + 1, sizeof *models);
    uint8_t *bytes = NULL;
    size_t len = 0;
    for (uint32_t i = 0; models && i < list->count; i++)
        models[i] = (struct nx_pb_v2_model){.name = list->models[i].name,
                                            .version = list->models[i].version,
                                            .state = list->models[i].ready ? "READY" : "LOADING"};
    enum nx_status status =
        models ? nx_pb_v2_index_encode(models, list->count, &bytes, &len) : NX_NO_MEMORY;
    free(models);
    nx_v2_call_reply(v, status, bytes, len);
}

enum nx_call_take nx_v2_take_index(struct nx_call *call, const uint8_t *bytes, size_t len,
                                   nx_ns now)
{
    (void)bytes, (void)len, (void)now; /* there is one repository */
    nx_v2_call_ask(nx_call_user(call), NX_REQUEST_LIST, index_told);
    return NX_CALL_TAKEN;
}

/* --- load ------------------------------------------------------------------------------------------- */

static void installed(void *user, const struct nx_err *err)
{
    struct nx_v2_call *v = user;
    v->install = NULL;
    if (err->status == NX_OK)
        done_well(v, "registered");
    else
        refuse(v, "load", err);
}

static enum nx_status load(struct nx_v2_call *v, struct nx_err *err)
{
    struct nx_archive *archive;
    NX_TRY(nx_archive_find(v->service->config.model_store, v->model, &archive, err));
    enum nx_status status =
        nx_install_start(v->service->route, archive, v->model, "", true, nx_call_trace(v->call),
                         installed, v, &v->install, err);
    if (status != NX_OK)
        nx_archive_close(archive);
    v->service->installs |= status == NX_OK;
    return status;
}

enum nx_call_take nx_v2_take_load(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    struct nx_v2_call *v = nx_call_user(call);
    struct nx_err err;
    if (!nx_v2_call_read(v, NX_PB_V2_LOAD, bytes, len))
        return NX_CALL_TAKEN;
    if (load(v, &err) != NX_OK)
        refuse(v, "load", &err);
    return NX_CALL_TAKEN;
}

/* --- unload ----------------------------------------------------------------------------------------- */

static void removed(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct nx_v2_call *v = user;
    (void)count;
    v->asked = NULL;
    if (answers[0].err.status == NX_OK)
        done_well(v, "unregistered");
    else
        refuse(v, "unload", &answers[0].err);
}

enum nx_call_take nx_v2_take_unload(struct nx_call *call, const uint8_t *bytes, size_t len,
                                    nx_ns now)
{
    (void)now;
    struct nx_v2_call *v = nx_call_user(call);
    struct nx_request_head head = {.op = NX_REQUEST_REMOVE, .trace = *nx_call_trace(call)};
    struct nx_err err;
    if (!nx_v2_call_read(v, NX_PB_V2_UNLOAD, bytes, len))
        return NX_CALL_TAKEN;
    nx_head_set_name(&head, v->model);
    if (nx_install_request_id(&head.request, &err) != NX_OK ||
        nx_route_change(v->service->route, &head, removed, v, &v->asked, &err) != NX_OK)
        refuse(v, "unload", &err);
    return NX_CALL_TAKEN;
}
