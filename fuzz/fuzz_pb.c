/* Every protobuf message that a stranger may send to the function tier; an inference on to what the replicas are asked. */
#include "common/utf8.h"
#include "function_tier/pb/pb_control.h"
#include "function_tier/pb/pb_demo.h"
#include "function_tier/pb/pb_health.h"
#include "function_tier/pb/pb_reflection.h"
#include "function_tier/pb/pb_status.h"
#include "function_tier/v2_pb.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_part(const struct nx_pb_part *part, const uint8_t *bytes, size_t len)
{
    if (!part->metadata && part->chunk_bytes > 0)
        require(part->chunk >= bytes && part->chunk + part->chunk_bytes <= bytes + len);
}

/* A refusal says why, and leaves what it was given alone. */
static void check_refusal(enum nx_status status, const struct nx_err *err)
{
    require(status == NX_CORRUPT || status == NX_TOO_LARGE);
    require(err->status == status && err->text[0] != '\0');
}

/* What is asked is readable, all of it. */
static void check_ask(const struct nx_infer_ask *ask)
{
    uint64_t sum = 0;
    require(ask->bodies_count >= 1 && ask->bodies_count <= NX_INFER_PHOTOS_MAX);
    for (uint32_t i = 0; i < ask->bodies_count; i++)
        for (size_t k = 0; k < ask->bodies[i].len; k++)
            sum += ask->bodies[i].bytes[k];
    require(sum < UINT64_MAX);
}

static void try_ask(const struct nx_pb_v2_infer *infer)
{
    struct nx_err err = {0};
    struct nx_infer_ask ask;
    struct nx_v2_request *request = nx_v2_new();
    if (!request)
        return;
    enum nx_status status = nx_v2_pb_read(infer, request, &err);
    if (status == NX_OK)
        status = nx_v2_to_ask(request, &ask, &err);
    if (status == NX_OK)
        check_ask(&ask);
    else
        require(err.text[0] != '\0');
    nx_v2_free(request);
}

static void try_reflection(const uint8_t *bytes, size_t len)
{
    struct nx_err err = {0};
    uint8_t *reply;
    size_t reply_bytes;
    if (nx_pb_reflect(bytes, len, &reply, &reply_bytes, &err) != NX_OK) {
        require(err.text[0] != '\0');
        return;
    }
    require(reply && reply_bytes > 0);
    free(reply);
}

static void try_v2(const uint8_t *bytes, size_t len)
{
    struct nx_err err = {0};
    struct nx_pb_v2_infer infer;
    struct nx_pb_v2_name name;
    if (nx_pb_v2_infer_decode(bytes, len, &infer, &err) == NX_OK) {
        require(infer.inputs_count <= NX_PB_V2_TENSORS_MAX);
        for (uint32_t i = 0; i < infer.inputs_count; i++)
            require(infer.inputs[i].rank <= NX_PB_V2_RANK_MAX && infer.inputs[i].name);
        try_ask(&infer);
        nx_pb_v2_infer_free(&infer);
    } else {
        require(err.text[0] != '\0');
    }
    for (int which = NX_PB_V2_MODEL_READY; which <= NX_PB_V2_UNLOAD; which++)
        if (nx_pb_v2_name_decode((enum nx_pb_v2_named)which, bytes, len, &name, &err) == NX_OK)
            require(nx_utf8_ok(name.name, strlen(name.name)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct nx_pb_model model;
    struct nx_pb_part part;
    struct nx_pb_photo photo;
    struct nx_pb_removal removal;
    struct nx_err err = {0};
    char service[NX_PB_SERVICE_NAME_BYTES];
    enum nx_status status = nx_pb_whatsthis_decode(bytes, len, &part, &photo, &err);
    if (status != NX_OK)
        check_refusal(status, &err);
    else
        check_part(&part, bytes, len);
    if (status == NX_OK && part.metadata)
        require(photo.tag_count <= NX_PB_TAGS_MAX);
    status = nx_pb_install_decode(bytes, len, &part, &model, &err);
    if (status != NX_OK)
        check_refusal(status, &err);
    else
        check_part(&part, bytes, len);
    require(nx_utf8_ok(model.recipe, strlen(model.recipe)));
    status = nx_pb_removal_decode(bytes, len, &removal, &err);
    if (status != NX_OK)
        check_refusal(status, &err);
    status = nx_pb_health_decode(bytes, len, service, &err);
    if (status != NX_OK)
        check_refusal(status, &err);
    else
        require(nx_utf8_ok(service, strlen(service)));
    if (nx_pb_list_request_decode(bytes, len, &err) != NX_OK)
        require(err.text[0] != '\0');
    if (nx_pb_status_request_decode(bytes, len, &err) != NX_OK)
        require(err.text[0] != '\0');
    try_v2(bytes, len);
    try_reflection(bytes, len);
    return 0;
}
