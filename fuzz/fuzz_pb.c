/* Every protobuf message that a stranger may send to the function tier. */
#include "common/utf8.h"
#include "function_tier/pb/pb_demo.h"
#include "function_tier/pb/pb_health.h"

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
    return 0;
}
