/* Raftstore_driver: opening, reading, writing, and the contest for leadership. */
#include "storage/raft/raftstore_parts.h"

#include <stdlib.h>

#include "base/log.h"
#include "storage/longkey.h"
#include "storage/raft/entry.h"
#include "storage/raft/staging.h"

enum { HEARTBEAT_MS = 60, ELECTION_MS = 300, ENTRY_BYTES = 4 << 20 };

static const struct log lg = { "storage.raft" };

static const struct storage_ops store_ops;
static const struct ha_ops the_ha_ops;

static struct raftstore *of(struct ha *h)
{
    return (struct raftstore *)((char *)h - offsetof(struct raftstore, ha));
}

struct raftstore *raftstore_of(struct storage *s)
{
    return s != NULL && s->ops == &store_ops ? (struct raftstore *)s : NULL;
}

struct ha *raftstore_ha(struct raftstore *r)
{
    return &r->ha;
}

struct str raftstore_node_id(const struct raftstore *r)
{
    return str_of(r->id);
}

size_t raftstore_max_entry(const struct raftstore *r)
{
    return r->max_entry;
}

bool raftstore_removed(struct raftstore *r)
{
    return atomic_load(&r->removed);
}

struct node *raftstore_enter(struct raftstore *r)
{
    pthread_rwlock_rdlock(&r->using);
    struct node *node = r->node;
    if (node == NULL)
        pthread_rwlock_unlock(&r->using);
    return node;
}

void raftstore_leave(struct raftstore *r)
{
    pthread_rwlock_unlock(&r->using);
}

int raftstore_stopped(struct err *err)
{
    return err_set(err, ERR_STANDBY, "raft: this node has not been started");
}

/* ---- storage ---- */

static int store_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    struct raftstore *r = (struct raftstore *)s;
    if (atomic_load(&r->is_void))
        return err_set(err, ERR_SEALED, "raft: this node waits for the leader's store");
    return storage_get(r->state, key, out, err);
}

static int store_list(struct storage *s, struct str prefix, struct str after, storage_name_fn *each,
                     void *ctx, struct err *err)
{
    struct raftstore *r = (struct raftstore *)s;
    if (atomic_load(&r->is_void))
        return err_set(err, ERR_SEALED, "raft: this node waits for the leader's store");
    return storage_list(r->state, prefix, after, each, ctx, err);
}

/* What a store would refuse must not get into the log: there it could not be refused any more. */
static int check_ops(const struct raftstore *r, const struct storage_op *ops, size_t n,
                     struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (ops[i].key.n == 0)
            return err_set(err, ERR_BAD_REQUEST, "raft: empty key");
        if (ops[i].key.n > LONGKEY_MAX)
            return err_set(err, ERR_BAD_REQUEST, "raft: key longer than %d bytes", LONGKEY_MAX);
        if (ops[i].kind == STORAGE_PUT && ops[i].value.n > r->max_entry)
            return err_set(err, ERR_TOO_LARGE, "put failed due to value being too large; got %zu "
                           "bytes, max: %zu bytes", ops[i].value.n, r->max_entry);
    }
    return 0;
}

enum { BATCH_MAX = 60 << 20 };

static int commit_started(struct node *node, const struct storage_op *ops, size_t n,
                          struct err *err)
{
    AUTO(buf_free) struct buf payload = { 0 };
    entry_add_batch(&payload, ops, n);
    TRY(buf_check(&payload, err));
    if (payload.n > BATCH_MAX)
        return err_set(err, ERR_TOO_LARGE, "raft: a batch of %zu bytes is too large", payload.n);
    return node_commit(node, buf_str(&payload), err);
}

static int store_commit(struct storage *s, const struct storage_op *ops, size_t n, struct err *err)
{
    struct raftstore *r = (struct raftstore *)s;
    TRY(check_ops(r, ops, n, err));
    if (n == 0)
        return 0;
    struct node *node = raftstore_enter(r);
    if (node != NULL) {
        int rc = commit_started(node, ops, n, err);
        raftstore_leave(r);
        return rc;
    }
    pthread_mutex_lock(&r->mu);
    int rc = r->node == NULL ? raftstore_commit_alone(r, ops, n, err) : raftstore_stopped(err);
    pthread_mutex_unlock(&r->mu);
    return rc;
}

static void ha_stop(struct ha *h);

static void store_close(struct storage *s)
{
    struct raftstore *r = (struct raftstore *)s;
    struct err err = { 0 };
    ha_stop(&r->ha);
    if (r->state != NULL && lmdb_state_sync(r->state, &err) < 0)
        LOG(&lg, WARN, "the store could not be synced: error=%s", err.msg);
    storage_close(r->state);
    if (r->wal != NULL)
        wal_close(r->wal);
    mark_clear(&r->mark);
    pthread_rwlock_destroy(&r->using);
    pthread_mutex_destroy(&r->mu);
    free(r);
}

static const struct storage_ops store_ops = { store_get, store_commit, store_list, store_close };

/* ---- opening ---- */

static int open_store(struct raftstore *r, const struct storage_option *options, size_t n,
                      struct err *err)
{
    char file[PATH_MAX + 16];
    struct lmdb_state_options o = { .log_retention = 16384, .lazy = true };
    TRY(raftstore_read_options(r, options, n, err));
    TRY(raftstore_make_folders(r, err));
    snprintf(file, sizeof file, "%s/vault.db", r->path);
    o.file = str_of(file);
    TRY(lmdb_state_open(&o, &r->state, err));
    TRY(wal_open(r->raft_dir, &r->wal, err));
    staging_sweep(r->snapshots);
    atomic_store(&r->removed, raftstore_was_removed(r));
    return raftstore_check_log(r, err);
}

static int store_open(const struct storage_option *options, size_t n, struct storage **out,
                     struct err *err)
{
    struct raftstore *r = calloc(1, sizeof *r);
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    r->base = (struct storage){ .ops = &store_ops, .writes_block = true };
    r->ha.ops = &the_ha_ops;
    pthread_mutex_init(&r->mu, NULL);
    pthread_rwlock_init(&r->using, NULL);
    if (open_store(r, options, n, err) < 0) {
        store_close(&r->base);
        return -1;
    }
    *out = &r->base;
    return 0;
}

const struct storage_driver storage_raft = { "raft", store_open };

/* ---- before start ---- */

int raftstore_set_network(struct raftstore *r, struct link_creds *creds, struct str addr,
                          struct err *err)
{
    char text[MEMBER_TEXT_MAX];
    TRY(member_text(str_of(r->id), addr, text, err));
    pthread_mutex_lock(&r->mu);
    r->creds = creds;
    memcpy(r->addr, addr.p, addr.n);
    r->addr[addr.n] = 0;
    pthread_mutex_unlock(&r->mu);
    return 0;
}

bool raftstore_has_cluster(struct raftstore *r)
{
    struct err err = { 0 };
    AUTO(buf_free) struct buf text = { 0 };
    int found = lmdb_state_mark(r->state, &text, &err);
    if (found < 0)
        LOG(&lg, ERROR, "the store does not tell whether it belongs to a cluster: error=%s",
            err.msg);
    return found != 0;
}

int raftstore_expect_join(struct raftstore *r, struct err *err)
{
    if (raftstore_has_cluster(r))
        return err_set(err, ERR_CONFLICT, "raft: this node belongs to a cluster already");
    pthread_mutex_lock(&r->mu);
    r->joining = true;
    pthread_mutex_unlock(&r->mu);
    return 0;
}

int raftstore_force(struct raftstore *r, struct err *err)
{
    int rc = 0;
    pthread_mutex_lock(&r->mu);
    if (r->node != NULL)
        rc = err_set(err, ERR_CONFLICT, "raft: this node has been started");
    else
        r->forced = true;
    pthread_mutex_unlock(&r->mu);
    return rc;
}

/* ---- the contest ---- */

static void note_removed(void *ctx)
{
    raftstore_note_removed(ctx);
}

static void note_void(void *ctx, bool is_void)
{
    struct raftstore *r = ctx;
    atomic_store(&r->is_void, is_void);
}

static int start_node(struct raftstore *r, const struct ha_events *events, struct err *err)
{
    AUTO(mark_clear) struct mark m = { 0 };
    TRY(raftstore_prepare_start(r, err));
    int found = raftstore_read_mark(r, &m, err);
    TRY(found);
    const struct node_options o = {
        .state = r->state, .wal = r->wal, .alpn = RAFTSTORE_ALPN, .dir = r->snapshots,
        .id = str_of(r->id), .addr = str_of(r->addr), .creds = r->creds,
        .heartbeat_ms = HEARTBEAT_MS * r->multiplier, .election_ms = ELECTION_MS * r->multiplier,
        .snapshot_threshold = r->threshold, .trailing = r->trailing,
        .entry_bytes = r->max_entry > ENTRY_BYTES ? r->max_entry : ENTRY_BYTES,
        .events = *events, .gauge = &r->gauge,
        .removed = note_removed, .voided = note_void, .ctx = r,
    };
    struct node *node;
    r->alone = r->forced = false;
    mark_clear(&r->mark);
    bool use = found > 0 && !m.invalid;
    TRY(node_new(&o, use ? &m : NULL, &node, err));
    pthread_rwlock_wrlock(&r->using);
    r->node = node;
    pthread_rwlock_unlock(&r->using);
    return 0;
}

static int ha_start(struct ha *h, const struct ha_events *events, struct err *err)
{
    struct raftstore *r = of(h);
    pthread_mutex_lock(&r->mu);
    int rc = 0;
    if (atomic_load(&r->removed))
        rc = err_set(err, ERR_STANDBY, "raft: this node has been removed from its cluster: to let "
                     "it join again, remove what is in %s", r->path);
    else if (r->node != NULL)
        rc = err_set(err, ERR_CONFLICT, "raft: this node has been started already");
    else
        rc = start_node(r, events, err);
    pthread_mutex_unlock(&r->mu);
    return rc;
}

static void ha_stop(struct ha *h)
{
    struct raftstore *r = of(h);
    struct err err = { 0 };
    pthread_mutex_lock(&r->mu);
    struct node *node = r->node;
    if (node != NULL) {
        node_stop(node);
        pthread_rwlock_wrlock(&r->using);
        r->node = NULL;
        pthread_rwlock_unlock(&r->using);
        node_free(node);
        if (raftstore_check_log(r, &err) < 0)
            LOG(&lg, ERROR, "the raft log cannot be used: error=%s", err.msg);
    }
    pthread_mutex_unlock(&r->mu);
}

static void ha_leader_now(struct ha *h, struct ha_leader *out)
{
    struct node *node = raftstore_enter(of(h));
    *out = (struct ha_leader){ 0 };
    if (node == NULL)
        return;
    node_leader(node, out);
    raftstore_leave(of(h));
}

static int ha_settle(struct ha *h, struct err *err)
{
    struct node *node = raftstore_enter(of(h));
    if (node == NULL)
        return raftstore_stopped(err);
    int rc = node_settle(node, err);
    raftstore_leave(of(h));
    return rc;
}

static int ha_step_down(struct ha *h, struct err *err)
{
    struct node *node = raftstore_enter(of(h));
    if (node == NULL)
        return raftstore_stopped(err);
    int rc = node_step_down(node, err);
    raftstore_leave(of(h));
    return rc;
}

static bool ha_may_read(struct ha *h)
{
    return node_may_read(&of(h)->gauge);
}

static void ha_index_now(struct ha *h, uint64_t *committed, uint64_t *applied)
{
    *committed = atomic_load(&of(h)->gauge.committed);
    *applied = atomic_load(&of(h)->gauge.applied);
}

static int ha_wait_applied(struct ha *h, uint64_t index, int ms, struct err *err)
{
    struct node *node = raftstore_enter(of(h));
    if (node == NULL)
        return raftstore_stopped(err);
    int rc = node_wait_applied(node, index, ms, err);
    raftstore_leave(of(h));
    return rc;
}

static int ha_catch_up(struct ha *h, int ms, struct err *err)
{
    struct node *node = raftstore_enter(of(h));
    if (node == NULL)
        return raftstore_stopped(err);
    int rc = node_catch_up(node, ms, err);
    raftstore_leave(of(h));
    return rc;
}

static const struct ha_ops the_ha_ops = {
    ha_start, ha_stop, ha_leader_now, ha_settle, ha_step_down,
    ha_may_read, ha_index_now, ha_wait_applied, ha_catch_up,
};

int raftstore_wait_store(struct raftstore *r, int ms, struct err *err)
{
    return ha_wait_applied(&r->ha, 1, ms, err);
}

void raftstore_accept(struct raftstore *r, struct link *link)
{
    struct node *node = raftstore_enter(r);
    if (node == NULL) {
        link_free(link);
        return;
    }
    node_accept(node, link);
    raftstore_leave(r);
}

void raftstore_status(struct raftstore *r, struct raftstore_status *out)
{
    struct node *node = raftstore_enter(r);
    uint64_t voted;
    if (node != NULL) {
        node_status(node, out);
        raftstore_leave(r);
        return;
    }
    struct err err;
    AUTO(mark_clear) struct mark m = { 0 };
    *out = (struct raftstore_status){ .last_index = wal_last(r->wal) };
    wal_vote(r->wal, &out->term, &voted);
    out->last_term = wal_term_of(r->wal, out->last_index);
    if (raftstore_read_mark(r, &m, &err) > 0) {
        out->committed = out->applied = m.index;
        if (out->last_index == m.index)
            out->last_term = m.term;
    }
}
