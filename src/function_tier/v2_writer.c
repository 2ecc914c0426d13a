#include "function_tier/v2_writer.h"

#include "common/arena.h"
#include "common/worker.h"
#include "function_tier/v2_json.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 2 };

struct nx_v2_writer {
    struct nx_worker *workers[WORKERS]; /* of short replies, of long ones */
    size_t bytes;                       /* of data, of all writings */
    atomic_bool stopping;               /* what is not begun is not worth beginning */
};

struct nx_v2_writing {
    struct nx_job job; /* first */
    struct nx_v2_writer *writer;
    struct nx_v2_request about; /* as much of it as the reply repeats */
    struct nx_v2_reply reply;
    char names[NX_V2_OUTPUTS_MAX][NX_TENSOR_NAME_BYTES];
    void (*release)(void *answer); /* NULL: the reply owns all */
    void *answer;
    size_t bytes;
    nx_v2_write_done *done;
    void *user;
    struct nx_text text; /* the worker's until the job came back */
    size_t json_bytes;
    bool binary;
    atomic_bool ended;
    bool with_the_worker; /* the loop thread's */
};

enum nx_status nx_v2_writer_open(int bell, struct nx_v2_writer **writer, struct nx_err *err)
{
    static const char *const names[WORKERS] = {"nexus-reply", "nexus-reply-lg"};
    struct nx_v2_writer *w = nx_calloc(1, sizeof *w);
    if (!w)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a writer of JSON");
    enum nx_status status = NX_OK;
    for (int i = 0; i < WORKERS && status == NX_OK; i++)
        status = nx_worker_open(names[i], NX_V2_WRITINGS_MAX, bell, &w->workers[i], err);
    if (status != NX_OK) {
        nx_v2_writer_close(w);
        return status;
    }
    *writer = w;
    return NX_OK;
}

static void free_writing(struct nx_v2_writing *writing)
{
    writing->writer->bytes -= writing->bytes;
    nx_v2_reply_free(&writing->reply);
    if (writing->release)
        writing->release(writing->answer);
    nx_text_free(&writing->text);
    free(writing);
}

/* Takes back what the workers have done with. */
static bool take_back(struct nx_v2_writer *w, bool tell)
{
    bool any = false;
    for (int i = 0; i < WORKERS; i++) {
        struct nx_job *job;
        while (w->workers[i] && (job = nx_worker_finished(w->workers[i]))) {
            struct nx_v2_writing *writing = (struct nx_v2_writing *)job;
            any = true;
            writing->with_the_worker = false;
            if (atomic_load(&writing->ended))
                free_writing(writing);
            else if (tell)
                writing->done(writing->user, &writing->text, writing->json_bytes, writing->binary);
        }
    }
    return any;
}

bool nx_v2_writer_poll(struct nx_v2_writer *w)
{
    return take_back(w, true);
}

void nx_v2_writer_stop(struct nx_v2_writer *w)
{
    atomic_store(&w->stopping, true);
    for (int i = 0; i < WORKERS; i++)
        if (w->workers[i])
            nx_worker_drain(w->workers[i]);
    take_back(w, false);
}

void nx_v2_writer_close(struct nx_v2_writer *w)
{
    nx_v2_writer_stop(w);
    for (int i = 0; i < WORKERS; i++)
        if (w->workers[i])
            nx_worker_close(w->workers[i]);
    free(w);
}

static size_t text_data_bytes(const struct nx_v2_reply *reply)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < reply->count; i++)
        if (!reply->tensors[i].binary && !nx_v2_is_raw_only(reply->tensors[i].type))
            bytes += reply->tensors[i].data_bytes;
    return bytes;
}

bool nx_v2_writer_wants(const struct nx_v2_reply *reply)
{
    return text_data_bytes(reply) > NX_V2_WRITER_INLINE_BYTES;
}

/* On the worker's thread. */
static void put(struct nx_job *job)
{
    struct nx_v2_writing *writing = (struct nx_v2_writing *)job;
    if (!atomic_load(&writing->ended) && !atomic_load(&writing->writer->stopping))
        nx_v2_json_write(&writing->about, &writing->reply, &writing->text, &writing->json_bytes,
                         &writing->binary);
}

static void fill(struct nx_v2_writing *writing, const struct nx_v2_request *q,
                 const struct nx_v2_reply *reply)
{
    memcpy(writing->about.model, q->model, sizeof q->model);
    memcpy(writing->about.id, q->id, sizeof q->id);
    writing->about.answered_by = q->answered_by;
    writing->reply = *reply;
    for (uint32_t i = 0; i < reply->count; i++) {
        snprintf(writing->names[i], sizeof writing->names[i], "%s", reply->tensors[i].name);
        writing->reply.tensors[i].name = writing->names[i];
        writing->bytes += reply->tensors[i].data_bytes;
    }
    nx_text_init(&writing->text, NX_V2_WRITER_TEXT_MAX);
    writing->job.run = put;
    writing->with_the_worker = true;
}

enum nx_status nx_v2_writer_submit(struct nx_v2_writer *w, const struct nx_v2_request *q,
                                   const struct nx_v2_reply *reply, void (*release)(void *answer),
                                   void *answer, nx_v2_write_done *done, void *user,
                                   struct nx_v2_writing **out, struct nx_err *err)
{
    struct nx_v2_writing *writing = nx_calloc(1, sizeof *writing);
    if (!writing)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a reply");
    fill(writing, q, reply);
    writing->writer = w;
    writing->done = done;
    writing->user = user;
    bool fits = w->bytes == 0 || w->bytes + writing->bytes <= NX_V2_WRITER_BYTES,
         is_long = text_data_bytes(reply) > NX_V2_WRITER_SHORT_BYTES;
    if (!fits || nx_worker_submit(w->workers[is_long], &writing->job) != NX_OK) {
        free(writing);
        return nx_err_set(
            err, NX_AGAIN,
            "replies of %zu bytes wait to be written as JSON at this node; try again, "
            "or ask for binary outputs",
            w->bytes);
    }
    w->bytes += writing->bytes;
    writing->release = release;
    writing->answer = answer;
    *out = writing;
    return NX_OK;
}

void nx_v2_writing_end(struct nx_v2_writing *writing)
{
    if (!writing)
        return;
    if (writing->with_the_worker)
        atomic_store(&writing->ended, true);
    else
        free_writing(writing);
}
