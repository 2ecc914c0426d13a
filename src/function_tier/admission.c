#include "function_tier/admission.h"

#include "categorizer/categorizer_wire.h"
#include "common/nx_assert.h"

static const char come_again_ms[] = "1000"; /* as Retry-After: 1 */

enum nx_status nx_admission_take(struct nx_admission *a, uint64_t bytes, struct nx_err *err)
{
    if (a->requests >= a->requests_max)
        return nx_err_set(err, NX_AGAIN, "%u requests are under way at this node; try again",
                          a->requests);
    if (bytes > a->bytes_max - a->bytes)
        return nx_err_set(err, NX_AGAIN,
                          "requests of %llu bytes are under way at this node; try again",
                          (unsigned long long)a->bytes);
    a->requests++;
    a->bytes += bytes;
    return NX_OK;
}

void nx_admission_give(struct nx_admission *a, uint64_t bytes)
{
    nx_assert(a->requests > 0 && a->bytes >= bytes);
    a->requests--;
    a->bytes -= bytes;
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
