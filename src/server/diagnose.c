/* The checks of "operator diagnose", in the order in which a server needs what they look at. */
#include "server/diagnose.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/secret.h"
#include "net/listener.h"
#include "server/assemble.h"
#include "server/migration.h"
#include "server/registry.h"
#include "server/seals.h"

#define SLOW_NS   ((int64_t)100 * 1000000)
#define LITTLE    ((uint64_t)1 << 30) /* bytes free, as Vault recommends */
#define MONTH_S   ((int64_t)30 * 86400)

/* One run. */
struct session {
    struct arena *a;
    const struct diagnose_request *request;
    struct config *config;
};

const char *diagnose_status_name(enum diagnose_status status)
{
    static const char *const names[] = { [DIAGNOSE_OK] = "ok", [DIAGNOSE_SKIPPED] = "skipped",
                                         [DIAGNOSE_WARN] = "warn", [DIAGNOSE_FAIL] = "fail" };
    return names[status];
}

/* A check below ${parent}; a spare one that nobody sees when memory is out (the arena tells). */
static struct diagnose *check(struct session *s, struct diagnose *parent, const char *name)
{
    struct diagnose *d = arena_alloc(s->a, sizeof *d);
    if (d == NULL)
        return NULL;
    *d = (struct diagnose){ .name = str_of(name) };
    if (parent == NULL)
        return d;
    if (parent->last != NULL)
        parent->last->next = d;
    else
        parent->first = d;
    parent->last = d;
    return d;
}

static void found(struct diagnose *d, enum diagnose_status status, struct str message)
{
    if (d == NULL)
        return;
    if (status > d->status)
        d->status = status;
    d->message = message;
}

static void warn(struct session *s, struct diagnose *d, struct str text)
{
    if (d == NULL)
        return;
    strs_add(s->a, &d->warnings, arena_dup(s->a, text));
    if (d->status < DIAGNOSE_WARN)
        d->status = DIAGNOSE_WARN;
}

static void fail(struct session *s, struct diagnose *d, const struct err *err, const char *advice)
{
    found(d, DIAGNOSE_FAIL, arena_dup(s->a, err_text(err)));
    if (d != NULL && advice != NULL)
        d->advice = str_of(advice);
}

/* ---- operating system ---- */

/* The nearest part of the path that exists: the data's directory may be still to be made. */
static bool space_at(struct arena *a, struct str path, struct statvfs *out)
{
    char *z = arena_cstr(a, path);
    while (z != NULL && statvfs(z, out) < 0) {
        if (errno != ENOENT || strcmp(z, "/") == 0 || strcmp(z, ".") == 0)
            return false;
        z = dirname(z);
    }
    return z != NULL;
}

static void check_disk(struct session *s, struct diagnose *parent)
{
    const struct config_storage *c = &s->config->storage;
    struct diagnose *d = check(s, parent, "Check Disk Usage");
    struct str path = config_option(c->options, c->n_options, "path");
    struct statvfs v;
    if (path.n == 0) {
        found(d, DIAGNOSE_SKIPPED, STR("The storage has no path."));
        return;
    }
    if (!space_at(s->a, path, &v)) {
        warn(s, d, arena_printf(s->a, "Disk usage of " STR_FMT " cannot be told: %s",
                                STR_ARG(path), strerror(errno)));
        return;
    }
    uint64_t left = (uint64_t)v.f_bavail * v.f_frsize, all = (uint64_t)v.f_blocks * v.f_frsize;
    double percent = all == 0 ? 100 : 100.0 * (double)left / (double)all;
    struct str text = arena_printf(s->a, STR_FMT ": %.1f GiB (%.1f percent) free.", STR_ARG(path),
                                   (double)left / (1 << 30), percent);
    if (left >= LITTLE && percent >= 5) {
        found(d, DIAGNOSE_OK, text);
        return;
    }
    warn(s, d, text);
    if (d != NULL)
        d->advice = STR("It is recommended to have at least 1 GiB and 5 percent of the partition "
                        "free.");
}

static void check_memory(struct session *s, struct diagnose *parent)
{
    struct diagnose *d = check(s, parent, "Check Memory Lock");
    struct err err = { 0 };
    if (s->config->disable_mlock)
        found(d, DIAGNOSE_SKIPPED, STR("disable_mlock is set: memory may be swapped out."));
    else if (secret_harden_process(true, &err) < 0)
        fail(s, d, &err, NULL);
    else
        found(d, DIAGNOSE_OK, STR("Memory can be locked."));
}

/* ---- configuration ---- */

static const char *environment(void *ctx, const char *name)
{
    return getenv(name);
}

static int read_config(struct session *s, struct err *err)
{
    const struct strs *paths = &s->request->config_paths;
    TRY(config_new(&s->config, err));
    for (size_t i = 0; i < paths->n; i++)
        TRY(config_add_path(s->config, paths->v[i], err));
    TRY(config_add_env(s->config, environment, NULL, err));
    return config_finish(s->config, err);
}

static bool check_config(struct session *s, struct diagnose *root)
{
    struct diagnose *d = check(s, root, "Parse Configuration");
    struct err err = { 0 };
    if (read_config(s, &err) < 0 || assemble_check(s->config, &err) < 0) {
        fail(s, d, &err, NULL);
        return false;
    }
    found(d, DIAGNOSE_OK, STR("Vault configuration syntax is ok."));
    for (size_t i = 0; i < s->config->warnings.n; i++)
        warn(s, d, s->config->warnings.v[i]);
    return true;
}

/* ---- storage ---- */

/* Write, read and delete one entry of our own. */
static int try_storage(struct storage *storage, struct str key, struct err *err)
{
    AUTO(buf_free) struct buf back = { 0 };
    TRY(storage_put(storage, key, key, err));
    int there = storage_get(storage, key, &back, err);
    TRY(storage_delete(storage, key, err));
    if (there < 0)
        return -1;
    return there > 0 && str_eq(buf_str(&back), key)
               ? 0
               : err_set(err, ERR_CORRUPT, "storage gave back another value than was written");
}

static void check_access(struct session *s, struct diagnose *parent, struct storage *storage)
{
    struct diagnose *d = check(s, parent, "Check Storage Access");
    struct err err = { 0 };
    char id[37];
    random_uuid(id);
    struct str key = arena_printf(s->a, "diagnose/latency/%s", id);
    int64_t start = clock_mono_ns(&clock_system);
    if (try_storage(storage, key, &err) < 0) {
        fail(s, d, &err, NULL);
        return;
    }
    int64_t took = clock_mono_ns(&clock_system) - start;
    struct str text = arena_printf(s->a, "Writing, reading and deleting took %.1f ms.",
                                   (double)took / 1e6);
    if (took > SLOW_NS)
        warn(s, d, text);
    else
        found(d, DIAGNOSE_OK, text);
}

/* ---- storage "raft" ---- */

static bool is_raft(const struct session *s)
{
    return str_is(s->config->storage.type, "raft");
}

static void check_cluster_address(struct session *s, struct diagnose *root)
{
    struct diagnose *d = check(s, root, "Check Cluster Address");
    struct err err = { 0 };
    struct str address = s->config->cluster_addr;
    if (address.n == 0)
        (void)err_set(&err, ERR_BAD_REQUEST,
                      "Cluster address must be set when using raft storage");
    else if (!str_starts(address, STR("https://")) && !str_starts(address, STR("http://")))
        (void)err_set(&err, ERR_BAD_REQUEST, "cluster_addr: a URL expected, got \"" STR_FMT "\"",
                      STR_ARG(address));
    if (err.code != ERR_NONE)
        fail(s, d, &err, "cluster_addr is how the other nodes reach this one, as in "
                         "\"https://10.0.0.1:8201\".");
    else
        found(d, DIAGNOSE_OK, arena_dup(s->a, address));
}

/* 0: a folder that the server may use. */
static int look_at_folder(struct str path, const char *z, struct stat *st, struct err *err)
{
    if (path.n == 0 || z == NULL)
        return err_set(err, ERR_BAD_REQUEST, "Storage folder path is required.");
    if (stat(z, st) != 0)
        return err_set(err, ERR_IO, "%s: %s", z, strerror(errno));
    if (!S_ISDIR(st->st_mode))
        return err_set(err, ERR_BAD_REQUEST, "%s is not a folder", z);
    if (access(z, R_OK | W_OK | X_OK) != 0)
        return err_set(err, ERR_IO, "%s: %s", z, strerror(errno));
    return 0;
}

/* True when a node's data are in the folder. */
static bool check_folder(struct session *s, struct diagnose *parent)
{
    const struct config_storage *c = &s->config->storage;
    struct diagnose *d = check(s, parent, "Check Raft Folder Permissions");
    struct str path = config_option(c->options, c->n_options, "path");
    char *z = arena_cstr(s->a, path);
    struct stat st;
    struct err err = { 0 };
    if (look_at_folder(path, z, &st, &err) < 0) {
        fail(s, d, &err, "It must be there before a server starts, and be its user's own.");
        return false;
    }
    if ((st.st_mode & S_IRWXO) != 0)
        warn(s, d, arena_printf(s->a, "too many permissions: others may look into %s (mode %03o)",
                                z, (unsigned)st.st_mode & 0777));
    else
        found(d, DIAGNOSE_OK, arena_printf(s->a, "%s can be used.", z));
    struct str file = arena_printf(s->a, "%s/vault.db", z);
    return file.n > 0 && access(file.p, F_OK) == 0;
}

static bool check_storage(struct session *s, struct diagnose *root)
{
    struct diagnose *d = check(s, root, "Check Storage");
    struct diagnose *create = check(s, d, "Create Storage Backend");
    const struct config_storage *c = &s->config->storage;
    const struct storage_driver *driver = registry_storage(c->type);
    struct storage *storage;
    struct err err = { 0 };
    if (driver == NULL) {
        (void)err_set(&err, ERR_BAD_REQUEST, "Unknown storage type " STR_FMT, STR_ARG(c->type));
        fail(s, create, &err, NULL);
        return false;
    }
    if (is_raft(s) && !check_folder(s, d)) {
        found(create, DIAGNOSE_SKIPPED, STR("There are no data of a node yet."));
        return true;
    }
    if (driver->open(c->options, c->n_options, &storage, &err) < 0) {
        fail(s, create, &err,
             err.code == ERR_CONFLICT ? "A server runs on it? Then -skip=storage." : NULL);
        return false;
    }
    struct diagnose *lock = check(s, d, "Check Migration Lock");
    if (migration_check(storage, &err) < 0)
        fail(s, lock, &err, NULL);
    /* A write of our own would be an entry of the log, and of an empty node make a cluster. */
    if (!is_raft(s))
        check_access(s, d, storage);
    storage_close(storage);
    return true;
}

/* ---- listeners ---- */

static void check_tls(struct session *s, struct diagnose *parent, const struct config_listener *l,
                      const struct http_listener_config *http)
{
    struct diagnose *d = check(s, parent, "Check Listener TLS");
    struct tls_site *site;
    struct err err = { 0 };
    if (l->type == CONFIG_UNIX) {
        found(d, DIAGNOSE_SKIPPED, STR("A Unix socket has none."));
        return;
    }
    if (l->tls_disable) {
        warn(s, d, STR("TLS is disabled in a listener config stanza."));
        return;
    }
    if (tls_site_new(http, &site, &err) < 0) {
        fail(s, d, &err, NULL);
        return;
    }
    int64_t left = tls_site_expires_s(site) - clock_now_s(&clock_system);
    tls_site_free(site);
    if (left <= 0) {
        (void)err_set(&err, ERR_BAD_REQUEST, "the certificate in " STR_FMT " has expired",
                      STR_ARG(l->tls_cert_file));
        fail(s, d, &err, NULL);
    } else if (left < MONTH_S) {
        warn(s, d, arena_printf(s->a, "The certificate in " STR_FMT " expires within a month.",
                                STR_ARG(l->tls_cert_file)));
    } else {
        found(d, DIAGNOSE_OK, STR("Certificate and key can be used together."));
    }
}

static void check_address(struct session *s, struct diagnose *parent,
                          const struct http_listener_config *http)
{
    struct diagnose *d = check(s, parent, "Create Listener");
    struct http_listener_config plain = *http;
    struct http_listener *listener;
    struct err err = { 0 };
    plain.tls_cert_file = STR(""); /* judged by the check before */
    if (listener_open(&plain, &listener, &err) < 0) {
        fail(s, d, &err, "If the server runs, this is its own address: -skip=listener.");
        return;
    }
    found(d, DIAGNOSE_OK, arena_printf(s->a, STR_FMT " is free.", STR_ARG(http->address)));
    listener_free(listener);
}

static void check_listeners(struct session *s, struct diagnose *root)
{
    struct diagnose *d = check(s, root, "Start Listeners");
    struct err err = { 0 };
    if (s->config->n_listeners == 0) {
        (void)err_set(&err, ERR_BAD_REQUEST, "No listener is configured");
        fail(s, d, &err, NULL);
    }
    for (size_t i = 0; i < s->config->n_listeners; i++) {
        const struct config_listener *l = &s->config->listeners[i];
        struct http_listener_config http = assemble_listener(s->a, l);
        check_tls(s, d, l, &http);
        check_address(s, d, &http);
    }
}

/* ---- seals ---- */

/* What a start would ask of it: for another server this takes the way there and its token too. */
static int try_seal(struct seal *seal, struct err *err)
{
    AUTO(buf_free) struct buf entry = { 0 };
    AUTO(buf_free) struct buf back = { 0 };
    char text[37];
    random_uuid(text);
    if (seal_encrypt(seal, str_of(text), &entry, err) < 0)
        return err_prefix(err, "Error encrypting with seal barrier");
    if (seal_decrypt(seal, buf_str(&entry), &back, err) < 0)
        return err_prefix(err, "Error decrypting with seal barrier");
    return str_eq(buf_str(&back), str_of(text))
               ? 0
               : err_set(err, ERR_CORRUPT, "the seal gave back another text than was encrypted");
}

static void check_encryption(struct session *s, struct diagnose *root, struct seal *seal,
                             const char *name)
{
    struct diagnose *d = check(s, root, name);
    struct err err = { 0 };
    if (seal == NULL) {
        found(d, DIAGNOSE_SKIPPED, STR("Unsealing takes key shares."));
        return;
    }
    int64_t start = clock_mono_ns(&clock_system);
    if (try_seal(seal, &err) < 0) {
        fail(s, d, &err, "Address, token, key name and mount path must be those of the server "
                         "that holds the key, and VAULT_TOKEN the one of the service.");
        return;
    }
    double took = (double)(clock_mono_ns(&clock_system) - start) / 1e6;
    found(d, DIAGNOSE_OK, arena_printf(s->a, "Encrypting and decrypting took %.1f ms.", took));
}

static void check_seals(struct session *s, struct diagnose *root)
{
    struct diagnose *d = check(s, root, "Create Vault Server Configuration Seals");
    struct seals seals = { 0 };
    struct err err = { 0 };
    if (seals_open(s->config, &seals, &err) < 0) {
        fail(s, d, &err, "For assistance with the seal stanza, see the configuration's "
                         "documentation.");
        return;
    }
    check_encryption(s, root, seals.now, "Check Autounseal Encryption");
    if (seals.old != NULL)
        check_encryption(s, root, seals.old, "Check Autounseal Encryption of the Disabled Seal");
    seals_close(&seals);
}

/* ---- together ---- */

static void skip(struct session *s, struct diagnose *root, const char *name)
{
    found(check(s, root, name), DIAGNOSE_SKIPPED, STR("As asked for by -skip."));
}

/* A parent is as bad as its worst child; being skipped is no worse than ok. */
static enum diagnose_status settle(struct diagnose *d)
{
    for (struct diagnose *c = d->first; c != NULL; c = c->next) {
        enum diagnose_status status = settle(c);
        if (status > DIAGNOSE_SKIPPED && status > d->status)
            d->status = status;
    }
    return d->status;
}

static bool run_checks(struct session *s, struct diagnose *root)
{
    if (!check_config(s, root))
        return false;
    struct diagnose *os = check(s, root, "Check Operating System");
    check_disk(s, os);
    check_memory(s, os);
    bool complete = true;
    if (is_raft(s))
        check_cluster_address(s, root);
    if (s->request->skip_storage)
        skip(s, root, "Check Storage");
    else
        complete = check_storage(s, root);
    if (s->request->skip_autounseal)
        skip(s, root, "Check Autounseal Encryption");
    else
        check_seals(s, root);
    if (s->request->skip_listener)
        skip(s, root, "Start Listeners");
    else
        check_listeners(s, root);
    return complete;
}

struct diagnose *diagnose_run(struct arena *a, const struct diagnose_request *request,
                              bool *complete)
{
    struct session s = { .a = a, .request = request };
    struct diagnose *root = check(&s, NULL, "Vault Diagnose");
    if (root == NULL)
        return NULL;
    *complete = run_checks(&s, root);
    config_free(s.config);
    (void)settle(root);
    return arena_failed(a) ? NULL : root;
}
