/* pb_demo_encode.c — the structs of pb_demo.h → bytes. */
#include "common/unconst.h"
#include "common/utf8.h"
#include "function_tier/pb/pb_demo.h"
#include "function_tier/pb/pb_unpack.h"
#include "function_tier/pb/pb_walk.h"
#include "sospdemo.pb-c.h"

#include <string.h>

/* protobuf-c's structs are not const-correct, hence nx_unconst, and neither are its __INIT macros, hence the __init
 * functions; packing only reads. */
static bool text_ok(const char *text)
{
    return nx_utf8_ok(text, strlen(text));
}

static ProtobufCBinaryData request_id(bool has, const uint8_t *id)
{
    return (ProtobufCBinaryData){.len = has ? NX_PB_REQUEST_ID_BYTES : 0, .data = nx_unconst(id)};
}

enum nx_status nx_pb_photo_reply_encode(const struct nx_pb_photo_reply *reply, void *dst,
                                        size_t cap, size_t *len)
{
    if (reply->count > NX_PB_TAGS_MAX)
        return NX_TOO_LARGE;
    char *labels[NX_PB_TAGS_MAX];
    for (size_t i = 0; i < reply->count; i++) {
        if (!text_ok(reply->labels[i]))
            return NX_INVALID;
        labels[i] = nx_unconst(reply->labels[i]);
    }
    if (!text_ok(reply->desc))
        return NX_INVALID;
    Sospdemo__WhatsthisReply message;
    sospdemo__whatsthis_reply__init(&message);
    message.desc = nx_unconst(reply->desc);
    message.n_labels = message.n_probabilities = reply->count;
    message.labels = labels;
    message.probabilities = nx_unconst(reply->probabilities);
    return nx_pb_pack(&message.base, dst, cap, len);
}

enum nx_status nx_pb_model_reply_encode(int32_t error_code, const char *error_desc, void *dst,
                                        size_t cap, size_t *len)
{
    if (!text_ok(error_desc))
        return NX_INVALID;
    Sospdemo__ModelReply message;
    sospdemo__model_reply__init(&message);
    message.error_code = error_code;
    message.error_desc = nx_unconst(error_desc);
    return nx_pb_pack(&message.base, dst, cap, len);
}

/* Points `list` at `models`, which it fills; false: a name is not UTF-8. */
static bool put_models(const struct nx_pb_photo *photo, Sospdemo__ModelName *models,
                       Sospdemo__ModelName **list)
{
    for (uint32_t i = 0; i < photo->model_count; i++) {
        sospdemo__model_name__init(&models[i]);
        if (!text_ok(photo->models[i].name))
            return false;
        models[i].name = nx_unconst(photo->models[i].name);
        models[i].version = photo->models[i].version;
        list[i] = &models[i];
    }
    return true;
}

enum nx_status nx_pb_photo_encode(const struct nx_pb_photo *photo, void *dst, size_t cap,
                                  size_t *len)
{
    Sospdemo__PhotoMetadata metadata;
    Sospdemo__ModelName models[NX_PB_TAGS_MAX], *list[NX_PB_TAGS_MAX];
    if (!put_models(photo, models, list))
        return NX_INVALID;
    sospdemo__photo_metadata__init(&metadata);
    metadata.photo_size = photo->photo_bytes;
    metadata.n_tags = photo->tag_count;
    metadata.tags = (uint32_t *)(uintptr_t)photo->tags;
    metadata.n_models = photo->model_count;
    metadata.models = list;
    Sospdemo__WhatsthisRequest message;
    sospdemo__whatsthis_request__init(&message);
    message.body_case = SOSPDEMO__WHATSTHIS_REQUEST__BODY_METADATA;
    message.metadata = &metadata;
    return nx_pb_pack(&message.base, dst, cap, len);
}

enum nx_status nx_pb_model_encode(const struct nx_pb_model *model, void *dst, size_t cap,
                                  size_t *len)
{
    if (!text_ok(model->recipe) || !text_ok(model->format))
        return NX_INVALID;
    Sospdemo__ModelMetadata metadata;
    sospdemo__model_metadata__init(&metadata);
    metadata.tag = model->tag;
    metadata.synset_size = model->synset_bytes;
    metadata.symbol_size = model->symbol_bytes;
    metadata.params_size = model->params_bytes;
    metadata.calibration_size = model->calibration_bytes;
    metadata.request_id = request_id(model->has_request_id, model->request_id);
    metadata.recipe = nx_unconst(model->recipe);
    metadata.format = nx_unconst(model->format);
    metadata.replace = model->replace;
    Sospdemo__InstallModelRequest message;
    sospdemo__install_model_request__init(&message);
    message.body_case = SOSPDEMO__INSTALL_MODEL_REQUEST__BODY_METADATA;
    message.metadata = &metadata;
    return nx_pb_pack(&message.base, dst, cap, len);
}

enum nx_status nx_pb_removal_encode(const struct nx_pb_removal *removal, void *dst, size_t cap,
                                    size_t *len)
{
    Sospdemo__RemoveModelRequest message;
    sospdemo__remove_model_request__init(&message);
    message.tag = removal->tag;
    message.request_id = request_id(removal->has_request_id, removal->request_id);
    return nx_pb_pack(&message.base, dst, cap, len);
}

size_t nx_pb_chunk_prefix(uint8_t prefix[NX_PB_CHUNK_PREFIX_BYTES], size_t chunk_bytes)
{
    size_t at = 0;
    prefix[at++] = 2 << 3 | NX_PB_BYTES; /* field 2 of both requests */
    for (; chunk_bytes >= 0x80; chunk_bytes >>= 7)
        prefix[at++] = (uint8_t)(chunk_bytes | 0x80);
    prefix[at++] = (uint8_t)chunk_bytes;
    return at;
}
