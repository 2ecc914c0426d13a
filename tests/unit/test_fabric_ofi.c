/* Two and three fabrics in one thread, on real sockets over loopback.
 *
 *   test_fabric_ofi                over tcp
 *   test_fabric_ofi IP PROVIDER    over any provider, as scripts/test-verbs does */
#include "common/clock.h"
#include "group/fabric/fabric.h"
#include "group/fabric/fabric_ofi.h"
#include "nx_test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NODES = 3, REGION_BYTES = 1 << 20, TOKEN = 0x1234567 };

static const char *ip = "127.0.0.1", *provider = "tcp";

struct node {
    struct nx_fabric *fabric;
    uint8_t *region;
    nx_rankset down;
    const char *why;
};

struct fixture {
    struct node nodes[NODES];
    struct nx_fabric_card cards[NODES];
};

static void turn(struct node *node)
{
    struct nx_fabric_event downs[NX_MEMBERS_MAX];
    uint32_t count = 0;
    if (!node->fabric)
        return;
    nx_fabric_poll(node->fabric, downs, &count);
    for (uint32_t i = 0; i < count; i++) {
        assert_false(node->down & NX_RANK_BIT(downs[i].peer)); /* reported once */
        node->down |= NX_RANK_BIT(downs[i].peer);
        node->why = downs[i].why;
    }
}

static void turn_all(struct fixture *f)
{
    for (int i = 0; i < NODES; i++)
        turn(&f->nodes[i]);
}

#define POLL_UNTIL(f, condition)                        \
    do {                                                \
        nx_ns until_ = nx_clock_now() + 60 * NX_SEC;    \
        while (!(condition) && nx_clock_now() < until_) \
            turn_all(f);                                \
        assert_true(condition);                         \
    } while (0)

static int open_nodes_as(void **state, bool plain)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct nx_fabric_config config = {.members_max = NODES, .plain = plain};
    snprintf(config.provider, sizeof config.provider, "%s", provider);
    snprintf(config.local_ip, sizeof config.local_ip, "%s", ip);
    for (int i = 0; i < NODES; i++) {
        struct nx_err err = {0};
        f->nodes[i].region = aligned_alloc(4096, REGION_BYTES);
        memset(f->nodes[i].region, 0, REGION_BYTES);
        if (nx_fabric_open(&config, f->nodes[i].region, REGION_BYTES, &f->nodes[i].fabric,
                           &f->cards[i], &err) != NX_OK)
            fail_msg("%s", err.text);
    }
    *state = f;
    return 0;
}

static int open_nodes(void **state)
{
    return open_nodes_as(state, false);
}

static int open_plain_nodes(void **state)
{
    return open_nodes_as(state, true);
}

static int close_nodes(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < NODES; i++) {
        if (f->nodes[i].fabric)
            nx_fabric_close(f->nodes[i].fabric);
        free(f->nodes[i].region);
    }
    free(f);
    return 0;
}

static void connect_node(struct fixture *f, nx_rank rank, uint64_t token)
{
    struct nx_err err = {0};
    assert_int_equal(nx_fabric_connect(f->nodes[rank].fabric, rank, NODES, f->cards, token, &err),
                     NX_OK);
}

static bool all_connected(const struct fixture *f)
{
    for (nx_rank r = 0; r < NODES; r++)
        if (nx_fabric_connected(f->nodes[r].fabric) != (7u & ~NX_RANK_BIT(r)))
            return false;
    return true;
}

static void connect_all(struct fixture *f)
{
    for (nx_rank r = 0; r < NODES; r++)
        connect_node(f, r, TOKEN);
    POLL_UNTIL(f, all_connected(f));
}

static void everybody_connects_whoever_starts(void **state)
{
    struct fixture *f = *state;
    connect_node(f, 0, TOKEN); /* the lower ranks call before the others know of a view */
    for (int i = 0; i < 200; i++)
        turn_all(f);
    connect_node(f, 1, TOKEN);
    for (int i = 0; i < 200; i++)
        turn_all(f);
    connect_node(f, 2, TOKEN);
    POLL_UNTIL(f, all_connected(f));
    assert_true(nx_fabric_writable(f->nodes[1].fabric) == 5);
}

/* A guard may tear, so it is a number and its complement: nothing is read where they disagree. */
struct guard {
    uint64_t number, complement;
};

static void post_round(struct fixture *f, uint64_t n, uint64_t payload_at, uint32_t payload,
                       uint64_t guard_at)
{
    struct guard guard = {n, ~n};
    memset(f->nodes[0].region + payload_at, (int)(n & 0xff), payload);
    memcpy(f->nodes[0].region + guard_at, &guard, sizeof guard);
    struct nx_write w = {
        .peer = 1, .bytes = payload, .local_offset = payload_at, .remote_offset = payload_at};
    assert_int_equal(nx_fabric_post(f->nodes[0].fabric, &w), NX_OK);
    struct nx_write g = {.peer = 1,
                         .bytes = sizeof guard,
                         .inline_bytes = true,
                         .local_offset = guard_at,
                         .remote_offset = guard_at};
    assert_int_equal(nx_fabric_post(f->nodes[0].fabric, &g), NX_OK);
}

/* Payloads are written over and over from a changing source, each followed by its number inline:
 * whoever reads number n must find a payload of at least round n. */
static void a_guard_never_lands_before_its_payload(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    uint64_t posted = 0, seen = 0, torn = 0;
    const uint64_t rounds = 3000;
    const uint32_t payload = 8192, slot_bytes = 8192, slots = 64, guard_at = 900000;
    volatile struct guard *guard = (volatile struct guard *)(void *)(f->nodes[1].region + guard_at);
    guard->complement = ~(uint64_t)0;
    nx_ns until = nx_clock_now() + 60 * NX_SEC;
    while (seen < rounds && nx_clock_now() < until) {
        if (posted < rounds && posted < seen + slots &&
            (nx_fabric_writable(f->nodes[0].fabric) & 2)) {
            posted++;
            post_round(f, posted, posted % slots * slot_bytes, payload, guard_at);
        }
        turn_all(f);
        uint64_t now = guard->number;
        if (guard->complement != ~now) {
            torn++;
            continue;
        }
        assert_true(now >= seen && now <= posted);
        for (uint64_t n = seen + 1; n <= now; n++) {
            const uint8_t *slot = f->nodes[1].region + n % slots * slot_bytes;
            assert_int_equal(slot[0], n & 0xff);
            assert_int_equal(slot[payload - 1], n & 0xff);
        }
        seen = now;
    }
    assert_true(seen == rounds);
    printf("# %llu rounds, %llu times a guard was read torn\n", (unsigned long long)rounds,
           (unsigned long long)torn);
    struct nx_fabric_stats stats;
    nx_fabric_get_stats(f->nodes[0].fabric, &stats);
    assert_true(stats.writes == 2 * rounds);
    if (strcmp(provider, "tcp") == 0)
        assert_true(stats.operations < stats.writes); /* neighbours left together */
}

static void inline_writes_are_copies(struct fixture *f)
{
    for (uint8_t i = 1; i <= NX_WRITES_PER_PEER; i++) {
        f->nodes[2].region[0] = i;
        struct nx_write w = {.peer = 0, .bytes = 1, .inline_bytes = true, .remote_offset = i};
        assert_int_equal(nx_fabric_post(f->nodes[2].fabric, &w), NX_OK);
    }
    f->nodes[2].region[0] = 99;
    volatile uint8_t *got = f->nodes[0].region;
    POLL_UNTIL(f, got[NX_WRITES_PER_PEER] == NX_WRITES_PER_PEER);
    for (uint8_t i = 1; i <= NX_WRITES_PER_PEER; i++)
        assert_int_equal(got[i], i);
}

static void an_inline_write_is_a_copy(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    inline_writes_are_copies(f);
}

static void a_full_queue_is_not_writable_and_says_again(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    struct nx_write w = {.peer = 1, .bytes = 65536, .remote_offset = 65536};
    int taken = 0;
    while (nx_fabric_writable(f->nodes[0].fabric) & 2) {
        assert_int_equal(nx_fabric_post(f->nodes[0].fabric, &w), NX_OK);
        assert_true(++taken <= 1000);
    }
    enum nx_status status = NX_OK;
    while (status == NX_OK && ++taken <= 1000)
        status = nx_fabric_post(f->nodes[0].fabric, &w);
    assert_int_equal(status, NX_AGAIN);
    POLL_UNTIL(f, nx_fabric_writable(f->nodes[0].fabric) & 2); /* and frees itself */
}

static void a_closed_peer_is_reported_once_and_writes_to_it_are_dropped(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    nx_fabric_close(f->nodes[1].fabric);
    f->nodes[1].fabric = NULL;
    POLL_UNTIL(f, (f->nodes[0].down & 2) && (f->nodes[2].down & 2));
    assert_non_null(f->nodes[0].why);
    for (int i = 0; i < 1000; i++)
        turn_all(f);
    assert_true(f->nodes[0].down == 2 && f->nodes[2].down == 2);
    struct nx_write w = {.peer = 1, .bytes = 8};
    assert_int_equal(nx_fabric_post(f->nodes[0].fabric, &w), NX_PEER_DOWN);
    assert_true(nx_fabric_writable(f->nodes[0].fabric) == 4);
    assert_true(nx_fabric_connected(f->nodes[0].fabric) == 4);
}

static void a_dropped_peer_is_no_news_but_learns_of_it(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    nx_fabric_drop(f->nodes[0].fabric, 1);
    struct nx_write w = {.peer = 1, .bytes = 8};
    assert_int_equal(nx_fabric_post(f->nodes[0].fabric, &w), NX_PEER_DOWN);
    assert_true(nx_fabric_writable(f->nodes[0].fabric) == 4);
    POLL_UNTIL(f, f->nodes[1].down & 1);
    for (int i = 0; i < 1000; i++)
        turn_all(f);
    assert_true(f->nodes[0].down == 0 && f->nodes[1].down == 1 && f->nodes[2].down == 0);
}

static void a_caller_without_the_token_is_rejected(void **state)
{
    struct fixture *f = *state;
    connect_node(f, 2, TOKEN);
    connect_node(f, 1, TOKEN);
    connect_node(f, 0, TOKEN + 1);
    POLL_UNTIL(f, (f->nodes[0].down & 6) == 6 && nx_fabric_connected(f->nodes[1].fabric) == 4 &&
                      nx_fabric_connected(f->nodes[2].fabric) == 2);
    nx_fabric_disconnect(f->nodes[0].fabric); /* the right token later is welcome */
    connect_node(f, 0, TOKEN);
    POLL_UNTIL(f, all_connected(f));
}

static void disconnect_and_connect_again(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    for (nx_rank r = 0; r < NODES; r++)
        nx_fabric_disconnect(f->nodes[r].fabric);
    for (nx_rank r = 0; r < NODES; r++)
        connect_node(f, r, TOKEN + 7);
    POLL_UNTIL(f, all_connected(f));
    inline_writes_are_copies(f);
}

/* --- joiners ---------------------------------------------------------------------------------- */

/* Nodes 0 and 1 are a group of two; node 2 is still outside. */
static void connect_two(struct fixture *f)
{
    struct nx_err err = {0};
    for (nx_rank r = 0; r < 2; r++)
        assert_int_equal(nx_fabric_connect(f->nodes[r].fabric, r, 2, f->cards, TOKEN, &err), NX_OK);
    POLL_UNTIL(f, nx_fabric_connected(f->nodes[0].fabric) == 2 &&
                      nx_fabric_connected(f->nodes[1].fabric) == 1);
}

static void admit(struct fixture *f, uint64_t token)
{
    for (nx_rank r = 0; r < 2; r++)
        nx_fabric_admit(f->nodes[r].fabric, 2, &f->cards[2], token);
}

static void join(struct fixture *f, uint64_t token)
{
    struct nx_err err = {0};
    assert_int_equal(nx_fabric_join(f->nodes[2].fabric, 2, 3, f->cards, token, &err), NX_OK);
}

static void write_byte(struct fixture *f, nx_rank from, nx_rank to, uint8_t byte)
{
    struct nx_write w = {.peer = to, .bytes = 1, .inline_bytes = true, .remote_offset = 64 + from};
    volatile uint8_t *got = f->nodes[to].region + 64 + from;
    f->nodes[from].region[0] = byte;
    POLL_UNTIL(f, nx_fabric_writable(f->nodes[from].fabric) & NX_RANK_BIT(to));
    assert_int_equal(nx_fabric_post(f->nodes[from].fabric, &w), NX_OK);
    POLL_UNTIL(f, *got == byte);
}

static void all_write_to_all(struct fixture *f, uint8_t byte)
{
    for (nx_rank from = 0; from < NODES; from++)
        for (nx_rank to = 0; to < NODES; to++)
            if (from != to)
                write_byte(f, from, to, byte);
}

static void a_joiner_calls_everybody_who_admits_it(void **state)
{
    struct fixture *f = *state;
    connect_two(f);
    assert_true(nx_fabric_writable(f->nodes[0].fabric) == 2);
    nx_fabric_drop(f->nodes[0].fabric, 2); /* of a seat that it never heard of: nothing */
    admit(f, 99);
    join(f, 99);
    POLL_UNTIL(f, all_connected(f));
    all_write_to_all(f, 7);
    for (nx_rank r = 0; r < NODES; r++)
        assert_true(f->nodes[r].down == 0);
}

/* What has not happened after a while does not happen. */
static void turn_for(struct fixture *f, nx_ns ns)
{
    for (nx_ns until = nx_clock_now() + ns; nx_clock_now() < until;)
        turn_all(f);
}

static void a_joiner_that_is_not_admitted_gets_no_connection(void **state)
{
    struct fixture *f = *state;
    connect_two(f);
    nx_fabric_admit(f->nodes[0].fabric, 2, &f->cards[2], 99); /* at node 0 alone */
    join(f, 99);
    POLL_UNTIL(f, nx_fabric_connected(f->nodes[2].fabric) & 1);
    turn_for(f, 100 * NX_MS);
    assert_int_equal(nx_fabric_connected(f->nodes[2].fabric), 1);
    nx_fabric_disconnect(f->nodes[2].fabric); /* its token was for one call */
    f->nodes[2].down = 0;
    join(f, 99);
    turn_for(f, 100 * NX_MS);
    assert_int_equal(nx_fabric_connected(f->nodes[2].fabric), 0);
    assert_true(nx_fabric_writable(f->nodes[1].fabric) == 1);
    nx_fabric_disconnect(f->nodes[2].fabric);
    nx_fabric_admit(f->nodes[1].fabric, 2, &f->cards[2], 100); /* awaited, with another token */
    f->nodes[2].down = 0;
    join(f, 99);
    POLL_UNTIL(f, f->nodes[2].down & 2);
    nx_fabric_drop(f->nodes[1].fabric, 2); /* awaited no more */
    nx_fabric_disconnect(f->nodes[2].fabric);
    f->nodes[2].down = 0;
    join(f, 100);
    turn_for(f, 100 * NX_MS);
    assert_int_equal(nx_fabric_connected(f->nodes[2].fabric), 0);
}

/* Nobody's call is awaited: the port answers nobody, and hears of nobody. */
static void strangers_find_the_port_shut(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in at;
    int fds[200];
    if (strcmp(provider, "tcp") != 0) {
        print_message("SKIP: the port of provider %s takes no TCP calls\n", provider);
        skip();
    }
    connect_all(f);
    memcpy(&at, f->cards[1].address, sizeof at);
    for (size_t i = 0; i < 200; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        assert_true(fds[i] >= 0);
        assert_int_not_equal(connect(fds[i], (struct sockaddr *)&at, sizeof at), 0);
    }
    int highest = fds[199];
    turn_for(f, 100 * NX_MS);
    for (size_t i = 0; i < 200; i++) {
        struct tcp_info info = {0};
        socklen_t len = sizeof info;
        assert_int_equal(getsockopt(fds[i], IPPROTO_TCP, TCP_INFO, &info, &len), 0);
        assert_int_equal(info.tcpi_state, TCP_SYN_SENT);
    }
    int next = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(next, highest + 1); /* the fabrics took none */
    close(next);
    for (size_t i = 0; i < 200; i++)
        close(fds[i]);
    nx_fabric_admit(f->nodes[0].fabric, 2, &f->cards[2], 7); /* and opens for who is awaited */
    nx_fabric_admit(f->nodes[1].fabric, 2, &f->cards[2], 7);
    nx_fabric_disconnect(f->nodes[2].fabric);
    join(f, 7);
    POLL_UNTIL(f, nx_fabric_connected(f->nodes[2].fabric) == 3);
}

static void fill_queue(struct node *node, nx_rank peer)
{
    struct nx_write w = {.peer = peer, .bytes = 65536, .remote_offset = 65536};
    while (nx_fabric_writable(node->fabric) & NX_RANK_BIT(peer))
        assert_int_equal(nx_fabric_post(node->fabric, &w), NX_OK);
    nx_fabric_flush(node->fabric);
}

/* Each time with operations under way, so that completions of the connection before come late. */
static void a_seat_is_given_again_and_again(void **state)
{
    struct fixture *f = *state;
    connect_two(f);
    for (uint8_t round = 1; round <= 20; round++) {
        admit(f, 1000u + round);
        join(f, 1000u + round);
        POLL_UNTIL(f, all_connected(f));
        all_write_to_all(f, round);
        fill_queue(&f->nodes[0], 2);
        if (round % 2 ==
            0) /* members drop it first, or it goes first, or a new one is admitted over it */
            nx_fabric_drop(f->nodes[0].fabric, 2);
        if (round % 3 == 0)
            nx_fabric_drop(f->nodes[1].fabric, 2);
        nx_fabric_disconnect(f->nodes[2].fabric);
        for (int i = 0; i < round; i++)
            turn_all(f);
        for (nx_rank r = 0; r < NODES; r++)
            f->nodes[r].down = 0; /* what follows must be no late news of the old connection */
        admit(f, 1);
        for (int i = 0; i < 300; i++)
            turn_all(f);
        assert_true(f->nodes[0].down == 0 && f->nodes[1].down == 0);
    }
}

static bool readable(const struct node *node, int timeout_ms)
{
    struct pollfd p = {.fd = nx_fabric_fd(node->fabric), .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static void go_to_sleep(struct node *node)
{
    nx_ns until = nx_clock_now() + 60 * NX_SEC;
    while (nx_fabric_arm(node->fabric) != NX_OK) {
        assert_true(nx_clock_now() < until);
        turn(node);
    }
}

static void a_sleeper_is_woken_by_a_write_and_by_a_death(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    for (int i = 0; i < 200; i++)
        turn_all(f);
    go_to_sleep(&f->nodes[1]);
    assert_false(readable(&f->nodes[1], 0));
    struct nx_write w = {
        .peer = 1, .bytes = 8, .inline_bytes = true, .remote_offset = 64, .doorbell = true};
    f->nodes[0].region[0] = 42;
    assert_int_equal(nx_fabric_post(f->nodes[0].fabric, &w), NX_OK);
    nx_fabric_flush(f->nodes[0].fabric);
    assert_true(readable(&f->nodes[1], 60000));
    volatile uint8_t *got = f->nodes[1].region + 64;
    POLL_UNTIL(f, *got == 42);

    go_to_sleep(&f->nodes[1]);
    nx_fabric_close(f->nodes[2].fabric);
    f->nodes[2].fabric = NULL;
    assert_true(readable(&f->nodes[1], 60000));
    POLL_UNTIL(f, f->nodes[1].down == 4);
}

/* One operation a write, and some with a doorbell: all land, in order, and the sleeper wakes. */
static void a_plain_fabric_rings(void **state)
{
    struct fixture *f = *state;
    struct nx_fabric_caps caps;
    nx_fabric_get_caps(f->nodes[0].fabric, &caps);
    assert_false(caps.wakes_on_plain_write);
    connect_all(f);
    for (int i = 0; i < 200; i++)
        turn_all(f);
    go_to_sleep(&f->nodes[1]);
    volatile uint8_t *got = f->nodes[1].region + 64;
    for (uint8_t n = 1; n <= 200; n++) {
        f->nodes[0].region[0] = n;
        struct nx_write w = {.peer = 1,
                             .bytes = 8,
                             .inline_bytes = true,
                             .remote_offset = 64,
                             .doorbell = n % 3 == 0};
        POLL_UNTIL(f, nx_fabric_writable(f->nodes[0].fabric) & 2);
        assert_int_equal(nx_fabric_post(f->nodes[0].fabric, &w), NX_OK);
    }
    nx_fabric_flush(f->nodes[0].fabric);
    POLL_UNTIL(f, *got == 200);
    struct nx_fabric_stats stats;
    nx_fabric_get_stats(f->nodes[0].fabric, &stats);
    assert_int_equal(stats.doorbells, 66);
    assert_true(stats.operations == stats.writes);

    go_to_sleep(&f->nodes[1]);
    struct nx_write bell = {
        .peer = 1, .bytes = 8, .inline_bytes = true, .remote_offset = 64, .doorbell = true};
    assert_int_equal(nx_fabric_post(f->nodes[0].fabric, &bell), NX_OK);
    nx_fabric_flush(f->nodes[0].fabric);
    assert_true(readable(&f->nodes[1], 60000));
}

/* The kernel bounds how deep epoll descriptors nest; a server's own loop needs one level on top
 * of ours. */
static void its_descriptor_fits_into_a_loop(void **state)
{
    struct fixture *f = *state;
    struct epoll_event want = {.events = EPOLLIN};
    int loop = epoll_create1(0);
    connect_all(f);
    assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, nx_fabric_fd(f->nodes[1].fabric), &want), 0);
    go_to_sleep(&f->nodes[1]);
    assert_int_equal(epoll_wait(loop, &want, 1, 0), 0);
    struct nx_write w = {
        .peer = 1, .bytes = 8, .inline_bytes = true, .remote_offset = 64, .doorbell = true};
    assert_int_equal(nx_fabric_post(f->nodes[0].fabric, &w), NX_OK);
    nx_fabric_flush(f->nodes[0].fabric);
    assert_int_equal(epoll_wait(loop, &want, 1, 60000), 1);
    close(loop);
}

static void an_unknown_provider_or_address_is_one_sentence(void **state)
{
    (void)state;
    struct nx_fabric_config config = {
        .provider = "nosuch", .local_ip = "127.0.0.1", .members_max = 2};
    struct nx_fabric *fabric = NULL;
    struct nx_fabric_card card;
    struct nx_err err = {0};
    static uint8_t region[4096];
    assert_int_equal(nx_fabric_open(&config, region, sizeof region, &fabric, &card, &err),
                     NX_FATAL);
    assert_non_null(strstr(err.text, "nosuch"));
    strcpy(config.provider, "tcp");
    strcpy(config.local_ip, "192.0.2.77"); /* not ours */
    assert_int_equal(nx_fabric_open(&config, region, sizeof region, &fabric, &card, &err),
                     NX_FATAL);
    assert_null(fabric);
}

/* Eight equal bytes are written over and over while another thread looks on: does it see unequal
 * ones? The group must bear either answer; this tells what the machine is that it was tried on. */
struct watcher {
    const volatile uint64_t *word;
    atomic_bool stop;
    uint64_t looks, torn;
};

static void *watch_word(void *arg)
{
    struct watcher *w = arg;
    while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
        uint64_t word = *w->word;
        w->looks++;
        w->torn += word != (word & 0xff) * 0x0101010101010101u;
    }
    return NULL;
}

static void a_word_is_watched_while_it_lands(void **state)
{
    struct fixture *f = *state;
    connect_all(f);
    struct watcher w = {.word = (const volatile uint64_t *)(void *)(f->nodes[1].region + 64)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, watch_word, &w), 0);
    nx_ns until = nx_clock_now() + 3 * NX_SEC;
    for (unsigned posted = 0; nx_clock_now() < until; turn_all(f)) {
        if (!(nx_fabric_writable(f->nodes[0].fabric) & 2))
            continue;
        memset(f->nodes[0].region, (int)(++posted & 0xff), 8);
        struct nx_write write = {.peer = 1, .bytes = 8, .inline_bytes = true, .remote_offset = 64};
        assert_int_equal(nx_fabric_post(f->nodes[0].fabric, &write), NX_OK);
    }
    atomic_store(&w.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    printf("# a word was looked at %llu times, %llu times torn\n", (unsigned long long)w.looks,
           (unsigned long long)w.torn);
}

static void a_provider_is_known_by_its_protocol(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t protocol;
        bool stream;
    } providers[] = {
        {"tcp", FI_PROTO_SOCK_TCP, true},       {"another", FI_PROTO_SOCK_TCP, true},
        {"tcp", FI_PROTO_RDMA_CM_IB_RC, false}, {"verbs", FI_PROTO_RDMA_CM_IB_RC, false},
        {"verbs", FI_PROTO_IWARP, false},       {"tcp;ofi_rxm", FI_PROTO_RXM, false},
    };
    assert_int_equal(nx_ofi_lib_load(NULL), NX_OK);
    for (size_t i = 0; i < sizeof providers / sizeof *providers; i++) {
        struct fi_info *info = nx_ofi_lib.dupinfo(NULL);
        assert_non_null(info);
        info->fabric_attr->prov_name = strdup(providers[i].name);
        info->ep_attr->protocol = providers[i].protocol;
        assert_int_equal(nx_ofi_is_stream(info), providers[i].stream);
        nx_ofi_lib.freeinfo(info);
    }
}

/* The one under test is the one that its test was asked for. */
static void a_provider_says_what_it_is(void **state)
{
    struct fixture *f = *state;
    struct nx_fabric_caps caps;
    bool stream = strcmp(provider, "tcp") == 0;
    nx_fabric_get_caps(f->nodes[0].fabric, &caps);
    assert_int_equal(caps.wakes_on_plain_write, stream);
    assert_int_equal(caps.needs_target_progress, stream);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        ip = argv[1];
        provider = argv[2];
    }
#define WITH_NODES(test) cmocka_unit_test_setup_teardown(test, open_nodes, close_nodes)
    const struct CMUnitTest tests[] = {
        WITH_NODES(everybody_connects_whoever_starts),
        WITH_NODES(a_guard_never_lands_before_its_payload),
        WITH_NODES(an_inline_write_is_a_copy),
        WITH_NODES(a_full_queue_is_not_writable_and_says_again),
        WITH_NODES(a_closed_peer_is_reported_once_and_writes_to_it_are_dropped),
        WITH_NODES(a_dropped_peer_is_no_news_but_learns_of_it),
        WITH_NODES(a_caller_without_the_token_is_rejected),
        WITH_NODES(disconnect_and_connect_again),
        WITH_NODES(a_joiner_calls_everybody_who_admits_it),
        WITH_NODES(a_joiner_that_is_not_admitted_gets_no_connection),
        WITH_NODES(strangers_find_the_port_shut),
        WITH_NODES(a_seat_is_given_again_and_again),
        WITH_NODES(a_sleeper_is_woken_by_a_write_and_by_a_death),
        WITH_NODES(its_descriptor_fits_into_a_loop),
        cmocka_unit_test_setup_teardown(a_plain_fabric_rings, open_plain_nodes, close_nodes),
        cmocka_unit_test(an_unknown_provider_or_address_is_one_sentence),
        cmocka_unit_test(a_provider_is_known_by_its_protocol),
        WITH_NODES(a_provider_says_what_it_is),
    };
    const struct CMUnitTest watched[] = {WITH_NODES(a_word_is_watched_while_it_lands)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return argc == 3 ? failed + cmocka_run_group_tests(watched, NULL, NULL) : failed;
}
