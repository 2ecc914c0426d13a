#include "bench/load/load_h2.h"

#include "common/arena.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_BYTES = 16 << 20, FIXED_HEADERS = 6 };

/* One call: a cell of a list that is as long as there are streams. */
struct cell {
    struct load_h2 *h2;
    struct cell *next_free;
    void *call; /* NULL: cancelled */
    uint64_t sent;
    struct load_h2_end end;
};

struct load_h2 {
    nghttp2_session *session;
    const struct load_request *request;
    struct load_h2_upcall upcall;
    nghttp2_nv headers[FIXED_HEADERS + LOAD_HEADERS_MAX];
    size_t headers_count;
    unsigned streams, busy;
    bool refused; /* GOAWAY came */
    struct cell *cells, *free_cells;
};

/* --- nghttp2's callbacks ---------------------------------------------------------------------------- */

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *dst, size_t cap,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)stream, (void)user;
    struct cell *cell = source->ptr;
    const struct load_request *request = cell->h2->request;
    size_t at = (size_t)(cell->sent % request->len), left = request->len - at;
    size_t n = left < cap ? left : cap;
    memcpy(dst, request->bytes + at, n);
    cell->sent += n;
    if (cell->sent == request->len * (request->repeats + 1))
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)flags, (void)user, (void)value_len; /* values are NUL-terminated */
    struct cell *cell = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!cell)
        return 0;
    if (name_len == 7 && memcmp(name, ":status", 7) == 0)
        cell->end.http = atoi((const char *)value);
    else if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        cell->end.grpc = atoi((const char *)value);
    return 0;
}

static void end_call(struct load_h2 *h2, struct cell *cell)
{
    void *call = cell->call;
    struct load_h2_end end = cell->end;
    cell->call = NULL;
    cell->next_free = h2->free_cells;
    h2->free_cells = cell;
    h2->busy--;
    if (call)
        h2->upcall.done(h2->upcall.ctx, call, end);
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
    struct cell *cell = nghttp2_session_get_stream_user_data(session, stream);
    if (!cell)
        return 0;
    cell->end.broken = code != NGHTTP2_NO_ERROR && cell->end.grpc < 0;
    end_call(user, cell);
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct load_h2 *h2 = user;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        h2->refused = true;
    return 0;
}

/* --- opening ---------------------------------------------------------------------------------------- */

static void add_header(struct load_h2 *h2, const char *name, const char *value)
{
    h2->headers[h2->headers_count++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                     strlen(value), NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static void add_headers(struct load_h2 *h2, bool tls)
{
    add_header(h2, ":method", "POST");
    add_header(h2, ":scheme", tls ? "https" : "http");
    add_header(h2, ":path", h2->request->path);
    add_header(h2, ":authority", h2->request->authority);
    add_header(h2, "te", "trailers");
    add_header(h2, "content-type", "application/grpc");
    for (size_t i = 0; i < h2->request->headers_count; i++)
        add_header(h2, h2->request->headers[i].name, h2->request->headers[i].value);
}

static bool open_session(struct load_h2 *h2)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
    };
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return false;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    int failed = nghttp2_session_client_new(&h2->session, callbacks, h2);
    nghttp2_session_callbacks_del(callbacks);
    return !failed &&
           !nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                                    sizeof settings / sizeof settings[0]) &&
           !nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
}

struct load_h2 *load_h2_open(const struct load_request *request, unsigned streams, bool tls,
                             struct load_h2_upcall upcall)
{
    struct load_h2 *h2 = nx_calloc(1, sizeof *h2);
    if (!h2)
        return NULL;
    h2->request = request;
    h2->upcall = upcall;
    h2->streams = streams;
    h2->cells = nx_calloc(streams, sizeof *h2->cells);
    if (!h2->cells || !open_session(h2)) {
        load_h2_close(h2);
        return NULL;
    }
    add_headers(h2, tls);
    for (unsigned i = streams; i-- > 0;) {
        h2->cells[i] = (struct cell){.h2 = h2, .next_free = h2->free_cells};
        h2->free_cells = &h2->cells[i];
    }
    return h2;
}

void load_h2_close(struct load_h2 *h2)
{
    for (unsigned i = 0; h2->cells && i < h2->streams; i++) {
        h2->cells[i].end.broken = true;
        if (h2->cells[i].call)
            end_call(h2, &h2->cells[i]);
    }
    nghttp2_session_del(h2->session);
    free(h2->cells);
    free(h2);
}

/* --- calls ------------------------------------------------------------------------------------------ */

unsigned load_h2_room(const struct load_h2 *h2)
{
    uint32_t allowed =
        nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    unsigned most = allowed < h2->streams ? allowed : h2->streams;
    return h2->refused || h2->busy >= most ? 0 : most - h2->busy;
}

bool load_h2_over(const struct load_h2 *h2)
{
    return h2->busy == 0 && (h2->refused || (!nghttp2_session_want_read(h2->session) &&
                                             !nghttp2_session_want_write(h2->session)));
}

int32_t load_h2_start(struct load_h2 *h2, void *call)
{
    struct cell *cell = h2->free_cells;
    *cell = (struct cell){.h2 = h2, .next_free = cell->next_free, .end.grpc = -1};
    nghttp2_data_provider body = {.source.ptr = cell, .read_callback = read_body};
    int32_t stream =
        nghttp2_submit_request(h2->session, NULL, h2->headers, h2->headers_count, &body, cell);
    if (stream < 0)
        return stream;
    h2->free_cells = cell->next_free;
    cell->call = call;
    h2->busy++;
    return stream;
}

void load_h2_cancel(struct load_h2 *h2, int32_t stream)
{
    struct cell *cell = nghttp2_session_get_stream_user_data(h2->session, stream);
    if (!cell)
        return;
    cell->call = NULL;
    nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
}

bool load_h2_recv(struct load_h2 *h2, const uint8_t *bytes, size_t len)
{
    return nghttp2_session_mem_recv(h2->session, bytes, len) == (ssize_t)len;
}

size_t load_h2_pull(struct load_h2 *h2, uint8_t *dst, size_t cap)
{
    size_t used = 0;
    while (cap - used >= LOAD_H2_PULL_BYTES) {
        const uint8_t *frame;
        ssize_t n = nghttp2_session_mem_send(h2->session, &frame);
        if (n <= 0)
            break;
        memcpy(dst + used, frame, (size_t)n);
        used += (size_t)n;
    }
    return used;
}
