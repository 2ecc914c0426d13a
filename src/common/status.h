/* status.h — what a call says when it did not do what was asked.
 *
 * Codes are grouped by what is lost, because that is what the caller decides on:
 *   nothing    retry later; no state changed
 *   this call  the request is refused or failed; the object goes on
 *   this peer  the other end is gone
 *   this view  outcome known when the next view is installed
 *   this node  leave the group
 *
 * Nodes and clients tell each other the numbers (`return code:3`), so a new code goes to the end.
 *
 * The function that first knows the cause fills struct nx_err; those above pass it on unchanged. A
 * failed call changes nothing unless its header says what. */
#ifndef NX_COMMON_STATUS_H
#define NX_COMMON_STATUS_H

#pragma GCC visibility push(default) /* what libnexus-group exports */

/* X(code, name for logs, scope, sentence used when nothing better is known) */
#define NX_STATUS_LIST(X)                                                    \
    X(NX_OK, "ok", NX_SCOPE_NONE, "ok")                                      \
    X(NX_AGAIN, "again", NX_SCOPE_NONE, "busy, try again")                   \
    X(NX_INVALID, "invalid", NX_SCOPE_CALL, "invalid argument")              \
    X(NX_NOT_FOUND, "not found", NX_SCOPE_CALL, "not found")                 \
    X(NX_EXISTS, "exists", NX_SCOPE_CALL, "exists already")                  \
    X(NX_TOO_LARGE, "too large", NX_SCOPE_CALL, "over a limit")              \
    X(NX_UNSUPPORTED, "unsupported", NX_SCOPE_CALL, "not supported")         \
    X(NX_CORRUPT, "corrupt", NX_SCOPE_CALL, "malformed bytes")               \
    X(NX_NO_MEMORY, "no memory", NX_SCOPE_CALL, "out of memory")             \
    X(NX_DEADLINE, "deadline", NX_SCOPE_CALL, "deadline exceeded")           \
    X(NX_CANCELLED, "cancelled", NX_SCOPE_CALL, "cancelled")                 \
    X(NX_UNAVAILABLE, "unavailable", NX_SCOPE_CALL, "unavailable")           \
    X(NX_DENIED, "denied", NX_SCOPE_CALL, "not permitted")                   \
    X(NX_IO, "i/o", NX_SCOPE_CALL, "input/output error")                     \
    X(NX_INTERNAL, "internal", NX_SCOPE_CALL, "internal error")              \
    X(NX_PEER_DOWN, "peer down", NX_SCOPE_PEER, "the peer is gone")          \
    X(NX_WEDGED, "wedged", NX_SCOPE_VIEW, "the view is ending")              \
    X(NX_FENCED, "fenced", NX_SCOPE_NODE, "this node is no longer a member") \
    X(NX_FATAL, "fatal", NX_SCOPE_NODE, "this node cannot go on")

enum nx_status {
#define NX_STATUS_ENUM(code, name, scope, text) code,
    NX_STATUS_LIST(NX_STATUS_ENUM)
#undef NX_STATUS_ENUM
        NX_STATUS_COUNT
};

enum nx_scope { NX_SCOPE_NONE, NX_SCOPE_CALL, NX_SCOPE_PEER, NX_SCOPE_VIEW, NX_SCOPE_NODE };

#define NX_ERR_TEXT_BYTES 320

struct nx_err {
    enum nx_status status;
    char text[NX_ERR_TEXT_BYTES]; /* one sentence, NUL-terminated, printable; empty while status is
                                     NX_OK */
};

/* Records the cause and returns `status`, so that a refusal is one statement. Control bytes in what
 * the arguments bring are replaced by '?', and a text that is too long ends in "...". `err` may be
 * NULL. */
__attribute__((format(printf, 3, 4))) enum nx_status nx_err_set(struct nx_err *err,
                                                                enum nx_status status,
                                                                const char *format, ...);

/* Puts "prefix: " before the text; for tier boundaries only. */
__attribute__((format(printf, 2, 3))) void nx_err_prefix(struct nx_err *err, const char *format,
                                                         ...);

const char *nx_status_name(enum nx_status status); /* "not found"; "unknown" outside the list */
const char *nx_status_text(enum nx_status status); /* the list's sentence */
enum nx_scope nx_status_scope(enum nx_status status);

#define NX_TRY(call)                            \
    do {                                        \
        enum nx_status nx_try_status_ = (call); \
        if (nx_try_status_ != NX_OK)            \
            return nx_try_status_;              \
    } while (0)

#pragma GCC visibility pop

#endif
