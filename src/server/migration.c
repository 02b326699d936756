/* Copying a storage, with Vault's lock at core/migration (docs: commands/operator/migrate). */
#include "server/migration.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/json.h"
#include "codec/timefmt.h"
#include "server/cluster.h"
#include "server/registry.h"

static const struct log lg = { "migrate" };

enum { BATCH_KEYS = 256, BATCH_BYTES = 4 << 20 };

/* A batch that fills up; keys and values stand one after the other in ${bytes}. */
struct batch {
    const struct migration *m;
    struct storage *from, *to;
    struct buf bytes;
    struct storage_op ops[BATCH_KEYS];
    size_t n;
    uint64_t copied;
    bool stopped, failed;
    struct err *err;
};

static void batch_fini(struct batch *b)
{
    buf_free(&b->bytes);
}

static void drop_storage(struct storage **s)
{
    storage_close(*s);
}

static int open_storage(const struct config_storage *c, const char *stanza, struct storage **out,
                        struct err *err)
{
    const struct storage_driver *driver = registry_storage(c->type);
    if (driver == NULL)
        return err_set(err, ERR_BAD_REQUEST, "error mounting '%s': no Vault storage backend named: "
                                             "\"" STR_FMT "\"", stanza, STR_ARG(c->type));
    if (driver == &storage_inmem)
        return err_set(err, ERR_BAD_REQUEST, "error mounting '%s': \"" STR_FMT "\" keeps nothing "
                                             "that another process could read",
                       stanza, STR_ARG(c->type));
    if (driver->open(c->options, c->n_options, out, err) < 0)
        return err_prefix(err, "error mounting '%s'", stanza);
    /* A new cluster's first member is known by its address. */
    struct raftstore *raft = raftstore_of(*out);
    if (raft == NULL)
        return 0;
    return raftstore_set_network(raft, NULL, cluster_host_port(c->cluster_addr), err);
}

/* 1: locked, and the lock's text; 0: not. */
static int read_lock(struct storage *s, struct buf *text, struct err *err)
{
    return storage_get(s, MIGRATION_LOCK, text, err);
}

int migration_locked(struct str text, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct err ignored = { 0 };
    struct json *o;
    struct str since = STR("");
    if (a != NULL && json_parse(a, text, &o, NULL, &ignored) == 0)
        since = json_get_str(o, "start");
    if (since.n == 0)
        since = STR("unknown");
    return err_set(err, ERR_CONFLICT,
                   "storage migration in progress (started: " STR_FMT "). If it was broken off, "
                   "finish it with 'operator migrate -start=KEY', or remove the lock with "
                   "'operator migrate -reset' and this storage as its storage_source",
                   STR_ARG(since));
}

static int write_lock(struct storage *s, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct json *o = json_object(a);
    json_put_str(o, "start", time_format(a, clock_now_ns(&clock_system)));
    json_print(o, &text);
    TRY(arena_check(a, err));
    TRY(buf_check(&text, err));
    return storage_put(s, MIGRATION_LOCK, buf_str(&text), err);
}

int migration_check(struct storage *s, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    int locked = read_lock(s, &text, err);
    /* A member of a cluster that waits for the leader's store: it comes without a lock. */
    if (locked < 0 && err->code == ERR_SEALED && raftstore_of(s) != NULL) {
        *err = (struct err){ 0 };
        return 0;
    }
    return locked <= 0 ? locked : migration_locked(buf_str(&text), err);
}

/* ---- members of a cluster ---- */

static struct str member_list(struct arena *a, const struct raft_members *m)
{
    struct str text = STR("");
    for (size_t i = 0; i < m->n; i++)
        text = arena_printf(a, STR_FMT "%s\"%s\"", STR_ARG(text), i > 0 ? ", " : "", m->v[i].id);
    return text;
}

static bool is_among(const struct raft_members *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].self)
            return true;
    return false;
}

static void tell_of_member(struct raftstore *r, const struct raft_members *m)
{
    struct raftstore_status at;
    raftstore_status(r, &at);
    LOG(&lg, WARN, "the source is one of several members of a cluster, and cannot be locked: let "
                   "no server of the cluster run meanwhile: members=%zu applied=%llu",
        m->n, (unsigned long long)at.applied);
    if (at.last_index > at.applied)
        LOG(&lg, WARN, "the end of its log has not been applied, and is not copied: unless another "
                       "member has applied more, make this one the only member by raft/peers.json, "
                       "start and stop it, and copy then: last_index=%llu",
            (unsigned long long)at.last_index);
}

/* Can a source be locked?  A member of a cluster of several has no say of its own. */
static int may_lock(struct storage *from, bool *may, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct raftstore *r = raftstore_of(from);
    struct raft_members m;
    *may = true;
    if (r == NULL)
        return 0;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(raftstore_members(r, a, &m, err));
    struct str names = member_list(a, &m), me = raftstore_node_id(r);
    TRY(arena_check(a, err));
    if (!is_among(&m))
        return err_set(err, ERR_BAD_REQUEST,
                       "storage_source: these are data of the node%s " STR_FMT ", not of \"" STR_FMT
                       "\": set node_id as in the server's own configuration",
                       m.n > 1 ? "s" : "", STR_ARG(names), STR_ARG(me));
    *may = m.n == 1;
    if (!*may)
        tell_of_member(r, &m);
    return 0;
}

/* ---- copying ---- */

static int note_name(void *ctx, struct str name)
{
    *(bool *)ctx = true;
    return 1;
}

static int check_source(struct storage *from, struct err *err)
{
    bool any = false;
    TRY(storage_list(from, STR(""), STR(""), note_name, &any, err));
    return any ? migration_check(from, err)
               : err_set(err, ERR_BAD_REQUEST, "storage_source holds no data");
}

static int check_empty(struct storage *to, struct err *err)
{
    bool any = false;
    TRY(storage_list(to, STR(""), STR(""), note_name, &any, err));
    return !any ? 0
                : err_set(err, ERR_CONFLICT,
                          "storage_destination holds data already; an empty one is expected, or "
                          "-start=KEY to go on with a copy that was broken off");
}

/* What was refused for its size is the largest of the batch. */
static int too_large(struct batch *b)
{
    const struct storage_op *o = &b->ops[0];
    for (size_t i = 1; i < b->n; i++)
        if (b->ops[i].value.n > o->value.n)
            o = &b->ops[i];
    return err_prefix(b->err, "the value of \"" STR_FMT "\" (a larger max_entry_size in "
                              "storage_destination, and in the server's storage, would take it)",
                      STR_ARG(o->key));
}

/* Write the batch; its keys are copied when this returns. */
static int flush(struct batch *b)
{
    const char *at = b->bytes.p;
    for (size_t i = 0; i < b->n; i++) { /* the buffer may have moved while it grew */
        b->ops[i].key.p = at;
        b->ops[i].value.p = at + b->ops[i].key.n;
        at += b->ops[i].key.n + b->ops[i].value.n;
    }
    int rc = b->n > 0 ? storage_commit(b->to, b->ops, b->n, b->err) : 0;
    if (rc < 0 && b->err->code == ERR_TOO_LARGE && raftstore_of(b->to) != NULL)
        too_large(b);
    if (rc < 0)
        return err_prefix(b->err, "error writing entries (go on with -start=\"" STR_FMT "\")",
                          STR_ARG(b->ops[0].key));
    for (size_t i = 0; i < b->n; i++)
        LOG(&lg, INFO, "copied key: path=" STR_FMT, STR_ARG(b->ops[i].key));
    b->copied += b->n;
    b->n = 0;
    buf_clear(&b->bytes);
    return 0;
}

static bool is_left_out(const struct batch *b, struct str key)
{
    return str_cmp(key, b->m->start) < 0 || str_eq(key, MIGRATION_LOCK) || str_is(key, "core/lock");
}

static int add(struct batch *b, struct str key)
{
    if (is_left_out(b, key))
        return 0;
    size_t before = b->bytes.n;
    buf_add(&b->bytes, key);
    int found = storage_get(b->from, key, &b->bytes, b->err);
    if (found < 0)
        return err_prefix(b->err, "error reading entry (go on with -start=\"" STR_FMT "\")",
                          STR_ARG(b->n > 0 ? str_mem(b->bytes.p, b->ops[0].key.n) : key));
    TRY(buf_check(&b->bytes, b->err));
    if (found == 0) {
        b->bytes.n = before;
        return 0;
    }
    b->ops[b->n++] = (struct storage_op){ STORAGE_PUT, { NULL, key.n },
                                          { NULL, b->bytes.n - before - key.n } };
    return b->n == BATCH_KEYS || b->bytes.n >= BATCH_BYTES ? flush(b) : 0;
}

static int on_key(void *ctx, struct str key)
{
    struct batch *b = ctx;
    if (b->n == 0 && b->m->go_on != NULL && !b->m->go_on(b->m->ctx)) {
        LOG(&lg, WARN, "migration stopped: next_key=" STR_FMT, STR_ARG(key));
        b->stopped = true;
        return 1;
    }
    b->failed = add(b, key) < 0;
    return b->failed;
}

/* 1: all is copied; 0: stopped. */
static int copy(struct batch *b)
{
    TRY(storage_walk(b->from, STR(""), on_key, b, b->err));
    if (b->failed)
        return -1;
    if (b->stopped)
        return 0;
    TRY(flush(b));
    LOG(&lg, INFO, "migration complete: keys=%llu", (unsigned long long)b->copied);
    return 1;
}

/* Lock the destination for as long as its copy is not complete. */
static int copy_locked(struct batch *b)
{
    TRY(write_lock(b->to, b->err));
    int result = copy(b);
    if (result > 0)
        TRY(storage_delete(b->to, MIGRATION_LOCK, b->err));
    return result;
}

/* What a server needs to know of the cluster that was made. */
static void tell_of_cluster(struct storage *to)
{
    struct err ignored = { 0 };
    AUTO(arena_drop) struct arena *a = arena_new();
    struct raftstore *r = raftstore_of(to);
    struct raft_members m;
    if (r == NULL || a == NULL || raftstore_members(r, a, &m, &ignored) < 0 || m.n != 1)
        return;
    LOG(&lg, INFO, "the destination is a cluster of one node: node_id=%s cluster_addr=%s",
        m.v[0].id, m.v[0].addr);
}

int migration_run(const struct migration *m, struct err *err)
{
    AUTO(drop_storage) struct storage *from = NULL;
    AUTO(drop_storage) struct storage *to = NULL;
    AUTO(batch_fini) struct batch b = { .m = m, .err = err };
    struct err unlock = { 0 };
    bool lock;
    TRY(open_storage(m->source, "storage_source", &from, err));
    TRY(open_storage(m->destination, "storage_destination", &to, err));
    TRY(check_source(from, err));
    TRY(may_lock(from, &lock, err));
    if (m->start.n == 0)
        TRY(check_empty(to, err));
    if (lock)
        TRY(write_lock(from, err));
    b.from = from;
    b.to = to;
    int result = copy_locked(&b);
    if (result > 0)
        tell_of_cluster(to);
    if (!lock || storage_delete(from, MIGRATION_LOCK, &unlock) == 0)
        return result;
    if (result >= 0)
        *err = unlock;
    return -1;
}

int migration_reset(const struct config_storage *source, struct err *err)
{
    AUTO(drop_storage) struct storage *from = NULL;
    AUTO(buf_free) struct buf text = { 0 };
    TRY(open_storage(source, "storage_source", &from, err));
    int locked = read_lock(from, &text, err);
    return locked > 0 ? storage_delete(from, MIGRATION_LOCK, err) : locked;
}
