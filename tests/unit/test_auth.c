/* Tokens: the file's lines, who is let in, how often. SHA-256 of "abc" is the one that FIPS 180 prints. */
#include "function_tier/auth.h"
#include "nx_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ABC   "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OTHER "sha256:0000000000000000000000000000000000000000000000000000000000000000"

static struct nx_auth *parse(const char *text)
{
    struct nx_auth *auth = NULL;
    struct nx_err err = {0};
    if (nx_auth_parse("t", text, &auth, &err) != NX_OK)
        fail_msg("%s", err.text);
    return auth;
}

static struct nx_auth_caller caller;

static enum nx_auth_verdict check(struct nx_auth *auth, const char *header, unsigned scopes,
                                  nx_ns now)
{
    return nx_auth_check(auth, header, header ? strlen(header) : 0, scopes, now, &caller);
}

static void a_known_token_may_what_its_scopes_say(void **state)
{
    (void)state;
    struct nx_auth *auth =
        parse("# tokens\n\n cam\tinfer,observe  " ABC " # the camera\r\nb manage " OTHER);
    assert_int_equal(check(auth, "Bearer abc", NX_MAY_INFER, 1), NX_AUTH_LET_IN);
    assert_string_equal(caller.name, "cam");
    assert_int_equal(check(auth, "bEaReR   abc", NX_MAY_OBSERVE | NX_MAY_MANAGE, 1),
                     NX_AUTH_LET_IN);
    assert_int_equal(check(auth, "Bearer abc", NX_MAY_MANAGE, 1), NX_AUTH_SCOPE);
    assert_string_equal(caller.name, "cam");
    assert_non_null(strstr(caller.sentence, "manage"));
    assert_int_equal(check(auth, NULL, 0, 1), NX_AUTH_LET_IN); /* where none is needed */
    nx_auth_close(auth);
    assert_int_equal(check(NULL, NULL, NX_MAY_MANAGE, 1), NX_AUTH_LET_IN); /* no file at all */
}

static void any_other_header_is_unknown(void **state)
{
    (void)state;
    struct nx_auth *auth = parse("a infer " ABC "\nnothing infer " EMPTY);
    static char large[NX_AUTH_TOKEN_BYTES_MAX + 20] = "Bearer ";
    memset(large + 7, 'x', sizeof large - 8);
    const char *const headers[] = {NULL,          "",           "abc",        "Bearer",
                                   "Bearer ",     "Bearer    ", "Bearer abd", "Basic abc",
                                   "Bearer abc ", "Bearerabc",  "Bearer ab",  large};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        assert_int_equal(check(auth, headers[i], NX_MAY_INFER, 1), NX_AUTH_UNKNOWN);
        assert_string_equal(caller.name, "");
        assert_true(caller.sentence[0]);
    }
    nx_auth_close(auth);
}

static void bad_lines_are_told_with_their_number(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "names no token"},
        {"# nothing\n", "names no token"},
        {"a\n", "t:1: expected: name scopes"},
        {"\na infer\n", "t:2: expected: name scopes"},
        {"a/b infer " ABC, "is no name"},
        {"abcdefghijklmnopqrstuvwxyzabcdef infer " ABC, "is no name"},
        {"a think " ABC, "\"think\" is no scope"},
        {"a infer, " ABC, "\"\" is no scope"},
        {"a infer abc", "sha256: and 64"},
        {"a infer sha256:12", "sha256: and 64"},
        {"a infer " ABC "0", "sha256: and 64"},
        {"a infer sha256:ba7816bf8f01^fea414140de5dae2223b00361a396177a9cb410ff61f20015ad", /* high */
         "sha256: and 64"},
        {"a infer sha256:ba7816bf8f01c^ea414140de5dae2223b00361a396177a9cb410ff61f20015ad", /* low */
         "sha256: and 64"},
        {"a infer " ABC " rate=0", "neither rate=N"},
        {"a infer " ABC " rate=-1", "neither rate=N"},
        {"a infer " ABC " rate=1000001", "neither rate=N"},
        {"a infer " ABC " rate=18446744073709551617", "neither rate=N"},
        {"a infer " ABC " rate=1 rate=2", "neither rate=N"},
        {"a infer " ABC " fast", "\"fast\" is neither"},
        {"a infer " ABC " burst=2", "no rate"},
        {"a infer " ABC "\na manage " OTHER, "t:2: the name a is taken"},
        {"a infer " ABC "\nb manage " ABC, "a and b have the same token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nx_auth *auth = NULL;
        struct nx_err err = {0};
        assert_int_not_equal(nx_auth_parse("t", cases[i].text, &auth, &err), NX_OK);
        assert_null(auth);
        if (!strstr(err.text, cases[i].sentence))
            fail_msg("\"%s\": %s", cases[i].text, err.text);
    }
}

static void too_many_lines_are_refused(void **state)
{
    (void)state;
    enum { LINE = 128 };
    char *text = calloc(NX_AUTH_TOKENS_MAX + 1, LINE);
    struct nx_auth *auth = NULL;
    struct nx_err err = {0};
    for (int i = 0, at = 0; i < NX_AUTH_TOKENS_MAX + 1; i++)
        at += snprintf(text + at, LINE, "n%d infer sha256:%064x\n", i, (unsigned)i + 1);
    assert_int_equal(nx_auth_parse("t", text, &auth, &err), NX_TOO_LARGE);
    *strstr(text, "n256 ") = 0;
    assert_int_equal(nx_auth_parse("t", text, &auth, &err), NX_OK);
    nx_auth_close(auth);
    free(text);
}

/* In any t seconds at most burst + rate * t, counted by asking far too often for ten seconds. */
static void a_rate_bounds_every_span(void **state)
{
    (void)state;
    struct nx_auth *auth = parse("a infer " ABC " rate=10 burst=3");
    nx_ns start = 1000 * NX_SEC;
    unsigned in = 0;
    for (nx_ns now = start; now < start + 10 * NX_SEC; now += 7 * NX_MS) {
        enum nx_auth_verdict verdict = check(auth, "Bearer abc", NX_MAY_INFER, now);
        in += verdict == NX_AUTH_LET_IN;
        assert_true(in <= 3 + 10 * (uint64_t)(now - start) / NX_SEC);
        if (verdict == NX_AUTH_RATE)
            assert_true(caller.retry_after_ns > 0 && caller.retry_after_ns <= NX_SEC / 10);
    }
    assert_true(in >= 100); /* and what it promises is had */
    nx_auth_close(auth);
}

static void whoever_waits_as_told_is_let_in(void **state)
{
    (void)state;
    struct nx_auth *auth = parse("a infer " ABC " rate=2 burst=1\nb infer,manage " OTHER);
    nx_ns now = 5 * NX_SEC;
    assert_int_equal(check(auth, "Bearer abc", NX_MAY_INFER, now), NX_AUTH_LET_IN);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(check(auth, "Bearer abc", NX_MAY_INFER, now), NX_AUTH_RATE);
        nx_ns wait = caller.retry_after_ns;
        assert_int_equal(check(auth, "Bearer abc", NX_MAY_MANAGE, now),
                         NX_AUTH_SCOPE); /* uncounted */
        assert_int_equal(check(auth, "Bearer abc", NX_MAY_INFER, now + wait - 1), NX_AUTH_RATE);
        now += wait;
        assert_int_equal(check(auth, "Bearer abc", NX_MAY_INFER, now), NX_AUTH_LET_IN);
    }
    nx_auth_close(auth);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_reload_revokes_keeps_rates_and_fails_whole(void **state)
{
    (void)state;
    char path[] = "/tmp/nexus-tokens-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct nx_auth *auth;
    struct nx_err err;
    assert_int_equal(nx_auth_open("", &auth, &err), NX_OK);
    assert_null(auth);
    write_file(path, "a infer " ABC " rate=1 burst=1", 0602);
    assert_int_equal(nx_auth_open(path, &auth, &err), NX_DENIED);
    chmod(path, 0600);
    assert_int_equal(nx_auth_open(path, &auth, &err), NX_OK);
    assert_int_equal(check(auth, "Bearer abc", NX_MAY_INFER, NX_SEC), NX_AUTH_LET_IN);
    assert_int_equal(nx_auth_reload(auth, &err), NX_OK); /* no fresh burst for a reload */
    assert_int_equal(check(auth, "Bearer abc", NX_MAY_INFER, NX_SEC), NX_AUTH_RATE);
    write_file(path, "a infer nonsense", 0600);
    assert_int_equal(nx_auth_reload(auth, &err), NX_INVALID);
    assert_int_equal(check(auth, "Bearer abc", NX_MAY_INFER, 3 * NX_SEC), NX_AUTH_LET_IN);
    write_file(path, "b infer " OTHER, 0600);
    assert_int_equal(nx_auth_reload(auth, &err), NX_OK);
    assert_int_equal(check(auth, "Bearer abc", NX_MAY_INFER, 9 * NX_SEC), NX_AUTH_UNKNOWN);
    unlink(path);
    assert_int_equal(nx_auth_reload(auth, &err), NX_IO);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes it, and nobody waits for that */
    assert_int_equal(nx_auth_reload(auth, &err), NX_INVALID);
    assert_non_null(strstr(err.text, "is a pipe, not a plain file"));
    unlink(path);
    nx_auth_close(auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_token_may_what_its_scopes_say),
        cmocka_unit_test(any_other_header_is_unknown),
        cmocka_unit_test(bad_lines_are_told_with_their_number),
        cmocka_unit_test(too_many_lines_are_refused),
        cmocka_unit_test(a_rate_bounds_every_span),
        cmocka_unit_test(whoever_waits_as_told_is_let_in),
        cmocka_unit_test(a_reload_revokes_keeps_rates_and_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
