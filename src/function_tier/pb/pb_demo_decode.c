/* pb_demo_decode.c — hostile bytes → the structs of pb_demo.h. */
#include "function_tier/pb/pb_demo.h"
#include "function_tier/pb/pb_unpack.h"
#include "function_tier/pb/pb_walk.h"
#include "sospdemo.pb-c.h"

#include <stdio.h>
#include <string.h>

enum {
    METADATA_BYTES_MAX = 32 << 10,
    REPLY_BYTES_MAX = 1 << 20,
    ALLOC_BYTES_MAX = 256 << 10,
    METADATA_FIELD = 1,
    CHUNK_FIELD = 2,
};

/* The outer message: at most one of metadata and chunk, at most once. *metadata is in place. */
static enum nx_status split(const uint8_t *bytes, size_t len, struct nx_pb_part *part,
                            struct nx_pb_field *metadata, struct nx_err *err)
{
    struct nx_pb_walk walk;
    struct nx_pb_field field;
    struct nx_pb_part found = {0};
    unsigned parts = 0;
    nx_pb_walk_init(&walk, bytes, len);
    while (nx_pb_walk_next(&walk, &field)) {
        if (field.wire != NX_PB_BYTES ||
            (field.number != METADATA_FIELD && field.number != CHUNK_FIELD))
            continue; /* unknown, from a later version */
        parts++;
        found.metadata = field.number == METADATA_FIELD;
        if (found.metadata) {
            *metadata = field;
        } else {
            found.chunk = field.bytes;
            found.chunk_bytes = field.len;
        }
    }
    if (walk.bad)
        return nx_err_set(err, NX_CORRUPT, "a stream message of %zu bytes is malformed", len);
    if (parts > 1)
        return nx_err_set(err, NX_CORRUPT,
                          "a stream message brings %u of metadata and chunk, 1 was expected",
                          parts);
    *part = found;
    return NX_OK;
}

static enum nx_status check_models(const Sospdemo__PhotoMetadata *from, struct nx_err *err)
{
    if (from->n_models > NX_PB_TAGS_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "%zu models in one request, the limit is %d",
                          from->n_models, NX_PB_TAGS_MAX);
    for (size_t i = 0; i < from->n_models; i++)
        if (strlen(from->models[i]->name) >= NX_PB_MODEL_BYTES)
            return nx_err_set(err, NX_TOO_LARGE, "a model's name of %zu bytes, the limit is %d",
                              strlen(from->models[i]->name), NX_PB_MODEL_BYTES - 1);
    return NX_OK;
}

static enum nx_status copy_tags(const Sospdemo__PhotoMetadata *from, struct nx_pb_photo *photo,
                                struct nx_err *err)
{
    if (from->n_tags > NX_PB_TAGS_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "%zu tags in one request, the limit is %d",
                          from->n_tags, NX_PB_TAGS_MAX);
    NX_TRY(check_models(from, err));
    photo->model_count = (uint32_t)from->n_models;
    for (size_t i = 0; i < from->n_models; i++) {
        struct nx_pb_model_name *m = &photo->models[i];
        memcpy(m->name, from->models[i]->name, strlen(from->models[i]->name) + 1);
        m->version = from->models[i]->version;
    }
    photo->photo_bytes = from->photo_size;
    photo->tag_count = (uint32_t)from->n_tags;
    for (size_t i = 0; i < from->n_tags; i++)
        photo->tags[i] = from->tags[i];
    return NX_OK;
}

enum nx_status nx_pb_whatsthis_decode(const uint8_t *bytes, size_t len, struct nx_pb_part *part,
                                      struct nx_pb_photo *photo, struct nx_err *err)
{
    struct nx_pb_part found;
    struct nx_pb_field metadata;
    NX_TRY(split(bytes, len, &found, &metadata, err));
    if (found.metadata) {
        ProtobufCMessage *message;
        NX_TRY(nx_pb_unpack(&sospdemo__photo_metadata__descriptor, "photo metadata", metadata.bytes,
                            metadata.len, METADATA_BYTES_MAX, ALLOC_BYTES_MAX, &message, err));
        enum nx_status status = copy_tags((Sospdemo__PhotoMetadata *)message, photo, err);
        nx_pb_release(message);
        NX_TRY(status);
    }
    *part = found;
    return NX_OK;
}

/* Absent (no bytes), or exactly 16. */
static enum nx_status copy_request_id(const ProtobufCBinaryData *from, bool *has,
                                      uint8_t id[NX_PB_REQUEST_ID_BYTES], struct nx_err *err)
{
    if (from->len != 0 && from->len != NX_PB_REQUEST_ID_BYTES)
        return nx_err_set(err, NX_CORRUPT, "a request id of %zu bytes, %d were expected", from->len,
                          NX_PB_REQUEST_ID_BYTES);
    *has = from->len != 0;
    memset(id, 0, NX_PB_REQUEST_ID_BYTES);
    if (*has)
        memcpy(id, from->data, NX_PB_REQUEST_ID_BYTES);
    return NX_OK;
}

static enum nx_status copy_model(const Sospdemo__ModelMetadata *from, struct nx_pb_model *model,
                                 struct nx_err *err)
{
    size_t recipe = strlen(from->recipe), format = strlen(from->format);
    if (recipe >= NX_PB_RECIPE_BYTES)
        return nx_err_set(err, NX_TOO_LARGE, "a recipe of %zu bytes, the limit is %d", recipe,
                          NX_PB_RECIPE_BYTES - 1);
    if (format >= NX_PB_FORMAT_BYTES)
        return nx_err_set(err, NX_TOO_LARGE, "a format name of %zu bytes, the limit is %d", format,
                          NX_PB_FORMAT_BYTES - 1);
    bool has;
    uint8_t id[NX_PB_REQUEST_ID_BYTES];
    NX_TRY(copy_request_id(&from->request_id, &has, id, err));
    model->tag = from->tag;
    model->synset_bytes = from->synset_size;
    model->symbol_bytes = from->symbol_size;
    model->params_bytes = from->params_size;
    model->calibration_bytes = from->calibration_size;
    model->has_request_id = has;
    memcpy(model->request_id, id, sizeof id);
    memcpy(model->recipe, from->recipe, recipe + 1);
    memcpy(model->format, from->format, format + 1);
    model->replace = from->replace;
    return NX_OK;
}

enum nx_status nx_pb_install_decode(const uint8_t *bytes, size_t len, struct nx_pb_part *part,
                                    struct nx_pb_model *model, struct nx_err *err)
{
    struct nx_pb_part found;
    struct nx_pb_field metadata;
    NX_TRY(split(bytes, len, &found, &metadata, err));
    if (found.metadata) {
        ProtobufCMessage *message;
        NX_TRY(nx_pb_unpack(&sospdemo__model_metadata__descriptor, "model metadata", metadata.bytes,
                            metadata.len, METADATA_BYTES_MAX, ALLOC_BYTES_MAX, &message, err));
        enum nx_status status = copy_model((Sospdemo__ModelMetadata *)message, model, err);
        nx_pb_release(message);
        NX_TRY(status);
    }
    *part = found;
    return NX_OK;
}

enum nx_status nx_pb_removal_decode(const uint8_t *bytes, size_t len, struct nx_pb_removal *removal,
                                    struct nx_err *err)
{
    ProtobufCMessage *message;
    NX_TRY(nx_pb_unpack(&sospdemo__remove_model_request__descriptor, "a removal", bytes, len,
                        METADATA_BYTES_MAX, ALLOC_BYTES_MAX, &message, err));
    const Sospdemo__RemoveModelRequest *from = (Sospdemo__RemoveModelRequest *)message;
    struct nx_pb_removal found = {.tag = from->tag};
    enum nx_status status =
        copy_request_id(&from->request_id, &found.has_request_id, found.request_id, err);
    nx_pb_release(message);
    NX_TRY(status);
    *removal = found;
    return NX_OK;
}

enum nx_status nx_pb_photo_reply_decode(const uint8_t *bytes, size_t len, char *desc, size_t cap,
                                        struct nx_err *err)
{
    ProtobufCMessage *message;
    NX_TRY(nx_pb_unpack(&sospdemo__whatsthis_reply__descriptor, "a reply", bytes, len,
                        REPLY_BYTES_MAX, 2 * REPLY_BYTES_MAX, &message, err));
    snprintf(desc, cap, "%s", ((Sospdemo__WhatsthisReply *)message)->desc);
    nx_pb_release(message);
    return NX_OK;
}

enum nx_status nx_pb_model_reply_decode(const uint8_t *bytes, size_t len, int32_t *error_code,
                                        char *error_desc, size_t cap, struct nx_err *err)
{
    ProtobufCMessage *message;
    NX_TRY(nx_pb_unpack(&sospdemo__model_reply__descriptor, "a reply", bytes, len, REPLY_BYTES_MAX,
                        2 * REPLY_BYTES_MAX, &message, err));
    const Sospdemo__ModelReply *from = (Sospdemo__ModelReply *)message;
    *error_code = from->error_code;
    snprintf(error_desc, cap, "%s", from->error_desc);
    nx_pb_release(message);
    return NX_OK;
}
