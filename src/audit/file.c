/* Audit device "file": one line an entry, appended; "stdout" and "discard" are known names. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/devices.h"

struct file {
    pthread_mutex_t mu; /* one entry at a time */
    int fd;             /* under mu; -1: could not be opened */
    int mode;
    bool keep_mode, discard, is_stdout;
    char path[];
};

/* The folders above the file, for the server's user alone, as far as they are missing. */
static int make_folders(struct file *f, struct err *err)
{
    for (char *slash = strchr(f->path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int made = mkdir(f->path, 0700), why = errno;
        *slash = '/';
        if (made != 0 && why != EEXIST)
            return err_set(err, ERR_IO, "audit file %s: mkdir: %s", f->path, strerror(why));
    }
    return 0;
}

static int file_reopen(struct file *f, struct err *err)
{
    if (f->is_stdout || f->discard)
        return 0;
    int fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, (mode_t)f->mode);
    if (fd < 0)
        return err_set(err, ERR_IO, "audit file %s: %s", f->path, strerror(errno));
    if (!f->keep_mode && fchmod(fd, (mode_t)f->mode) != 0) {
        close(fd);
        return err_set(err, ERR_IO, "audit file %s: chmod: %s", f->path, strerror(errno));
    }
    if (f->fd >= 0)
        close(f->fd);
    f->fd = fd;
    return 0;
}

static void file_close(void *device)
{
    struct file *f = device;
    if (f == NULL)
        return;
    if (f->fd >= 0 && !f->is_stdout)
        close(f->fd);
    pthread_mutex_destroy(&f->mu);
    free(f);
}

static int read_mode(struct file *f, struct str text, struct err *err)
{
    f->mode = 0600;
    if (text.n == 0)
        return 0;
    int mode = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7' || mode > 07777)
            return err_set(err, ERR_BAD_REQUEST, "mode must be an octal number");
        mode = mode * 8 + (text.p[i] - '0');
    }
    f->keep_mode = mode == 0;
    if (mode != 0)
        f->mode = mode;
    return 0;
}

static int file_open(const struct json *options, void **device, struct err *err)
{
    struct str path = json_get_str(options, "file_path");
    if (path.n == 0)
        path = json_get_str(options, "path");
    if (path.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "file_path is required");
    if (memchr(path.p, 0, path.n) != NULL)
        return err_set(err, ERR_BAD_REQUEST, "file_path holds a NUL");
    struct file *f = calloc(1, sizeof *f + path.n + 1);
    if (f == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_init(&f->mu, NULL);
    memcpy(f->path, path.p, path.n);
    f->is_stdout = str_is(path, "stdout");
    f->discard = str_is(path, "discard");
    f->fd = f->is_stdout ? STDOUT_FILENO : -1;
    if (read_mode(f, json_get_str(options, "mode"), err) < 0) {
        file_close(f);
        return -1;
    }
    bool writes = !f->is_stdout && !f->discard;
    if ((writes && make_folders(f, err) < 0) || file_reopen(f, err) < 0) {
        err_prefix(err, "sanity check failed; unable to open \"%s\" for writing", f->path);
        err->code = ERR_BAD_REQUEST;
        file_close(f);
        return -1;
    }
    *device = f;
    return 0;
}

/* A file that somebody removed takes entries that nobody will read: open it anew. */
static bool vanished(const struct file *f)
{
    struct stat st;
    return f->fd < 0 || (!f->is_stdout && fstat(f->fd, &st) == 0 && st.st_nlink == 0);
}

static int write_line(struct file *f, struct str line, struct err *err)
{
    if (vanished(f))
        TRY(file_reopen(f, err));
    off_t before = f->is_stdout ? -1 : lseek(f->fd, 0, SEEK_END);
    size_t done = 0;
    while (done < line.n) {
        ssize_t n = write(f->fd, line.p + done, line.n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int why = errno;
            /* Half an entry would spoil the next one too. */
            if (done > 0 && before >= 0 && ftruncate(f->fd, before) != 0)
                why = errno;
            return err_set(err, ERR_IO, "audit file %s: %s", f->path, strerror(why));
        }
        done += (size_t)n;
    }
    return 0;
}

static int file_write(void *device, struct str entry, struct err *err)
{
    struct file *f = device;
    AUTO(buf_free) struct buf line = { 0 };
    if (f->discard)
        return 0;
    buf_add(&line, entry);
    buf_byte(&line, '\n');
    TRY(buf_check(&line, err));
    pthread_mutex_lock(&f->mu);
    int result = write_line(f, buf_str(&line), err);
    pthread_mutex_unlock(&f->mu);
    return result;
}

static int file_reload(void *device, struct err *err)
{
    struct file *f = device;
    pthread_mutex_lock(&f->mu);
    int result = file_reopen(f, err);
    pthread_mutex_unlock(&f->mu);
    return result;
}

const struct device_kind device_file = {
    .type = "file",
    .open = file_open,
    .close = file_close,
    .write = file_write,
    .reload = file_reload,
};
