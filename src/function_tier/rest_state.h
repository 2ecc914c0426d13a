/* rest_state.h — what the files of the REST services share; nobody else includes it.
 *
 *   rest.c         tokens, admission, errors, life of a call
 *   rest_endpoints.c  the table of paths and methods, and the search in it
 *   rest_ops.c     /ping, /metrics, /nexus/status
 *   rest_mms.c     predictions in both dialects of MXNet Model Server
 *   rest_models.c  management: registering, removing, scaling, by /models and by v2's repository
 *   rest_list.c    what there is: lists and descriptions, of both
 *   rest_describe.c  what paths there are
 *   rest_page.c    the page at /
 *   rest_v2.c      Open Inference Protocol: health, metadata, infer */
#ifndef NX_FUNCTION_TIER_REST_STATE_H
#define NX_FUNCTION_TIER_REST_STATE_H

#include "common/text.h"
#include "function_tier/audit.h"
#include "function_tier/infer.h"
#include "function_tier/install.h"
#include "function_tier/model_list.h"
#include "function_tier/rest.h"
#include "function_tier/v2_reader.h"
#include "function_tier/v2_writer.h"

enum nx_family { NX_FAMILY_MMS, NX_FAMILY_V2 };

enum {
    NX_ENDPOINT_MANAGES = 1, /* changes models: for whoever may */
    NX_ENDPOINT_INFERS = 2,  /* takes part in admission */
    NX_ENDPOINT_OPEN = 4,    /* probes: no token is needed */
    NX_ENDPOINT_TELLS = 8,   /* facts about a model: for every token; without it, for observe */
    NX_ENDPOINT_LISTS = 16,  /* what is there to be changed: for manage as well as observe */
};

struct nx_rest_call;

struct nx_endpoint {
    const char *path; /* "v2/models/?/ready": what stands for ? is the call's word */
    unsigned methods; /* enum nx_http_method */
    unsigned flags;
    enum nx_api api;
    void (*handle)(struct nx_rest_call *call, nx_ns now);
};

struct nx_rest_call {
    struct nx_rest *rest;
    struct nx_http_exchange *x;
    const struct nx_endpoint *endpoint;
    const char *words[2]; /* what stands for each ? */
    struct nx_rest_call *next, **link;
    nx_ns begun;
    struct nx_arrival arrival; /* of an inference's body; if admitted */
    bool admitted;
    uint32_t priority;               /* of the header */
    char token[NX_AUTH_NAME_BYTES];  /* the name of the caller's; "": none was needed, or known */
    char model[NX_MODEL_NAME_BYTES]; /* "": none is named */
    /* one of these is under way */
    struct nx_route_request *asked;
    struct nx_infer *infer;
    struct nx_install *install;
    struct nx_status_ask *status;
    struct nx_v2_request *v2;      /* of an inference; … */
    struct nx_v2_reading *reading; /* … NULL, or the owner of that and of the body */
    struct nx_v2_writing *writing; /* of an inference's reply */
    bool over_rate;                /* Retry-After is set */
    bool audited;                  /* a refusal that the audit was told, or need not be */
    bool nested_reply;             /* Model Server 0.4 */
    uint64_t version;              /* of the model that v2 asks for; 0: whichever serves */
    bool wants_workers, synchronous, replaces; /* of a registration */
    void (*told)(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count);
};

struct nx_rest {
    struct nx_rest_config config;
    char model_store[256];
    char only_model[NX_MODEL_NAME_BYTES]; /* "": not exactly one is loaded at start */
    struct nx_route *route;
    struct nx_metrics *metrics;
    struct nx_group_status *status;
    const struct nx_grpc *grpc;
    struct nx_http *http;
    struct nx_v2_reader *reader;
    struct nx_v2_writer *writer;
    struct nx_rest_call *calls;
    bool ready;    /* what probes are told */
    bool takes;    /* once ready, for ever: who was told to stop still serves those who come */
    bool installs; /* there may be calls with an install */
};

/* --- the endpoints --- */

/* words: what stands for each ?. NULL: *methods are those that the path knows, 0 if there is no such path. */
const struct nx_endpoint *nx_rest_find(const struct nx_http_ask *ask, const char *words[2],
                                       unsigned *methods);
/* Extensions of Triton that its clients ask for: shared memory, logging, tracing, generation. */
bool nx_rest_is_tritons_own(const struct nx_http_ask *ask);
/* Of a path that is none: what there is in its place, where others have such a path. */
const char *nx_rest_why_missing(const struct nx_http_ask *ask);
/* The header Allow, of the reply to come. */
void nx_rest_allow(struct nx_http_exchange *x, unsigned methods);

/* --- ends of a call: it is gone when they return --- */

void nx_rest_reply(struct nx_rest_call *call, int status, const char *type, const void *body,
                   size_t len);
void nx_rest_reply_text(struct nx_rest_call *call, int status,
                        struct nx_text *json); /* and frees it */
void nx_rest_fail(struct nx_rest_call *call, const struct nx_err *err);
__attribute__((format(printf, 4, 5))) void nx_rest_refuse(struct nx_rest_call *call, int status,
                                                          const char *type, const char *format,
                                                          ...);

/* --- what handlers ask for --- */

int nx_rest_status_of(enum nx_status status);
/* The model that a call is about: checks the name. False: refused. */
bool nx_rest_name_model(struct nx_rest_call *call, const char *name);
/* A LIST of every shard, or a DESCRIBE of the call's model; `told` gets the answers, all of them NX_OK. */
void nx_rest_ask(struct nx_rest_call *call, enum nx_request op,
                 void (*told)(struct nx_rest_call *call, const struct nx_answer *answers,
                              uint32_t count));
/* How the group is. The call may be over when this returns. */
void nx_rest_ask_status(struct nx_rest_call *call, nx_status_done *done);
/* The models that `answers` tell of. False: refused. */
bool nx_rest_gather(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count,
                    struct nx_model_list *list);
/* As a part of the call's trace. */
void nx_rest_infer(struct nx_rest_call *call, struct nx_infer_ask *ask, nx_infer_done *done);
/* To be called first in an nx_infer_done: counts; false: it failed, and the call is over. */
bool nx_rest_inferred(struct nx_rest_call *call, const struct nx_infer_result *result);

/* handlers */
void nx_rest_ping(struct nx_rest_call *call, nx_ns now);
void nx_rest_metrics(struct nx_rest_call *call, nx_ns now);
void nx_rest_metrics_triton(struct nx_rest_call *call, nx_ns now);
void nx_rest_status(struct nx_rest_call *call, nx_ns now);
void nx_rest_page(struct nx_rest_call *call, nx_ns now);
void nx_rest_page_css(struct nx_rest_call *call, nx_ns now);
void nx_rest_page_js(struct nx_rest_call *call, nx_ns now);
void nx_rest_api_description(struct nx_rest_call *call, nx_ns now);
void nx_rest_api_of_model(struct nx_rest_call *call, nx_ns now);
void nx_rest_predict_0_4(struct nx_rest_call *call, nx_ns now);
void nx_rest_predict_1_x(struct nx_rest_call *call, nx_ns now);
void nx_rest_invocations(struct nx_rest_call *call, nx_ns now);
void nx_rest_register(struct nx_rest_call *call, nx_ns now);
void nx_rest_unregister(struct nx_rest_call *call, nx_ns now);
void nx_rest_scale(struct nx_rest_call *call, nx_ns now);
void nx_rest_list(struct nx_rest_call *call, nx_ns now);
void nx_rest_describe(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_live(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_ready(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_server(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_model(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_model_ready(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_config(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_stats(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_infer(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_index(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_load(struct nx_rest_call *call, nx_ns now);
void nx_rest_v2_unload(struct nx_rest_call *call, nx_ns now);

#endif
