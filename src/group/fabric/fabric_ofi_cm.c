#include "group/fabric/fabric_gate.h"
#include "group/fabric/fabric_ofi.h"

#include "common/codec.h"
#include "common/log.h"
#include "group/view/rankset.h"

#include <stdlib.h>
#include <string.h>

/* The private data of a call: who calls, and the secret that admits it. */
enum { CALL_BYTES = 16, CALL_MAGIC = 0x6e784341 };

static size_t encode_call(uint8_t bytes[CALL_BYTES], nx_rank caller, uint64_t token)
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, CALL_BYTES);
    nx_write_u32(&w, CALL_MAGIC);
    nx_write_u32(&w, caller);
    nx_write_u64(&w, token);
    nx_assert(!w.bad);
    return nx_writer_used(&w);
}

/* The rank that calls, or NX_RANK_NONE if its call is not awaited. The token is one machine word,
 * 64 random bits: comparing it takes the same time wherever it differs. */
static nx_rank decode_call(const struct nx_fabric *f, const uint8_t *bytes, size_t len)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    uint32_t magic = nx_read_u32(&r);
    nx_rank caller = nx_read_u32(&r);
    uint64_t token = nx_read_u64(&r);
    if (r.bad || magic != CALL_MAGIC || caller >= f->peers_count)
        return NX_RANK_NONE;
    const struct nx_ofi_peer *peer = &f->peers[caller];
    return peer->state == NX_OFI_AWAITED && token == peer->token ? caller : NX_RANK_NONE;
}

static nx_rank rank_of(const struct nx_fabric *f, const struct nx_ofi_peer *peer)
{
    return (nx_rank)(peer - f->peers);
}

static void set_state(struct nx_fabric *f, struct nx_ofi_peer *peer, enum nx_ofi_state state)
{
    nx_rankset bit = NX_RANK_BIT(rank_of(f, peer));
    bool forming = state == NX_OFI_AWAITED || state == NX_OFI_CALLING;
    peer->state = state;
    f->connected = state == NX_OFI_UP ? f->connected | bit : f->connected & ~bit;
    f->forming = forming ? f->forming | bit : f->forming & ~bit;
}

/* Open until our seat is known, since a peer may know the view before we do, and while a call is awaited. */
static void mind_gate(struct nx_fabric *f)
{
    bool open = !f->seated;
    for (nx_rank rank = 0; rank < f->peers_count; rank++)
        open |= f->peers[rank].state == NX_OFI_AWAITED;
    if (open == f->gate_shut && nx_gate_set(f->gate_fd, open))
        f->gate_shut = !open;
}

/* Life 0 has no endpoint, and a context of zeroes is of nobody. */
struct nx_ofi_peer *nx_ofi_peer_of(void *context)
{
    const struct nx_ofi_life *life = context;
    if (!life || !life->peer || !life->peer->ep || life->number != life->peer->life)
        return NULL;
    return life->peer;
}

void nx_ofi_peer_died(struct nx_fabric *f, struct nx_ofi_peer *peer, const char *why)
{
    if (peer->state != NX_OFI_UP && peer->state != NX_OFI_CALLING)
        return;
    nx_debug("fabric: rank %u is down: %s", rank_of(f, peer), why);
    set_state(f, peer, NX_OFI_DOWN);
    peer->down_why = why;
}

/* Receives of no bytes for a peer's doorbells, where the provider consumes one for each. */
void nx_ofi_lend_doorbells(struct nx_ofi_peer *peer)
{
    while (peer->doorbells_lent < NX_OFI_DOORBELLS) {
        if (fi_recv(peer->ep, NULL, 0, NULL, FI_ADDR_UNSPEC, nx_ofi_context(peer)) != 0)
            return; /* asked again at the next completion */
        peer->doorbells_lent++;
    }
}

/* An enabled endpoint on our queues, of a new life of the peer. */
static int open_endpoint(struct nx_fabric *f, struct nx_ofi_peer *peer, struct fi_info *info)
{
    peer->life++;
    *(struct nx_ofi_life *)nx_ofi_context(peer) = (struct nx_ofi_life){peer, peer->life};
    int rc = fi_endpoint(f->domain, info, &peer->ep, peer);
    if (rc) {
        peer->ep = NULL;
        return rc;
    }
    rc = fi_ep_bind(peer->ep, &f->eq->fid, 0);
    if (rc == 0)
        rc = fi_ep_bind(peer->ep, &f->cq->fid, FI_TRANSMIT | FI_RECV | FI_SELECTIVE_COMPLETION);
    if (rc == 0)
        rc = fi_enable(peer->ep);
    if (rc == 0 && f->doorbell_taken)
        nx_ofi_lend_doorbells(peer);
    return rc;
}

/* What the provider still holds of the endpoint is read while nobody answers to it: its memory, and
 * so its name, may be the next endpoint's. */
static void drop_endpoint(struct nx_fabric *f, struct nx_ofi_peer *peer)
{
    if (!peer->ep)
        return;
    struct fid_ep *ep = peer->ep;
    (void)fi_shutdown(ep, 0); /* it may be unconnected or dead already */
    int rc = fi_close(&ep->fid);
    if (rc)
        nx_warn("libfabric: closing an endpoint: %s", nx_ofi_lib.strerror(-rc));
    peer->ep = NULL;
    set_state(f, peer, NX_OFI_IDLE);
    for (int i = 0; i < NX_OFI_QUEUE + NX_OFI_DOORBELLS && nx_ofi_read_cq(f); i++)
        continue;
    for (int i = 0; i < NX_OFI_DRAIN_EVENTS && nx_ofi_read_eq(f); i++)
        continue;
}

static void accept_call(struct nx_fabric *f, struct fi_info *info, nx_rank caller)
{
    struct nx_ofi_peer *peer = &f->peers[caller];
    int rc = open_endpoint(f, peer, info);
    if (rc == 0)
        rc = fi_accept(peer->ep, NULL, 0);
    peer->token = 0;
    set_state(f, peer, NX_OFI_CALLING);
    if (rc)
        nx_ofi_peer_died(f, peer, "its call could not be accepted");
}

static void answer_call(struct nx_fabric *f, struct nx_ofi_call *call)
{
    nx_rank caller = decode_call(f, call->data, call->data_bytes);
    if (caller != NX_RANK_NONE) {
        accept_call(f, call->info, caller);
        mind_gate(f);
    } else {
        nx_warn("fabric: a call that is not awaited, or without its token, was rejected");
        (void)fi_reject(f->pep, call->info->handle, NULL, 0); /* the caller may be gone by now */
    }
    nx_ofi_lib.freeinfo(call->info);
    call->info = NULL;
}

static void reject_oldest_call(struct nx_fabric *f)
{
    (void)fi_reject(f->pep, f->calls[0].info->handle, NULL, 0); /* the caller may be gone by now */
    nx_ofi_lib.freeinfo(f->calls[0].info);
    memmove(f->calls, f->calls + 1, --f->calls_count * sizeof f->calls[0]);
}

/* A peer may know the first view before we do: its call waits for nx_fabric_connect. Strangers may
 * call too, so the oldest gives way. */
static void take_call(struct nx_fabric *f, struct fi_info *info, const uint8_t *data, size_t len)
{
    struct nx_ofi_call call = {.info = info};
    call.data_bytes = len < sizeof call.data ? len : sizeof call.data;
    memcpy(call.data, data, call.data_bytes);
    if (f->seated) {
        answer_call(f, &call);
        return;
    }
    if (f->calls_count == NX_MEMBERS_MAX)
        reject_oldest_call(f);
    f->calls[f->calls_count++] = call;
}

/* A provider may choose the endpoint's device by where it will call: the address comes with the
 * endpoint already. */
static struct fi_info *info_for_call(const struct nx_fabric *f, const struct nx_fabric_card *card)
{
    struct fi_info *info = nx_ofi_lib.dupinfo(f->info);
    void *address = malloc(sizeof card->address);
    if (!info || !address) {
        free(address);
        nx_ofi_lib.freeinfo(info);
        return NULL;
    }
    memcpy(address, card->address, sizeof card->address);
    free(info->dest_addr);
    info->dest_addr = address;
    info->dest_addrlen = card->address_bytes;
    return info;
}

static enum nx_status call_peer(struct nx_fabric *f, nx_rank rank,
                                const struct nx_fabric_card *card, uint64_t token,
                                struct nx_err *err)
{
    struct nx_ofi_peer *peer = &f->peers[rank];
    struct fi_info *info = info_for_call(f, card);
    if (!info)
        return nx_err_set(err, NX_NO_MEMORY, "no memory to call rank %u", rank);
    int rc = open_endpoint(f, peer, info);
    nx_ofi_lib.freeinfo(info);
    if (rc)
        return nx_ofi_err(err, "cannot make an endpoint", rc);
    uint8_t data[CALL_BYTES];
    size_t len = encode_call(data, f->self, token);
    rc = fi_connect(peer->ep, card->address, data, len);
    if (rc)
        return nx_ofi_err(err, "cannot call a peer", rc);
    set_state(f, peer, NX_OFI_CALLING);
    return NX_OK;
}

/* As new, but for what tells its lives apart. */
static void reset_peer(struct nx_fabric *f, nx_rank rank, const struct nx_fabric_card *card,
                       enum nx_ofi_state state)
{
    struct nx_ofi_peer *peer = &f->peers[rank];
    struct nx_ofi_peer fresh = {.slots = peer->slots, .life = peer->life};
    memcpy(fresh.lives, peer->lives, sizeof fresh.lives);
    if (card) {
        fresh.base = card->region_base;
        fresh.key = card->region_key;
    }
    *peer = fresh;
    set_state(f, peer, state);
}

static void take_seat(struct nx_fabric *f, nx_rank self, uint32_t peers_count)
{
    nx_assert(!f->seated && peers_count <= f->config.members_max && self < peers_count);
    f->seated = true;
    f->self = self;
    f->peers_count = peers_count;
    for (nx_rank rank = 0; rank < peers_count; rank++)
        reset_peer(f, rank, NULL, NX_OFI_IDLE);
}

static void answer_waiting_calls(struct nx_fabric *f)
{
    for (uint32_t i = 0; i < f->calls_count; i++)
        answer_call(f, &f->calls[i]);
    f->calls_count = 0;
}

static enum nx_status call_peers(struct nx_fabric *f, nx_rankset peers,
                                 const struct nx_fabric_card *cards, uint64_t token,
                                 struct nx_err *err)
{
    for (nx_rankset left = peers; left;) {
        nx_rank rank = nx_rankset_take(&left);
        reset_peer(f, rank, &cards[rank], NX_OFI_IDLE);
        NX_TRY(call_peer(f, rank, &cards[rank], token, err));
    }
    return NX_OK;
}

enum nx_status nx_fabric_connect(struct nx_fabric *f, nx_rank self, uint32_t members_count,
                                 const struct nx_fabric_card *cards, uint64_t token,
                                 struct nx_err *err)
{
    nx_assert(token != 0);
    take_seat(f, self, members_count);
    for (nx_rank rank = 0; rank < self; rank++)
        nx_fabric_admit(f, rank, &cards[rank], token);
    nx_rankset above = (NX_RANK_BIT(members_count) - 1) & ~(NX_RANK_BIT(self + 1) - 1);
    NX_TRY(call_peers(f, above, cards, token, err));
    answer_waiting_calls(f);
    mind_gate(f);
    return NX_OK;
}

enum nx_status nx_fabric_join(struct nx_fabric *f, nx_rank self, nx_rankset peers,
                              const struct nx_fabric_card *cards, uint64_t token,
                              struct nx_err *err)
{
    nx_assert(token != 0 && !(peers & NX_RANK_BIT(self)));
    uint32_t count = peers ? 64 - (uint32_t)__builtin_clzll(peers) : 0;
    take_seat(f, self, self < count ? count : self + 1);
    NX_TRY(call_peers(f, peers, cards, token, err));
    answer_waiting_calls(f); /* nobody calls a joiner: they are strangers' */
    mind_gate(f);
    return NX_OK;
}

void nx_fabric_admit(struct nx_fabric *f, nx_rank seat, const struct nx_fabric_card *card,
                     uint64_t token)
{
    nx_assert(f->seated && seat < f->config.members_max && seat != f->self && token != 0);
    drop_endpoint(f, &f->peers[seat]);
    reset_peer(f, seat, card, NX_OFI_AWAITED);
    f->peers[seat].token = token;
    if (seat >= f->peers_count)
        f->peers_count = seat + 1;
    mind_gate(f);
}

nx_rankset nx_fabric_connected(const struct nx_fabric *f)
{
    return f->connected;
}

void nx_fabric_disconnect(struct nx_fabric *f)
{
    while (f->calls_count > 0)
        reject_oldest_call(f);
    for (nx_rank rank = 0; rank < f->peers_count; rank++) {
        drop_endpoint(f, &f->peers[rank]);
        reset_peer(f, rank, NULL, NX_OFI_IDLE);
    }
    f->peers_count = 0;
    f->seated = false;
    mind_gate(f);
}

void nx_fabric_drop(struct nx_fabric *f, nx_rank rank)
{
    nx_assert(rank < f->config.members_max && rank != f->self);
    if (rank >= f->peers_count)
        return; /* a member that was dead before we came: never connected */
    drop_endpoint(f, &f->peers[rank]);
    reset_peer(f, rank, NULL, NX_OFI_DOWN);
    mind_gate(f);
}

static struct nx_ofi_peer *peer_of(struct nx_fabric *f, const struct fid *fid)
{
    for (nx_rank rank = 0; rank < f->peers_count; rank++)
        if (f->peers[rank].ep && &f->peers[rank].ep->fid == fid)
            return &f->peers[rank];
    return NULL; /* an endpoint that was dropped */
}

static void read_eq_error(struct nx_fabric *f)
{
    struct fi_eq_err_entry entry = {0};
    if (fi_eq_readerr(f->eq, &entry, 0) < 0)
        return;
    struct nx_ofi_peer *peer = peer_of(f, entry.fid);
    if (!peer)
        return;
    nx_ofi_peer_died(f, peer,
                     peer->state == NX_OFI_UP ? "its connection failed"
                                              : "it cannot be reached or refused the connection");
}

static void dispatch(struct nx_fabric *f, uint32_t event, struct fi_eq_cm_entry *entry,
                     size_t data_bytes)
{
    struct nx_ofi_peer *peer = event == FI_CONNREQ ? NULL : peer_of(f, entry->fid);
    if (event == FI_CONNREQ) {
        take_call(f, entry->info, entry->data, data_bytes);
    } else if (event == FI_CONNECTED && peer && peer->state == NX_OFI_CALLING) {
        set_state(f, peer, NX_OFI_UP);
    } else if (event == FI_SHUTDOWN && peer) {
        nx_ofi_peer_died(f, peer, "its connection was closed");
    }
}

bool nx_ofi_read_eq(struct nx_fabric *f)
{
    union {
        struct fi_eq_cm_entry entry;
        uint8_t space[sizeof(struct fi_eq_cm_entry) + 256];
    } buf;
    uint32_t event = 0;
    ssize_t n = fi_eq_read(f->eq, &event, &buf, sizeof buf, 0);
    if (n == -FI_EAVAIL) {
        read_eq_error(f);
        return true;
    }
    if (n < (ssize_t)sizeof buf.entry)
        return false;
    dispatch(f, event, &buf.entry, (size_t)n - sizeof buf.entry);
    return true;
}
