/*
 * Journal: one thread, a queue of jobs.  When the disk refuses, it says so once, tries again each
 * second, and goes on where it was: nothing is ever skipped.
 */
#include "storage/raft/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

enum { RETRY_S = 1 };

static const struct log lg = { "storage.raft" };

enum job_kind { JOB_APPEND, JOB_RESET, JOB_FORGET };

struct job {
    struct job *next;
    enum job_kind kind;
    uint64_t seq, at; /* of JOB_APPEND; next or upto */
    size_t n;
    struct entry *entries[];
};

struct journal {
    struct wal *wal;
    struct tail *tail;
    struct journal_calls calls;
    pthread_t thread;
    struct wal_entry *rows; /* the thread's own */
    size_t cap_rows;

    pthread_mutex_t mu;
    pthread_cond_t more;
    struct job *first, **end; /* under mu, as all below */
    bool closing;
    struct err trouble; /* code ERR_NONE: none */
};

static void job_free(struct job *job)
{
    for (size_t i = 0; i < job->n; i++)
        entry_drop(job->entries[i]);
    free(job);
}

static struct job *job_new(enum job_kind kind, size_t n)
{
    struct job *job = calloc(1, sizeof *job + n * sizeof(struct entry *));
    if (job != NULL)
        job->kind = kind;
    return job;
}

static int push(struct journal *j, struct job *job, struct err *err)
{
    if (job == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    pthread_mutex_lock(&j->mu);
    *j->end = job;
    j->end = &job->next;
    pthread_cond_signal(&j->more);
    pthread_mutex_unlock(&j->mu);
    return 0;
}

int journal_append(struct journal *j, struct entry *const *entries, size_t n, uint64_t seq,
                   struct err *err)
{
    struct job *job = job_new(JOB_APPEND, n);
    if (job == NULL)
        return push(j, NULL, err);
    job->seq = seq;
    job->n = n;
    for (size_t i = 0; i < n; i++)
        job->entries[i] = entry_hold(entries[i]);
    return push(j, job, err);
}

int journal_reset(struct journal *j, uint64_t next, struct err *err)
{
    struct job *job = job_new(JOB_RESET, 0);
    if (job != NULL)
        job->at = next;
    return push(j, job, err);
}

int journal_forget(struct journal *j, uint64_t upto, struct err *err)
{
    struct job *job = job_new(JOB_FORGET, 0);
    if (job != NULL)
        job->at = upto;
    return push(j, job, err);
}

int journal_trouble(struct journal *j, struct err *out)
{
    pthread_mutex_lock(&j->mu);
    bool some = j->trouble.code != ERR_NONE;
    if (some)
        *out = j->trouble;
    pthread_mutex_unlock(&j->mu);
    return some;
}

/* Everything that waits; NULL once closing and empty. */
static struct job *take_all(struct journal *j)
{
    pthread_mutex_lock(&j->mu);
    while (j->first == NULL && !j->closing)
        pthread_cond_wait(&j->more, &j->mu);
    struct job *all = j->first;
    j->first = NULL;
    j->end = &j->first;
    pthread_mutex_unlock(&j->mu);
    return all;
}

static int write_entries(struct journal *j, const struct job *job, struct err *err)
{
    if (job->n > j->cap_rows) {
        struct wal_entry *rows = reallocarray(j->rows, job->n, sizeof *rows);
        if (rows == NULL)
            return err_set(err, ERR_NOMEM, "raft: out of memory");
        j->rows = rows;
        j->cap_rows = job->n;
    }
    for (size_t i = 0; i < job->n; i++) {
        const struct entry *e = job->entries[i];
        j->rows[i] = (struct wal_entry){ e->index, e->term, e->type, entry_data(e) };
    }
    TRY(wal_append(j->wal, j->rows, job->n, err));
    const struct entry *last = job->entries[job->n - 1];
    tail_stored(j->tail, last->index, last->term);
    return 0;
}

static int do_job(struct journal *j, const struct job *job, struct err *err)
{
    switch (job->kind) {
    case JOB_APPEND:
        return write_entries(j, job, err);
    case JOB_RESET:
        return wal_reset(j->wal, job->at, err);
    case JOB_FORGET:
        /* Nothing depends on it: the next one will take this one's segments too. */
        if (wal_forget(j->wal, job->at, err) < 0)
            LOG(&lg, WARN, "old segments of the raft log stay: error=%s", err->msg);
    }
    return 0;
}

static void note_trouble(struct journal *j, const struct err *err)
{
    pthread_mutex_lock(&j->mu);
    bool new = j->trouble.code == ERR_NONE;
    j->trouble = *err;
    pthread_mutex_unlock(&j->mu);
    if (new)
        LOG(&lg, ERROR, "the raft log cannot be written, this node accepts no writes: make room on "
                        "its disk or repair it: error=%s", err->msg);
}

static void note_well(struct journal *j)
{
    pthread_mutex_lock(&j->mu);
    bool was = j->trouble.code != ERR_NONE;
    j->trouble.code = ERR_NONE;
    pthread_mutex_unlock(&j->mu);
    if (was)
        LOG(&lg, INFO, "the raft log can be written again");
}

/* False when we are to end. */
static bool wait_for_retry(struct journal *j)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_S;
    pthread_mutex_lock(&j->mu);
    while (!j->closing && pthread_cond_timedwait(&j->more, &j->mu, &until) != ETIMEDOUT)
        ;
    bool closing = j->closing;
    pthread_mutex_unlock(&j->mu);
    return !closing;
}

/* Until it worked; false when we are to end before. */
static bool insist(struct journal *j, const struct job *job)
{
    struct err err = { 0 };
    while ((job != NULL ? do_job(j, job, &err) : wal_sync(j->wal, &err)) < 0) {
        note_trouble(j, &err);
        if (!wait_for_retry(j))
            return false;
    }
    note_well(j);
    return true;
}

static bool do_all(struct journal *j, const struct job *all)
{
    uint64_t seq = 0;
    for (const struct job *job = all; job != NULL; job = job->next) {
        if (!insist(j, job))
            return false;
        if (job->kind == JOB_APPEND)
            seq = job->seq;
        if (job->kind == JOB_RESET)
            j->calls.was_reset(j->calls.ctx);
    }
    if (seq == 0)
        return true;
    if (!insist(j, NULL))
        return false;
    j->calls.stored(j->calls.ctx, seq);
    return true;
}

static void *run(void *arg)
{
    struct journal *j = arg;
    bool well = true;
    for (struct job *all; (all = take_all(j)) != NULL;) {
        well = well && do_all(j, all);
        for (struct job *next; all != NULL; all = next) {
            next = all->next;
            job_free(all);
        }
    }
    return NULL;
}

int journal_new(struct wal *wal, struct tail *tail, const struct journal_calls *calls,
                struct journal **out, struct err *err)
{
    struct journal *j = calloc(1, sizeof *j);
    pthread_condattr_t attr;
    if (j == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    *j = (struct journal){ .wal = wal, .tail = tail, .calls = *calls };
    j->end = &j->first;
    pthread_mutex_init(&j->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&j->more, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&j->thread, NULL, run, j) != 0) {
        free(j);
        return err_set(err, ERR_NOMEM, "raft: no thread for the log");
    }
    *out = j;
    return 0;
}

void journal_free(struct journal *j)
{
    if (j == NULL)
        return;
    pthread_mutex_lock(&j->mu);
    j->closing = true;
    pthread_cond_signal(&j->more);
    pthread_mutex_unlock(&j->mu);
    pthread_join(j->thread, NULL);
    pthread_cond_destroy(&j->more);
    pthread_mutex_destroy(&j->mu);
    free(j->rows);
    free(j);
}
