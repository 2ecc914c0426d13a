#include "function_tier/audit.h"

#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void nx_audit(const char *peer, const char *token, const char *request_id, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    nx_log_write(NX_LOG_INFO, "audit: %s%s%s, request %s: %s", peer, token[0] ? ", token " : "",
                 token, request_id, what);
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
