/* Files of snapshots: found by their names, written aside, renamed. */
#include "core/snapfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".snap"
#define PART ".part"

static int fail(struct err *err, const char *what, const char *path)
{
    return err_set(err, ERR_IO, "%s %s: %s", what, path, strerror(errno));
}

/* ---- names ---- */

/* "/path/" with exactly one slash at its end. */
static struct str folder(const struct snapfolder *f, struct arena *a)
{
    struct str path = f->path;
    while (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    return arena_cat(a, path, STR("/"));
}

const char *snapfolder_name(const struct snapfolder *f, struct arena *a, int64_t begun_ns)
{
    return arena_cstr(a, arena_printf(a, STR_FMT STR_FMT "-%lld" SUFFIX, STR_ARG(folder(f, a)),
                                      STR_ARG(f->prefix), (long long)begun_ns));
}

/*
 * When the file of that name was begun; ${part}: it is one in the making.  False: it is none of
 * ours, and not to be touched.
 */
static bool read_name(const struct snapfolder *f, struct str name, int64_t *begun_ns, bool *part)
{
    if (!str_starts(name, f->prefix))
        return false;
    struct str rest = str_from(name, f->prefix.n);
    ptrdiff_t dot = str_find_byte(rest, '.');
    if (dot < 2 || rest.p[0] != '-' || rest.p[1] < '1' || rest.p[1] > '9'
        || !str_to_i64(str_mem(rest.p + 1, (size_t)dot - 1), begun_ns))
        return false;
    struct str tail = str_from(rest, (size_t)dot);
    *part = str_starts(tail, STR(SUFFIX ".")) && str_ends(tail, STR(PART));
    return *part || str_is(tail, SUFFIX);
}

/* ---- what is there ---- */

struct kept {
    int64_t begun_ns, bytes;
};

struct found {
    struct kept *v;
    size_t n, cap;
    int64_t bytes;
};

static int add_kept(struct arena *a, struct found *out, struct kept one, struct err *err)
{
    if (out->n == out->cap) {
        size_t cap = out->cap == 0 ? 16 : out->cap * 2;
        struct kept *v = arena_array(a, cap, sizeof *v);
        TRY(arena_check(a, err));
        if (out->n > 0)
            memcpy(v, out->v, out->n * sizeof *v);
        out->v = v;
        out->cap = cap;
    }
    out->v[out->n++] = one;
    out->bytes += one.bytes;
    return 0;
}

static void close_dir(DIR **d)
{
    if (*d != NULL)
        closedir(*d);
}

/* Finished files; those in the making go when ${sweep} says so. */
static int look(const struct snapfolder *f, struct arena *a, bool sweep, struct found *out,
                struct err *err)
{
    const char *path = arena_cstr(a, folder(f, a));
    *out = (struct found){ 0 };
    TRY(arena_check(a, err));
    AUTO(close_dir) DIR *d = opendir(path);
    if (d == NULL)
        return fail(err, "open", path);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        struct kept one;
        struct stat st;
        bool part;
        if (!read_name(f, str_of(e->d_name), &one.begun_ns, &part))
            continue;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        one.bytes = st.st_size;
        if (!part)
            TRY(add_kept(a, out, one, err));
        else if (sweep)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    return 0;
}

/* ---- writing ---- */

int snapfolder_begin(const struct snapfolder *f, struct arena *a, int64_t begun_ns,
                     struct snapfolder_file *out, struct err *err)
{
    struct found there;
    struct stat st;
    *out = (struct snapfolder_file){ .fd = -1 };
    TRY(look(f, a, true, &there, err));
    char *name = (char *)snapfolder_name(f, a, begun_ns);
    char *aside = arena_cstr(a, arena_printf(a, "%s.XXXXXX" PART, name == NULL ? "" : name));
    TRY(arena_check(a, err));
    if (lstat(name, &st) == 0)
        return 0;
    out->name = name;
    out->room = f->max_bytes - there.bytes;
    out->fd = mkostemps(aside, sizeof PART - 1, O_CLOEXEC); /* mode 0600 */
    if (out->fd < 0)
        return fail(err, "create", name);
    out->aside = aside;
    return 1;
}

int snapfolder_add(struct snapfolder_file *file, struct str bytes, struct err *err)
{
    file->written += (int64_t)bytes.n;
    if (file->written > file->room)
        return err_set(err, ERR_LIMITED,
                       "not enough space is left within local_max_space: %lld bytes were free",
                       (long long)(file->room > 0 ? file->room : 0));
    while (bytes.n > 0) {
        ssize_t n = write(file->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, "write", file->aside);
        bytes = str_from(bytes, (size_t)n);
    }
    return 0;
}

static int sync_folder(const struct snapfolder *f, struct err *err)
{
    char path[4096];
    if (f->path.n >= sizeof path)
        return err_set(err, ERR_IO, "the path is too long");
    memcpy(path, f->path.p, f->path.n);
    path[f->path.n] = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "open", path);
    int rc = fsync(fd) < 0 ? fail(err, "sync", path) : 0;
    close(fd);
    return rc;
}

int snapfolder_finish(const struct snapfolder *f, struct snapfolder_file *file, struct err *err)
{
    if (fsync(file->fd) < 0)
        return fail(err, "sync", file->aside);
    if (rename(file->aside, file->name) < 0)
        return fail(err, "rename", file->aside);
    file->aside = NULL;
    return sync_folder(f, err);
}

void snapfolder_drop(struct snapfolder_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->aside != NULL)
        (void)unlink(file->aside);
    *file = (struct snapfolder_file){ .fd = -1 };
}

/* ---- pruning ---- */

static int newest_first(const void *a, const void *b)
{
    int64_t x = ((const struct kept *)a)->begun_ns, y = ((const struct kept *)b)->begun_ns;
    return (x < y) - (x > y);
}

int snapfolder_prune(const struct snapfolder *f, int64_t retain, struct snapfolder_usage *out,
                     struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct found there;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(look(f, a, false, &there, err));
    if (there.n > 0)
        qsort(there.v, there.n, sizeof *there.v, newest_first);
    *out = (struct snapfolder_usage){ .bytes = there.bytes, .n = there.n };
    while (out->n > 0 && (int64_t)out->n > retain) {
        const struct kept *oldest = &there.v[out->n - 1];
        const char *name = snapfolder_name(f, a, oldest->begun_ns);
        TRY(arena_check(a, err));
        if (unlink(name) < 0 && errno != ENOENT)
            return fail(err, "remove", name);
        out->bytes -= oldest->bytes;
        out->n--;
    }
    return 0;
}
