#include "categorizer/manifest.h"

#include "common/arena.h"
#include "common/codec.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC UINT32_C(0x5453584e) /* "NXST" */

static void write_err(struct nx_writer *w, const struct nx_err *err)
{
    size_t bytes = strnlen(err->text, NX_ERR_TEXT_BYTES - 1);
    nx_write_u8(w, (uint8_t)err->status);
    nx_write_u16(w, (uint16_t)bytes);
    nx_write_bytes(w, err->text, bytes);
}

static void write_entry(struct nx_writer *w, uint32_t slot, const struct nx_entry *e, bool files)
{
    uint8_t head[NX_HEAD_BYTES_MAX];
    nx_write_u16(w, (uint16_t)slot);
    nx_write_u8(w, (uint8_t)e->state);
    nx_write_u8(w, e->any_vote);
    nx_write_u8(w, files);
    nx_write_u64(w, (uint64_t)e->version);
    nx_write_u64(w, e->generation);
    nx_write_u64(w, e->waiting);
    nx_write_bytes(w, e->digest.bytes, NX_DIGEST_BYTES);
    write_err(w, &e->failure);
    nx_write_bytes(w, head, nx_request_encode(&e->kept->head, head, sizeof head));
}

static void write_outcome(struct nx_writer *w, const struct nx_outcome *o)
{
    nx_write_bytes(w, o->request.bytes, NX_REQUEST_ID_BYTES);
    nx_write_u8(w, (uint8_t)o->op);
    nx_write_u32(w, o->tag);
    write_err(w, &o->err);
}

static void write_head(struct nx_writer *w, uint32_t bytes, uint32_t entries, uint32_t outcomes,
                       uint64_t installs)
{
    nx_write_u32(w, MAGIC);
    nx_write_u16(w, NX_MANIFEST_VERSION);
    nx_write_u16(w, 0);
    nx_write_u32(w, bytes);
    nx_write_u32(w, entries);
    nx_write_u32(w, outcomes);
    nx_write_u64(w, installs);
}

uint8_t *nx_manifest_encode(const struct nx_store *store, bool files_follow[NX_STORE_MODELS],
                            size_t *bytes)
{
    struct nx_writer w, head;
    struct nx_digest digest;
    uint32_t entries = 0, outcomes = nx_store_outcomes(store);
    uint8_t *to = nx_malloc(NX_MANIFEST_BYTES_MAX); /* pages that are not written cost nothing */
    if (!to)
        return NULL;
    nx_writer_init(&w, to, NX_MANIFEST_BYTES_MAX);
    write_head(&w, 0, 0, 0, 0);
    for (uint32_t i = 0; i < NX_STORE_MODELS; i++) {
        const struct nx_entry *e = nx_store_peek(store, i);
        files_follow[i] = e->state != NX_ENTRY_FREE && nx_kept_state(e->kept) != NX_KEPT_LOST;
        if (e->state == NX_ENTRY_FREE)
            continue;
        write_entry(&w, i, e, files_follow[i]);
        entries++;
    }
    for (uint32_t i = 0; i < outcomes; i++)
        write_outcome(&w, nx_store_outcome(store, i));
    nx_assert(!w.bad);
    size_t used = nx_writer_used(&w);
    nx_writer_init(&head, to, NX_MANIFEST_HEAD_BYTES);
    write_head(&head, (uint32_t)(used + NX_DIGEST_BYTES), entries, outcomes,
               nx_store_installs(store));
    if (nx_digest_of(to, used, &digest, NULL) != NX_OK) {
        free(to);
        return NULL;
    }
    nx_write_bytes(&w, digest.bytes, NX_DIGEST_BYTES);
    nx_assert(!w.bad);
    *bytes = used + NX_DIGEST_BYTES;
    return to;
}

enum nx_status nx_manifest_size(const uint8_t *head, size_t *bytes, struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, head, NX_MANIFEST_HEAD_BYTES);
    uint32_t magic = nx_read_u32(&r);
    uint16_t version = nx_read_u16(&r), zero = nx_read_u16(&r);
    uint32_t size = nx_read_u32(&r);
    if (magic != MAGIC)
        return nx_err_set(err, NX_CORRUPT, "a shard's state begins with %08x, expected %08x", magic,
                          MAGIC);
    if (version != NX_MANIFEST_VERSION || zero != 0)
        return nx_err_set(err, NX_UNSUPPORTED, "a shard's state has version %u, this node reads %d",
                          version, NX_MANIFEST_VERSION);
    if (size < NX_MANIFEST_HEAD_BYTES + NX_DIGEST_BYTES || size > NX_MANIFEST_BYTES_MAX)
        return nx_err_set(err, NX_CORRUPT, "a shard's manifest claims %u bytes, %d to %d are legal",
                          size, NX_MANIFEST_HEAD_BYTES + NX_DIGEST_BYTES, NX_MANIFEST_BYTES_MAX);
    *bytes = size;
    return NX_OK;
}

static void read_bytes(struct nx_reader *r, void *to, size_t len)
{
    const uint8_t *bytes = nx_read_bytes(r, len);
    if (bytes)
        memcpy(to, bytes, len);
}

/* A sentence has no NUL within: it then encodes to the same bytes again. */
static void read_err(struct nx_reader *r, struct nx_err *err)
{
    uint8_t status = nx_read_u8(r);
    uint16_t bytes = nx_read_u16(r);
    const uint8_t *text = nx_read_bytes(r, bytes);
    if (r->bad || status >= NX_STATUS_COUNT || bytes >= NX_ERR_TEXT_BYTES ||
        memchr(text, 0, bytes)) {
        r->bad = true;
        return;
    }
    *err = (struct nx_err){.status = (enum nx_status)status};
    memcpy(err->text, text, bytes);
}

/* A head stands in the manifest as in a query: its own first word says how long it is. */
static void read_op(struct nx_reader *r, struct nx_request_head *head)
{
    size_t used;
    if (r->bad || nx_request_decode(r->at, nx_reader_left(r), head, &used, NULL) != NX_OK ||
        head->op != NX_REQUEST_INSTALL)
        r->bad = true;
    else
        nx_read_bytes(r, used);
}

static bool read_flag(struct nx_reader *r)
{
    uint8_t flag = nx_read_u8(r);
    r->bad |= flag > 1;
    return flag;
}

static void read_entry(struct nx_reader *r, struct nx_entry *e, struct nx_request_head *head,
                       bool *files)
{
    *e = (struct nx_entry){.state = (enum nx_entry_state)nx_read_u8(r)};
    e->any_vote = read_flag(r);
    *files = read_flag(r);
    e->version = (nx_seq)nx_read_u64(r);
    e->generation = nx_read_u64(r);
    e->waiting = nx_read_u64(r);
    read_bytes(r, e->digest.bytes, NX_DIGEST_BYTES);
    read_err(r, &e->failure);
    read_op(r, head);
    e->tag = head->tag;
    e->request = head->request;
    e->format = head->format;
    memcpy(e->name, head->name, sizeof e->name);
    bool loading = e->state == NX_ENTRY_LOADING, ready = e->state == NX_ENTRY_READY;
    if ((!loading && !ready) || loading != (e->waiting != 0) || (ready && !e->any_vote) ||
        (ready && e->failure.status != NX_OK) || e->version < 0)
        r->bad = true;
}

/* Its files get their room here, so that they can be written as they come. */
static enum nx_status take_entry(struct nx_reader *r, struct nx_spool *spool,
                                 struct nx_store *store, uint32_t *slot, bool *files_follow,
                                 uint64_t *files_bytes, struct nx_err *err)
{
    uint32_t i = nx_read_u16(r);
    if (i >= NX_STORE_MODELS || i < *slot)
        return nx_err_set(err, NX_CORRUPT, "slot %u of a shard's state is malformed", i);
    bool *files = &files_follow[i];
    *slot = i + 1;
    struct nx_entry e;
    struct nx_request_head head = {0};
    struct nx_err no_room = {0};
    uint64_t bytes;
    read_entry(r, &e, &head, files);
    if (r->bad || !nx_install_body_bytes(&head, &bytes) || bytes == 0 ||
        (*files && __builtin_add_overflow(*files_bytes, bytes, files_bytes)) ||
        nx_store_find_in(store, e.tag, e.state) || nx_store_find_version(store, e.version))
        return nx_err_set(err, NX_CORRUPT, "entry %u of a shard's state is malformed", i);
    if (e.state == NX_ENTRY_READY && !*files)
        return nx_err_set(err, NX_UNAVAILABLE, "the files of tag %u are lost at the donor", e.tag);
    e.kept = nx_kept_open(spool, &head, &no_room);
    if (!e.kept)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a model's files");
    if (e.state == NX_ENTRY_READY && nx_kept_state(e.kept) == NX_KEPT_LOST) {
        nx_kept_drop(e.kept);
        return nx_err_set(err, NX_UNAVAILABLE, "tag %u: %s", e.tag, no_room.text);
    }
    if (!*files)
        nx_kept_fill(e.kept, false);
    *nx_store_at(store, i) = e;
    return NX_OK;
}

static enum nx_status take_outcome(struct nx_reader *r, struct nx_store *store, struct nx_err *err)
{
    struct nx_outcome o = {0};
    read_bytes(r, o.request.bytes, NX_REQUEST_ID_BYTES);
    o.op = (enum nx_request)nx_read_u8(r);
    o.tag = nx_read_u32(r);
    read_err(r, &o.err);
    if (r->bad || (o.op != NX_REQUEST_INSTALL && o.op != NX_REQUEST_REMOVE))
        return nx_err_set(err, NX_CORRUPT, "an outcome of a shard's state is malformed");
    nx_store_remember(store, &o);
    return NX_OK;
}

static enum nx_status check_seal(const uint8_t *bytes, size_t len, struct nx_err *err)
{
    struct nx_digest digest;
    size_t size;
    if (len < NX_MANIFEST_HEAD_BYTES)
        return nx_err_set(err, NX_CORRUPT, "a shard's state ends after %zu bytes", len);
    NX_TRY(nx_manifest_size(bytes, &size, err));
    if (size != len)
        return nx_err_set(err, NX_CORRUPT, "a shard's manifest claims %zu bytes, %zu came", size,
                          len);
    NX_TRY(nx_digest_of(bytes, len - NX_DIGEST_BYTES, &digest, err));
    if (memcmp(digest.bytes, bytes + len - NX_DIGEST_BYTES, NX_DIGEST_BYTES) != 0)
        return nx_err_set(err, NX_CORRUPT, "a shard's manifest has another checksum than it says");
    return NX_OK;
}

enum nx_status nx_manifest_decode(const uint8_t *bytes, size_t len, struct nx_spool *spool,
                                  struct nx_store *store, bool files_follow[NX_STORE_MODELS],
                                  uint64_t *files_bytes, struct nx_err *err)
{
    struct nx_reader r;
    NX_TRY(check_seal(bytes, len, err));
    nx_reader_init(&r, bytes, len - NX_DIGEST_BYTES);
    nx_read_bytes(&r, 12);
    uint32_t entries = nx_read_u32(&r), outcomes = nx_read_u32(&r);
    nx_store_set_installs(store, nx_read_u64(&r));
    *files_bytes = 0;
    memset(files_follow, 0, NX_STORE_MODELS * sizeof *files_follow);
    if (entries > NX_STORE_MODELS || outcomes > NX_STORE_OUTCOMES)
        return nx_err_set(err, NX_CORRUPT, "a shard's state claims %u models and %u outcomes",
                          entries, outcomes);
    for (uint32_t i = 0, slot = 0; i < entries; i++)
        NX_TRY(take_entry(&r, spool, store, &slot, files_follow, files_bytes, err));
    for (uint32_t i = 0; i < outcomes; i++)
        NX_TRY(take_outcome(&r, store, err));
    if (nx_reader_left(&r) != 0)
        return nx_err_set(err, NX_CORRUPT, "a shard's manifest has %zu bytes too many",
                          nx_reader_left(&r));
    return NX_OK;
}
