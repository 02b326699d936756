/* Audit device "syslog": RFC 3164 datagrams to the local syslog socket. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "audit/devices.h"

struct syslog {
    pthread_mutex_t mu;
    int fd; /* under mu; -1: not connected */
    int priority;
    char tag[64];
};

/* Numbers of RFC 3164, section 4.1.1. */
static const struct { const char *name; int number; } facilities[] = {
    { "KERN", 0 },    { "USER", 1 },    { "MAIL", 2 },    { "DAEMON", 3 },  { "AUTH", 4 },
    { "SYSLOG", 5 },  { "LPR", 6 },     { "NEWS", 7 },    { "UUCP", 8 },    { "CRON", 9 },
    { "AUTHPRIV", 10 }, { "FTP", 11 },  { "LOCAL0", 16 }, { "LOCAL1", 17 }, { "LOCAL2", 18 },
    { "LOCAL3", 19 }, { "LOCAL4", 20 }, { "LOCAL5", 21 }, { "LOCAL6", 22 }, { "LOCAL7", 23 },
};

enum { SEVERITY_INFO = 6 };

static int syslog_connect(struct syslog *s, struct err *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, ERR_IO, "syslog: socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        int why = errno;
        close(fd);
        return err_set(err, ERR_IO, "syslog: %s: %s", to.sun_path, strerror(why));
    }
    s->fd = fd;
    return 0;
}

static void syslog_close(void *device)
{
    struct syslog *s = device;
    if (s == NULL)
        return;
    if (s->fd >= 0)
        close(s->fd);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

static int syslog_open(const struct json *options, void **device, struct err *err)
{
    struct str facility = json_get_str(options, "facility"), tag = json_get_str(options, "tag");
    if (facility.n == 0)
        facility = STR("AUTH");
    if (tag.n == 0)
        tag = STR("vault");
    size_t i = 0;
    while (i < ARRAY_LEN(facilities) && !str_eq_nocase(facility, str_of(facilities[i].name)))
        i++;
    if (i == ARRAY_LEN(facilities))
        return err_set(err, ERR_BAD_REQUEST, "invalid syslog facility: " STR_FMT,
                       STR_ARG(facility));
    struct syslog *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (tag.n >= sizeof s->tag) {
        free(s);
        return err_set(err, ERR_BAD_REQUEST, "tag is longer than %zu characters",
                       sizeof s->tag - 1);
    }
    pthread_mutex_init(&s->mu, NULL);
    memcpy(s->tag, tag.p, tag.n);
    s->priority = facilities[i].number * 8 + SEVERITY_INFO;
    s->fd = -1;
    if (syslog_connect(s, err) < 0) {
        err->code = ERR_BAD_REQUEST;
        syslog_close(s);
        return -1;
    }
    *device = s;
    return 0;
}

static int syslog_send(struct syslog *s, struct str line, struct err *err)
{
    if (s->fd < 0)
        TRY(syslog_connect(s, err));
    if (send(s->fd, line.p, line.n, MSG_NOSIGNAL) == (ssize_t)line.n)
        return 0;
    int why = errno;
    close(s->fd);
    s->fd = -1;
    return err_set(err, ERR_IO, "syslog: %s", strerror(why));
}

static int syslog_write(void *device, struct str entry, struct err *err)
{
    struct syslog *s = device;
    AUTO(buf_free) struct buf line = { 0 };
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(when, sizeof when, "%b %e %H:%M:%S", &tm);
    buf_printf(&line, "<%d>%s %s[%d]: ", s->priority, when, s->tag, (int)getpid());
    buf_add(&line, entry);
    TRY(buf_check(&line, err));
    pthread_mutex_lock(&s->mu);
    int result = syslog_send(s, buf_str(&line), err);
    if (result < 0) /* the daemon was restarted meanwhile: once more on a new socket */
        result = syslog_send(s, buf_str(&line), err);
    pthread_mutex_unlock(&s->mu);
    return result;
}

static int syslog_reload(void *device, struct err *err)
{
    struct syslog *s = device;
    pthread_mutex_lock(&s->mu);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    int result = syslog_connect(s, err);
    pthread_mutex_unlock(&s->mu);
    return result;
}

const struct device_kind device_syslog = {
    .type = "syslog",
    .open = syslog_open,
    .close = syslog_close,
    .write = syslog_write,
    .reload = syslog_reload,
};
