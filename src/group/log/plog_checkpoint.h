/* plog_checkpoint.h — the state at one version, as a file.
 *
 *   head (128 bytes, as a segment's; "nexusckp"; index holds the vid, base the version)
 *   blocks: u32 bytes, u32 crc of all payload so far (begun with the head's), payload
 *   end:    u32 0xffffffff, u32 crc of all payload, u64 payload bytes in all
 *
 * It is published by renaming, after it is durable; so a bad one is rotten, never torn. */
#ifndef NX_GROUP_PLOG_CHECKPOINT_H
#define NX_GROUP_PLOG_CHECKPOINT_H

#include "group/log/disk.h"
#include "group/log/plog_segment.h"

enum { NX_CHECKPOINT_BLOCK_BYTES = 65536, NX_CHECKPOINT_END_BYTES = 16 };

struct nx_checkpoint {
    struct nx_plog_owner owner;
    nx_seq version;
    nx_vid vid;
    uint64_t bytes; /* of the state */
};

struct nx_checkpoint_writer;

enum nx_status nx_checkpoint_open(struct nx_disk *disk, const struct nx_checkpoint *checkpoint,
                                  struct nx_checkpoint_writer **writer, struct nx_err *err);
size_t nx_checkpoint_write(struct nx_checkpoint_writer *writer, const void *bytes, size_t len);
void nx_checkpoint_finish(struct nx_checkpoint_writer *writer);
bool nx_checkpoint_poll(struct nx_checkpoint_writer *writer);
enum nx_status nx_checkpoint_status(const struct nx_checkpoint_writer *writer, struct nx_err *err);
/* removes it unless it is published */
void nx_checkpoint_close(struct nx_checkpoint_writer *writer);

/* Reads and checks the file `name`, giving the state to `sink` piece by piece (NULL: checks only). What the sink
 * got is good only if NX_OK comes back. Blocks: for opening and inspecting. The sentence names file and offset. */
typedef enum nx_status nx_checkpoint_sink(void *ctx, const uint8_t *bytes, size_t len);
enum nx_status nx_checkpoint_read(struct nx_disk *disk, const char *name, nx_checkpoint_sink *sink,
                                  void *ctx, struct nx_checkpoint *checkpoint, struct nx_err *err);

#endif
