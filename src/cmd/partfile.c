/* Partfile: a file that gets its name only when all of it is there. */
#include "cmd/partfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/file.h"

/* Where a symbolic link leads, so that the link stays one. */
static char *resolved(struct arena *a, const char *path)
{
    char *real = realpath(path, NULL);
    char *out = arena_cstr(a, str_of(real != NULL ? real : path));
    free(real);
    return out;
}

int partfile_open(struct arena *a, struct str path, struct partfile *out, struct err *err)
{
    struct stat st;
    char *name = arena_cstr(a, path);
    if (name == NULL || name[0] == '\0')
        return err_set(err, ERR_IO, "a file's name expected");
    *out = (struct partfile){ .fd = -1, .name = resolved(a, name) };
    TRY(arena_check(a, err));
    if (stat(out->name, &st) == 0 && S_ISDIR(st.st_mode))
        return err_set(err, ERR_IO, "open %s: is a directory", name);
    if (stat(out->name, &st) == 0 && !S_ISREG(st.st_mode))
        return file_temporary(&out->fd, err);
    char *aside = arena_cstr(a, arena_printf(a, "%s.part.XXXXXX", out->name));
    TRY(arena_check(a, err));
    out->fd = mkostemp(aside, O_CLOEXEC); /* mode 0600 */
    if (out->fd < 0)
        return file_fail(err, "open", name);
    out->aside = aside;
    return 0;
}

static int write_all(int fd, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR)
            return -1;
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

int partfile_add(struct partfile *f, struct str bytes)
{
    if (write_all(f->fd, bytes) == 0)
        return 0;
    f->failed = errno;
    return -1;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static int copy_to_name(const struct partfile *f, struct err *err)
{
    char part[64 * 1024];
    AUTO(close_fd) int to = open(f->name, O_WRONLY | O_CLOEXEC);
    if (to < 0)
        return file_fail(err, "open", f->name);
    for (off_t at = 0;;) {
        ssize_t n = pread(f->fd, part, sizeof part, at);
        if (n < 0 && errno != EINTR)
            return file_fail(err, "read back", f->name);
        if (n == 0)
            return 0;
        if (n > 0 && write_all(to, str_mem(part, (size_t)n)) < 0)
            return file_fail(err, "write", f->name);
        at += n > 0 ? n : 0;
    }
}

int partfile_finish(struct partfile *f, struct err *err)
{
    if (f->aside == NULL)
        return copy_to_name(f, err);
    if (fsync(f->fd) != 0)
        return file_fail(err, "write", f->name);
    if (rename(f->aside, f->name) != 0)
        return file_fail(err, "rename", f->name);
    f->aside = NULL;
    return 0;
}

void partfile_drop(struct partfile *f)
{
    close_fd(&f->fd);
    f->fd = -1;
    if (f->aside != NULL)
        unlink(f->aside);
    f->aside = NULL;
}
