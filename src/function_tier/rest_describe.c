#include "function_tier/rest_state.h"

#include <string.h>

/* One path of OpenAPI 3.0.1: its parameter, its body and its answer. */
struct path {
    const char *path, *method, *operation;
    const char *parameter, *in; /* NULL: none */
    bool photo;                 /* a photo is its body */
    const char *answer;
};

static const struct path paths[] = {
    {"/ping", "get", "ping", NULL, NULL, false, "how this node is"},
    {"/predictions/{model_name}", "post", "predictions", "model_name", "path", true,
     "the likeliest categories"},
    {"/{model_name}/predict", "post", "predict", "model_name", "path", true,
     "the likeliest categories, nested as 0.4 did"},
    {"/invocations", "post", "invocations", "model_name", "query", true,
     "the likeliest categories"},
    {"/models", "post", "registerModel", "url", "query", false, "it is registered"},
    {"/models/{model_name}", "get", "describeModel", "model_name", "path", false, "the model"},
    {"/api-description", "get", "apiDescription", NULL, NULL, false, "this"},
};

static void write_path(struct nx_text *t, const struct path *p, const char *path)
{
    nx_text_add(t, "\"");
    nx_text_add(t, path);
    nx_text_printf(t, "\":{\"%s\":{\"operationId\":\"%s\"", p->method, p->operation);
    if (p->parameter && strcmp(path, p->path) == 0)
        nx_text_printf(t,
                       ",\"parameters\":[{\"name\":\"%s\",\"in\":\"%s\",\"required\":true,"
                       "\"schema\":{\"type\":\"string\"}}]",
                       p->parameter, p->in);
    if (p->photo)
        nx_text_add(t, ",\"requestBody\":{\"content\":{\"image/jpeg\":{},\"image/png\":{},"
                       "\"multipart/form-data\":{\"schema\":{\"type\":\"object\",\"properties\":{"
                       "\"data\":{\"type\":\"string\",\"format\":\"binary\"}}}}}}");
    nx_text_printf(t, ",\"responses\":{\"200\":{\"description\":\"%s\"}}}}", p->answer);
}

static void begin(struct nx_text *t)
{
    nx_text_init(t, 64 << 10);
    nx_text_add(t, "{\"openapi\":\"3.0.1\",\"info\":{\"title\":\"nexus\",\"version\":\"" NX_VERSION
                   "\"},\"paths\":{");
}

/* 0.4 told in Swagger 2.0, inside an object. */
static void write_0_4(struct nx_text *t)
{
    nx_text_init(t, 64 << 10);
    nx_text_add(
        t, "{\"description\":{\"swagger\":\"2.0\",\"info\":{\"title\":\"nexus\",\"version\":"
           "\"" NX_VERSION "\"},\"schemes\":[\"http\"],\"paths\":{"
           "\"/ping\":{\"get\":{\"operationId\":\"ping\",\"produces\":[\"application/json\"],"
           "\"responses\":{\"200\":{\"description\":\"OK\",\"schema\":{\"type\":\"object\","
           "\"properties\":{\"health\":{\"type\":\"string\"}}}}}}},"
           "\"/{model_name}/predict\":{\"post\":{\"operationId\":\"predict\",\"consumes\":["
           "\"multipart/form-data\"],\"produces\":[\"application/json\"],\"parameters\":[{"
           "\"in\":\"path\",\"name\":\"model_name\",\"type\":\"string\",\"required\":\"true\"},"
           "{\"in\":\"formData\",\"name\":\"data\",\"type\":\"file\",\"required\":\"true\"}],"
           "\"responses\":{\"200\":{\"description\":\"OK\",\"schema\":{\"type\":\"object\","
           "\"properties\":{\"prediction\":{\"type\":\"object\"}}}}}}}}}}\n");
}

void nx_rest_api_description(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    struct nx_text t;
    if (call->rest->config.compat == NX_COMPAT_0_4) {
        write_0_4(&t);
    } else {
        begin(&t);
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
            if (i)
                nx_text_add(&t, ",");
            write_path(&t, &paths[i], paths[i].path);
        }
        nx_text_add(&t, "}}\n");
    }
    nx_rest_reply_text(call, 200, &t);
}

static void described(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count)
{
    (void)answers, (void)count;
    char path[NX_MODEL_NAME_BYTES + 16] = "/predictions/"; /* a name has nothing to escape */
    struct nx_text t;
    strcat(path, call->model);
    begin(&t);
    write_path(&t, &paths[1], path);
    nx_text_add(&t, "}}\n");
    nx_rest_reply_text(call, 200, &t);
}

void nx_rest_api_of_model(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    if (nx_rest_name_model(call, call->words[0]))
        nx_rest_ask(call, NX_REQUEST_DESCRIBE, described);
}
