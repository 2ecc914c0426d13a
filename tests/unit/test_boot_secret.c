/* The secret's file; and nodes of a group with a secret in one thread, over loopback, with
 * strangers in between. */
#include "boot_nodes.h"
#include "group/fabric/boot_secret.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STRANGERS = 200 };
#define CARD_KEY UINT64_C(0xfeedfacecafe1234) /* what no stranger may see */

static const char SECRET[] = "thirty-two bytes of randomness..";

struct fixture {
    struct boot_nodes nodes;
    char folder[64], file[128], other_file[128];
};

static void write_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/nexus-secret-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->file, sizeof f->file, "%s/secret", f->folder);
    snprintf(f->other_file, sizeof f->other_file, "%s/other", f->folder);
    write_file(f->file, SECRET, sizeof SECRET - 1, 0640); /* its group may read it */
    write_file(f->other_file, "another secret altogether", 25, 0440);
    boot_nodes_init(&f->nodes, 10, 1);
    f->nodes.card_key = CARD_KEY;
    for (int i = 0; i < BOOT_NODES; i++)
        snprintf(f->nodes.configs[i].secret_file, sizeof f->nodes.configs[i].secret_file, "%s",
                 f->file);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    boot_nodes_fini(&f->nodes);
    unlink(f->file);
    unlink(f->other_file);
    rmdir(f->folder);
    free(f);
    return 0;
}

/* --- the file --------------------------------------------------------------------------------- */

static void refuse_file(struct fixture *f, const char *path, enum nx_status status,
                        const char *words)
{
    struct nx_boot_secret secret;
    struct nx_err err = {0};
    assert_int_equal(nx_boot_secret_load(path, &secret, &err), status);
    if (!strstr(err.text, words) || !strstr(err.text, path))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    assert_true(secret.given && !secret.held); /* never taken for "no secret" */
    snprintf(f->nodes.configs[0].secret_file, sizeof f->nodes.configs[0].secret_file, "%s", path);
    struct nx_fabric_card card = {.address_bytes = 16};
    assert_int_equal(
        nx_bootstrap_open(&f->nodes.configs[0], BOOT_HASH, &card, 0, &f->nodes.boots[0], &err),
        status);
    assert_null(f->nodes.boots[0]);
}

static void a_bad_file_is_refused_with_the_reason(void **state)
{
    struct fixture *f = *state;
    static const uint8_t bytes[NX_SECRET_BYTES_MAX + 1];
    refuse_file(f, "/nonexistent/secret", NX_INVALID, "No such file or directory");
    refuse_file(f, f->folder, NX_INVALID, "not a plain file");
    refuse_file(f, "/dev/zero", NX_INVALID, "not a plain file");
    write_file(f->file, bytes, 0, 0600);
    refuse_file(f, f->file, NX_INVALID, "holds 0 bytes, expected 16 to 4096");
    write_file(f->file, bytes, NX_SECRET_BYTES_MIN - 1, 0600);
    refuse_file(f, f->file, NX_INVALID, "holds 15 bytes, expected 16 to 4096");
    write_file(f->file, bytes, sizeof bytes, 0600);
    refuse_file(f, f->file, NX_INVALID, "holds more than 4096 bytes");
    static const mode_t modes[] = {0644, 0660, 0604, 0620, 0610, 0602, 0601, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char words[64];
        write_file(f->file, bytes, 32, modes[i]);
        snprintf(words, sizeof words, "is open to other users (mode %04o, expected 0600, or 0640)",
                 (unsigned)modes[i]);
        refuse_file(f, f->file, NX_INVALID, words);
    }
    unlink(f->file);
    assert_int_equal(mkfifo(f->file, 0600), 0);
    refuse_file(f, f->file, NX_INVALID, "not a plain file"); /* and does not wait for a writer */
}

static void a_good_file_gives_a_key_until_it_is_wiped(void **state)
{
    struct fixture *f = *state;
    static const uint8_t bytes[NX_SECRET_BYTES_MAX], zero[NX_BOOT_KEY_BYTES];
    struct nx_boot_secret one, two;
    struct nx_err err = {0};
    write_file(f->file, bytes, NX_SECRET_BYTES_MIN, 0600);
    assert_int_equal(nx_boot_secret_load(f->file, &one, &err), NX_OK);
    write_file(f->file, bytes, NX_SECRET_BYTES_MAX, 0400);
    assert_int_equal(nx_boot_secret_load(f->file, &two, &err), NX_OK);
    assert_true(one.given && one.held && two.held);
    assert_memory_not_equal(one.base, two.base, sizeof one.base);
    assert_memory_not_equal(one.base, zero, sizeof zero);
    nx_boot_secret_wipe(&one);
    assert_memory_equal(one.base, zero, sizeof zero);
    assert_true(one.given && !one.held);
    assert_int_equal(nx_boot_secret_load("", &one, &err), NX_OK);
    assert_true(!one.given && !one.held);
}

static void no_secret_is_told_where_others_can_reach(void **state)
{
    struct fixture *f = *state;
    struct nx_boot_secret none = {0}, held = {.given = true, .held = true};
    nx_boot_secret_warn(&none, "127.0.0.3", "127.0.0.1");
    nx_boot_secret_warn(&held, "10.0.0.3", "10.0.0.1");
    assert_string_equal(f->nodes.log, "");
    nx_boot_secret_warn(&none, "127.0.0.1", "10.0.0.1");
    assert_non_null(
        strstr(f->nodes.log, "no secret_file: whoever reaches 10.0.0.1 may join this group"));
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void the_right_secret_forms_the_group(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < BOOT_NODES; i++)
        boot_nodes_open(&f->nodes, i);
    BOOT_POLL_UNTIL(&f->nodes, boot_nodes_installed(&f->nodes));
    for (int i = 0; i < BOOT_NODES; i++) {
        const struct nx_boot_view *v = nx_bootstrap_view(f->nodes.boots[i]);
        assert_true(v->token == nx_bootstrap_view(f->nodes.boots[0])->token);
        for (int r = 0; r < BOOT_NODES; r++)
            assert_true(v->cards[r].region_key == CARD_KEY);
    }
}

/* Node 1 differs as the test says, is told so, the leader logs the same, and the group forms
 * without it. */
static void refuse_node(struct fixture *f, const char *words)
{
    boot_nodes_open(&f->nodes, 0);
    boot_nodes_open(&f->nodes, 1);
    BOOT_POLL_UNTIL(&f->nodes, boot_nodes_phase(&f->nodes, 1) == NX_BOOT_FAILED);
    const char *text = nx_bootstrap_error(f->nodes.boots[1])->text;
    if (!strstr(text, words) || !strstr(text, "refused node 11"))
        fail_msg("the node says \"%s\", not \"%s\"", text, words);
    if (!strstr(f->nodes.log, words))
        fail_msg("the leader logs \"%s\", not \"%s\"", f->nodes.log, words);
    boot_nodes_close(&f->nodes, 1);
    memcpy(f->nodes.configs[1].secret_file, f->nodes.configs[0].secret_file,
           sizeof f->nodes.configs[1].secret_file);
    boot_nodes_open(&f->nodes, 1);
    boot_nodes_open(&f->nodes, 2);
    BOOT_POLL_UNTIL(&f->nodes, boot_nodes_installed(&f->nodes));
}

static void another_secret_is_refused(void **state)
{
    struct fixture *f = *state;
    snprintf(f->nodes.configs[1].secret_file, sizeof f->nodes.configs[1].secret_file, "%s",
             f->other_file);
    refuse_node(f, "node 11 does not prove that it knows this group's secret");
}

static void no_secret_is_refused(void **state)
{
    struct fixture *f = *state;
    f->nodes.configs[1].secret_file[0] = '\0';
    refuse_node(f, "this group has a shared secret, node 11 gives none (secret_file)");
}

static void a_secret_where_the_leader_has_none_is_refused(void **state)
{
    struct fixture *f = *state;
    f->nodes.configs[0].secret_file[0] = f->nodes.configs[2].secret_file[0] = '\0';
    refuse_node(f, "node 11 has a shared secret (secret_file), this group none");
}

static void another_configuration_is_named_behind_the_proof(void **state)
{
    struct fixture *f = *state;
    f->nodes.configs[1].spec.subgroups[0].min_nodes = 2;
    boot_nodes_open(&f->nodes, 0);
    boot_nodes_open(&f->nodes, 1);
    BOOT_POLL_UNTIL(&f->nodes, boot_nodes_phase(&f->nodes, 1) == NX_BOOT_FAILED);
    assert_non_null(strstr(nx_bootstrap_error(f->nodes.boots[1])->text, "min_nodes of ALL is 2"));
    f->nodes.configs[1].spec.subgroups[0].min_nodes = 1;
}

/* --- strangers -------------------------------------------------------------------------------- */

struct heard {
    uint8_t bytes[4 * NX_BOOT_FRAME_MAX];
    size_t len;
    bool ended;
};

static void hear(int fd, struct heard *h)
{
    ssize_t n = recv(fd, h->bytes + h->len, sizeof h->bytes - h->len, MSG_DONTWAIT);
    if (n > 0)
        h->len += (size_t)n;
    h->ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINPROGRESS);
}

/* Every frame heard is of one of these kinds, and none holds a card. */
static void assert_no_card(const struct heard *h, const enum nx_boot_kind *kinds, int count)
{
    uint64_t key = CARD_KEY;
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        enum nx_boot_kind kind;
        const uint8_t *payload;
        size_t len;
        struct nx_err err = {0};
        assert_int_equal(
            nx_boot_find_frame(h->bytes + at, h->len - at, &kind, &payload, &len, &err), NX_OK);
        assert_int_equal(kind, kinds[i]);
        at += NX_BOOT_HEAD_BYTES + len;
    }
    assert_int_equal(at, h->len);
    assert_null(memmem(h->bytes, h->len, &key, sizeof key));
}

static int dial(const struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(f->nodes.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(connect(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno == EINPROGRESS);
    return fd;
}

static void say(struct fixture *f, int fd, const uint8_t *bytes, size_t len)
{
    BOOT_POLL_UNTIL(&f->nodes, send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len);
}

static size_t make_begin(struct nx_boot_auth *a, const char *secret, nx_node node,
                         uint8_t frame[NX_BOOT_FRAME_MAX])
{
    uint8_t base[NX_BOOT_KEY_BYTES], nonce[NX_BOOT_NONCE_BYTES] = {5};
    struct nx_err err = {0};
    assert_int_equal(nx_boot_auth_derive(secret, strlen(secret), base, &err), NX_OK);
    return nx_boot_auth_join(a, base, node, BOOT_HASH, nonce, frame);
}

/* Answers the challenge that was heard with what this machine makes of it. */
static void answer(struct fixture *f, int fd, struct nx_boot_auth *a, const struct heard *h)
{
    enum nx_boot_kind kind;
    const uint8_t *payload;
    size_t len, bytes;
    struct nx_err err = {0};
    uint8_t frame[NX_BOOT_FRAME_MAX];
    assert_int_equal(nx_boot_find_frame(h->bytes, h->len, &kind, &payload, &len, &err), NX_OK);
    assert_int_equal(nx_boot_auth_take(a, kind, payload, len, frame, &bytes, &err), NX_OK);
    say(f, fd, frame, bytes);
}

static void who_guesses_the_secret_hears_no_card(void **state)
{
    struct fixture *f = *state;
    struct nx_boot_auth a;
    struct heard h = {.len = 0};
    uint8_t frame[NX_BOOT_FRAME_MAX];
    boot_nodes_open(&f->nodes, 0);
    boot_nodes_open(&f->nodes, 1);
    int fd = dial(f);
    say(f, fd, frame, make_begin(&a, "a guess, and not a good one", 12, frame));
    BOOT_POLL_UNTIL(&f->nodes, (hear(fd, &h), h.len >= NX_BOOT_HEAD_BYTES));
    answer(f, fd, &a, &h);
    BOOT_POLL_UNTIL(&f->nodes, (hear(fd, &h), h.ended));
    assert_no_card(&h, (enum nx_boot_kind[]){NX_BOOT_CHALLENGE, NX_BOOT_REFUSED}, 2);
    close(fd);
    assert_non_null(strstr(f->nodes.log, "node 12 does not prove"));
    boot_nodes_open(&f->nodes, 2);
    BOOT_POLL_UNTIL(&f->nodes, boot_nodes_installed(&f->nodes));
}

/* Skips the proof and says hello, plain or as if it were sealed. */
static void who_skips_the_proof_hears_no_card(void **state)
{
    struct fixture *f = *state;
    struct nx_boot_auth a;
    struct nx_boot_hello hello = {.version = NX_BOOT_VERSION,
                                  .node = 12,
                                  .provider = "tcp",
                                  .host = "127.0.0.1",
                                  .card = {.address_bytes = 16}};
    uint8_t frame[NX_BOOT_FRAME_MAX];
    boot_nodes_open(&f->nodes, 0);
    for (int begins = 0; begins < 2; begins++) {
        struct heard h = {.len = 0};
        int fd = dial(f);
        if (begins)
            say(f, fd, frame, make_begin(&a, SECRET, 12, frame));
        say(f, fd, frame, nx_boot_encode_hello(&hello, frame));
        BOOT_POLL_UNTIL(&f->nodes, (hear(fd, &h), h.ended));
        assert_no_card(&h, (enum nx_boot_kind[]){begins ? NX_BOOT_CHALLENGE : NX_BOOT_REFUSED},
                       h.len > 0);
        close(fd);
    }
}

/* Has the secret, and proves itself as node 12, but says hello as node 11. */
static void who_says_another_id_than_it_proved_is_refused(void **state)
{
    struct fixture *f = *state;
    struct nx_boot_auth a;
    struct heard h = {.len = 0};
    uint8_t frame[NX_BOOT_FRAME_MAX];
    boot_nodes_open(&f->nodes, 0);
    int fd = dial(f);
    say(f, fd, frame, make_begin(&a, SECRET, 12, frame));
    BOOT_POLL_UNTIL(&f->nodes, (hear(fd, &h), h.len >= NX_BOOT_HEAD_BYTES));
    answer(f, fd, &a, &h);
    size_t challenge = h.len;
    BOOT_POLL_UNTIL(&f->nodes,
                    (hear(fd, &h), h.len >= challenge + NX_BOOT_HEAD_BYTES + NX_BOOT_PROOF_BYTES));
    struct heard proof = {.len = h.len - challenge};
    memcpy(proof.bytes, h.bytes + challenge, proof.len);
    enum nx_boot_kind kind;
    const uint8_t *payload;
    size_t len, none;
    struct nx_err err = {0};
    assert_int_equal(nx_boot_find_frame(proof.bytes, proof.len, &kind, &payload, &len, &err),
                     NX_OK);
    assert_int_equal(nx_boot_auth_take(&a, kind, payload, len, frame, &none, &err), NX_OK);
    struct nx_boot_hello hello = {.version = NX_BOOT_VERSION,
                                  .node = 11,
                                  .layout_hash = BOOT_HASH,
                                  .provider = "tcp",
                                  .host = "127.0.0.1",
                                  .card = {.address_bytes = 16}};
    size_t bytes = nx_boot_encode_hello(&hello, frame);
    say(f, fd, frame, nx_boot_auth_seal(&a, frame, bytes));
    BOOT_POLL_UNTIL(&f->nodes, (hear(fd, &h), h.ended));
    assert_non_null(strstr(f->nodes.log, "its hello is of node 11, its proof of another"));
    close(fd);
}

static int listen_as_leader(const struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(f->nodes.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

/* Somebody at the leader's address who has no secret of ours. */
static void an_impostor_of_the_leader_hears_no_card(void **state)
{
    struct fixture *f = *state;
    struct heard h = {.len = 0};
    struct nx_boot_auth a;
    uint8_t base[NX_BOOT_KEY_BYTES] = {1}, nonce[NX_BOOT_NONCE_BYTES] = {2};
    uint8_t frame[NX_BOOT_FRAME_MAX];
    int listener = listen_as_leader(f), fd = -1;
    boot_nodes_open(&f->nodes, 1);
    BOOT_POLL_UNTIL(&f->nodes, (fd = accept(listener, NULL, NULL)) >= 0);
    BOOT_POLL_UNTIL(&f->nodes, (hear(fd, &h), h.len >= NX_BOOT_HEAD_BYTES));
    nx_boot_auth_lead(&a, base, 10, nonce);
    answer(f, fd, &a, &h);
    size_t begin = h.len;
    BOOT_POLL_UNTIL(&f->nodes, (hear(fd, &h), h.len > begin));
    uint8_t proof[NX_BOOT_PROOF_BYTES] = {3};
    say(f, fd, frame, nx_boot_encode(NX_BOOT_PROOF, proof, sizeof proof, frame));
    BOOT_POLL_UNTIL(&f->nodes, boot_nodes_phase(&f->nodes, 1) == NX_BOOT_FAILED);
    BOOT_POLL_UNTIL(&f->nodes, (hear(fd, &h), h.ended));
    assert_no_card(&h, (enum nx_boot_kind[]){NX_BOOT_BEGIN, NX_BOOT_PROOF}, 2);
    char words[160];
    snprintf(words, sizeof words,
             "node 11 does not join at the leader 127.0.0.1:%u: node 10 answers there, and does "
             "not prove that it knows this group's secret",
             f->nodes.port);
    assert_string_equal(nx_bootstrap_error(f->nodes.boots[1])->text, words);
    close(fd);
    close(listener);
}

/* Who answers and then says nothing is called again, after a while; the join goes on. */
static void a_leader_that_is_silent_is_called_again(void **state)
{
    struct fixture *f = *state;
    int listener = listen_as_leader(f), first = -1, second = -1;
    boot_nodes_open(&f->nodes, 1);
    nx_ns start = nx_clock_now();
    BOOT_POLL_UNTIL(&f->nodes, (first = accept(listener, NULL, NULL)) >= 0);
    assert_true(nx_bootstrap_wake_at(f->nodes.boots[1]) <= nx_clock_now() + 2 * NX_SEC);
    BOOT_POLL_UNTIL(&f->nodes, (second = accept(listener, NULL, NULL)) >= 0);
    assert_true(nx_clock_now() - start >= 2 * NX_SEC);
    assert_int_equal(boot_nodes_phase(&f->nodes, 1), NX_BOOT_GATHERING);
    close(first);
    close(second);
    close(listener);
}

/* Silence, half a begin, noise, a begin without the proof, a proof without a begin. */
static void pester(struct fixture *f, int i, int fd)
{
    struct nx_boot_auth a;
    uint8_t frame[NX_BOOT_FRAME_MAX], proof[NX_BOOT_PROOF_BYTES] = {4};
    size_t len = make_begin(&a, "some stranger's own secret", 100 + (nx_node)i, frame);
    if (i % 5 == 1)
        say(f, fd, frame, len / 2);
    else if (i % 5 == 2)
        say(f, fd, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
    else if (i % 5 == 3)
        say(f, fd, frame, len);
    else if (i % 5 == 4)
        say(f, fd, frame, nx_boot_encode(NX_BOOT_PROOF, proof, sizeof proof, frame));
}

static void strangers_in_the_handshake_do_not_keep_the_group_from_forming(void **state)
{
    struct fixture *f = *state;
    int fds[STRANGERS];
    boot_nodes_open(&f->nodes, 0);
    for (int i = 0; i < STRANGERS; i++) {
        if (i == STRANGERS / 2)
            boot_nodes_open(&f->nodes, 1); /* in the midst of them */
        fds[i] = dial(f);
        pester(f, i, fds[i]);
        boot_nodes_turn(&f->nodes);
    }
    boot_nodes_open(&f->nodes, 2);
    BOOT_POLL_UNTIL(&f->nodes, boot_nodes_installed(&f->nodes));
    for (int i = 0; i < STRANGERS; i++) {
        struct heard h = {.len = 0};
        hear(fds[i], &h);
        uint64_t key = CARD_KEY;
        assert_null(memmem(h.bytes, h.len, &key, sizeof key));
        close(fds[i]);
    }
}

/* The proof must come in time, or the connection ends. */
static void who_stops_in_the_handshake_is_hung_up_on(void **state)
{
    struct fixture *f = *state;
    struct nx_boot_auth a;
    struct heard h = {.len = 0};
    uint8_t frame[NX_BOOT_FRAME_MAX];
    boot_nodes_open(&f->nodes, 0);
    int fd = dial(f);
    say(f, fd, frame, make_begin(&a, SECRET, 12, frame));
    BOOT_POLL_UNTIL(&f->nodes, (hear(fd, &h), h.ended));
    assert_no_card(&h, (enum nx_boot_kind[]){NX_BOOT_CHALLENGE}, 1);
    close(fd);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        WITH(a_bad_file_is_refused_with_the_reason),
        WITH(a_good_file_gives_a_key_until_it_is_wiped),
        WITH(no_secret_is_told_where_others_can_reach),
        WITH(the_right_secret_forms_the_group),
        WITH(another_secret_is_refused),
        WITH(no_secret_is_refused),
        WITH(a_secret_where_the_leader_has_none_is_refused),
        WITH(another_configuration_is_named_behind_the_proof),
        WITH(who_guesses_the_secret_hears_no_card),
        WITH(who_skips_the_proof_hears_no_card),
        WITH(who_says_another_id_than_it_proved_is_refused),
        WITH(an_impostor_of_the_leader_hears_no_card),
        WITH(a_leader_that_is_silent_is_called_again),
        WITH(strangers_in_the_handshake_do_not_keep_the_group_from_forming),
        WITH(who_stops_in_the_handshake_is_hung_up_on),
    };
    return cmocka_run_group_tests_name("boot_secret", tests, NULL, NULL);
}
