/* cmd_server.c — `nexus server`: one node, until ENTER, SIGINT or SIGTERM.
 *
 * One thread: a turn polls the group, then the tier, then sleeps until a descriptor rings or a timer is due.
 *
 *     FORMING ──first view──► SERVING ──stop asked──► NOTICE ──drain_s──► HELD ──► DRAINING ──idle──► LEAVING ──► exit 0
 *      │ ▲                       │ taken for failed                                                      │
 *      │ └──after a pause── OUTSIDE ──stop asked──► exit 0                                               │
 *      └───────────stop asked or the group failed: exit at once──────────────────────────────────────────┘
 *
 * NOTICE: a node of the function tier tells probes that it is not ready and serves on, until proxies send no one any more.
 * HELD: the node serves on while another is given the state that only it has (nx_group_may_leave).
 * A second stop ends both at once. */
#include "categorizer/categorizer.h"
#include "cli/cmd.h"
#include "cli/notify.h"
#include "cli/server_config.h"
#include "common/arena.h"
#include "common/cpus.h"
#include "common/descriptors.h"
#include "common/event_wait.h"
#include "common/log.h"
#include "function_tier/function_tier.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { FUNCTION, CATEGORIZER }; /* indices of the subgroups in every node's spec */
enum { EXIT_USAGE = 2 };

/* a service manager may give up on a stop so long after the drain */
static const nx_ns LEAVE_NS = 10 * NX_SEC;
static const nx_ns DRAIN_MAX_NS = 5 * NX_SEC; /* what is under way at a stop may take so long */
/* looked on before falling asleep: about what a wake-up costs */
static const nx_ns SPIN_NS = 20 * NX_US;
static const nx_ns PATIENCE_NS = 5 * NX_SEC; /* then a node tells that its group is not complete */
static const nx_ns STOPPING_NS = NX_MS;      /* how often a node that stops looks whether it may */
static const nx_ns REJOIN_FIRST_NS = 100 * NX_MS; /* the pause before a node joins again, … */
static const nx_ns REJOIN_MAX_NS = 30 * NX_SEC;   /* … doubled each time, up to this, … */
static const nx_ns REJOIN_CALM_NS = 60 * NX_SEC;  /* … until it was a member for so long */

struct server {
    struct nx_config config;
    struct nx_group_config group_config;
    struct nx_spans *spans;                 /* NULL: no traces are told */
    struct nx_group *group;                 /* NULL: OUTSIDE, until rejoin_at */
    struct nx_function_tier *function_tier; /* one of the two */
    struct nx_categorizer *categorizer;
    int epoll_fd, signal_fd;
    bool formed, told_waiting, stopping, draining, left;
    nx_ns started; /* of FORMING */
    nx_ns formed_at;
    nx_ns rejoin_at, rejoin_pause;
    nx_ns notice_until, drain_until;
};

/* --- opening ------------------------------------------------------------------------------------ */

static void fill_subgroup(struct nx_subgroup_spec *to, const char *name,
                          const struct nx_config_shards *from)
{
    snprintf(to->name, sizeof to->name, "%s", name);
    to->num_shards = from->num_shards;
    to->min_nodes = from->min_nodes;
    to->max_nodes = from->max_nodes;
    to->persistent = strcmp(from->persist, "true") == 0;
}

static struct nx_group_config group_config(const struct nx_config *c)
{
    struct nx_group_config g = {
        .local_id = c->local_id,
        .gms_port = (uint16_t)c->gms_port,
        .leader_gms_port = (uint16_t)c->leader_gms_port,
        .first_view_nodes = c->first_view_nodes,
        .subgroup = strcmp(c->tier, "function") == 0 ? FUNCTION : CATEGORIZER,
        .members_max = c->members_max,
        .join_timeout_ns = (nx_ns)c->join_timeout_s * NX_SEC,
        .timeout_ns = 3 * (nx_ns)c->heartbeat_ms * NX_MS,
        .spin_ns = SPIN_NS,
        .clock_skew_ns = (nx_ns)c->clock_skew_s * NX_SEC,
        .contacts_count = c->contacts_count,
    };
    for (uint32_t i = 0; i < c->contacts_count; i++) {
        snprintf(g.contacts[i].ip, sizeof g.contacts[i].ip, "%s", c->contact[i].ip);
        g.contacts[i].port = (uint16_t)c->contact[i].port;
    }
    snprintf(g.local_ip, sizeof g.local_ip, "%s", c->local_ip);
    snprintf(g.leader_ip, sizeof g.leader_ip, "%s", c->leader_ip);
    snprintf(g.provider, sizeof g.provider, "%.15s", c->provider);
    snprintf(g.domain, sizeof g.domain, "%s", c->domain);
    snprintf(g.secret_file, sizeof g.secret_file, "%s", c->secret_file);
    snprintf(g.file_path, sizeof g.file_path, "%s", c->file_path);
    g.spec.subgroups_count = 2;
    fill_subgroup(&g.spec.subgroups[FUNCTION], "FUNCTION_TIER", &c->function_tier);
    fill_subgroup(&g.spec.subgroups[CATEGORIZER], "CATEGORIZER_TIER", &c->categorizer_tier);
    return g;
}

static struct nx_rest_config rest_config(const struct nx_config *c)
{
    enum nx_compat compat = strcmp(c->compat, "0.4") == 0   ? NX_COMPAT_0_4
                            : strcmp(c->compat, "1.x") == 0 ? NX_COMPAT_1_X
                                                            : NX_COMPAT_BOTH;
    return (struct nx_rest_config){.model_store = c->model_store,
                                   .manage_anywhere = strcmp(c->management, "anywhere") == 0,
                                   .compat = compat,
                                   .body_bytes_max = (uint64_t)c->request_max_mb << 20,
                                   .response_timeout_ns = (nx_ns)c->response_timeout_s * NX_SEC,
                                   .seed = (uint64_t)nx_clock_wall() ^ c->local_id};
}

/* Clients reach it from the start, also while the node has no group. */
static enum nx_status open_function_tier(struct server *s, struct nx_err *err)
{
    struct nx_function_tier_config c = {.local_id = s->config.local_id,
                                        .categorizer_subgroup = CATEGORIZER,
                                        .local_ip = s->config.local_ip,
                                        .client_port = (uint16_t)s->config.client_port,
                                        .seed = (uint64_t)nx_clock_wall() ^ s->config.local_id,
                                        .tls = {.cert = s->config.tls_cert,
                                                .key = s->config.tls_key,
                                                .client_ca = s->config.tls_client_ca},
                                        .spans = s->spans,
                                        .spans_per_million = s->config.otlp_per_million,
                                        .log_requests = strcmp(s->config.log_requests, "yes") == 0,
                                        .tokens = s->config.tokens,
                                        .connections_max = s->config.connections_max,
                                        .requests_max = s->config.requests_max,
                                        .requests_bytes_max = (uint64_t)s->config.requests_mb << 20,
                                        .load_models = s->config.load_models,
                                        .rest = rest_config(&s->config)};
    for (uint32_t i = 0; i < s->config.listen_count; i++)
        c.listen_also[c.listen_also_count++] = (struct nx_grpc_address){
            s->config.listen_at[i].ip, (uint16_t)s->config.listen_at[i].port, "listen"};
    return nx_function_tier_open(&c, &s->function_tier, err);
}

static enum nx_status open_categorizer(struct server *s, struct nx_err *err)
{
    enum nx_precision precision = NX_PRECISION_F32;
    nx_precision_of(s->config.precision,
                    &precision); /* the configuration's reader knows the names */
    struct nx_categorizer_config c = {.subgroup = CATEGORIZER,
                                      .backend = s->config.backend,
                                      .precision = precision,
                                      .threads = s->config.threads,
                                      .batch_max = s->config.batch_max,
                                      .profiles = s->config.profiles,
                                      .memory_bytes = (uint64_t)s->config.memory_mb << 20,
                                      .spool_folder = ".",
                                      .spans = s->spans,
                                      .spool_bytes = (uint64_t)s->config.memory_mb << 21};
    return nx_categorizer_open(&c, &s->categorizer, err);
}

static void watch(struct server *s, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd,
              &e); /* a plain file as stdin is refused: never watched */
}

/* A categorizer begins with an empty store: what its shard holds comes with its view. */
static enum nx_status open_group(struct server *s, struct nx_err *err)
{
    if (!s->function_tier) {
        NX_TRY(open_categorizer(s, err));
        watch(s, nx_categorizer_fd(s->categorizer));
    }
    const struct nx_group_upcalls *upcalls =
        s->function_tier ? nx_function_tier_upcalls() : nx_categorizer_upcalls();
    void *ctx = s->function_tier ? nx_function_tier_ctx(s->function_tier) : s->categorizer;
    NX_TRY(nx_group_open(&s->group_config, upcalls, ctx, &s->group, err));
    if (s->function_tier)
        nx_function_tier_attach(s->function_tier, s->group);
    else
        nx_categorizer_attach(s->categorizer, s->group);
    watch(s, nx_group_fd(s->group));
    s->started = nx_clock_now();
    s->formed = s->told_waiting = false;
    return NX_OK;
}

static void close_group(struct server *s)
{
    if (s->group)
        nx_group_close(s->group);
    if (s->categorizer)
        nx_categorizer_close(s->categorizer);
    s->group = NULL;
    s->categorizer = NULL;
}

/* Stops and reloads arrive as bytes: signals through a descriptor, ENTER through the terminal. */
static enum nx_status open_loop(struct server *s, struct nx_err *err)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGHUP);
    sigprocmask(SIG_BLOCK, &stops, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signal_fd = signalfd(-1, &stops, SFD_NONBLOCK | SFD_CLOEXEC);
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->signal_fd < 0 || s->epoll_fd < 0)
        return nx_err_set(err, NX_IO, "cannot make the loop's descriptors: %s", strerror(errno));
    watch(s, s->signal_fd);
    if (isatty(STDIN_FILENO))
        watch(s, STDIN_FILENO);
    return NX_OK;
}

static enum nx_status open_spans(struct server *s, struct nx_err *err)
{
    struct nx_spans_config c = {.url = s->config.otlp,
                                .node = s->config.local_id,
                                .tier = s->config.tier,
                                .seed = (uint64_t)nx_clock_wall() * 31 + s->config.local_id};
    return c.url[0] ? nx_spans_open(&c, &s->spans, err) : NX_OK;
}

static enum nx_status open_server(struct server *s, struct nx_err *err)
{
    s->group_config = group_config(&s->config);
    NX_TRY(nx_spec_check(&s->group_config.spec, err));
    NX_TRY(open_loop(s, err));
    NX_TRY(open_spans(s, err));
    if (s->group_config.subgroup == FUNCTION) {
        NX_TRY(open_function_tier(s, err));
        watch(s, nx_function_tier_fd(s->function_tier));
    }
    nx_notify("STATUS=waiting for the nodes of the first view");
    return open_group(s, err);
}

static void close_server(struct server *s)
{
    if (s->function_tier)
        nx_function_tier_close(s->function_tier);
    close_group(s);
    if (s->spans)
        nx_spans_close(s->spans);
    if (s->epoll_fd >= 0)
        close(s->epoll_fd);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
}

/* --- running ------------------------------------------------------------------------------------ */

static void announce(const struct server *s)
{
    if (s->function_tier)
        printf("//////////////////////////////////////////\n"
               "FunctionTier listening on %s:%u\n"
               "//////////////////////////////////////////\n",
               s->config.local_ip, s->config.client_port);
    printf("Finished constructing group.\n");
    if (isatty(STDIN_FILENO))
        printf("Press ENTER to stop.\n");
    fflush(stdout);
}

/* A shard that starts below min_nodes is legal, but nobody should have to guess why it answers "unavailable". */
static void warn_inadequate(const struct server *s)
{
    static const char *const names[] = {"function tier", "categorizer tier"};
    const struct nx_layout *layout = nx_group_layout(s->group);
    for (uint32_t tier = 0; tier < layout->subgroups_count; tier++)
        for (uint32_t i = 0; i < layout->shards_count[tier]; i++)
            if (!layout->shards[tier][i].adequate)
                nx_warn(
                    "shard %u of the %s has %u nodes, fewer than its min_nodes: it is unavailable",
                    i, names[tier], layout->shards[tier][i].members_count);
}

static void tell_waiting(struct server *s, nx_ns now)
{
    if (s->told_waiting || now < s->started + PATIENCE_NS)
        return;
    s->told_waiting = true;
    const char *why = nx_group_waits_for(s->group);
    if (why[0])
        nx_warn("still waiting, for %u s at most: %s", s->config.join_timeout_s, why);
    else
        nx_warn(
            "still waiting for the %u nodes of the first view to meet at %s:%u, for %u s at most",
            s->config.first_view_nodes, s->config.leader_ip, s->config.leader_gms_port,
            s->config.join_timeout_s);
}

/* A node in the background of its terminal (`nexus server &`) leaves the keyboard to others: to read would stop it. */
static bool is_in_background(void)
{
    /* -1: not the terminal that controls us, which anybody may read */
    pid_t foreground = tcgetpgrp(STDIN_FILENO);
    return foreground >= 0 && foreground != getpgrp();
}

static void reload(struct server *s)
{
    if (s->function_tier)
        nx_function_tier_reload(s->function_tier);
}

/* The pending signals, each once. True if one of them asks to stop. */
static bool take_signals(struct server *s)
{
    struct signalfd_siginfo got;
    bool stop = false;
    while (read(s->signal_fd, &got, sizeof got) == sizeof got) {
        if (got.ssi_signo == SIGHUP)
            reload(s);
        else
            stop = true;
    }
    return stop;
}

static bool stop_asked(struct server *s, const struct epoll_event *events, int count)
{
    bool stop = false;
    for (int i = 0; i < count; i++) {
        char bytes[1024];
        int fd = events[i].data.fd;
        if (fd != s->signal_fd && fd != STDIN_FILENO)
            continue;
        if (fd == s->signal_fd) {
            stop |= take_signals(s);
            continue;
        }
        if (fd == STDIN_FILENO && is_in_background()) {
            epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
            continue;
        }
        stop |= read(fd, bytes, sizeof bytes) != -1; /* ENTER, or end of input */
    }
    return stop;
}

static void begin_drain(struct server *s, nx_ns now)
{
    s->draining = true;
    nx_notify("STATUS=finishing what is under way");
    s->drain_until = now + DRAIN_MAX_NS;
    if (s->function_tier)
        nx_function_tier_drain(s->function_tier, now);
    else if (s->categorizer)
        nx_categorizer_drain(s->categorizer, now);
}

/* The service manager waits for the notice as well, which is as long as the configuration says,
 * and for who is given our state. */
static void tell_stopping(nx_ns notice)
{
    char text[96];
    nx_ns most = notice + NX_GROUP_LEAVE_HELD_NS + DRAIN_MAX_NS + LEAVE_NS;
    snprintf(text, sizeof text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", (long long)(most / 1000));
    nx_notify(text);
}

/* A second stop has no patience. */
static void begin_stop(struct server *s, nx_ns now)
{
    bool notice = s->function_tier && s->formed && s->config.drain_s > 0;
    if (s->stopping && s->group)
        nx_group_leave_anyway(s->group);
    if (s->stopping || !notice)
        s->notice_until = now;
    else
        s->notice_until = now + (nx_ns)s->config.drain_s * NX_SEC;
    if (!s->stopping)
        tell_stopping(notice ? (nx_ns)s->config.drain_s * NX_SEC : 0);
    if (!s->stopping && notice)
        nx_function_tier_announce_drain(s->function_tier);
    s->stopping = true;
}

static bool drained(const struct server *s, nx_ns now)
{
    if (now >= s->drain_until)
        return true;
    return s->function_tier ? nx_function_tier_drained(s->function_tier)
                            : nx_categorizer_drained(s->categorizer, now);
}

static const struct nx_err *why_down(const struct server *s)
{
    return s->function_tier ? nx_function_tier_down(s->function_tier)
                            : nx_categorizer_down(s->categorizer);
}

/* --- outside the group ------------------------------------------------------------------------- */

/* The others go on without this node, which they take for failed: it comes back as a new member. */
static bool may_rejoin(const struct server *s)
{
    return s->group && why_down(s)->status == NX_FENCED && !s->stopping &&
           strcmp(s->config.rejoin, "yes") == 0;
}

static void go_outside(struct server *s, nx_ns now)
{
    if (s->rejoin_pause == 0 || now >= s->formed_at + REJOIN_CALM_NS)
        s->rejoin_pause = REJOIN_FIRST_NS;
    nx_warn("node %u is out of its group: %s; it joins again in %g s", s->config.local_id,
            why_down(s)->text, (double)s->rejoin_pause / (double)NX_SEC);
    if (s->function_tier)
        nx_function_tier_detach(s->function_tier, "this node is joining its group again");
    close_group(s);
    s->rejoin_at = now + s->rejoin_pause;
    s->rejoin_pause = nx_ns_least(2 * s->rejoin_pause, REJOIN_MAX_NS);
}

/* One turn without a group. False: it cannot be opened again. */
static bool turn_outside(struct server *s, nx_ns now, nx_ns *wake_at, struct nx_err *err)
{
    *wake_at = s->rejoin_at;
    if (s->function_tier) {
        (void)nx_function_tier_poll(s->function_tier, now);
        *wake_at = nx_ns_least(*wake_at, nx_function_tier_next_timer(s->function_tier));
    }
    if (s->stopping) {
        s->left = true;
        return true;
    }
    return now < s->rejoin_at || open_group(s, err) == NX_OK;
}

/* Out of FORMING, once there is a live view. */
static void note_formed(struct server *s, nx_ns now)
{
    if (!nx_group_view(s->group) || nx_group_replays(s->group)) {
        tell_waiting(s, now);
        return;
    }
    s->formed = true;
    s->formed_at = now;
    if (s->rejoin_at)
        nx_warn("node %u is a member of its group again", s->config.local_id);
    else
        announce(s);
    nx_notify("READY=1\nSTATUS=in the group");
    warn_inadequate(s);
}

/* From NOTICE to the end, a step whenever it is its time. */
static void go_on_stopping(struct server *s, nx_ns now)
{
    if (!s->draining && now >= s->notice_until && (!s->formed || nx_group_may_leave(s->group)))
        begin_drain(s, now);
    if (s->draining && drained(s, now))
        s->left = !s->formed || nx_group_leave(s->group);
}

static nx_ns turn_due(const struct server *s, nx_ns now)
{
    nx_ns at = NX_NEVER;
    if (!s->formed && !s->told_waiting)
        at = s->started + PATIENCE_NS;
    if (s->stopping)
        at = s->notice_until > now ? s->notice_until : now + STOPPING_NS;
    return s->function_tier ? nx_ns_least(at, nx_function_tier_next_timer(s->function_tier)) : at;
}

/* One turn; true if more work is known. *wake_at is when the tier wants to be polled. */
static bool turn(struct server *s, nx_ns now, nx_ns *wake_at)
{
    bool busy = nx_group_poll(s->group);
    if (!s->formed)
        note_formed(s, now);
    if (s->function_tier)
        busy |= nx_function_tier_poll(s->function_tier, now);
    else
        busy |= nx_categorizer_poll(s->categorizer);
    if (s->stopping)
        go_on_stopping(s, now);
    *wake_at = turn_due(s, now);
    return busy;
}

/* One turn; *wake_at is when the next is due, 0 at once. False: the node cannot go on. */
static bool live(struct server *s, nx_ns now, nx_ns *wake_at, struct nx_err *err)
{
    nx_ns group_wake_at = NX_NEVER;
    if (!s->group)
        return turn_outside(s, now, wake_at, err);
    bool busy = turn(s, now, wake_at);
    if (may_rejoin(s)) {
        go_outside(s, now);
        *wake_at = 0;
        return true;
    }
    if (why_down(s)->status != NX_OK) {
        *err = *why_down(s);
        return false;
    }
    if (busy || nx_group_arm(s->group, &group_wake_at) != NX_OK)
        group_wake_at = 0;
    *wake_at = nx_ns_least(*wake_at, group_wake_at);
    return true;
}

static int run(struct server *s, struct nx_err *err)
{
    while (!s->left) {
        struct epoll_event events[8];
        nx_ns wake_at, now = nx_clock_now();
        if (!live(s, now, &wake_at, err))
            return EXIT_FAILURE;
        /* To the nanosecond: receipts are due after 200 us. */
        nx_ns left = wake_at == NX_NEVER ? NX_NEVER : wake_at - nx_clock_now();
        int count = nx_event_wait(s->epoll_fd, events, 8, left);
        if (stop_asked(s, events, count))
            begin_stop(s, now);
    }
    return EXIT_SUCCESS;
}

/* Once the configuration is read, what is said is said in its format. */
static void say_why(const struct nx_err *err)
{
    if (nx_log_is_json())
        nx_log_write(NX_LOG_ERROR, "nexus server: %s", err->text);
    else
        fprintf(stderr, "nexus server: %s\n", err->text);
}

/* What only shows as the parts open, such as a key without its certificate, is a wrong configuration all the same. */
static int why_not_open(const struct nx_err *err)
{
    return err->status == NX_INVALID ? EXIT_USAGE : EXIT_FAILURE;
}

int nx_cmd_server(int argc, char **argv)
{
    struct server s = {.epoll_fd = -1, .signal_fd = -1};
    struct nx_err err = {0};
    if (nx_server_config(argc - 1, argv + 1, &s.config, &err) != NX_OK) {
        fprintf(stderr, "nexus server: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (nx_cpus_bind(s.config.cpus, &err) != NX_OK) {
        say_why(&err);
        return EXIT_USAGE;
    }
    if (nx_descriptors_plan(&s.config.connections_max, &err) != NX_OK) {
        say_why(&err);
        return EXIT_USAGE;
    }
    if (strcmp(s.config.tier, "categorizer") == 0)
        nx_cmd_wait_passively(argc, argv);
    nx_heap_share(); /* what a model took on the loader's would not come back */
    s.started = nx_clock_now();
    int code = open_server(&s, &err) == NX_OK ? run(&s, &err) : why_not_open(&err);
    if (code != EXIT_SUCCESS)
        say_why(&err);
    close_server(&s);
    return code;
}
