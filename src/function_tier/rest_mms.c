#include "function_tier/rest_state.h"

#include "common/arena.h"
#include "function_tier/http/http_multipart.h"
#include "function_tier/v2_request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TOP = 5, PARTS_MAX = 16 };

static const char field_name[] = "data";

/* --- the photo ------------------------------------------------------------------------------------ */

/* A part that says nothing of its type may be a photo, and so may bytes. */
static bool may_be_photo(struct nx_http_span content_type)
{
    struct nx_http_span type = nx_http_media_type(content_type);
    return type.len == 0 || nx_http_span_is(type, "application/octet-stream") ||
           nx_http_span_is(type, "binary/octet-stream") ||
           (type.len > 6 && strncasecmp(type.at, "image/", 6) == 0);
}

/* The part called data; or, as 1.x clients name it as they like, the only part. */
static bool photo_of_form(struct nx_rest_call *call, struct nx_infer_span *photo)
{
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    struct nx_http_multipart m;
    struct nx_http_part part;
    struct nx_err err;
    struct nx_http_span type = {0};
    int parts = 0;
    bool named = false;
    enum nx_status status = nx_http_multipart_init(
        &m, nx_http_head_field(ask->head, "content-type"), ask->body, ask->body_bytes, &err);
    while (status == NX_OK && !named && parts < PARTS_MAX) {
        status = nx_http_multipart_next(&m, &part, &err);
        if (status != NX_OK)
            break;
        parts++;
        named = strcmp(part.name, field_name) == 0;
        *photo = (struct nx_infer_span){part.bytes, part.len};
        type = part.content_type;
    }
    if (status != NX_OK && status != NX_NOT_FOUND)
        nx_rest_refuse(call, 400, NULL, "%s", err.text);
    else if (!named && (parts != 1 || call->nested_reply))
        nx_rest_refuse(call, 400, NULL, "This end point is expecting a data_name of %s.",
                       field_name);
    else if (!may_be_photo(type))
        nx_rest_refuse(call, 400, NULL,
                       "The input is of MIME type %.*s, image/jpeg or image/png was expected.",
                       type.len < 80 ? (int)type.len : 80, type.at);
    else
        return true;
    return false;
}

static bool photo_of_body(struct nx_rest_call *call, struct nx_infer_span *photo)
{
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    struct nx_http_span type = nx_http_media_type(nx_http_head_field(ask->head, "content-type"));
    if (nx_http_span_is(type, "multipart/form-data"))
        return photo_of_form(call, photo);
    if (call->nested_reply) {
        nx_rest_refuse(call, 400, NULL, "This end point is expecting a data_name of %s.",
                       field_name);
        return false;
    }
    if (nx_http_span_is(type, "application/json")) {
        nx_rest_refuse(call, 415, NULL,
                       "application/json is no photo; image/* or multipart/form-data is expected");
        return false;
    }
    *photo = (struct nx_infer_span){ask->body, ask->body_bytes};
    return true;
}

/* --- the answer ----------------------------------------------------------------------------------- */

static void write_top(struct nx_text *t, const struct nx_infer_result *result)
{
    struct nx_top_entry e;
    size_t at = 0;
    nx_text_add(t, "[");
    for (int i = 0; nx_rows_next_top(&result->parts[0], &at, &e); i++) {
        nx_text_add(t, i ? ",\n  {\n    \"class\": " : "\n  {\n    \"class\": ");
        nx_text_json(t, e.label, e.label_bytes);
        nx_text_add(t, ",\n    \"probability\": ");
        nx_text_float(t, e.value);
        nx_text_add(t, "\n  }");
    }
    nx_text_add(t, "\n]");
}

/* 0.4 nests: a list per output, then per photo; 1.x answers with the photo's list alone. */
static void predicted(void *user, const struct nx_infer_result *result)
{
    struct nx_rest_call *call = user;
    struct nx_text t;
    if (!nx_rest_inferred(call, result))
        return;
    enum nx_compat compat = call->rest->config.compat;
    bool nested = compat == NX_COMPAT_0_4 || (compat == NX_COMPAT_BOTH && call->nested_reply);
    nx_text_init(&t, 1 << 20);
    if (nested)
        nx_text_add(&t, "{\n\"prediction\": [");
    write_top(&t, result);
    nx_text_add(&t, nested ? "]\n}\n" : "\n");
    nx_rest_reply_text(call, 200, &t);
}

static void predict(struct nx_rest_call *call, const char *model)
{
    struct nx_infer_ask ask = {.want = {.input = NX_INPUT_PHOTO, .top_max = TOP},
                               .bodies_count = 1};
    if (!nx_rest_name_model(call, model) || !photo_of_body(call, &ask.bodies[0]))
        return;
    memcpy(ask.model, call->model, sizeof ask.model);
    ask.version = call->version;
    if (ask.bodies[0].len > NX_PHOTO_BYTES_MAX)
        nx_rest_refuse(call, 413, NULL, "the photo has %zu bytes, the limit is %d",
                       ask.bodies[0].len, NX_PHOTO_BYTES_MAX);
    else
        nx_rest_infer(call, &ask, predicted);
}

void nx_rest_predict_0_4(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    call->nested_reply = true;
    predict(call, call->words[0]);
}

/* A Model Server's models are of version 1.0 unless somebody says otherwise, whatever our installs count: clients that
 * write that mean the one that there is. Other numbers are versions of ours, "7.0" as good as "7". */
static bool read_version(const char *text, uint64_t *version)
{
    char whole[NX_V2_VERSION_BYTES];
    size_t len = strlen(text);
    if (strcmp(text, "1") == 0 || strcmp(text, "1.0") == 0)
        return true;
    if (len > 2 && strcmp(text + len - 2, ".0") == 0)
        len -= 2;
    if (len == 0 || len >= sizeof whole)
        return false;
    memcpy(whole, text, len);
    whole[len] = '\0';
    return nx_v2_read_version("", whole, version, NULL) == NX_OK;
}

void nx_rest_predict_1_x(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    if (call->words[1] && !read_version(call->words[1], &call->version))
        nx_rest_refuse(call, 404, "ModelVersionNotFoundException",
                       "model '%.100s' has no version '%.40s': versions are numbers from 1 on",
                       call->words[0], call->words[1]);
    else
        predict(call, call->words[0]);
}

void nx_rest_invocations(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    char model[NX_MODEL_NAME_BYTES];
    struct nx_err err;
    enum nx_status status =
        nx_http_query(nx_http_ask(call->x), "model_name", model, sizeof model, &err);
    if (status == NX_NOT_FOUND && call->rest->only_model[0])
        predict(call, call->rest->only_model);
    else if (status == NX_NOT_FOUND)
        nx_rest_refuse(call, 400, NULL, "Parameter model_name is required.");
    else if (status != NX_OK)
        nx_rest_fail(call, &err);
    else
        predict(call, model);
}
