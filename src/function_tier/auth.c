#include "function_tier/auth.h"

#include "common/arena.h"
#include "common/given_file.h"
#include "common/nx_assert.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { HASH_BYTES = 32, PATH_BYTES = 256, RATE_MAX = 1000000 };

struct token {
    char name[NX_AUTH_NAME_BYTES];
    unsigned scopes;
    uint8_t hash[HASH_BYTES];
    nx_ns interval; /* between two requests at the rate; 0: no bound */
    nx_ns slack;    /* how far ahead of it a burst may be */
    nx_ns due;      /* when the next request would come, at the rate */
};

struct nx_auth {
    char path[PATH_BYTES];
    uint32_t count;
    struct token tokens[NX_AUTH_TOKENS_MAX];
};

static const struct {
    const char *name;
    unsigned scope;
} scope_names[] = {{"infer", NX_MAY_INFER}, {"manage", NX_MAY_MANAGE}, {"observe", NX_MAY_OBSERVE}};
enum { SCOPES_COUNT = sizeof scope_names / sizeof *scope_names };

/* --- the file --------------------------------------------------------------------------------------- */

static enum nx_status read_name(const char *word, struct token *t, struct nx_err *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(word);
    if (len >= sizeof t->name || strspn(word, letters) != len)
        return nx_err_set(err, NX_INVALID,
                          "\"%.40s\" is no name: 1 to %d letters, digits, '.', '_', '-'", word,
                          NX_AUTH_NAME_BYTES - 1);
    memcpy(t->name, word, len + 1);
    return NX_OK;
}

static unsigned scope_of(const char *word, size_t len)
{
    for (int i = 0; i < SCOPES_COUNT; i++)
        if (strlen(scope_names[i].name) == len && memcmp(scope_names[i].name, word, len) == 0)
            return scope_names[i].scope;
    return 0;
}

static enum nx_status read_scopes(const char *word, struct token *t, struct nx_err *err)
{
    for (const char *at = word;; at++) {
        size_t len = strcspn(at, ",");
        unsigned scope = scope_of(at, len);
        if (!scope)
            return nx_err_set(err, NX_INVALID,
                              "\"%.*s\" is no scope; there are infer, manage and observe",
                              len < 40 ? (int)len : 40, at);
        t->scopes |= scope;
        at += len;
        if (!*at)
            return NX_OK;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum nx_status read_hash(const char *word, struct token *t, struct nx_err *err)
{
    static const char prefix[] = "sha256:";
    const char *hex = word + sizeof prefix - 1;
    bool ok = strncmp(word, prefix, sizeof prefix - 1) == 0 && strlen(hex) == 2 * HASH_BYTES;
    for (int i = 0; ok && i < HASH_BYTES; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        ok = high >= 0 && low >= 0;
        t->hash[i] = ok ? (uint8_t)(high << 4 | low) : 0;
    }
    /* What stands there instead may be a token by mistake: it is not repeated. */
    return ok ? NX_OK
              : nx_err_set(err, NX_INVALID,
                           "the third word must be sha256: and 64 hexadecimal digits");
}

static bool read_count(const char *word, const char *key, uint32_t *value)
{
    char *end;
    size_t len = strlen(key);
    if (strncmp(word, key, len) != 0 || word[len] < '1' || word[len] > '9')
        return false;
    unsigned long long v = strtoull(word + len, &end, 10);
    *value = v <= RATE_MAX ? (uint32_t)v : 0;
    return *end == 0 && *value > 0;
}

static enum nx_status read_rate(char **words, struct token *t, struct nx_err *err)
{
    uint32_t rate = 0, burst = 0;
    for (char *word; (word = strsep(words, " \t\r"));) {
        if (!*word || (!rate && read_count(word, "rate=", &rate)) ||
            (!burst && read_count(word, "burst=", &burst)))
            continue;
        return nx_err_set(err, NX_INVALID,
                          "\"%.40s\" is neither rate=N nor burst=N, once each, N from 1 to %d",
                          word, RATE_MAX);
    }
    if (burst && !rate)
        return nx_err_set(err, NX_INVALID, "burst is given, but no rate");
    if (!rate)
        return NX_OK;
    t->interval = NX_SEC / rate;
    t->slack = (nx_ns)((burst ? burst : rate) - 1) * t->interval;
    return NX_OK;
}

static char *next_word(char **words)
{
    char *word;
    while ((word = strsep(words, " \t\r")) && !*word)
        continue;
    return word;
}

static enum nx_status check_unique(const struct nx_auth *auth, const struct token *t,
                                   struct nx_err *err)
{
    for (uint32_t i = 0; i < auth->count; i++) {
        const struct token *other = &auth->tokens[i];
        if (strcmp(other->name, t->name) == 0)
            return nx_err_set(err, NX_INVALID, "the name %s is taken by a line above", t->name);
        if (memcmp(other->hash, t->hash, HASH_BYTES) == 0)
            return nx_err_set(err, NX_INVALID, "%s and %s have the same token", other->name,
                              t->name);
    }
    return NX_OK;
}

static enum nx_status read_line(struct nx_auth *auth, char *line, struct nx_err *err)
{
    struct token t = {0};
    line[strcspn(line, "#")] = 0;
    char *words = line, *name = next_word(&words);
    if (!name)
        return NX_OK;
    char *scopes = next_word(&words), *hash = scopes ? next_word(&words) : NULL;
    if (!hash)
        return nx_err_set(err, NX_INVALID, "expected: name scopes sha256:HEX [rate=N] [burst=N]");
    NX_TRY(read_name(name, &t, err));
    NX_TRY(read_scopes(scopes, &t, err));
    NX_TRY(read_hash(hash, &t, err));
    NX_TRY(read_rate(&words, &t, err));
    NX_TRY(check_unique(auth, &t, err));
    if (auth->count == NX_AUTH_TOKENS_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "more than %d tokens", NX_AUTH_TOKENS_MAX);
    auth->tokens[auth->count++] = t;
    return NX_OK;
}

static enum nx_status read_lines(struct nx_auth *auth, const char *name, char *text,
                                 struct nx_err *err)
{
    unsigned number = 1;
    for (char *line; (line = strsep(&text, "\n")); number++) {
        enum nx_status status = read_line(auth, line, err);
        if (status != NX_OK) {
            nx_err_prefix(err, "tokens: %s:%u", name, number);
            return status;
        }
    }
    if (auth->count == 0)
        return nx_err_set(err, NX_INVALID, "tokens: %s names no token; nobody could ask anything",
                          name);
    return NX_OK;
}

enum nx_status nx_auth_parse(const char *name, const char *text, struct nx_auth **auth,
                             struct nx_err *err)
{
    struct nx_auth *a = nx_calloc(1, sizeof *a);
    char *copy = a ? strdup(text) : NULL;
    enum nx_status status = copy ? read_lines(a, name, copy, err)
                                 : nx_err_set(err, NX_NO_MEMORY, "tokens: out of memory");
    free(copy);
    if (status == NX_OK)
        *auth = a;
    else
        free(a);
    return status;
}

/* Who may write the file may let in whom they like. */
static enum nx_status check_text(const char *path, const struct stat *facts, const char *text,
                                 size_t len, struct nx_err *err)
{
    if (facts->st_mode & S_IWOTH)
        return nx_err_set(err, NX_DENIED,
                          "tokens: %s can be written by everybody on this machine; chmod 600 it",
                          path);
    if (memchr(text, 0, len))
        return nx_err_set(err, NX_INVALID, "tokens: %s is no list of tokens: it holds a zero byte",
                          path);
    return NX_OK;
}

/* Again and again, on the loop thread: no pipe. */
static enum nx_status load(const char *path, struct nx_auth **auth, struct nx_err *err)
{
    static const struct nx_given_how how = {.bytes_max = 64 * 1024};
    struct nx_err why;
    struct stat facts;
    char *text;
    size_t len;
    if (nx_given_read_whole(path, &how, &text, &len, &facts, &why) != NX_OK)
        return nx_err_set(err, why.status, "tokens: %s", why.text);
    enum nx_status status = check_text(path, &facts, text, len, err);
    if (status == NX_OK)
        status = nx_auth_parse(path, text, auth, err);
    explicit_bzero(text, len);
    free(text);
    return status;
}

enum nx_status nx_auth_open(const char *path, struct nx_auth **auth, struct nx_err *err)
{
    *auth = NULL;
    if (!path || !path[0])
        return NX_OK;
    NX_TRY(load(path, auth, err));
    snprintf((*auth)->path, sizeof(*auth)->path, "%s", path);
    return NX_OK;
}

static void go_on_by_name(struct nx_auth *fresh, const struct nx_auth *old)
{
    for (uint32_t i = 0; i < fresh->count; i++)
        for (uint32_t j = 0; j < old->count; j++)
            if (strcmp(fresh->tokens[i].name, old->tokens[j].name) == 0)
                fresh->tokens[i].due = old->tokens[j].due;
}

enum nx_status nx_auth_reload(struct nx_auth *auth, struct nx_err *err)
{
    struct nx_auth *fresh;
    NX_TRY(load(auth->path, &fresh, err));
    go_on_by_name(fresh, auth);
    memcpy(fresh->path, auth->path, sizeof fresh->path);
    *auth = *fresh;
    free(fresh);
    return NX_OK;
}

void nx_auth_close(struct nx_auth *auth)
{
    free(auth);
}

/* --- a request -------------------------------------------------------------------------------------- */

/* "Bearer abc" → "abc"; false: something else. The scheme's case is free. */
static bool take_token(const char *header, size_t len, const char **token, size_t *token_bytes)
{
    static const char scheme[] = "bearer ";
    size_t skip = sizeof scheme - 1;
    if (!header || len <= skip || strncasecmp(header, scheme, skip) != 0)
        return false;
    while (skip < len && header[skip] == ' ')
        skip++;
    *token = header + skip;
    *token_bytes = len - skip;
    return *token_bytes > 0 && *token_bytes <= NX_AUTH_TOKEN_BYTES_MAX;
}

static struct token *find(struct nx_auth *auth, const char *token, size_t len)
{
    uint8_t hash[HASH_BYTES];
    struct token *found = NULL;
    if (EVP_Digest(token, len, hash, NULL, EVP_sha256(), NULL) != 1)
        return NULL;
    for (uint32_t i = 0; i < auth->count; i++)
        if (CRYPTO_memcmp(auth->tokens[i].hash, hash, HASH_BYTES) == 0)
            found = &auth->tokens[i];
    return found;
}

/* 0: let in, and counted; else how long to wait. */
static nx_ns wait_for_turn(struct token *t, nx_ns now)
{
    nx_ns due = t->due > now ? t->due : now;
    if (due - now > t->slack)
        return due - now - t->slack;
    t->due = due + t->interval;
    return 0;
}

static void name_scopes(unsigned scopes, char *text, size_t cap)
{
    text[0] = 0;
    for (int i = 0; i < SCOPES_COUNT; i++)
        if (scopes & scope_names[i].scope) {
            size_t len = strlen(text);
            snprintf(text + len, cap - len, "%s%s", len ? " or " : "", scope_names[i].name);
        }
}

enum nx_auth_verdict nx_auth_check(struct nx_auth *auth, const char *header, size_t len,
                                   unsigned scopes, nx_ns now, struct nx_auth_caller *caller)
{
    const char *token;
    size_t token_bytes;
    *caller = (struct nx_auth_caller){0};
    if (!auth || !scopes)
        return NX_AUTH_LET_IN;
    bool shown = take_token(header, len, &token, &token_bytes);
    struct token *t = shown ? find(auth, token, token_bytes) : NULL;
    if (!t) {
        snprintf(caller->sentence, sizeof caller->sentence, "%s",
                 shown ? "this node does not know that token"
                       : "a token is needed: Authorization: Bearer TOKEN");
        return NX_AUTH_UNKNOWN;
    }
    memcpy(caller->name, t->name, sizeof caller->name);
    if (!(t->scopes & scopes)) {
        char names[64];
        name_scopes(scopes, names, sizeof names);
        snprintf(caller->sentence, sizeof caller->sentence,
                 "the token %s has not the scope that this takes: %s", t->name, names);
        return NX_AUTH_SCOPE;
    }
    caller->retry_after_ns = t->interval ? wait_for_turn(t, now) : 0;
    if (!caller->retry_after_ns)
        return NX_AUTH_LET_IN;
    snprintf(caller->sentence, sizeof caller->sentence,
             "the token %s asks more often than its rate allows; try again in %lld ms", t->name,
             (long long)((caller->retry_after_ns + NX_MS - 1) / NX_MS));
    return NX_AUTH_RATE;
}
