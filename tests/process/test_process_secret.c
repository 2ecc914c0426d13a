/* Groups of real processes with a shared secret: who forms one, who is refused, and what a
 * stranger reads on the wire. */
#include "group/fabric/boot_auth.h"
#include "nx_ports.h"
#include "nx_test.h"
#include "process/process_driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STRANGERS = 200 };

static const char *program;

struct fixture {
    struct driver driver;
    char folder[64], secret[96], other[96], log[96];
};

static void write_secret(const char *path, const char *text, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/nexus-process-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->secret, sizeof f->secret, "%s/secret", f->folder);
    snprintf(f->other, sizeof f->other, "%s/other", f->folder);
    write_secret(f->secret, "the secret of the process tests", 0600);
    write_secret(f->other, "the secret of some other group", 0600);
    f->driver.program = program;
    f->driver.ip = "127.0.0.1";
    f->driver.provider = "tcp";
    f->driver.port = nx_free_port();
    f->driver.secret_file = f->secret;
    snprintf(f->log, sizeof f->log, "%s/log", f->folder);
    f->driver.log = open(f->log, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0600);
    assert_true(f->driver.log > 0);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    driver_stop_all(&f->driver);
    close(f->driver.log);
    unlink(f->log);
    unlink(f->secret);
    unlink(f->other);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void assert_logged(struct fixture *f, const char *words)
{
    char text[8192];
    ssize_t n = pread(f->driver.log, text, sizeof text - 1, 0);
    text[n < 0 ? 0 : n] = '\0';
    if (!strstr(text, words))
        fail_msg("the leader logged \"%s\", not \"%s\"", text, words);
}

static void await_view(struct driver *d, unsigned nodes)
{
    char words[32];
    snprintf(words, sizeof words, "view %u members", nodes);
    for (unsigned i = 0; i < nodes; i++)
        driver_await(d, i, words);
}

static void the_right_secret_forms_a_group_that_works(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    for (unsigned i = 3; i-- > 0;)
        driver_start(d, i, i, 3, 1, 60);
    await_view(d, 3);
    driver_tell(d, 0, "query 1 100 1000 8");
    driver_await(d, 0, "queries to 1 answered 100 failed 0");
}

/* Node 1 with this secret is refused, both sides say so, and with the leader's the group forms. */
static void refuse_with(struct fixture *f, const char *file, const char *words)
{
    struct driver *d = &f->driver;
    const char *right = d->secret_file;
    char refused[64];
    snprintf(refused, sizeof refused, "the leader 127.0.0.1:%u refused node 1: ", d->port);
    driver_start(d, 0, 0, 2, 1, 60);
    driver_await(d, 0, "open");
    d->secret_file = file;
    driver_start(d, 1, 1, 2, 1, 60);
    const char *line = driver_await(d, 1, "failed");
    if (!strstr(line, words) || !strstr(line, refused))
        fail_msg("the node says \"%s\", not \"%s\"", line, words);
    assert_int_equal(driver_await_exit(d, 1), 3);
    assert_logged(f, words);
    d->secret_file = right;
    driver_start(d, 1, 1, 2, 1, 60);
    await_view(d, 2);
}

static void another_secret_is_refused_on_both_sides(void **state)
{
    struct fixture *f = *state;
    refuse_with(f, f->other, "node 1 does not prove that it knows this group's secret");
}

static void a_node_without_a_secret_is_refused_on_both_sides(void **state)
{
    refuse_with(*state, NULL, "this group has a shared secret, node 1 gives none (secret_file)");
}

static void a_secret_that_the_leader_lacks_is_refused_on_both_sides(void **state)
{
    struct fixture *f = *state;
    f->driver.secret_file = NULL;
    refuse_with(f, f->other, "node 1 has a shared secret (secret_file), this group none");
}

static void a_bad_secret_file_is_told_at_open(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    static const struct {
        const char *text, *words;
        mode_t mode;
    } cases[] = {
        {"fifteen bytes..", "holds 15 bytes, expected 16 to 4096", 0600},
        {"sixteen bytes or more", "is open to other users (mode 0644, expected 0600, or 0640)",
         0644},
        {NULL, "No such file or directory", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unlink(f->secret);
        if (cases[i].text)
            write_secret(f->secret, cases[i].text, cases[i].mode);
        driver_start(d, 0, 0, 2, 1, 60);
        const char *line = driver_await(d, 0, "refused");
        if (!strstr(line, cases[i].words) || !strstr(line, f->secret))
            fail_msg("the node says \"%s\", not \"%s\"", line, cases[i].words);
        assert_int_equal(driver_await_exit(d, 0), 4);
    }
}

/* --- strangers -------------------------------------------------------------------------------- */

static int dial(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        fail_msg("nobody listens: %s", strerror(errno));
    return fd;
}

static size_t make_begin(struct nx_boot_auth *a, nx_node node, uint8_t frame[NX_BOOT_FRAME_MAX])
{
    static const uint8_t base[NX_BOOT_KEY_BYTES] = {1}, nonce[NX_BOOT_NONCE_BYTES] = {2};
    return nx_boot_auth_join(a, base, node, 99, nonce, frame);
}

/* One frame, or the end (kind 0). */
static enum nx_boot_kind read_frame(int fd, uint8_t bytes[NX_BOOT_FRAME_MAX], size_t *len,
                                    const uint8_t **payload, size_t *payload_len)
{
    enum nx_boot_kind kind;
    struct nx_err err = {0};
    enum nx_status status;
    for (*len = 0; (status = nx_boot_find_frame(bytes, *len, &kind, payload, payload_len, &err)) ==
                   NX_AGAIN;) {
        ssize_t n = recv(fd, bytes + *len,
                         *len < NX_BOOT_HEAD_BYTES ? NX_BOOT_HEAD_BYTES - *len
                                                   : bytes[0] + 256u * bytes[1] + 4u - *len,
                         0);
        if (n <= 0)
            return (enum nx_boot_kind)0;
        *len += (size_t)n;
    }
    assert_int_equal(status, NX_OK);
    return kind;
}

/* Follows the protocol, but has no secret. The leader's fabric port and its region's key stand in
 * its card; a stranger reads a challenge, a refusal, and the end. */
static void a_stranger_in_the_protocol_reads_no_card(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    struct nx_boot_auth a;
    struct nx_err err = {0};
    uint8_t frame[NX_BOOT_FRAME_MAX], bytes[NX_BOOT_FRAME_MAX];
    const uint8_t *payload;
    size_t len, payload_len, reply;
    driver_start(d, 0, 0, 2, 1, 60);
    driver_await(d, 0, "open");
    int fd = dial(d->port);
    size_t begin = make_begin(&a, 1, frame);
    assert_int_equal(send(fd, frame, begin, MSG_NOSIGNAL), begin);
    assert_int_equal(read_frame(fd, bytes, &len, &payload, &payload_len), NX_BOOT_CHALLENGE);
    assert_int_equal(payload_len, 4 + 4 + 4 + NX_BOOT_NONCE_BYTES); /* an id and a nonce */
    assert_int_equal(
        nx_boot_auth_take(&a, NX_BOOT_CHALLENGE, payload, payload_len, frame, &reply, &err), NX_OK);
    assert_int_equal(send(fd, frame, reply, MSG_NOSIGNAL), reply);
    assert_int_equal(read_frame(fd, bytes, &len, &payload, &payload_len), NX_BOOT_REFUSED);
    char why[NX_ERR_TEXT_BYTES];
    nx_boot_decode_reason(payload, payload_len, why, sizeof why);
    assert_string_equal(why, "node 1 does not prove that it knows this group's secret (another "
                             "secret_file?)");
    assert_int_equal(read_frame(fd, bytes, &len, &payload, &payload_len), 0);
    close(fd);
    driver_start(d, 1, 1, 2, 1, 60); /* the id is not taken by the stranger */
    await_view(d, 2);
}

/* Silent, half a begin, noise, a begin without the proof, a proof out of the blue; all stay. */
static void pester(uint16_t port, int fds[], int count)
{
    for (int i = 0; i < count; i++) {
        struct nx_boot_auth a;
        uint8_t frame[NX_BOOT_FRAME_MAX], proof[NX_BOOT_PROOF_BYTES] = {4};
        size_t len = make_begin(&a, 1000 + (nx_node)i, frame);
        fds[i] = dial(port);
        if (i % 5 == 1)
            len /= 2;
        else if (i % 5 == 2)
            memset(frame, 0xa5 + i, len);
        else if (i % 5 == 4)
            len = nx_boot_encode(NX_BOOT_PROOF, proof, sizeof proof, frame);
        if (i % 5 != 0)
            (void)send(fds[i], frame, len, MSG_NOSIGNAL);
    }
}

static void strangers_in_the_handshake_do_not_keep_the_group_from_forming(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    int fds[STRANGERS];
    driver_start(d, 0, 0, 3, 1, 60);
    driver_await(d, 0, "open");
    pester(d->port, fds, STRANGERS / 2);
    driver_start(d, 1, 1, 3, 1, 60);
    pester(d->port, fds + STRANGERS / 2, STRANGERS / 2);
    driver_start(d, 2, 2, 3, 1, 60);
    await_view(d, 3);
    driver_tell(d, 0, "query 2 100 1000 8");
    driver_await(d, 0, "queries to 2 answered 100 failed 0");
    for (int i = 0; i < STRANGERS; i++)
        close(fds[i]);
}

static void who_stops_in_the_handshake_is_hung_up_on(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    struct nx_boot_auth a;
    uint8_t frame[NX_BOOT_FRAME_MAX], bytes[NX_BOOT_FRAME_MAX];
    const uint8_t *payload;
    size_t len, payload_len;
    driver_start(d, 0, 0, 2, 1, 60);
    driver_await(d, 0, "open");
    int fd = dial(d->port);
    nx_ns start = nx_clock_now();
    size_t begin = make_begin(&a, 1, frame);
    assert_int_equal(send(fd, frame, begin, MSG_NOSIGNAL), begin);
    assert_int_equal(read_frame(fd, bytes, &len, &payload, &payload_len), NX_BOOT_CHALLENGE);
    assert_int_equal(read_frame(fd, bytes, &len, &payload, &payload_len), 0); /* by the timeout */
    printf("# a stranger that stops in the handshake is hung up on after %.1f s\n",
           (double)(nx_clock_now() - start) / NX_SEC);
    assert_true(nx_clock_now() - start < 60 * NX_SEC);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: test_process_secret PROCESS_NODE\n");
        return 2;
    }
    program = argv[1];
    signal(SIGPIPE, SIG_IGN);
#define WITH(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        WITH(the_right_secret_forms_a_group_that_works),
        WITH(another_secret_is_refused_on_both_sides),
        WITH(a_node_without_a_secret_is_refused_on_both_sides),
        WITH(a_secret_that_the_leader_lacks_is_refused_on_both_sides),
        WITH(a_bad_secret_file_is_told_at_open),
        WITH(a_stranger_in_the_protocol_reads_no_card),
        WITH(strangers_in_the_handshake_do_not_keep_the_group_from_forming),
        WITH(who_stops_in_the_handshake_is_hung_up_on),
    };
    return cmocka_run_group_tests_name("process_secret", tests, NULL, NULL);
}
