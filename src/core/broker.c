/* The audit broker: a snapshot of devices that every request writes to. */
#include "core/broker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "audit/record.h"
#include "base/epoch.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "core/mount.h"
#include "core/stored_table.h"

static const struct log lg = { "audit" };

#define HEADERS_KEY STR("sys/audited-headers-config/audited-headers")

/* An enabled device; shared by the snapshots that hold it. */
struct held {
    atomic_uint refs;
    struct arena *arena;
    struct broker_entry e;
    const struct device_kind *kind;
    pthread_mutex_t opening;  /* one thread opens it */
    _Atomic(void *) device;   /* NULL: it could not be opened yet */
    struct str salt;
    struct record_format format;
};

/* Immutable once published. */
struct devices {
    size_t n;
    struct held *v[];
};

/* Which request headers are written; immutable once published. */
struct headers {
    struct arena *arena;
    struct json *config; /* {"x-test":{"hmac":true}} */
};

struct broker {
    struct broker_parts parts;
    _Atomic(struct devices *) devices;
    _Atomic(struct headers *) headers;
    pthread_mutex_t change; /* one change at a time, its write included */
};

/* ---- life ---- */

static void held_drop(struct held *h)
{
    if (h == NULL || atomic_fetch_sub(&h->refs, 1) != 1)
        return;
    if (atomic_load(&h->device) != NULL)
        h->kind->close(atomic_load(&h->device));
    pthread_mutex_destroy(&h->opening);
    arena_free(h->arena);
    free(h);
}

static void devices_release(void *p)
{
    struct devices *d = p;
    for (size_t i = 0; d != NULL && i < d->n; i++)
        held_drop(d->v[i]);
    free(d);
}

static void headers_release(void *p)
{
    struct headers *h = p;
    if (h == NULL)
        return;
    arena_free(h->arena);
    free(h);
}

void broker_free(struct broker *b)
{
    if (b == NULL)
        return;
    devices_release(atomic_load(&b->devices));
    headers_release(atomic_load(&b->headers));
    pthread_mutex_destroy(&b->change);
    free(b);
}

static struct held *held_new(const struct broker_entry *e, struct err *err)
{
    struct held *h = calloc(1, sizeof *h);
    struct arena *a = arena_new();
    if (h == NULL || a == NULL) {
        free(h);
        arena_free(a);
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    atomic_init(&h->refs, 1);
    pthread_mutex_init(&h->opening, NULL);
    h->arena = a;
    h->e = (struct broker_entry){
        .path = arena_dup(a, e->path),
        .type = arena_dup(a, e->type),
        .description = arena_dup(a, e->description),
        .uuid = arena_dup(a, e->uuid),
        .accessor = arena_dup(a, e->accessor),
        .options = e->options == NULL ? json_object(a) : json_copy(a, e->options),
        .local = e->local,
    };
    if (arena_check(a, err) < 0) {
        held_drop(h);
        return NULL;
    }
    return h;
}

static bool option_on(const struct json *options, const char *name, bool otherwise)
{
    struct json *v = json_member(options, name);
    if (v == NULL)
        return otherwise;
    return v->type == JSON_BOOL ? v->truth : str_is(v->text, "true") || str_is(v->text, "1");
}

/* Read or make the device's salt. */
static int load_salt(struct broker *b, struct held *h, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    char uuid[37];
    struct str key = arena_printf(h->arena, "audit/" STR_FMT "/salt", STR_ARG(h->e.uuid));
    TRY(arena_check(h->arena, err));
    int found = storage_get(b->parts.storage, key, &text, err);
    if (found < 0)
        return -1;
    if (found == 0) {
        random_uuid(uuid);
        TRY(storage_put(b->parts.storage, key, str_of(uuid), err));
        buf_add(&text, str_of(uuid));
        explicit_bzero(uuid, sizeof uuid);
    }
    h->salt = arena_dup(h->arena, buf_str(&text));
    h->format = (struct record_format){
        .salt = h->salt,
        .prefix = json_get_str(h->e.options, "prefix"),
        .raw = option_on(h->e.options, "log_raw", false),
        .jsonx = str_is(json_get_str(h->e.options, "format"), "jsonx"),
        .hmac_accessor = option_on(h->e.options, "hmac_accessor", true),
        .elide_list = option_on(h->e.options, "elide_list_responses", false),
    };
    return arena_check(h->arena, err);
}

/* What kind is it, and can it do what its options say? */
static int held_settle(struct broker *b, struct held *h, struct err *err)
{
    struct str format = json_get_str(h->e.options, "format");
    for (size_t i = 0; b->parts.devices[i] != NULL; i++)
        if (str_is(h->e.type, b->parts.devices[i]->type))
            h->kind = b->parts.devices[i];
    if (h->kind == NULL)
        return err_set(err, ERR_BAD_REQUEST, "unknown backend type: \"" STR_FMT "\"",
                       STR_ARG(h->e.type));
    if (format.n > 0 && !str_is(format, "json") && !str_is(format, "jsonx"))
        return err_set(err, ERR_BAD_REQUEST, "unknown format type \"" STR_FMT "\"",
                       STR_ARG(format));
    return 0;
}

/* The opened device.  One that could not be opened before is tried again. */
static int held_device(struct held *h, void **out, struct err *err)
{
    int result = 0;
    *out = atomic_load(&h->device);
    if (*out != NULL)
        return 0;
    if (h->kind == NULL)
        return err_set(err, ERR_IO, "no such kind of device");
    pthread_mutex_lock(&h->opening);
    *out = atomic_load(&h->device);
    if (*out == NULL && (result = h->kind->open(h->e.options, out, err)) == 0)
        atomic_store(&h->device, *out);
    pthread_mutex_unlock(&h->opening);
    return result;
}

static struct devices *devices_revise(const struct devices *old, const struct held *leave_out,
                                      struct held *add, struct err *err)
{
    struct devices *d = malloc(sizeof *d + (old->n + 1) * sizeof d->v[0]);
    if (d == NULL) {
        held_drop(add);
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    d->n = 0;
    for (size_t i = 0; i < old->n; i++) {
        if (old->v[i] == leave_out)
            continue;
        atomic_fetch_add(&old->v[i]->refs, 1);
        d->v[d->n++] = old->v[i];
    }
    if (add != NULL)
        d->v[d->n++] = add;
    return d;
}

/* ---- stored tables ---- */

static struct json *row_of(struct arena *a, const struct broker_entry *e)
{
    struct json *row = json_object(a);
    json_put_text(row, "table", "audit");
    json_put_str(row, "path", e->path);
    json_put_str(row, "type", e->type);
    json_put_str(row, "description", e->description);
    json_put_str(row, "uuid", e->uuid);
    json_put_str(row, "backend_aware_uuid", e->uuid);
    json_put_str(row, "accessor", e->accessor);
    json_put_object(row, "config");
    json_put(row, "options", e->options == NULL ? json_null(a) : json_copy(a, e->options));
    json_put_bool(row, "local", e->local);
    json_put_bool(row, "seal_wrap", false);
    json_put_text(row, "namespace_id", "root");
    return row;
}

static int table_text(const struct devices *d, bool local, struct buf *packed, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct json *rows = json_array(a);
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i]->e.local == local)
            json_add(rows, row_of(a, &d->v[i]->e));
    return stored_table_pack(a, "audit", rows, packed, err);
}

static int tables_write(struct broker *b, const struct devices *d, struct err *err)
{
    AUTO(buf_free) struct buf shared = { 0 };
    AUTO(buf_free) struct buf local = { 0 };
    TRY(table_text(d, false, &shared, err));
    TRY(table_text(d, true, &local, err));
    struct storage_op ops[] = {
        { STORAGE_PUT, STR("core/audit"), buf_str(&shared) },
        { STORAGE_PUT, STR("core/local-audit"), buf_str(&local) },
    };
    return storage_commit(b->parts.storage, ops, ARRAY_LEN(ops), err);
}

static struct broker_entry entry_of(const struct json *row, bool local)
{
    return (struct broker_entry){
        .path = json_get_str(row, "path"),
        .type = json_get_str(row, "type"),
        .description = json_get_str(row, "description"),
        .uuid = json_get_str(row, "uuid"),
        .accessor = json_get_str(row, "accessor"),
        .options = json_is(json_member(row, "options"), JSON_OBJECT) ? json_member(row, "options")
                                                                     : NULL,
        .local = local,
    };
}

/* Open the devices of one stored table; 1 when it exists. */
static int table_read(struct broker *b, const char *key, bool local, struct devices **d,
                      struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *rows;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = stored_table_read(b->parts.storage, a, key, &rows, err);
    if (found <= 0)
        return found;
    for (const struct json *row = json_first(rows); row != NULL; row = row->next) {
        struct broker_entry e = entry_of(row, local);
        struct err why = { 0 };
        void *device;
        struct held *h = held_new(&e, err);
        if (h == NULL)
            return -1;
        /* A device may fail now and work later, but never without its salt: HMACs under no key
         * would give the hashed away. */
        if (load_salt(b, h, err) < 0) {
            held_drop(h);
            return -1;
        }
        if (held_settle(b, h, &why) < 0 || held_device(h, &device, &why) < 0)
            LOG(&lg, ERROR, "failed to open an audit device: path=" STR_FMT " error=%s",
                STR_ARG(e.path), why.msg);
        struct devices *more = devices_revise(*d, NULL, h, err);
        if (more == NULL)
            return -1;
        devices_release(*d);
        *d = more;
    }
    return 1;
}

static int load_devices(struct broker *b, struct err *err)
{
    struct devices *d = calloc(1, sizeof *d);
    if (d == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int shared = table_read(b, "core/audit", false, &d, err);
    int local = shared < 0 ? -1 : table_read(b, "core/local-audit", true, &d, err);
    int result = local < 0 ? -1 : 0;
    if (result == 0 && (shared == 0 || local == 0))
        result = tables_write(b, d, err);
    if (result < 0) {
        devices_release(d);
        return -1;
    }
    atomic_store(&b->devices, d);
    return 0;
}

static int load_headers(struct broker *b, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct headers *h = calloc(1, sizeof *h);
    if (h == NULL || (h->arena = arena_new()) == NULL) {
        free(h);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    int found = storage_get(b->parts.storage, HEADERS_KEY, &text, err);
    if (found > 0)
        found = json_parse(h->arena, arena_dup(h->arena, buf_str(&text)), &h->config, NULL, err);
    else if (found == 0)
        h->config = json_object(h->arena);
    if (found < 0) {
        headers_release(h);
        return -1;
    }
    epoch_retire(atomic_exchange(&b->headers, h), headers_release);
    return 0;
}

int broker_new(const struct broker_parts *parts, struct broker **out, struct err *err)
{
    struct broker *b = calloc(1, sizeof *b);
    if (b == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    b->parts = *parts;
    pthread_mutex_init(&b->change, NULL);
    if (load_devices(b, err) < 0 || load_headers(b, err) < 0) {
        broker_free(b);
        return -1;
    }
    *out = b;
    return 0;
}

/* ---- writing entries ---- */

bool broker_active(struct broker *b)
{
    return atomic_load(&b->devices)->n > 0;
}

static struct str lowered(struct arena *a, struct str s)
{
    char *p = arena_bytes(a, s.n);
    for (size_t i = 0; p != NULL && i < s.n; i++)
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
    return str_mem(p, p == NULL ? 0 : s.n);
}

/* The audited headers of the request, hashed for one device. */
static int audited_headers(struct broker *b, const struct held *h, const struct request *req,
                           struct arena *a, struct json **out, struct err *err)
{
    const struct json *config = atomic_load(&b->headers)->config;
    *out = json_object(a);
    for (size_t i = 0; i < req->n_headers && config->count > 0; i++) {
        struct str name = lowered(a, req->headers[i].name), value = req->headers[i].value;
        const struct json *setting = json_get(config, name);
        if (setting == NULL)
            continue;
        if (json_get_bool(setting, "hmac", false))
            TRY(record_hash(a, h->salt, value, &value, err));
        struct json *list = json_get(*out, name);
        if (list == NULL) {
            list = json_array(a);
            json_append(*out, name, list);
        }
        json_add_str(list, value);
    }
    return arena_check(a, err);
}

static struct record_caller caller_of(const struct request *req, const struct token_entry *e)
{
    if (e == NULL)
        return (struct record_caller){ 0 };
    return (struct record_caller){
        .known = true,
        .client_token = e->id,
        .accessor = e->accessor,
        .display_name = e->display_name,
        .entity_id = e->entity_id,
        .token_type = e->type == TOKEN_BATCH ? "batch" : "service",
        .policies = &req->policies,
        .token_policies = &e->policies,
        .metadata = e->meta,
        .ttl_s = e->ttl_s,
        .issued_s = e->created_s,
        .uses_left = e->num_uses > 0 ? e->num_uses - 1 : 0,
    };
}

static int write_one(struct broker *b, struct held *h, struct record *r, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf line = { 0 };
    void *device;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(held_device(h, &device, err));
    TRY(audited_headers(b, h, r->req, a, &r->headers, err));
    TRY(record_print(r, &h->format, a, &line, err));
    return h->kind->write(device, buf_str(&line), err);
}

static int write_all(struct broker *b, struct record *r, struct err *err)
{
    struct devices *d = atomic_load(&b->devices);
    struct err why = { 0 };
    size_t done = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (write_one(b, d->v[i], r, &why) == 0)
            done++;
        else
            LOG(&lg, ERROR, "an audit device failed: path=" STR_FMT " error=%s",
                STR_ARG(d->v[i]->e.path), why.msg);
    }
    if (d->n > 0 && done == 0)
        return err_set(err, ERR_INTERNAL, "no audit backend succeeded in logging the %s",
                       r->resp == NULL ? "request" : "response");
    return 0;
}

static void settle_mount(const struct request *req, struct record *r)
{
    const struct mount *m = req->mount;
    if (m == NULL)
        return;
    r->plain_request_keys = &m->audit_non_hmac_request_keys;
    r->plain_response_keys = &m->audit_non_hmac_response_keys;
    /* Vault keeps these stores' numbers as texts, and hashes them so. */
    r->hash_response_numbers =
        str_is(m->type, "cubbyhole") || (m->engine != NULL && str_is(m->type, "kv")
                                         && m->engine->version == 1);
}

int broker_log_request(struct broker *b, const struct request *req, const struct token_entry *e,
                       const struct err *failure, struct err *err)
{
    if (!broker_active(b))
        return 0;
    struct record_caller caller = caller_of(req, e);
    struct record r = { .req = req, .caller = &caller, .failure = failure,
                        .now_ns = clock_now_ns(b->parts.clock) };
    settle_mount(req, &r);
    int64_t start = metric_now_ns();
    int result = write_all(b, &r, err);
    metric_since(METRIC_AUDIT_LOG_REQUEST, start);
    if (result < 0)
        metric_count(METRIC_AUDIT_LOG_REQUEST_FAILURE, 1);
    return result;
}

int broker_log_response(struct broker *b, const struct request *req, const struct token_entry *e,
                        const struct response *resp, const struct err *failure, struct err *err)
{
    if (!broker_active(b))
        return 0;
    struct record_caller caller = caller_of(req, e);
    struct record r = { .req = req, .caller = &caller, .resp = resp, .failure = failure,
                        .now_ns = clock_now_ns(b->parts.clock) };
    settle_mount(req, &r);
    int64_t start = metric_now_ns();
    int result = write_all(b, &r, err);
    metric_since(METRIC_AUDIT_LOG_RESPONSE, start);
    if (result < 0)
        metric_count(METRIC_AUDIT_LOG_RESPONSE_FAILURE, 1);
    return result;
}

/* ---- sys/audit ---- */

int broker_list(struct broker *b, struct arena *a, struct broker_entry **out, size_t *n,
                struct err *err)
{
    struct devices *d = atomic_load(&b->devices);
    struct broker_entry *v = arena_array(a, d->n + 1, sizeof *v);
    TRY(arena_check(a, err));
    for (size_t i = 0; i < d->n; i++)
        v[i] = d->v[i]->e;
    *out = v;
    *n = d->n;
    return 0;
}

static struct held *find(const struct devices *d, struct str path)
{
    for (size_t i = 0; i < d->n; i++)
        if (str_eq(d->v[i]->e.path, path))
            return d->v[i];
    return NULL;
}

/* Write the tables, then show the new set. Under b->change. */
static int replace(struct broker *b, const struct held *leave_out, struct held *add,
                   struct err *err)
{
    struct devices *d = devices_revise(atomic_load(&b->devices), leave_out, add, err);
    if (d == NULL)
        return -1;
    if (tables_write(b, d, err) < 0) {
        devices_release(d);
        return -1;
    }
    epoch_retire(atomic_exchange(&b->devices, d), devices_release);
    return 0;
}

static int enable_locked(struct broker *b, const struct broker_entry *want, struct err *err)
{
    void *device;
    const struct devices *d = atomic_load(&b->devices);
    for (size_t i = 0; i < d->n; i++)
        if (str_starts(d->v[i]->e.path, want->path) || str_starts(want->path, d->v[i]->e.path))
            return err_set(err, ERR_BAD_REQUEST, "path already in use");
    struct held *h = held_new(want, err);
    if (h == NULL)
        return -1;
    if (held_settle(b, h, err) < 0 || held_device(h, &device, err) < 0
        || load_salt(b, h, err) < 0) {
        held_drop(h);
        return -1;
    }
    return replace(b, NULL, h, err);
}

int broker_enable(struct broker *b, const struct broker_entry *want, struct err *err)
{
    char uuid[37];
    unsigned char raw[4];
    struct broker_entry e = *want;
    random_uuid(uuid);
    random_fill(raw, sizeof raw);
    AUTO(buf_free) struct buf name = { 0 };
    buf_printf(&name, "audit_" STR_FMT "_%02x%02x%02x%02x", STR_ARG(e.type), raw[0], raw[1], raw[2],
               raw[3]);
    TRY(buf_check(&name, err));
    e.uuid = str_of(uuid);
    e.accessor = buf_str(&name);
    pthread_mutex_lock(&b->change);
    int result = enable_locked(b, &e, err);
    pthread_mutex_unlock(&b->change);
    if (result == 0)
        LOG(&lg, INFO, "enabled audit backend: path=" STR_FMT " type=" STR_FMT, STR_ARG(e.path),
            STR_ARG(e.type));
    return result;
}

int broker_disable(struct broker *b, struct str path, struct err *err)
{
    int result = 0;
    pthread_mutex_lock(&b->change);
    struct held *h = find(atomic_load(&b->devices), path);
    if (h != NULL) {
        /* The salt goes after the table: a table without its salt would hash anew. */
        AUTO(buf_free) struct buf key = { 0 };
        buf_printf(&key, "audit/" STR_FMT "/salt", STR_ARG(h->e.uuid));
        result = buf_check(&key, err);
        if (result == 0)
            result = replace(b, h, NULL, err);
        if (result == 0)
            result = storage_delete(b->parts.storage, buf_str(&key), err);
    }
    pthread_mutex_unlock(&b->change);
    return result;
}

int broker_hash(struct broker *b, struct arena *a, struct str path, struct str text,
                struct str *out, struct err *err)
{
    const struct held *h = find(atomic_load(&b->devices), path);
    if (h == NULL)
        return 0;
    return record_hash(a, h->salt, text, out, err) < 0 ? -1 : 1;
}

void broker_reload(struct broker *b)
{
    struct devices *d = atomic_load(&b->devices);
    for (size_t i = 0; i < d->n; i++) {
        struct err err = { 0 };
        void *device = atomic_load(&d->v[i]->device);
        if (device != NULL && d->v[i]->kind->reload(device, &err) < 0)
            LOG(&lg, ERROR, "failed to reopen an audit device: path=" STR_FMT " error=%s",
                STR_ARG(d->v[i]->e.path), err.msg);
    }
}

/* ---- audited headers ---- */

int broker_headers_list(struct broker *b, struct arena *a, struct json **out, struct err *err)
{
    *out = json_copy(a, atomic_load(&b->headers)->config);
    return arena_check(a, err);
}

static int headers_write(struct broker *b, const struct json *config, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    json_print(config, &text);
    buf_byte(&text, '\n');
    TRY(buf_check(&text, err));
    TRY(storage_put(b->parts.storage, HEADERS_KEY, buf_str(&text), err));
    return load_headers(b, err);
}

static int headers_change(struct broker *b, struct str name, const bool *hmac, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *config;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_lock(&b->change);
    int result = broker_headers_list(b, a, &config, err);
    if (result == 0 && hmac == NULL)
        json_remove(config, name);
    if (result == 0 && hmac != NULL) {
        struct json *setting = json_object(a);
        json_put_bool(setting, "hmac", *hmac);
        json_set(config, name, setting);
    }
    if (result == 0)
        result = arena_check(a, err);
    if (result == 0)
        result = headers_write(b, config, err);
    pthread_mutex_unlock(&b->change);
    return result;
}

int broker_header_set(struct broker *b, struct str name, bool hmac, struct err *err)
{
    return headers_change(b, name, &hmac, err);
}

int broker_header_remove(struct broker *b, struct str name, struct err *err)
{
    return headers_change(b, name, NULL, err);
}
