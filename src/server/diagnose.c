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
#include "server/cluster.h"
#include "server/diagnose_raft.h"
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

static void check_disk(struct session *s, struct diagnosis *parent)
{
    const struct config_storage *c = &s->config->storage;
    struct diagnosis *d = diagnosis_add(s->a, parent, "Check Disk Usage");
    struct str path = config_option(c->options, c->n_options, "path");
    struct statvfs v;
    if (path.n == 0) {
        diagnosis_found(d, DIAGNOSIS_SKIPPED, STR("The storage has no path."));
        return;
    }
    if (!space_at(s->a, path, &v)) {
        diagnosis_warn(s->a, d, arena_printf(s->a, "Disk usage of " STR_FMT " cannot be told: %s",
                                             STR_ARG(path), strerror(errno)));
        return;
    }
    uint64_t left = (uint64_t)v.f_bavail * v.f_frsize, all = (uint64_t)v.f_blocks * v.f_frsize;
    double percent = all == 0 ? 100 : 100.0 * (double)left / (double)all;
    struct str text = arena_printf(s->a, STR_FMT ": %.1f GiB (%.1f percent) free.", STR_ARG(path),
                                   (double)left / (1 << 30), percent);
    if (left >= LITTLE && percent >= 5) {
        diagnosis_found(d, DIAGNOSIS_OK, text);
        return;
    }
    diagnosis_warn(s->a, d, text);
    if (d != NULL)
        d->advice = STR("It is recommended to have at least 1 GiB and 5 percent of the partition "
                        "free.");
}

static void check_memory(struct session *s, struct diagnosis *parent)
{
    struct diagnosis *d = diagnosis_add(s->a, parent, "Check Memory Lock");
    struct err err = { 0 };
    if (s->config->disable_mlock)
        diagnosis_found(d, DIAGNOSIS_SKIPPED,
                        STR("disable_mlock is set: memory may be swapped out."));
    else if (secret_harden_process(true, &err) < 0)
        diagnosis_fail(s->a, d, &err, NULL);
    else
        diagnosis_found(d, DIAGNOSIS_OK, STR("Memory can be locked."));
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

static bool check_config(struct session *s, struct diagnosis *root)
{
    struct diagnosis *d = diagnosis_add(s->a, root, "Parse Configuration");
    struct err err = { 0 };
    if (read_config(s, &err) < 0 || assemble_check(s->config, &err) < 0) {
        diagnosis_fail(s->a, d, &err, NULL);
        return false;
    }
    diagnosis_found(d, DIAGNOSIS_OK, STR("Vault configuration syntax is ok."));
    for (size_t i = 0; i < s->config->warnings.n; i++)
        diagnosis_warn(s->a, d, s->config->warnings.v[i]);
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

static void check_access(struct session *s, struct diagnosis *parent, struct storage *storage)
{
    struct diagnosis *d = diagnosis_add(s->a, parent, "Check Storage Access");
    struct err err = { 0 };
    char id[37];
    random_uuid(id);
    struct str key = arena_printf(s->a, "diagnose/latency/%s", id);
    int64_t start = clock_mono_ns(&clock_system);
    if (try_storage(storage, key, &err) < 0) {
        diagnosis_fail(s->a, d, &err, NULL);
        return;
    }
    int64_t took = clock_mono_ns(&clock_system) - start;
    struct str text = arena_printf(s->a, "Writing, reading and deleting took %.1f ms.",
                                   (double)took / 1e6);
    if (took > SLOW_NS)
        diagnosis_warn(s->a, d, text);
    else
        diagnosis_found(d, DIAGNOSIS_OK, text);
}

static bool is_raft(const struct session *s)
{
    return str_is(s->config->storage.type, "raft");
}

static bool check_storage(struct session *s, struct diagnosis *root)
{
    struct diagnosis *d = diagnosis_add(s->a, root, "Check Storage");
    struct diagnosis *create = diagnosis_add(s->a, d, "Create Storage Backend");
    const struct config_storage *c = &s->config->storage;
    const struct storage_driver *driver = registry_storage(c->type);
    struct storage *storage;
    struct err err = { 0 };
    if (driver == NULL) {
        (void)err_set(&err, ERR_BAD_REQUEST, "Unknown storage type " STR_FMT, STR_ARG(c->type));
        diagnosis_fail(s->a, create, &err, NULL);
        return false;
    }
    if (is_raft(s))
        return diagnose_raft_storage(s->a, s->config, d, create);
    if (driver->open(c->options, c->n_options, &storage, &err) < 0) {
        diagnosis_fail(s->a, create, &err,
             err.code == ERR_CONFLICT ? "A server runs on it? Then -skip=storage." : NULL);
        return false;
    }
    struct diagnosis *lock = diagnosis_add(s->a, d, "Check Migration Lock");
    if (migration_check(storage, &err) < 0)
        diagnosis_fail(s->a, lock, &err, NULL);
    check_access(s, d, storage);
    storage_close(storage);
    return true;
}

/* ---- listeners ---- */

static void check_tls(struct session *s, struct diagnosis *parent, const struct config_listener *l,
                      const struct http_listener_config *http)
{
    struct diagnosis *d = diagnosis_add(s->a, parent, "Check Listener TLS");
    struct tls_site *site;
    struct err err = { 0 };
    if (l->type == CONFIG_UNIX) {
        diagnosis_found(d, DIAGNOSIS_SKIPPED, STR("A Unix socket has none."));
        return;
    }
    if (l->tls_disable) {
        diagnosis_warn(s->a, d, STR("TLS is disabled in a listener config stanza."));
        return;
    }
    if (tls_site_new(http, &site, &err) < 0) {
        diagnosis_fail(s->a, d, &err, NULL);
        return;
    }
    int64_t left = tls_site_expires_s(site) - clock_now_s(&clock_system);
    tls_site_free(site);
    if (left <= 0) {
        (void)err_set(&err, ERR_BAD_REQUEST, "the certificate in " STR_FMT " has expired",
                      STR_ARG(l->tls_cert_file));
        diagnosis_fail(s->a, d, &err, NULL);
    } else if (left < MONTH_S) {
        diagnosis_warn(s->a, d,
                       arena_printf(s->a, "The certificate in " STR_FMT " expires within a month.",
                                    STR_ARG(l->tls_cert_file)));
    } else {
        diagnosis_found(d, DIAGNOSIS_OK, STR("Certificate and key can be used together."));
    }
}

static void check_address(struct session *s, struct diagnosis *parent, const char *name,
                          const struct http_listener_config *http)
{
    struct diagnosis *d = diagnosis_add(s->a, parent, name);
    struct http_listener_config plain = *http;
    struct http_listener *listener;
    struct err err = { 0 };
    plain.tls_cert_file = STR(""); /* judged by the check before */
    if (listener_open(&plain, &listener, &err) < 0) {
        diagnosis_fail(s->a, d, &err,
                       "If the server runs, this is its own address: -skip=listener.");
        return;
    }
    diagnosis_found(d, DIAGNOSIS_OK,
                    arena_printf(s->a, STR_FMT " is free.", STR_ARG(http->address)));
    listener_free(listener);
}

static void check_listeners(struct session *s, struct diagnosis *root)
{
    struct diagnosis *d = diagnosis_add(s->a, root, "Start Listeners");
    struct err err = { 0 };
    if (s->config->n_listeners == 0) {
        (void)err_set(&err, ERR_BAD_REQUEST, "No listener is configured");
        diagnosis_fail(s->a, d, &err, NULL);
    }
    for (size_t i = 0; i < s->config->n_listeners; i++) {
        const struct config_listener *l = &s->config->listeners[i];
        struct http_listener_config http = assemble_listener(s->a, l);
        check_tls(s, d, l, &http);
        check_address(s, d, "Create Listener", &http);
        if (!is_raft(s) || l->type != CONFIG_TCP)
            continue;
        http.address = cluster_listener_addr(s->a, l);
        check_address(s, d, "Create Cluster Listener", &http);
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

static void check_encryption(struct session *s, struct diagnosis *root, struct seal *seal,
                             const char *name)
{
    struct diagnosis *d = diagnosis_add(s->a, root, name);
    struct err err = { 0 };
    if (seal == NULL) {
        diagnosis_found(d, DIAGNOSIS_SKIPPED, STR("Unsealing takes key shares."));
        return;
    }
    int64_t start = clock_mono_ns(&clock_system);
    if (try_seal(seal, &err) < 0) {
        diagnosis_fail(s->a, d, &err,
                       "Address, token, key name and mount path must be those of the server that "
                       "holds the key, and VAULT_TOKEN the one of the service.");
        return;
    }
    double took = (double)(clock_mono_ns(&clock_system) - start) / 1e6;
    diagnosis_found(d, DIAGNOSIS_OK,
                    arena_printf(s->a, "Encrypting and decrypting took %.1f ms.", took));
}

static void check_seals(struct session *s, struct diagnosis *root)
{
    struct diagnosis *d = diagnosis_add(s->a, root, "Create Vault Server Configuration Seals");
    struct seals seals = { 0 };
    struct err err = { 0 };
    if (seals_open(s->config, &seals, &err) < 0) {
        diagnosis_fail(s->a, d, &err,
                       "For assistance with the seal stanza, see the configuration's "
                       "documentation.");
        return;
    }
    check_encryption(s, root, seals.now, "Check Autounseal Encryption");
    if (seals.old != NULL)
        check_encryption(s, root, seals.old, "Check Autounseal Encryption of the Disabled Seal");
    seals_close(&seals);
}

/* ---- together ---- */

static void skip(struct session *s, struct diagnosis *root, const char *name)
{
    diagnosis_found(diagnosis_add(s->a, root, name), DIAGNOSIS_SKIPPED,
                    STR("As asked for by -skip."));
}

static bool run_checks(struct session *s, struct diagnosis *root)
{
    if (!check_config(s, root))
        return false;
    struct diagnosis *os = diagnosis_add(s->a, root, "Check Operating System");
    check_disk(s, os);
    check_memory(s, os);
    bool complete = true;
    if (is_raft(s))
        diagnose_raft_addresses(s->a, s->config, root);
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

struct diagnosis *diagnose_run(struct arena *a, const struct diagnose_request *request,
                              bool *complete)
{
    struct session s = { .a = a, .request = request };
    struct diagnosis *root = diagnosis_add(a, NULL, "Vault Diagnose");
    if (root == NULL)
        return NULL;
    *complete = run_checks(&s, root);
    config_free(s.config);
    (void)diagnosis_settle(root);
    return arena_failed(a) ? NULL : root;
}
