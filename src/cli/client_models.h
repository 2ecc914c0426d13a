/* client_models.h — the reply to `nexus client … models`, for a reader or for a program.
 *
 * One line per model and replica, by tag and node; replicas that gave no list are told below, with the reason. With
 * `json` one object: {"replicas": [{"node", "shard", "error", "memory_used_bytes", "memory_limit_bytes", "models":
 * [{"tag", "version", "name", "state", "format", "recipe", "device", "precision",
 * "weights_bytes", "arena_bytes", "memory_bytes", "queries", "batch", "batch_us"}]}]}. */
#ifndef NX_CLI_CLIENT_MODELS_H
#define NX_CLI_CLIENT_MODELS_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nx_status nx_client_models_print(const uint8_t *bytes, size_t len, bool json,
                                      struct nx_err *err);

#endif
