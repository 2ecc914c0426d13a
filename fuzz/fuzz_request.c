/* The categorizer's own formats: what decodes, encodes to the same bytes again. */
#include "categorizer/ordered.h"
#include "common/nx_assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_request(const uint8_t *bytes, size_t len)
{
    struct nx_request_head head;
    struct nx_err err;
    size_t used;
    uint8_t again[NX_HEAD_BYTES_MAX];
    if (nx_request_decode(bytes, len, &head, &used, &err) != NX_OK)
        return;
    nx_assert(used <= len && used <= NX_HEAD_BYTES_MAX);
    nx_assert(nx_request_encode(&head, again, sizeof again) == used);
    nx_assert(memcmp(again, bytes, used) == 0);
}

static void try_answer(const uint8_t *bytes, size_t len)
{
    struct nx_answer answer;
    struct nx_err err;
    uint8_t again[NX_ANSWER_BYTES_MAX];
    if (nx_answer_decode(bytes, len, &answer, &err) == NX_OK)
        nx_assert(nx_answer_encode(&answer, again, sizeof again) <= len); /* a NUL ends the text */
}

static void try_ordered(const uint8_t *bytes, size_t len)
{
    struct nx_ordered message;
    struct nx_err err;
    uint8_t again[NX_ORDERED_BYTES_MAX];
    if (nx_ordered_decode(bytes, len, &message, &err) == NX_OK)
        nx_assert(nx_ordered_encode(&message, again, sizeof again) > 0);
}

static void try_payloads(const uint8_t *bytes, size_t len)
{
    struct nx_models_memory memory;
    struct nx_work work;
    struct nx_model_facts_wire model;
    struct nx_top_entry entry;
    struct nx_rows rows;
    struct nx_err err;
    size_t at = 0, count = 0;
    if (nx_models_get_memory(bytes, len, &memory, &err) != NX_OK)
        nx_assert(err.text[0] != 0);
    if (nx_models_get_work(bytes, len, &work, &err) != NX_OK)
        nx_assert(len < NX_MODELS_HEAD_BYTES && err.text[0] != 0);
    for (size_t before = 0; nx_models_next(bytes, len, &at, &model, &err) == NX_OK; before = at)
        nx_assert(at > before && at <= len && memchr(model.name, 0, sizeof model.name));
    if (nx_rows_decode(bytes, len, &rows, &err) != NX_OK)
        return;
    nx_assert(rows.values + 4 * (size_t)rows.rows * rows.columns <= bytes + len);
    for (at = 0; nx_rows_next_top(&rows, &at, &entry); count++)
        continue;
    nx_assert(count == (size_t)rows.rows * rows.top);
}

static void check_tensors(const struct nx_tensors *t, const uint8_t *bytes, size_t len)
{
    for (uint32_t i = 0; i < t->count; i++) {
        nx_assert(t->parts[i].data >= bytes && t->parts[i].data + t->parts[i].bytes <= bytes + len);
        nx_assert(memchr(t->parts[i].name, 0, sizeof t->parts[i].name));
    }
}

static void try_tensors(const uint8_t *bytes, size_t len)
{
    static struct nx_tensors_ask ask;
    static struct nx_tensors tensors;
    struct nx_err err;
    uint8_t again[NX_TENSORS_HEAD_BYTES_MAX];
    if (nx_tensors_decode(bytes, len, &tensors, &err) == NX_OK)
        check_tensors(&tensors, bytes, len);
    if (nx_tensors_ask_decode(bytes, len, &ask, &err) != NX_OK)
        return;
    check_tensors(&ask.in, bytes, len);
    size_t head = nx_tensors_ask_encode(&ask, again, sizeof again);
    nx_assert(head > 0 && head <= len && memcmp(again, bytes, head) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    try_tensors(bytes, len);
    try_request(bytes, len);
    try_answer(bytes, len);
    try_ordered(bytes, len);
    try_payloads(bytes, len);
    return 0;
}
