/* The small decoders of the gRPC wire: prefix, timeout, content type, base64, percent-encoding and
 * gzip. */
#include "function_tier/grpc/grpc_buffer.h"
#include "function_tier/grpc/grpc_frame.h"
#include "function_tier/grpc/grpc_inflate.h"
#include "function_tier/grpc/grpc_status.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 10000, INFLATED_MAX = 100000 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void walk_frames(const uint8_t *bytes, size_t len)
{
    struct nx_grpc_frame frame;
    while (nx_grpc_frame_parse(bytes, len, MESSAGE_MAX, &frame) == NX_OK) {
        require(frame.total_bytes <= len && frame.message_bytes <= MESSAGE_MAX);
        require(frame.message + frame.message_bytes == bytes + frame.total_bytes);
        bytes += frame.total_bytes;
        len -= frame.total_bytes;
    }
}

static void read_words(const char *text, size_t len)
{
    nx_ns timeout = -1;
    require(!nx_grpc_timeout_parse(text, len, &timeout) || timeout >= 0);
    nx_grpc_content_type_ok(text, len);
    uint8_t decoded[64];
    size_t decoded_len = 0;
    if (nx_grpc_base64_decode(text, len, decoded, sizeof decoded, &decoded_len))
        require(decoded_len <= sizeof decoded && decoded_len <= len);
}

static void encode_message(const uint8_t *bytes, size_t len)
{
    char *text = calloc(1, len + 1), encoded[100];
    if (len)
        memcpy(text, bytes, len);
    size_t n = nx_grpc_percent_encode(text, encoded, sizeof encoded);
    require(n < sizeof encoded && strlen(encoded) == n);
    for (size_t i = 0; i < n; i++)
        require(encoded[i] >= ' ' && encoded[i] <= '~');
    free(text);
}

static void inflate_it(const uint8_t *bytes, size_t len)
{
    struct nx_grpc_budget budget = {.limit = 2 * INFLATED_MAX};
    struct nx_grpc_buffer buffer;
    nx_grpc_buffer_init(&buffer, &budget);
    struct nx_inflater *f = NULL;
    enum nx_status status = nx_inflater_open(NX_INFLATE_GZIP, bytes, len, INFLATED_MAX, &f);
    if (status == NX_OK)
        do
            status = nx_inflater_step(f, bytes, len, NX_INFLATE_PIECE_BYTES, &buffer);
        while (status == NX_AGAIN);
    nx_inflater_close(f);
    require(status != NX_OK || nx_grpc_buffer_len(&buffer) <= INFLATED_MAX);
    nx_grpc_buffer_free(&buffer);
    require(budget.used == 0);
    nx_grpc_budget_fini(&budget);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    walk_frames(bytes, len);
    read_words((const char *)bytes, len);
    encode_message(bytes, len);
    if (len > 0)
        inflate_it(bytes, len);
    return 0;
}
