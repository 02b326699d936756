/* Reach, by getaddrinfo and a connection that is closed at once. */
#include "net/reach.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void drop_addresses(struct addrinfo **list)
{
    if (*list != NULL)
        freeaddrinfo(*list);
}

static int look_up(struct str addr, struct addrinfo **out, struct err *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    char host[256], port[8];
    ptrdiff_t colon = str_rfind_byte(addr, ':');
    struct str name = str_head(addr, colon < 0 ? 0 : (size_t)colon);
    struct str number = str_from(addr, colon < 0 ? addr.n : (size_t)colon + 1);
    if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
        name = str_mem(name.p + 1, name.n - 2);
    uint64_t n;
    if (name.n == 0 || name.n >= sizeof host || !str_to_u64(number, &n) || n < 1 || n > 65535)
        return err_set(err, ERR_BAD_REQUEST, "\"" STR_FMT "\" is not host:port", STR_ARG(addr));
    snprintf(host, sizeof host, STR_FMT, STR_ARG(name));
    snprintf(port, sizeof port, STR_FMT, STR_ARG(number));
    int rc = getaddrinfo(host, port, &hints, out);
    if (rc == 0)
        return 0;
    *out = NULL;
    return err_set(err, ERR_UPSTREAM, "the name %s is not known: %s", host, gai_strerror(rc));
}

/* 0, or an errno. */
static int wait_connected(int fd, int64_t until_ms)
{
    int failed = 0;
    socklen_t n = sizeof failed;
    for (;;) {
        int64_t left = until_ms - mono_ms();
        struct pollfd p = { .fd = fd, .events = POLLOUT };
        int rc = left <= 0 ? 0 : poll(&p, 1, (int)left);
        if (rc == 0)
            return ETIMEDOUT;
        if (rc > 0)
            return getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &n) < 0 ? errno : failed;
        if (errno != EINTR)
            return errno;
    }
}

static int try_one(const struct addrinfo *at, int64_t until_ms)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    int failed = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    if (failed == EINPROGRESS)
        failed = wait_connected(fd, until_ms);
    close(fd);
    return failed;
}

int reach_resolve(struct str addr, struct err *err)
{
    AUTO(drop_addresses) struct addrinfo *list = NULL;
    return look_up(addr, &list, err);
}

int reach_connect(struct str addr, int timeout_ms, struct err *err)
{
    AUTO(drop_addresses) struct addrinfo *list = NULL;
    int64_t until_ms = mono_ms() + timeout_ms;
    int failed = ETIMEDOUT;
    TRY(look_up(addr, &list, err));
    for (const struct addrinfo *a = list; a != NULL && failed != 0; a = a->ai_next)
        failed = try_one(a, until_ms);
    return failed == 0 ? 0 : err_set(err, ERR_UPSTREAM, "%s", strerror(failed));
}
