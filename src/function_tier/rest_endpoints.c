/* Which paths there are, with which methods, and who answers them. */
#include "function_tier/rest_state.h"

#include <stdio.h>
#include <string.h>

/* PUT is what curl -T sends, without -X POST, as TorchServe's documentation has it. */
enum { ANY_ASK = NX_HTTP_GET | NX_HTTP_POST | NX_HTTP_PUT };

/* The first row that fits decides; rows with ? stand behind those that spell the same place out. */
static const struct nx_endpoint endpoints[] = {
    {"ping", NX_HTTP_GET, NX_ENDPOINT_OPEN, NX_API_OPERATIONS, nx_rest_ping},
    {"healthz", NX_HTTP_GET, NX_ENDPOINT_OPEN, NX_API_OPERATIONS, nx_rest_v2_live},
    {"livez", NX_HTTP_GET, NX_ENDPOINT_OPEN, NX_API_OPERATIONS, nx_rest_v2_live},
    {"readyz", NX_HTTP_GET, NX_ENDPOINT_OPEN, NX_API_OPERATIONS, nx_rest_v2_ready},
    {"metrics", NX_HTTP_GET, 0, NX_API_OPERATIONS, nx_rest_metrics},
    {"metrics/triton", NX_HTTP_GET, 0, NX_API_OPERATIONS, nx_rest_metrics_triton},
    {"", NX_HTTP_GET, NX_ENDPOINT_OPEN, NX_API_OPERATIONS, nx_rest_page},
    {"", NX_HTTP_OPTIONS, NX_ENDPOINT_TELLS, NX_API_OPERATIONS, nx_rest_api_description},
    {"nexus", NX_HTTP_GET, NX_ENDPOINT_OPEN, NX_API_OPERATIONS, nx_rest_page},
    {"nexus/page.css", NX_HTTP_GET, NX_ENDPOINT_OPEN, NX_API_OPERATIONS, nx_rest_page_css},
    {"nexus/page.js", NX_HTTP_GET, NX_ENDPOINT_OPEN, NX_API_OPERATIONS, nx_rest_page_js},
    {"nexus/status", NX_HTTP_GET, 0, NX_API_OPERATIONS, nx_rest_status},
    {"api-description", NX_HTTP_GET, NX_ENDPOINT_TELLS, NX_API_OPERATIONS, nx_rest_api_description},
    {"v2", NX_HTTP_GET, NX_ENDPOINT_TELLS, NX_API_V2_REST, nx_rest_v2_server},
    {"v2/health/live", NX_HTTP_GET, NX_ENDPOINT_OPEN, NX_API_OPERATIONS, nx_rest_v2_live},
    {"v2/health/ready", NX_HTTP_GET, NX_ENDPOINT_OPEN, NX_API_OPERATIONS, nx_rest_v2_ready},
    {"v2/models/stats", NX_HTTP_GET, 0, NX_API_V2_REST, nx_rest_v2_stats},
    {"v2/models/?", NX_HTTP_GET, NX_ENDPOINT_TELLS, NX_API_V2_REST, nx_rest_v2_model},
    {"v2/models/?/ready", NX_HTTP_GET, NX_ENDPOINT_TELLS, NX_API_V2_REST, nx_rest_v2_model_ready},
    {"v2/models/?/config", NX_HTTP_GET, NX_ENDPOINT_TELLS, NX_API_V2_REST, nx_rest_v2_config},
    {"v2/models/?/stats", NX_HTTP_GET, 0, NX_API_V2_REST, nx_rest_v2_stats},
    {"v2/models/?/infer", NX_HTTP_POST, NX_ENDPOINT_INFERS, NX_API_V2_REST, nx_rest_v2_infer},
    {"v2/models/?/versions/?", NX_HTTP_GET, NX_ENDPOINT_TELLS, NX_API_V2_REST, nx_rest_v2_model},
    {"v2/models/?/versions/?/ready", NX_HTTP_GET, NX_ENDPOINT_TELLS, NX_API_V2_REST,
     nx_rest_v2_model_ready},
    {"v2/models/?/versions/?/config", NX_HTTP_GET, NX_ENDPOINT_TELLS, NX_API_V2_REST,
     nx_rest_v2_config},
    {"v2/models/?/versions/?/stats", NX_HTTP_GET, 0, NX_API_V2_REST, nx_rest_v2_stats},
    {"v2/models/?/versions/?/infer", NX_HTTP_POST, NX_ENDPOINT_INFERS, NX_API_V2_REST,
     nx_rest_v2_infer},
    {"v2/repository/index", NX_HTTP_POST, NX_ENDPOINT_LISTS, NX_API_V2_REST, nx_rest_v2_index},
    {"v2/repository/models/?/load", NX_HTTP_POST, NX_ENDPOINT_MANAGES, NX_API_V2_REST,
     nx_rest_v2_load},
    {"v2/repository/models/?/unload", NX_HTTP_POST, NX_ENDPOINT_MANAGES, NX_API_V2_REST,
     nx_rest_v2_unload},
    {"models", NX_HTTP_POST, NX_ENDPOINT_MANAGES, NX_API_MMS, nx_rest_register},
    {"models", NX_HTTP_GET, NX_ENDPOINT_LISTS, NX_API_MMS, nx_rest_list},
    {"models/?", NX_HTTP_PUT, NX_ENDPOINT_MANAGES, NX_API_MMS, nx_rest_scale},
    {"models/?", NX_HTTP_DELETE, NX_ENDPOINT_MANAGES, NX_API_MMS, nx_rest_unregister},
    {"models/?", NX_HTTP_GET, NX_ENDPOINT_TELLS, NX_API_MMS, nx_rest_describe},
    {"models/?/invoke", NX_HTTP_POST, NX_ENDPOINT_INFERS, NX_API_MMS, nx_rest_predict_1_x},
    {"predictions/?", NX_HTTP_OPTIONS, NX_ENDPOINT_TELLS, NX_API_MMS, nx_rest_api_of_model},
    {"predictions/?", ANY_ASK, NX_ENDPOINT_INFERS, NX_API_MMS, nx_rest_predict_1_x},
    {"predictions/?/?", ANY_ASK, NX_ENDPOINT_INFERS, NX_API_MMS, nx_rest_predict_1_x},
    {"invocations", ANY_ASK, NX_ENDPOINT_INFERS, NX_API_MMS, nx_rest_invocations},
    {"?/predict", NX_HTTP_POST, NX_ENDPOINT_INFERS, NX_API_MMS, nx_rest_predict_0_4},
};

static bool fits(const char *pattern, const struct nx_http_ask *ask, const char *words[2])
{
    uint32_t i = 0, words_count = 0;
    for (const char *at = pattern; *at; i++) {
        size_t len = strcspn(at, "/");
        if (i == ask->segments_count)
            return false;
        const char *segment = ask->segments[i];
        if (len == 1 && at[0] == '?')
            words[words_count++] = segment;
        else if (strlen(segment) != len || memcmp(segment, at, len) != 0)
            return false;
        at += len + (at[len] == '/');
    }
    return i == ask->segments_count;
}

static unsigned asked_method(const struct nx_http_ask *ask)
{
    return ask->head->method == NX_HTTP_HEAD ? NX_HTTP_GET : ask->head->method;
}

const struct nx_endpoint *nx_rest_find(const struct nx_http_ask *ask, const char *words[2],
                                       unsigned *methods)
{
    *methods = 0;
    if (ask->segments_count > NX_HTTP_SEGMENTS_MAX)
        return NULL;
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        words[0] = words[1] = NULL;
        if (!fits(endpoints[i].path, ask, words))
            continue;
        if (endpoints[i].methods & asked_method(ask))
            return &endpoints[i];
        *methods |= endpoints[i].methods;
    }
    return NULL;
}

bool nx_rest_is_tritons_own(const struct nx_http_ask *ask)
{
    static const char *const words[] = {
        "systemsharedmemory", "cudasharedmemory", "logging", "trace",
        "generate",           "generate_stream"};
    uint32_t n = ask->segments_count;
    if (n < 2 || n > NX_HTTP_SEGMENTS_MAX || strcmp(ask->segments[0], "v2") != 0)
        return false;
    uint32_t at = strcmp(ask->segments[1], "models") == 0 && n > 3 ? 3 : 1;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(ask->segments[at], words[i]) == 0)
            return true;
    return false;
}

const char *nx_rest_why_missing(const struct nx_http_ask *ask)
{
    static const struct {
        const char *first, *why;
    } known[] = {
        {"v1", "Protocol v1 is not offered here; v2 is: POST /v2/models/M/infer."},
        {"explanations",
         "Explanations are not offered here; predictions are: POST /predictions/M."},
        {"wfpredict", "Workflows are not offered here; single models are: POST /predictions/M."},
        {"workflows", "Workflows are not offered here; single models are: POST /models?url=FILE."},
    };
    bool listed = ask->segments_count > 1 && ask->segments_count <= NX_HTTP_SEGMENTS_MAX;
    for (size_t i = 0; listed && i < sizeof known / sizeof *known; i++)
        if (strcmp(ask->segments[0], known[i].first) == 0)
            return known[i].why;
    return "Requested resource is not found, please refer to API document.";
}

void nx_rest_allow(struct nx_http_exchange *x, unsigned methods)
{
    char text[64] = "";
    static const struct {
        unsigned method;
        const char *name;
    } names[] = {{NX_HTTP_GET, "GET, HEAD"},
                 {NX_HTTP_POST, "POST"},
                 {NX_HTTP_PUT, "PUT"},
                 {NX_HTTP_DELETE, "DELETE"},
                 {NX_HTTP_OPTIONS, "OPTIONS"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (methods & names[i].method) {
            size_t len = strlen(text);
            snprintf(text + len, sizeof text - len, "%s%s", len ? ", " : "", names[i].name);
        }
    nx_http_header(x, "Allow", text);
}
