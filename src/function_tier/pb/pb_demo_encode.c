/* pb_demo_encode.c — the structs of pb_demo.h → bytes. */
#include "function_tier/pb/pb_demo.h"
#include "function_tier/pb/pb_unpack.h"
#include "function_tier/pb/pb_walk.h"
#include "sospdemo.pb-c.h"

#include <string.h>

static bool text_ok(const char *text)
{
    return nx_pb_text_ok(text, strlen(text));
}

/* protobuf-c's structs are not const-correct, and neither are its __INIT macros, hence the __init
 * functions; packing only reads. */
static char *unconst(const char *text)
{
    return (char *)(uintptr_t)text;
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
        labels[i] = unconst(reply->labels[i]);
    }
    if (!text_ok(reply->desc))
        return NX_INVALID;
    Sospdemo__WhatsthisReply message;
    sospdemo__whatsthis_reply__init(&message);
    message.desc = unconst(reply->desc);
    message.n_labels = message.n_probabilities = reply->count;
    message.labels = labels;
    message.probabilities = (float *)(uintptr_t)reply->probabilities;
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
    message.error_desc = unconst(error_desc);
    return nx_pb_pack(&message.base, dst, cap, len);
}
