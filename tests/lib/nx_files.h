/* nx_files.h — whole files for tests; the working directory is the source root. */
#ifndef NX_FILES_H
#define NX_FILES_H

#include "nx_test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct nx_test_file {
    uint8_t *bytes;
    size_t len;
};

/* Fails the test if the file is not there. free(file.bytes) gives it back; exactly `len` bytes are
 * allocated, so that the address sanitizer sees a read past them. */
static inline struct nx_test_file nx_test_read(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    fseek(f, 0, SEEK_END);
    struct nx_test_file file = {.len = (size_t)ftell(f)};
    rewind(f);
    file.bytes = malloc(file.len ? file.len : 1);
    assert_non_null(file.bytes);
    assert_int_equal(fread(file.bytes, 1, file.len, f), file.len);
    fclose(f);
    return file;
}

#endif
