/* Who does not know the secret settles with nobody, whatever it says and however it alters, cuts,
 * repeats or swaps what it overhears.
 *
 * The input is a script: one byte of command, then its operands. The honest joiner's and leader's
 * last frames are overheard; a command delivers one of them, altered or not, or bytes of the
 * fuzzer's own. Whoever settles has the other end's own nonce, id and layout hash; whoever takes a
 * sealed frame takes the one that the other end sealed under this number. */
#include "common/nx_assert.h"
#include "group/fabric/boot_auth.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { JOINER, LEADER };
enum { JOINER_ID = 7, LEADER_ID = 3, HASH = 99, SEALED_MAX = 16 };

static const uint8_t nonces[2][NX_BOOT_NONCE_BYTES] = {{1, 2, 3}, {4, 5, 6}};

struct frame {
    uint8_t bytes[NX_BOOT_FRAME_MAX];
    size_t len;
};

struct end {
    struct nx_boot_auth auth;
    struct frame said; /* last */
    struct frame sealed[SEALED_MAX];
};

static struct end ends[2];

static void open_ends(void)
{
    static uint8_t base[NX_BOOT_KEY_BYTES];
    struct nx_err err = {0};
    if (!base[0] && !base[1])
        nx_assert(nx_boot_auth_derive("the fuzzer does not read this", 29, base, &err) == NX_OK);
    ends[JOINER].said.len = ends[LEADER].said.len = 0;
    nx_boot_auth_lead(&ends[LEADER].auth, base, LEADER_ID, nonces[LEADER]);
    ends[JOINER].said.len = nx_boot_auth_join(&ends[JOINER].auth, base, JOINER_ID, HASH,
                                              nonces[JOINER], ends[JOINER].said.bytes);
}

static void check_settled(void)
{
    const struct nx_boot_auth *j = &ends[JOINER].auth, *l = &ends[LEADER].auth;
    if (nx_boot_auth_settled(j)) {
        nx_assert(nx_boot_auth_settled(l)); /* nobody else can have proven it */
        nx_assert(j->leader == LEADER_ID);
        nx_assert(memcmp(j->leader_nonce, nonces[LEADER], NX_BOOT_NONCE_BYTES) == 0);
        nx_assert(memcmp(j->send_key, l->take_key, NX_BOOT_KEY_BYTES) == 0);
    }
    if (nx_boot_auth_settled(l)) {
        nx_assert(l->joiner == JOINER_ID && l->layout_hash == HASH);
        nx_assert(memcmp(l->joiner_nonce, nonces[JOINER], NX_BOOT_NONCE_BYTES) == 0);
    }
}

/* A sealed or refusing frame, shown to the bootstrap: taken only as the other end sealed it. */
static void show(struct end *to, const struct end *from, enum nx_boot_kind kind,
                 const uint8_t *payload, size_t len, const struct frame *f)
{
    struct nx_err err = {0};
    size_t plain = len;
    if (nx_boot_auth_open(&to->auth, kind, payload, &plain, &err) != NX_OK) {
        nx_assert(err.text[0]);
        return;
    }
    if (to->auth.state != NX_AUTH_PROVEN)
        return;
    uint64_t number = to->auth.taken;
    nx_assert(number < from->auth.sent);
    nx_assert(f->len == from->sealed[number].len);
    nx_assert(memcmp(f->bytes, from->sealed[number].bytes, f->len) == 0);
    nx_assert(nx_boot_auth_count(&to->auth) == NX_BOOT_PROOF_BYTES && plain < len);
}

static void deliver(int who, const struct frame *f)
{
    struct end *to = &ends[who], *from = &ends[!who];
    enum nx_boot_kind kind;
    const uint8_t *payload;
    size_t len;
    struct nx_err err = {0};
    if (nx_boot_find_frame(f->bytes, f->len, &kind, &payload, &len, &err) != NX_OK)
        return;
    if (!nx_boot_auth_wants(&to->auth, kind)) {
        show(to, from, kind, payload, len, f);
        return;
    }
    struct frame reply = {.len = 0};
    enum nx_status status =
        nx_boot_auth_take(&to->auth, kind, payload, len, reply.bytes, &reply.len, &err);
    nx_assert(status == NX_OK || (err.text[0] && reply.len == 0));
    if (status == NX_OK && reply.len > 0)
        to->said = reply;
}

static void seal_one(int who, uint8_t kind)
{
    struct end *e = &ends[who];
    uint64_t number = e->auth.sent;
    if (e->auth.state != NX_AUTH_PROVEN || number == SEALED_MAX)
        return;
    uint8_t text[5] = "hello";
    size_t bytes = nx_boot_encode((enum nx_boot_kind)(1 + kind % 5), text, 5, e->said.bytes);
    e->said.len = nx_boot_auth_seal(&e->auth, e->said.bytes, bytes);
    nx_assert(e->said.len == bytes + NX_BOOT_PROOF_BYTES);
    e->sealed[number] = e->said;
}

/* Bytes of the fuzzer's own: as many as it says, or as there are. */
static size_t make_own(struct frame *f, const uint8_t *data, size_t size, uint8_t want)
{
    f->len = want < size ? want : size;
    memcpy(f->bytes, data, f->len);
    return f->len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_ends();
    for (size_t at = 0; at + 3 <= size; check_settled()) {
        uint8_t what = data[at], a = data[at + 1], b = data[at + 2];
        int to = what & 1, from = (what >> 1) & 1;
        struct frame f = ends[from].said;
        at += 3;
        switch ((what >> 2) % 5) {
        case 0: break; /* as it was, to either end */
        case 1:
            if (f.len > 0)
                f.bytes[a % f.len] ^= b;
            break;
        case 2: f.len = a < f.len ? a : f.len; break;
        case 3: at += make_own(&f, data + at, size - at, a); break;
        default: seal_one(from, a); continue;
        }
        deliver(to, &f);
    }
    nx_boot_auth_close(&ends[0].auth);
    nx_boot_auth_close(&ends[1].auth);
    return 0;
}
