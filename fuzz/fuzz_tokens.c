/* Who asks, and what the request is called: a file of tokens, the headers Authorization,
 * x-request-id and traceparent, and the log line that tells of them. A NUL ends the file; what
 * is behind it is the header. */
#include "common/log_json.h"
#include "common/nx_assert.h"
#include "common/request_trace.h"
#include "common/utf8.h"
#include "function_tier/auth.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 600 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_header(struct nx_auth *auth, const char *header, size_t len)
{
    struct nx_auth_caller caller;
    for (nx_ns now = 0; now < 3 * NX_MS; now += NX_MS) {
        enum nx_auth_verdict verdict = nx_auth_check(auth, header, len, NX_MAY_INFER, now, &caller);
        nx_assert((verdict == NX_AUTH_LET_IN) == (caller.sentence[0] == 0));
        nx_assert((verdict == NX_AUTH_RATE) == (caller.retry_after_ns > 0));
        nx_assert((verdict == NX_AUTH_UNKNOWN) == (caller.name[0] == 0));
    }
}

static void try_file(const char *text, const char *header, size_t len)
{
    struct nx_auth *auth;
    struct nx_err err = {0};
    if (nx_auth_parse("file", text, &auth, &err) != NX_OK) {
        nx_assert(err.text[0] != 0);
        return;
    }
    try_header(auth, header, len);
    nx_auth_close(auth);
}

/* A name that a log and a header can bear; a trace that joins its own text again. */
static void try_names(const char *given, size_t len)
{
    struct nx_prng prng;
    struct nx_trace_ids trace, below;
    char name[NX_REQUEST_NAME_BYTES], text[NX_TRACEPARENT_BYTES];
    nx_prng_init(&prng, 1);
    nx_request_name(&prng, given, len, name);
    for (const char *p = name; *p; p++)
        nx_assert(*p > ' ' && *p < 0x7f && *p != '"' && *p != '\\');
    nx_assert(name[0] != 0);
    nx_trace_join(&prng, given, len, 0, &trace);
    nx_assert(nx_trace_is_there(&trace));
    nx_trace_text(&trace, text);
    nx_trace_join(&prng, text, strlen(text), 0, &below);
    nx_assert(memcmp(below.trace_id, trace.trace_id, sizeof below.trace_id) == 0);
    nx_assert(memcmp(below.parent_id, trace.span_id, sizeof below.parent_id) == 0);
}

static void try_line(const char *message, const char *fact)
{
    const struct nx_log_field fields[] = {
        {"peer", fact, 0}, {"bytes", NULL, -1}, {"path", fact, 0}};
    const struct nx_log_line line = {NX_SEC, "info", 3, message, fields, 3};
    char json[LINE_BYTES];
    for (size_t cap = NX_LOG_JSON_BYTES_MIN; cap <= sizeof json; cap += 43) {
        size_t n = nx_log_json(&line, json, cap);
        nx_assert(n <= cap && json[0] == '{' && json[n - 1] == '}' && nx_utf8_ok(json, n));
        for (size_t i = 0; i < n; i++)
            nx_assert((unsigned char)json[i] >= ' ');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);
    if (!text)
        return 0;
    memcpy(text, bytes, len);
    text[len] = 0;
    size_t file = strlen(text), from = file < len ? file + 1 : len;
    try_file(text, text + from, len - from);
    try_names((const char *)bytes + from, len - from);
    try_line(text, text + from);
    free(text);
    return 0;
}
