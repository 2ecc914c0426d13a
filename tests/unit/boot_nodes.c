#include "boot_nodes.h"

#include "common/log.h"
#include "nx_ports.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void keep_line(void *ctx, enum nx_level level, const char *line)
{
    (void)level;
    struct boot_nodes *nodes = ctx;
    size_t used = strlen(nodes->log);
    snprintf(nodes->log + used, sizeof nodes->log - used, "%s\n", line);
}

void boot_nodes_init(struct boot_nodes *nodes, nx_node first_id, int step)
{
    *nodes = (struct boot_nodes){.auto_connect = true, .port = nx_free_port()};
    for (int i = 0; i < BOOT_NODES_MAX; i++)
        nodes->configs[i] = (struct nx_group_config){
            .local_id = (nx_node)((int)first_id + i * step),
            .local_ip = "127.0.0.1",
            .gms_port = i == 0 ? nodes->port : 0,
            .leader_ip = "127.0.0.1",
            .leader_gms_port = nodes->port,
            .first_view_nodes = BOOT_NODES,
            .spec = {1, {{"ALL", 1, 1, 8, false}}},
            .provider = "tcp",
            .members_max = 8,
            .join_timeout_ns = 30 * NX_SEC,
        };
    nx_log_set_level(NX_LOG_INFO);
    nx_log_set_sink(keep_line, nodes);
}

void boot_nodes_fini(struct boot_nodes *nodes)
{
    for (int i = 0; i < BOOT_NODES_MAX; i++)
        if (nodes->boots[i])
            boot_nodes_close(nodes, i);
    nx_log_set_sink(NULL, NULL);
    nx_log_set_level(NX_LOG_WARN);
}

static struct nx_fabric_card card_of(const struct boot_nodes *nodes, int i)
{
    uint64_t key = nodes->card_key ? nodes->card_key : nodes->configs[i].local_id;
    return (struct nx_fabric_card){.address_bytes = 16, .region_key = key};
}

void boot_nodes_open(struct boot_nodes *nodes, int i)
{
    struct nx_err err = {0};
    struct nx_fabric_card card = card_of(nodes, i);
    if (nx_bootstrap_open(&nodes->configs[i], BOOT_HASH, &card, nx_clock_now(), &nodes->boots[i],
                          &err) != NX_OK)
        fail_msg("%s", err.text);
}

void boot_nodes_close(struct boot_nodes *nodes, int i)
{
    nx_bootstrap_close(nodes->boots[i]);
    nodes->boots[i] = NULL;
}

void boot_nodes_turn(struct boot_nodes *nodes)
{
    for (int i = 0; i < BOOT_NODES_MAX; i++) {
        if (!nodes->boots[i])
            continue;
        struct nx_fabric_card card = card_of(nodes, i);
        nx_bootstrap_poll(nodes->boots[i], nx_clock_now());
        if (nx_bootstrap_wants_card(nodes->boots[i]))
            nx_bootstrap_renew(nodes->boots[i], &card);
        if (nodes->auto_connect)
            nx_bootstrap_connected(nodes->boots[i]);
    }
}

enum nx_boot_phase boot_nodes_phase(const struct boot_nodes *nodes, int i)
{
    return nx_bootstrap_phase(nodes->boots[i]);
}

bool boot_nodes_installed(const struct boot_nodes *nodes)
{
    bool all = true;
    for (int i = 0; i < BOOT_NODES; i++)
        all &= boot_nodes_phase(nodes, i) == NX_BOOT_INSTALLED;
    return all;
}
