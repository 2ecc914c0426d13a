#include "function_tier/service_demo.h"

#include "common/arena.h"
#include "common/nx_assert.h"
#include "function_tier/audit.h"
#include "function_tier/install.h"
#include "function_tier/pb/pb_demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct nx_service_demo {
    struct nx_route *route;
    struct nx_metrics *metrics;
    struct nx_admission *admission; /* of photos; models are bounded by the windows */
    struct nx_grpc_method methods[NX_SERVICE_DEMO_METHODS];
    struct upload *uploads; /* every call under way */
    bool waits;             /* one of them may wait for room: `held` or `last_waits` */
    /* of the message in hand: 16 KB that need not be found for each chunk */
    struct nx_pb_model decoded;
};

/* One call. */
struct upload {
    struct upload *next, **link;
    struct nx_service_demo *service;
    struct nx_call *call;
    struct nx_route_request *request; /* at the replicas; NULL before and after */
    bool started;                     /* the metadata has come */
    bool held;                        /* a message waits at the wire */
    uint64_t announced, got;
    size_t held_used; /* of the message that waits */
    bool has_last,
        last_waits; /* an install's last byte is kept back; the stream ended, no room yet */
    uint8_t last;
    bool admitted;
    struct nx_arrival arrival; /* if admitted */
    uint8_t *photo;
    uint64_t photo_cap; /* <= announced; reserved at the route */
    uint32_t tags[NX_ROUTE_TAGS_MAX], asked_count;
    struct nx_route_model *models; /* in place of tags, or NULL */
    /* of a change, for the audit */
    enum nx_request op;
    uint32_t tag;
    struct nx_request_id request_id;
    nx_ns begun;
};

/* --- the call's own state ----------------------------------------------------------------------- */

static void on_start(struct nx_call *call, nx_ns now)
{
    struct nx_service_demo *s = nx_call_ctx(call);
    struct upload *u = nx_calloc(1, sizeof *u);
    if (!u) {
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED, "no memory for a call");
        return;
    }
    u->service = s;
    u->call = call;
    u->begun = now;
    u->next = s->uploads;
    u->link = &s->uploads;
    if (u->next)
        u->next->link = &u->next;
    s->uploads = u;
    nx_call_set_user(call, u);
    if (strcmp(nx_call_path(call), s->methods[0].path) == 0)
        nx_call_pace(call); /* a model waits for its replicas, a photo for its sender alone */
}

static void drop_photo(struct upload *u)
{
    if (u->photo)
        nx_route_unreserve(u->service->route, u->photo_cap);
    free(u->photo);
    u->photo = NULL;
}

static void drop_upload(struct upload *u)
{
    *u->link = u->next;
    if (u->next)
        u->next->link = u->link;
    drop_photo(u);
    free(u->models);
    if (u->admitted)
        nx_admission_leave(u->service->admission, &u->arrival);
    free(u);
}

static void on_cancel(struct nx_call *call, enum nx_call_gone why)
{
    (void)why;
    struct upload *u = nx_call_user(call);
    if (!u)
        return;
    if (u->request)
        nx_route_cancel(u->request);
    drop_upload(u);
}

/* Ends a call with a gRPC status. */
static void fail(struct upload *u, const struct nx_err *err)
{
    struct nx_call *call = u->call;
    if (u->request)
        nx_route_cancel(u->request);
    bool inference = !u->op;
    drop_upload(u);
    if (inference)
        nx_call_refuse(call, err);
    else
        nx_call_fail(call, err);
}

static void fail_with(struct upload *u, enum nx_status status, const char *what, uint64_t expected,
                      uint64_t came)
{
    struct nx_err err;
    nx_err_set(&err, status, what, (unsigned long long)expected, (unsigned long long)came);
    fail(u, &err);
}

static void send_reply(struct upload *u, const void *bytes, size_t len)
{
    struct nx_call *call = u->call;
    drop_upload(u);
    enum nx_status status = nx_call_reply(call, bytes, len);
    if (status == NX_OK)
        nx_call_finish(call, NX_GRPC_OK, NULL);
    else
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED,
                       "the reply does not fit the connection's buffer");
}

/* The bytes of a chunk are within what was announced, or the call is over. */
static bool accept_chunk(struct upload *u, size_t len)
{
    if (len <= u->announced - u->got)
        return true;
    fail_with(u, NX_INVALID, "more bytes than announced: %llu were announced, %llu came",
              u->announced, u->got + len);
    return false;
}

static bool expect_metadata(struct upload *u, const struct nx_pb_part *part)
{
    struct nx_err err;
    if (part->metadata != u->started)
        return true;
    nx_err_set(&err, NX_INVALID,
               u->started ? "metadata came twice; it is the first message only"
                          : "the first message has no metadata");
    fail(u, &err);
    return false;
}

/* --- Whatsthis ---------------------------------------------------------------------------------- */

static const char separator[] = " or ";

static void append(char **text, const char *bytes, size_t len)
{
    memcpy(*text, bytes, len);
    *text += len;
    **text = 0;
}

static void describe(const struct nx_answer *answers, uint32_t count, char *text)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct nx_answer *a = &answers[i];
        if (i > 0)
            append(&text, separator, sizeof separator - 1);
        append(&text, a->label, a->label_bytes);
    }
}

struct photo_reply {
    char desc[NX_ROUTE_TAGS_MAX * (NX_LABEL_BYTES_MAX + 64)]; /* room for more words on each tag */
    char labels[NX_ROUTE_TAGS_MAX][NX_LABEL_BYTES_MAX + 1];
    const char *label_list[NX_ROUTE_TAGS_MAX];
    float values[NX_ROUTE_TAGS_MAX];
    uint8_t bytes[NX_ROUTE_TAGS_MAX * (2 * NX_LABEL_BYTES_MAX + 128)];
};

static enum nx_status encode_photo_reply(struct photo_reply *r, const struct nx_answer *answers,
                                         uint32_t count, size_t *len)
{
    describe(answers, count, r->desc);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(r->labels[i], answers[i].label, answers[i].label_bytes);
        r->label_list[i] = r->labels[i];
        r->values[i] = answers[i].value;
    }
    struct nx_pb_photo_reply reply = {
        .desc = r->desc, .labels = r->label_list, .probabilities = r->values, .count = count};
    return nx_pb_photo_reply_encode(&reply, r->bytes, sizeof r->bytes, len);
}

/* The i-th of the models that are asked, as the client knows it. */
static void name_model(const struct upload *u, uint32_t i, char name[NX_MODEL_NAME_BYTES])
{
    if (u->models)
        memcpy(name, u->models[i].name, NX_MODEL_NAME_BYTES);
    else
        snprintf(name, NX_MODEL_NAME_BYTES, "%u", u->tags[i]);
}

/* A photo counts once for each of its tags; a tag that nobody has is none of the models. */
static void count_inferences(const struct upload *u, const struct nx_answer *answers,
                             uint32_t count)
{
    nx_ns took = nx_clock_now() - u->begun;
    for (uint32_t i = 0; i < count; i++) {
        char name[NX_MODEL_NAME_BYTES];
        name_model(u, i, name);
        if (answers[i].err.status != NX_NOT_FOUND)
            nx_metrics_inference(u->service->metrics, name, answers[i].err.status == NX_OK, 1,
                                 took);
    }
}

static void photo_done(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct upload *u = user;
    u->request = NULL;
    count_inferences(u, answers, count);
    for (uint32_t i = 0; i < count; i++)
        if (answers[i].err.status != NX_OK) {
            struct nx_err why = answers[i].err;
            if (u->models)
                nx_err_prefix(&why, "model %s", u->models[i].name);
            fail(u, &why);
            return;
        }
    size_t len;
    struct photo_reply *r = nx_calloc(1, sizeof *r);
    if (r && encode_photo_reply(r, answers, count, &len) == NX_OK)
        send_reply(u, r->bytes, len);
    else
        fail(u, &(struct nx_err){NX_INTERNAL, "the answer could not be encoded"});
    free(r);
}

enum { PHOTO_BYTES_FIRST = 64 << 10 };

/* Room for `len` bytes more: twice what there was, as far as the photo goes. What is only announced takes none. */
static enum nx_status extend_photo(struct upload *u, size_t len, struct nx_err *err)
{
    uint64_t cap = 2 * u->photo_cap, wanted = u->got + len;
    if (wanted <= u->photo_cap)
        return NX_OK;
    cap = cap < PHOTO_BYTES_FIRST ? PHOTO_BYTES_FIRST : cap;
    cap = cap < wanted ? wanted : cap;
    cap = cap < u->announced ? cap : u->announced;
    NX_TRY(nx_route_reserve(u->service->route, cap - u->photo_cap, err));
    uint8_t *photo = nx_realloc(u->photo, cap);
    if (!photo) {
        nx_route_unreserve(u->service->route, cap - u->photo_cap);
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a photo of %llu bytes",
                          (unsigned long long)cap);
    }
    u->photo = photo;
    u->photo_cap = cap;
    return NX_OK;
}

static void lose_place(struct nx_arrival *arrival, const struct nx_err *err)
{
    fail((struct upload *)((char *)arrival - offsetof(struct upload, arrival)), err);
}

/* "1,2", for logs, as far as there is room. */
static void name_models(const struct upload *u)
{
    char text[NX_CALL_ABOUT_BYTES] = "";
    for (uint32_t i = 0, len = 0; i < u->asked_count && len < sizeof text; i++) {
        char name[NX_MODEL_NAME_BYTES];
        name_model(u, i, name);
        len += (uint32_t)snprintf(text + len, sizeof text - len, i ? ",%s" : "%s", name);
    }
    nx_call_set_about(u->call, text);
}

static enum nx_status take_models(struct upload *u, const struct nx_pb_photo *photo,
                                  struct nx_err *err)
{
    static_assert((int)NX_PB_MODEL_BYTES == (int)NX_MODEL_NAME_BYTES, "one bound for names");
    static_assert((int)NX_PB_TAGS_MAX == (int)NX_ROUTE_TAGS_MAX, "as many as can be asked");
    u->models = nx_calloc(photo->model_count, sizeof *u->models);
    if (!u->models)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a request");
    u->asked_count = photo->model_count;
    for (uint32_t i = 0; i < photo->model_count; i++) {
        const struct nx_pb_model_name *m = &photo->models[i];
        if (!nx_model_name_ok(m->name))
            return nx_err_set(err, NX_INVALID, "\"%.100s\" can be no model's name", m->name);
        memcpy(u->models[i].name, m->name, sizeof m->name);
        u->models[i].version = m->version;
    }
    return NX_OK;
}

static enum nx_status take_asked(struct upload *u, const struct nx_pb_photo *photo,
                                 struct nx_err *err)
{
    if (photo->tag_count && photo->model_count)
        return nx_err_set(err, NX_INVALID, "the metadata brings tags and models; one of the two");
    if (photo->tag_count == 0 && photo->model_count == 0)
        return nx_err_set(err, NX_INVALID, "the metadata names no tag");
    if (photo->model_count)
        return take_models(u, photo, err);
    u->asked_count = photo->tag_count;
    memcpy(u->tags, photo->tags, sizeof u->tags);
    return NX_OK;
}

static void start_photo(struct upload *u, const struct nx_pb_photo *photo, nx_ns now)
{
    struct nx_err err = {0};
    uint64_t bytes = photo->photo_bytes;
    enum nx_status status = take_asked(u, photo, &err);
    name_models(u);
    if (status == NX_OK && bytes == 0)
        nx_err_set(&err, NX_INVALID, "the photo is empty");
    else if (status == NX_OK && bytes > NX_PHOTO_BYTES_MAX)
        nx_err_set(&err, NX_TOO_LARGE, "the photo has %llu bytes, the limit is %d",
                   (unsigned long long)bytes, NX_PHOTO_BYTES_MAX);
    else if (status == NX_OK)
        u->admitted =
            nx_admission_expect(u->service->admission, &u->arrival, bytes, now, &err) == NX_OK;
    u->arrival.lose = lose_place;
    u->started = true;
    u->announced = bytes;
    if (err.status != NX_OK)
        fail(u, &err);
}

static void keep_chunk(struct upload *u, const uint8_t *chunk, size_t len, nx_ns now)
{
    struct nx_err err;
    if (nx_admission_arrive(u->service->admission, &u->arrival, u->got + len, now, &err) != NX_OK ||
        extend_photo(u, len, &err) != NX_OK) {
        fail(u, &err);
        return;
    }
    memcpy(u->photo + u->got, chunk, len);
    u->got += len;
}

static enum nx_call_take take_photo(struct nx_call *call, const uint8_t *bytes, size_t len,
                                    nx_ns now)
{
    struct upload *u = nx_call_user(call);
    struct nx_pb_part part;
    struct nx_pb_photo photo;
    struct nx_err err;
    if (nx_pb_whatsthis_decode(bytes, len, &part, &photo, &err) != NX_OK) {
        fail(u, &err);
    } else if (expect_metadata(u, &part)) {
        if (part.metadata)
            start_photo(u, &photo, now);
        else if (part.chunk_bytes && accept_chunk(u, part.chunk_bytes))
            keep_chunk(u, part.chunk, part.chunk_bytes, now);
    }
    return NX_CALL_TAKEN;
}

/* The stream has ended: true if it held what it announced. */
static bool is_complete(struct upload *u)
{
    if (!u->started)
        fail(u, &(struct nx_err){NX_INVALID, "the stream ended without metadata"});
    else if (u->got < u->announced)
        fail_with(u, NX_INVALID, "fewer bytes than announced: %llu were announced, %llu came",
                  u->announced, u->got);
    else
        return true;
    return false;
}

static enum nx_status ask_replicas(struct upload *u, const struct nx_request_head *head,
                                   struct nx_err *err)
{
    nx_ns deadline = nx_call_deadline(u->call);
    if (u->models)
        return nx_route_ask_models(u->service->route, head, u->models, u->asked_count, u->photo,
                                   u->announced, deadline, photo_done, u, &u->request, err);
    return nx_route_ask(u->service->route, head, u->tags, u->asked_count, u->photo, u->announced,
                        deadline, photo_done, u, &u->request, err);
}

static void end_photo(struct nx_call *call, nx_ns now)
{
    (void)now;
    struct upload *u = nx_call_user(call);
    struct nx_request_head head = {.op = NX_REQUEST_INFER, .trace = *nx_call_trace(call)};
    const char *level = nx_call_metadata(call, "nexus-priority");
    struct nx_err err;
    if (!is_complete(u))
        return;
    if (nx_priority_read(level, level ? strlen(level) : 0, &head.want.priority, &err) == NX_OK &&
        nx_admission_whole(u->service->admission, &u->arrival, &err) == NX_OK &&
        ask_replicas(u, &head, &err) == NX_OK)
        u->photo = NULL; /* the route's now */
    else
        fail(u, &err);
}

/* --- InstallModel, RemoveModel -------------------------------------------------------------------- */

static void keep_for_audit(struct upload *u, const struct nx_request_head *head)
{
    u->op = head->op;
    u->tag = head->tag;
    u->request_id = head->request;
    char tag[16];
    snprintf(tag, sizeof tag, "%u", head->tag);
    nx_call_set_about(u->call, tag);
}

static void audit(const struct upload *u, const struct nx_err *err)
{
    char id[2 * NX_REQUEST_ID_BYTES + 1];
    for (int i = 0; i < NX_REQUEST_ID_BYTES; i++)
        snprintf(id + 2 * (size_t)i, 3, "%02x", u->request_id.bytes[i]);
    nx_audit(nx_call_peer(u->call), nx_call_caller(u->call), nx_call_request_id(u->call),
             "%s tag %u, change %s: %s", u->op == NX_REQUEST_INSTALL ? "install" : "remove", u->tag,
             id, err->text);
}

static void change_done(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct upload *u = user;
    const struct nx_err *err = &answers[0].err;
    audit(u, err);
    uint8_t bytes[NX_ERR_TEXT_BYTES + 64];
    size_t len;
    nx_assert(count == 1);
    u->request = NULL;
    if (err->status == NX_UNAVAILABLE) {
        fail(u, err);
        return;
    }
    if (nx_pb_model_reply_encode((int32_t)err->status, err->text, bytes, sizeof bytes, &len) ==
        NX_OK)
        send_reply(u, bytes, len);
    else
        fail(u, &(struct nx_err){NX_INTERNAL, "the answer could not be encoded"});
}

/* A client that brings no request id cannot send the same request again; one of ours keeps requests apart. */
static enum nx_status choose_request_id(bool given, const uint8_t *id,
                                        struct nx_request_id *request, struct nx_err *err)
{
    if (!given)
        return nx_install_request_id(request, err);
    memcpy(request->bytes, id, NX_REQUEST_ID_BYTES);
    return NX_OK;
}

static enum nx_status choose_format(const char *name, enum nx_model_format *format,
                                    struct nx_err *err)
{
    if (name[0] == 0 || strcmp(name, "mxnet") == 0)
        *format = NX_FORMAT_MXNET;
    else if (strcmp(name, "onnx") == 0)
        *format = NX_FORMAT_ONNX;
    else
        return nx_err_set(err, NX_INVALID, "unknown model format \"%s\"; known are mxnet and onnx",
                          name);
    return NX_OK;
}

static enum nx_status make_install(const struct nx_pb_model *m, struct nx_request_head *head,
                                   struct nx_err *err)
{
    static_assert((int)NX_PB_REQUEST_ID_BYTES == (int)NX_REQUEST_ID_BYTES, "the id passes through");
    size_t recipe_bytes = strlen(m->recipe);
    if (recipe_bytes > NX_RECIPE_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the recipe has %zu bytes, the limit is %d",
                          recipe_bytes, NX_RECIPE_BYTES_MAX);
    *head = (struct nx_request_head){.op = NX_REQUEST_INSTALL,
                                     .tag = m->tag,
                                     .replace = m->replace,
                                     .synset_bytes = m->synset_bytes,
                                     .symbol_bytes = m->symbol_bytes,
                                     .params_bytes = m->params_bytes,
                                     .calibration_bytes = m->calibration_bytes,
                                     .recipe_bytes = (uint32_t)recipe_bytes};
    memcpy(head->recipe, m->recipe, recipe_bytes);
    NX_TRY(choose_format(m->format, &head->format, err));
    return choose_request_id(m->has_request_id, m->request_id, &head->request, err);
}

static void start_install(struct upload *u, const struct nx_pb_model *model)
{
    struct nx_request_head head;
    struct nx_err err;
    u->started = true;
    u->announced = (uint64_t)model->synset_bytes + model->symbol_bytes + model->params_bytes +
                   model->calibration_bytes;
    enum nx_status status = make_install(model, &head, &err);
    head.trace = *nx_call_trace(u->call);
    if (status == NX_OK)
        keep_for_audit(u, &head);
    if (status != NX_OK ||
        nx_route_change(u->service->route, &head, change_done, u, &u->request, &err) != NX_OK)
        fail(u, &err);
}

/* A chunk passes on as far as the window takes it; the rest of it is offered again. The last byte that was
 * announced stays here until the stream ends: with it the replicas have the model whole and install it, and
 * only then is it known that no byte too many comes. */
static enum nx_call_take pass_on(struct upload *u, const struct nx_pb_part *part)
{
    const uint8_t *bytes = part->chunk + u->held_used;
    size_t left = part->chunk_bytes - u->held_used;
    bool is_end = left > 0 && u->got + left == u->announced;
    size_t offered = is_end ? left - 1 : left;
    size_t taken = offered ? nx_route_write(u->request, bytes, offered) : 0;
    if (is_end && taken == offered) {
        u->last = bytes[taken++];
        u->has_last = true;
    }
    u->got += taken;
    u->held = taken < left;
    u->service->waits |= u->held;
    u->held_used = u->held ? u->held_used + taken : 0;
    return u->held ? NX_CALL_HELD : NX_CALL_TAKEN;
}

static void pass_last_on(struct upload *u)
{
    u->last_waits = nx_route_write(u->request, &u->last, 1) == 0;
    u->service->waits |= u->last_waits;
}

static enum nx_call_take take_install(struct nx_call *call, const uint8_t *bytes, size_t len,
                                      nx_ns now)
{
    (void)now;
    struct upload *u = nx_call_user(call);
    struct nx_pb_part part;
    struct nx_err err;
    struct nx_pb_model *model = &u->service->decoded;
    enum nx_call_take take = NX_CALL_TAKEN;
    if (nx_pb_install_decode(bytes, len, &part, model, &err) != NX_OK)
        fail(u, &err);
    else if (expect_metadata(u, &part)) {
        if (part.metadata)
            start_install(u, model);
        else if (accept_chunk(u, part.chunk_bytes - u->held_used))
            take = pass_on(u, &part);
    }
    return take;
}

static void end_install(struct nx_call *call, nx_ns now)
{
    (void)now;
    struct upload *u = nx_call_user(call);
    if (is_complete(u) && u->request && u->has_last)
        pass_last_on(u); /* the answer comes through change_done */
}

static enum nx_call_take take_removal(struct nx_call *call, const uint8_t *bytes, size_t len,
                                      nx_ns now)
{
    (void)now;
    struct upload *u = nx_call_user(call);
    struct nx_pb_removal removal;
    struct nx_request_head head = {.op = NX_REQUEST_REMOVE};
    struct nx_err err;
    enum nx_status status = nx_pb_removal_decode(bytes, len, &removal, &err);
    if (status == NX_OK)
        status = choose_request_id(removal.has_request_id, removal.request_id, &head.request, &err);
    if (status == NX_OK) {
        head.tag = removal.tag;
        head.trace = *nx_call_trace(call);
        keep_for_audit(u, &head);
        status = nx_route_change(u->service->route, &head, change_done, u, &u->request, &err);
    }
    if (status != NX_OK)
        fail(u, &err);
    return NX_CALL_TAKEN;
}

/* --- the service ---------------------------------------------------------------------------------- */

enum nx_status nx_service_demo_open(struct nx_route *route, struct nx_metrics *metrics,
                                    struct nx_admission *admission,
                                    struct nx_service_demo **service, struct nx_err *err)
{
    struct nx_service_demo *s = nx_calloc(1, sizeof *s);
    if (!s)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the service");
    s->route = route;
    s->metrics = metrics;
    s->admission = admission;
    s->methods[0] = (struct nx_grpc_method){.path = "/sospdemo.FunctionTierService/Whatsthis",
                                            .kind = NX_CALL_CLIENT_STREAM,
                                            .on_message = take_photo,
                                            .on_end = end_photo};
    s->methods[1] = (struct nx_grpc_method){.path = "/sospdemo.FunctionTierService/InstallModel",
                                            .kind = NX_CALL_CLIENT_STREAM,
                                            .on_message = take_install,
                                            .on_end = end_install};
    s->methods[2] = (struct nx_grpc_method){.path = "/sospdemo.FunctionTierService/RemoveModel",
                                            .kind = NX_CALL_UNARY,
                                            .on_message = take_removal};
    for (int i = 0; i < NX_SERVICE_DEMO_METHODS; i++) {
        s->methods[i].ctx = s;
        s->methods[i].on_start = on_start;
        s->methods[i].on_cancel = on_cancel;
    }
    *service = s;
    return NX_OK;
}

const struct nx_grpc_method *nx_service_demo_methods(const struct nx_service_demo *service)
{
    return service->methods;
}

void nx_service_demo_resume(struct nx_service_demo *service)
{
    bool waits = service->waits;
    service->waits = false;
    for (struct upload *u = waits ? service->uploads : NULL, *next; u; u = next) {
        next = u->next; /* a message that is offered again may end its call */
        if (u->last_waits)
            pass_last_on(u);
        if (u->held) {
            u->held = false;
            nx_call_resume(u->call);
        }
    }
}

void nx_service_demo_close(struct nx_service_demo *service)
{
    nx_assert(!service->uploads); /* the server has cancelled them */
    free(service);
}
