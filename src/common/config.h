/* config.h — a node's file (INI) → struct nx_config; every error names file and line, or the option.
 *
 * Keys that mean what a derecho.cfg key means carry its name. Every key can be set on the command line:
 * `--local_id 3` for [NEXUS], `--RDMA/provider tcp` for the others; the command line wins.
 * An unknown section or key, a key given twice, a value out of range and a missing key without a default are
 * refused: a misspelt key must not pass as its default. docs/operations.md lists the keys. */
#ifndef NX_COMMON_CONFIG_H
#define NX_COMMON_CONFIG_H

#include "common/status.h"

#include <stdint.h>

enum {
    NX_CONFIG_TEXT_BYTES = 32,
    NX_CONFIG_PATH_BYTES = 256,
    NX_CONFIG_LIST_BYTES = 2048,
    NX_CONFIG_CONTACTS_MAX = 8,
    NX_CONFIG_LISTEN_MAX = 4,
};

struct nx_config_shards {
    uint32_t num_shards, min_nodes, max_nodes;
    char persist[NX_CONFIG_TEXT_BYTES]; /* "true": its state outlives a total failure */
};

struct nx_config_address {
    char ip[NX_CONFIG_TEXT_BYTES];
    uint32_t port;
};

struct nx_config {
    /* [NEXUS] */
    char leader_ip[NX_CONFIG_TEXT_BYTES];
    uint32_t leader_gms_port;
    uint32_t local_id;
    char local_ip[NX_CONFIG_TEXT_BYTES];
    uint32_t gms_port;
    char tier[NX_CONFIG_TEXT_BYTES]; /* "function" or "categorizer" */
    uint32_t first_view_nodes;
    uint32_t members_max;                /* 0 in the file: twice first_view_nodes, at most 32 */
    char contacts[NX_CONFIG_PATH_BYTES]; /* "IP:PORT, IP:PORT", … */
    struct nx_config_address contact[NX_CONFIG_CONTACTS_MAX]; /* … one by one */
    uint32_t contacts_count;
    uint32_t clock_skew_s;
    char rejoin[NX_CONFIG_TEXT_BYTES]; /* "yes" or "no" */
    uint32_t client_port;              /* function tier: gRPC; 0 in the file: 28000 + local_id */
    uint32_t join_timeout_s;
    uint32_t heartbeat_ms; /* who is silent for three of it is taken for failed; 0: never */
    char log_level[NX_CONFIG_TEXT_BYTES];
    char otlp[NX_CONFIG_PATH_BYTES];       /* where spans go; empty: nowhere */
    uint32_t otlp_per_million;             /* of traces that begin here, so many are told */
    char log_format[NX_CONFIG_TEXT_BYTES]; /* "plain" or "json" */
    char cpus[NX_CONFIG_PATH_BYTES]; /* a list for cpus.h; empty: as the process was started */
    char secret_file[NX_CONFIG_PATH_BYTES]; /* from the node's folder; empty: no authentication */
    /* [RDMA] */
    char provider[NX_CONFIG_TEXT_BYTES];
    char domain[NX_CONFIG_TEXT_BYTES];
    /* [SUBGROUP/FUNCTION_TIER], [SUBGROUP/CATEGORIZER_TIER] */
    struct nx_config_shards function_tier, categorizer_tier;
    /* [CLIENTS] */
    char model_store[NX_CONFIG_PATH_BYTES]; /* from the node's folder; empty: none */
    char management[NX_CONFIG_TEXT_BYTES];  /* "loopback" or "anywhere" */
    char compat[NX_CONFIG_TEXT_BYTES];      /* "0.4", "1.x" or "both" */
    /* of clients; 0: as many as the limit of descriptors leaves room for */
    uint32_t connections_max;
    uint32_t requests_max, requests_mb, request_max_mb;
    uint32_t response_timeout_s;
    uint32_t drain_s; /* how long a node that stops is not ready and serves on */
    /* "IP:PORT, …": where clients are served beside client_port */
    char listen[NX_CONFIG_PATH_BYTES];
    struct nx_config_address listen_at[NX_CONFIG_LISTEN_MAX];
    uint32_t listen_count;
    char load_models[NX_CONFIG_LIST_BYTES]; /* "ALL", or "FILE, NAME=FILE": registered at start */
    char mms_config[NX_CONFIG_PATH_BYTES];  /* a Model Server's file; empty: none */
    /* PEM files, from the node's folder; empty: none */
    char tls_cert[NX_CONFIG_PATH_BYTES], tls_key[NX_CONFIG_PATH_BYTES];
    char tls_client_ca[NX_CONFIG_PATH_BYTES];
    char tokens[NX_CONFIG_PATH_BYTES];       /* from the node's folder; empty: everybody may */
    char log_requests[NX_CONFIG_TEXT_BYTES]; /* "yes": a line for each, whatever the level */
    /* [PERS] */
    char file_path[NX_CONFIG_PATH_BYTES]; /* the folder of this node's log, from the node's */
    /* [CATEGORIZER] */
    char backend[NX_CONFIG_TEXT_BYTES];   /* auto, gpu_cudnn, cpu_dnnl, cpu_ref */
    char precision[NX_CONFIG_TEXT_BYTES]; /* f32 or bf16: of models installed through this node */
    uint32_t threads;   /* inference workers; 0: as many as cpus.h says are usable */
    uint32_t memory_mb; /* bound on models, installed and in transit, and on photos */
    uint32_t batch_max; /* photos of one batch at most */
    char profiles[NX_CONFIG_PATH_BYTES]; /* a folder of `nexus profile`'s files; empty: none */
};

/* What another file says of a key; it yields to the node's file and its options. */
struct nx_config_beside {
    char where[NX_CONFIG_PATH_BYTES + 16]; /* "mms.conf:12" */
    const char *section, *name;
    char value[NX_CONFIG_LIST_BYTES];
};

/* Reads `path`, then applies argc/argv (pairs of --key value, or --key=value), then checks the whole.
 * argv does not include the program or the subcommand. *config is written only on success. */
enum nx_status nx_config_load(const char *path, int argc, char **argv, struct nx_config *config,
                              struct nx_err *err);

/* The same, and then `beside` for what neither gives. */
enum nx_status nx_config_load_beside(const char *path, int argc, char **argv,
                                     const struct nx_config_beside *beside, uint32_t beside_count,
                                     struct nx_config *config, struct nx_err *err);

/* A whole file of at most 64 KiB without zero bytes, to be freed; `wanted` explains what is missing if there is none. */
enum nx_status nx_config_read(const char *path, const char *wanted, char **text,
                              struct nx_err *err);

/* The same from text in memory; `name` stands for the file in sentences. */
enum nx_status nx_config_parse(const char *text, const char *name, int argc, char **argv,
                               struct nx_config *config, struct nx_err *err);
enum nx_status nx_config_parse_beside(const char *text, const char *name, int argc, char **argv,
                                      const struct nx_config_beside *beside, uint32_t beside_count,
                                      struct nx_config *config, struct nx_err *err);

#endif
