/* File: whole files and standard input, read into memory that is wiped. */
#include "cmd/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int file_fail(struct err *err, const char *doing, const char *path)
{
    char text[128];
    snprintf(text, sizeof text, "%s", strerror(errno));
    text[0] = (char)tolower((unsigned char)text[0]);
    return err_set(err, ERR_IO, "%s %s: %s", doing, path, text);
}

int file_temporary(int *fd, struct err *err)
{
    const char *dir = getenv("TMPDIR");
    AUTO(buf_free) struct buf path = { 0 };
    buf_printf(&path, "%s/coffer.XXXXXX", dir != NULL && dir[0] != '\0' ? dir : "/tmp");
    buf_byte(&path, '\0');
    TRY(buf_check(&path, err));
    *fd = mkostemp(path.p, O_CLOEXEC);
    if (*fd < 0)
        return file_fail(err, "create", path.p);
    unlink(path.p);
    return 0;
}

int file_read_fd(int fd, struct buf *out, struct err *err)
{
    for (;;) {
        if (buf_reserve(out, 64 * 1024) < 0)
            return err_set(err, ERR_NOMEM, "out of memory");
        ssize_t n = read(fd, out->p + out->n, 64 * 1024);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return file_fail(err, "read", fd == 0 ? "standard input" : "file");
        out->n += n > 0 ? (size_t)n : 0;
    }
}

int file_read(const char *path, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : file_fail(err, "open", path);
    int rc = file_read_fd(fd, out, err);
    close(fd);
    return rc < 0 ? -1 : 1;
}

int file_need(const char *path, struct buf *out, struct err *err)
{
    int found = file_read(path, out, err);
    if (found == 0)
        return err_set(err, ERR_IO, "open %s: no such file or directory", path);
    return found < 0 ? -1 : 0;
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

int file_replace(const char *path, struct str bytes, struct err *err)
{
    AUTO(buf_free) struct buf aside = { 0 };
    buf_printf(&aside, "%s.XXXXXX", path);
    buf_byte(&aside, '\0');
    TRY(buf_check(&aside, err));
    int fd = mkostemp(aside.p, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return file_fail(err, "create", path);
    int rc = write_all(fd, bytes) == 0 && fsync(fd) == 0 ? 0 : file_fail(err, "write", path);
    if (close(fd) != 0 && rc == 0)
        rc = file_fail(err, "close", path);
    if (rc == 0 && rename(aside.p, path) != 0)
        rc = file_fail(err, "rename", path);
    if (rc < 0)
        unlink(aside.p);
    return rc;
}

int file_write(const char *path, struct str bytes, unsigned mode, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return file_fail(err, "open", path);
    int rc = write_all(fd, bytes) == 0 ? 0 : file_fail(err, "write", path);
    if (close(fd) != 0 && rc == 0)
        rc = file_fail(err, "close", path);
    return rc;
}

int file_expand(const char *path, struct buf *out, struct err *err)
{
    const char *home = getenv("HOME");
    if (path[0] == '~' && path[1] == '/' && home != NULL)
        buf_printf(out, "%s%s", home, path + 1);
    else
        buf_add(out, str_of(path));
    buf_byte(out, '\0');
    return buf_check(out, err);
}
