/* Audit device "socket": lines to a TCP, UDP or Unix socket, reconnecting when it broke. */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "audit/devices.h"
#include "codec/timefmt.h"

struct socket_device {
    pthread_mutex_t mu;
    int fd; /* under mu; -1: not connected */
    int kind; /* SOCK_STREAM, SOCK_DGRAM */
    bool unix_socket;
    int timeout_ms;
    char *host, *port; /* of an Internet address; host is the path of a Unix socket */
};

static void socket_close(void *device)
{
    struct socket_device *s = device;
    if (s == NULL)
        return;
    if (s->fd >= 0)
        close(s->fd);
    pthread_mutex_destroy(&s->mu);
    free(s->host);
    free(s->port);
    free(s);
}

static int set_timeout(struct socket_device *s, int fd)
{
    struct timeval t = { s->timeout_ms / 1000, s->timeout_ms % 1000 * 1000 };
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

static int try_connect(struct socket_device *s, int family, const struct sockaddr *to,
                       socklen_t len)
{
    int fd = socket(family, s->kind | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* The send timeout bounds connect too. */
    if (set_timeout(s, fd) != 0 || connect(fd, to, len) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    s->fd = fd;
    return 0;
}

static int connect_unix(struct socket_device *s, struct err *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t n = strlen(s->host);
    if (n >= sizeof to.sun_path)
        return err_set(err, ERR_BAD_REQUEST, "address is too long for a Unix socket");
    memcpy(to.sun_path, s->host, n);
    if (try_connect(s, AF_UNIX, (struct sockaddr *)&to, sizeof to) == 0)
        return 0;
    return err_set(err, ERR_IO, "audit socket %s: %s", s->host, strerror(errno));
}

static int connect_any(struct socket_device *s, struct err *err)
{
    struct addrinfo hints = { .ai_socktype = s->kind }, *list;
    if (s->unix_socket)
        return connect_unix(s, err);
    int code = getaddrinfo(s->host, s->port, &hints, &list);
    if (code != 0)
        return err_set(err, ERR_IO, "audit socket %s:%s: %s", s->host, s->port,
                       gai_strerror(code));
    int result = -1;
    for (struct addrinfo *a = list; a != NULL && result < 0; a = a->ai_next)
        result = try_connect(s, a->ai_family, a->ai_addr, a->ai_addrlen);
    if (result < 0)
        err_set(err, ERR_IO, "audit socket %s:%s: %s", s->host, s->port, strerror(errno));
    freeaddrinfo(list);
    return result;
}

/* "127.0.0.1:9090", "[::1]:9090", "/run/audit.sock". */
static int split_address(struct socket_device *s, struct str address, struct err *err)
{
    ptrdiff_t colon = str_rfind_byte(address, ':');
    if (!s->unix_socket && colon <= 0)
        return err_set(err, ERR_BAD_REQUEST, "address needs a host and a port");
    struct str host = s->unix_socket ? address : str_head(address, (size_t)colon);
    if (!s->unix_socket && host.n > 2 && host.p[0] == '[')
        host = str_mem(host.p + 1, host.n - 2);
    s->host = strndup(host.p, host.n);
    s->port = s->unix_socket ? strdup("")
                             : strndup(address.p + colon + 1, address.n - (size_t)colon - 1);
    if (s->host == NULL || s->port == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return 0;
}

static int read_options(struct socket_device *s, const struct json *options, struct err *err)
{
    struct str type = json_get_str(options, "socket_type");
    struct str timeout = json_get_str(options, "write_timeout");
    struct str address = json_get_str(options, "address");
    int64_t ns = 2000000000;
    if (address.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "address is required");
    if (timeout.n > 0)
        TRY(duration_parse(timeout, false, &ns, err));
    s->timeout_ms = (int)(ns / 1000000);
    s->kind = str_is(type, "udp") ? SOCK_DGRAM : SOCK_STREAM;
    s->unix_socket = str_is(type, "unix");
    if (type.n > 0 && !str_is(type, "tcp") && !str_is(type, "udp") && !s->unix_socket)
        return err_set(err, ERR_BAD_REQUEST, "unknown socket_type \"" STR_FMT "\"", STR_ARG(type));
    return split_address(s, address, err);
}

static int socket_open(const struct json *options, void **device, struct err *err)
{
    struct socket_device *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_init(&s->mu, NULL);
    s->fd = -1;
    if (read_options(s, options, err) < 0 || connect_any(s, err) < 0) {
        if (err->code == ERR_IO)
            err->code = ERR_BAD_REQUEST;
        socket_close(s);
        return -1;
    }
    *device = s;
    return 0;
}

static int send_all(struct socket_device *s, struct str line, struct err *err)
{
    if (s->fd < 0)
        TRY(connect_any(s, err));
    size_t done = 0;
    while (done < line.n) {
        ssize_t n = send(s->fd, line.p + done, line.n - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int why = errno;
            close(s->fd);
            s->fd = -1;
            return err_set(err, ERR_IO, "audit socket: %s", strerror(why));
        }
        done += (size_t)n;
    }
    return 0;
}

static int socket_write(void *device, struct str entry, struct err *err)
{
    struct socket_device *s = device;
    AUTO(buf_free) struct buf line = { 0 };
    buf_add(&line, entry);
    buf_byte(&line, '\n');
    TRY(buf_check(&line, err));
    pthread_mutex_lock(&s->mu);
    int result = send_all(s, buf_str(&line), err);
    if (result < 0) /* the peer went away: once more on a new connection */
        result = send_all(s, buf_str(&line), err);
    pthread_mutex_unlock(&s->mu);
    return result;
}

static int socket_reload(void *device, struct err *err)
{
    struct socket_device *s = device;
    pthread_mutex_lock(&s->mu);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    int result = connect_any(s, err);
    pthread_mutex_unlock(&s->mu);
    return result;
}

const struct device_kind device_socket = {
    .type = "socket",
    .open = socket_open,
    .close = socket_close,
    .write = socket_write,
    .reload = socket_reload,
};
