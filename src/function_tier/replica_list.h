/* replica_list.h — the replicas' answers to a LIST, as rows to tell to an operator.
 *
 * Who gave no list is there with the reason. Texts and rows live until nx_replica_list_free.
 * Owner  the caller. Thread  the loop thread, within nx_route_list's `done`. */
#ifndef NX_FUNCTION_TIER_REPLICA_LIST_H
#define NX_FUNCTION_TIER_REPLICA_LIST_H

#include "function_tier/pb/pb_control.h"
#include "function_tier/route.h"

struct nx_replica_list {
    struct nx_pb_replica replicas[NX_MEMBERS_MAX];
    uint32_t count;
    struct nx_work work[NX_MEMBERS_MAX];    /* which … */
    struct nx_pb_work told[NX_MEMBERS_MAX]; /* … these, and thereby the replicas, point at */
    struct nx_err why[NX_MEMBERS_MAX];      /* of those that gave none */
    struct nx_model_facts_wire *decoded;    /* whose texts the rows point at */
    struct nx_pb_model_row *models;
    size_t models_count, models_cap;
};

/* NX_NO_MEMORY: the list is empty. */
enum nx_status nx_replica_list_gather(const struct nx_route_request *request,
                                      const struct nx_answer *answers, uint32_t count,
                                      struct nx_replica_list *list, struct nx_err *err);
void nx_replica_list_free(struct nx_replica_list *list);

#endif
