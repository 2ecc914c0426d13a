#include "cli/client_wire.h"

#include "cli/client_text.h"
#include "common/arena.h"
#include "common/nx_assert.h"
#include "sospdemo.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* protobuf-c's structs have no const; packing only reads. Its __INIT macros cast const away, which
 * clang's -Wcast-qual sees: the __init functions do the same. */
static ProtobufCBinaryData binary(const uint8_t *bytes, size_t len)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } cast = {.in = bytes};
    return (ProtobufCBinaryData){.len = len, .data = cast.out};
}

static size_t pack(const ProtobufCMessage *message, uint8_t *buffer)
{
    nx_assert(protobuf_c_message_get_packed_size(message) <= NX_CLIENT_WIRE_BYTES_MAX);
    return protobuf_c_message_pack(message, buffer);
}

size_t nx_client_wire_install(const struct nx_client_install *install, uint8_t *buffer)
{
    static char onnx[] = "onnx"; /* protobuf-c's strings are not const */
    Sospdemo__ModelMetadata metadata;
    sospdemo__model_metadata__init(&metadata);
    metadata.tag = install->tag;
    metadata.synset_size = install->synset_bytes;
    metadata.symbol_size = install->model_bytes;
    metadata.params_size = install->params_bytes;
    metadata.request_id = binary(install->request_id, sizeof install->request_id);
    if (install->recipe)
        metadata.recipe = install->recipe;
    if (install->onnx)
        metadata.format = onnx;
    Sospdemo__InstallModelRequest request;
    sospdemo__install_model_request__init(&request);
    request.body_case = SOSPDEMO__INSTALL_MODEL_REQUEST__BODY_METADATA;
    request.metadata = &metadata;
    return pack(&request.base, buffer);
}

size_t nx_client_wire_remove(uint32_t tag, const uint8_t request_id[NX_CLIENT_REQUEST_ID_BYTES],
                             uint8_t *buffer)
{
    Sospdemo__RemoveModelRequest request;
    sospdemo__remove_model_request__init(&request);
    request.tag = tag;
    request.request_id = binary(request_id, NX_CLIENT_REQUEST_ID_BYTES);
    return pack(&request.base, buffer);
}

size_t nx_client_wire_photo(uint32_t photo_bytes, const uint32_t *tags, uint32_t tag_count,
                            uint8_t *buffer)
{
    union {
        const uint32_t *in;
        uint32_t *out;
    } cast = {.in = tags};
    Sospdemo__PhotoMetadata metadata;
    sospdemo__photo_metadata__init(&metadata);
    metadata.photo_size = photo_bytes;
    metadata.n_tags = tag_count;
    metadata.tags = cast.out;
    Sospdemo__WhatsthisRequest request;
    sospdemo__whatsthis_request__init(&request);
    request.body_case = SOSPDEMO__WHATSTHIS_REQUEST__BODY_METADATA;
    request.metadata = &metadata;
    return pack(&request.base, buffer);
}

size_t nx_client_wire_install_chunk(const uint8_t *bytes, size_t len, uint8_t *buffer)
{
    Sospdemo__InstallModelRequest request;
    sospdemo__install_model_request__init(&request);
    request.body_case = SOSPDEMO__INSTALL_MODEL_REQUEST__BODY_CHUNK;
    request.chunk = binary(bytes, len);
    return pack(&request.base, buffer);
}

size_t nx_client_wire_photo_chunk(const uint8_t *bytes, size_t len, uint8_t *buffer)
{
    Sospdemo__WhatsthisRequest request;
    sospdemo__whatsthis_request__init(&request);
    request.body_case = SOSPDEMO__WHATSTHIS_REQUEST__BODY_CHUNK;
    request.chunk = binary(bytes, len);
    return pack(&request.base, buffer);
}

static enum nx_status take_text(const char *in, char **text, struct nx_err *err)
{
    *text = nx_calloc(strlen(in) + 1, 1);
    if (!*text)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the reply's text");
    memcpy(*text, in, strlen(in));
    nx_client_text_make_printable(*text);
    return NX_OK;
}

static enum nx_status malformed(size_t len, struct nx_err *err)
{
    return nx_err_set(err, NX_CORRUPT, "the reply of %zu bytes is malformed", len);
}

enum nx_status nx_client_wire_read_answer(const uint8_t *bytes, size_t len, int32_t *code,
                                          char **text, struct nx_err *err)
{
    Sospdemo__ModelReply *reply = sospdemo__model_reply__unpack(NULL, len, bytes);
    if (!reply)
        return malformed(len, err);
    enum nx_status status = take_text(reply->error_desc, text, err);
    if (status == NX_OK)
        *code = reply->error_code;
    sospdemo__model_reply__free_unpacked(reply, NULL);
    return status;
}

enum nx_status nx_client_wire_read_photo(const uint8_t *bytes, size_t len, char **text,
                                         struct nx_err *err)
{
    Sospdemo__WhatsthisReply *reply = sospdemo__whatsthis_reply__unpack(NULL, len, bytes);
    if (!reply)
        return malformed(len, err);
    enum nx_status status = take_text(reply->desc, text, err);
    sospdemo__whatsthis_reply__free_unpacked(reply, NULL);
    return status;
}
