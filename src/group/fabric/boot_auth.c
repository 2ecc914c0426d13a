#include "group/fabric/boot_auth.h"

#include "common/codec.h"
#include "common/nx_assert.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

enum {
    MAGIC = 0x3161786e, /* "nxa1" */
    TRANSCRIPT_BYTES = 4 + 4 + 4 + 8 + 2 * NX_BOOT_NONCE_BYTES,
    PAYLOAD_MAX = 4 + 4 + 4 + 8 + NX_BOOT_NONCE_BYTES, /* of begin, the longest of the handshake */
};

static const char SECRET_LABEL[] = "nexus group secret";
static const char PROOF_LABEL[] = "nexus bootstrap proof";
static const char SEALS_LABEL[] = "nexus bootstrap seals";

/* --- OpenSSL ---------------------------------------------------------------------------------- */

struct piece {
    const void *bytes;
    size_t len;
};

static OSSL_PARAM text_param(const char *key, const char *text)
{
    return OSSL_PARAM_construct_utf8_string(key, (char *)(uintptr_t)text, 0);
}

static OSSL_PARAM bytes_param(const char *key, struct piece p)
{
    return OSSL_PARAM_construct_octet_string(key, (void *)(uintptr_t)p.bytes, p.len);
}

/* HMAC-SHA-256 over the pieces, one after the other. */
static bool hmac(const uint8_t key[NX_BOOT_KEY_BYTES], const struct piece *pieces, size_t count,
                 uint8_t mac[NX_BOOT_PROOF_BYTES])
{
    OSSL_PARAM params[] = {text_param(OSSL_MAC_PARAM_DIGEST, "SHA256"), OSSL_PARAM_construct_end()};
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = algorithm ? EVP_MAC_CTX_new(algorithm) : NULL;
    bool ok = ctx && EVP_MAC_init(ctx, key, NX_BOOT_KEY_BYTES, params) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_MAC_update(ctx, pieces[i].bytes, pieces[i].len) == 1;
    size_t len = 0;
    ok = ok && EVP_MAC_final(ctx, mac, &len, NX_BOOT_PROOF_BYTES) == 1;
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(algorithm);
    return ok && len == NX_BOOT_PROOF_BYTES;
}

static bool hkdf(struct piece key, struct piece salt, struct piece info, uint8_t *out, size_t len)
{
    OSSL_PARAM params[] = {text_param(OSSL_KDF_PARAM_DIGEST, "SHA256"),
                           bytes_param(OSSL_KDF_PARAM_KEY, key),
                           bytes_param(OSSL_KDF_PARAM_SALT, salt),
                           bytes_param(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
    EVP_KDF *algorithm = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = algorithm ? EVP_KDF_CTX_new(algorithm) : NULL;
    bool ok = ctx && EVP_KDF_derive(ctx, out, len, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(algorithm);
    return ok;
}

static enum nx_status no_crypto(struct nx_err *err)
{
    return nx_err_set(err, NX_NO_MEMORY, "OpenSSL has no HMAC-SHA-256 or HKDF, or no memory");
}

enum nx_status nx_boot_auth_derive(const void *secret, size_t len, uint8_t base[NX_BOOT_KEY_BYTES],
                                   struct nx_err *err)
{
    struct piece key = {secret, len}, info = {SECRET_LABEL, strlen(SECRET_LABEL)}, none = {"", 0};
    return hkdf(key, none, info, base, NX_BOOT_KEY_BYTES) ? NX_OK : no_crypto(err);
}

/* --- what both ends compute ------------------------------------------------------------------- */

static void write_transcript(const struct nx_boot_auth *a, uint8_t bytes[TRANSCRIPT_BYTES])
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, TRANSCRIPT_BYTES);
    nx_write_u32(&w, NX_BOOT_VERSION);
    nx_write_u32(&w, a->joiner);
    nx_write_u32(&w, a->leader);
    nx_write_u64(&w, a->layout_hash);
    nx_write_bytes(&w, a->joiner_nonce, NX_BOOT_NONCE_BYTES);
    nx_write_bytes(&w, a->leader_nonce, NX_BOOT_NONCE_BYTES);
    nx_assert(!w.bad && nx_writer_used(&w) == TRANSCRIPT_BYTES);
}

static bool make_proof(const struct nx_boot_auth *a, enum nx_boot_role role,
                       uint8_t proof[NX_BOOT_PROOF_BYTES])
{
    uint8_t transcript[TRANSCRIPT_BYTES], who = (uint8_t)role;
    write_transcript(a, transcript);
    struct piece pieces[] = {
        {PROOF_LABEL, strlen(PROOF_LABEL)}, {&who, 1}, {transcript, sizeof transcript}};
    return hmac(a->base, pieces, 3, proof);
}

static bool make_keys(struct nx_boot_auth *a)
{
    enum { LABEL = sizeof SEALS_LABEL - 1 };
    uint8_t salt[2 * NX_BOOT_NONCE_BYTES], info[LABEL + TRANSCRIPT_BYTES];
    uint8_t keys[2 * NX_BOOT_KEY_BYTES];
    memcpy(salt, a->joiner_nonce, NX_BOOT_NONCE_BYTES);
    memcpy(salt + NX_BOOT_NONCE_BYTES, a->leader_nonce, NX_BOOT_NONCE_BYTES);
    memcpy(info, SEALS_LABEL, LABEL);
    write_transcript(a, info + LABEL);
    if (!hkdf((struct piece){a->base, sizeof a->base}, (struct piece){salt, sizeof salt},
              (struct piece){info, sizeof info}, keys, sizeof keys))
        return false;
    bool joiner = a->role == NX_BOOT_JOINER;
    memcpy(joiner ? a->send_key : a->take_key, keys, NX_BOOT_KEY_BYTES);
    memcpy(joiner ? a->take_key : a->send_key, keys + NX_BOOT_KEY_BYTES, NX_BOOT_KEY_BYTES);
    explicit_bzero(keys, sizeof keys);
    return true;
}

static bool make_seal(const uint8_t key[NX_BOOT_KEY_BYTES], uint64_t count, enum nx_boot_kind kind,
                      const uint8_t *payload, size_t len, uint8_t seal[NX_BOOT_PROOF_BYTES])
{
    uint8_t head[9];
    struct nx_writer w;
    nx_writer_init(&w, head, sizeof head);
    nx_write_u64(&w, count);
    nx_write_u8(&w, (uint8_t)kind);
    struct piece pieces[] = {{head, sizeof head}, {payload, len}};
    return hmac(key, pieces, 2, seal);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void open_auth(struct nx_boot_auth *a, enum nx_boot_role role, enum nx_boot_auth_state state)
{
    memset(a, 0, sizeof *a);
    a->role = role;
    a->state = state;
}

void nx_boot_auth_off(struct nx_boot_auth *a, enum nx_boot_role role)
{
    open_auth(a, role, NX_AUTH_OFF);
}

void nx_boot_auth_lead(struct nx_boot_auth *a, const uint8_t base[NX_BOOT_KEY_BYTES], nx_node self,
                       const uint8_t nonce[NX_BOOT_NONCE_BYTES])
{
    open_auth(a, NX_BOOT_LEADER, NX_AUTH_BEGIN);
    a->leader = self;
    memcpy(a->base, base, NX_BOOT_KEY_BYTES);
    memcpy(a->leader_nonce, nonce, NX_BOOT_NONCE_BYTES);
}

static size_t encode_begin(const struct nx_boot_auth *a, uint8_t frame[NX_BOOT_FRAME_MAX])
{
    uint8_t payload[PAYLOAD_MAX];
    struct nx_writer w;
    nx_writer_init(&w, payload, sizeof payload);
    nx_write_u32(&w, MAGIC);
    nx_write_u32(&w, NX_BOOT_VERSION);
    nx_write_u32(&w, a->joiner);
    nx_write_u64(&w, a->layout_hash);
    nx_write_bytes(&w, a->joiner_nonce, NX_BOOT_NONCE_BYTES);
    nx_assert(!w.bad);
    return nx_boot_encode(NX_BOOT_BEGIN, payload, nx_writer_used(&w), frame);
}

size_t nx_boot_auth_join(struct nx_boot_auth *a, const uint8_t base[NX_BOOT_KEY_BYTES],
                         nx_node self, uint64_t layout_hash,
                         const uint8_t nonce[NX_BOOT_NONCE_BYTES], uint8_t frame[NX_BOOT_FRAME_MAX])
{
    open_auth(a, NX_BOOT_JOINER, NX_AUTH_CHALLENGE);
    a->joiner = self;
    a->layout_hash = layout_hash;
    memcpy(a->base, base, NX_BOOT_KEY_BYTES);
    memcpy(a->joiner_nonce, nonce, NX_BOOT_NONCE_BYTES);
    return encode_begin(a, frame);
}

void nx_boot_auth_close(struct nx_boot_auth *a)
{
    explicit_bzero(a, sizeof *a);
    a->state = NX_AUTH_FAILED;
}

bool nx_boot_auth_settled(const struct nx_boot_auth *a)
{
    return a->state == NX_AUTH_OFF || a->state == NX_AUTH_PROVEN;
}

/* A joiner reads the refusal that comes instead of what it awaits. */
bool nx_boot_auth_wants(const struct nx_boot_auth *a, enum nx_boot_kind kind)
{
    if (a->state == NX_AUTH_PROVEN)
        return false;
    if (a->state == NX_AUTH_OFF)
        return kind >= NX_BOOT_BEGIN && kind <= NX_BOOT_PROOF;
    return a->role == NX_BOOT_LEADER || kind != NX_BOOT_REFUSED;
}

/* --- the handshake ---------------------------------------------------------------------------- */

static enum nx_status out_of_turn(struct nx_err *err, const char *awaited)
{
    return nx_err_set(err, NX_CORRUPT, "it said something else where its %s was awaited", awaited);
}

/* Reads magic and version, which every later version starts with too. */
static enum nx_status read_head(struct nx_reader *r, const char *what, const char *speaks,
                                const char *ours, struct nx_err *err)
{
    if (nx_read_u32(r) != MAGIC || r->bad)
        return nx_err_set(err, NX_CORRUPT, "its %s is malformed at its magic number", what);
    uint32_t version = nx_read_u32(r);
    if (!r->bad && version != NX_BOOT_VERSION)
        return nx_err_set(err, NX_DENIED, "%s version %u of the bootstrap protocol, %s %d", speaks,
                          version, ours, NX_BOOT_VERSION);
    return NX_OK;
}

static enum nx_status read_begin(struct nx_boot_auth *a, const uint8_t *payload, size_t len,
                                 struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, payload, len);
    NX_TRY(read_head(&r, "begin", "you speak", "this group", err));
    a->joiner = nx_read_u32(&r);
    a->layout_hash = nx_read_u64(&r);
    const uint8_t *nonce = nx_read_bytes(&r, NX_BOOT_NONCE_BYTES);
    if (!nonce || nx_reader_left(&r) != 0)
        return nx_err_set(err, NX_CORRUPT, "its begin is %zu bytes, expected %d", len, PAYLOAD_MAX);
    memcpy(a->joiner_nonce, nonce, NX_BOOT_NONCE_BYTES);
    return NX_OK;
}

/* Without a secret here, the caller learns that from us; with one, what it forgot. */
static enum nx_status deny_secret(const uint8_t *payload, size_t len, struct nx_err *err)
{
    struct nx_boot_auth caller;
    open_auth(&caller, NX_BOOT_LEADER, NX_AUTH_BEGIN);
    NX_TRY(read_begin(&caller, payload, len, err));
    return nx_err_set(err, NX_DENIED, "node %u has a shared secret (secret_file), this group none",
                      caller.joiner);
}

static enum nx_status deny_plain(const uint8_t *payload, size_t len, struct nx_err *err)
{
    struct nx_boot_hello hello;
    NX_TRY(nx_boot_decode_hello(payload, len, &hello, err));
    return nx_err_set(err, NX_DENIED,
                      "this group has a shared secret, node %u gives none (secret_file)",
                      hello.node);
}

static enum nx_status take_begin(struct nx_boot_auth *a, enum nx_boot_kind kind,
                                 const uint8_t *payload, size_t len, uint8_t *reply,
                                 size_t *reply_bytes, struct nx_err *err)
{
    if (kind == NX_BOOT_HELLO)
        return deny_plain(payload, len, err);
    if (kind != NX_BOOT_BEGIN)
        return out_of_turn(err, "begin");
    NX_TRY(read_begin(a, payload, len, err));
    uint8_t challenge[PAYLOAD_MAX];
    struct nx_writer w;
    nx_writer_init(&w, challenge, sizeof challenge);
    nx_write_u32(&w, MAGIC);
    nx_write_u32(&w, NX_BOOT_VERSION);
    nx_write_u32(&w, a->leader);
    nx_write_bytes(&w, a->leader_nonce, NX_BOOT_NONCE_BYTES);
    nx_assert(!w.bad);
    *reply_bytes = nx_boot_encode(NX_BOOT_CHALLENGE, challenge, nx_writer_used(&w), reply);
    a->state = NX_AUTH_JOINER_PROOF;
    return NX_OK;
}

static enum nx_status read_challenge(struct nx_boot_auth *a, const uint8_t *payload, size_t len,
                                     struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, payload, len);
    NX_TRY(read_head(&r, "challenge", "the leader speaks", "this node", err));
    a->leader = nx_read_u32(&r);
    const uint8_t *nonce = nx_read_bytes(&r, NX_BOOT_NONCE_BYTES);
    if (!nonce || nx_reader_left(&r) != 0)
        return nx_err_set(err, NX_CORRUPT, "its challenge is %zu bytes, expected %d", len,
                          4 + 4 + 4 + NX_BOOT_NONCE_BYTES);
    memcpy(a->leader_nonce, nonce, NX_BOOT_NONCE_BYTES);
    return NX_OK;
}

static enum nx_status give_proof(const struct nx_boot_auth *a, uint8_t *reply, size_t *reply_bytes,
                                 struct nx_err *err)
{
    uint8_t proof[NX_BOOT_PROOF_BYTES];
    if (!make_proof(a, a->role, proof))
        return no_crypto(err);
    *reply_bytes = nx_boot_encode(NX_BOOT_PROOF, proof, sizeof proof, reply);
    return NX_OK;
}

static enum nx_status take_challenge(struct nx_boot_auth *a, enum nx_boot_kind kind,
                                     const uint8_t *payload, size_t len, uint8_t *reply,
                                     size_t *reply_bytes, struct nx_err *err)
{
    if (kind != NX_BOOT_CHALLENGE)
        return out_of_turn(err, "challenge");
    NX_TRY(read_challenge(a, payload, len, err));
    NX_TRY(give_proof(a, reply, reply_bytes, err));
    a->state = NX_AUTH_LEADER_PROOF;
    return NX_OK;
}

/* The other end's proof: NX_DENIED if it does not fit. */
static enum nx_status check_proof(const struct nx_boot_auth *a, enum nx_boot_kind kind,
                                  const uint8_t *payload, size_t len, struct nx_err *err)
{
    bool leads = a->role == NX_BOOT_LEADER;
    uint8_t proof[NX_BOOT_PROOF_BYTES];
    if (kind != NX_BOOT_PROOF)
        return out_of_turn(err, "proof");
    if (len != sizeof proof)
        return nx_err_set(err, NX_CORRUPT, "its proof is %zu bytes, expected %zu", len,
                          sizeof proof);
    if (!make_proof(a, leads ? NX_BOOT_JOINER : NX_BOOT_LEADER, proof))
        return no_crypto(err);
    if (CRYPTO_memcmp(proof, payload, sizeof proof) == 0)
        return NX_OK;
    if (leads)
        return nx_err_set(err, NX_DENIED,
                          "node %u does not prove that it knows this group's secret (another "
                          "secret_file?)",
                          a->joiner);
    return nx_err_set(err, NX_DENIED,
                      "node %u answers there, and does not prove that it knows this group's secret",
                      a->leader);
}

static enum nx_status settle(struct nx_boot_auth *a, struct nx_err *err)
{
    if (!make_keys(a))
        return no_crypto(err);
    explicit_bzero(a->base, sizeof a->base);
    a->state = NX_AUTH_PROVEN;
    return NX_OK;
}

static enum nx_status take_joiner_proof(struct nx_boot_auth *a, enum nx_boot_kind kind,
                                        const uint8_t *payload, size_t len, uint8_t *reply,
                                        size_t *reply_bytes, struct nx_err *err)
{
    NX_TRY(check_proof(a, kind, payload, len, err));
    NX_TRY(give_proof(a, reply, reply_bytes, err));
    return settle(a, err);
}

static enum nx_status take_leader_proof(struct nx_boot_auth *a, enum nx_boot_kind kind,
                                        const uint8_t *payload, size_t len, struct nx_err *err)
{
    NX_TRY(check_proof(a, kind, payload, len, err));
    return settle(a, err);
}

static enum nx_status take_off(const struct nx_boot_auth *a, enum nx_boot_kind kind,
                               const uint8_t *payload, size_t len, struct nx_err *err)
{
    if (a->role == NX_BOOT_LEADER && kind == NX_BOOT_BEGIN)
        return deny_secret(payload, len, err);
    return out_of_turn(err, a->role == NX_BOOT_LEADER ? "hello" : "view");
}

static enum nx_status dispatch(struct nx_boot_auth *a, enum nx_boot_kind kind,
                               const uint8_t *payload, size_t len, uint8_t *reply,
                               size_t *reply_bytes, struct nx_err *err)
{
    switch (a->state) {
    case NX_AUTH_OFF: return take_off(a, kind, payload, len, err);
    case NX_AUTH_BEGIN: return take_begin(a, kind, payload, len, reply, reply_bytes, err);
    case NX_AUTH_CHALLENGE: return take_challenge(a, kind, payload, len, reply, reply_bytes, err);
    case NX_AUTH_JOINER_PROOF:
        return take_joiner_proof(a, kind, payload, len, reply, reply_bytes, err);
    case NX_AUTH_LEADER_PROOF: return take_leader_proof(a, kind, payload, len, err);
    case NX_AUTH_PROVEN: break;
    case NX_AUTH_FAILED: break;
    }
    return out_of_turn(err, "silence");
}

enum nx_status nx_boot_auth_take(struct nx_boot_auth *a, enum nx_boot_kind kind,
                                 const uint8_t *payload, size_t len,
                                 uint8_t reply[NX_BOOT_FRAME_MAX], size_t *reply_bytes,
                                 struct nx_err *err)
{
    nx_assert(nx_boot_auth_wants(a, kind));
    *reply_bytes = 0;
    enum nx_status status = dispatch(a, kind, payload, len, reply, reply_bytes, err);
    if (status != NX_OK) {
        nx_boot_auth_close(a);
        *reply_bytes = 0;
    }
    return status;
}

/* --- sealed frames ---------------------------------------------------------------------------- */

size_t nx_boot_auth_seal(struct nx_boot_auth *a, uint8_t frame[NX_BOOT_FRAME_MAX], size_t bytes)
{
    if (a->state != NX_AUTH_PROVEN)
        return bytes;
    nx_assert(bytes >= NX_BOOT_HEAD_BYTES && bytes + NX_BOOT_PROOF_BYTES <= NX_BOOT_FRAME_MAX);
    size_t sealed = bytes + NX_BOOT_PROOF_BYTES;
    if (!make_seal(a->send_key, a->sent, (enum nx_boot_kind)frame[4], frame + NX_BOOT_HEAD_BYTES,
                   bytes - NX_BOOT_HEAD_BYTES, frame + bytes))
        return 0;
    struct nx_writer w;
    nx_writer_init(&w, frame, 4);
    nx_write_u32(&w, (uint32_t)(sealed - 4));
    a->sent++;
    return sealed;
}

enum nx_status nx_boot_auth_open(const struct nx_boot_auth *a, enum nx_boot_kind kind,
                                 const uint8_t *payload, size_t *len, struct nx_err *err)
{
    if (a->state != NX_AUTH_PROVEN)
        return NX_OK;
    uint8_t seal[NX_BOOT_PROOF_BYTES];
    if (*len < sizeof seal)
        return nx_err_set(err, NX_CORRUPT, "a frame of %zu bytes has no room for its seal", *len);
    size_t plain = *len - sizeof seal;
    if (!make_seal(a->take_key, a->taken, kind, payload, plain, seal))
        return no_crypto(err);
    if (CRYPTO_memcmp(seal, payload + plain, sizeof seal) != 0)
        return nx_err_set(err, NX_CORRUPT,
                          "frame %llu is not what was sent: its seal does not fit it",
                          (unsigned long long)a->taken);
    *len = plain;
    return NX_OK;
}

size_t nx_boot_auth_count(struct nx_boot_auth *a)
{
    if (a->state != NX_AUTH_PROVEN)
        return 0;
    a->taken++;
    return NX_BOOT_PROOF_BYTES;
}
