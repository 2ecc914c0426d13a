/* rest_page.c — the page at / that shows the group. Its three files are part of the binary (page_assets.S), it fetches
 * nothing from elsewhere, and the policy that goes with it lets a browser do nothing else. */
#include "function_tier/rest_state.h"

extern const char nx_page_html[], nx_page_html_end[], nx_page_css[], nx_page_css_end[],
    nx_page_js[], nx_page_js_end[];

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static void reply_file(struct nx_rest_call *call, const char *type, const char *at, const char *end)
{
    nx_http_header(call->x, "Content-Security-Policy", policy);
    nx_http_header(call->x, "X-Content-Type-Options", "nosniff");
    nx_http_header(call->x, "Referrer-Policy", "no-referrer");
    nx_rest_reply(call, 200, type, at, (size_t)(end - at));
}

void nx_rest_page(struct nx_rest_call *call, nx_ns now)
{
    bool is_root = nx_http_ask(call->x)->segments_count == 0;
    if (is_root && call->rest->config.compat == NX_COMPAT_0_4) {
        nx_rest_ping(call,
                     now); /* what Model Server 0.4 has there; the page is at /nexus as well */
        return;
    }
    reply_file(call, "text/html; charset=utf-8", nx_page_html, nx_page_html_end);
}

void nx_rest_page_css(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    reply_file(call, "text/css; charset=utf-8", nx_page_css, nx_page_css_end);
}

void nx_rest_page_js(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    reply_file(call, "text/javascript; charset=utf-8", nx_page_js, nx_page_js_end);
}
