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
}

static void check_view(const uint8_t *payload, size_t len)
{
    struct nx_boot_view view;
    struct nx_err err = {0};
    if (nx_boot_decode_view(payload, len, &view, &err) != NX_OK)
        return;
    nx_assert(view.rank < view.view.members_count && view.view.members_count <= NX_MEMBERS_MAX);
    uint8_t frame[NX_BOOT_FRAME_MAX];
    size_t bytes = nx_boot_encode_view(&view, frame);
    nx_assert(bytes == len + NX_BOOT_HEAD_BYTES);
    nx_assert(memcmp(frame + NX_BOOT_HEAD_BYTES, payload, len) == 0);
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
        nx_boot_decode_refused(payload, len, why, sizeof why);
        check_hello(payload, len);
        check_view(payload, len);
    }
    check_hello(data, size);
    check_view(data, size);
    return 0;
}
