#include "function_tier/v2_reader.h"

#include "common/arena.h"
#include "common/nx_assert.h"
#include "common/worker.h"
#include "function_tier/v2_json.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WORKERS = 2 };

struct nx_v2_reading {
    struct nx_job job; /* first */
    struct nx_v2_reader *reader;
    struct nx_grpc_buffer body;
    size_t json_bytes;
    struct nx_v2_request *request;
    nx_v2_read_done *done;
    void *user;
    struct nx_err err;    /* the worker's until the job came back */
    atomic_bool ended;    /* set by the loop thread: not worth beginning */
    bool with_the_worker; /* the loop thread's */
};

struct nx_v2_reader {
    struct nx_worker *workers[WORKERS]; /* of short bodies, of long ones */
    int bell;
    atomic_bool stopping; /* what is not begun is not worth beginning */
};

enum nx_status nx_v2_reader_open(struct nx_v2_reader **reader, struct nx_err *err)
{
    static const char *const names[WORKERS] = {"nexus-json", "nexus-json-long"};
    struct nx_v2_reader *r = nx_calloc(1, sizeof *r);
    if (!r)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a reader of JSON");
    r->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    enum nx_status status =
        r->bell < 0 ? nx_err_set(err, NX_IO, "eventfd: %s", strerror(errno)) : NX_OK;
    for (int i = 0; i < WORKERS && status == NX_OK; i++)
        status = nx_worker_open(names[i], NX_V2_READINGS_MAX, r->bell, &r->workers[i], err);
    if (status != NX_OK) {
        nx_v2_reader_close(r);
        return status;
    }
    *reader = r;
    return NX_OK;
}

int nx_v2_reader_fd(const struct nx_v2_reader *r)
{
    return r->bell;
}

static void free_reading(struct nx_v2_reading *reading)
{
    nx_grpc_buffer_free(&reading->body);
    nx_v2_free(reading->request);
    free(reading);
}

/* Takes back what the workers have done with. */
static bool take_back(struct nx_v2_reader *r, bool tell)
{
    bool any = false;
    for (int i = 0; i < WORKERS; i++) {
        struct nx_job *job;
        while (r->workers[i] && (job = nx_worker_finished(r->workers[i]))) {
            struct nx_v2_reading *reading = (struct nx_v2_reading *)job;
            any = true;
            reading->with_the_worker = false;
            if (atomic_load(&reading->ended))
                free_reading(reading);
            else if (tell)
                reading->done(reading->user, &reading->err);
        }
    }
    return any;
}

bool nx_v2_reader_poll(struct nx_v2_reader *r)
{
    uint64_t rung;
    ssize_t n = read(r->bell, &rung, sizeof rung); /* first: what ends behind it rings again */
    return n == sizeof rung && take_back(r, true);
}

void nx_v2_reader_stop(struct nx_v2_reader *r)
{
    atomic_store(&r->stopping, true);
    for (int i = 0; i < WORKERS; i++)
        if (r->workers[i])
            nx_worker_drain(r->workers[i]);
    take_back(r, false);
}

void nx_v2_reader_close(struct nx_v2_reader *r)
{
    nx_v2_reader_stop(r);
    for (int i = 0; i < WORKERS; i++)
        if (r->workers[i])
            nx_worker_close(r->workers[i]);
    if (r->bell >= 0)
        close(r->bell);
    free(r);
}

/* On the worker's thread. */
static void walk(struct nx_job *job)
{
    struct nx_v2_reading *reading = (struct nx_v2_reading *)job;
    if (!atomic_load(&reading->ended) && !atomic_load(&reading->reader->stopping))
        reading->err.status =
            nx_v2_json_read(nx_grpc_buffer_span(&reading->body), nx_grpc_buffer_len(&reading->body),
                            reading->json_bytes, reading->request, &reading->err);
}

enum nx_status nx_v2_reader_submit(struct nx_v2_reader *r, struct nx_grpc_buffer *body,
                                   size_t json_bytes, struct nx_v2_request *request,
                                   nx_v2_read_done *done, void *user, struct nx_v2_reading **out,
                                   struct nx_err *err)
{
    struct nx_v2_reading *reading = nx_calloc(1, sizeof *reading);
    if (!reading)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a request");
    reading->job.run = walk;
    reading->reader = r;
    reading->body = *body;
    reading->json_bytes = json_bytes;
    reading->request = request;
    reading->done = done;
    reading->user = user;
    reading->with_the_worker = true;
    if (nx_worker_submit(r->workers[json_bytes > NX_V2_READER_SHORT_BYTES], &reading->job) !=
        NX_OK) {
        free(reading);
        return nx_err_set(err, NX_AGAIN,
                          "%d bodies of JSON wait to be read at this node; try again",
                          NX_V2_READINGS_MAX);
    }
    nx_grpc_buffer_init(body, reading->body.budget);
    *out = reading;
    return NX_OK;
}

void nx_v2_reading_end(struct nx_v2_reading *reading)
{
    if (!reading)
        return;
    if (reading->with_the_worker)
        atomic_store(&reading->ended, true);
    else
        free_reading(reading);
}
