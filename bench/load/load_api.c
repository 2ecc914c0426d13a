#include "bench/load/load_api.h"

#include "common/text.h"
#include "function_tier/grpc/grpc_frame.h"
#include "function_tier/pb/pb_demo.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_BYTES_MAX = 256 << 20, CHUNK_BYTES = 64 << 10 };

#define BOUNDARY "nexus-bench-boundary-5f1c"

/* --- pieces ----------------------------------------------------------------------------------------- */

static void add_head(struct nx_text *to, const struct load_ask *ask, const char *method,
                     const char *path)
{
    nx_text_printf(to, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, ask->host);
    for (int i = 0; i < LOAD_HEADERS_MAX && ask->headers[i]; i++)
        nx_text_printf(to, "%s\r\n", ask->headers[i]);
}

static void get(struct nx_text *to, const struct load_ask *ask, const char *path)
{
    add_head(to, ask, "GET", path);
    nx_text_add(to, "\r\n");
}

static void post_photo(struct nx_text *to, const struct load_ask *ask, const char *before,
                       const char *behind, const char *more)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s%s", before, ask->model, behind);
    add_head(to, ask, "POST", path);
    nx_text_printf(to, "%sContent-Length: %zu\r\n\r\n", more, ask->photo_bytes);
    nx_text_bytes(to, ask->photo, ask->photo_bytes);
}

static void grpc_message(struct nx_text *to, const struct nx_text *message)
{
    uint8_t prefix[NX_GRPC_PREFIX_BYTES];
    nx_grpc_frame_prefix(prefix, false, (uint32_t)message->len);
    nx_text_bytes(to, prefix, sizeof prefix);
    nx_text_bytes(to, message->at, message->len);
    to->bad |= message->bad;
}

static void pb_varint(struct nx_text *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        nx_text_bytes(to, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
    nx_text_bytes(to, &(uint8_t){(uint8_t)value}, 1);
}

static void pb_bytes(struct nx_text *to, unsigned field, const void *bytes, size_t len)
{
    pb_varint(to, field << 3 | 2);
    pb_varint(to, len);
    nx_text_bytes(to, bytes, len);
}

static size_t tensor_bytes(const struct load_ask *ask)
{
    size_t bytes = sizeof(float);
    for (uint32_t i = 0; i < ask->rank; i++)
        bytes *= ask->dims[i];
    return bytes;
}

static void add_zeros(struct nx_text *to, size_t len)
{
    static const uint8_t zeros[4096];
    for (; len > 0 && !to->bad; len -= len < sizeof zeros ? len : sizeof zeros)
        nx_text_bytes(to, zeros, len < sizeof zeros ? len : sizeof zeros);
}

/* --- one function per API --------------------------------------------------------------------------- */

static void make_ping(struct nx_text *to, const struct load_ask *ask)
{
    get(to, ask, "/ping");
}

static void make_live(struct nx_text *to, const struct load_ask *ask)
{
    get(to, ask, "/v2/health/live");
}

static void make_metrics(struct nx_text *to, const struct load_ask *ask)
{
    get(to, ask, "/metrics");
}

static void make_status(struct nx_text *to, const struct load_ask *ask)
{
    get(to, ask, "/nexus/status");
}

/* The empty message is what asks for the server as a whole. */
static void make_empty(struct nx_text *to, const struct load_ask *ask)
{
    (void)ask;
    struct nx_text none;
    nx_text_init(&none, 16);
    grpc_message(to, &none);
    nx_text_free(&none);
}

/* The tensor as JSON head and binary tail; a photo goes as it is. */
static void make_v2_rest(struct nx_text *to, const struct load_ask *ask)
{
    struct nx_text head;
    char path[512];
    if (!ask->rank) {
        post_photo(
            to, ask, "/v2/models/", "/infer",
            "Content-Type: application/octet-stream\r\nInference-Header-Content-Length: 0\r\n");
        return;
    }
    nx_text_init(&head, REQUEST_BYTES_MAX);
    nx_text_add(&head, "{\"inputs\":[{\"name\":");
    nx_text_json(&head, ask->input, strlen(ask->input));
    nx_text_add(&head, ",\"datatype\":\"FP32\",\"shape\":[");
    for (uint32_t i = 0; i < ask->rank; i++)
        nx_text_printf(&head, "%s%u", i ? "," : "", ask->dims[i]);
    nx_text_printf(&head,
                   "],\"parameters\":{\"binary_data_size\":%zu}}],"
                   "\"parameters\":{\"binary_data_output\":true}}",
                   tensor_bytes(ask));
    snprintf(path, sizeof path, "/v2/models/%s/infer", ask->model);
    add_head(to, ask, "POST", path);
    nx_text_printf(to, "Inference-Header-Content-Length: %zu\r\nContent-Length: %zu\r\n\r\n",
                   head.len, head.len + tensor_bytes(ask));
    nx_text_bytes(to, head.at, head.len);
    add_zeros(to, tensor_bytes(ask));
    to->bad |= head.bad;
    nx_text_free(&head);
}

static void make_mms(struct nx_text *to, const struct load_ask *ask)
{
    post_photo(to, ask, "/predictions/", "", "Content-Type: image/jpeg\r\n");
}

static void make_mms_form(struct nx_text *to, const struct load_ask *ask)
{
    static const char before[] = "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"data\"; "
                                 "filename=\"photo.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n",
                      behind[] = "\r\n--" BOUNDARY "--\r\n";
    char path[512];
    snprintf(path, sizeof path, "/%s/predict", ask->model);
    add_head(to, ask, "POST", path);
    nx_text_printf(to,
                   "Content-Type: multipart/form-data; boundary=" BOUNDARY
                   "\r\nContent-Length: %zu\r\n\r\n",
                   ask->photo_bytes + sizeof before + sizeof behind - 2);
    nx_text_add(to, before);
    nx_text_bytes(to, ask->photo, ask->photo_bytes);
    nx_text_add(to, behind);
}

/* InferInputTensor: one element, the photo; or the tensor. */
static void add_input(struct nx_text *message, const struct load_ask *ask)
{
    struct nx_text input, dims;
    nx_text_init(&input, REQUEST_BYTES_MAX);
    nx_text_init(&dims, REQUEST_BYTES_MAX);
    for (uint32_t i = 0; i < ask->rank; i++)
        pb_varint(&dims, ask->dims[i]);
    if (!ask->rank)
        pb_varint(&dims, 1);
    pb_bytes(&input, 1, ask->input, strlen(ask->input));
    pb_bytes(&input, 2, ask->rank ? "FP32" : "BYTES", ask->rank ? 4 : 5);
    pb_bytes(&input, 3, dims.at, dims.len); /* packed */
    pb_bytes(message, 5, input.at, input.len);
    message->bad |= input.bad || dims.bad;
    nx_text_free(&input);
    nx_text_free(&dims);
}

/* inference.ModelInferRequest */
static void make_v2_grpc(struct nx_text *to, const struct load_ask *ask)
{
    struct nx_text message, raw;
    uint32_t n = (uint32_t)ask->photo_bytes;
    uint8_t len[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
    nx_text_init(&message, REQUEST_BYTES_MAX);
    nx_text_init(&raw, REQUEST_BYTES_MAX);
    if (ask->rank) {
        add_zeros(&raw, tensor_bytes(ask));
    } else {
        nx_text_bytes(&raw, len, sizeof len);
        nx_text_bytes(&raw, ask->photo, ask->photo_bytes);
    }
    pb_bytes(&message, 1, ask->model, strlen(ask->model));
    add_input(&message, ask);
    pb_bytes(&message, 7, raw.at, raw.len);
    message.bad |= raw.bad;
    grpc_message(to, &message);
    nx_text_free(&message);
    nx_text_free(&raw);
}

static void add_chunk(struct nx_text *to, const uint8_t *bytes, size_t len)
{
    uint8_t prefix[NX_PB_CHUNK_PREFIX_BYTES], frame[NX_GRPC_PREFIX_BYTES];
    size_t used = nx_pb_chunk_prefix(prefix, len);
    nx_grpc_frame_prefix(frame, false, (uint32_t)(used + len));
    nx_text_bytes(to, frame, sizeof frame);
    nx_text_bytes(to, prefix, used);
    nx_text_bytes(to, bytes, len);
}

static void make_demo(struct nx_text *to, const struct load_ask *ask)
{
    uint8_t bytes[64];
    struct nx_pb_photo photo = {.photo_bytes = (uint32_t)ask->photo_bytes,
                                .tags = {(uint32_t)strtoul(ask->model, NULL, 10)},
                                .tag_count = 1};
    struct nx_text message;
    size_t len = 0;
    nx_text_init(&message, sizeof bytes + 1);
    to->bad |= nx_pb_photo_encode(&photo, bytes, sizeof bytes, &len) != NX_OK;
    nx_text_bytes(&message, bytes, len);
    grpc_message(to, &message);
    nx_text_free(&message);
    for (size_t at = 0; at < ask->photo_bytes; at += CHUNK_BYTES) {
        size_t left = ask->photo_bytes - at;
        add_chunk(to, ask->photo + at, left < CHUNK_BYTES ? left : CHUNK_BYTES);
    }
}

static const struct {
    const char *name, *grpc_path; /* NULL: HTTP/1.1 */
    bool asks_model;              /* a model and a photo, or a tensor, are needed */
    bool takes_tensor;
    void (*make)(struct nx_text *to, const struct load_ask *ask);
} apis[] = {
    {"ping", NULL, false, false, make_ping},
    {"live", NULL, false, false, make_live},
    {"live-grpc", "/inference.GRPCInferenceService/ServerLive", false, false, make_empty},
    {"health-grpc", "/grpc.health.v1.Health/Check", false, false, make_empty},
    {"metrics", NULL, false, false, make_metrics},
    {"status", NULL, false, false, make_status},
    {"demo", "/sospdemo.FunctionTierService/Whatsthis", true, false, make_demo},
    {"v2-grpc", "/inference.GRPCInferenceService/ModelInfer", true, true, make_v2_grpc},
    {"v2-rest", NULL, true, true, make_v2_rest},
    {"mms", NULL, true, false, make_mms},
    {"mms-form", NULL, true, false, make_mms_form},
};

const char *load_api_names(void)
{
    return "ping, live, live-grpc, health-grpc, metrics, status, demo, v2-grpc, v2-rest, mms, "
           "mms-form";
}

/* --- the request ------------------------------------------------------------------------------------ */

static bool add_metadata(struct load_request *request, const char *header)
{
    const char *colon = strchr(header, ':');
    struct load_header *h = &request->headers[request->headers_count++];
    h->name = strndup(header, (size_t)(colon - header));
    h->value = strdup(colon + 1 + strspn(colon + 1, " "));
    for (char *c = h->name; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return h->name && h->value;
}

static enum nx_status check_ask(const struct load_ask *ask, size_t api, struct nx_err *err)
{
    for (int i = 0; i < LOAD_HEADERS_MAX && ask->headers[i]; i++) {
        const char *colon = strchr(ask->headers[i], ':');
        if (!colon || colon == ask->headers[i] || strpbrk(ask->headers[i], "\r\n"))
            return nx_err_set(err, NX_INVALID, "header \"%s\": expected \"name: value\"",
                              ask->headers[i]);
    }
    if (ask->rank && !apis[api].takes_tensor)
        return nx_err_set(err, NX_INVALID, "API \"%s\" takes no tensor", ask->api);
    if (!apis[api].asks_model)
        return NX_OK;
    if ((!ask->photo_bytes && !ask->rank) || !ask->model)
        return nx_err_set(err, NX_INVALID, "API \"%s\" needs --model and --photo%s", ask->api,
                          apis[api].takes_tensor ? " or --tensor" : "");
    char *end;
    strtoul(ask->model, &end, 10);
    if (strcmp(ask->api, "demo") == 0 && (*end || end == ask->model))
        return nx_err_set(err, NX_INVALID, "model \"%s\": the demo's API knows tags only, numbers",
                          ask->model);
    return NX_OK;
}

static enum nx_status make(const struct load_ask *ask, size_t api, struct load_request *request,
                           struct nx_err *err)
{
    struct nx_text bytes;
    nx_text_init(&bytes, REQUEST_BYTES_MAX);
    apis[api].make(&bytes, ask);
    *request = (struct load_request){.grpc = apis[api].grpc_path != NULL,
                                     .path = apis[api].grpc_path,
                                     .authority = ask->host,
                                     .bytes = (uint8_t *)bytes.at,
                                     .len = bytes.len};
    bool fine = !bytes.bad;
    for (int i = 0; fine && request->grpc && i < LOAD_HEADERS_MAX && ask->headers[i]; i++)
        fine = add_metadata(request, ask->headers[i]);
    if (fine)
        return NX_OK;
    load_api_free(request);
    return nx_err_set(err, NX_NO_MEMORY, "a request of %zu bytes of photo does not fit",
                      ask->photo_bytes);
}

enum nx_status load_api_make(const struct load_ask *ask, struct load_request *request,
                             struct nx_err *err)
{
    for (size_t i = 0; i < sizeof apis / sizeof apis[0]; i++) {
        if (strcmp(ask->api, apis[i].name) != 0)
            continue;
        NX_TRY(check_ask(ask, i, err));
        return make(ask, i, request, err);
    }
    return nx_err_set(err, NX_INVALID, "API \"%s\" is unknown; there are %s", ask->api,
                      load_api_names());
}

void load_api_free(struct load_request *request)
{
    for (size_t i = 0; i < request->headers_count; i++) {
        free(request->headers[i].name);
        free(request->headers[i].value);
    }
    free(request->bytes);
    *request = (struct load_request){0};
}
