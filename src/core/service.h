/*
 * Service: what serves between unseal and seal.  Alone: all at once.  In a cluster it follows the
 * contest for leadership: this node is active, or a standby that reads, or neither for a moment.
 */
#ifndef CORE_SERVICE_H
#define CORE_SERVICE_H

#include "core/active.h"
#include "storage/ha.h"

struct service; /* any thread */

enum service_mode {
    SERVICE_OFF,     /* sealed */
    SERVICE_TURNING, /* between two modes */
    SERVICE_STANDBY,
    SERVICE_ACTIVE,
};

/* What service asks of its owner, from threads of its own. */
struct service_calls {
    struct lifecycle *lifecycle; /* the owner, handed on to what runs */
    /* To be done to the store before anybody uses it, on the node that becomes active. */
    int (*before_active)(struct lifecycle *l, struct err *err);
    void (*became_active)(struct lifecycle *l);
    /* The store is under other keys now. */
    int (*seal)(struct lifecycle *l, struct err *err);
};

/* All is borrowed; nothing runs yet. */
int service_new(const struct core_settings *settings, const struct service_calls *calls,
                struct barrier *barrier, struct service **out, struct err *err) MUST_USE;
void service_free(struct service *s);

/* The barrier is open.  Alone: active when it returns.  With others: standby, or soon active.
 * -1: nothing runs. */
int service_start(struct service *s, struct err *err) MUST_USE;
/* Waits for requests in flight: not inside an epoch section, nor in an event of the storage. */
void service_stop(struct service *s);
/* Wait until no thread of the service's calls its owner any more. */
void service_quiet(struct service *s);

/*
 * What serves, of the active node or of a standby; NULL when sealed, turning, or a standby that
 * cannot read.  Within the caller's epoch section.
 */
const struct active *service_active(struct service *s);
enum service_mode service_mode(struct service *s);
/* How often the server has become active. */
uint64_t service_lives(struct service *s);
/* Unix time since when this node is active; 0: it is not. */
int64_t service_active_since_ns(struct service *s);

/* Whom to turn to. */
struct service_leader {
    bool self;
    char cluster_addr[HA_NAME_MAX]; /* host:port */
    char api_addr[HA_NAME_MAX];     /* URL for clients; empty: not known (yet) */
};
/* What is known now: 1, 0 nobody leads. */
int service_leader(struct service *s, struct service_leader *out);
/*
 * Wait until this node is active or another one leads: 0; -1: ERR_STANDBY after ${ms}, ERR_SEALED.
 * ${after}: the term of a leader that proved useless; wait for a later one.
 */
int service_wait_leader(struct service *s, int ms, uint64_t after, struct service_leader *out,
                        uint64_t *term, struct err *err) MUST_USE;

/* A number that changes with the mode, the leader, and all that service_wait_leader waits for. */
void service_news(struct service *s, uint64_t *news);
/* Wait until it is not ${news} any more, ${ms} at most; below 0: for ever. */
void service_wait_news(struct service *s, uint64_t news, int64_t ms);
/* Change it: wakes who waits. */
void service_nudge(struct service *s);

/* Finish what is in flight, then let another node lead.  0 also where nobody else could.
 * Not inside an epoch section. */
int service_step_down(struct service *s, struct err *err) MUST_USE;

/* Wait until what a restore changed has been taken in. -1: ERR_SEALED: other keys are needed. */
int service_settle_restore(struct service *s, struct err *err) MUST_USE;

#endif
