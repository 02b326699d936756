/* Directories of the file store: which keys can be held, and no symbolic link is ever followed. */
#include "storage/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

void folder_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int folder_failed(struct err *err, const char *what)
{
    if (errno == ENAMETOOLONG)
        return err_set(err, ERR_BAD_REQUEST, "file name too long");
    return err_set(err, errno == ENOMEM ? ERR_NOMEM : ERR_IO, "file: %s: %s", what,
                   strerror(errno));
}

struct str folder_trim(struct str key)
{
    while (key.n > 0 && key.p[key.n - 1] == '/')
        key.n--;
    return key;
}

static int check_segment(struct str segment, struct err *err)
{
    if (segment.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "file: path has an empty segment");
    if (str_is(segment, "..") || str_is(segment, "."))
        return err_set(err, ERR_BAD_REQUEST, "path cannot contain parent references");
    if (str_find_byte(segment, 0) >= 0)
        return err_set(err, ERR_BAD_REQUEST, "file: path holds a NUL byte");
    if (segment.n > NAME_MAX)
        return err_set(err, ERR_BAD_REQUEST, "file name too long");
    return 0;
}

static int check_segments(struct str folder, struct err *err)
{
    struct str segment;
    if (str_starts(folder, STR(FOLDER_OURS)))
        return err_set(err, ERR_BAD_REQUEST, "file: folders named " FOLDER_OURS "* are reserved");
    while (folder.p != NULL && str_next(&folder, '/', &segment))
        TRY(check_segment(segment, err));
    return 0;
}

int folder_check(struct str folder, struct err *err)
{
    folder = folder_trim(folder);
    return folder.n == 0 ? 0 : check_segments(folder, err);
}

int folder_check_key(struct str key, struct err *err)
{
    key = folder_trim(key);
    if (key.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "file: empty key");
    ptrdiff_t slash = str_rfind_byte(key, '/');
    if (slash >= 0)
        TRY(check_segments(str_head(key, (size_t)slash), err));
    struct str name = str_from(key, (size_t)(slash + 1));
    TRY(check_segment(name, err));
    return name.n < NAME_MAX ? 0 : err_set(err, ERR_BAD_REQUEST, "file name too long");
}

struct str folder_of(struct str key)
{
    ptrdiff_t slash = str_rfind_byte(key, '/');
    return str_head(key, slash < 0 ? 0 : (size_t)slash);
}

void folder_file_name(struct str key, char out[FOLDER_NAME_SIZE])
{
    ptrdiff_t slash = str_rfind_byte(key, '/');
    struct str name = str_from(key, (size_t)(slash + 1));
    snprintf(out, FOLDER_NAME_SIZE, "_" STR_FMT, STR_ARG(name));
}

/* Make ${name} in ${dir}, durably. */
static int make_dir(int dir, const char *name, struct err *err)
{
    if (mkdirat(dir, name, 0700) < 0)
        return errno == EEXIST ? 0 : folder_failed(err, "mkdir");
    return fsync(dir) < 0 ? folder_failed(err, "fsync directory") : 0;
}

int folder_open(int root, struct str folder, bool make, int *out, struct err *err)
{
    AUTO(folder_close) int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct str rest = folder.n == 0 ? (struct str){ NULL, 0 } : folder, segment;
    if (fd < 0)
        return folder_failed(err, "open directory");
    while (rest.p != NULL && str_next(&rest, '/', &segment)) {
        char name[FOLDER_NAME_SIZE];
        snprintf(name, sizeof name, STR_FMT, STR_ARG(segment));
        if (make)
            TRY(make_dir(fd, name, err));
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (next < 0 && !make && (errno == ENOENT || errno == ENOTDIR))
            return 0;
        if (next < 0 && errno == ENOTDIR)
            return err_set(err, ERR_BAD_REQUEST,
                           "file: %s is an entry's file and cannot be a folder", name);
        if (next < 0)
            return folder_failed(err, "open directory");
        close(fd);
        fd = next;
    }
    *out = fd;
    fd = -1;
    return 1;
}

void folder_prune(int root, struct str folder)
{
    while (folder.n > 0) {
        AUTO(folder_close) int above = -1;
        struct str up = folder_of(folder);
        char name[FOLDER_NAME_SIZE];
        struct str last = str_from(folder, up.n == 0 ? 0 : up.n + 1);
        snprintf(name, sizeof name, STR_FMT, STR_ARG(last));
        int found = folder_open(root, up, false, &above, NULL);
        if (found < 0 || (found > 0 && unlinkat(above, name, AT_REMOVEDIR) < 0 && errno != ENOENT))
            return;
        folder = up;
    }
}

int folder_open_root(const char *path, int *out, struct err *err)
{
    AUTO(buf_free) struct buf z = { 0 };
    buf_printf(&z, "%s", path);
    TRY(buf_check(&z, err));
    z.p[z.n] = 0;
    /* Each '/' becomes an end in turn. */
    for (size_t i = 1; i <= z.n; i++) {
        if (i < z.n && z.p[i] != '/')
            continue;
        char was = z.p[i];
        z.p[i] = 0;
        if (mkdir(z.p, 0700) < 0 && errno != EEXIST)
            return err_set(err, ERR_IO, "mkdir %s: %s", z.p, strerror(errno));
        z.p[i] = was;
    }
    *out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out < 0 ? err_set(err, ERR_IO, "open %s: %s", path, strerror(errno)) : 0;
}
