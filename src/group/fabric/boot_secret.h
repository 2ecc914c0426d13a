/* boot_secret.h — the group's shared secret: from a file to a key, and away again.
 *
 *   given  =>  every bootstrap connection of this node is authenticated, or refused
 *
 * The file holds 16 to 4096 bytes, all of which count, a final newline too. Only its owner and its
 * group may read it (a Secret volume of Kubernetes gives it to a group), only its owner may write
 * it. Its bytes are in memory only while the key is derived; the key until the wipe.
 * Owner    the caller; nothing is allocated
 * Failure  NX_INVALID and one sentence that names the file, what was expected and what it is */
#ifndef NX_GROUP_BOOT_SECRET_H
#define NX_GROUP_BOOT_SECRET_H

#include "group/fabric/boot_auth.h"

enum { NX_SECRET_BYTES_MIN = 16, NX_SECRET_BYTES_MAX = 4096 };

struct nx_boot_secret {
    bool given; /* stays true after the wipe: no connection of this node is ever plain then */
    bool held;  /* `base` is the key */
    uint8_t base[NX_BOOT_KEY_BYTES];
};

/* Who opens a connection; one that has a secret never opens a plain one. */
struct nx_boot_identity {
    const struct nx_boot_secret *secret;
    nx_node node;
    uint64_t layout_hash;
};

/* An empty path is no secret. */
enum nx_status nx_boot_secret_load(const char *path, struct nx_boot_secret *secret,
                                   struct nx_err *err);
void nx_boot_secret_wipe(struct nx_boot_secret *secret);

/* Says once that anybody may join, if there is no secret and an address is not loopback. */
void nx_boot_secret_warn(const struct nx_boot_secret *secret, const char *local_ip,
                         const char *leader_ip);

/* Fills `bytes` from the kernel's generator; false (and errno) if it has none. */
bool nx_boot_random(void *bytes, size_t len);

#endif
