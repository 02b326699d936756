/*
 * Lease: who may answer reads from its own store.  Pure logic: times are milliseconds of each
 * node's own clock, which never goes back; two clocks are never compared.
 *
 * The leader.  Every frame to a member carries the leader's time; what comes back echoes the newest
 * that the member had seen.  A member that saw it votes for nobody else for an election timeout
 * after that.  So until (newest time that a quorum has echoed) + 4/5 of an election timeout nobody
 * else leads, if clocks run alike to a fifth.
 *
 * A standby.  Each of its results carries its own time.  A frame of the leader may echo it together
 * with a grant of G ms, no longer than the leader's own lease: the standby may read until (its
 * echoed time) + G.  For the leader the grant began later, when it sent that frame, and so ends
 * later than for the standby.  While it lasts, the leader lets nothing become visible (to its own
 * store or to others', by the commit index that it tells them) that is not in that standby's log,
 * and the standby reads only while it has applied its whole log.  So whatever any node shows or
 * acknowledges, a standby with a grant either shows too or knows that it is behind.
 *
 * A new leader need not know the grants of the one before it: none outlives that one's lease, which
 * is over before another can be elected.  The exception is a transfer, for which voters break their
 * promise: the old leader first takes its grants back (lease_stop) and waits until they are over.
 */
#ifndef STORAGE_RAFT_LEASE_H
#define STORAGE_RAFT_LEASE_H

#include "storage/raft/member.h"

enum { LEASE_MEMBERS = 1024 };

struct lease_peer {
    uint64_t number;
    uint64_t echoed;   /* newest time of ours that it has seen; 0: none */
    uint64_t theirs;   /* its own time, of its newest result */
    uint64_t given;    /* that of its times which it was given the newest grant for */
    uint64_t until;    /* its grant ends, by our clock */
    uint64_t stopped;  /* our time when we took its grant back; 0: not */
};

/* Starts as { 0 } but for election_ms and grant_ms.  One thread at a time. */
struct lease {
    uint64_t election_ms, grant_ms;
    bool leads, stopping;
    uint64_t resumed; /* our time when a transfer came to nothing; 0: none did */
    struct lease_peer *peers;
    size_t n, cap;
};

void lease_fini(struct lease *l);

/* Lead from now on, with nothing known; or lead no more. */
void lease_lead(struct lease *l);
void lease_follow(struct lease *l);

/* A member's result says: it has seen ${echoed} of ours, and it was ${theirs} for it. */
int lease_heard(struct lease *l, uint64_t member, uint64_t echoed, uint64_t theirs,
                struct err *err) MUST_USE;

/* Until when nobody else leads; 0: not known. */
uint64_t lease_until(const struct lease *l, const struct raft_configuration *c, uint64_t self,
                     uint64_t now);

/* What goes with a frame to a member. */
struct lease_grant {
    uint64_t theirs; /* its own time, echoed */
    uint64_t ms;     /* 0: none */
    bool back;       /* a grant that was given is taken back */
};
/*
 * A frame is about to be sent.  ${covers}: the member's log is known to hold all that is visible
 * anywhere, and all that is going to be.  There is one grant for each of its results: a member that
 * is not heard of gets no more.
 */
struct lease_grant lease_give(struct lease *l, uint64_t member, bool covers, uint64_t own_until,
                              uint64_t now);
bool lease_holds(const struct lease *l, uint64_t member, uint64_t now);
/* When the first of the live grants ends; UINT64_MAX: there is none. */
uint64_t lease_next(const struct lease *l, uint64_t now);
/* Give nothing any more, take back what was given; lease_next tells when all is over. */
void lease_stop(struct lease *l, uint64_t now);
/*
 * The transfer came to nothing.  Votes for it may still be under way: from now on frames say that
 * no member may break its promise (engine_firm), and only echoes of those count.
 */
void lease_resume(struct lease *l, uint64_t now);

/* ---- a standby ---- */

/* Starts as { 0 }. */
struct lease_reader {
    uint64_t leader; /* whose frames these were */
    uint64_t sent;   /* the newest of its times, to be echoed */
    uint64_t back;   /* its time when it took its grants back; 0: never */
    uint64_t until;  /* may read until then, by our own clock */
};

/* A frame of the present leader has come, perhaps not in order. */
struct lease_frame {
    uint64_t leader, sent;
    struct lease_grant grant;
};
void lease_take(struct lease_reader *r, const struct lease_frame *f);

#endif
