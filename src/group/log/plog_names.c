#include "group/log/plog_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nx_segment_name(uint64_t index, char name[NX_DISK_NAME_BYTES])
{
    snprintf(name, NX_DISK_NAME_BYTES, "segment-%010llu.log", (unsigned long long)index);
}

void nx_checkpoint_name(nx_seq version, char name[NX_DISK_NAME_BYTES])
{
    snprintf(name, NX_DISK_NAME_BYTES, "checkpoint-%020lld.state", (long long)version);
}

/* Names are compared with what we would have printed: no second spelling of a number. */
bool nx_segment_name_parse(const char *name, uint64_t *index)
{
    char printed[NX_DISK_NAME_BYTES];
    if (strncmp(name, "segment-", 8) != 0)
        return false;
    *index = strtoull(name + 8, NULL, 10);
    nx_segment_name(*index, printed);
    return strcmp(name, printed) == 0 && *index > 0;
}

bool nx_checkpoint_name_parse(const char *name, nx_seq *version)
{
    char printed[NX_DISK_NAME_BYTES];
    if (strncmp(name, "checkpoint-", 11) != 0)
        return false;
    *version = strtoll(name + 11, NULL, 10);
    nx_checkpoint_name(*version, printed);
    return strcmp(name, printed) == 0 && *version >= 0;
}

bool nx_name_is_unfinished(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && (strcmp(name + len - 4, ".tmp") == 0 || strcmp(name + len - 4, ".new") == 0);
}
