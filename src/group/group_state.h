/* group_state.h — the state behind group.h, for the files of the wiring alone.
 *
 *   group.c          open and close, the turn, upcalls, sleeping
 *   group_form.c     until the first view: the bootstrap, the fabric, a fresh start after an attempt that failed
 *   group_port.c     afterwards: what the port is told, seats and their connections, system queries and their replies
 *   group_admit.c    the leader's admission of a joiner; the members' part in it; group_judge.c: its verdicts
 *   group_seek.c     a member that lost the majority
 *   group_transfer.c between the state transfer and the core and tier
 *   group_disk.c     between the core and the member's disk; group_keep.c: its part in the turns
 *   group_request.c  what the tier asks */
#ifndef NX_GROUP_STATE_H
#define NX_GROUP_STATE_H

#include "group/core/core.h"
#include "group/fabric/bootstrap.h"
#include "group/fabric/fabric.h"
#include "group/group.h"
#include "group/group_disk.h"
#include "group/group_spin.h"
#include "group/group_transfer.h"

/* A system query's first byte says what it asks. */
enum nx_system_query {
    NX_SYSTEM_ADMIT = 1, /* group_admit.c; transfer/ has NX_SYSTEM_STATE */
};

enum { NX_ADMIT_BYTES_MAX = 2048, NX_ADMIT_REPLY_BYTES = 1 + NX_ERR_TEXT_BYTES };

/* The cookie of a system query that we ask. */
struct nx_ask {
    nx_rank peer;
    nx_stream stream;
    /* A part of its reply; NULL: there will be none, its peer is gone. */
    void (*reply)(struct nx_group *group, struct nx_ask *ask, const struct nx_part *part);
};

/* Our reply to a member's small system query; it leaves when there is room. */
struct nx_system_answer {
    nx_stream query; /* 0: none */
    bool opened;
    size_t bytes;
    uint8_t text[NX_ADMIT_REPLY_BYTES];
};

/* The leader's admission of one joiner at a time:
 *
 *   IDLE ──an applicant──▶ ASKING ──all said yes──▶ SEATED ──connected, proposed──▶ PROPOSED
 *     ▲                      │ a no, another view      │ gone, late, another view       │ the next view: welcome
 *     └──────────────────────┴────── put off ──────────┴────────────────────────────────┘ */
enum nx_admission_state { NX_ADMIT_IDLE, NX_ADMIT_ASKING, NX_ADMIT_SEATED, NX_ADMIT_PROPOSED };

struct nx_admission {
    enum nx_admission_state state;
    nx_ns since; /* of the state */
    nx_applicant applicant;
    nx_node node;
    nx_rank seat;
    uint64_t token;
    nx_vid vid;                 /* the view in which it is admitted */
    nx_rankset to_ask, waiting; /* members to be asked; whose answer is awaited */
    struct nx_ask asks[NX_MEMBERS_MAX];
    size_t bytes; /* of the query */
    uint8_t query[NX_ADMIT_BYTES_MAX];
};

/* What an attempt to become a member begins with afresh. */
struct nx_group_below {
    void *region;
    struct nx_fabric *fabric;
    struct nx_core *core;
};

/* A node that asks although a member with its id lives: for how long already. */
struct nx_twin {
    nx_node node;
    nx_ns since, last;
};

struct nx_group {
    struct nx_group_config config;
    struct nx_group_upcalls up;
    void *ctx;
    struct nx_core_config core_config;
    union { /* by its parts, or whole */
        struct {
            void *region;
            struct nx_fabric *fabric;
            struct nx_core *core;
        };
        struct nx_group_below below;
    };
    struct nx_bootstrap *boot;
    struct nx_group_transfer *transfer;
    struct nx_group_disk disk;
    struct nx_err disk_failed;
    bool ready_waits;  /* the tier has its state; the disk is not as far */
    uint32_t prepared; /* the bootstrap's attempt whose view the disk was told */
    size_t region_bytes;
    int epoll_fd;        /* over the fabric and the bootstrap */
    uint32_t connecting; /* the bootstrap's attempt that the fabric connects for; 0: none */
    bool installed, told_down, in_upcall, requested, leaving, wants_out;
    bool gave_up; /* the view is not ours any more: nothing moves until the owner closes */
    enum nx_change_state change; /* as last noted */
    nx_ns port_at;               /* when the bootstrap is due after the first view */
    nx_ns wake_at;               /* the core's */
    nx_ns leave_until;
    nx_rankset awaited; /* by our leave, as last said */
    uint64_t wakeups;
    struct nx_spin spin;
    nx_vid vid;             /* as last noted */
    uint32_t keepers_count; /* as last said */
    struct nx_keeper keepers[NX_KEEPERS_MAX];
    nx_rank leader; /* as the port was told last */
    bool pointed;   /* it was told */
    nx_ns probe_at; /* while BLOCKED: when the next lost member is asked for a later view */
    nx_rank probed; /* the last that was */
    /* while the view cannot go on: when it is seen next whether enough disks are here, … */
    nx_ns count_at;
    char stuck_why[NX_ERR_TEXT_BYTES];           /* … and why not */
    nx_vid told_stuck;                           /* of which view that was said */
    char waits_for[NX_ERR_TEXT_BYTES];           /* nx_group_waits_for */
    struct nx_fabric_card cards[NX_MEMBERS_MAX]; /* of members, and of those that are admitted */
    nx_rankset admitted; /* seats that the fabric awaits or has, not in the view yet */
    nx_ns admitted_at;   /* the last of them */
    /* of these: connections that ended; the core hears of it when they are members */
    nx_rankset lost;
    struct nx_admission admission;
    struct nx_twin twin;
    struct nx_system_answer answers[NX_MEMBERS_MAX];
    struct nx_update update, request; /* of turns; of calls, also those made in upcalls */
};

/* group.c */
void nx_group_step(struct nx_group *g, nx_ns now, struct nx_event *event);
enum nx_status nx_group_request(struct nx_group *g, const struct nx_event *event);
void nx_group_tell_down(struct nx_group *g, const struct nx_err *err);
enum nx_status nx_group_open_below(struct nx_group *g, struct nx_fabric_card *card,
                                   struct nx_err *err); /* region, fabric, core */
void nx_group_close_below(struct nx_group_below *below, size_t region_bytes);

/* group_keep.c; all without effect where nothing is kept */
enum nx_status nx_group_keep_open(struct nx_group *g, struct nx_err *err);
bool nx_group_keep_turn(struct nx_group *g, nx_ns now);
/* Before the next attempt to become a member: what our disk holds now. */
void nx_group_keep_again(struct nx_group *g);
/* Before the tier sees it. */
void nx_group_keep_upcall(struct nx_group *g, const struct nx_upcall *u);
/* The tier is ready: the transfer hears of it when our former log counts for nothing. */
void nx_group_keep_tell_ready(struct nx_group *g);
/* Our shard's state came from another member just now. */
void nx_group_keep_state(struct nx_group *g);
/* Before the first view: the log is handed up; and the view of this attempt is in our note. */
bool nx_group_keep_replay(struct nx_group *g);
bool nx_group_keep_ready(struct nx_group *g);

/* group_form.c */
bool nx_group_form_turn(struct nx_group *g, nx_ns now);
void nx_group_form_lost(struct nx_group *g, nx_ns now, nx_rank peer, const char *why);

/* group_port.c */
bool nx_group_port_turn(struct nx_group *g, nx_ns now);
nx_ns nx_group_port_wake_at(const struct nx_group *g);
void nx_group_peer_lost(struct nx_group *g, nx_ns now, nx_rank peer, const char *why);
void nx_group_note_view(struct nx_group *g, nx_ns now); /* it may be a new one */
void nx_group_system_part(struct nx_group *g, const struct nx_part *part);
void nx_group_system_gone(struct nx_group *g, nx_stream query);
/* Asks a member. NX_AGAIN: no room now. */
enum nx_status nx_group_ask(struct nx_group *g, struct nx_ask *ask, const void *bytes, size_t len);
void nx_group_unask(struct nx_group *g, struct nx_ask *ask);
void nx_group_answer(struct nx_group *g, const struct nx_part *query, enum nx_status status,
                     const char *why);

/* group_seek.c */
void nx_group_seek_turn(struct nx_group *g, nx_ns now);
void nx_group_give_up(struct nx_group *g, const char *why);
bool nx_group_is_stuck(const struct nx_group *g); /* blocked, and nothing can change that */
/* While we are stuck, of the applicant: NX_WEDGED: it stays; NX_AGAIN: it goes, with the reason. */
enum nx_status nx_group_keep_waiting(struct nx_group *g, nx_ns now, struct nx_err *err);

/* group_admit.c */
bool nx_group_admit_turn(struct nx_group *g, nx_ns now);
nx_ns nx_group_admit_wake_at(const struct nx_group *g);
void nx_group_admit_asked(struct nx_group *g, const struct nx_part *part);

#endif
