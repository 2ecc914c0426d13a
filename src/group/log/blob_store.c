#include "group/log/blob_store.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "group/log/disk_stream.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = 32, BUFFER_BYTES = 256 * 1024, FILES_MAX = NX_BLOBS_MAX + 64 };

struct blob {
    char name[NX_BLOB_NAME_BYTES];
    bool due; /* to be removed */
    uint32_t refs;
    uint64_t bytes;
};

struct nx_blob_store {
    struct nx_disk *disk;
    uint64_t puts;              /* ever; for temporary names */
    struct nx_blob_put *naming; /* they may be renaming: a removal now could hit the new file */
    bool removing;
    struct nx_disk_request request;
    uint32_t blobs_count;
    struct blob blobs[NX_BLOBS_MAX];
};

struct nx_blob_put {
    struct nx_blob_store *store;
    struct nx_disk_stream *stream;
    EVP_MD_CTX *hash;
    uint64_t bytes;
    bool finishing, told;
    char name[NX_BLOB_NAME_BYTES];
    struct nx_blob_put *next; /* that is naming */
};

struct nx_blob_get {
    struct nx_blob_store *store;
    EVP_MD_CTX *hash;
    struct nx_disk_request request;
    bool reading, ended;
    uint64_t offset;
    char name[NX_BLOB_NAME_BYTES];
    uint8_t buffer[BUFFER_BYTES];
};

/* --- names ---------------------------------------------------------------------------------------------- */

static void file_name(const char *name, char file[NX_DISK_NAME_BYTES])
{
    snprintf(file, NX_DISK_NAME_BYTES, "%s.blob", name);
}

static bool name_ok(const char *name)
{
    return strnlen(name, NX_BLOB_NAME_BYTES) == NX_BLOB_NAME_BYTES - 1 &&
           strspn(name, "0123456789abcdef") == NX_BLOB_NAME_BYTES - 1;
}

static bool parse_file_name(const char *file, char name[NX_BLOB_NAME_BYTES])
{
    if (strlen(file) != NX_BLOB_NAME_BYTES - 1 + 5 ||
        strcmp(file + NX_BLOB_NAME_BYTES - 1, ".blob"))
        return false;
    memcpy(name, file, NX_BLOB_NAME_BYTES - 1);
    name[NX_BLOB_NAME_BYTES - 1] = 0;
    return name_ok(name);
}

static struct blob *find(const struct nx_blob_store *store, const char *name)
{
    for (uint32_t i = 0; i < store->blobs_count; i++)
        if (strcmp(store->blobs[i].name, name) == 0)
            return (struct blob *)(uintptr_t)&store->blobs[i];
    return NULL;
}

static EVP_MD_CTX *begin_hash(void)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1)
        return hash;
    EVP_MD_CTX_free(hash);
    return NULL;
}

static bool end_hash(EVP_MD_CTX *hash, char name[NX_BLOB_NAME_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_DigestFinal_ex(hash, bytes, &len) != 1 || len != HASH_BYTES)
        return false;
    for (unsigned i = 0; i < HASH_BYTES; i++) {
        name[2 * i] = digits[bytes[i] >> 4];
        name[2 * i + 1] = digits[bytes[i] & 15];
    }
    name[2 * HASH_BYTES] = 0;
    return true;
}

/* --- the store ------------------------------------------------------------------------------------------ */

static enum nx_status take_entry(struct nx_blob_store *store, const struct nx_disk_entry *entry,
                                 struct nx_err *err)
{
    char name[NX_BLOB_NAME_BYTES];
    unsigned long long number;
    char left;
    if (sscanf(entry->name, "put-%llu.tm%c", &number, &left) == 2 && left == 'p') {
        struct nx_disk_request remove = {.kind = NX_DISK_REMOVE};
        memcpy(remove.name, entry->name, sizeof entry->name);
        return nx_disk_run(store->disk, &remove, err);
    }
    if (!parse_file_name(entry->name, name))
        return NX_OK;
    if (store->blobs_count == NX_BLOBS_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "%s holds more than %d blobs",
                          store->disk->ops->place(store->disk), NX_BLOBS_MAX);
    struct blob *blob = &store->blobs[store->blobs_count++];
    memcpy(blob->name, name, sizeof name);
    blob->bytes = entry->bytes;
    return NX_OK;
}

static enum nx_status list_blobs(struct nx_blob_store *store, struct nx_disk_entry *entries,
                                 struct nx_err *err)
{
    struct nx_disk_request list = {.kind = NX_DISK_LIST, .dst = entries, .len = FILES_MAX};
    NX_TRY(nx_disk_run(store->disk, &list, err));
    for (size_t i = 0; i < list.done_bytes; i++)
        NX_TRY(take_entry(store, &entries[i], err));
    return NX_OK;
}

enum nx_status nx_blob_store_open(struct nx_disk *disk, struct nx_blob_store **store,
                                  struct nx_err *err)
{
    struct nx_blob_store *s = nx_calloc(1, sizeof *s);
    struct nx_disk_entry *entries = nx_calloc(FILES_MAX, sizeof *entries);
    enum nx_status status = NX_NO_MEMORY;
    if (s && entries) {
        s->disk = disk;
        status = list_blobs(s, entries, err);
    } else {
        nx_err_set(err, status, "no memory for a blob store");
    }
    free(entries);
    if (status != NX_OK)
        free(s);
    else
        *store = s;
    return status;
}

static void wait_for(struct nx_disk *disk, const struct nx_disk_request *request)
{
    while (!request->done) {
        disk->ops->wait(disk);
        nx_disk_poll(disk);
    }
}

void nx_blob_store_close(struct nx_blob_store *store)
{
    if (store->removing)
        wait_for(store->disk, &store->request);
    free(store);
}

static void remove_one(struct nx_blob_store *store, struct blob *blob)
{
    store->request = (struct nx_disk_request){.kind = NX_DISK_REMOVE};
    file_name(blob->name, store->request.name);
    nx_disk_submit(store->disk, &store->request);
    store->removing = true;
    *blob = store->blobs[--store->blobs_count];
}

/* Only its own: a put that waits for room must not keep what would make some. */
static bool is_being_named(const struct nx_blob_store *store, const char *name)
{
    const struct nx_blob_put *p = store->naming;
    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    return p != NULL;
}

bool nx_blob_poll(struct nx_blob_store *store)
{
    bool moved = nx_disk_poll(store->disk);
    if (store->removing && store->request.done) {
        store->removing = false;
        moved = true;
        if (store->request.err.status != NX_OK)
            nx_warn("%s", store->request.err.text); /* it is collected after the next start */
    }
    for (uint32_t i = 0; i < store->blobs_count && !store->removing; i++)
        if (store->blobs[i].due && !is_being_named(store, store->blobs[i].name))
            remove_one(store, &store->blobs[i]);
    return moved;
}

enum nx_status nx_blob_ref(struct nx_blob_store *store, const char *name)
{
    struct blob *blob = find(store, name);
    if (!blob)
        return NX_NOT_FOUND;
    blob->refs++;
    blob->due = false;
    return NX_OK;
}

enum nx_status nx_blob_unref(struct nx_blob_store *store, const char *name)
{
    struct blob *blob = find(store, name);
    if (!blob || blob->refs == 0)
        return NX_NOT_FOUND;
    blob->due = --blob->refs == 0;
    return NX_OK;
}

void nx_blob_collect(struct nx_blob_store *store)
{
    for (uint32_t i = 0; i < store->blobs_count; i++)
        store->blobs[i].due = store->blobs[i].refs == 0;
}

uint32_t nx_blob_count(const struct nx_blob_store *store)
{
    return store->blobs_count;
}

/* --- put ------------------------------------------------------------------------------------------------ */

static enum nx_status open_put(struct nx_blob_put *p, struct nx_err *err)
{
    char temporary[NX_DISK_NAME_BYTES];
    p->hash = begin_hash();
    if (!p->hash)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a hash");
    snprintf(temporary, sizeof temporary, "put-%llu.tmp", (unsigned long long)p->store->puts++);
    return nx_disk_stream_open(p->store->disk, temporary, BUFFER_BYTES, &p->stream, err);
}

enum nx_status nx_blob_put_open(struct nx_blob_store *store, struct nx_blob_put **put,
                                struct nx_err *err)
{
    struct nx_blob_put *p = nx_calloc(1, sizeof *p);
    if (!p)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a blob");
    p->store = store;
    enum nx_status status = open_put(p, err);
    if (status != NX_OK) {
        EVP_MD_CTX_free(p->hash);
        free(p);
        return status;
    }
    *put = p;
    return NX_OK;
}

size_t nx_blob_put_write(struct nx_blob_put *p, const void *bytes, size_t len)
{
    size_t taken = p->finishing ? 0 : nx_disk_stream_write(p->stream, bytes, len);
    if (taken > 0) {
        int hashed = EVP_DigestUpdate(p->hash, bytes, taken);
        nx_assert(hashed == 1);
    }
    p->bytes += taken;
    return taken;
}

void nx_blob_put_finish(struct nx_blob_put *p)
{
    char file[NX_DISK_NAME_BYTES];
    bool hashed = !p->finishing && end_hash(p->hash, p->name);
    nx_assert(hashed);
    p->finishing = true;
    p->next = p->store->naming;
    p->store->naming = p;
    file_name(p->name, file);
    nx_disk_stream_finish(p->stream, file);
}

bool nx_blob_put_poll(struct nx_blob_put *p)
{
    return nx_disk_stream_poll(p->stream);
}

static enum nx_status adopt(struct nx_blob_put *p, struct nx_err *err)
{
    struct nx_blob_store *store = p->store;
    struct blob *blob = find(store, p->name);
    if (!blob && store->blobs_count == NX_BLOBS_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "%d blobs are stored already", NX_BLOBS_MAX);
    if (!blob) {
        blob = &store->blobs[store->blobs_count++];
        *blob = (struct blob){.bytes = p->bytes};
        memcpy(blob->name, p->name, sizeof p->name);
    }
    blob->refs++;
    blob->due = false;
    p->told = true;
    return NX_OK;
}

enum nx_status nx_blob_put_status(struct nx_blob_put *p, char name[NX_BLOB_NAME_BYTES],
                                  struct nx_err *err)
{
    NX_TRY(nx_disk_stream_status(p->stream, err));
    if (!p->told)
        NX_TRY(adopt(p, err));
    memcpy(name, p->name, sizeof p->name);
    return NX_OK;
}

/* What a sync found no room for is read back: it is the blob if it has the blob's name. */
static bool is_it(void *ctx, uint64_t offset, const uint8_t *bytes, size_t len)
{
    struct nx_blob_put *p = ctx;
    char name[NX_BLOB_NAME_BYTES];
    if (offset == 0 && EVP_DigestInit_ex(p->hash, EVP_sha256(), NULL) != 1)
        return false;
    if (len > 0)
        return EVP_DigestUpdate(p->hash, bytes, len) == 1;
    return end_hash(p->hash, name) && strcmp(name, p->name) == 0;
}

void nx_blob_put_wait_for_room(struct nx_blob_put *p)
{
    nx_disk_stream_wait_for_room(p->stream, is_it, p);
}

bool nx_blob_put_is_full(const struct nx_blob_put *p, struct nx_err *err)
{
    return nx_disk_stream_is_full(p->stream, err);
}

bool nx_blob_put_is_busy(const struct nx_blob_put *p)
{
    return nx_disk_stream_is_busy(p->stream);
}

void nx_blob_put_retry(struct nx_blob_put *p)
{
    nx_disk_stream_retry(p->stream);
}

void nx_blob_put_close(struct nx_blob_put *p)
{
    struct nx_blob_put **at = &p->store->naming;
    while (*at && *at != p)
        at = &(*at)->next;
    if (*at)
        *at = p->next;
    nx_disk_stream_close(p->stream);
    EVP_MD_CTX_free(p->hash);
    free(p);
}

/* --- get ------------------------------------------------------------------------------------------------ */

enum nx_status nx_blob_get_open(struct nx_blob_store *store, const char *name,
                                struct nx_blob_get **get, struct nx_err *err)
{
    if (!name_ok(name))
        return nx_err_set(err, NX_INVALID, "\"%.70s\" is no blob's name: 64 hex digits", name);
    if (!find(store, name))
        return nx_err_set(err, NX_NOT_FOUND, "blob %s is not stored here", name);
    struct nx_blob_get *g = nx_calloc(1, sizeof *g);
    if (!g || !(g->hash = begin_hash())) {
        free(g);
        return nx_err_set(err, NX_NO_MEMORY, "no memory to read a blob");
    }
    g->store = store;
    memcpy(g->name, name, sizeof g->name);
    *get = g;
    return NX_OK;
}

static void start_read(struct nx_blob_get *g)
{
    g->request = (struct nx_disk_request){
        .kind = NX_DISK_READ, .offset = g->offset, .dst = g->buffer, .len = BUFFER_BYTES};
    file_name(g->name, g->request.name);
    nx_disk_submit(g->store->disk, &g->request);
    g->reading = true;
}

static enum nx_status verify(struct nx_blob_get *g, struct nx_err *err)
{
    char name[NX_BLOB_NAME_BYTES];
    if (!g->ended && end_hash(g->hash, name) && strcmp(name, g->name) == 0) {
        g->ended = true;
        return NX_OK;
    }
    return nx_err_set(err, NX_CORRUPT, "%s/%s: %llu bytes that do not have this SHA-256",
                      g->store->disk->ops->place(g->store->disk), g->request.name,
                      (unsigned long long)g->offset);
}

enum nx_status nx_blob_get_next(struct nx_blob_get *g, const uint8_t **bytes, size_t *len,
                                struct nx_err *err)
{
    *len = 0;
    if (g->ended)
        return NX_OK;
    if (!g->reading)
        start_read(g);
    if (!g->request.done)
        return NX_AGAIN;
    g->reading = false;
    if (g->request.err.status != NX_OK && err)
        *err = g->request.err;
    NX_TRY(g->request.err.status);
    if (g->request.done_bytes == 0)
        return verify(g, err);
    int hashed = EVP_DigestUpdate(g->hash, g->buffer, g->request.done_bytes);
    nx_assert(hashed == 1);
    g->offset += g->request.done_bytes;
    *bytes = g->buffer;
    *len = g->request.done_bytes;
    return NX_OK;
}

void nx_blob_get_close(struct nx_blob_get *g)
{
    if (g->reading)
        wait_for(g->store->disk, &g->request);
    EVP_MD_CTX_free(g->hash);
    free(g);
}
