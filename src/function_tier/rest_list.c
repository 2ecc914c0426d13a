#include "function_tier/rest_state.h"

#include "function_tier/http/json_read.h"
#include "function_tier/model_list.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 100, LIST_TEXT_MAX = 64 << 20 };

bool nx_rest_gather(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count,
                    struct nx_model_list *list)
{
    struct nx_err err;
    if (nx_model_list_gather(answers, count, list, &err) == NX_OK)
        return true;
    nx_rest_fail(call, &err);
    return false;
}

/* A page of the list: 1 … LIST_MAX models from `next_page_token` on. False: refused. */
static bool read_page(struct nx_rest_call *call, uint32_t *from, uint32_t *limit)
{
    static const char *const names[] = {"next_page_token", "limit"};
    uint32_t values[] = {0, LIST_MAX};
    for (int i = 0; i < 2; i++) {
        char text[16];
        struct nx_err err;
        enum nx_status status =
            nx_http_query(nx_http_ask(call->x), names[i], text, sizeof text, &err);
        if (status == NX_NOT_FOUND)
            continue;
        if (status != NX_OK || text[0] == 0 || strspn(text, "0123456789") != strlen(text) ||
            strlen(text) > 9) {
            nx_rest_refuse(call, 400, NULL, "Parameter %s must be an integer, got '%s'", names[i],
                           status == NX_OK ? text : "what is none");
            return false;
        }
        values[i] = (uint32_t)strtoul(text, NULL, 10);
    }
    *from = values[0];
    *limit = values[1] < 1 ? 1 : values[1] > LIST_MAX ? LIST_MAX : values[1];
    return true;
}

static void write_page(const struct nx_model_list *list, uint32_t from, uint32_t limit,
                       struct nx_text *t)
{
    uint32_t i = from;
    nx_text_add(t, "{\n");
    if (from + limit < list->count)
        nx_text_printf(t, "  \"nextPageToken\": \"%u\",\n", from + limit);
    nx_text_add(t, "  \"models\": [");
    for (; i < list->count && i < from + limit; i++) {
        nx_text_printf(t, "%s\n    {\n      \"modelName\": ", i > from ? "," : "");
        nx_text_json(t, list->models[i].name, strlen(list->models[i].name));
        nx_text_printf(t, ",\n      \"modelUrl\": \"\",\n      \"tag\": %u\n    }",
                       list->models[i].tag);
    }
    nx_text_add(t, i > from ? "\n  ]\n}\n" : "]\n}\n");
}

static void listed(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count)
{
    struct nx_model_list list;
    struct nx_text t;
    uint32_t from, limit;
    if (!read_page(call, &from, &limit) || !nx_rest_gather(call, answers, count, &list))
        return;
    nx_text_init(&t, LIST_TEXT_MAX);
    write_page(&list, from, limit, &t);
    nx_model_list_free(&list);
    nx_rest_reply_text(call, 200, &t);
}

void nx_rest_list(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    nx_rest_ask(call, NX_REQUEST_LIST, listed);
}

static void described(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count)
{
    struct nx_model_list list;
    struct nx_text t;
    if (!nx_rest_gather(call, answers, count, &list))
        return;
    const struct nx_model_facts_wire *m = &list.models[0];
    nx_text_init(&t, 1 << 20);
    nx_text_add(&t, "{\n  \"modelName\": ");
    nx_text_json(&t, call->model, strlen(call->model));
    nx_text_printf(&t,
                   ",\n  \"modelVersion\": \"%llu\",\n  \"modelUrl\": \"\",\n  \"tag\": %u,\n"
                   "  \"engine\": \"%s\",\n  \"runtime\": \"%s\",\n  \"minWorkers\": 1,\n"
                   "  \"maxWorkers\": 1,\n  \"batchSize\": 1,\n  \"maxBatchDelay\": 0,\n"
                   "  \"loadedAtStartup\": false,\n  \"workers\": [\n    {\n      \"id\": \"1\",\n"
                   "      \"status\": \"%s\",\n      \"gpu\": false,\n      \"memoryUsage\": %llu\n"
                   "    }\n  ]\n}\n",
                   (unsigned long long)m->version, m->tag,
                   m->format == NX_FORMAT_ONNX ? "ONNX" : "MXNet", m->backend,
                   m->ready ? "READY" : "LOADING", (unsigned long long)m->memory_bytes);
    nx_model_list_free(&list);
    nx_rest_reply_text(call, 200, &t);
}

void nx_rest_describe(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    if (nx_rest_name_model(call, call->words[0]))
        nx_rest_ask(call, NX_REQUEST_DESCRIBE, described);
}

/* Triton's index; of a body, only that it is JSON. */
static void indexed(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count)
{
    struct nx_model_list list;
    struct nx_text t;
    if (!nx_rest_gather(call, answers, count, &list))
        return;
    nx_text_init(&t, LIST_TEXT_MAX);
    nx_text_add(&t, "[");
    for (uint32_t i = 0; i < list.count; i++) {
        nx_text_add(&t, i ? ",{\"name\":" : "{\"name\":");
        nx_text_json(&t, list.models[i].name, strlen(list.models[i].name));
        nx_text_printf(&t, ",\"version\":\"%llu\",\"state\":\"%s\",\"reason\":\"\"}",
                       (unsigned long long)list.models[i].version,
                       list.models[i].ready ? "READY" : "LOADING");
    }
    nx_text_add(&t, "]\n");
    nx_model_list_free(&list);
    nx_rest_reply_text(call, 200, &t);
}

void nx_rest_v2_index(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    struct nx_json j;
    struct nx_err err;
    nx_json_init(&j, ask->body, ask->body_bytes, &err);
    if (ask->body_bytes > 0) {
        nx_json_skip(&j);
        if (nx_json_end(&j) != NX_OK) {
            nx_rest_fail(call, &err);
            return;
        }
    }
    nx_rest_ask(call, NX_REQUEST_LIST, indexed);
}
