/*
 * Pair: two servers over one store in memory, for unit tests alone: the test says who leads, the
 * other one is told of every key that changes, as storage that nodes share does.
 */
#ifndef CORE_PAIR_H
#define CORE_PAIR_H

#include <pthread.h>

#include "core/handle.h"
#include "core/service.h"
#include "storage/ha.h"

struct pair;

/* Keys that a node is to be told of, by a thread of its own: its requests wait for nothing. */
struct pair_news {
    struct pair_news *next;
    struct strs keys;
    struct arena *arena;
};

struct pair_node {
    struct storage base; /* first */
    struct ha ha;
    struct pair *pair;
    struct ha_events events;
    pthread_t teller;
    struct core_settings settings;
    struct lifecycle *lifecycle;
    /* Under pair->mu. */
    bool started, ending, telling;
    struct pair_news *first, **last;
    uint64_t settled;          /* term for which settle was called */
    enum err_code step_down;   /* what the next step_down answers; ERR_NONE: the other one leads */
    bool stale;                /* may_read says no */
    bool settle_fails;
    void (*on_get)(struct pair_node *n); /* called once, within the next get */
    int step_downs;
};

struct pair {
    struct storage *under;
    struct clock clock; /* stands still */
    struct arena *arena;
    struct pair_node node[2];
    struct str share, root;
    pthread_mutex_t mu;
    pthread_cond_t moved;
    int leader;      /* under mu; -1: nobody */
    uint64_t term;   /* under mu */
    /* Of the last pair_call. */
    struct peer peer;
    struct request req;
    struct response resp;
    struct buf text;
};

/* Initialised by node 0, which leads; both are unsealed, and what they are to be. */
void pair_open(struct pair *p, const struct engine *const *engines,
               const struct device_kind *const *devices);
void pair_close(struct pair *p);

/* From now on ${i} leads (-1: nobody); both are told.  Returns at once. */
void pair_lead(struct pair *p, int i);
/* The same, but nobody is told. */
void pair_lead_quietly(struct pair *p, int i);
void pair_tell(struct pair *p);
/* Wait until node ${i} is in that mode; the test fails when it takes many seconds. */
void pair_wait(struct pair *p, int i, enum service_mode mode);
/* Node ${i} leads and is active, the other one a standby. */
void pair_settle(struct pair *p, int i);
struct service *pair_service(struct pair *p, int i);
void pair_unseal(struct pair *p, int i);

/* Wait until node ${i} was told of all that changed. */
void pair_flush(struct pair *p, int i);

/* A request to node ${i}: what handle returned; p->req.err, p->text. */
int pair_call(struct pair *p, int i, enum op op, const char *path, struct str token,
              const char *json);
/* It succeeds, or the test fails with why. */
void pair_must(struct pair *p, int i, enum op op, const char *path, const char *json);

#endif
