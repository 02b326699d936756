/* Raftstore_open: options, folders and small files of the raft storage. */
#include "storage/raft/raftstore_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "codec/json.h"
#include "codec/timefmt.h"
#include "storage/folder.h"

static const struct log lg = { "storage.raft" };

/* ---- options ---- */

static int number_option(const struct storage_option *o, uint64_t least, uint64_t most,
                         uint64_t *out, struct err *err)
{
    if (str_to_u64(o->value, out) && *out >= least && *out <= most)
        return 0;
    return err_set(err, ERR_BAD_REQUEST, "storage raft: '" STR_FMT "' must be a whole number from "
                   "%llu to %llu, not '" STR_FMT "'", STR_ARG(o->name), (unsigned long long)least,
                   (unsigned long long)most, STR_ARG(o->value));
}

/* We take snapshots by the log's length, not by time; a typing error is told all the same. */
static int check_duration(const struct storage_option *o, struct err *err)
{
    int64_t ns;
    if (duration_parse(o->value, false, &ns, err) == 0 && ns >= 0)
        return 0;
    return err_set(err, ERR_BAD_REQUEST, "storage raft: '" STR_FMT "' must be a duration, not '"
                   STR_FMT "'", STR_ARG(o->name), STR_ARG(o->value));
}

static int copy_text(const struct storage_option *o, char *out, size_t size, struct err *err)
{
    if (o->value.n == 0 || o->value.n >= size || str_find_byte(o->value, 0) >= 0)
        return err_set(err, ERR_BAD_REQUEST, "storage raft: '" STR_FMT "' must have 1 to %zu "
                       "characters", STR_ARG(o->name), size - 1);
    memcpy(out, o->value.p, o->value.n);
    out[o->value.n] = 0;
    return 0;
}

static int read_option(struct raftstore *r, const struct storage_option *o, struct err *err)
{
    uint64_t v;
    if (str_is(o->name, "path"))
        return copy_text(o, r->path, sizeof r->path, err);
    if (str_is(o->name, "node_id"))
        return copy_text(o, r->id, sizeof r->id, err);
    if (str_is(o->name, "snapshot_interval"))
        return check_duration(o, err);
    if (str_is(o->name, "performance_multiplier")) {
        TRY(number_option(o, 0, 10, &v, err));
        r->multiplier = v == 0 ? 1 : (unsigned)v;
    } else if (str_is(o->name, "trailing_logs")) {
        TRY(number_option(o, 0, UINT32_MAX, &r->trailing, err));
    } else if (str_is(o->name, "snapshot_threshold")) {
        TRY(number_option(o, 1, UINT32_MAX, &r->threshold, err));
    } else if (str_is(o->name, "max_entry_size")) {
        TRY(number_option(o, 1024, 48 << 20, &v, err));
        r->max_entry = (size_t)v;
    }
    return 0;
}

/* As Vault's, these two win over what is configured. */
static int read_environment(struct raftstore *r, struct err *err)
{
    const struct storage_option o[] = {
        { STR_INIT("path"), str_of(getenv("VAULT_RAFT_PATH")) },
        { STR_INIT("node_id"), str_of(getenv("VAULT_RAFT_NODE_ID")) },
    };
    for (size_t i = 0; i < ARRAY_LEN(o); i++)
        if (o[i].value.n > 0)
            TRY(read_option(r, &o[i], err));
    return 0;
}

int raftstore_read_options(struct raftstore *r, const struct storage_option *options, size_t n,
                           struct err *err)
{
    char text[MEMBER_TEXT_MAX];
    r->multiplier = 1;
    r->trailing = 10000;
    r->threshold = 8192;
    r->max_entry = 1 << 20;
    for (size_t i = 0; i < n; i++)
        TRY(read_option(r, &options[i], err));
    TRY(read_environment(r, err));
    if (r->path[0] == 0)
        return err_set(err, ERR_BAD_REQUEST, "storage raft: 'path' must be set");
    if (r->id[0] != 0 && member_text(str_of(r->id), STR(""), text, err) < 0)
        return err_prefix(err, "storage raft: 'node_id'");
    return 0;
}

/* ---- folders and files ---- */

static int path_in(char out[PATH_MAX], const char *dir, const char *name, struct err *err)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    if (n > 0 && n < PATH_MAX)
        return 0;
    return err_set(err, ERR_BAD_REQUEST, "storage raft: 'path' is too long");
}

static int io_failed(const char *what, const char *path, struct err *err)
{
    return err_set(err, ERR_IO, "raft: %s %s: %s", what, path, strerror(errno));
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static int sync_folder(const char *dir, struct err *err)
{
    AUTO(close_fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? 0 : io_failed("sync", dir, err);
}

/* Whole or not at all. */
static int write_file(struct raftstore *r, const char *name, struct str text, struct err *err)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    TRY(path_in(path, r->raft_dir, name, err));
    TRY(path_in(fresh, r->raft_dir, "new", err));
    AUTO(close_fd) int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n || fsync(fd) < 0 ||
        rename(fresh, path) < 0)
        return io_failed("write", path, err);
    return sync_folder(r->raft_dir, err);
}

/* 1 and its text, 0 there is none. */
static int read_file(struct raftstore *r, const char *name, struct buf *out, struct err *err)
{
    char path[PATH_MAX], part[4096];
    ssize_t n;
    TRY(path_in(path, r->raft_dir, name, err));
    AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : io_failed("open", path, err);
    while ((n = read(fd, part, sizeof part)) > 0)
        buf_add(out, str_mem(part, (size_t)n));
    if (n < 0)
        return io_failed("read", path, err);
    TRY(buf_check(out, err));
    return 1;
}

int raftstore_find_id(struct raftstore *r, bool may_make, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    char made[37], member[MEMBER_TEXT_MAX];
    if (r->id[0] != 0)
        return 0;
    int found = read_file(r, "node_id", &text, err);
    TRY(found);
    if (found == 0 && !may_make)
        return 0;
    if (found == 0) {
        random_uuid(made);
        TRY(write_file(r, "node_id", str_of(made), err));
        buf_add(&text, str_of(made));
    }
    struct str id = str_trim(buf_str(&text));
    if (member_text(id, STR(""), member, err) < 0)
        return err_prefix(err, "raft/node_id");
    memcpy(r->id, id.p, id.n);
    return 0;
}

int raftstore_name_folders(struct raftstore *r, struct err *err)
{
    TRY(path_in(r->raft_dir, r->path, "raft", err));
    return path_in(r->snapshots, r->raft_dir, "snapshots", err);
}

static int make_folders(struct raftstore *r, struct err *err)
{
    int root;
    TRY(folder_open_root(r->path, &root, err));
    folder_close(&root);
    TRY(raftstore_name_folders(r, err));
    if (mkdir(r->raft_dir, 0700) < 0 && errno != EEXIST)
        return io_failed("mkdir", r->raft_dir, err);
    return sync_folder(r->path, err);
}

int raftstore_make_folders(struct raftstore *r, struct err *err)
{
    if (make_folders(r, err) < 0)
        return err_prefix(err, "storage raft: 'path' must be a directory in which the "
                               "server's user may write");
    return raftstore_find_id(r, true, err);
}

void raftstore_note_removed(struct raftstore *r)
{
    struct err err = { 0 };
    atomic_store(&r->removed, true);
    if (write_file(r, "removed", STR("this node was removed from its cluster\n"), &err) < 0)
        LOG(&lg, WARN, "that this node was removed could not be noted: error=%s", err.msg);
}

bool raftstore_was_removed(struct raftstore *r)
{
    char path[PATH_MAX];
    struct err err;
    return path_in(path, r->raft_dir, "removed", &err) == 0 && access(path, F_OK) == 0;
}

/* ---- peers.json ---- */

static int bad_peers(struct err *err, size_t at, const char *what)
{
    return err_set(err, ERR_BAD_REQUEST, "raft/peers.json: entry %zu: %s", at + 1, what);
}

static int add_peer(const struct json *v, size_t at, struct raft_configuration *out,
                    struct err *err)
{
    char text[MEMBER_TEXT_MAX];
    struct str id = json_get_str(v, "id"), addr = json_get_str(v, "address");
    if (!json_is(v, JSON_OBJECT))
        return bad_peers(err, at, "is no object with \"id\" and \"address\"");
    if (id.n == 0)
        return bad_peers(err, at, "\"id\" is missing");
    if (addr.n == 0 || str_rfind_byte(addr, ':') < 1)
        return bad_peers(err, at, "\"address\" must be host:port of the node's cluster port");
    if (member_text(id, addr, text, err) < 0)
        return err_prefix(err, "raft/peers.json: entry %zu", at + 1);
    for (unsigned i = 0; i < out->n; i++) {
        struct str other, other_addr;
        member_parts(out->servers[i].address, &other, &other_addr);
        if (str_eq(other, id))
            return bad_peers(err, at, "\"id\" stands there twice");
        if (str_eq(other_addr, addr))
            return bad_peers(err, at, "\"address\" stands there twice");
    }
    int role = json_get_bool(v, "non_voter", false) ? RAFT_STANDBY : RAFT_VOTER;
    return raft_configuration_add(out, member_number(id), text, role) == 0
               ? 0
               : bad_peers(err, at, "cannot be told from another");
}

static int read_list(struct raftstore *r, const struct json *list, struct raft_configuration *out,
                     struct err *err)
{
    size_t at = 0;
    if (!json_is(list, JSON_ARRAY) || list->count == 0)
        return err_set(err, ERR_BAD_REQUEST, "raft/peers.json: must be a list of nodes");
    for (const struct json *v = json_first(list); v != NULL; v = v->next)
        TRY(add_peer(v, at++, out, err));
    const struct raft_server *me = member_of(out, member_number(str_of(r->id)));
    if (me == NULL)
        return err_set(err, ERR_BAD_REQUEST, "raft/peers.json: this node, \"%s\", is not in it",
                       r->id);
    if (member_voters(out) == 0)
        return err_set(err, ERR_BAD_REQUEST, "raft/peers.json: none of the nodes is a voter");
    return 1;
}

int raftstore_read_peers(struct raftstore *r, struct raft_configuration *out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *list;
    raft_configuration_init(out);
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    int found = read_file(r, "peers.json", &text, err);
    if (found <= 0)
        return found;
    if (json_parse_all(a, buf_str(&text), &list, err) < 0)
        return err_prefix(err, "raft/peers.json");
    found = read_list(r, list, out, err);
    if (found < 0)
        member_clear(out);
    return found;
}

int raftstore_shelve_peers(struct raftstore *r, struct err *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    TRY(path_in(from, r->raft_dir, "peers.json", err));
    TRY(path_in(to, r->raft_dir, "peers.info", err));
    if (rename(from, to) < 0)
        return io_failed("rename", from, err);
    return sync_folder(r->raft_dir, err);
}
