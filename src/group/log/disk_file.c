/* disk_file.c — the disk as a folder: one worker thread carries the requests out in their order.
 *
 *   owner ── submit ──► waiting ── worker: carry out ──► finished ── poll ──► request.done
 *
 * Both lists stand under one lock; an eventfd wakes the owner's loop. */
#include "common/arena.h"
#include "common/nx_assert.h"
#include "group/log/disk_ops.h"
#include "group/log/disk_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

struct disk_file {
    struct nx_disk base; /* first: the seam's pointer is ours */
    struct nx_disk_folder folder;
    int event_fd;
    pthread_t worker;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t more;
    struct nx_disk_queue waiting, finished;
    bool closing;
    char path[PATH_BYTES];
};

static void *work(void *ctx)
{
    struct disk_file *d = ctx;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        struct nx_disk_request *request;
        while (!(request = nx_disk_queue_pop(&d->waiting)) && !d->closing)
            pthread_cond_wait(&d->more, &d->lock);
        if (!request)
            break;
        pthread_mutex_unlock(&d->lock);
        nx_disk_carry_out(&d->folder, request);
        pthread_mutex_lock(&d->lock);
        nx_disk_queue_push(&d->finished, request);
        eventfd_write(d->event_fd, 1);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

static void submit(struct nx_disk *disk, struct nx_disk_request *request)
{
    struct disk_file *d = (struct disk_file *)disk;
    pthread_mutex_lock(&d->lock);
    nx_disk_queue_push(&d->waiting, request);
    pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->lock);
}

static bool poll_finished(struct nx_disk *disk)
{
    struct disk_file *d = (struct disk_file *)disk;
    bool any = false;
    pthread_mutex_lock(&d->lock);
    for (struct nx_disk_request *r; (r = nx_disk_queue_pop(&d->finished)) != NULL; any = true)
        r->done = true;
    if (any) {
        eventfd_t rings;
        eventfd_read(d->event_fd, &rings);
    }
    pthread_mutex_unlock(&d->lock);
    return any;
}

static void wait_finished(struct nx_disk *disk)
{
    struct pollfd p = {.fd = ((struct disk_file *)disk)->event_fd, .events = POLLIN};
    poll(&p, 1, -1);
}

static int wake_fd(const struct nx_disk *disk)
{
    return ((const struct disk_file *)disk)->event_fd;
}

static const char *place(const struct nx_disk *disk)
{
    return ((const struct disk_file *)disk)->path;
}

static uint64_t room(const struct nx_disk *disk)
{
    struct statvfs s;
    if (fstatvfs(((const struct disk_file *)disk)->folder.fd, &s) != 0)
        return UINT64_MAX; /* a write will tell */
    return (uint64_t)s.f_bavail * s.f_frsize;
}

static void close_disk(struct nx_disk *disk)
{
    struct disk_file *d = (struct disk_file *)disk;
    pthread_mutex_lock(&d->lock);
    nx_assert(!d->waiting.first);
    d->closing = true;
    pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->worker, NULL);
    nx_disk_forget_all(&d->folder);
    pthread_cond_destroy(&d->more);
    pthread_mutex_destroy(&d->lock);
    close(d->event_fd);
    close(d->folder.fd);
    free(d);
}

static const struct nx_disk_ops file_ops = {
    .submit = submit,
    .poll = poll_finished,
    .wait = wait_finished,
    .fd = wake_fd,
    .place = place,
    .room = room,
    .close = close_disk,
};

/* The lock goes with the descriptor: a dead process holds none. */
static enum nx_status open_folder(struct disk_file *d, struct nx_err *err)
{
    bool own = !d->folder.read_only;
    if (own && mkdir(d->path, 0750) != 0 && errno != EEXIST)
        return nx_err_set(err, NX_IO, "cannot make the folder %s: %s", d->path, strerror(errno));
    d->folder.fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->folder.fd < 0)
        return nx_err_set(err, errno == ENOENT ? NX_NOT_FOUND : NX_IO,
                          "cannot open the folder %s: %s", d->path, strerror(errno));
    if (own && flock(d->folder.fd, LOCK_EX | LOCK_NB) != 0)
        return nx_err_set(err, NX_EXISTS, "the folder %s is in use by another process", d->path);
    return NX_OK;
}

/* Signals are for the threads that wait for them. */
static enum nx_status start_worker(struct disk_file *d, struct nx_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&d->worker, NULL, work, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return nx_err_set(err, NX_IO, "cannot start the disk's thread: %s", strerror(error));
    return NX_OK;
}

static enum nx_status start(struct disk_file *d, struct nx_err *err)
{
    NX_TRY(open_folder(d, err));
    d->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->event_fd < 0)
        return nx_err_set(err, NX_IO, "cannot make the disk's descriptor: %s", strerror(errno));
    return start_worker(d, err);
}

enum nx_status nx_disk_file_open(const char *folder, enum nx_disk_access access,
                                 struct nx_disk **disk, struct nx_err *err)
{
    if (strlen(folder) >= PATH_BYTES)
        return nx_err_set(err, NX_TOO_LARGE, "a folder's path of %zu bytes, at most %d",
                          strlen(folder), PATH_BYTES - 1);
    struct disk_file *d = nx_calloc(1, sizeof *d);
    if (!d)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a disk");
    d->base.ops = &file_ops;
    d->event_fd = -1;
    memcpy(d->path, folder, strlen(folder) + 1);
    d->folder = (struct nx_disk_folder){
        .fd = -1, .path = d->path, .read_only = access == NX_DISK_READ_ONLY};
    for (unsigned i = 0; i < NX_DISK_OPEN_FILES; i++)
        d->folder.open[i].fd = -1;
    nx_disk_queue_init(&d->waiting);
    nx_disk_queue_init(&d->finished);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->more, NULL);
    enum nx_status status = start(d, err);
    if (status == NX_OK) {
        *disk = &d->base;
        return NX_OK;
    }
    pthread_cond_destroy(&d->more);
    pthread_mutex_destroy(&d->lock);
    if (d->event_fd >= 0)
        close(d->event_fd);
    if (d->folder.fd >= 0)
        close(d->folder.fd);
    free(d);
    return status;
}
