/* Whatever comes to the bootstrap port is refused or decodes to values within their bounds; what
 * decodes encodes to the same bytes again. */
#include "common/nx_assert.h"
#include "group/fabric/boot_wire.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hello(const uint8_t *payload, size_t len)
{
    struct nx_boot_hello hello;
    struct nx_err err = {0};
    if (nx_boot_decode_hello(payload, len, &hello, &err) != NX_OK) {
        nx_assert(err.text[0]);
        return;
    }
    nx_assert(hello.spec.subgroups_count <= NX_SUBGROUPS_MAX);
    nx_assert(hello.card.address_bytes <= NX_ADDRESS_BYTES);
    uint8_t frame[NX_BOOT_FRAME_MAX];
    size_t bytes = nx_boot_encode_hello(&hello, frame);
    nx_assert(bytes == len + NX_BOOT_HEAD_BYTES);
    nx_assert(memcmp(frame + NX_BOOT_HEAD_BYTES, payload, len) == 0);
    struct nx_boot_hello other = hello;
    other.first_view_nodes++;
    nx_assert(nx_boot_compare(&other, &hello, &err) == NX_DENIED);
    (void)nx_boot_compare_clocks(&hello, 1700000000 * NX_SEC, NX_CLOCK_SKEW_NS, &err);
}

static void check_view(enum nx_boot_kind kind, const uint8_t *payload, size_t len)
{
    struct nx_boot_view view;
    struct nx_err err = {0};
    if (nx_boot_decode_view(kind, payload, len, &view, &err) != NX_OK)
        return;
    nx_rankset members = nx_view_ranks(&view.view);
    nx_assert(view.rank < NX_MEMBERS_MAX && view.view.members_count <= NX_MEMBERS_MAX);
    nx_assert(((members & NX_RANK_BIT(view.rank)) == 0) == (kind == NX_BOOT_SEAT));
    nx_assert(!(view.peers & ~members) && !(view.peers & NX_RANK_BIT(view.rank)));
    uint8_t frame[NX_BOOT_FRAME_MAX];
    size_t bytes = nx_boot_encode_view(kind, &view, frame);
    nx_assert(bytes == len + NX_BOOT_HEAD_BYTES);
    nx_assert(memcmp(frame + NX_BOOT_HEAD_BYTES, payload, len) == 0);
}

static void check_redirect(const uint8_t *payload, size_t len)
{
    struct nx_boot_address to;
    struct nx_err err = {0};
    if (nx_boot_decode_redirect(payload, len, &to, &err) != NX_OK)
        return;
    nx_assert(to.port != 0);
    uint8_t frame[NX_BOOT_FRAME_MAX];
    nx_assert(nx_boot_encode_redirect(&to, frame) == len + NX_BOOT_HEAD_BYTES);
    nx_assert(memcmp(frame + NX_BOOT_HEAD_BYTES, payload, len) == 0);
}

static void check_probe(const uint8_t *payload, size_t len)
{
    struct nx_boot_probe probe;
    struct nx_err err = {0};
    if (nx_boot_decode_probe(payload, len, &probe, &err) != NX_OK)
        return;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    nx_assert(nx_boot_encode_probe(NX_BOOT_PROBED, &probe, frame) == len + NX_BOOT_HEAD_BYTES);
    nx_assert(memcmp(frame + NX_BOOT_HEAD_BYTES, payload, len) == 0);
}

static void check_all(const uint8_t *payload, size_t len)
{
    check_hello(payload, len);
    check_view(NX_BOOT_WELCOME, payload, len);
    check_view(NX_BOOT_SEAT, payload, len);
    check_redirect(payload, len);
    check_probe(payload, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum nx_boot_kind kind;
    const uint8_t *payload;
    size_t len;
    struct nx_err err = {0};
    if (nx_boot_find_frame(data, size, &kind, &payload, &len, &err) == NX_OK) {
        nx_assert(payload + len <= data + size);
        char why[NX_ERR_TEXT_BYTES];
        nx_boot_decode_reason(payload, len, why, sizeof why);
        check_all(payload, len);
    }
    check_all(data, size);
    return 0;
}
