/* Applier: reads committed entries from the tail or the log, and applies groups of them. */
#include "storage/raft/applier.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

enum { GROUP_ENTRIES = 1024, GROUP_BYTES = 4 << 20, RETRY_S = 1, BEGIN_N = 8 };

static const struct log lg = { "storage.raft" };

struct applier {
    struct applier_options o;
    pthread_t thread;

    /* The thread's own. */
    struct mark mark;
    struct staging *restore; /* of mark.restore */
    struct entry_batches batches;
    struct entry *group[GROUP_ENTRIES];
    size_t n_group;
    struct str *keys;
    size_t n_keys, cap_keys;
    struct buf text;
    bool broken, troubled;

    pthread_mutex_t mu;
    pthread_cond_t more;
    uint64_t committed; /* under mu, as all below */
    bool sync, closing, void_it;
    struct staging *install;
    struct mark install_mark;
};

/* ---- what is asked ---- */

void applier_commit(struct applier *a, uint64_t index)
{
    pthread_mutex_lock(&a->mu);
    if (index > a->committed) {
        a->committed = index;
        pthread_cond_signal(&a->more);
    }
    pthread_mutex_unlock(&a->mu);
}

void applier_sync(struct applier *a)
{
    pthread_mutex_lock(&a->mu);
    a->sync = true;
    pthread_cond_signal(&a->more);
    pthread_mutex_unlock(&a->mu);
}

int applier_install(struct applier *a, struct staging *s, const struct mark *mark, struct err *err)
{
    struct mark copy;
    if (mark_copy(mark, &copy, err) < 0) {
        staging_free(s);
        return -1;
    }
    pthread_mutex_lock(&a->mu);
    staging_free(a->install);
    mark_clear(&a->install_mark);
    a->install = s;
    a->install_mark = copy;
    a->void_it = s == NULL;
    if (a->void_it)
        a->committed = 0;
    pthread_cond_signal(&a->more);
    pthread_mutex_unlock(&a->mu);
    return 0;
}

struct order {
    uint64_t upto; /* 0: nothing */
    bool sync, end, void_it;
    struct staging *install;
    struct mark mark;
};

static struct order take_order(struct applier *a)
{
    struct order o = { 0 };
    pthread_mutex_lock(&a->mu);
    while (!a->closing && !a->sync && a->install == NULL && !a->void_it &&
           (a->broken || a->committed <= a->mark.index))
        pthread_cond_wait(&a->more, &a->mu);
    o.end = a->closing;
    o.sync = a->sync;
    o.upto = a->broken ? 0 : a->committed;
    o.void_it = a->void_it;
    a->void_it = false;
    if (!o.end) {
        o.install = a->install;
        o.mark = a->install_mark;
        a->install = NULL;
        a->install_mark = (struct mark){ 0 };
    }
    a->sync = false;
    pthread_mutex_unlock(&a->mu);
    return o;
}

/* ---- trouble ---- */

static bool wait_for_retry(struct applier *a)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_S;
    pthread_mutex_lock(&a->mu);
    while (!a->closing && pthread_cond_timedwait(&a->more, &a->mu, &until) != ETIMEDOUT)
        ;
    bool closing = a->closing;
    pthread_mutex_unlock(&a->mu);
    return !closing;
}

/* A disk that refuses is asked again, what makes no sense is final.  False: give up. */
static bool may_retry(struct applier *a, const struct err *err)
{
    if (err->code == ERR_CORRUPT || err->code == ERR_BAD_REQUEST || err->code == ERR_TOO_LARGE) {
        a->broken = true;
        LOG(&lg, ERROR, "a committed entry cannot be applied, this node stops following: "
                        "index=%llu error=%s", (unsigned long long)a->mark.index + 1, err->msg);
        a->o.calls.broken(a->o.calls.ctx, err);
        return false;
    }
    if (!a->troubled)
        LOG(&lg, ERROR, "the store cannot be written: make room on its disk or repair it: error=%s",
            err->msg);
    a->troubled = true;
    return wait_for_retry(a);
}

static void note_well(struct applier *a)
{
    if (a->troubled)
        LOG(&lg, INFO, "the store can be written again");
    a->troubled = false;
}

/* ---- reading ---- */

static int read_log(struct applier *a, uint64_t index, struct entry **out, struct err *err)
{
    AUTO(buf_free) struct buf data = { 0 };
    struct wal_entry row;
    int found = wal_read(a->o.wal, index, &row, &data, err);
    TRY(found);
    if (found == 0)
        return err_set(err, ERR_CORRUPT, "raft: the log does not hold entry %llu",
                       (unsigned long long)index);
    TRY(buf_check(&data, err));
    *out = entry_new(index, row.term, row.type, buf_str(&data));
    return *out != NULL ? 0 : err_set(err, ERR_NOMEM, "raft: out of memory");
}

static int read_entry(struct applier *a, uint64_t index, struct entry **out, struct err *err)
{
    *out = tail_get(a->o.tail, index);
    return *out != NULL ? 0 : read_log(a, index, out, err);
}

/* ---- a group of plain entries ---- */

static void drop_group(struct applier *a)
{
    for (size_t i = 0; i < a->n_group; i++)
        entry_drop(a->group[i]);
    a->n_group = 0;
    a->n_keys = 0;
    entry_reset(&a->batches);
}

static int add_keys(struct applier *a, size_t from, struct err *err)
{
    size_t more = a->batches.n_ops - from;
    if (a->n_keys + more > a->cap_keys) {
        size_t cap = (a->n_keys + more) * 2;
        struct str *keys = reallocarray(a->keys, cap, sizeof *keys);
        if (keys == NULL)
            return err_set(err, ERR_NOMEM, "raft: out of memory");
        a->keys = keys;
        a->cap_keys = cap;
    }
    for (size_t i = 0; i < more; i++)
        a->keys[a->n_keys++] = a->batches.ops[from + i].key;
    return 0;
}

static int add_plain(struct applier *a, struct entry *e, struct err *err)
{
    size_t from = a->batches.n_ops;
    if (e->type == RAFT_COMMAND) {
        TRY(entry_read(entry_data(e), &a->batches, err));
        if (!a->o.calls.is_own(a->o.calls.ctx, e->index, e->term))
            TRY(add_keys(a, from, err));
    }
    a->group[a->n_group++] = e;
    return 0;
}

static int apply_group(struct applier *a, struct err *err)
{
    const struct entry *last = a->group[a->n_group - 1];
    struct mark mark = a->mark; /* borrows the configuration */
    mark.index = last->index;
    mark.term = last->term;
    buf_clear(&a->text);
    TRY(mark_encode(&mark, &a->text, err));
    entry_link(&a->batches);
    TRY(lmdb_state_apply(a->o.state, a->batches.v, a->batches.n, buf_str(&a->text), err));
    a->mark.index = mark.index;
    a->mark.term = mark.term;
    return 0;
}

static void tell_applied(struct applier *a)
{
    struct applier_calls *c = &a->o.calls;
    if (a->n_keys > 0)
        c->keys_changed(c->ctx, a->keys, a->n_keys);
    for (size_t i = 0; i < a->n_group; i++)
        c->decided(c->ctx, a->group[i]->index, a->group[i]->term);
    tail_used(a->o.tail, a->mark.index);
    c->applied(c->ctx, &a->mark);
}

static int finish_group(struct applier *a, struct err *err)
{
    if (a->n_group == 0)
        return 0;
    TRY(apply_group(a, err));
    tell_applied(a);
    drop_group(a);
    return 0;
}

/* ---- entries that stand alone ---- */

static uint64_t begin_of(struct str payload)
{
    uint64_t v = 0;
    if (payload.n < 1 + BEGIN_N)
        return 0;
    for (int i = 1; i <= BEGIN_N; i++)
        v = v << 8 | (uint8_t)payload.p[i];
    return v;
}

static int begin_restore(struct applier *a, uint64_t index, struct err *err)
{
    char name[40];
    snprintf(name, sizeof name, "restore-%llu", (unsigned long long)index);
    staging_free(a->restore);
    a->restore = NULL;
    return staging_new(a->o.dir, name, &a->restore, err);
}

static int stage_chunk(struct applier *a, struct str payload, struct err *err)
{
    struct entry_batches b = { 0 };
    if (begin_of(payload) == 0)
        return err_set(err, ERR_CORRUPT, "raft: a restore's chunk is malformed");
    int rc = entry_read(str_from(payload, BEGIN_N), &b, err);
    if (rc == 0)
        rc = staging_add(a->restore, &b, err);
    entry_free(&b);
    return rc;
}

/* Only the mark changes. */
static int move_mark(struct applier *a, const struct mark *to, struct err *err)
{
    buf_clear(&a->text);
    TRY(mark_encode(to, &a->text, err));
    return lmdb_state_apply(a->o.state, NULL, 0, buf_str(&a->text), err);
}

static int step_restore(struct applier *a, const struct entry *e, struct mark *to, struct err *err)
{
    struct str payload = entry_data(e);
    enum entry_kind kind = entry_kind_of(payload);
    if (kind == ENTRY_RESTORE_BEGIN) {
        to->restore = e->index;
        TRY(begin_restore(a, e->index, err));
        return move_mark(a, to, err);
    }
    if (a->mark.restore == 0 || begin_of(payload) != a->mark.restore)
        return move_mark(a, to, err);
    if (kind == ENTRY_RESTORE_CHUNK)
        TRY(stage_chunk(a, payload, err));
    if (kind == ENTRY_RESTORE_COMMIT || kind == ENTRY_RESTORE_ABORT)
        to->restore = 0;
    if (kind == ENTRY_RESTORE_COMMIT)
        return staging_swap(a->restore, a->o.state, to, err);
    return move_mark(a, to, err);
}

static int apply_restore(struct applier *a, struct entry *e, struct err *err)
{
    struct mark to = a->mark;
    to.index = e->index;
    to.term = e->term;
    TRY(step_restore(a, e, &to, err));
    bool replaced = a->mark.restore != 0 && to.restore == 0 &&
                    entry_kind_of(entry_data(e)) == ENTRY_RESTORE_COMMIT;
    a->mark = to;
    if (to.restore == 0) {
        staging_free(a->restore);
        a->restore = NULL;
    }
    if (replaced)
        a->o.calls.store_replaced(a->o.calls.ctx);
    return 0;
}

static int apply_change(struct applier *a, const struct entry *e, struct err *err)
{
    struct mark to = a->mark;
    TRY(member_decode(entry_data(e), &to.conf, err));
    to.index = to.conf_index = e->index;
    to.term = e->term;
    if (move_mark(a, &to, err) < 0) {
        member_clear(&to.conf);
        return -1;
    }
    member_clear(&a->mark.conf);
    a->mark = to;
    return 0;
}

static bool stands_alone(const struct entry *e)
{
    return e->type == RAFT_CHANGE ||
           (e->type == RAFT_COMMAND && entry_kind_of(entry_data(e)) != ENTRY_BATCHES);
}

static int apply_alone(struct applier *a, struct entry *e, struct err *err)
{
    if (e->type != RAFT_CHANGE && entry_kind_of(entry_data(e)) == 0)
        return err_set(err, ERR_CORRUPT, "raft: an entry of unknown kind, of a later version?");
    TRY(e->type == RAFT_CHANGE ? apply_change(a, e, err) : apply_restore(a, e, err));
    a->o.calls.decided(a->o.calls.ctx, e->index, e->term);
    tail_used(a->o.tail, a->mark.index);
    a->o.calls.applied(a->o.calls.ctx, &a->mark);
    return 0;
}

/* ---- the thread ---- */

/* One group, or one entry that stands alone; what was done stays done when it fails. */
static int apply_some(struct applier *a, uint64_t upto, struct err *err)
{
    drop_group(a);
    for (uint64_t at = a->mark.index + 1; at <= upto; at++) {
        struct entry *e;
        if (a->n_group == GROUP_ENTRIES || a->batches.bytes >= GROUP_BYTES)
            break;
        TRY(read_entry(a, at, &e, err));
        bool alone = stands_alone(e);
        if (!alone && add_plain(a, e, err) == 0)
            continue;
        int rc = !alone ? -1 : a->n_group > 0 ? 0 : apply_alone(a, e, err);
        entry_drop(e);
        if (rc < 0)
            return -1;
        break;
    }
    return finish_group(a, err);
}

static void catch_up(struct applier *a, uint64_t upto)
{
    while (a->mark.index < upto && !a->broken) {
        struct err err = { 0 };
        if (apply_some(a, upto, &err) < 0) {
            if (!may_retry(a, &err))
                return;
            continue;
        }
        note_well(a);
        pthread_mutex_lock(&a->mu);
        bool other = a->closing || a->install != NULL || a->void_it;
        if (a->committed > upto)
            upto = a->committed;
        pthread_mutex_unlock(&a->mu);
        if (other)
            return;
    }
}

static void do_sync(struct applier *a)
{
    struct err err = { 0 };
    if (lmdb_state_sync(a->o.state, &err) < 0) {
        LOG(&lg, WARN, "the store could not be synced, the raft log stays as long as it is: "
                       "error=%s", err.msg);
        return;
    }
    a->o.calls.synced(a->o.calls.ctx, &a->mark);
}

static void do_install(struct applier *a, struct staging *s, struct mark *mark)
{
    struct err err = { 0 };
    while (staging_swap(s, a->o.state, mark, &err) < 0)
        if (!may_retry(a, &err)) {
            staging_free(s);
            mark_clear(mark);
            return;
        }
    note_well(a);
    staging_free(s);
    staging_free(a->restore);
    a->restore = NULL;
    mark_clear(&a->mark);
    a->mark = *mark;
    *mark = (struct mark){ 0 };
    a->broken = false;
    a->o.calls.store_replaced(a->o.calls.ctx);
    tail_used(a->o.tail, a->mark.index);
    a->o.calls.installed(a->o.calls.ctx, &a->mark);
}

static void do_void(struct applier *a, struct mark *mark)
{
    struct err err = { 0 };
    while (move_mark(a, mark, &err) < 0 && may_retry(a, &err))
        ;
    staging_free(a->restore);
    a->restore = NULL;
    mark_clear(&a->mark);
    a->mark = *mark;
    *mark = (struct mark){ 0 };
}

static void *run(void *arg)
{
    struct applier *a = arg;
    for (;;) {
        struct order o = take_order(a);
        if (o.end)
            return NULL;
        if (o.void_it)
            do_void(a, &o.mark);
        if (o.install != NULL)
            do_install(a, o.install, &o.mark);
        catch_up(a, o.upto);
        if (o.sync)
            do_sync(a);
    }
}

/* A restore was open when we stopped: stage again what the log has of it. */
static int resume_restore(struct applier *a, struct err *err)
{
    if (a->mark.restore == 0)
        return 0;
    TRY(begin_restore(a, a->mark.restore, err));
    for (uint64_t at = a->mark.restore + 1; at <= a->mark.index; at++) {
        struct entry *e;
        TRY(read_log(a, at, &e, err));
        struct str payload = entry_data(e);
        bool chunk = e->type == RAFT_COMMAND && entry_kind_of(payload) == ENTRY_RESTORE_CHUNK &&
                     begin_of(payload) == a->mark.restore;
        int rc = chunk ? stage_chunk(a, payload, err) : 0;
        entry_drop(e);
        TRY(rc);
    }
    return 0;
}

static int prepare(struct applier *a, const struct mark *mark, struct err *err)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&a->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&a->more, &attr);
    pthread_condattr_destroy(&attr);
    TRY(mark_copy(mark, &a->mark, err));
    a->committed = a->mark.index;
    return resume_restore(a, err);
}

static void release(struct applier *a)
{
    drop_group(a);
    staging_free(a->restore);
    staging_free(a->install);
    mark_clear(&a->mark);
    mark_clear(&a->install_mark);
    entry_free(&a->batches);
    buf_free(&a->text);
    free(a->keys);
    pthread_cond_destroy(&a->more);
    pthread_mutex_destroy(&a->mu);
    free(a);
}

int applier_new(const struct applier_options *options, const struct mark *mark,
                struct applier **out, struct err *err)
{
    struct applier *a = calloc(1, sizeof *a);
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    a->o = *options;
    int rc = prepare(a, mark, err);
    if (rc == 0 && pthread_create(&a->thread, NULL, run, a) != 0)
        rc = err_set(err, ERR_NOMEM, "raft: no thread for the store");
    if (rc < 0) {
        release(a);
        return -1;
    }
    *out = a;
    return 0;
}

void applier_free(struct applier *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->mu);
    a->closing = true;
    pthread_cond_signal(&a->more);
    pthread_mutex_unlock(&a->mu);
    pthread_join(a->thread, NULL);
    release(a);
}
