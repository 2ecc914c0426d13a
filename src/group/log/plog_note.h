/* plog_note.h — a small file that is there whole or not at all: the mark, a node's last view.
 *
 *   "nexusnot", u32 format, u32 crc of the rest, owner, u32 bytes, the bytes
 *
 * Written by NX_DISK_REPLACE. The *mark* is a note of 8 bytes: a version that is on this disk for certain. */
#ifndef NX_GROUP_PLOG_NOTE_H
#define NX_GROUP_PLOG_NOTE_H

#include "group/log/disk.h"
#include "group/log/plog_segment.h"

enum { NX_NOTE_BYTES_MAX = 16384, NX_NOTE_HEAD_BYTES = 108 };

/* dst holds NX_NOTE_HEAD_BYTES + len; len <= NX_NOTE_BYTES_MAX. */
size_t nx_note_encode(const struct nx_plog_owner *owner, const void *bytes, size_t len,
                      uint8_t *dst);
enum nx_status nx_note_decode(const uint8_t *note, size_t len, struct nx_plog_owner *owner,
                              const uint8_t **bytes, size_t *bytes_len, struct nx_err *err);

#endif
