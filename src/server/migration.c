/* Copying a storage, with Vault's lock at core/migration (docs: commands/operator/migrate). */
#include "server/migration.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/json.h"
#include "codec/timefmt.h"
#include "server/cluster.h"
#include "server/registry.h"

static const struct log lg = { "migrate" };

#define LOCK_KEY STR("core/migration")

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
    return raft == NULL ? 0
                        : raftstore_set_network(raft, NULL, cluster_host_port(c->cluster_addr), err);
}

/* 1: locked since ${since}; 0: not. */
static int read_lock(struct storage *s, struct arena *a, struct str *since, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct err ignored = { 0 };
    struct json *o;
    int found = storage_get(s, LOCK_KEY, &text, err);
    if (found <= 0)
        return found;
    *since = STR("");
    if (json_parse(a, buf_str(&text), &o, NULL, &ignored) == 0)
        *since = arena_dup(a, json_get_str(o, "start")); /* the text goes */
    if (since->n == 0)
        *since = STR("unknown");
    return 1;
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
    return storage_put(s, LOCK_KEY, buf_str(&text), err);
}

int migration_check(struct storage *s, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str since;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int locked = read_lock(s, a, &since, err);
    if (locked <= 0)
        return locked;
    return err_set(err, ERR_CONFLICT,
                   "storage migration in progress (started: " STR_FMT "). If it was broken off, "
                   "finish it with 'operator migrate -start=KEY', or remove the lock with "
                   "'operator migrate -reset' and this storage as its storage_source",
                   STR_ARG(since));
}

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

/* Write the batch; its keys are copied when this returns. */
static int flush(struct batch *b)
{
    const char *at = b->bytes.p;
    for (size_t i = 0; i < b->n; i++) { /* the buffer may have moved while it grew */
        b->ops[i].key.p = at;
        b->ops[i].value.p = at + b->ops[i].key.n;
        at += b->ops[i].key.n + b->ops[i].value.n;
    }
    if (b->n > 0 && storage_commit(b->to, b->ops, b->n, b->err) < 0)
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
    return str_cmp(key, b->m->start) < 0 || str_eq(key, LOCK_KEY) || str_is(key, "core/lock");
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

int migration_run(const struct migration *m, struct err *err)
{
    AUTO(drop_storage) struct storage *from = NULL;
    AUTO(drop_storage) struct storage *to = NULL;
    AUTO(batch_fini) struct batch b = { .m = m, .err = err };
    struct err unlock = { 0 };
    TRY(open_storage(m->source, "storage_source", &from, err));
    TRY(open_storage(m->destination, "storage_destination", &to, err));
    TRY(check_source(from, err));
    if (m->start.n == 0)
        TRY(check_empty(to, err));
    TRY(write_lock(from, err));
    b.from = from;
    b.to = to;
    int result = write_lock(to, err) < 0 ? -1 : copy(&b);
    if (result > 0 && storage_delete(to, LOCK_KEY, err) < 0)
        result = -1;
    if (storage_delete(from, LOCK_KEY, &unlock) == 0)
        return result;
    if (result >= 0)
        *err = unlock;
    return -1;
}

int migration_reset(const struct config_storage *source, struct err *err)
{
    AUTO(drop_storage) struct storage *from = NULL;
    TRY(open_storage(source, "storage_source", &from, err));
    return storage_delete(from, LOCK_KEY, err);
}
