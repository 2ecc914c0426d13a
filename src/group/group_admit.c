/* How a running group admits a joiner: the leader asks every member, gives the seat, proposes, says welcome; a member
 * prepares the seat and lets the joiner's call in. docs/view-change.md §8.
 *
 * Whatever goes wrong, the joiner is put off and calls again: another view, a death, a no, silence. Nothing of an
 * admission outlives the view in which it was made. */
#include "group/group_judge.h"
#include "group/group_state.h"

#include "common/codec.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "group/view/rankset.h"

#include <stdio.h>
#include <string.h>

#define STEP_PATIENCE_NS    (5 * NX_SEC) /* for the members' answers; for the joiner's fabric */
/* Nobody can be proposed in a group without a majority. The next applicant may be who proves a death. */
#define BLOCKED_PATIENCE_NS (500 * NX_MS)
#define TWIN_PATIENCE_NS \
    (5 * NX_SEC) /* a death may be known so late; then who asks is another with the same id */
#define TWIN_FORGET_NS (2 * NX_SEC) /* who has not asked for so long asks anew */
#define LOOK_EVERY_NS  (20 * NX_MS) /* what has no room, or is not possible now, is tried again */

/* --- the query -------------------------------------------------------------------------------- */

/* What ADMIT asks: seat, view, the secret of the joiner's calls, whether its log is that of a shard which nobody else has
 * the state of, its hello. */
struct admit {
    nx_rank seat;
    nx_vid vid;
    uint64_t token;
    uint8_t shard;
    uint64_t keeps; /* as in struct nx_member */
    struct nx_boot_hello hello;
};

static_assert(1 + 4 + 8 + 8 + 1 + 8 + NX_BOOT_HELLO_BYTES_MAX + 1 <= NX_ADMIT_BYTES_MAX,
              "a hello that tells nothing of a disk fits the query");

static size_t encode_admit(const struct admit *a, uint8_t bytes[NX_ADMIT_BYTES_MAX])
{
    uint8_t frame[NX_BOOT_FRAME_MAX];
    size_t hello = nx_boot_encode_hello(&a->hello, frame) - NX_BOOT_HEAD_BYTES;
    struct nx_writer w;
    nx_writer_init(&w, bytes, NX_ADMIT_BYTES_MAX);
    nx_write_u8(&w, NX_SYSTEM_ADMIT);
    nx_write_u32(&w, a->seat);
    nx_write_u64(&w, a->vid);
    nx_write_u64(&w, a->token);
    nx_write_u8(&w, a->shard);
    nx_write_u64(&w, a->keeps);
    nx_write_bytes(&w, frame + NX_BOOT_HEAD_BYTES, hello);
    nx_assert(!w.bad);
    return nx_writer_used(&w);
}

static enum nx_status decode_admit(const uint8_t *bytes, size_t len, struct admit *a,
                                   struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    (void)nx_read_u8(&r);
    a->seat = nx_read_u32(&r);
    a->vid = nx_read_u64(&r);
    a->token = nx_read_u64(&r);
    a->shard = nx_read_u8(&r);
    a->keeps = nx_read_u64(&r);
    if (r.bad || a->token == 0 || a->seat >= NX_MEMBERS_MAX || a->shard >= NX_SHARDS_MAX ||
        a->keeps > INT64_MAX >> 16)
        return nx_err_set(err, NX_CORRUPT, "the admission is malformed");
    size_t left = nx_reader_left(&r);
    return nx_boot_decode_hello(nx_read_bytes(&r, left), left, &a->hello, err);
}

/* --- every member ----------------------------------------------------------------------------- */

static enum nx_status ask_core(struct nx_group *g, nx_rank leader, const struct admit *a,
                               const struct nx_member *member)
{
    struct nx_event event = {
        .type = NX_EV_ADMIT, .peer = leader, .rank = a->seat, .member = member, .vid = a->vid};
    nx_core_step(g->core, nx_clock_now(), &event, &g->request);
    g->requested |= g->request.busy;
    return g->request.status;
}

/* The core is asked twice: whether it will, while the seat's former connection still stands; and once that is closed,
 * to prepare memory that nobody writes into any more. */
static enum nx_status prepare_seat(struct nx_group *g, nx_rank leader, const struct admit *a,
                                   struct nx_err *err)
{
    struct nx_member member = nx_boot_member(&a->hello);
    nx_rankset bit = NX_RANK_BIT(a->seat);
    if (a->vid != nx_core_view(g->core)->vid)
        return nx_err_set(err, NX_AGAIN, "node %u is in another view", g->config.local_id);
    if (a->seat >= g->config.members_max || (nx_view_ranks(nx_core_view(g->core)) & bit))
        return nx_err_set(err, NX_EXISTS, "seat %u is taken", a->seat);
    if (a->keeps != 0) {
        member.shard = a->shard;
        member.keeps = a->keeps;
    }
    enum nx_status status = ask_core(g, leader, a, &member);
    if (status == NX_OK) {
        nx_fabric_admit(g->fabric, a->seat, &a->hello.card, a->token);
        status = ask_core(g, leader, a, &member);
    }
    if (status != NX_OK)
        return nx_err_set(err, status, "node %u does not admit node %u at seat %u now: %s",
                          g->config.local_id, a->hello.node, a->seat, nx_status_text(status));
    g->cards[a->seat] = a->hello.card;
    g->admitted |= bit;
    g->lost &= ~bit;
    g->admitted_at = nx_clock_now();
    return NX_OK;
}

void nx_group_admit_asked(struct nx_group *g, const struct nx_part *part)
{
    struct nx_err err = {0};
    struct admit a;
    enum nx_status status = decode_admit(part->bytes, part->len, &a, &err);
    if (status == NX_OK)
        status = prepare_seat(g, part->peer, &a, &err);
    if (status != NX_OK)
        nx_info("admission: %s", err.text);
    nx_group_answer(g, part, status, err.text);
}

/* --- the leader ------------------------------------------------------------------------------- */

static void enter(struct nx_group *g, enum nx_admission_state state, nx_ns now, const char *why)
{
    static const char *const names[] = {"idle", "asking", "seated", "proposed"};
    static const bool allowed[4][4] = {
        [NX_ADMIT_IDLE] = {[NX_ADMIT_ASKING] = true},
        [NX_ADMIT_ASKING] = {[NX_ADMIT_IDLE] = true, [NX_ADMIT_SEATED] = true},
        [NX_ADMIT_SEATED] = {[NX_ADMIT_IDLE] = true, [NX_ADMIT_PROPOSED] = true},
        [NX_ADMIT_PROPOSED] = {[NX_ADMIT_IDLE] = true},
    };
    struct nx_admission *a = &g->admission;
    nx_assert(allowed[a->state][state]);
    nx_debug("admission of node %u at seat %u: %s, was %s: %s", a->node, a->seat, names[state],
             names[a->state], why);
    a->state = state;
    a->since = now;
}

static void stop_asking(struct nx_group *g)
{
    struct nx_admission *a = &g->admission;
    for (nx_rankset left = a->waiting; left;)
        nx_group_unask(g, &a->asks[nx_rankset_take(&left)]);
    a->waiting = a->to_ask = 0;
}

static void give_up(struct nx_group *g, nx_ns now, const char *why)
{
    stop_asking(g);
    nx_bootstrap_put_off(g->boot, g->admission.applicant, now, why);
    enter(g, NX_ADMIT_IDLE, now, why);
}

static nx_rankset others_alive(const struct nx_group *g)
{
    return nx_core_alive(g->core) & nx_view_ranks(nx_core_view(g->core)) &
           ~NX_RANK_BIT(nx_core_rank(g->core));
}

static void take_reply(struct nx_group *g, struct nx_ask *ask, const struct nx_part *part)
{
    struct nx_admission *a = &g->admission;
    ask->stream = 0;
    a->waiting &= ~NX_RANK_BIT(ask->peer);
    g->port_at = 0;
    if (!part) /* it died: whoever is left decides */
        return;
    bool whole = part->offset == 0 && part->len == part->total && part->len >= 1;
    if (whole && part->bytes[0] == NX_OK)
        return;
    char why[NX_ERR_TEXT_BYTES];
    nx_boot_decode_reason(part->bytes + whole, part->len - whole, why, sizeof why);
    if (part->offset + part->len < part->total) {
        ask->stream = part->stream;
        nx_group_unask(g, ask);
    }
    give_up(g, nx_clock_now(), why);
}

static void ask_members(struct nx_group *g)
{
    struct nx_admission *a = &g->admission;
    a->to_ask &= others_alive(g);
    for (nx_rankset left = a->to_ask; left;) {
        nx_rank peer = nx_rankset_take(&left);
        a->asks[peer] = (struct nx_ask){.peer = peer, .reply = take_reply};
        if (nx_group_ask(g, &a->asks[peer], a->query, a->bytes) != NX_OK)
            continue; /* no room now */
        a->to_ask &= ~NX_RANK_BIT(peer);
        a->waiting |= NX_RANK_BIT(peer);
    }
}

/* --- whether there is a seat -- */

/* Whoever asks from where a member listens is that member's next self. From elsewhere it may
 * have moved after a death that is not known yet; a member that outlives the question is another
 * node. */
static bool is_live_twin(struct nx_group *g, nx_ns now, const struct nx_boot_hello *hello,
                         const struct nx_member *m)
{
    struct nx_twin *t = &g->twin;
    if (strcmp(m->host, hello->host) == 0 && m->gms_port == hello->gms_port)
        return false;
    if (t->node != hello->node || t->since == 0 || now >= t->last + TWIN_FORGET_NS)
        *t = (struct nx_twin){.node = hello->node, .since = now};
    t->last = now;
    return now >= t->since + TWIN_PATIENCE_NS;
}

/* A node id comes back when its former self is gone: out of the view, or dead beyond doubt in a group that cannot go on
 * without it. That a node listens where its former self did proves that; from elsewhere it may be another. */
static enum nx_status check_former_self(struct nx_group *g, nx_ns now,
                                        const struct nx_boot_hello *hello, struct nx_err *err)
{
    const struct nx_view *view = nx_core_view(g->core);
    nx_rank rank = nx_view_rank_of(view, hello->node);
    if (rank == NX_RANK_NONE)
        return NX_OK;
    const struct nx_member *m = &view->members[rank];
    bool lives = (nx_core_alive(g->core) & NX_RANK_BIT(rank)) != 0;
    bool blocked = nx_core_change_state(g->core) == NX_CHANGE_BLOCKED; /* then we may be stale */
    if (rank == nx_core_rank(g->core) || (lives && is_live_twin(g, now, hello, m) && !blocked))
        return nx_err_set(err, NX_EXISTS, "node id %u is taken by the member at %s:%u", hello->node,
                          m->host, m->gms_port);
    if (lives)
        return nx_err_set(
            err, NX_AGAIN,
            "node %u is a member of the group, at %s:%u: your former self, or another "
            "node with this id, is still there",
            hello->node, m->host, m->gms_port);
    if (!blocked)
        return nx_err_set(err, NX_AGAIN, "the former self of node %u is being removed",
                          hello->node);
    if (strcmp(m->host, hello->host) != 0 || m->gms_port != hello->gms_port)
        return nx_err_set(
            err, NX_AGAIN,
            "node %u was at %s:%u and asks from %s:%u: nothing proves that its former "
            "self is dead, and the group cannot remove it without a majority",
            hello->node, m->host, m->gms_port, hello->host, hello->gms_port);
    return NX_OK;
}

/* Who shows us that we were left behind is believed once we miss our majority as well. */
static enum nx_status check_disk(struct nx_group *g, const struct nx_boot_hello *hello,
                                 struct nx_err *err)
{
    bool blocked = nx_core_change_state(g->core) == NX_CHANGE_BLOCKED;
    if (!g->disk.durable)
        return NX_OK;
    enum nx_disk_verdict verdict =
        nx_judge_disk(nx_core_view(g->core), g->config.local_id, blocked, hello, err);
    if (verdict == NX_DISK_LEFT_BEHIND && blocked)
        nx_group_give_up(g, err->text);
    return verdict == NX_DISK_OPEN ? NX_OK : err->status;
}

static void judge_log(const struct nx_group *g, struct admit *a)
{
    const struct nx_subgroup_spec *sub = &g->config.spec.subgroups[a->hello.subgroup];
    uint64_t places;
    if (!nx_judge_log(nx_core_view(g->core), sub->persistent, &a->hello, &a->shard, &places))
        return;
    a->keeps = places + 1;
    nx_info("node %u keeps shard %u of %s: its log has %llu places", a->hello.node, a->shard,
            sub->name, (unsigned long long)places);
}

/* Who comes with a log of its shard begins it anew, and for a while has none. It waits for the
 * members whose state is on its way to their disks; what it proves of its former self counts all
 * the same. */
static enum nx_status spare_log(struct nx_group *g, const struct nx_boot_hello *hello,
                                struct nx_err *err)
{
    const struct nx_dur_offer *offer = &hello->offer;
    const struct nx_subgroup_spec *sub = &g->config.spec.subgroups[hello->subgroup];
    if (!g->disk.durable || !sub->persistent || !offer->has_note || !offer->has_log ||
        nx_durable_kept_without(g->disk.durable, hello->node, hello->subgroup, offer->shard))
        return NX_OK;
    struct nx_member member = nx_boot_member(hello);
    struct admit nowhere = {.seat = NX_RANK_NONE, .vid = nx_core_view(g->core)->vid};
    if (nx_core_change_state(g->core) == NX_CHANGE_BLOCKED)
        (void)ask_core(g, nx_core_rank(g->core), &nowhere, &member);
    return nx_err_set(err, NX_AGAIN,
                      "node %u keeps the log of shard %u of %s, which is on no other member's disk "
                      "yet",
                      hello->node, offer->shard, sub->name);
}

static enum nx_status find_seat(struct nx_group *g, struct admit *a, struct nx_err *err)
{
    nx_rankset taken = nx_view_ranks(nx_core_view(g->core));
    nx_rankset all = NX_RANK_BIT(g->config.members_max) - 1;
    if (taken == all && nx_core_change_state(g->core) == NX_CHANGE_STEADY)
        return nx_err_set(err, NX_DENIED, "the group is full: it has %u members (members_max)",
                          g->config.members_max);
    for (nx_rankset left = all & ~taken; left;) {
        a->seat = nx_rankset_take(&left);
        if (prepare_seat(g, nx_core_rank(g->core), a, err) == NX_OK)
            return NX_OK;
    }
    return nx_err_set(err, NX_AGAIN, "no seat is free now");
}

static enum nx_status begin(struct nx_group *g, nx_ns now, const struct nx_boot_hello *hello,
                            struct nx_err *err)
{
    struct nx_admission *a = &g->admission;
    struct admit admit = {.vid = nx_core_view(g->core)->vid, .hello = *hello};
    NX_TRY(check_former_self(g, now, hello, err));
    NX_TRY(spare_log(g, hello, err));
    judge_log(g, &admit);
    admit.hello.offer.has_note = admit.hello.offer.has_log = false; /* the leader's business */
    if (!nx_bootstrap_token(&admit.token))
        return nx_err_set(err, NX_AGAIN, "the leader has no random bytes now");
    NX_TRY(find_seat(g, &admit, err));
    a->node = hello->node;
    a->seat = admit.seat;
    a->token = admit.token;
    a->vid = admit.vid;
    a->bytes = encode_admit(&admit, a->query);
    a->to_ask = others_alive(g);
    a->waiting = 0;
    enter(g, NX_ADMIT_ASKING, now, "it asks for a seat");
    return NX_OK;
}

static bool take_applicant(struct nx_group *g, nx_ns now)
{
    nx_applicant applicant = nx_bootstrap_applicant(g->boot);
    const struct nx_boot_hello *hello = nx_bootstrap_hello(g->boot, applicant);
    struct nx_err err = {0};
    if (!hello)
        return false;
    g->admission.applicant = applicant;
    enum nx_status status = check_disk(g, hello, &err);
    if (status == NX_OK && nx_group_is_stuck(g))
        status = nx_group_keep_waiting(g, now, &err);
    else if (status == NX_OK)
        status = begin(g, now, hello, &err);
    if (status == NX_WEDGED)
        return false; /* it stays */
    if (status == NX_AGAIN)
        nx_bootstrap_put_off(g->boot, applicant, now, err.text);
    else if (status != NX_OK)
        nx_bootstrap_refuse(g->boot, applicant, now, err.text);
    return true;
}

/* --- its way to the view -- */

static void describe_view(const struct nx_group *g, struct nx_boot_view *v)
{
    const struct nx_admission *a = &g->admission;
    *v = (struct nx_boot_view){.token = a->token, .rank = a->seat, .view = *nx_core_view(g->core)};
    memcpy(v->cards, g->cards, sizeof v->cards);
    v->peers = nx_core_alive(g->core) & nx_view_ranks(&v->view) & ~NX_RANK_BIT(a->seat);
}

static void give_seat(struct nx_group *g, nx_ns now)
{
    struct nx_boot_view seat;
    describe_view(g, &seat);
    nx_bootstrap_seat(g->boot, g->admission.applicant, &seat, now);
    enter(g, NX_ADMIT_SEATED, now, "all members admit it");
}

static void propose(struct nx_group *g, nx_ns now)
{
    struct nx_event event = {.type = NX_EV_JOIN, .ranks = NX_RANK_BIT(g->admission.seat)};
    nx_core_step(g->core, now, &event, &g->request);
    g->requested |= g->request.busy;
    if (g->request.status == NX_OK)
        enter(g, NX_ADMIT_PROPOSED, now, "it is connected to all");
    else if (g->request.status != NX_AGAIN)
        give_up(g, now, nx_status_text(g->request.status));
}

static void settle(struct nx_group *g, nx_ns now)
{
    const struct nx_admission *a = &g->admission;
    const struct nx_view *view = nx_core_view(g->core);
    if (a->state != NX_ADMIT_PROPOSED || nx_view_rank_of(view, a->node) != a->seat ||
        view->members[a->seat].since != view->vid) {
        give_up(g, now, "the view changed meanwhile");
        return;
    }
    struct nx_boot_view with;
    describe_view(g, &with);
    nx_info("node %u joined at rank %u in view %llu", a->node, a->seat,
            (unsigned long long)view->vid);
    nx_bootstrap_welcome(g->boot, a->applicant, &with, now);
    enter(g, NX_ADMIT_IDLE, now, "it is in the view");
}

/* Its seat is of no use now, and another waits for its turn. */
static bool makes_way(const struct nx_group *g, nx_ns now)
{
    const struct nx_admission *a = &g->admission;
    return a->state == NX_ADMIT_SEATED && now >= a->since + BLOCKED_PATIENCE_NS &&
           nx_core_change_state(g->core) == NX_CHANGE_BLOCKED &&
           nx_bootstrap_applicant(g->boot) != 0;
}

static void go_on(struct nx_group *g, nx_ns now)
{
    struct nx_admission *a = &g->admission;
    enum nx_standing standing = nx_bootstrap_standing(g->boot, a->applicant);
    if (a->vid != nx_core_view(g->core)->vid)
        settle(g, now);
    else if (nx_core_leader(g->core) != nx_core_rank(g->core) || nx_core_left(g->core))
        give_up(g, now, "another member leads now");
    else if (standing == NX_APPLICANT_GONE)
        give_up(g, now, "it went away");
    else if (a->state != NX_ADMIT_PROPOSED && now >= a->since + STEP_PATIENCE_NS)
        give_up(g, now,
                a->state == NX_ADMIT_ASKING ? "a member did not answer in time"
                                            : "you did not connect in time");
    else if (makes_way(g, now))
        give_up(g, now, "this group has no majority now, and others ask for a seat");
    else if (a->state == NX_ADMIT_ASKING && !a->to_ask && !a->waiting)
        give_seat(g, now);
    else if (a->state == NX_ADMIT_ASKING)
        ask_members(g);
    else if (a->state == NX_ADMIT_SEATED && standing == NX_APPLICANT_CONNECTED)
        propose(g, now);
}

bool nx_group_admit_turn(struct nx_group *g, nx_ns now)
{
    struct nx_admission *a = &g->admission;
    enum nx_admission_state was = a->state;
    if (a->state != NX_ADMIT_IDLE)
        go_on(g, now);
    else if (nx_core_leader(g->core) == nx_core_rank(g->core) && !nx_core_left(g->core))
        return take_applicant(g, now);
    return a->state != was;
}

nx_ns nx_group_admit_wake_at(const struct nx_group *g)
{
    const struct nx_admission *a = &g->admission;
    bool tries = (a->state == NX_ADMIT_ASKING && a->to_ask) ||
                 (a->state == NX_ADMIT_SEATED &&
                  nx_bootstrap_standing(g->boot, a->applicant) == NX_APPLICANT_CONNECTED);
    if (a->state == NX_ADMIT_IDLE || (a->state == NX_ADMIT_PROPOSED && !tries))
        return NX_NEVER;
    return tries ? nx_clock_now() + LOOK_EVERY_NS : a->since + STEP_PATIENCE_NS;
}
