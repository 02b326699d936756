/*
 * Autopilot: on the active node of a cluster with integrated storage: watches the members' health,
 * makes new ones voters, removes dead ones when told to.
 */
#ifndef CORE_AUTOPILOT_H
#define CORE_AUTOPILOT_H

#include "base/clock.h"
#include "storage/raft/raftstore.h"
#include "storage/storage.h"

struct autopilot; /* any thread */

/* core/raft/autopilot/configuration; times in nanoseconds. */
struct autopilot_config {
    bool cleanup_dead_servers;
    int64_t last_contact_threshold_ns, dead_server_last_contact_threshold_ns;
    int64_t server_stabilization_time_ns;
    int64_t max_trailing_logs, min_quorum;
};

/* ${plain} is the barrier's storage; all is borrowed.  Its thread starts. */
int autopilot_new(struct storage *plain, struct raftstore *raft, const struct clock *clock,
                  struct autopilot **out, struct err *err) MUST_USE;
void autopilot_free(struct autopilot *p);
/* The members changed: look now. */
void autopilot_wake(struct autopilot *p);

/* As set, or the defaults. */
int autopilot_config_load(struct storage *plain, struct autopilot_config *out,
                          struct err *err) MUST_USE;
int autopilot_config_store(struct storage *plain, const struct autopilot_config *c,
                           struct err *err) MUST_USE;

/* A member that shall stay without a vote, or no longer so. */
int autopilot_set_non_voter(struct storage *plain, struct str id, bool non_voter,
                            struct err *err) MUST_USE;

struct autopilot_server {
    const struct raft_member *member;
    bool healthy;
    int64_t stable_since_ns; /* Unix time since when it is as healthy as it is */
};
struct autopilot_state {
    bool healthy; /* all of them */
    int64_t failure_tolerance;
    struct autopilot_server *servers;
    size_t n;
    struct raft_members members;
};
/* ---- the rules, of what is known now ---- */

/* ${m} is one of ${all}.  A leader is healthy; others are when they answer and keep up with it. */
bool autopilot_is_healthy(const struct autopilot_config *c, const struct raft_members *all,
                          const struct raft_member *m);
/* A member that is dead for as long as the configuration says, and that the others can do without;
 * NULL: none, or they are to be left alone. */
const struct raft_member *autopilot_removable(const struct autopilot_config *c,
                                              const struct autopilot_state *state,
                                              int64_t now_ns);

/* In ${a}. */
int autopilot_state(struct autopilot *p, struct arena *a, struct autopilot_state *out,
                    struct err *err) MUST_USE;

#endif
