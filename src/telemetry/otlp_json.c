#include "telemetry/otlp_json.h"

#include <string.h>

enum { STATUS_ERROR = 2 };

static void write_string(struct nx_text *t, const char *string)
{
    nx_text_json(t, string, strlen(string));
}

static void write_text(struct nx_text *t, const char *key, const char *text)
{
    nx_text_printf(t, "{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
    write_string(t, text);
    nx_text_add(t, "}}");
}

static void write_number(struct nx_text *t, const char *key, int64_t number)
{
    nx_text_printf(t, "{\"key\":\"%s\",\"value\":{\"intValue\":\"%lld\"}}", key, (long long)number);
}

static void write_resource(struct nx_text *t, const struct nx_otlp_source *source)
{
    nx_text_add(t, "{\"attributes\":[");
    write_text(t, "service.name", "nexus");
    nx_text_add(t, ",");
    write_text(t, "service.version", NX_VERSION);
    nx_text_printf(t, ",{\"key\":\"service.instance.id\",\"value\":{\"stringValue\":\"%u\"}},",
                   source->node);
    write_text(t, "nexus.tier", source->tier);
    nx_text_add(t, "]}");
}

static void write_ids(struct nx_text *t, const struct nx_trace_ids *ids)
{
    static const uint8_t none[NX_SPAN_ID_BYTES];
    char trace[2 * NX_TRACE_ID_BYTES + 1], span[2 * NX_SPAN_ID_BYTES + 1];
    nx_hex(ids->trace_id, NX_TRACE_ID_BYTES, trace);
    nx_hex(ids->span_id, NX_SPAN_ID_BYTES, span);
    nx_text_printf(t, "\"traceId\":\"%s\",\"spanId\":\"%s\"", trace, span);
    if (memcmp(ids->parent_id, none, sizeof none) == 0)
        return;
    nx_hex(ids->parent_id, NX_SPAN_ID_BYTES, span);
    nx_text_printf(t, ",\"parentSpanId\":\"%s\"", span);
}

static void write_status(struct nx_text *t, const struct nx_span *s)
{
    nx_text_add(t, ",\"status\":{");
    if (s->failed) {
        nx_text_printf(t, "\"code\":%d,\"message\":", STATUS_ERROR);
        write_string(t, s->why);
    }
    nx_text_add(t, "}");
}

static void write_span(struct nx_text *t, const struct nx_span *s)
{
    nx_text_add(t, "{");
    write_ids(t, &s->ids);
    nx_text_add(t, ",\"name\":");
    write_string(t, s->name);
    nx_text_printf(t, ",\"kind\":%d,\"startTimeUnixNano\":\"%lld\",\"endTimeUnixNano\":\"%lld\"",
                   (int)s->kind, (long long)s->begun, (long long)s->ended);
    nx_text_add(t, ",\"attributes\":[");
    for (uint32_t i = 0; i < s->facts_count; i++) {
        nx_text_add(t, i ? "," : "");
        if (s->facts[i].is_text)
            write_text(t, s->facts[i].key, s->facts[i].text);
        else
            write_number(t, s->facts[i].key, s->facts[i].number);
    }
    nx_text_add(t, "]");
    write_status(t, s);
    nx_text_add(t, "}");
}

void nx_otlp_json(const struct nx_otlp_source *source, const struct nx_span *const *spans,
                  size_t count, struct nx_text *t)
{
    nx_text_add(t, "{\"resourceSpans\":[{\"resource\":");
    write_resource(t, source);
    nx_text_add(t, ",\"scopeSpans\":[{\"scope\":{\"name\":\"nexus\",\"version\":\"" NX_VERSION
                   "\"},\"spans\":[");
    for (size_t i = 0; i < count; i++) {
        nx_text_add(t, i ? "," : "");
        write_span(t, spans[i]);
    }
    nx_text_add(t, "]}]}]}");
}
