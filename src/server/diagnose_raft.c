/* The checks of storage "raft". */
#include "server/diagnose_raft.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/reach.h"
#include "server/cluster.h"
#include "server/migration.h"

enum { REACH_MS = 3000, MANY_VOTERS = 7 };

/* One look at a node. */
struct look {
    struct arena *a;
    const struct config *config;
    struct str api, addr; /* its own */
    struct raftstore_peek node;
};

/* ---- addresses ---- */

static int judge_address(struct str addr, struct err *err)
{
    if (cluster_is_wildcard(addr))
        return err_set(err, ERR_BAD_REQUEST, STR_FMT " is everybody's address: no other node "
                       "reaches this one by it", STR_ARG(addr));
    return reach_resolve(addr, err);
}

void diagnose_raft_addresses(struct arena *a, const struct config *config, struct diagnosis *root)
{
    struct diagnosis *d = diagnosis_add(a, root, "Check Cluster Address");
    struct err err = { 0 };
    struct str api, addr;
    if (cluster_addresses(config, a, &api, &addr, &err) < 0 || judge_address(addr, &err) < 0)
        diagnosis_fail(a, d, &err, "cluster_addr is how the other nodes reach this one, as in "
                                   "\"https://10.0.0.1:8201\".");
    else if (config->cluster_addr.n == 0)
        diagnosis_warn(a, d, arena_printf(a, "cluster_addr is not set; " STR_FMT " is taken, from "
                                          "the listener.", STR_ARG(addr)));
    else
        diagnosis_found(d, DIAGNOSIS_OK, arena_dup(a, addr));
}

/* ---- folder and files ---- */

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

static struct str folder_path(const struct config *config)
{
    return config_option(config->storage.options, config->storage.n_options, "path");
}

static bool check_folder(struct look *l, struct diagnosis *parent, struct stat *st)
{
    struct diagnosis *d = diagnosis_add(l->a, parent, "Check Raft Folder Permissions");
    struct str path = folder_path(l->config);
    char *z = arena_cstr(l->a, path);
    struct err err = { 0 };
    if (look_at_folder(path, z, st, &err) < 0) {
        diagnosis_fail(l->a, d, &err, "It must be there, and be the own of the user that the "
                                      "server runs as.");
        return false;
    }
    if ((st->st_mode & S_IRWXO) != 0)
        diagnosis_warn(l->a, d, arena_printf(l->a, "too many permissions: others may look into %s "
                                             "(mode %03o)", z, (unsigned)st->st_mode & 0777));
    else
        diagnosis_found(d, DIAGNOSIS_OK, arena_printf(l->a, "%s can be used.", z));
    return true;
}

/* 1: it is there and can be used. */
static int check_file(struct look *l, struct diagnosis *d, const struct stat *folder,
                      const char *name)
{
    struct stat st;
    struct err err = { 0 };
    struct str z = arena_printf(l->a, STR_FMT "/%s", STR_ARG(folder_path(l->config)), name);
    if (z.n == 0 || (stat(z.p, &st) != 0 && errno == ENOENT))
        return 0;
    if (access(z.p, S_ISDIR(st.st_mode) ? R_OK | W_OK | X_OK : R_OK | W_OK) != 0) {
        (void)err_set(&err, ERR_IO, "%s: %s", z.p, strerror(errno));
        diagnosis_fail(l->a, d, &err, "All files must be the own of the user that the server runs "
                                      "as.");
        return 0;
    }
    if (st.st_uid != folder->st_uid)
        diagnosis_warn(l->a, d, arena_printf(l->a, "%s is another user's than the folder it is "
                                             "in: was the server run as root once?", z.p));
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        diagnosis_warn(l->a, d, arena_printf(l->a, "too many permissions: %s (mode %03o)", z.p,
                                             (unsigned)st.st_mode & 0777));
    return 1;
}

static void check_files(struct look *l, struct diagnosis *parent, const struct stat *folder)
{
    static const char *const names[] = { "vault.db", "vault.db-lock", "vault.db-owner", "raft",
                                         "raft/raft.db", "raft/node_id", "raft/snapshots" };
    struct diagnosis *d = diagnosis_add(l->a, parent, "Check Raft Files");
    int n = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        n += check_file(l, d, folder, names[i]);
    if (d != NULL && d->status == DIAGNOSIS_OK)
        d->message = n > 0 ? STR("They can be read and written.") : STR("There are none yet.");
}

/* ---- the cluster ---- */

static void check_quorum(struct look *l, struct diagnosis *parent)
{
    struct diagnosis *d = diagnosis_add(l->a, parent, "Check For Raft Quorum");
    const struct raft_members *m = &l->node.members;
    size_t voters = 0;
    for (size_t i = 0; i < m->n; i++)
        voters += m->v[i].voter;
    if (voters == 1)
        diagnosis_warn(l->a, d, STR("Only one server node found. Vault is not running in high "
                                    "availability mode."));
    else if (voters % 2 == 0)
        diagnosis_warn(l->a, d, arena_printf(l->a, "%zu voters found. Please ensure that Vault has "
                                             "access to an odd number of voter nodes.", voters));
    else if (voters > MANY_VOTERS)
        diagnosis_warn(l->a, d, arena_printf(l->a, "Very large cluster detected: %zu voters "
                                             "found.", voters));
    else
        diagnosis_found(d, DIAGNOSIS_OK,
                        arena_printf(l->a, "Voter quorum exists: %zu voters.", voters));
}

static void check_self(struct look *l, struct diagnosis *d, const struct raft_member *me)
{
    struct err err = { 0 };
    if (me == NULL) {
        (void)err_set(&err, ERR_CONFLICT, "This node, \"%s\", is not among the members whose data "
                      "it has.", l->node.id);
        diagnosis_fail(l->a, d, &err, "Was its node_id changed? Then set it to what it was.");
    } else if (!str_eq(str_of(me->addr), l->addr)) {
        diagnosis_warn(l->a, d, arena_printf(l->a, "The others know this node at %s; they are told "
                                             "of " STR_FMT " when it is started.", me->addr,
                                             STR_ARG(l->addr)));
    }
}

static void check_member(struct look *l, struct diagnosis *parent, const struct raft_member *m)
{
    struct diagnosis *d = diagnosis_add(l->a, parent, m->id);
    struct err err = { 0 };
    if (str_eq(str_of(m->addr), l->addr)) {
        (void)err_set(&err, ERR_CONFLICT, "%s is the cluster_addr of this node too.", m->addr);
        diagnosis_fail(l->a, d, &err, "Each node has its own; correct this node's.");
    } else if (reach_connect(str_of(m->addr), REACH_MS, &err) < 0) {
        diagnosis_warn(l->a, d, arena_printf(l->a, "%s cannot be reached: %s", m->addr, err.msg));
    } else {
        diagnosis_found(d, DIAGNOSIS_OK, arena_printf(l->a, "%s can be reached%s.", m->addr,
                                                      m->voter ? "" : ", has no vote"));
    }
}

static void check_members(struct look *l, struct diagnosis *parent)
{
    struct diagnosis *d = diagnosis_add(l->a, parent, "Check Raft Members");
    const struct raft_members *m = &l->node.members;
    const struct raft_member *me = NULL;
    for (size_t i = 0; i < m->n; i++) {
        if (m->v[i].self)
            me = &m->v[i];
        else
            check_member(l, d, &m->v[i]);
    }
    check_self(l, d, me);
}

static void check_removed(struct look *l, struct diagnosis *parent)
{
    struct diagnosis *d = diagnosis_add(l->a, parent, "Check Raft Membership");
    struct err err = { 0 };
    (void)err_set(&err, ERR_STANDBY, "This node has been removed from its cluster.");
    diagnosis_fail(l->a, d, &err, "To let it join again, empty its folder.");
}

static void check_peers_file(struct look *l, struct diagnosis *parent)
{
    const struct raft_members *m = &l->node.peers;
    if (!l->node.has_peers && l->node.bad_peers.code == ERR_NONE)
        return;
    struct diagnosis *d = diagnosis_add(l->a, parent, "Check Raft Peers File");
    if (!l->node.has_peers) {
        diagnosis_fail(l->a, d, &l->node.bad_peers, NULL);
        return;
    }
    struct str names = STR("");
    for (size_t i = 0; i < m->n; i++)
        names = arena_printf(l->a, STR_FMT "%s%s (%s)", STR_ARG(names), i > 0 ? ", " : "",
                             m->v[i].id, m->v[i].addr);
    diagnosis_warn(l->a, d, arena_printf(l->a, "raft/peers.json is there: the next start makes "
                                         "these the only members: " STR_FMT, STR_ARG(names)));
}

/* ---- retry_join ---- */

/* host:port of a URL, with the scheme's port when it has none. */
static struct str url_address(struct arena *a, struct str url)
{
    struct str addr = cluster_host_port(url);
    ptrdiff_t colon = str_rfind_byte(addr, ':'), bracket = str_rfind_byte(addr, ']');
    if (colon > bracket)
        return addr;
    return arena_printf(a, STR_FMT ":%d", STR_ARG(addr),
                        str_starts(url, STR("https://")) ? 443 : 80);
}

static bool check_target_files(struct look *l, struct diagnosis *d, const struct join_target *t)
{
    const struct str files[] = { t->ca_cert_file, t->client_cert_file, t->client_key_file };
    struct err err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char *z = arena_cstr(l->a, files[i]);
        if (files[i].n == 0 || z == NULL || access(z, R_OK) == 0)
            continue;
        (void)err_set(&err, ERR_IO, "%s: %s", z, strerror(errno));
        diagnosis_fail(l->a, d, &err, NULL);
        return false;
    }
    return true;
}

static void check_target(struct look *l, struct diagnosis *parent, const struct join_target *t)
{
    struct diagnosis *d = diagnosis_add(l->a, parent, arena_cstr(l->a, t->api_addr));
    struct err err = { 0 };
    if (!check_target_files(l, d, t))
        return;
    if (str_eq(t->api_addr, l->api))
        diagnosis_found(d, DIAGNOSIS_SKIPPED, STR("This is the node itself."));
    else if (reach_connect(url_address(l->a, t->api_addr), REACH_MS, &err) < 0)
        diagnosis_warn(l->a, d, arena_printf(l->a, "cannot be reached: %s", err.msg));
    else
        diagnosis_found(d, DIAGNOSIS_OK, STR("can be reached."));
}

static void check_targets(struct look *l, struct diagnosis *parent)
{
    struct join_target *targets;
    struct err err = { 0 };
    size_t n;
    if (cluster_targets(l->config, l->a, &targets, &n, &err) < 0 || n == 0)
        return;
    struct diagnosis *d = diagnosis_add(l->a, parent, "Check Retry Join");
    if (l->node.has_cluster)
        diagnosis_found(d, DIAGNOSIS_OK, STR("Passed over: the node has joined."));
    for (size_t i = 0; i < n; i++)
        check_target(l, d, &targets[i]);
}

/* ---- together ---- */

static void check_cluster(struct look *l, struct diagnosis *parent, struct diagnosis *create)
{
    struct err err = { 0 };
    if (l->node.value.n > 0 && migration_locked(l->node.value, &err) < 0)
        diagnosis_fail(l->a, diagnosis_add(l->a, parent, "Check Migration Lock"), &err, NULL);
    if (l->node.removed)
        check_removed(l, parent);
    if (!l->node.has_cluster) {
        diagnosis_found(create, DIAGNOSIS_OK, STR("This node belongs to no cluster yet."));
        return;
    }
    if (l->node.waits) {
        diagnosis_warn(l->a, create, STR("This node waits for the store of its cluster's leader."));
        return;
    }
    diagnosis_found(create, DIAGNOSIS_OK,
                    arena_printf(l->a, "Node \"%s\" has what its cluster wrote up to entry %llu.",
                                 l->node.id, (unsigned long long)l->node.applied));
    check_quorum(l, parent);
    check_members(l, parent);
}

bool diagnose_raft_storage(struct arena *a, const struct config *config, struct diagnosis *parent,
                           struct diagnosis *create)
{
    struct look l = { .a = a, .config = config };
    const struct config_storage *c = &config->storage;
    struct stat folder;
    struct err err = { 0 }, unknown = { 0 };
    if (cluster_addresses(config, a, &l.api, &l.addr, &unknown) < 0)
        l.addr = STR(""); /* told by the check of the addresses */
    int found = 0;
    if (check_folder(&l, parent, &folder)) {
        check_files(&l, parent, &folder);
        found = raftstore_peek(c->options, c->n_options, MIGRATION_LOCK, a, &l.node, &err);
    }
    if (found < 0)
        diagnosis_fail(a, create, &err, err.code == ERR_CONFLICT
                                            ? "A server runs on it? Then -skip=storage."
                                            : NULL);
    else if (found == 0)
        diagnosis_found(create, DIAGNOSIS_SKIPPED, STR("There are no data of a node yet."));
    else
        check_cluster(&l, parent, create);
    check_peers_file(&l, parent);
    check_targets(&l, parent);
    return found >= 0;
}
