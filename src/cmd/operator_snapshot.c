/* Operator_snapshot: "operator raft snapshot": a cluster's data to a file, back, and looked at. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/file.h"
#include "cmd/output.h"
#include "cmd/partfile.h"
#include "cmd/tally.h"
#include "storage/raft/archive.h"

const struct command command_operator_raft_snapshot = {
    .name = "operator raft snapshot",
    .usage = "operator raft snapshot <subcommand> [options] [args]",
    .summary = "Restores, saves and inspects snapshots of the Raft cluster",
    .help = "  Saves all data of the cluster to a file, and brings it back.\n\n"
            "      $ vault operator raft snapshot save backup.snap\n"
            "      $ vault operator raft snapshot inspect backup.snap\n"
            "      $ vault operator raft snapshot restore backup.snap",
};

/* The one argument. false: said so, the command ends with 1. */
static bool file_argument(const struct command_run *run, const char *if_empty, struct str *path)
{
    if (run->n_args != 1) {
        command_warn(run, "Incorrect arguments (expected 1, got %zu)", run->n_args);
        return false;
    }
    *path = str_trim(str_of(run->args[0]));
    if (path->n == 0)
        command_warn(run, "%s", if_empty);
    return path->n > 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* A transfer takes as long as it takes; a server that vanished is noticed without a limit. */
static int client_without_limit(struct command_run *run)
{
    struct coffer *client;
    if (api_client(run, &client) < 0)
        return -1;
    coffer_set_timeout(client, -1);
    return 0;
}

/* ---- save ---- */

static int to_file(void *ctx, const char *part, size_t len)
{
    return partfile_add(ctx, str_mem(part, len));
}

/* Only what is whole may bear the name: a transfer can end early without an error. */
static int check_and_finish(struct command_run *run, struct partfile *f, struct err *err)
{
    struct archive_meta meta;
    if (archive_check(f->fd, run->arena, NULL, NULL, &meta, err) < 0)
        return err_prefix(err, "what came is not a whole snapshot");
    return partfile_finish(f, err);
}

static int save_run(struct command_run *run)
{
    AUTO(partfile_drop) struct partfile f = { .fd = -1 };
    struct api_answer answer;
    struct err err = { 0 };
    struct str path;
    if (!file_argument(run, "Output file name is required", &path))
        return 1;
    if (client_without_limit(run) < 0)
        return 2;
    if (!run->curl_only && partfile_open(run->arena, path, &f, &err) < 0)
        return command_fail(run, 2, "Error taking the snapshot: %s", err.msg);
    const struct api_call call = { .method = "GET", .path = "sys/storage/raft/snapshot",
                                   .sink = to_file, .sink_ctx = &f };
    int rc = api_send(run, &call, &answer);
    if (run->curl_only)
        return 2;
    if (f.failed != 0)
        return command_fail(run, 2, "Error taking the snapshot: write " STR_FMT ": %s",
                            STR_ARG(path), strerror(f.failed));
    if (rc < 0)
        return command_fail(run, 2, "Error taking the snapshot: " STR_FMT, STR_ARG(answer.error));
    if (check_and_finish(run, &f, &err) < 0)
        return command_fail(run, 2, "Error taking the snapshot: %s", err.msg);
    return 0;
}

const struct command command_operator_raft_snapshot_save = {
    .name = "operator raft snapshot save",
    .usage = "operator raft snapshot save [options] SNAPSHOT_FILE",
    .summary = "Saves a snapshot of the current state of the Raft cluster into a file",
    .help = "  Saves all data, as encrypted as it is stored, to a file. The file gets its name "
            "when all\n"
            "  of it has come and its checksums are right; until then it is called "
            "SNAPSHOT_FILE.part.*\n\n"
            "      $ vault operator raft snapshot save backup.snap",
    .run = save_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};

/* ---- restore ---- */

static const struct flag restore_flags[] = {
    { .name = "force", .kind = FLAG_BOOL,
      .help = "Also a snapshot of another cluster, whose shares are then needed to unseal." },
};

static int from_file(void *ctx, uint64_t offset, char *to, size_t len)
{
    for (size_t n = 0; n < len;) {
        ssize_t got = pread(*(int *)ctx, to + n, len - n, (off_t)(offset + n));
        if (got == 0 || (got < 0 && errno != EINTR))
            return -1;
        n += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

/* What cannot be read twice, a pipe, is kept in a nameless file for the time of the command. */
static int keep_copy(int *fd, struct err *err)
{
    char part[64 * 1024];
    AUTO(close_fd) int from = *fd;
    TRY(file_temporary(fd, err));
    struct partfile copy = { .fd = *fd };
    for (ssize_t n; (n = read(from, part, sizeof part)) != 0;) {
        if (n < 0 && errno != EINTR)
            return err_set(err, ERR_IO, "read: %s", strerror(errno));
        if (n > 0 && partfile_add(&copy, str_mem(part, (size_t)n)) < 0)
            return err_set(err, ERR_IO, "write: %s", strerror(copy.failed));
    }
    return 0;
}

/* An open file that can be read at any place. */
static int open_snapshot(struct command_run *run, struct str path, int *fd, uint64_t *size,
                         struct err *err)
{
    struct stat st;
    const char *name = arena_cstr(run->arena, path);
    TRY(arena_check(run->arena, err));
    *fd = open(name, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &st) != 0)
        return file_fail(err, "open", name);
    if (S_ISDIR(st.st_mode))
        return err_set(err, ERR_IO, "open %s: is a directory", name);
    if (!S_ISREG(st.st_mode) && keep_copy(fd, err) < 0)
        return err_prefix(err, "%s", name);
    if (fstat(*fd, &st) != 0)
        return file_fail(err, "open", name);
    *size = (uint64_t)st.st_size;
    return *size > 0 ? 0 : err_set(err, ERR_BAD_REQUEST, "%s is empty", name);
}

static int restore_run(struct command_run *run)
{
    AUTO(close_fd) int fd = -1;
    struct api_answer answer;
    struct err err = { 0 };
    struct str path;
    uint64_t size;
    if (!file_argument(run, "Snapshot file name is required", &path))
        return 1;
    if (open_snapshot(run, path, &fd, &size, &err) < 0)
        return command_fail(run, 2, "Error opening snapshot file: %s", err.msg);
    if (client_without_limit(run) < 0)
        return 2;
    const struct api_call call = {
        .method = "POST",
        .path = flags_bool(run->flags, "force") ? "sys/storage/raft/snapshot-force"
                                                : "sys/storage/raft/snapshot",
        .source = from_file, .source_ctx = &fd, .source_n = size, .source_name = run->args[0],
    };
    if (api_send(run, &call, &answer) < 0)
        return command_fail(run, 2, "Error installing the snapshot: " STR_FMT,
                            STR_ARG(answer.error));
    return 0;
}

const struct command command_operator_raft_snapshot_restore = {
    .name = "operator raft snapshot restore",
    .usage = "operator raft snapshot restore [options] SNAPSHOT_FILE",
    .summary = "Installs the provided snapshot, returning the cluster to the state defined in it",
    .help = "  Replaces all data of the cluster by the snapshot's. A snapshot that is not whole, "
            "or, but\n"
            "  for -force, was sealed with other keys, is refused and changes nothing.\n\n"
            "      $ vault operator raft snapshot restore backup.snap",
    .run = restore_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(restore_flags),
};

/* ---- inspect ---- */

static const struct flag inspect_flags[] = {
    { .name = "details", .kind = FLAG_BOOL, .fallback = "true",
      .help = "Print how many keys there are, and how much they take." },
    { .name = "depth", .kind = FLAG_INT, .fallback = "2",
      .help = "Number of parts of a key's path by which keys are counted; 0: each key alone." },
    { .name = "filter", .kind = FLAG_STRING,
      .help = "Count only keys that begin with this." },
};

static int count_entry(void *ctx, struct str key, struct str value, struct err *err)
{
    return tally_add(ctx, key, key.n + value.n, err);
}

static void print_meta(const struct command_run *run, const struct archive_meta *m)
{
    command_say(run, "ID           " STR_FMT, STR_ARG(m->id));
    command_say(run, "Size         %llu", (unsigned long long)m->size);
    command_say(run, "Index        %llu", (unsigned long long)m->index);
    command_say(run, "Term         %llu", (unsigned long long)m->term);
    command_say(run, "Version      %lld", (long long)m->version);
}

static struct json *ordered(struct arena *a)
{
    struct json *o = json_object(a);
    if (o != NULL)
        o->keep_order = true;
    return o;
}

static int print_json(struct command_run *run, const struct archive_meta *m,
                      const struct tally *t, const struct tally_row *rows, size_t n)
{
    struct json *o = ordered(run->arena), *meta = ordered(run->arena);
    struct json *list = json_array(run->arena);
    json_put_str(meta, "ID", m->id);
    json_put_int(meta, "Size", (int64_t)m->size);
    json_put_int(meta, "Index", (int64_t)m->index);
    json_put_int(meta, "Term", (int64_t)m->term);
    json_put_int(meta, "Version", m->version);
    json_put(o, "Meta", meta);
    for (size_t i = 0; i < n; i++) {
        struct json *row = ordered(run->arena);
        json_put_str(row, "Name", rows[i].name);
        json_put_int(row, "Count", (int64_t)rows[i].count);
        json_put_int(row, "Size", (int64_t)rows[i].bytes);
        json_add(list, row);
    }
    json_put(o, "StatsKV", list);
    json_put_int(o, "TotalCountKV", (int64_t)t->count);
    json_put_int(o, "TotalSizeKV", (int64_t)t->bytes);
    if (arena_failed(run->arena))
        return command_out_of_memory(run);
    return output_value(run, o);
}

static int print_inspection(struct command_run *run, const struct archive_meta *m,
                            struct tally *t, bool details, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct tally_row *rows;
    size_t n;
    TRY(tally_sorted(t, &rows, &n, err));
    if (strcmp(run->format, "json") == 0 || strcmp(run->format, "yaml") == 0)
        return print_json(run, m, t, rows, n);
    print_meta(run, m);
    if (!details)
        return 0;
    tally_print(run->arena, t, rows, n, &text);
    TRY(arena_check(run->arena, err));
    TRY(buf_check(&text, err));
    command_gap(run);
    command_write(buf_str(&text));
    return 0;
}

static int inspect_run(struct command_run *run)
{
    AUTO(close_fd) int fd = -1;
    struct archive_meta meta;
    struct err err = { 0 };
    struct str path;
    uint64_t size;
    int64_t depth = flags_int(run->flags, "depth");
    bool details = flags_bool(run->flags, "details");
    if (!file_argument(run, "Snapshot file name is required", &path))
        return 1;
    if (depth < 0)
        return command_fail(run, 1, "-depth cannot be negative");
    AUTO(tally_fini) struct tally t = { .arena = run->arena, .depth = (size_t)depth,
                                        .filter = flags_str(run->flags, "filter") };
    if (open_snapshot(run, path, &fd, &size, &err) < 0)
        return command_fail(run, 1, "Error opening snapshot file: %s", err.msg);
    if (archive_check(fd, run->arena, NULL, NULL, &meta, &err) < 0 ||
        (details && archive_entries(fd, count_entry, &t, &err) < 0))
        return command_fail(run, 1, "Error reading snapshot: %s", err.msg);
    int rc = print_inspection(run, &meta, &t, details, &err);
    return rc < 0 ? command_fail(run, 1, "%s", err.msg) : rc;
}

const struct command command_operator_raft_snapshot_inspect = {
    .name = "operator raft snapshot inspect",
    .usage = "operator raft snapshot inspect [options] SNAPSHOT_FILE",
    .summary = "Inspects raft snapshot",
    .help = "  Checks that a snapshot is whole, and prints what is in it. No server is asked, and "
            "no key\n"
            "  is needed: only the names of what is stored are shown.\n\n"
            "      $ vault operator raft snapshot inspect backup.snap\n"
            "      $ vault operator raft snapshot inspect -depth=3 -filter=logical backup.snap",
    .run = inspect_run,
    .options = COMMAND_FORMAT,
    COMMAND_FLAGS(inspect_flags),
};
