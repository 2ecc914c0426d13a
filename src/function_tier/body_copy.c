#include "function_tier/body_copy.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

void nx_copy_open(struct nx_copy *c, struct nx_spool *spool, uint64_t bytes)
{
    struct nx_err err = {0};
    *c = (struct nx_copy){.bytes = bytes};
    if (bytes <= NX_COPY_MEMORY_BYTES) {
        c->memory = nx_calloc(1, bytes ? bytes : 1);
        c->whole_so_far = c->memory;
    } else if (nx_spool_take(spool, bytes, &c->at, &err) == NX_OK) {
        c->spool = spool;
        c->whole_so_far = true;
    } else {
        nx_warn("an install passes through without a copy: %s", err.text);
    }
}

void nx_copy_close(struct nx_copy *c)
{
    free(c->memory);
    if (c->spool)
        nx_spool_give(c->spool, c->at, c->bytes);
    *c = (struct nx_copy){0};
}

void nx_copy_append(struct nx_copy *c, const uint8_t *bytes, size_t len)
{
    struct nx_err err;
    if (!c->whole_so_far || len == 0)
        return;
    nx_assert(len <= c->bytes - c->got);
    if (c->memory) {
        memcpy(c->memory + c->got, bytes, len);
    } else if (nx_spool_write(c->spool, c->at + c->got, bytes, len, &err) != NX_OK) {
        nx_warn("the copy of an install is lost: %s", err.text);
        c->whole_so_far = false;
    }
    c->got += len;
}

bool nx_copy_read(struct nx_copy *c, uint64_t offset, uint8_t *bytes, size_t len)
{
    struct nx_err err;
    nx_assert(offset <= c->got && len <= c->got - offset);
    if (c->memory) {
        memcpy(bytes, c->memory + offset, len);
    } else if (!c->whole_so_far ||
               nx_spool_read(c->spool, c->at + offset, bytes, len, &err) != NX_OK) {
        c->whole_so_far = false;
        return false;
    }
    return true;
}
