/* A log's folder that says anything: recovery refuses it with a sentence, or gives versions that grow; what it gave
 * is what encodes to these bytes again. The input is the newest segment, a checkpoint or a note, by its first byte. */
#include "common/nx_assert.h"
#include "group/log/plog.h"
#include "group/log/plog_note.h"
#include "sim_disk.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    nx_seq last;
    bool any;
    volatile uint32_t sum;
};

static void on_record(void *ctx, const char *name, uint64_t offset, const struct nx_record *record)
{
    struct seen *seen = ctx;
    (void)name;
    nx_assert(offset >= NX_SEGMENT_HEAD_BYTES && offset % 8 == 0);
    nx_assert(!seen->any || record->version > seen->last);
    for (uint32_t i = 0; i < record->payload_bytes; i++)
        seen->sum += record->payload[i]; /* every byte is there to be read */
    seen->last = record->version;
    seen->any = true;
}

static void recover(struct sim_disk *disk)
{
    static struct nx_plog_image image;
    struct seen seen = {0};
    struct nx_plog_visitor visitor = {.ctx = &seen, .record = on_record};
    struct nx_err err = {0};
    enum nx_status status = nx_plog_recover(sim_disk_handle(disk), NULL, &visitor, 0, &image, &err);
    nx_assert((status == NX_OK) == (err.text[0] == 0));
    if (status != NX_OK || image.empty)
        return;
    struct nx_plog_config config = {.owner = image.owner};
    struct nx_plog *log;
    nx_seq last = image.last;
    if (nx_plog_open(sim_disk_handle(disk), &config, &log, NULL, &err) != NX_OK)
        nx_assert(false); /* what inspecting accepts, opening accepts */
    nx_assert(nx_plog_last(log) == last);
    nx_plog_close(log);
    status = nx_plog_recover(sim_disk_handle(disk), NULL, NULL, 0, &image, &err);
    nx_assert(status == NX_OK && image.last == last && image.torn_bytes == 0);
}

/* Records without their checksums in the way: the scanner meets each field's odd values. */
static void scan_forged(const uint8_t *data, size_t size)
{
    static uint8_t bytes[1 << 16];
    struct nx_record record = {.previous = NX_SEQ_NONE, .durable = NX_SEQ_NONE, .payload = data};
    if (size < 16 || size > 4096)
        return;
    memcpy(&record.version, data, 8);
    memcpy(&record.durable, data + 8, 8);
    record.payload_bytes = (uint32_t)size;
    nx_record_encode(&record, 7, bytes);
    struct nx_segment_scan scan = {.bytes = bytes,
                                   .len = nx_record_bytes(size) - (data[0] & 1),
                                   .salt = 7,
                                   .last = NX_SEQ_NONE};
    struct nx_record back;
    if (nx_segment_scan_next(&scan, &back, NULL) == NX_OK)
        nx_assert(back.version >= 0 && back.durable <= back.previous);
    nx_segment_has_witness(bytes, scan.len, 0, 7, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"segment-0000000001.log",
                                        "checkpoint-00000000000000000005.state", NX_MARK_NAME};
    const struct sim_disk_faults calm = {0};
    if (size == 0 || size > 60000)
        return 0;
    struct sim_disk *disk = sim_disk_new(1, &calm);
    sim_disk_put(disk, names[data[0] % 3], data + 1, size - 1);
    recover(disk);
    sim_disk_free(disk);
    scan_forged(data + 1, size - 1);
    return 0;
}
