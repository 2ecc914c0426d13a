#include "group/multicast/mc_window.h"

#include "group/sst/sst_guard.h"

#include <string.h>

void nx_window_init(struct nx_window *window, uint8_t *ring, uint64_t ring_bytes)
{
    nx_assert((ring_bytes & (ring_bytes - 1)) == 0);
    *window = (struct nx_window){.ring = ring, .ring_bytes = ring_bytes};
}

static uint64_t payload_bytes(const struct nx_record *record)
{
    return record->kind == NX_REC_NULLS ? 0 : record->len;
}

static void put_header(struct nx_window *window, const struct nx_record *record)
{
    memcpy(window->ring + (window->head & (window->ring_bytes - 1)), record, sizeof *record);
}

uint8_t *nx_window_append(struct nx_window *window, const struct nx_record *record)
{
    nx_assert(window->head - window->freed <= window->ring_bytes);
    uint64_t need = nx_record_bytes(payload_bytes(record));
    uint64_t rest = window->ring_bytes - (window->head & (window->ring_bytes - 1));
    uint64_t pad = need > rest ? rest : 0;
    if (window->head - window->freed + pad + need > window->ring_bytes)
        return NULL;
    if (pad) {
        put_header(window, &(struct nx_record){.len = (uint32_t)(pad - NX_RECORD_HEADER_BYTES),
                                               .kind = NX_REC_PAD});
        window->head += pad;
    }
    put_header(window, record);
    uint8_t *payload =
        window->ring + (window->head & (window->ring_bytes - 1)) + NX_RECORD_HEADER_BYTES;
    window->head += need;
    return payload;
}

uint64_t nx_window_room(const struct nx_window *window, uint64_t spare)
{
    uint64_t used = window->head - window->freed + spare;
    if (used >= window->ring_bytes)
        return 0;
    uint64_t space = window->ring_bytes - used;
    uint64_t rest = window->ring_bytes - (window->head & (window->ring_bytes - 1));
    /* Either up to the ring's end, or past a pad from its start. */
    uint64_t before = space < rest ? space : rest;
    uint64_t after = space > rest ? space - rest : 0;
    uint64_t most = before > after ? before : after;
    return most > NX_RECORD_HEADER_BYTES ? most - NX_RECORD_HEADER_BYTES : 0;
}

void nx_intake_init(struct nx_intake *intake, const uint8_t *ring, uint64_t ring_bytes)
{
    nx_assert((ring_bytes & (ring_bytes - 1)) == 0);
    *intake = (struct nx_intake){.ring = ring, .ring_bytes = ring_bytes};
}

bool nx_intake_extend(struct nx_intake *intake, uint64_t sent)
{
    if (sent < intake->sent || sent % 8 != 0 || sent - intake->read > intake->ring_bytes)
        return false;
    intake->sent = sent;
    return true;
}

/* The header is copied in one load, so what was checked is what is used. */
static struct nx_record load_header(const struct nx_intake *intake)
{
    uint64_t word = nx_remote_load(intake->ring + (intake->read & (intake->ring_bytes - 1)));
    struct nx_record record;
    memcpy(&record, &word, sizeof record);
    return record;
}

enum nx_intake_got nx_intake_next(struct nx_intake *intake, struct nx_record *record,
                                  const uint8_t **payload)
{
    while (intake->read < intake->sent) {
        struct nx_record header = load_header(intake);
        uint64_t at = intake->read & (intake->ring_bytes - 1);
        uint64_t need = nx_record_bytes(payload_bytes(&header));
        if (need > intake->sent - intake->read || need > intake->ring_bytes - at)
            return NX_INTAKE_CORRUPT;
        intake->read += need;
        if (header.kind == NX_REC_PAD && at + need == intake->ring_bytes)
            continue;
        if (header.kind <= NX_REC_PAD || header.kind > NX_REC_CANCEL)
            return NX_INTAKE_CORRUPT;
        *record = header;
        *payload = intake->ring + at + NX_RECORD_HEADER_BYTES;
        return NX_INTAKE_RECORD;
    }
    return NX_INTAKE_EMPTY;
}
