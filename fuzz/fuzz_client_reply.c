/* Replies of a function tier node as the client reads them: whatever came is refused, or becomes one
 * printable line. */
#include "cli/client_status.h"
#include "cli/client_text.h"
#include "function_tier/pb/pb_demo.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_line(char *text)
{
    nx_client_text_make_printable(text);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            abort();
    if (!nx_client_text_is_utf8(text, strlen(text)))
        abort();
}

static void try_status(const uint8_t *bytes, size_t len)
{
    struct nx_pb_status status;
    struct nx_arena arena;
    struct nx_text text;
    nx_arena_init(&arena, NX_PB_STATUS_ALLOC_BYTES);
    nx_text_init(&text, 64 << 20);
    if (nx_pb_status_decode(bytes, len, &arena, &status, NULL) == NX_OK) {
        nx_client_status_table(&status, &text);
        nx_client_status_traffic(&status.traffic, 1, &text);
        for (const char *p = text.at; p && *p; p++)
            if ((unsigned char)*p < 0x20 && *p != '\n')
                abort();
        nx_pb_status_json(&status, &text);
    }
    nx_text_free(&text);
    nx_arena_free(&arena);
}

static void see_row(void *ctx, const struct nx_pb_replica *replica,
                    const struct nx_pb_model_row *model)
{
    size_t *texts = ctx;
    *texts += strlen(replica->error);
    if (model)
        *texts += strlen(model->name) + strlen(model->state) + strlen(model->format) +
                  strlen(model->recipe) + strlen(model->device);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    try_status(bytes, len);
    size_t texts = 0;
    if (nx_pb_list_decode(bytes, len, see_row, &texts, NULL) == NX_OK && texts > len)
        abort();
    char text[64]; /* short, so that the cut is met too, also within a character */
    int32_t code;
    if (nx_pb_model_reply_decode(bytes, len, &code, text, sizeof text, NULL) == NX_OK)
        check_line(text);
    if (nx_pb_photo_reply_decode(bytes, len, text, sizeof text, NULL) == NX_OK)
        check_line(text);
    return 0;
}
