/* view_change.pml — one view change of docs/view-change.md §2–§6 as a model: N members of V(k) = {0 … N-1}, one ordered message, and
 * with JOINER one seat, N, that each leader may give to a node of its own choice: it gets a yes of every member that it does not suspect,
 * then it proposes the seat.
 *
 * Every member may crash at any step, and SUSPECTS members may be suspected though they live. Words of a row travel on their own:
 * a reader sees each at some past value, never going back. With PIPE a stance travels through a lane of one place, so that an old
 * stance may be read after a newer one was made; words that are set once need none. What a member wrote before it died may still be
 * read until the reader suspects it, or never. A member takes its decisions in a turn (`act`) of its own, some time after what it
 * read.
 *
 * Asserted at each install
 *   V1  all install the same view, and know the same node at the seat    V2  with a majority of V(k) behind it
 *   D5  what anybody delivered is delivered D4  all who go on delivered the same; and they hold what they deliver
 * and, when nothing can move any more: a majority none of which suspects another has installed (V6).
 *
 * Options  N, PIPE, LEAVER (that rank may leave), JOINER, CRASHES, SUSPECTS
 * Mutants  TRIM_MAX, NO_MAJORITY, NO_PROMISE, NO_KEEP, FROZEN_LATE; with JOINER: GIVEN_TWICE (a card is taken from two leaders):
 *          each breaks one rule; pan must find an error */
#ifndef N
#define N 3
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef SUSPECTS
#define SUSPECTS 1
#endif
#ifndef LEAVER
#define LEAVER 255
#endif
#define ALL ((1 << N) - 1)
#define BIT(r) (1 << (r))
#define AT(i, j) ((i) * N + (j))
#define UP(i) (!(gone & BIT(i)))
#define STEADY(i) (UP(i) && committed[i] == 0)
#define LISTENS(i, j) ((j) < N && (i) != (j) && !(S[i] & BIT(j)))
#define BELOW(i) (BIT(i) - 1)
#define SEAT BIT(N) /* in R: the seat is given away */
#define MAJORITY(set) (2 * (((set) & 1) + ((set) >> 1 & 1) + ((set) >> 2 & 1) + ((set) >> 3 & 1)) > N)

byte S[N], R[N];                 /* each member's own stance, */
byte seenS[N * N], seenR[N * N]; /* and the others' as it reads them */
#ifdef PIPE
byte laneS[N * N], laneR[N * N], lane[N]; /* lane[j]: set of readers that j's stance is under way to */
#endif
byte wedged, gone;     /* sets: wedged; crashed or fenced */
byte seenW[N];         /* whose WEDGED it saw */
byte left;             /* set: announced a leave */
byte seenL[N];
byte holds, delivered; /* sets: received, delivered the message in V(k) */
byte committed[N];     /* R, once known to be decided */
byte todo;             /* set: read something since its last turn */
byte crashes, suspects;
byte chosen, trim_chosen = 9;
#ifdef JOINER
byte card[N];     /* the leader whose node each member lets have the seat, + 1; 0: nobody's */
byte said_yes[N]; /* by leader: members that took its card */
byte joins;       /* set: leaders that propose theirs */
byte seated;      /* the card behind the view that was installed */
#endif

/* What a new leader takes over of others' proposals: not their joins. */
#define OLD(set) ((set) & ALL)

/* i takes no part any more: what it read makes no difference. */
inline forget(i)
{
    k = 0;
    do
    :: k == N -> break
    :: k < N ->
        seenS[AT(i, k)] = 0;
        seenR[AT(i, k)] = 0;
#ifdef PIPE
        laneS[AT(i, k)] = 0;
        laneR[AT(i, k)] = 0;
        lane[k] = lane[k] & ~BIT(i);
#endif
        k++
    od;
    seenW[i] = 0;
    seenL[i] = 0;
    todo = todo & ~BIT(i);
    k = 0
}

/* Sets l to the lowest rank that i does not suspect. */
inline find_leader(i)
{
    l = 0;
    do
    :: l < N && (S[i] & BIT(l)) -> l++
    :: else -> break
    od
}

/* The leader sets its removal, if its rules let it. */
inline try_propose(i)
{
    ok = true;
    same = (R[i] != 0);
    news = OLD(R[i]) | S[i] | seenL[i] | (left & BIT(i));
    k = 0;
    do
    :: k == N -> break
    :: k < N && !LISTENS(i, k) -> k++
    :: k < N && LISTENS(i, k) ->
#ifndef FROZEN_LATE
        ok = ok && (seenW[i] & BIT(k));
#endif
#ifndef NO_PROMISE
        ok = ok && (seenS[AT(i, k)] & BELOW(i)) == BELOW(i);
#endif
        same = same && seenR[AT(i, k)] == R[i];
        news = news | OLD(seenR[AT(i, k)]);
        k++
    od;
#ifdef JOINER
    news = news | ((joins & BIT(i)) -> SEAT : 0);
#endif
#ifdef NO_KEEP
    same = false;
#endif
#ifndef NO_MAJORITY
    ok = ok && MAJORITY(ALL & ~S[i]);
#endif
    if
    :: ok && !same -> R[i] = news
    :: else
    fi
}

/* The leader commits when all it counts on show its own stance. */
inline try_commit(i)
{
    ok = (R[i] != 0);
    k = 0;
    do
    :: k == N -> break
    :: k < N && !LISTENS(i, k) -> k++
    :: k < N && LISTENS(i, k) -> ok = ok && seenS[AT(i, k)] == S[i] && seenR[AT(i, k)] == R[i]; k++
    od;
#ifndef NO_MAJORITY
    ok = ok && MAJORITY(ALL & ~S[i]);
#endif
    if
    :: ok -> committed[i] = R[i]
    :: else
    fi
}

/* A follower accepts what its leader shows, if that one knows that it leads, and once it knows the counts of all that go on. */
inline try_accept(i, l)
{
    ok = seenR[AT(i, l)] != 0 && (seenS[AT(i, l)] & BELOW(l)) == BELOW(l);
#ifdef JOINER
    ok = ok && (!(seenR[AT(i, l)] & SEAT) || card[i] != 0);
#endif
#ifndef FROZEN_LATE
    k = 0;
    do
    :: k == N -> break
    :: k < N -> ok = ok && (k == i || (seenR[AT(i, l)] & BIT(k)) || (seenW[i] & BIT(k))); k++
    od;
#endif
    if
    :: ok -> R[i] = seenR[AT(i, l)]
    :: else
    fi
}

/* i delivers up to the trim and installs V(k) without R. */
inline install(i)
{
    news = committed[i];
#ifdef TRIM_MAX
    same = false;
#else
    same = true;
#endif
    k = 0;
    do
    :: k == N -> break
    :: k < N && (news & BIT(k)) -> k++
    :: k < N && !(news & BIT(k)) ->
        assert(k == i || (seenW[i] & BIT(k))); /* it knows the count */
#ifdef TRIM_MAX
        same = same || (holds & BIT(k));
#else
        same = same && (holds & BIT(k));
#endif
        k++
    od;
    assert(chosen == 0 || chosen == news);           /* V1 */
    chosen = news;
#ifdef JOINER
    assert(!(news & SEAT) || seated == 0 || seated == card[i]); /* V1: and the same node */
    seated = ((news & SEAT) -> card[i] : seated);
#endif
    assert(MAJORITY(ALL & ~(news & ~left)));         /* V2 */
    assert(!same || (holds & BIT(i)));               /* it holds what it delivers */
    assert(same || delivered == 0);                  /* D5 */
    assert(trim_chosen == 9 || trim_chosen == same); /* D4 */
    trim_chosen = same;
    delivered = delivered | (same << i)
}

#ifdef JOINER
#define JOINS(i) (joins & BIT(i))
#else
#define JOINS(i) 0
#endif

inline act(i)
{
    todo = todo & ~BIT(i);
    if
    :: (S[i] | seenL[i] | (left & BIT(i)) | seenW[i] | JOINS(i)) -> wedged = wedged | BIT(i)
    :: else
    fi;
    if
    :: (wedged & BIT(i)) && committed[i] == 0 ->
        find_leader(i);
        if
        :: l == i -> try_propose(i); try_commit(i)
        :: l < i -> try_accept(i, l)
        fi
    :: else
    fi;
    if
    :: committed[i] != 0 && !(committed[i] & BIT(i)) -> install(i); forget(i)
    :: committed[i] != 0 && (committed[i] & BIT(i)) -> forget(i)
    :: else
    fi;
    k = 0; l = 0; news = 0; ok = false; same = false
}

/* Leader i asks member j, who takes the card if it follows i, no other leader's, and its accepted change does not hold the seat. Then i
 * proposes the seat once all whom it does not suspect said yes. */
#ifdef JOINER
#ifdef GIVEN_TWICE
#define FREE(i, j) (card[(j) % N] != (i) + 1)
#else
#define FREE(i, j) (card[(j) % N] == 0)
#endif
#define ADMIT(j) \
    :: d_step { STEADY(i) && (j) < N && STEADY((j) % N) && (S[i] & BELOW(i)) == BELOW(i) && !(S[i] & BIT(j)) && \
                !(joins & BIT(i)) && (S[(j) % N] & BIT(i)) == 0 && (S[(j) % N] & BELOW(i)) == BELOW(i) && \
                FREE(i, j) && !(R[(j) % N] & SEAT) -> \
                card[(j) % N] = i + 1; said_yes[i] = said_yes[i] | BIT(j) }
#else
#define ADMIT(j)
#endif

#ifdef PIPE
#define SEND(j) \
    :: d_step { STEADY(i) && LISTENS(i, j) && !(lane[i] & BIT(j)) && \
                (laneS[AT((j) % N, i)] != S[i] || laneR[AT((j) % N, i)] != R[i]) -> \
                laneS[AT((j) % N, i)] = S[i]; laneR[AT((j) % N, i)] = R[i]; lane[i] = lane[i] | BIT(j) }
#define NEWS(j) (lane[(j) % N] & BIT(i))
#define TAKE(j) \
    seenS[AT(i, (j) % N)] = laneS[AT(i, (j) % N)]; \
    seenR[AT(i, (j) % N)] = laneR[AT(i, (j) % N)]; \
    lane[(j) % N] = lane[(j) % N] & ~BIT(i)
#else
#define SEND(j)
#define NEWS(j) (seenS[AT(i, (j) % N)] != S[(j) % N] || seenR[AT(i, (j) % N)] != R[(j) % N])
#define TAKE(j) seenS[AT(i, (j) % N)] = S[(j) % N]; seenR[AT(i, (j) % N)] = R[(j) % N]
#endif

/* What i may learn of j. */
#define PAIR(j) \
    :: d_step { STEADY(i) && LISTENS(i, j) && (wedged & BIT(j)) && !(seenW[i] & BIT(j)) -> \
                seenW[i] = seenW[i] | BIT(j); todo = todo | BIT(i) } \
    :: d_step { STEADY(i) && LISTENS(i, j) && (left & BIT(j)) && !(seenL[i] & BIT(j)) -> \
                seenL[i] = seenL[i] | BIT(j); todo = todo | BIT(i) } \
    SEND(j) \
    ADMIT(j) \
    :: d_step { STEADY(i) && LISTENS(i, j) && NEWS(j) -> \
                TAKE(j); \
                if \
                :: seenS[AT(i, (j) % N)] & BIT(i) -> gone = gone | BIT(i); forget(i) \
                :: else -> S[i] = S[i] | seenS[AT(i, (j) % N)]; todo = todo | BIT(i) \
                fi } \
    :: d_step { STEADY(i) && LISTENS(i, j) && (gone & BIT(j)) -> S[i] = S[i] | BIT(j); todo = todo | BIT(i) } \
    :: d_step { STEADY(i) && LISTENS(i, j) && suspects < SUSPECTS -> \
                suspects++; S[i] = S[i] | BIT(j); todo = todo | BIT(i) } \
    :: d_step { UP(i) && (j) < N && UP(j) && (S[(j) % N] & BIT(i)) -> gone = gone | BIT(i); forget(i) /* a farewell */ } \
    :: d_step { STEADY(i) && LISTENS(i, j) && committed[(j) % N] != 0 && R[i] == committed[(j) % N] -> \
                committed[i] = R[i]; todo = todo | BIT(i) }

proctype member(byte i)
{
    byte k, l, news;
    bool ok, same;
end:
    do
    :: d_step { i == LEAVER && STEADY(i) && !((left | wedged) & BIT(i)) -> left = left | BIT(i); todo = todo | BIT(i) }
    PAIR(0)
    PAIR(1)
    PAIR(2)
    PAIR(3)
#ifdef JOINER
    :: d_step { STEADY(i) && !(joins & BIT(i)) && R[i] == 0 && (S[i] & BELOW(i)) == BELOW(i) && said_yes[i] != 0 && \
                (ALL & ~S[i] & ~said_yes[i]) == 0 -> \
                joins = joins | BIT(i); todo = todo | BIT(i) }
#endif
    :: d_step { UP(i) && (todo & BIT(i)) -> act(i) }
    :: d_step { UP(i) && crashes < CRASHES -> crashes++; gone = gone | BIT(i); forget(i) }
    od
}

/* Nothing moves: those that are left and do not suspect one another know V(k+1), if they are a majority and one of them wants a
 * change. */
proctype judge()
{
    byte k;
end:
    timeout;
    d_step {
        if
        :: MAJORITY(ALL & ~gone) && (ALL & ~gone & wedged) ->
            do
            :: k == N -> break
            :: k < N -> assert((gone & BIT(k)) || committed[k] != 0); k++
            od
        :: else
        fi
    }
}

init
{
    byte r;
    atomic {
        /* Who holds the message when it wedges, and who delivered it: nobody, unless all hold it. */
        select (holds : 0 .. ALL);
        if
        :: holds == ALL -> select (delivered : 0 .. ALL)
        :: else
        fi;
        do
        :: r < N -> run member(r); r++
        :: else -> break
        od;
        run judge()
    }
}
