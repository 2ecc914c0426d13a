/* plog_names.h — the files of a log's folder.
 *
 *   segment-0000000001.log  checkpoint-00000000000000000042.state  mark.note
 *   *.tmp, *.new            unfinished; removed at open */
#ifndef NX_GROUP_PLOG_NAMES_H
#define NX_GROUP_PLOG_NAMES_H

#include "group/log/disk.h"
#include "group/view/view.h"

#define NX_CHECKPOINT_TEMPORARY "checkpoint.tmp"
#define NX_MARK_NAME            "mark.note"

void nx_segment_name(uint64_t index, char name[NX_DISK_NAME_BYTES]);
void nx_checkpoint_name(nx_seq version, char name[NX_DISK_NAME_BYTES]);

/* False unless `name` is exactly what the functions above print. */
bool nx_segment_name_parse(const char *name, uint64_t *index);
bool nx_checkpoint_name_parse(const char *name, nx_seq *version);
bool nx_name_is_unfinished(const char *name);

#endif
