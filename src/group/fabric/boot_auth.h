/* boot_auth.h — both ends of a bootstrap connection prove that they know the group's secret
 * before anything else is said.
 *
 *   joiner j                                       leader l
 *     begin      version, j, hash, nonce j   ──▶
 *                                            ◀──   challenge  version, l, nonce l
 *     proof      HMAC(base; joiner, T)       ──▶     l knows: j has the secret, now
 *                                            ◀──   proof      HMAC(base; leader, T)
 *       j knows: l has the secret, now
 *     hello, connected, …   sealed           ◀─▶   refused, view, go, …   sealed
 *
 *   T     version, j, l, layout hash of j, nonce j, nonce l
 *   base  HKDF-SHA-256(key: the secret file's bytes; info: "nexus group secret")
 *   proof HMAC-SHA-256(base; "nexus bootstrap proof", role, T)
 *   keys  HKDF-SHA-256(key: base; salt: nonce j, nonce l; info: "nexus bootstrap seals", T),
 *         one for each direction
 *   seal  HMAC-SHA-256(key of the direction; frames sealed before, kind, payload), after the payload
 *
 * A caller without the secret sees a challenge and a refusal: an id and 32 random bytes, no card, no
 * view, no token. An impostor at the leader's address sees begin and one proof, no card.
 *
 *   proven at one end  =>  the other end knew the secret after our nonce was drawn, in its role,
 *                          under the ids and the layout hash that we see
 *   a frame is taken   =>  the other end sent it on this connection, as its n-th, with these bytes
 *
 * Replay meets another nonce, reflection another role. A refusal before the proof is not
 * authenticated: whoever answers at the leader's address can turn a node away, and nothing more.
 *
 * Not protected
 *   - secrecy: cards, view and token are readable to who can read the network, and so is all
 *     fabric traffic, which is not authenticated either; use a network of one's own, IPsec or WireGuard
 *   - a guessable secret: begin, challenge and proof let who sees them try secrets at leisure, so
 *     it must be random bytes
 *   - members from each other: who has the secret can take any id or be the leader
 *
 * Input    hostile; a frame out of turn, malformed or of a wrong proof ends the handshake with a sentence
 * Owner    plain values, no socket, clock or random source; close wipes the keys
 * Failure  NX_DENIED: for good, tell the other end. NX_CORRUPT: hang up. NX_NO_MEMORY: OpenSSL has none
 * Source   in the manner of ISO/IEC 9798-4 (mutual authentication by a cryptographic check function);
 *          RFC 2104 (HMAC), RFC 5869 (HKDF) */
#ifndef NX_GROUP_BOOT_AUTH_H
#define NX_GROUP_BOOT_AUTH_H

#include "group/fabric/boot_wire.h"

enum {
    NX_BOOT_NONCE_BYTES = 32,
    NX_BOOT_KEY_BYTES = 32,
    NX_BOOT_PROOF_BYTES = 32, /* of a proof and of a seal */
};

enum nx_boot_role {
    NX_BOOT_JOINER = 1,
    NX_BOOT_LEADER = 2,
};

/*   joiner  CHALLENGE ──▶ LEADER_PROOF ──▶ PROVEN
 *   leader  BEGIN ──▶ JOINER_PROOF ──▶ PROVEN
 *   each of them, at the first frame that is not what is awaited ──▶ FAILED */
enum nx_boot_auth_state {
    NX_AUTH_FAILED, /* or not opened: nothing is taken, and a refusal is all that may be sent */
    NX_AUTH_OFF,    /* this node has no secret: frames are plain */
    NX_AUTH_BEGIN,
    NX_AUTH_CHALLENGE,
    NX_AUTH_JOINER_PROOF,
    NX_AUTH_LEADER_PROOF,
    NX_AUTH_PROVEN, /* frames are sealed */
};

struct nx_boot_auth {
    enum nx_boot_auth_state state;
    enum nx_boot_role role; /* ours */
    nx_node joiner, leader;
    uint64_t layout_hash; /* the joiner's */
    uint8_t joiner_nonce[NX_BOOT_NONCE_BYTES], leader_nonce[NX_BOOT_NONCE_BYTES];
    uint8_t base[NX_BOOT_KEY_BYTES]; /* zero once it is proven */
    uint8_t send_key[NX_BOOT_KEY_BYTES], take_key[NX_BOOT_KEY_BYTES];
    uint64_t sent, taken; /* sealed frames */
};

/* The base key of a secret. */
enum nx_status nx_boot_auth_derive(const void *secret, size_t len, uint8_t base[NX_BOOT_KEY_BYTES],
                                   struct nx_err *err);

/* A connection of a node without a secret, with one as leader, with one as joiner; the nonce must
 * be fresh random bytes. A joiner's begin is the first frame to send: its bytes are returned. */
void nx_boot_auth_off(struct nx_boot_auth *auth, enum nx_boot_role role);
void nx_boot_auth_lead(struct nx_boot_auth *auth, const uint8_t base[NX_BOOT_KEY_BYTES],
                       nx_node self, const uint8_t nonce[NX_BOOT_NONCE_BYTES]);
size_t nx_boot_auth_join(struct nx_boot_auth *auth, const uint8_t base[NX_BOOT_KEY_BYTES],
                         nx_node self, uint64_t layout_hash,
                         const uint8_t nonce[NX_BOOT_NONCE_BYTES],
                         uint8_t frame[NX_BOOT_FRAME_MAX]);
void nx_boot_auth_close(struct nx_boot_auth *auth); /* wipes it */

/* Cards and views may be said: both ends have proven themselves, or this node has no secret. */
bool nx_boot_auth_settled(const struct nx_boot_auth *auth);

/* Whether a frame of this kind is the handshake's, or else the bootstrap's. */
bool nx_boot_auth_wants(const struct nx_boot_auth *auth, enum nx_boot_kind kind);

/* One frame of the handshake; *reply_bytes is 0, or `reply` holds a frame to send. */
enum nx_status nx_boot_auth_take(struct nx_boot_auth *auth, enum nx_boot_kind kind,
                                 const uint8_t *payload, size_t len,
                                 uint8_t reply[NX_BOOT_FRAME_MAX], size_t *reply_bytes,
                                 struct nx_err *err);

/* Seals a whole frame in place, and counts it. Returns its bytes then; 0: OpenSSL has no memory.
 * Unless PROVEN the frame stays as it is. */
size_t nx_boot_auth_seal(struct nx_boot_auth *auth, uint8_t frame[NX_BOOT_FRAME_MAX], size_t bytes);

/* Checks the next frame's seal; *len is without it then. May be asked again until it is counted.
 * nx_boot_auth_count says how many bytes of the frame were seal. */
enum nx_status nx_boot_auth_open(const struct nx_boot_auth *auth, enum nx_boot_kind kind,
                                 const uint8_t *payload, size_t *len, struct nx_err *err);
size_t nx_boot_auth_count(struct nx_boot_auth *auth);

#endif
