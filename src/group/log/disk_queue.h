/* disk_queue.h — requests in order; a list through the requests themselves, so that submitting cannot fail. */
#ifndef NX_GROUP_DISK_QUEUE_H
#define NX_GROUP_DISK_QUEUE_H

#include "group/log/disk.h"

struct nx_disk_queue {
    struct nx_disk_request *first, **end;
};

static inline void nx_disk_queue_init(struct nx_disk_queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

static inline void nx_disk_queue_push(struct nx_disk_queue *queue, struct nx_disk_request *request)
{
    request->next = NULL;
    *queue->end = request;
    queue->end = &request->next;
}

static inline struct nx_disk_request *nx_disk_queue_pop(struct nx_disk_queue *queue)
{
    struct nx_disk_request *request = queue->first;
    if (request && !(queue->first = request->next))
        queue->end = &queue->first;
    return request;
}

#endif
