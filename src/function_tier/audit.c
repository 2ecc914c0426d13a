#include "function_tier/audit.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TELL_BURST = 20 };

#define TELL_INTERVAL (100 * NX_MS)

void nx_audit(const char *peer, const char *token, const char *request_id, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (!nx_log_is_json()) {
        nx_log_write(NX_LOG_INFO, "audit: %s%s%s, request %s: %s", peer, token[0] ? ", token " : "",
                     token, request_id, what);
        return;
    }
    const struct nx_log_field fields[] = {
        {"kind", "audit", 0}, {"request", request_id, 0}, {"client", peer, 0}, {"token", token, 0}};
    nx_log_facts(NX_LOG_INFO, what, fields, sizeof fields / sizeof *fields);
}

void nx_audit_node(const char *format, ...)
{
    static const struct nx_log_field audit = {"kind", "audit", 0};
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (nx_log_is_json())
        nx_log_facts(NX_LOG_INFO, what, &audit, 1);
    else
        nx_log_write(NX_LOG_INFO, "audit: %s", what);
}

/* *untold: how many refusals were not told since the last that was. Of the process, as the log is. */
static bool may_tell(nx_ns now, uint64_t *untold)
{
    static nx_ns due;
    static uint64_t left_out;
    nx_ns at = due > now ? due : now;
    if (at - now > (TELL_BURST - 1) * TELL_INTERVAL) {
        left_out++;
        return false;
    }
    due = at + TELL_INTERVAL;
    *untold = left_out;
    left_out = 0;
    return true;
}

bool nx_audit_refusal(const char *peer, const char *token, const char *request_id, const char *what,
                      const char *why)
{
    char before[64] = "";
    uint64_t untold;
    if (!may_tell(nx_clock_now(), &untold))
        return false;
    if (untold)
        snprintf(before, sizeof before, " (and %llu others before it)", (unsigned long long)untold);
    nx_audit(peer, token, request_id, "%.256s refused: %.200s%s", what, why, before);
    return true;
}

const char nx_manage_refusal[] = "models are managed from this machine only (key management)";

bool nx_peer_is_here(const char *peer, const char *local_ip)
{
    size_t len = strlen(local_ip);
    return nx_peer_is_loopback(peer) || (strncmp(peer, local_ip, len) == 0 && peer[len] == ':');
}

bool nx_peer_is_loopback(const char *peer)
{
    return strncmp(peer, "127.", 4) == 0 || strncmp(peer, "[::1]", 5) == 0;
}
