/* Nameless files for large bodies. */
#include "net/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

static const struct log lg = { "http" };

/* Where the file system knows no O_TMPFILE: named for an instant. */
static int open_and_unlink(const char *dir)
{
    char *path = NULL;
    if (asprintf(&path, "%s/.spool-XXXXXX", dir) < 0) {
        errno = ENOMEM;
        return -1;
    }
    int fd = mkostemp(path, O_CLOEXEC); /* its mode is 0600 */
    int number = errno;
    if (fd >= 0)
        (void)unlink(path);
    free(path);
    errno = number;
    return fd;
}

int spool_open(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        fd = open_and_unlink(dir);
    if (fd < 0)
        LOG(&lg, WARN, "a large body cannot be stored: dir=%s error=\"%s\"", dir,
            strerror(errno));
    return fd;
}

int spool_write(int fd, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes = str_from(bytes, (size_t)n);
    }
    return 0;
}

int spool_status(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG ? 507 : 500;
}

const char *spool_why(int number)
{
    return spool_status(number) == 507 ? "the server has no room on disk for the request's body"
                                       : "the server cannot store the request's body";
}
