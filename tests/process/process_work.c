#include "process/process_work.h"

#include "process/process_trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64 << 10 };

void work_say(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (n < 0 || n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    line[n++] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        _exit(8);
}

_Noreturn static void wrong(const char *what, uint64_t a, uint64_t b)
{
    work_say("wrong %s %llu %llu", what, (unsigned long long)a, (unsigned long long)b);
    _exit(9);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static uint8_t byte_at(uint64_t key, uint64_t offset)
{
    return (uint8_t)(key * 131 + offset * 7 + (offset >> 8) * 13 + (offset >> 16));
}

static void make_bytes(uint8_t *bytes, uint64_t key, uint64_t offset, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_at(key, offset + i);
}

static void check_bytes(const uint8_t *bytes, uint64_t key, uint64_t offset, size_t len,
                        const char *what)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != byte_at(key, offset + i))
            wrong(what, key, offset + i);
}

static uint64_t query_key(nx_rank asker, uint64_t total)
{
    return total * 31 + asker;
}

static uint64_t reply_key(nx_rank answerer, uint64_t query_total)
{
    return query_total * 17 + answerer + 5;
}

/* Small answers to large queries and the other way round come up too. */
static uint64_t reply_total(uint64_t query_total)
{
    if (query_total % 5 == 3)
        return 16;
    if (query_total % 5 == 4 && query_total < 1000)
        return 300000 + query_total;
    return query_total;
}

/* --- upcalls ---------------------------------------------------------------------------------- */

/* Who comes begins to count at 0, also at a seat that another had. */
static void meet_members(struct work *w, const struct nx_view *view)
{
    for (nx_rankset left = nx_view_ranks(view); left; left &= left - 1) {
        nx_rank rank = (nx_rank)__builtin_ctzll(left);
        if (view->members[rank].since == view->vid)
            w->next_number[rank] = 0;
        else if (w->vid == 0)
            w->unheard |= NX_RANK_BIT(rank);
    }
}

static void on_view(void *ctx, const struct nx_view *view, const struct nx_layout *layout)
{
    struct work *w = ctx;
    w->rank = nx_group_rank(w->group);
    trace_view(w->rank, view, layout);
    meet_members(w, view);
    /* a sockaddr_in: its port, for the driver's garbage */
    const uint8_t *a = view->members[w->rank].address;
    int members = __builtin_popcountll(nx_view_ranks(view));
    if (w->vid)
        work_say("installed %llu members %d at %lld after %llu with %llu order %016llx",
                 (unsigned long long)view->vid, members, (long long)nx_clock_now(),
                 (unsigned long long)w->vid, (unsigned long long)w->view_delivered,
                 (unsigned long long)w->view_hash);
    else
        work_say("view %d members rank %u fabric_port %u vid %llu at %lld", members, w->rank,
                 (unsigned)a[2] << 8 | a[3], (unsigned long long)view->vid,
                 (long long)nx_clock_now());
    w->vid = view->vid;
    w->view_delivered = w->view_hash = 0;
}

static void on_member_down(void *ctx, nx_rank rank, bool clean, const char *why)
{
    struct work *w = ctx;
    trace_down(w->rank, rank, clean);
    work_say("down %u clean %d at %lld status %s why %s", rank, clean, (long long)nx_clock_now(),
             nx_status_name(nx_group_shard_status(w->group, 0, 0)), why);
}

static void on_deliver(void *ctx, const struct nx_delivery *m)
{
    struct work *w = ctx;
    if (m->bulk) {
        if (m->len != 4 || memcmp(m->bytes, "bulk", 4) != 0)
            wrong("bulk head", m->len, 4);
        work_say("bulk from %u got %llu", m->sender, (unsigned long long)w->bulk_got[m->sender]);
        w->bulk_got[m->sender] = 0;
        return;
    }
    trace_deliver(w->rank, m, nx_group_layout(w->group));
    if (w->unheard & NX_RANK_BIT(m->sender) && m->len >= 8) {
        memcpy(&w->next_number[m->sender], m->bytes, 8);
        w->unheard &= ~NX_RANK_BIT(m->sender);
    }
    uint64_t number = w->next_number[m->sender]++;
    if (m->len < 8 || memcmp(m->bytes, &number, 8) != 0)
        wrong("number", number, m->sender);
    check_bytes(m->bytes + 8, number * 3 + m->sender, 8, m->len - 8, "message byte");
    w->delivered++;
    w->order_hash = (w->order_hash ^ (number * 64 + m->sender)) * 1099511628211u;
    w->view_delivered++;
    w->view_hash = (w->view_hash ^ (number * 64 + m->sender)) * 1099511628211u;
}

static void on_bulk_part(void *ctx, uint32_t subgroup, const struct nx_part *part,
                         const uint8_t *head, size_t head_len)
{
    struct work *w = ctx;
    (void)subgroup;
    if (part->offset != w->bulk_got[part->peer])
        wrong("bulk offset", part->offset, w->bulk_got[part->peer]);
    if (part->offset == 0 && (head_len != 4 || memcmp(head, "bulk", 4) != 0))
        wrong("bulk head of a part", head_len, 4);
    check_bytes(part->bytes, part->total + part->peer, part->offset, part->len, "bulk byte");
    w->bulk_got[part->peer] += part->len;
}

static void on_bulk_aborted(void *ctx, nx_stream stream)
{
    (void)ctx, (void)stream;
    work_say("bulk aborted");
}

static void on_query_part(void *ctx, const struct nx_part *part)
{
    struct work *w = ctx;
    check_bytes(part->bytes, query_key(part->peer, part->total), part->offset, part->len,
                "query byte");
    if (w->silent || part->offset + part->len < part->total)
        return;
    if (w->replies_count == WORK_REPLIES_MAX)
        wrong("number of queries at once", w->replies_count, 0);
    w->replies[w->replies_count++] = (struct work_reply){
        .query = part->stream, .query_total = part->total, .total = reply_total(part->total)};
}

static void on_query_gone(void *ctx, nx_stream stream)
{
    struct work *w = ctx;
    for (unsigned i = 0; i < w->replies_count; i++)
        if (w->replies[i].query == stream)
            w->replies[i] = w->replies[--w->replies_count];
}

static void task_ended(struct work *w, struct work_query *q)
{
    struct work_task *t = &w->tasks[q->peer];
    q->open = false;
    if (t->answered + t->failed == t->to_open)
        work_say("queries to %u answered %llu failed %llu at %lld", q->peer,
                 (unsigned long long)t->answered, (unsigned long long)t->failed,
                 (long long)nx_clock_now());
}

static void on_reply_part(void *ctx, void *cookie, const struct nx_part *part)
{
    struct work *w = ctx;
    struct work_query *q = cookie;
    if (!q->open || part->peer != q->peer || part->offset != q->got ||
        part->total != reply_total(q->total))
        wrong("reply", part->offset, part->total);
    check_bytes(part->bytes, reply_key(part->peer, q->total), part->offset, part->len,
                "reply byte");
    q->got += part->len;
    if (q->got < part->total)
        return;
    w->tasks[q->peer].answered++;
    task_ended(w, q);
}

static void on_query_failed(void *ctx, void *cookie, enum nx_status why)
{
    struct work *w = ctx;
    struct work_query *q = cookie;
    if (!q->open || why != NX_PEER_DOWN)
        wrong("query failure", why, q->total);
    w->tasks[q->peer].failed++;
    task_ended(w, q);
}

static void on_down(void *ctx, const struct nx_err *err)
{
    const struct work *w = ctx;
    trace_out(w->rank, err->status);
    work_say("failed %s", err->text);
    _exit(3);
}

void work_upcalls(struct nx_group_upcalls *upcalls)
{
    *upcalls = (struct nx_group_upcalls){
        .view = on_view,
        .member_down = on_member_down,
        .deliver = on_deliver,
        .bulk_part = on_bulk_part,
        .bulk_aborted = on_bulk_aborted,
        .query_part = on_query_part,
        .query_gone = on_query_gone,
        .reply_part = on_reply_part,
        .query_failed = on_query_failed,
        .down = on_down,
    };
}

/* --- pushing ---------------------------------------------------------------------------------- */

static bool push_messages(struct work *w)
{
    bool moved = false;
    static uint8_t bytes[1 << 20];
    while (w->sent < w->to_send) {
        size_t len = 8 + (size_t)(w->sent * 7919 % (w->size_max - 7));
        memcpy(bytes, &w->sent, 8);
        make_bytes(bytes + 8, w->sent * 3 + w->rank, 8, len - 8);
        nx_ns now = nx_clock_now();
        enum nx_status status = nx_group_send(w->group, 0, bytes, len);
        if (status == NX_OK)
            trace_send(w->rank, now, bytes, len);
        if (status == NX_AGAIN)
            return moved;
        if (status != NX_OK) {
            work_say("send refused %s after %llu", nx_status_name(status),
                     (unsigned long long)w->sent);
            w->to_send = w->sent;
            return true;
        }
        w->sent++;
        moved = true;
    }
    return moved;
}

static bool push_bulk(struct work *w)
{
    static uint8_t bytes[CHUNK];
    bool moved = false;
    if (w->bulk_total && !w->bulk) {
        enum nx_status status = nx_bulk_open(w->group, 0, w->bulk_total, "bulk", 4, &w->bulk);
        if (status != NX_OK && status != NX_AGAIN)
            wrong("bulk open", status, 0);
        if (status != NX_OK)
            return false;
    }
    while (w->bulk && w->bulk_sent < w->bulk_total) {
        size_t taken = 0, len = w->bulk_total - w->bulk_sent < CHUNK
                                    ? (size_t)(w->bulk_total - w->bulk_sent)
                                    : CHUNK;
        make_bytes(bytes, w->bulk_total + w->rank, w->bulk_sent, len);
        enum nx_status status = nx_bulk_write(w->group, w->bulk, bytes, len, &taken);
        if (status != NX_OK && status != NX_AGAIN) {
            work_say("bulk refused %s", nx_status_name(status));
            taken = (size_t)(w->bulk_total - w->bulk_sent);
        } else if (status == NX_AGAIN || taken == 0) {
            return moved;
        }
        w->bulk_sent += taken;
        moved = true;
    }
    if (w->bulk && w->bulk_sent == w->bulk_total)
        w->bulk = w->bulk_total = w->bulk_sent = 0;
    return moved;
}

static bool push_query_bytes(struct work *w, struct work_query *q)
{
    static uint8_t bytes[CHUNK];
    bool moved = false;
    while (q->open && q->sent < q->total) {
        size_t taken = 0, len = q->total - q->sent < CHUNK ? (size_t)(q->total - q->sent) : CHUNK;
        make_bytes(bytes, query_key(w->rank, q->total), q->sent, len);
        enum nx_status status = nx_query_write(w->group, q->stream, bytes, len, &taken);
        if (status != NX_OK || taken == 0)
            return moved; /* a dead peer's query fails by upcall */
        q->sent += taken;
        moved = true;
    }
    return moved;
}

static unsigned open_queries(const struct work *w, nx_rank peer)
{
    unsigned count = 0;
    for (unsigned i = 0; i < WORK_QUERIES_MAX; i++)
        count += w->queries[i].open && w->queries[i].peer == peer;
    return count;
}

static struct work_query *idle_query(struct work *w)
{
    for (unsigned i = 0; i < WORK_QUERIES_MAX; i++)
        if (!w->queries[i].open)
            return &w->queries[i];
    return NULL;
}

static bool open_query(struct work *w, nx_rank peer, struct work_task *t)
{
    struct work_query *q = idle_query(w);
    if (!q)
        return false;
    /* sizes differ, so that mixing them up shows */
    uint64_t total = t->size + (t->size ? t->opened % 11 : 0);
    struct work_query fresh = {.total = total, .peer = peer, .open = true};
    enum nx_status status = nx_query_open(w->group, peer, total, q, &fresh.stream);
    if (status == NX_AGAIN)
        return false;
    t->opened++;
    *q = fresh;
    if (status != NX_OK) { /* refused at once: the peer is down */
        t->failed++;
        task_ended(w, q);
    }
    return true;
}

static bool push_queries(struct work *w)
{
    bool moved = false;
    for (nx_rank peer = 0; peer < NX_MEMBERS_MAX; peer++) {
        struct work_task *t = &w->tasks[peer];
        while (t->opened < t->to_open && open_queries(w, peer) < t->outstanding &&
               open_query(w, peer, t))
            moved = true;
    }
    for (unsigned i = 0; i < WORK_QUERIES_MAX; i++)
        moved |= push_query_bytes(w, &w->queries[i]);
    return moved;
}

/* True when it is all handed over, or nobody wants it any more. */
static bool push_reply(struct work *w, struct work_reply *r, bool *moved)
{
    static uint8_t bytes[CHUNK];
    enum nx_status status = r->opened ? NX_OK : nx_reply_open(w->group, r->query, r->total);
    if (status == NX_AGAIN)
        return false;
    *moved = true;
    if (status != NX_OK)
        return true;
    r->opened = true;
    while (r->sent < r->total) {
        size_t taken = 0, len = r->total - r->sent < CHUNK ? (size_t)(r->total - r->sent) : CHUNK;
        make_bytes(bytes, reply_key(w->rank, r->query_total), r->sent, len);
        status = nx_reply_write(w->group, r->query, bytes, len, &taken);
        if (status == NX_AGAIN || (status == NX_OK && taken == 0))
            return false;
        if (status != NX_OK)
            return true;
        r->sent += taken;
    }
    return true;
}

static bool push_replies(struct work *w)
{
    bool moved = false;
    for (unsigned i = 0; i < w->replies_count;) {
        if (push_reply(w, &w->replies[i], &moved))
            w->replies[i] = w->replies[--w->replies_count];
        else
            i++;
    }
    return moved;
}

bool work_push(struct work *w)
{
    if (!nx_group_view(w->group))
        return false;
    bool moved = push_messages(w);
    moved |= push_bulk(w);
    moved |= push_queries(w);
    moved |= push_replies(w);
    return moved;
}

bool work_pending(const struct work *w)
{
    return w->sent < w->to_send || w->bulk_total != 0 || w->replies_count > 0;
}
