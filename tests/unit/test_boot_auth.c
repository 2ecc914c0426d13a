/* Both machines of the handshake, frame by frame. The golden bytes were computed with Python's
 * hmac and hashlib from the formulas in boot_auth.h. */
#include "group/fabric/boot_auth.h"
#include "nx_test.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SECRET[] = "correct horse battery staple, 32";
enum { JOINER = 7, LEADER = 3 };
#define HASH 0x1122334455667788

struct frame {
    uint8_t bytes[NX_BOOT_FRAME_MAX];
    size_t len;
};

/* The four messages of one handshake, in order: 0 begin, 1 challenge, 2 and 3 the proofs. */
struct pair {
    struct nx_boot_auth joiner, leader;
    struct frame said[4];
};

static struct nx_err err;

static void derive(const char *secret, uint8_t base[NX_BOOT_KEY_BYTES])
{
    assert_int_equal(nx_boot_auth_derive(secret, strlen(secret), base, &err), NX_OK);
}

static void open_joiner(struct nx_boot_auth *a, const char *secret, uint8_t first, struct frame *f)
{
    uint8_t base[NX_BOOT_KEY_BYTES], nonce[NX_BOOT_NONCE_BYTES];
    derive(secret, base);
    for (int i = 0; i < NX_BOOT_NONCE_BYTES; i++)
        nonce[i] = (uint8_t)(first + i);
    f->len = nx_boot_auth_join(a, base, JOINER, HASH, nonce, f->bytes);
}

static void open_leader(struct nx_boot_auth *a, const char *secret, uint8_t first)
{
    uint8_t base[NX_BOOT_KEY_BYTES], nonce[NX_BOOT_NONCE_BYTES];
    derive(secret, base);
    for (int i = 0; i < NX_BOOT_NONCE_BYTES; i++)
        nonce[i] = (uint8_t)(first + i);
    nx_boot_auth_lead(a, base, LEADER, nonce);
}

static void open_pair(struct pair *p)
{
    memset(p, 0, sizeof *p);
    open_joiner(&p->joiner, SECRET, 0, &p->said[0]);
    open_leader(&p->leader, SECRET, 100);
}

/* What a connection does with a frame that came; NX_AGAIN: it is not whole. */
static enum nx_status give(struct nx_boot_auth *to, const struct frame *f, struct frame *reply)
{
    enum nx_boot_kind kind;
    const uint8_t *payload;
    size_t len;
    struct frame ignored;
    reply = reply ? reply : &ignored;
    reply->len = 0;
    err = (struct nx_err){0};
    enum nx_status status = nx_boot_find_frame(f->bytes, f->len, &kind, &payload, &len, &err);
    if (status != NX_OK)
        return status;
    if (!nx_boot_auth_wants(to, kind))
        return NX_UNSUPPORTED;
    status = nx_boot_auth_take(to, kind, payload, len, reply->bytes, &reply->len, &err);
    if (status != NX_OK) { /* it ends there, says why, and gives nothing */
        assert_true(err.text[0] != '\0' && reply->len == 0);
        assert_int_equal(to->state, NX_AUTH_FAILED);
        assert_false(nx_boot_auth_settled(to));
    }
    return status;
}

/* The whole handshake; false at the first frame that is refused. */
static bool shake(struct pair *p)
{
    return give(&p->leader, &p->said[0], &p->said[1]) == NX_OK &&
           give(&p->joiner, &p->said[1], &p->said[2]) == NX_OK &&
           give(&p->leader, &p->said[2], &p->said[3]) == NX_OK &&
           give(&p->joiner, &p->said[3], NULL) == NX_OK;
}

static void settle(struct pair *p)
{
    open_pair(p);
    assert_true(shake(p));
    assert_true(nx_boot_auth_settled(&p->joiner) && nx_boot_auth_settled(&p->leader));
}

static void assert_hex(const uint8_t *bytes, size_t len, const char *hex)
{
    char text[256] = "";
    assert_true(2 * len < sizeof text);
    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(text, hex);
}

static struct frame sealed(struct nx_boot_auth *from, enum nx_boot_kind kind, const char *text)
{
    struct frame f;
    f.len = nx_boot_encode(kind, (const uint8_t *)text, strlen(text), f.bytes);
    f.len = nx_boot_auth_seal(from, f.bytes, f.len);
    assert_true(f.len > 0);
    return f;
}

/* Takes a sealed frame, and counts it if it is good. */
static enum nx_status open_seal(struct nx_boot_auth *to, const struct frame *f, const char *text)
{
    enum nx_boot_kind kind;
    const uint8_t *payload;
    size_t len, again;
    enum nx_status status = nx_boot_find_frame(f->bytes, f->len, &kind, &payload, &len, &err);
    if (status != NX_OK)
        return status;
    assert_false(nx_boot_auth_wants(to, kind));
    again = len;
    status = nx_boot_auth_open(to, kind, payload, &len, &err);
    assert_int_equal(nx_boot_auth_open(to, kind, payload, &again, &err), status); /* not counted */
    if (status != NX_OK)
        return status;
    assert_int_equal(len, strlen(text));
    assert_memory_equal(payload, text, len);
    assert_int_equal(nx_boot_auth_count(to), NX_BOOT_PROOF_BYTES);
    return NX_OK;
}

/* --- what is right ---------------------------------------------------------------------------- */

static void the_golden_transcript(void **state)
{
    (void)state;
    static const char *const golden[] = {
        "35000000066e78613103000000070000008877665544332211000102030405060708090a0b0c0d0e"
        "0f101112131415161718191a1b1c1d1e1f",
        "2d000000076e78613103000000030000006465666768696a6b6c6d6e6f707172737475767778797a"
        "7b7c7d7e7f80818283",
        "2100000008ac725650cd8c5a5a1db4725564c50fa8b866ce2349291f36eb140df3160e36ff",
        "21000000086436620cd4c6d2d9cc49948ba04a25ea5c3b21767921a81bb91808b10ab84c8a"};
    uint8_t base[NX_BOOT_KEY_BYTES];
    derive(SECRET, base);
    assert_hex(base, sizeof base,
               "c54262edf4b359f7105d1ffd21d6006e755ac2bb63557832fc20fcf1aaf64331");
    struct pair p;
    settle(&p);
    for (int i = 0; i < 4; i++)
        assert_hex(p.said[i].bytes, p.said[i].len, golden[i]);
    struct frame f = sealed(&p.joiner, NX_BOOT_HELLO, "a hello");
    assert_hex(f.bytes, f.len,
               "2800000001612068656c6c6fa82018a8d4e8fc8dce2227f9a9fefa60c6b67bf0fcb16ed9bd675de7"
               "c89f05f8");
    f = sealed(&p.joiner, NX_BOOT_CONNECTED, "");
    assert_hex(f.bytes, f.len,
               "21000000044adcf03c3edf81d10206c3223ab3063dbb4012ab3be5f10c3a67ca85da8c6a28");
    f = sealed(&p.leader, NX_BOOT_VIEW, "a view");
    assert_hex(f.bytes, f.len,
               "27000000036120766965771aead8a0ad917b79a87b16eb28d5012dd6890c50d318a0eb3b90823a53"
               "69ac65");
}

static void both_know_who_they_talk_to(void **state)
{
    (void)state;
    struct pair p;
    settle(&p);
    assert_int_equal(p.leader.joiner, JOINER);
    assert_int_equal(p.joiner.leader, LEADER);
    assert_true(p.leader.layout_hash == HASH);
    static const uint8_t zero[NX_BOOT_KEY_BYTES];
    assert_memory_equal(p.leader.base, zero, sizeof zero); /* not needed any more */
    assert_memory_equal(p.joiner.base, zero, sizeof zero);
}

/* Before the caller has proven itself the leader has said this and nothing else. */
static void a_challenge_holds_an_id_and_a_nonce_only(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    assert_int_equal(give(&p.leader, &p.said[0], &p.said[1]), NX_OK);
    assert_int_equal(p.said[1].len, NX_BOOT_HEAD_BYTES + 4 + 4 + 4 + NX_BOOT_NONCE_BYTES);
    assert_false(nx_boot_auth_settled(&p.leader));
}

/* --- what is not ------------------------------------------------------------------------------ */

static void set_length(struct frame *f)
{
    f->bytes[0] = (uint8_t)(f->len - 4);
    f->bytes[1] = (uint8_t)((f->len - 4) >> 8);
}

/* Runs the handshake with message `m` spoilt; nobody who hears it, or comes after, settles. */
static void shake_spoilt(int m, void (*spoil)(struct frame *f, unsigned n), unsigned n)
{
    struct pair p;
    open_pair(&p);
    struct nx_boot_auth *hears[] = {&p.leader, &p.joiner, &p.leader, &p.joiner};
    for (int i = 0; i < m; i++)
        assert_int_equal(give(hears[i], &p.said[i], &p.said[i + 1]), NX_OK);
    spoil(&p.said[m], n);
    for (int i = m; i < 4; i++)
        if (give(hears[i], &p.said[i], i < 3 ? &p.said[i + 1] : NULL) != NX_OK)
            break;
    assert_false(nx_boot_auth_settled(&p.joiner));
    assert_true(m == 3 || !nx_boot_auth_settled(&p.leader));
}

static void cut(struct frame *f, unsigned n)
{
    f->len = NX_BOOT_HEAD_BYTES + n;
    set_length(f);
}

static void flip(struct frame *f, unsigned n)
{
    f->bytes[n / 8] ^= (uint8_t)(1 << n % 8);
}

static void add(struct frame *f, unsigned n)
{
    memset(f->bytes + f->len, 0, n);
    f->len += n;
    set_length(f);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct pair p;
    settle(&p);
    for (int m = 0; m < 4; m++) {
        for (unsigned n = 0; n < p.said[m].len - NX_BOOT_HEAD_BYTES; n++)
            shake_spoilt(m, cut, n);
        for (unsigned n = 1; n < 40; n++)
            shake_spoilt(m, add, n);
    }
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    struct pair p;
    settle(&p);
    for (int m = 0; m < 4; m++)
        for (unsigned n = 0; n < 8 * p.said[m].len; n++)
            shake_spoilt(m, flip, n);
}

static void a_half_message_is_awaited(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    for (p.said[1] = p.said[0], p.said[1].len = 0; p.said[1].len < p.said[0].len; p.said[1].len++)
        assert_int_equal(give(&p.leader, &p.said[1], NULL), NX_AGAIN);
    assert_true(shake(&p));
}

static void a_replayed_joiner_is_refused(void **state)
{
    (void)state;
    struct pair old, now;
    settle(&old);
    open_pair(&now);
    open_leader(&now.leader, SECRET, 101); /* another nonce, as every connection has */
    assert_int_equal(give(&now.leader, &old.said[0], &now.said[1]), NX_OK);
    assert_int_equal(give(&now.leader, &old.said[2], NULL), NX_DENIED);
    assert_string_equal(err.text, "node 7 does not prove that it knows this group's secret "
                                  "(another secret_file?)");
}

static void a_replayed_leader_is_refused(void **state)
{
    (void)state;
    struct pair old, now;
    settle(&old);
    open_pair(&now);
    open_joiner(&now.joiner, SECRET, 1, &now.said[0]);
    assert_int_equal(give(&now.joiner, &old.said[1], &now.said[2]), NX_OK);
    assert_int_equal(give(&now.joiner, &old.said[3], NULL), NX_DENIED);
    assert_string_equal(err.text, "node 3 answers there, and does not prove that it knows this "
                                  "group's secret");
}

static void a_reflected_proof_is_refused(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    assert_int_equal(give(&p.leader, &p.said[0], &p.said[1]), NX_OK);
    assert_int_equal(give(&p.joiner, &p.said[1], &p.said[2]), NX_OK);
    assert_int_equal(give(&p.joiner, &p.said[2], NULL), NX_DENIED);
}

/* The joiner's own nonce and id come back as the challenge, then its own proof. */
static void a_mirror_is_refused(void **state)
{
    (void)state;
    struct nx_boot_auth joiner, mirror;
    struct frame begin, challenge, proof;
    open_joiner(&joiner, SECRET, 50, &begin);
    open_leader(&mirror, "whatever the mirror has for a secret", 50);
    mirror.leader = JOINER;
    assert_int_equal(give(&mirror, &begin, &challenge), NX_OK);
    assert_int_equal(give(&joiner, &challenge, &proof), NX_OK);
    assert_int_equal(give(&joiner, &proof, NULL), NX_DENIED);
}

/* A leader's proof over the very same nonces is none of a joiner. */
static void the_other_role_s_proof_is_refused(void **state)
{
    (void)state;
    struct pair p;
    settle(&p);
    struct nx_boot_auth leader;
    open_leader(&leader, SECRET, 100);
    assert_int_equal(give(&leader, &p.said[0], NULL), NX_OK);
    assert_int_equal(give(&leader, &p.said[3], NULL), NX_DENIED);
}

static void another_version_is_named(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    p.said[0].bytes[NX_BOOT_HEAD_BYTES + 4] = 9;
    assert_int_equal(give(&p.leader, &p.said[0], NULL), NX_DENIED);
    assert_string_equal(err.text, "you speak version 9 of the bootstrap protocol, this group 3");
    open_pair(&p);
    assert_int_equal(give(&p.leader, &p.said[0], &p.said[1]), NX_OK);
    p.said[1].bytes[NX_BOOT_HEAD_BYTES + 4] = 9;
    assert_int_equal(give(&p.joiner, &p.said[1], NULL), NX_DENIED);
    assert_string_equal(err.text,
                        "the leader speaks version 9 of the bootstrap protocol, this node 2");
}

static void another_secret_is_refused_by_both(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    open_joiner(&p.joiner, "correct horse battery staple, 33", 0, &p.said[0]);
    assert_false(shake(&p));
    assert_int_equal(p.leader.state, NX_AUTH_FAILED); /* at the joiner's proof … */
    open_pair(&p);
    open_leader(&p.leader, "some impostor's own secret", 0);
    struct nx_boot_auth honest = p.joiner;
    assert_int_equal(give(&p.leader, &p.said[0], &p.said[1]), NX_OK);
    assert_int_equal(give(&honest, &p.said[1], &p.said[2]), NX_OK);
    open_joiner(&p.joiner, "some impostor's own secret", 0, &p.said[0]);
    open_leader(&p.leader, "some impostor's own secret", 0);
    assert_true(shake(&p)); /* … the impostor's to itself … */
    assert_int_equal(give(&honest, &p.said[3], NULL), NX_DENIED); /* … proves nothing to others */
}

static struct frame hello(void)
{
    struct nx_boot_hello h = {.version = NX_BOOT_VERSION,
                              .node = JOINER,
                              .provider = "tcp",
                              .host = "127.0.0.1",
                              .card = {.address_bytes = 16}};
    struct frame f;
    f.len = nx_boot_encode_hello(&h, f.bytes);
    return f;
}

static void a_secret_on_one_side_only_is_named(void **state)
{
    (void)state;
    struct pair p;
    struct frame plain = hello();
    open_pair(&p);
    assert_int_equal(give(&p.leader, &plain, NULL), NX_DENIED);
    assert_string_equal(err.text,
                        "this group has a shared secret, node 7 gives none (secret_file)");
    nx_boot_auth_off(&p.leader, NX_BOOT_LEADER);
    assert_true(nx_boot_auth_settled(&p.leader));
    assert_int_equal(give(&p.leader, &p.said[0], NULL), NX_DENIED);
    assert_string_equal(err.text, "node 7 has a shared secret (secret_file), this group none");
    nx_boot_auth_off(&p.leader, NX_BOOT_LEADER);
    assert_int_equal(give(&p.leader, &plain, NULL), NX_UNSUPPORTED); /* the bootstrap's business */
}

/* A machine that awaits a frame takes no other kind; a joiner shows a refusal. */
static void whatever_comes_out_of_turn_is_refused(void **state)
{
    (void)state;
    struct nx_boot_auth at[4];
    struct pair p;
    open_pair(&p);
    at[0] = p.leader;
    at[1] = p.joiner;
    assert_int_equal(give(&p.leader, &p.said[0], &p.said[1]), NX_OK);
    at[2] = p.leader;
    assert_int_equal(give(&p.joiner, &p.said[1], &p.said[2]), NX_OK);
    at[3] = p.joiner;
    static const enum nx_boot_kind awaited[] = {NX_BOOT_BEGIN, NX_BOOT_CHALLENGE, NX_BOOT_PROOF,
                                                NX_BOOT_PROOF};
    for (int i = 0; i < 4; i++)
        for (int kind = NX_BOOT_HELLO; kind < NX_BOOT_KINDS_END; kind++) {
            struct nx_boot_auth a = at[i];
            struct frame f;
            f.len = nx_boot_encode((enum nx_boot_kind)kind, (const uint8_t *)"1234", 4, f.bytes);
            enum nx_status status = give(&a, &f, NULL);
            bool shown = kind == NX_BOOT_REFUSED && i % 2 == 1;
            assert_int_equal(status, shown ? NX_UNSUPPORTED : NX_CORRUPT);
            assert_true(kind == (int)awaited[i] || !nx_boot_auth_settled(&a));
        }
}

static void a_failed_machine_takes_nothing(void **state)
{
    (void)state;
    struct pair p, good;
    settle(&good);
    open_pair(&p);
    struct frame bad = p.said[0];
    flip(&bad, 8 * NX_BOOT_HEAD_BYTES);
    assert_int_equal(give(&p.leader, &bad, NULL), NX_CORRUPT);
    for (int i = 0; i < 4; i++)
        assert_int_equal(give(&p.leader, &good.said[i], NULL), NX_CORRUPT);
    memset(&p.leader, 0, sizeof p.leader); /* never opened: not plain by accident */
    assert_false(nx_boot_auth_settled(&p.leader));
}

/* --- memory ----------------------------------------------------------------------------------- */

static long allocations_left = -1; /* OpenSSL's, until one fails; -1: none does */

static void *take_memory(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    if (allocations_left == 0)
        return NULL;
    allocations_left -= allocations_left > 0;
    return malloc(bytes);
}

static void *retake_memory(void *at, size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    if (allocations_left == 0)
        return NULL;
    allocations_left -= allocations_left > 0;
    return realloc(at, bytes);
}

static void give_memory(void *at, const char *file, int line)
{
    (void)file;
    (void)line;
    free(at);
}

/* From the n-th allocation on OpenSSL has no memory: somebody says so, and nobody settles by it. */
static void without_memory_nobody_settles(void **state)
{
    (void)state;
    struct pair p;
    settle(&p); /* what OpenSSL keeps for ever is there */
    bool settled = false;
    for (long n = 0; !settled; n++) {
        assert_true(n < 10000);
        open_pair(&p);
        allocations_left = n;
        settled = shake(&p);
        allocations_left = -1;
        if (!settled) {
            assert_true(err.status == NX_NO_MEMORY);
            assert_false(nx_boot_auth_settled(&p.joiner));
        }
    }
    struct frame f;
    f.len = nx_boot_encode(NX_BOOT_VIEW, (const uint8_t *)"view", 4, f.bytes);
    allocations_left = 0;
    size_t bytes = nx_boot_auth_seal(&p.leader, f.bytes, f.len);
    allocations_left = -1;
    assert_int_equal(bytes, 0);
    f = sealed(&p.leader, NX_BOOT_VIEW, "view"); /* the failure was not counted */
    assert_int_equal(open_seal(&p.joiner, &f, "view"), NX_OK);
}

/* --- seals ------------------------------------------------------------------------------------ */

static void sealed_frames_come_in_order_both_ways(void **state)
{
    (void)state;
    struct pair p;
    settle(&p);
    for (int i = 0; i < 300; i++) {
        char text[24];
        snprintf(text, sizeof text, "frame %d", i);
        struct frame there = sealed(&p.joiner, NX_BOOT_HELLO, text);
        struct frame back = sealed(&p.leader, NX_BOOT_VIEW, text);
        assert_int_equal(open_seal(&p.leader, &there, text), NX_OK);
        assert_int_equal(open_seal(&p.joiner, &back, text), NX_OK);
    }
}

static void an_altered_sealed_frame_is_refused(void **state)
{
    (void)state;
    struct pair p;
    settle(&p);
    struct frame f = sealed(&p.leader, NX_BOOT_VIEW, "members, cards, token");
    for (unsigned n = 0; n < 8 * f.len; n++) {
        struct frame bad = f;
        flip(&bad, n);
        assert_int_not_equal(open_seal(&p.joiner, &bad, ""), NX_OK);
    }
    for (unsigned n = 0; n < f.len - NX_BOOT_HEAD_BYTES; n++) {
        struct frame bad = f;
        cut(&bad, n);
        assert_int_equal(open_seal(&p.joiner, &bad, ""), NX_CORRUPT);
    }
    assert_int_equal(open_seal(&p.joiner, &f, "members, cards, token"), NX_OK);
}

static void a_sealed_frame_fits_once_there_and_then(void **state)
{
    (void)state;
    struct pair p, other;
    settle(&p);
    struct frame first = sealed(&p.leader, NX_BOOT_VIEW, "1"), next;
    next = sealed(&p.leader, NX_BOOT_VIEW, "2");
    assert_int_equal(open_seal(&p.joiner, &next, "2"), NX_CORRUPT);  /* skipped one */
    assert_int_equal(open_seal(&p.leader, &first, "1"), NX_CORRUPT); /* reflected */
    assert_int_equal(open_seal(&p.joiner, &first, "1"), NX_OK);
    assert_int_equal(open_seal(&p.joiner, &first, "1"), NX_CORRUPT); /* replayed */
    open_pair(&other);
    open_leader(&other.leader, SECRET, 101);
    assert_true(shake(&other));
    struct frame foreign = sealed(&other.leader, NX_BOOT_VIEW, "1");
    settle(&p);
    assert_int_equal(open_seal(&p.joiner, &foreign, "1"), NX_CORRUPT); /* another connection's */
}

int main(void)
{
    if (!CRYPTO_set_mem_functions(take_memory, retake_memory, give_memory))
        return 2;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_transcript),
        cmocka_unit_test(both_know_who_they_talk_to),
        cmocka_unit_test(a_challenge_holds_an_id_and_a_nonce_only),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(a_half_message_is_awaited),
        cmocka_unit_test(a_replayed_joiner_is_refused),
        cmocka_unit_test(a_replayed_leader_is_refused),
        cmocka_unit_test(a_reflected_proof_is_refused),
        cmocka_unit_test(a_mirror_is_refused),
        cmocka_unit_test(the_other_role_s_proof_is_refused),
        cmocka_unit_test(another_version_is_named),
        cmocka_unit_test(another_secret_is_refused_by_both),
        cmocka_unit_test(a_secret_on_one_side_only_is_named),
        cmocka_unit_test(whatever_comes_out_of_turn_is_refused),
        cmocka_unit_test(a_failed_machine_takes_nothing),
        cmocka_unit_test(without_memory_nobody_settles),
        cmocka_unit_test(sealed_frames_come_in_order_both_ways),
        cmocka_unit_test(an_altered_sealed_frame_is_refused),
        cmocka_unit_test(a_sealed_frame_fits_once_there_and_then),
    };
    return cmocka_run_group_tests_name("boot_auth", tests, NULL, NULL);
}
