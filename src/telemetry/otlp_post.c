#include "telemetry/otlp_post.h"

#include "common/arena.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 10000, CONNECT_TIMEOUT_MS = 2000 };

struct nx_otlp_post {
    CURL *curl;
    struct curl_slist *headers;
    char why[CURL_ERROR_SIZE];
    char url[256];
};

static size_t discard(char *bytes, size_t size, size_t count, void *user)
{
    (void)bytes, (void)user;
    return size * count;
}

static int look_at_time(void *until, curl_off_t down, curl_off_t got, curl_off_t up,
                        curl_off_t sent)
{
    (void)down, (void)got, (void)up, (void)sent;
    return nx_clock_now() >= atomic_load((const _Atomic nx_ns *)until);
}

static enum nx_status check_url(const char *url, struct nx_err *err)
{
    CURLU *parsed = curl_url();
    char *host = NULL;
    bool http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    bool ok = parsed && http && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
              curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    curl_free(host);
    curl_url_cleanup(parsed);
    return ok ? NX_OK
              : nx_err_set(err, NX_INVALID,
                           "otlp must be a URL such as http://127.0.0.1:4318/v1/traces, not \"%s\"",
                           url);
}

static bool set_options(struct nx_otlp_post *p)
{
    static const char agent[] = "User-Agent: nexus/" NX_VERSION;
    static const char *const lines[] = {"Content-Type: application/json", "Expect:", agent};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct curl_slist *grown = curl_slist_append(p->headers, lines[i]);
        if (!grown)
            return false;
        p->headers = grown;
    }
    CURL *c = p->curl;
    return curl_easy_setopt(c, CURLOPT_URL, p->url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, p->headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, p->why) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, discard) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, look_at_time) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
}

enum nx_status nx_otlp_post_open(const char *url, struct nx_otlp_post **post, struct nx_err *err)
{
    struct nx_otlp_post *p = nx_calloc(1, sizeof *p);
    if (!p || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(p);
        return nx_err_set(err, NX_NO_MEMORY, "no memory for an exporter of traces");
    }
    enum nx_status status = check_url(url, err);
    strncpy(p->url, url, sizeof p->url - 1);
    p->curl = status == NX_OK ? curl_easy_init() : NULL;
    if (status == NX_OK && (!p->curl || !set_options(p)))
        status = nx_err_set(err, NX_NO_MEMORY, "no memory for an exporter of traces");
    if (status != NX_OK) {
        nx_otlp_post_close(p);
        return status;
    }
    *post = p;
    return NX_OK;
}

void nx_otlp_post_close(struct nx_otlp_post *p)
{
    curl_easy_cleanup(p->curl);
    curl_slist_free_all(p->headers);
    curl_global_cleanup();
    free(p);
}

static enum nx_status judge(const struct nx_otlp_post *p, long status, struct nx_err *err)
{
    if (status >= 200 && status < 300)
        return NX_OK;
    bool passes = status == 429 || status == 502 || status == 503 || status == 504;
    return nx_err_set(err, passes ? NX_AGAIN : NX_INVALID, "%s answered %ld", p->url, status);
}

enum nx_status nx_otlp_post_send(struct nx_otlp_post *p, const char *json, size_t len,
                                 const _Atomic nx_ns *until, struct nx_err *err)
{
    long status = 0;
    p->why[0] = 0;
    curl_easy_setopt(p->curl, CURLOPT_XFERINFODATA, (void *)(uintptr_t)until);
    curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, json);
    curl_easy_setopt(p->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    CURLcode code = curl_easy_perform(p->curl);
    if (code != CURLE_OK)
        return nx_err_set(err, NX_AGAIN, "%s: %s", p->url,
                          p->why[0] ? p->why : curl_easy_strerror(code));
    curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
    return judge(p, status, err);
}
