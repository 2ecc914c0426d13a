#include "function_tier/admission.h"

#include "categorizer/categorizer_wire.h"
#include "common/nx_assert.h"

static const char come_again_ms[] = "1000"; /* as Retry-After: 1 */

#define SAFE_NS (5 * NX_SEC) /* no arrival loses its place before */

void nx_admission_init(struct nx_admission *a, uint32_t requests_max, uint64_t bytes_max)
{
    *a = (struct nx_admission){.requests_max = requests_max, .bytes_max = bytes_max};
    TAILQ_INIT(&a->arrivals);
}

static enum nx_status refuse_bytes(const struct nx_admission *a, struct nx_err *err)
{
    return nx_err_set(err, NX_AGAIN, "requests of %llu bytes are under way at this node; try again",
                      (unsigned long long)a->bytes);
}

static enum nx_status check_requests(const struct nx_admission *a, struct nx_err *err)
{
    if (a->requests < a->requests_max)
        return NX_OK;
    return nx_err_set(err, NX_AGAIN, "%u requests are under way at this node; try again",
                      a->requests);
}

static uint64_t if_large(uint64_t body)
{
    return body > NX_LARGE_BODY_BYTES ? body : 0;
}

/* A body has grown or shrunk. */
static void count(struct nx_admission *a, uint64_t was, uint64_t is)
{
    a->bytes += is - was;
    a->large += if_large(is) - if_large(was);
}

/* What a body of that size leaves free for smaller ones. */
static uint64_t left_by(const struct nx_admission *a, uint64_t size)
{
    uint64_t most = a->bytes_max / NX_BODIES_SHARE;
    return size < most / NX_BODIES_LEAVE ? size * NX_BODIES_LEAVE : most;
}

/* No room for a body that is `own` and gets `more`. The only one there is, of the large ones or
 * of all, need leave nothing: a body as large as the bound would never be taken. */
static bool is_full(const struct nx_admission *a, uint64_t own, uint64_t more)
{
    uint64_t room = a->bytes_max - a->bytes, size = own + more;
    uint64_t others = if_large(size) ? a->large - if_large(own) : a->bytes - own;
    if (more > room)
        return true;
    return others > 0 && room - more < left_by(a, size);
}

/* Who arrives for over SAFE_NS, the first begun; a small one does not give way for a large one that has to leave room. */
static struct nx_arrival *who_gives_up(const struct nx_admission *a, bool for_large, nx_ns now)
{
    struct nx_arrival *arrival;
    TAILQ_FOREACH(arrival, &a->arrivals, in_order)
    {
        if (now - arrival->begun < SAFE_NS)
            return NULL;
        if (!for_large || if_large(arrival->bytes))
            return arrival;
    }
    return NULL;
}

/* For `more` bytes of `asker`, or of a body that nobody has begun. */
static enum nx_status make_room(struct nx_admission *a, uint64_t more,
                                const struct nx_arrival *asker, nx_ns now, struct nx_err *err)
{
    uint64_t own = asker ? asker->bytes : 0;
    if (more > a->bytes_max - (a->bytes - a->arriving + own))
        return refuse_bytes(a, err);
    while (is_full(a, own, more)) {
        bool for_large = more <= a->bytes_max - a->bytes && if_large(own + more);
        struct nx_arrival *first = who_gives_up(a, for_large, now);
        struct nx_err lost;
        if (!first || first == asker)
            return refuse_bytes(a, err);
        nx_err_set(&lost, NX_AGAIN,
                   "this node is at its bounds, and the body came more slowly than others; try "
                   "again");
        first->lose(first, &lost);
        nx_assert(who_gives_up(a, for_large, now) != first);
    }
    return NX_OK;
}

enum nx_status nx_admission_take(struct nx_admission *a, uint64_t bytes, nx_ns now,
                                 struct nx_err *err)
{
    NX_TRY(check_requests(a, err));
    NX_TRY(make_room(a, bytes, NULL, now, err));
    a->requests++;
    count(a, 0, bytes);
    return NX_OK;
}

enum nx_status nx_admission_expect(struct nx_admission *a, struct nx_arrival *arrival,
                                   uint64_t announced, nx_ns now, struct nx_err *err)
{
    NX_TRY(check_requests(a, err));
    if (announced > a->bytes_max - (a->bytes - a->arriving))
        return refuse_bytes(a, err);
    arrival->bytes = 0;
    arrival->begun = now;
    arrival->whole = false;
    TAILQ_INSERT_TAIL(&a->arrivals, arrival, in_order);
    return NX_OK;
}

enum nx_status nx_admission_arrive(struct nx_admission *a, struct nx_arrival *arrival,
                                   uint64_t bytes, nx_ns now, struct nx_err *err)
{
    nx_assert(!arrival->whole);
    if (bytes > arrival->bytes)
        NX_TRY(make_room(a, bytes - arrival->bytes, arrival, now, err));
    count(a, arrival->bytes, bytes);
    a->arriving += bytes - arrival->bytes;
    arrival->bytes = bytes;
    return NX_OK;
}

static void end_arriving(struct nx_admission *a, struct nx_arrival *arrival)
{
    TAILQ_REMOVE(&a->arrivals, arrival, in_order);
    nx_assert(a->arriving >= arrival->bytes);
    a->arriving -= arrival->bytes;
}

enum nx_status nx_admission_whole(struct nx_admission *a, struct nx_arrival *arrival,
                                  struct nx_err *err)
{
    NX_TRY(check_requests(a, err));
    end_arriving(a, arrival);
    arrival->whole = true;
    a->requests++;
    return NX_OK;
}

void nx_admission_leave(struct nx_admission *a, struct nx_arrival *arrival)
{
    if (arrival->whole) {
        nx_admission_give(a, arrival->bytes);
        return;
    }
    end_arriving(a, arrival);
    count(a, arrival->bytes, 0);
}

void nx_admission_give(struct nx_admission *a, uint64_t bytes)
{
    nx_assert(a->requests > 0 && a->bytes >= bytes);
    a->requests--;
    count(a, bytes, 0);
}

enum nx_status nx_priority_read(const char *text, size_t len, uint32_t *priority,
                                struct nx_err *err)
{
    *priority = 0;
    if (!text)
        return NX_OK;
    if (len != 1 || text[0] < '0' || text[0] > '0' + NX_PRIORITY_MAX)
        return nx_err_set(err, NX_INVALID, "nexus-priority must be 0 to %d, not '%.*s'",
                          NX_PRIORITY_MAX, len < 20 ? (int)len : 20, text);
    *priority = (uint32_t)(text[0] - '0');
    return NX_OK;
}

void nx_call_refuse(struct nx_call *call, const struct nx_err *err)
{
    enum nx_grpc_code code = nx_grpc_code_of(err->status);
    if (code == NX_GRPC_UNAVAILABLE) /* NX_AGAIN is one of those, too */
        nx_call_trailer(call, "grpc-retry-pushback-ms", come_again_ms);
    if (err->status == NX_AGAIN)
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED, err->text);
    else
        nx_call_fail(call, err);
}
