#include "function_tier/guard.h"

#include "function_tier/audit.h"

#include <stdio.h>
#include <string.h>

enum { ANY = NX_MAY_INFER | NX_MAY_MANAGE | NX_MAY_OBSERVE };

#define V2(name) "/inference.GRPCInferenceService/" name

static const struct {
    const char *path;
    unsigned scopes;
} rows[] = {
    {"/grpc.health.v1.Health/Check", 0},
    {"/grpc.health.v1.Health/Watch", 0},
    {V2("ServerLive"), 0},
    {V2("ServerReady"), 0},
    {V2("ServerMetadata"), ANY},
    {V2("ModelReady"), ANY},
    {V2("ModelMetadata"), ANY},
    {V2("ModelConfig"), ANY},
    {V2("ModelStatistics"), NX_MAY_OBSERVE},
    {V2("ModelInfer"), NX_MAY_INFER},
    {V2("ModelStreamInfer"), NX_MAY_INFER},
    {V2("RepositoryIndex"), NX_MAY_MANAGE | NX_MAY_OBSERVE},
    {V2("RepositoryModelLoad"), NX_MAY_MANAGE},
    {V2("RepositoryModelUnload"), NX_MAY_MANAGE},
    {"/sospdemo.FunctionTierService/Whatsthis", NX_MAY_INFER},
    {"/sospdemo.FunctionTierService/InstallModel", NX_MAY_MANAGE},
    {"/sospdemo.FunctionTierService/RemoveModel", NX_MAY_MANAGE},
    {"/nexus.Control/ListModels", NX_MAY_MANAGE | NX_MAY_OBSERVE},
    {"/nexus.Control/Status", NX_MAY_OBSERVE},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ANY},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ANY},
};

static unsigned scopes_of(const char *path)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].path, path) == 0)
            return rows[i].scopes;
    return NX_MAY_MANAGE;
}

static enum nx_auth_verdict ask(struct nx_auth *auth, struct nx_call *call, unsigned scopes,
                                nx_ns now, struct nx_auth_caller *caller)
{
    const char *header = nx_call_metadata(call, "authorization");
    return nx_auth_check(auth, header, header ? strlen(header) : 0, scopes, now, caller);
}

static void refuse(struct nx_call *call, enum nx_auth_verdict verdict,
                   const struct nx_auth_caller *caller)
{
    char ms[24];
    switch (verdict) {
    case NX_AUTH_LET_IN: return;
    case NX_AUTH_UNKNOWN: nx_call_finish(call, NX_GRPC_UNAUTHENTICATED, caller->sentence); return;
    case NX_AUTH_SCOPE: nx_call_finish(call, NX_GRPC_PERMISSION_DENIED, caller->sentence); return;
    case NX_AUTH_RATE:
        snprintf(ms, sizeof ms, "%lld", (long long)((caller->retry_after_ns + NX_MS - 1) / NX_MS));
        nx_call_trailer(call, "grpc-retry-pushback-ms", ms); /* a courtesy: without it, the words */
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED, caller->sentence);
        return;
    }
}

static void admit(void *ctx, struct nx_call *call, nx_ns now)
{
    const struct nx_guard *guard = ctx;
    struct nx_auth_caller caller;
    unsigned scopes = scopes_of(nx_call_path(call));
    enum nx_auth_verdict verdict = ask(guard->auth, call, scopes, now, &caller);
    if (verdict == NX_AUTH_LET_IN && scopes == NX_MAY_MANAGE && !guard->manage_anywhere &&
        !nx_peer_is_here(nx_call_peer(call), guard->local_ip)) {
        verdict = NX_AUTH_SCOPE;
        snprintf(caller.sentence, sizeof caller.sentence, "%s", nx_manage_refusal);
    }
    nx_call_name_caller(call, caller.name);
    if (nx_auth_is_told(verdict, scopes))
        nx_audit_refusal(nx_call_peer(call), caller.name, nx_call_request_id(call),
                         nx_call_path(call), caller.sentence);
    refuse(call, verdict, &caller);
}

struct nx_grpc_guard nx_guard_upcall(struct nx_guard *guard)
{
    return (struct nx_grpc_guard){.ctx = guard, .admit = admit};
}

enum nx_status nx_guard_again(struct nx_auth *auth, struct nx_call *call, struct nx_err *err)
{
    struct nx_auth_caller caller;
    unsigned scopes = scopes_of(nx_call_path(call));
    switch (ask(auth, call, scopes, nx_clock_now(), &caller)) {
    case NX_AUTH_LET_IN: return NX_OK;
    case NX_AUTH_UNKNOWN:
    case NX_AUTH_SCOPE: return nx_err_set(err, NX_DENIED, "%s", caller.sentence);
    case NX_AUTH_RATE: return nx_err_set(err, NX_AGAIN, "%s", caller.sentence);
    }
    return NX_INTERNAL;
}
