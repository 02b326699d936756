/* Mount tables: loaded at unseal, changed one at a time, read through an immutable snapshot. */
#include "core/mounts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "barrier/view.h"
#include "base/epoch.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "core/mount_entry.h"
#include "core/stored_table.h"
#include "core/policy_template.h"

static const struct log lg = { "core" };

/* What the engine of a mount was opened with; shared by the versions of a mount's entry. */
struct backend {
    atomic_uint refs;
    struct arena *arena;
    const struct engine *engine;
    struct storage *view;
    void *state;
    struct mount_sysview {
        struct sysview base; /* first */
        const struct mounts_parts *parts;
        _Atomic int64_t default_ttl_s, max_ttl_s; /* effective */
    } sys;
};

/* One version of a mount's entry. */
struct held {
    struct mount m; /* first: a struct mount * is a struct held * */
    atomic_uint refs;
    struct arena *arena;
    struct backend *backend;
};

/* Immutable once published; ordered by full_path, and no path is a prefix of another. */
struct table {
    size_t n;
    struct held *v[];
};

struct mounts {
    struct mounts_parts parts;
    _Atomic(struct table *) table;
    pthread_mutex_t change; /* one change at a time; held over the table's write */
};

/* ---- life of entries ---- */

static void backend_drop(struct backend *b)
{
    if (b == NULL || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    if (b->engine != NULL && b->engine->close != NULL && b->engine->open != NULL)
        b->engine->close(b->state);
    storage_close(b->view);
    arena_free(b->arena);
    free(b);
}

static void held_drop(struct held *h)
{
    if (h == NULL || atomic_fetch_sub(&h->refs, 1) != 1)
        return;
    backend_drop(h->backend);
    arena_free(h->arena);
    free(h);
}

static void table_release(void *p)
{
    struct table *t = p;
    for (size_t i = 0; t != NULL && i < t->n; i++)
        held_drop(t->v[i]);
    free(t);
}

/* "route.read.secret-", "route.update.auth-token-" */
static void name_metrics(struct mount *m, struct arena *a)
{
    static const enum op measured[] = { OP_READ, OP_LIST, OP_CREATE, OP_UPDATE, OP_DELETE };
    for (size_t i = 0; i < ARRAY_LEN(measured); i++) {
        struct str name = arena_printf(a, "route.%s." STR_FMT, op_name(measured[i]),
                                       STR_ARG(m->full_path));
        for (size_t k = 0; k < name.n; k++)
            if (name.p[k] == '/')
                ((char *)name.p)[k] = '-';
        if (name.n > 0)
            m->metrics[measured[i]] = metric_named(METRIC_SAMPLE, name);
    }
}

static struct held *held_new(const struct mount *m, struct err *err)
{
    struct held *h = calloc(1, sizeof *h);
    struct arena *a = arena_new();
    if (h == NULL || a == NULL) {
        free(h);
        arena_free(a);
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    h->m = mount_entry_copy(a, m);
    name_metrics(&h->m, a);
    h->arena = a;
    atomic_init(&h->refs, 1);
    if (arena_failed(a)) {
        held_drop(h);
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    return h;
}

/* ---- what a mount knows of the world ---- */

static int64_t view_default_ttl(const struct sysview *v)
{
    return atomic_load(&((const struct mount_sysview *)v)->default_ttl_s);
}

static int64_t view_max_ttl(const struct sysview *v)
{
    return atomic_load(&((const struct mount_sysview *)v)->max_ttl_s);
}

static bool view_read_only(const struct sysview *v)
{
    return false;
}

static int view_password(const struct sysview *v, struct str policy, struct buf *out,
                         struct err *err)
{
    const struct mounts_parts *parts = ((const struct mount_sysview *)v)->parts;
    return parts->password == NULL ? 0 : parts->password(parts->password_ctx, policy, out, err);
}

void mounts_ttls(const struct mounts *m, const struct mount *mount, int64_t *default_s,
                 int64_t *max_s)
{
    *max_s = mount->max_ttl_s != 0 ? mount->max_ttl_s : m->parts.max_ttl_s;
    *default_s = mount->default_ttl_s != 0 ? mount->default_ttl_s : m->parts.default_ttl_s;
    if (*default_s > *max_s)
        *default_s = *max_s;
}

static int view_render(const struct sysview *v, const struct request *req, struct str text,
                       struct str *out, struct err *err)
{
    struct policy_template_out need = { 0 };
    bool templated;

    TRY(policy_template_check(text, &templated, err));
    if (req->facts == NULL)
        return err_set(err, ERR_BAD_REQUEST, "no entity found");
    if (!policy_template_render(text, req->facts, &need))
        return err_set(err, ERR_BAD_REQUEST,
                       "no value could be found for one of the template directives");
    struct policy_template_out full = { .p = arena_bytes(req->arena, need.n), .cap = need.n };
    TRY(arena_check(req->arena, err));
    (void)!policy_template_render(text, req->facts, &full);
    *out = str_mem(full.p, full.n);
    return 0;
}

static void sysview_update(struct mounts *m, struct held *h)
{
    int64_t default_s, max_s;
    mounts_ttls(m, &h->m, &default_s, &max_s);
    atomic_store(&h->backend->sys.default_ttl_s, default_s);
    atomic_store(&h->backend->sys.max_ttl_s, max_s);
}

/* ---- opening ---- */

static const struct engine *engine_of(const struct mounts *m, bool is_auth, struct str type,
                                      const struct json *options, bool *type_known)
{
    struct str version = json_get_str(options, "version");
    *type_known = false;
    for (const struct engine *const *e = m->parts.engines; *e != NULL; e++) {
        if ((*e)->is_auth != is_auth || !str_is(type, (*e)->type))
            continue;
        *type_known = true;
        if ((*e)->version == 0)
            return *e;
        int64_t wanted = 1;
        if (version.n > 0 && !str_to_i64(version, &wanted))
            return NULL;
        if (wanted == (*e)->version)
            return *e;
    }
    return NULL;
}

static struct str view_prefix(struct arena *a, const struct mount *m)
{
    if (!m->is_auth && str_is(m->type, "system"))
        return STR("sys/");
    if (m->is_auth && str_is(m->type, "token"))
        return STR("sys/token/");
    return arena_printf(a, "%s/" STR_FMT "/", m->is_auth ? "auth" : "logical", STR_ARG(m->uuid));
}

static int backend_start(struct mounts *m, struct backend *b, const struct mount *mount,
                         struct err *err)
{
    struct mount kept = mount_entry_copy(b->arena, mount);
    struct str prefix = view_prefix(b->arena, &kept);
    TRY(arena_check(b->arena, err));
    TRY(view_new(barrier_storage(m->parts.barrier), prefix, &b->view, err));
    b->state = m->parts.inner_state;
    if (b->engine == NULL || b->engine->open == NULL)
        return 0;
    struct engine_ctx ctx = {
        .storage = b->view,
        .sys = &b->sys.base,
        .mount_path = kept.full_path,
        .accessor = kept.accessor,
        .uuid = kept.uuid,
        .backend_uuid = kept.backend_uuid,
        .options = kept.options,
    };
    return b->engine->open(&ctx, &b->state, err);
}

/* Open the mount's engine; an engine that this program does not have leaves the mount closed. */
static int held_open(struct mounts *m, struct held *h, struct err *err)
{
    bool known;
    struct backend *b = calloc(1, sizeof *b);
    struct arena *a = arena_new();
    if (b == NULL || a == NULL) {
        free(b);
        arena_free(a);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    atomic_init(&b->refs, 1);
    b->arena = a;
    const struct engine *engine = engine_of(m, h->m.is_auth, h->m.type, h->m.options, &known);
    b->sys.base = (struct sysview){ view_default_ttl, view_max_ttl, view_read_only, view_password,
                                    m->parts.clock, view_render };
    b->sys.parts = &m->parts;
    h->backend = b;
    sysview_update(m, h);
    b->engine = engine;
    if (backend_start(m, b, &h->m, err) < 0) {
        b->engine = NULL; /* not opened: nothing to close */
        return -1;
    }
    if (engine == NULL)
        LOG(&lg, WARN, "mount has no engine here and stays closed: path=" STR_FMT " type=" STR_FMT,
            STR_ARG(h->m.full_path), STR_ARG(h->m.type));
    h->m.engine = engine;
    h->m.view = b->view;
    h->m.state = b->state;
    h->m.sys = &b->sys.base;
    return 0;
}

/* A new version of an opened entry, which goes on with the same backend. */
static struct held *held_revise(const struct held *old, const struct mount *changed,
                                struct err *err)
{
    struct held *h = held_new(changed, err);
    if (h == NULL)
        return NULL;
    atomic_fetch_add(&old->backend->refs, 1);
    h->backend = old->backend;
    h->m.engine = old->m.engine;
    h->m.view = old->m.view;
    h->m.state = old->m.state;
    h->m.sys = old->m.sys;
    return h;
}

/* ---- the snapshot ---- */

static int by_path(const void *a, const void *b)
{
    return str_cmp((*(struct held *const *)a)->m.full_path, (*(struct held *const *)b)->m.full_path);
}

/* A copy of ${old} without ${leave_out} and with ${add} (either may be NULL); takes over ${add}. */
static struct table *table_revise(const struct table *old, const struct held *leave_out,
                                  struct held *add, struct err *err)
{
    struct table *t = malloc(sizeof *t + (old->n + 1) * sizeof t->v[0]);
    if (t == NULL) {
        held_drop(add);
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    t->n = 0;
    for (size_t i = 0; i < old->n; i++) {
        if (old->v[i] == leave_out)
            continue;
        atomic_fetch_add(&old->v[i]->refs, 1);
        t->v[t->n++] = old->v[i];
    }
    if (add != NULL)
        t->v[t->n++] = add;
    qsort(t->v, t->n, sizeof t->v[0], by_path);
    return t;
}

static void publish(struct mounts *m, struct table *t)
{
    epoch_retire(atomic_exchange(&m->table, t), table_release);
}

/* As str_cmp(mount path, path + "/"), without making that text. */
static int cmp_with_slash(struct str mount, struct str path)
{
    struct str head = str_head(mount, path.n);
    int order = str_cmp(head, path);
    if (order != 0 || mount.n <= path.n)
        return order != 0 ? order : -1;
    unsigned char next = (unsigned char)mount.p[path.n];
    return next != '/' ? (next > '/' ? 1 : -1) : (mount.n > path.n + 1 ? 1 : 0);
}

static struct held *table_find(const struct table *t, struct str path)
{
    /* No mount lies under another: only the last one not after the path can be its prefix. */
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (cmp_with_slash(t->v[mid]->m.full_path, path) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0)
        return NULL;
    struct held *h = t->v[low - 1];
    struct str mount = h->m.full_path;
    if (str_starts(path, mount) || (mount.n == path.n + 1 && str_starts(mount, path)))
        return h;
    return NULL;
}

const struct mount *mounts_find(struct mounts *m, struct str path)
{
    struct held *h = table_find(atomic_load(&m->table), path);
    return h == NULL ? NULL : &h->m;
}

static struct held *table_at(const struct table *t, struct str full_path)
{
    struct held *h = table_find(t, full_path);
    return h != NULL && str_eq(h->m.full_path, full_path) ? h : NULL;
}

const struct mount *mounts_at(struct mounts *m, struct str full_path)
{
    struct held *h = table_at(atomic_load(&m->table), full_path);
    return h == NULL ? NULL : &h->m;
}

const struct mount *mounts_by_uuid(struct mounts *m, struct str uuid)
{
    const struct table *t = atomic_load(&m->table);
    for (size_t i = 0; i < t->n; i++)
        if (str_eq(t->v[i]->m.uuid, uuid))
            return &t->v[i]->m;
    return NULL;
}

const struct mount *mounts_by_accessor(struct mounts *m, struct str accessor)
{
    const struct table *t = atomic_load(&m->table);
    for (size_t i = 0; i < t->n; i++)
        if (str_eq(t->v[i]->m.accessor, accessor))
            return &t->v[i]->m;
    return NULL;
}

int mounts_list(struct mounts *m, struct arena *a, bool auth, const struct mount ***out, size_t *n,
                struct err *err)
{
    const struct table *t = atomic_load(&m->table);
    const struct mount **v = arena_array(a, t->n + 1, sizeof *v);
    *n = 0;
    if (v == NULL)
        return arena_check(a, err);
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i]->m.is_auth == auth)
            v[(*n)++] = &t->v[i]->m;
    *out = v;
    return 0;
}

/* ---- stored tables ---- */

static const struct table_key {
    const char *key, *type;
    bool auth, local;
} table_keys[] = {
    { "core/mounts", "mounts", false, false },
    { "core/local-mounts", "mounts", false, true },
    { "core/auth", "auth", true, false },
    { "core/local-auth", "auth", true, true },
};

static int table_text(const struct table *t, const struct table_key *k, struct arena *a,
                      struct buf *packed, struct err *err)
{
    struct json *rows = json_array(a);
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i]->m.is_auth == k->auth && t->v[i]->m.local == k->local)
            json_add(rows, mount_entry_print(a, &t->v[i]->m));
    return stored_table_pack(a, k->type, rows, packed, err);
}

/* Write all four tables in one batch: a change never shows in one of them only. */
static int tables_write(struct mounts *m, const struct table *t, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct buf packed[ARRAY_LEN(table_keys)] = { { 0 } };
    struct storage_op ops[ARRAY_LEN(table_keys)];
    int result = a == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
    for (size_t i = 0; i < ARRAY_LEN(table_keys) && result == 0; i++) {
        result = table_text(t, &table_keys[i], a, &packed[i], err);
        ops[i] = (struct storage_op){ STORAGE_PUT, str_of(table_keys[i].key), buf_str(&packed[i]) };
    }
    if (result == 0)
        result = storage_commit(barrier_storage(m->parts.barrier), ops, ARRAY_LEN(ops), err);
    for (size_t i = 0; i < ARRAY_LEN(table_keys); i++)
        buf_free(&packed[i]);
    return result;
}

/* Add the rows of one stored table to ${t}; 1 when it exists. */
static int table_read(struct mounts *m, const struct table_key *k, struct table **t,
                      struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *rows;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = stored_table_read(barrier_storage(m->parts.barrier), a, k->key, &rows, err);
    if (found <= 0)
        return found;
    for (const struct json *row = json_first(rows); row != NULL; row = row->next) {
        struct mount entry;
        TRY(mount_entry_parse(a, row, k->auth, &entry, err));
        entry.local = k->local;
        struct held *h = held_new(&entry, err);
        if (h == NULL)
            return -1;
        struct table *bigger = table_revise(*t, NULL, h, err);
        if (bigger == NULL)
            return -1;
        table_release(*t);
        *t = bigger;
    }
    return 1;
}

/* ---- a new store ---- */

static void make_ids(struct arena *a, struct mount *m)
{
    char uuid[37];
    unsigned char raw[4];
    random_uuid(uuid);
    m->uuid = arena_dup(a, str_of(uuid));
    random_uuid(uuid);
    m->backend_uuid = arena_dup(a, str_of(uuid));
    random_fill(raw, sizeof raw);
    m->accessor = arena_printf(a, "%s" STR_FMT "_%02x%02x%02x%02x", m->is_auth ? "auth_" : "",
                               STR_ARG(m->type), raw[0], raw[1], raw[2], raw[3]);
}

static int add_defaults(struct table **t, struct err *err)
{
    static const struct {
        const char *path, *type, *description;
        bool auth, local;
        enum token_type token_type;
    } rows[] = {
        { "sys/", "system", "system endpoints used for control, policy and debugging", false, false,
          TOKEN_DEFAULT },
        { "identity/", "identity", "identity store", false, false, TOKEN_DEFAULT },
        { "cubbyhole/", "cubbyhole", "per-token private secret storage", false, true,
          TOKEN_DEFAULT },
        { "token/", "token", "token based credentials", true, false, TOKEN_DEFAULT_SERVICE },
    };
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mount m = { .is_auth = rows[i].auth, .local = rows[i].local };
        m.path = str_of(rows[i].path);
        m.type = str_of(rows[i].type);
        m.description = str_of(rows[i].description);
        m.token_type = rows[i].token_type;
        if (str_is(m.type, "system"))
            strs_add(a, &m.passthrough_request_headers, STR("Accept"));
        make_ids(a, &m);
        TRY(arena_check(a, err));
        struct held *h = held_new(&m, err);
        struct table *bigger = h == NULL ? NULL : table_revise(*t, NULL, h, err);
        if (bigger == NULL)
            return -1;
        table_release(*t);
        *t = bigger;
    }
    return 0;
}

static int load(struct mounts *m, struct err *err)
{
    struct table *t = calloc(1, sizeof *t);
    if (t == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = 0, result = 0;
    for (size_t i = 0; i < ARRAY_LEN(table_keys) && result >= 0; i++) {
        result = table_read(m, &table_keys[i], &t, err);
        found += result > 0;
    }
    if (result >= 0 && found == 0) {
        result = add_defaults(&t, err);
        if (result == 0)
            result = tables_write(m, t, err);
    }
    for (size_t i = 0; i < t->n && result >= 0; i++) {
        result = held_open(m, t->v[i], err);
        t->v[i]->m.unfinished = result < 0 && err->code == ERR_STANDBY;
        if (t->v[i]->m.unfinished)
            result = 0;
        if (result < 0)
            err_prefix(err, "mount " STR_FMT, STR_ARG(t->v[i]->m.full_path));
    }
    if (result < 0) {
        table_release(t);
        return -1;
    }
    atomic_store(&m->table, t);
    return 0;
}

int mounts_new(const struct mounts_parts *parts, struct mounts **out, struct err *err)
{
    struct mounts *m = calloc(1, sizeof *m);
    if (m == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    m->parts = *parts;
    pthread_mutex_init(&m->change, NULL);
    if (load(m, err) < 0) {
        mounts_free(m);
        return -1;
    }
    *out = m;
    return 0;
}

void mounts_free(struct mounts *m)
{
    if (m == NULL)
        return;
    table_release(atomic_load(&m->table));
    pthread_mutex_destroy(&m->change);
    free(m);
}

/* ---- changes ---- */

static bool is_protected(const struct mount *want)
{
    static const char *const reserved[] = { "auth/", "sys/", "cubbyhole/", "identity/" };
    for (size_t i = 0; !want->is_auth && i < ARRAY_LEN(reserved); i++)
        if (str_starts(want->path, str_of(reserved[i])))
            return true;
    return false;
}

static const struct held *conflict(const struct table *t, const struct mount *want)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct mount *other = &t->v[i]->m;
        if (other->is_auth == want->is_auth
            && (str_starts(other->path, want->path) || str_starts(want->path, other->path)))
            return t->v[i];
    }
    return NULL;
}

/* "kv-v1", "kv-v2" and "generic" are other names of kv with a version. */
static void settle_type(struct arena *a, struct mount *m)
{
    const char *version = str_is(m->type, "kv-v1") || str_is(m->type, "generic") ? "1"
                          : str_is(m->type, "kv-v2")                              ? "2"
                                                                                  : NULL;
    if (m->is_auth || version == NULL)
        return;
    m->type = STR("kv");
    m->options = m->options == NULL ? json_object(a) : json_copy(a, m->options);
    json_set(m->options, STR("version"), json_str(a, str_of(version)));
}

static int check_type(struct mounts *m, const struct mount *want, struct err *err)
{
    bool known;
    static const char *const inner[] = { "system", "identity", "cubbyhole" };
    for (size_t i = 0; !want->is_auth && i < ARRAY_LEN(inner); i++)
        if (str_is(want->type, inner[i]))
            return err_set(err, ERR_BAD_REQUEST, "mount type of \"%s\" is not mountable", inner[i]);
    if (want->is_auth && str_is(want->type, "token"))
        return err_set(err, ERR_BAD_REQUEST, "token credential backend cannot be instantiated");
    const struct engine *engine = engine_of(m, want->is_auth, want->type, want->options, &known);
    if (!known)
        return err_set(err, ERR_BAD_REQUEST, "plugin not found in the catalog: " STR_FMT,
                       STR_ARG(want->type));
    if (engine == NULL)
        return err_set(err, ERR_BAD_REQUEST,
                       "nil backend of type \"" STR_FMT "\" returned from factory",
                       STR_ARG(want->type));
    return 0;
}

/* Write the revised table, then show it; on failure nothing has changed. Under m->change. */
static int replace(struct mounts *m, const struct held *leave_out, struct held *add,
                   struct err *err)
{
    struct table *t = table_revise(atomic_load(&m->table), leave_out, add, err);
    if (t == NULL)
        return -1;
    if (tables_write(m, t, err) < 0) {
        table_release(t);
        return -1;
    }
    publish(m, t);
    return 0;
}

static int enable_locked(struct mounts *m, const struct mount *want, struct err *err)
{
    const struct held *other = conflict(atomic_load(&m->table), want);
    if (other != NULL)
        return err_set(err, ERR_BAD_REQUEST, "path is already in use at " STR_FMT,
                       STR_ARG(other->m.path));
    struct held *h = held_new(want, err);
    if (h == NULL)
        return -1;
    if (held_open(m, h, err) < 0) {
        held_drop(h);
        return -1;
    }
    return replace(m, NULL, h, err);
}

int mounts_enable(struct mounts *m, const struct mount *want, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct mount full = *want;
    settle_type(a, &full);
    if (is_protected(&full))
        return err_set(err, ERR_BAD_REQUEST, "cannot mount \"" STR_FMT "\"", STR_ARG(full.path));
    if (conflict(atomic_load(&m->table), &full) == NULL || !full.is_auth)
        TRY(check_type(m, &full, err));
    make_ids(a, &full);
    TRY(arena_check(a, err));
    pthread_mutex_lock(&m->change);
    int result = enable_locked(m, &full, err);
    pthread_mutex_unlock(&m->change);
    if (result == 0)
        LOG(&lg, INFO, "successful mount: path=" STR_FMT " type=" STR_FMT, STR_ARG(full.path),
            STR_ARG(full.type));
    return result;
}

int mounts_tune(struct mounts *m, struct str full_path,
                int (*change)(void *, struct arena *, struct mount *, struct err *), void *ctx,
                struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_lock(&m->change);
    int result = -1;
    struct held *old = table_at(atomic_load(&m->table), full_path), *h = NULL;
    if (old == NULL) {
        err_set(err, ERR_NOT_FOUND, "no mount entry found");
    } else {
        struct mount copy = mount_entry_copy(a, &old->m);
        bool known;
        result = change(ctx, a, &copy, err);
        /* Another version of the engine (kv 1 to 2) is another backend over the same data. */
        if (result == 0
            && engine_of(m, copy.is_auth, copy.type, copy.options, &known) == old->m.engine) {
            h = held_revise(old, &copy, err);
        } else if (result == 0) {
            h = held_new(&copy, err);
            if (h != NULL && held_open(m, h, err) < 0) {
                held_drop(h);
                h = NULL;
            }
        }
        result = h == NULL ? -1 : replace(m, old, h, err);
        if (result == 0)
            sysview_update(m, h);
    }
    pthread_mutex_unlock(&m->change);
    return result;
}

static int taint(void *ctx, struct arena *a, struct mount *mount, struct err *err)
{
    mount->tainted = true;
    return 0;
}

int mounts_taint(struct mounts *m, struct str full_path, struct err *err)
{
    if (mounts_tune(m, full_path, taint, NULL, err) == 0)
        return 0;
    return err->code == ERR_NOT_FOUND ? 0 : -1;
}

int mounts_remove(struct mounts *m, struct str full_path, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_lock(&m->change);
    struct held *h = table_at(atomic_load(&m->table), full_path);
    int result = 0;
    if (h != NULL) {
        /* The data goes first: a crash leaves a tainted mount, which can be removed again. */
        struct str prefix = view_prefix(a, &h->m);
        result = arena_check(a, err);
        if (result == 0)
            result = storage_delete_tree(barrier_storage(m->parts.barrier), prefix, err);
        if (result == 0)
            result = replace(m, h, NULL, err);
    }
    pthread_mutex_unlock(&m->change);
    return result;
}

/* May the mount at ${from} go to ${to}?  ${moved} is what its entry will be. Under m->change. */
static int remount_check(struct mounts *m, struct arena *a, struct str from, struct str to,
                         struct held **old, struct mount *moved, struct err *err)
{
    struct mount source = { .path = from }, target = { .path = to };
    const struct table *t = atomic_load(&m->table);
    if (is_protected(&source))
        return err_set(err, ERR_BAD_REQUEST, "cannot remount \"" STR_FMT "\"", STR_ARG(from));
    if (is_protected(&target))
        return err_set(err, ERR_BAD_REQUEST, "cannot remount to \"" STR_FMT "\"", STR_ARG(to));
    *old = table_at(t, from);
    if (*old == NULL)
        return err_set(err, ERR_BAD_REQUEST, "no matching mount at \"" STR_FMT "\"", STR_ARG(from));
    *moved = mount_entry_copy(a, &(*old)->m);
    moved->path = to;
    moved->tainted = false;
    const struct held *other = conflict(t, moved);
    if (other != NULL)
        return err_set(err, ERR_BAD_REQUEST, "existing mount at \"" STR_FMT "\"",
                       STR_ARG(other->m.path));
    return arena_check(a, err);
}

int mounts_may_remount(struct mounts *m, struct str from, struct str to, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct mount moved;
    struct held *old;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_lock(&m->change);
    int result = remount_check(m, a, from, to, &old, &moved, err);
    pthread_mutex_unlock(&m->change);
    return result;
}

static int remount_locked(struct mounts *m, struct arena *a, struct str from, struct str to,
                          struct err *err)
{
    struct mount moved;
    struct held *old;
    TRY(remount_check(m, a, from, to, &old, &moved, err));
    struct held *h = held_new(&moved, err);
    if (h == NULL)
        return -1;
    if (held_open(m, h, err) < 0) {
        held_drop(h);
        return -1;
    }
    return replace(m, old, h, err);
}

int mounts_remount(struct mounts *m, struct str from, struct str to, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_lock(&m->change);
    int result = remount_locked(m, a, from, to, err);
    pthread_mutex_unlock(&m->change);
    return result;
}
