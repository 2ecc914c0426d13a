/* service_v2_state.h — what the files of the gRPC v2 service share; nobody else includes it.
 *
 *   service_v2.c        calls, facts of server and models
 *   service_v2_infer.c  ModelInfer, ModelStreamInfer
 *   service_v2_aside.c  large ones of them, by workers
 *   service_v2_repo.c   the model repository */
#ifndef NX_FUNCTION_TIER_SERVICE_V2_STATE_H
#define NX_FUNCTION_TIER_SERVICE_V2_STATE_H

#include "function_tier/aside.h"
#include "function_tier/group_status.h"
#include "function_tier/infer.h"
#include "function_tier/install.h"
#include "function_tier/model_list.h"
#include "function_tier/pb/pb_v2.h"
#include "function_tier/service_v2.h"
#include "function_tier/v2_reply.h"

struct nx_v2_call {
    struct nx_v2_call *next, **link;
    struct nx_service_v2 *service;
    struct nx_call *call;
    nx_ns begun;
    char model[NX_MODEL_NAME_BYTES];
    uint64_t version; /* that was asked for; 0: whichever serves */
    /* one of these is under way */
    struct nx_route_request *asked;
    struct nx_infer *infer;
    struct nx_task *task; /* has the request meanwhile */
    struct nx_install *install;
    struct nx_status_ask *status;
    struct nx_v2_request *request; /* of an inference */
    bool raw;
    bool admitted;
    size_t admitted_bytes;
    void (*told)(struct nx_v2_call *v, const struct nx_model_list *list);
    /* of a stream */
    bool stream, held, ended, asked_before;
    uint8_t *unsent; /* an answer that waits for room */
    size_t unsent_bytes;
};

struct nx_service_v2 {
    struct nx_rest_config config;
    struct nx_route *route;
    struct nx_metrics *metrics;
    struct nx_group_status *status;
    struct nx_grpc_method methods[NX_SERVICE_V2_METHODS];
    struct nx_v2_call *calls;
    struct nx_aside *aside;
    bool ready, takes; /* as nx_rest's */
    bool installs;     /* there may be calls with an install */
};

/* A ModelInfer as far as it can be read by any thread. */
struct nx_v2_read {
    struct nx_pb_v2_infer message; /* the ask points into it, unless it has the whole */
    struct nx_infer_ask ask;
    bool raw;
};
enum nx_status nx_v2_read_infer(const uint8_t *bytes, size_t len, struct nx_v2_request *request,
                                struct nx_v2_read *read, struct nx_err *err);
void nx_v2_read_free(struct nx_v2_read *read);

/* What is so large that a worker is to read or write it. nx_v2_infer_read, with the outcome, follows the first of these;
 * nx_v2_infer_written, which takes the bytes over, the second, unless they fail. `infer` is kept as long as need be. */
bool nx_v2_is_large(size_t bytes);
enum nx_status nx_v2_read_aside(struct nx_v2_call *v, const uint8_t *bytes, size_t len,
                                struct nx_err *err);
void nx_v2_infer_read(struct nx_v2_call *v, struct nx_v2_read *read, const struct nx_err *outcome);
enum nx_status nx_v2_write_aside(struct nx_v2_call *v, struct nx_infer *infer,
                                 const struct nx_v2_reply *reply, size_t bytes, struct nx_err *err);
void nx_v2_infer_written(struct nx_v2_call *v, uint8_t *bytes, size_t len,
                         const struct nx_err *outcome);

/* Ends of a call: it is gone when they return. Bytes are malloc'd and taken over. */
void nx_v2_call_reply(struct nx_v2_call *v, enum nx_status encoded, uint8_t *bytes, size_t len);
void nx_v2_call_fail(struct nx_v2_call *v, const struct nx_err *err);
void nx_v2_call_dismiss(struct nx_v2_call *v); /* an inference is over: its room is free */
void nx_v2_call_finish(struct nx_v2_call *v);  /* well, without another reply */

void nx_v2_call_ask(struct nx_v2_call *v, enum nx_request op,
                    void (*told)(struct nx_v2_call *v, const struct nx_model_list *list));
/* Name and version of a message that is no more than that; false: failed. */
bool nx_v2_call_read(struct nx_v2_call *v, enum nx_pb_v2_named which, const uint8_t *bytes,
                     size_t len);

enum nx_call_take nx_v2_take_infer(struct nx_call *call, const uint8_t *bytes, size_t len,
                                   nx_ns now);
enum nx_call_take nx_v2_take_stream(struct nx_call *call, const uint8_t *bytes, size_t len,
                                    nx_ns now);
void nx_v2_end_stream(struct nx_call *call, nx_ns now);
void nx_v2_stream_writable(struct nx_call *call, nx_ns now);
void nx_v2_stream_start(struct nx_call *call, nx_ns now);
enum nx_call_take nx_v2_take_index(struct nx_call *call, const uint8_t *bytes, size_t len,
                                   nx_ns now);
enum nx_call_take nx_v2_take_load(struct nx_call *call, const uint8_t *bytes, size_t len,
                                  nx_ns now);
enum nx_call_take nx_v2_take_unload(struct nx_call *call, const uint8_t *bytes, size_t len,
                                    nx_ns now);
struct nx_v2_call *nx_v2_call_begin(struct nx_call *call,
                                    nx_ns now); /* NULL: no memory; it is over */

#endif
