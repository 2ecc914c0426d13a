/* Every protobuf message that a stranger may send to the function tier. */
#include "common/utf8.h"
#include "function_tier/pb/pb_demo.h"
#include "function_tier/pb/pb_health.h"
#include "function_tier/pb/pb_v2.h"

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

static void try_v2(const uint8_t *bytes, size_t len)
{
    struct nx_err err = {0};
    struct nx_pb_v2_infer infer;
    struct nx_pb_v2_name name;
    if (nx_pb_v2_infer_decode(bytes, len, &infer, &err) == NX_OK) {
        require(infer.inputs_count <= NX_PB_V2_TENSORS_MAX);
        for (uint32_t i = 0; i < infer.inputs_count; i++)
            require(infer.inputs[i].rank <= NX_PB_V2_RANK_MAX && infer.inputs[i].name);
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
    try_v2(bytes, len);
    return 0;
}
