#include "group/fabric/fabric_ofi.h"
#include "group/fabric/fabric_gate.h"

#include "common/arena.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

/* libfabric's numbers are translated here and in the two sibling files only. */
enum nx_status nx_ofi_err(struct nx_err *err, const char *what, int fi_errno)
{
    int e = fi_errno < 0 ? -fi_errno : fi_errno;
    return nx_err_set(err, NX_FATAL, "libfabric: %s: %s (%d)", what, nx_ofi_lib.strerror(e), e);
}

static struct fi_info *make_hints(const struct nx_fabric_config *config)
{
    struct fi_info *hints = nx_ofi_lib.dupinfo(NULL);
    if (!hints)
        return NULL;
    hints->ep_attr->type = FI_EP_MSG; /* the only kind that tells when a peer dies */
    hints->caps = FI_MSG | FI_RMA | FI_WRITE | FI_REMOTE_WRITE;
    hints->mode = FI_RX_CQ_DATA;
    hints->tx_attr->msg_order = FI_ORDER_WAW | FI_ORDER_SAW;
    hints->rx_attr->msg_order = FI_ORDER_WAW | FI_ORDER_SAW;
    hints->tx_attr->comp_order = FI_ORDER_STRICT;
    hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    /* One thread owns the group, so the provider needs no lock and no progress thread of its
     * own. */
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
    hints->domain_attr->control_progress = FI_PROGRESS_MANUAL;
    hints->fabric_attr->prov_name = strdup(config->provider);
    if (config->domain[0])
        hints->domain_attr->name = strdup(config->domain);
    return hints;
}

/* The provider's granted order must cover what the protocol leans on: payload lands before its
 * guard. */
static enum nx_status check_granted(const struct fi_info *info, struct nx_err *err)
{
    const uint64_t want = FI_ORDER_WAW | FI_ORDER_SAW;
    if ((info->tx_attr->msg_order & want) != want || (info->rx_attr->msg_order & want) != want)
        return nx_err_set(
            err, NX_FATAL,
            "provider %s does not keep writes in order (granted tx 0x%llx, rx 0x%llx)",
            info->fabric_attr->prov_name, (unsigned long long)info->tx_attr->msg_order,
            (unsigned long long)info->rx_attr->msg_order);
    if (info->mode & ~FI_RX_CQ_DATA)
        return nx_err_set(err, NX_FATAL, "provider %s demands mode bits 0x%llx",
                          info->fabric_attr->prov_name, (unsigned long long)info->mode);
    if (info->ep_attr->max_order_waw_size < NX_INLINE_MAX)
        return nx_err_set(err, NX_FATAL, "provider %s orders writes only up to %zu bytes",
                          info->fabric_attr->prov_name, info->ep_attr->max_order_waw_size);
    return NX_OK;
}

/* Only the addresses of our own local_ip will do: a peer calls where the card says. */
static enum nx_status get_info(struct nx_fabric *f, struct nx_err *err)
{
    struct fi_info *hints = make_hints(&f->config);
    if (!hints)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the fabric's hints");
    int rc =
        nx_ofi_lib.getinfo(FI_VERSION(1, 17), f->config.local_ip, "0", FI_SOURCE, hints, &f->info);
    nx_ofi_lib.freeinfo(hints);
    if (rc == -FI_ENODATA)
        return nx_err_set(err, NX_FATAL, "libfabric: no %s endpoint for local_ip %s%s%s",
                          f->config.provider, f->config.local_ip,
                          f->config.domain[0] ? " in domain " : "", f->config.domain);
    if (rc)
        return nx_ofi_err(err, "fi_getinfo", rc);
    const char *domain = f->info->domain_attr->name; /* tcp goes by the address alone */
    if (f->config.domain[0] && strcmp(domain, f->config.domain) != 0)
        return nx_err_set(err, NX_FATAL, "libfabric: local_ip %s is in domain %s, not in %s",
                          f->config.local_ip, domain, f->config.domain);
    return check_granted(f->info, err);
}

/* The wire protocol is what tells: over a byte stream the target's own thread takes each write
 * in, so it lands only there and then, and wakes it. An adapter (FI_PROTO_RDMA_CM_IB_RC,
 * FI_PROTO_IWARP) lands it behind the thread's back. Other attributes do not: tcp says
 * FI_PROGRESS_AUTO when it is asked for nothing, and lands nothing by itself. What is not known
 * to be a stream is taken for an adapter, of which less is assumed. */
bool nx_ofi_is_stream(const struct fi_info *info)
{
    return info->ep_attr->protocol == FI_PROTO_SOCK_TCP;
}

/* What the protocol may assume. */
static void learn_caps(struct nx_fabric *f)
{
    bool stream = nx_ofi_is_stream(f->info);
    f->caps = (struct nx_fabric_caps){
        .waw = true,
        .atomic_unit = 1,
        .needs_target_progress = stream,
        .wakes_on_plain_write = stream && !f->config.plain,
    };
    /* A stream lands its bytes in order, and only while the target's own thread polls:
     * neighbours that leave as one operation land as they would one by one. Elsewhere nothing is
     * promised inside one. */
    f->gathers = stream && !f->config.plain &&
                 f->info->tx_attr->rma_iov_limit >= NX_OFI_GATHER_MAX &&
                 f->info->tx_attr->iov_limit >= NX_OFI_GATHER_MAX;
    f->doorbell_taken = (f->info->rx_attr->mode | f->info->mode) & FI_RX_CQ_DATA;
    f->local_mr = f->info->domain_attr->mr_mode & FI_MR_LOCAL;
}

static enum nx_status open_queues(struct nx_fabric *f, struct nx_err *err)
{
    struct fi_eq_attr eq = {.size = 4 * NX_MEMBERS_MAX, .wait_obj = FI_WAIT_FD};
    struct fi_cq_attr cq = {
        .size = (size_t)f->config.members_max * 2 * (NX_OFI_QUEUE + NX_OFI_DOORBELLS),
        .wait_obj = FI_WAIT_FD,
        .format = FI_CQ_FORMAT_DATA,
    };
    int rc = fi_eq_open(f->fabric, &eq, &f->eq, NULL);
    if (rc)
        return nx_ofi_err(err, "fi_eq_open", rc);
    rc = fi_cq_open(f->domain, &cq, &f->cq, NULL);
    if (rc)
        return nx_ofi_err(err, "fi_cq_open", rc);
    rc = fi_control(&f->eq->fid, FI_GETWAIT, &f->eq_fd);
    if (rc == 0)
        rc = fi_control(&f->cq->fid, FI_GETWAIT, &f->cq_fd);
    return rc ? nx_ofi_err(err, "no descriptor to wait on", rc) : NX_OK;
}

static enum nx_status open_listener(struct nx_fabric *f, struct nx_fabric_card *card,
                                    struct nx_err *err)
{
    int rc = fi_passive_ep(f->fabric, f->info, &f->pep, NULL);
    if (rc == 0)
        rc = fi_pep_bind(f->pep, &f->eq->fid, 0);
    if (rc == 0)
        rc = fi_listen(f->pep);
    if (rc)
        return nx_ofi_err(err, "cannot listen", rc);
    size_t bytes = sizeof card->address;
    rc = fi_getname(&f->pep->fid, card->address, &bytes);
    if (rc)
        return nx_ofi_err(err, "fi_getname", rc);
    card->address_bytes = (uint32_t)bytes;
    f->gate_fd = nx_gate_find(card->address, bytes);
    return NX_OK;
}

static uint64_t random_u64(void)
{
    uint64_t v = 0;
    if (getrandom(&v, sizeof v, 0) != (ssize_t)sizeof v)
        v = (uint64_t)nx_clock_now();
    return v;
}

/* Keys that we choose are random and as wide as the provider allows: a region is written by who
 * was told. */
static enum nx_status register_memory(struct nx_fabric *f, struct nx_fabric_card *card,
                                      struct nx_err *err)
{
    size_t key_bytes = f->info->domain_attr->mr_key_size;
    uint64_t mask = key_bytes >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * key_bytes)) - 1;
    int rc = fi_mr_reg(f->domain, f->region, f->region_bytes, FI_WRITE | FI_REMOTE_WRITE, 0,
                       random_u64() & mask, 0, &f->mr, NULL);
    if (rc == -FI_ENOMEM)
        return nx_err_set(err, NX_NO_MEMORY,
                          "provider %s cannot lock the group's %zu bytes of memory: is the limit "
                          "of locked memory (ulimit -l) large enough?",
                          f->info->fabric_attr->prov_name, f->region_bytes);
    if (rc)
        return nx_ofi_err(err, "cannot register the region", rc);
    card->region_key = fi_mr_key(f->mr);
    card->region_base = f->info->domain_attr->mr_mode & FI_MR_VIRT_ADDR ? (uintptr_t)f->region : 0;

    size_t slots = (size_t)f->config.members_max * NX_OFI_QUEUE;
    f->slots = nx_calloc(slots, sizeof *f->slots);
    if (!f->slots)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for %zu write slots", slots);
    if (!f->local_mr)
        return NX_OK;
    rc = fi_mr_reg(f->domain, f->slots, slots * sizeof *f->slots, FI_WRITE, 0, random_u64() & mask,
                   0, &f->slots_mr, NULL);
    return rc ? nx_ofi_err(err, "cannot register the write slots", rc) : NX_OK;
}

enum nx_status nx_fabric_watch(struct nx_fabric *f, int epoll_fd, struct nx_err *err)
{
    struct epoll_event want = {.events = EPOLLIN};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, f->eq_fd, &want) != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, f->cq_fd, &want) != 0)
        return nx_err_set(err, NX_FATAL, "cannot watch the fabric's queues: %s", strerror(errno));
    f->watcher_fd = epoll_fd;
    return NX_OK;
}

static enum nx_status watch(struct nx_fabric *f, struct nx_err *err)
{
    f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (f->epoll_fd < 0)
        return nx_err_set(err, NX_FATAL, "epoll_create1: %s", strerror(errno));
    enum nx_status status = nx_fabric_watch(f, f->epoll_fd, err);
    f->watcher_fd = -1; /* ours goes with us */
    return status;
}

static enum nx_status open_all(struct nx_fabric *f, struct nx_fabric_card *card, struct nx_err *err)
{
    NX_TRY(nx_ofi_lib_load(err));
    NX_TRY(get_info(f, err));
    learn_caps(f);
    int rc = nx_ofi_lib.fabric(f->info->fabric_attr, &f->fabric, NULL);
    if (rc)
        return nx_ofi_err(err, "fi_fabric", rc);
    rc = fi_domain(f->fabric, f->info, &f->domain, NULL);
    if (rc)
        return nx_ofi_err(err, "fi_domain", rc);
    NX_TRY(open_queues(f, err));
    NX_TRY(open_listener(f, card, err));
    NX_TRY(register_memory(f, card, err));
    return watch(f, err);
}

enum nx_status nx_fabric_open(const struct nx_fabric_config *config, void *region, size_t bytes,
                              struct nx_fabric **fabric, struct nx_fabric_card *card,
                              struct nx_err *err)
{
    nx_assert(config->members_max >= 1 && config->members_max <= NX_MEMBERS_MAX);
    struct nx_fabric *f = nx_calloc(1, sizeof *f);
    if (!f)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the fabric");
    f->config = *config;
    f->region = region;
    f->region_bytes = bytes;
    f->epoll_fd = f->watcher_fd = f->gate_fd = -1;
    struct nx_fabric_card made = {0};
    enum nx_status status = open_all(f, &made, err);
    if (status != NX_OK) {
        nx_fabric_close(f);
        return status;
    }
    for (uint32_t i = 0; i < config->members_max; i++)
        f->peers[i].slots = f->slots + (size_t)i * NX_OFI_QUEUE;
    *card = made;
    *fabric = f;
    return NX_OK;
}

static void close_fid(struct fid *fid, const char *what)
{
    int rc = fi_close(fid);
    if (rc)
        nx_warn("libfabric: closing the %s: %s", what, nx_ofi_lib.strerror(-rc));
}

static void unwatch(struct nx_fabric *f)
{
    if (f->watcher_fd < 0)
        return;
    (void)epoll_ctl(f->watcher_fd, EPOLL_CTL_DEL, f->eq_fd, NULL);
    (void)epoll_ctl(f->watcher_fd, EPOLL_CTL_DEL, f->cq_fd, NULL);
}

void nx_fabric_close(struct nx_fabric *f)
{
    nx_fabric_disconnect(f);
    unwatch(f);
    if (f->pep)
        close_fid(&f->pep->fid, "listener");
    if (f->epoll_fd >= 0)
        close(f->epoll_fd);
    if (f->slots_mr)
        close_fid(&f->slots_mr->fid, "slots' registration");
    if (f->mr)
        close_fid(&f->mr->fid, "region's registration");
    if (f->cq)
        close_fid(&f->cq->fid, "completion queue");
    if (f->domain)
        close_fid(&f->domain->fid, "domain");
    if (f->eq)
        close_fid(&f->eq->fid, "event queue");
    if (f->fabric)
        close_fid(&f->fabric->fid, "fabric");
    if (f->info)
        nx_ofi_lib.freeinfo(f->info);
    free(f->slots);
    free(f);
}

void nx_fabric_get_caps(const struct nx_fabric *f, struct nx_fabric_caps *caps)
{
    *caps = f->caps;
}

void nx_fabric_get_stats(const struct nx_fabric *f, struct nx_fabric_stats *stats)
{
    *stats = f->stats;
}
