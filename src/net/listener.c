/* Binding, accepting, dealing out. */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "net/conn.h"

enum { BACKLOG = 4096, ACCEPT_BURST = 64, PAUSE_MS = 100 };

static const struct log lg = { "http" };

/* A connection on its way to another loop. */
struct handoff {
    struct note note;
    struct loop *loop;
    const struct site *site;
    int fd;
    struct sockaddr_storage addr;
};

static void on_handoff(struct note *n)
{
    struct handoff *h = (struct handoff *)n;
    conn_open(h->loop, h->site, h->fd, (struct sockaddr *)&h->addr);
    free(h);
}

static void deal(struct http_listener *l, int fd, const struct sockaddr_storage *addr)
{
    struct loop *to = &l->loops[l->turn];
    l->turn = (l->turn + 1) % l->n_loops;
    if (to == l->loops) {
        conn_open(to, &l->site, fd, (const struct sockaddr *)addr);
        return;
    }
    struct handoff *h = malloc(sizeof *h);
    if (h == NULL) {
        close(fd);
        return;
    }
    *h = (struct handoff){ { .run = on_handoff }, to, &l->site, fd, *addr };
    loop_post(to, &h->note);
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct http_listener *l = timer->data;
    (void)uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct http_listener *l = poll->data;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage addr = { 0 };
        socklen_t n = sizeof addr;
        int fd = accept4(l->fd, (struct sockaddr *)&addr, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->short_of = false;
            deal(l, fd, &addr);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO || errno == EPERM)
            continue;
        /* Out of descriptors or memory: asking again at once would spin. */
        if (!l->short_of)
            LOG(&lg, WARN, "accept failed, pausing: error=%s", strerror(errno));
        l->short_of = true;
        (void)uv_poll_stop(&l->poll);
        (void)uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
        return;
    }
}

static void on_start(struct note *n)
{
    struct http_listener *l =
        (struct http_listener *)((char *)n - offsetof(struct http_listener, start_note));
    struct loop *loop = l->loops;
    if (l->fd < 0 || loop->draining || uv_poll_init(&loop->uv, &l->poll, l->fd) != 0)
        return;
    l->poll.data = l->pause.data = l;
    (void)uv_timer_init(&loop->uv, &l->pause);
    (void)uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    l->polling = true;
}

void listener_start(struct http_listener *l, struct loop *loops, int n)
{
    l->loops = loops;
    l->n_loops = n;
    l->start_note.run = on_start;
    loop_post(loops, &l->start_note);
}

void listener_stop(struct http_listener *l)
{
    if (l->polling) {
        uv_close((uv_handle_t *)&l->poll, NULL);
        uv_close((uv_handle_t *)&l->pause, NULL);
    }
    l->polling = false;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    if (l->socket_path != NULL)
        (void)unlink(l->socket_path);
}

void listener_free(struct http_listener *l)
{
    if (l == NULL)
        return;
    listener_stop(l);
    tls_site_free(l->site.tls);
    clusterport_free(l->site.cluster);
    free((char *)l->address.p);
    free(l->socket_path);
    free(l->site.spool_dir);
    free(l);
}

static char *copy_z(struct str s)
{
    return s.n > 0 && memchr(s.p, 0, s.n) != NULL ? NULL : strndup(s.n > 0 ? s.p : "", s.n);
}

static void free_z(char **p)
{
    free(*p);
}

static int bad_address(struct str address, const char *why, struct err *err)
{
    return err_set(err, ERR_BAD_REQUEST, "listen address \"" STR_FMT "\": %s", STR_ARG(address),
                   why);
}

/* "host:port" or "[v6]:port" into its two parts. */
static int split_address(struct str address, struct str *host, struct str *port, struct err *err)
{
    ptrdiff_t colon = str_rfind_byte(address, ':');
    if (colon < 0)
        return bad_address(address, "missing port", err);
    *host = str_head(address, (size_t)colon);
    *port = str_from(address, (size_t)colon + 1);
    if (host->n > 1 && host->p[0] == '[' && host->p[host->n - 1] == ']')
        *host = (struct str){ host->p + 1, host->n - 2 };
    else if (str_find_byte(*host, ':') >= 0)
        return bad_address(address, "too many colons", err);
    uint64_t n;
    if (!str_to_u64(*port, &n) || n > 65535)
        return bad_address(address, "bad port", err);
    return 0;
}

static int bind_info(struct http_listener *l, const struct addrinfo *at, bool any,
                     struct str address, struct err *err)
{
    int on = 1, off = 0;
    l->fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return err_set(err, ERR_IO, "listen " STR_FMT ": %s", STR_ARG(address), strerror(errno));
    (void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at->ai_family == AF_INET6) /* no host: both families, as Go */
        (void)setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, any ? &off : &on, sizeof on);
    if (bind(l->fd, at->ai_addr, at->ai_addrlen) < 0 || listen(l->fd, BACKLOG) < 0)
        return err_set(err, ERR_IO, "listen " STR_FMT ": %s", STR_ARG(address), strerror(errno));
    return 0;
}

static int bind_tcp(struct http_listener *l, struct str address, struct err *err)
{
    struct str host, port;
    TRY(split_address(address, &host, &port, err));
    AUTO(free_z) char *host_z = copy_z(host);
    AUTO(free_z) char *port_z = copy_z(port);
    if (host_z == NULL || port_z == NULL)
        return bad_address(address, "bad host", err);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV },
                    *list;
    bool any = host.n == 0 || str_is(host, "::");
    int rc = getaddrinfo(any ? "::" : host_z, port_z, &hints, &list);
    if (rc != 0)
        return bad_address(address, gai_strerror(rc), err);
    int bound = bind_info(l, list, any, address, err);
    freeaddrinfo(list);
    if (bound == 0 || !any || host.n > 0)
        return bound;
    /* A machine without IPv6. */
    if (l->fd >= 0)
        close(l->fd);
    if (getaddrinfo("0.0.0.0", port_z, &hints, &list) != 0)
        return -1;
    bound = bind_info(l, list, false, address, err);
    freeaddrinfo(list);
    return bound;
}

/* Whether somebody accepts on that socket file. */
static bool is_served(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    bool served =
        connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0 || errno != ECONNREFUSED;
    close(fd);
    return served;
}

/* A number, or a name looked up by ${of_name}. */
static int id_of(struct str name, bool is_group, unsigned *out, struct err *err)
{
    uint64_t n;
    *out = (unsigned)-1;
    if (name.n == 0)
        return 0;
    if (str_to_u64(name, &n) && n < UINT32_MAX) {
        *out = (unsigned)n;
        return 0;
    }
    AUTO(free_z) char *z = copy_z(name);
    char room[4096];
    struct passwd pw, *user = NULL;
    struct group gr, *group = NULL;
    if (z != NULL && is_group)
        (void)getgrnam_r(z, &gr, room, sizeof room, &group);
    else if (z != NULL)
        (void)getpwnam_r(z, &pw, room, sizeof room, &user);
    if (user == NULL && group == NULL)
        return err_set(err, ERR_BAD_REQUEST, "unknown %s \"" STR_FMT "\"",
                       is_group ? "group" : "user", STR_ARG(name));
    *out = is_group ? group->gr_gid : user->pw_uid;
    return 0;
}

/* Owner and mode before anybody can connect: the socket does not listen yet. */
static int set_owner(const char *path, const struct http_listener_config *config, struct err *err)
{
    unsigned uid, gid;
    TRY(id_of(config->socket_user, false, &uid, err));
    TRY(id_of(config->socket_group, true, &gid, err));
    if ((uid != (unsigned)-1 || gid != (unsigned)-1) && chown(path, uid, gid) < 0)
        return err_set(err, ERR_IO, "chown %s: %s", path, strerror(errno));
    if (config->socket_mode != 0 && chmod(path, (mode_t)config->socket_mode) < 0)
        return err_set(err, ERR_IO, "chmod %s: %s", path, strerror(errno));
    return 0;
}

static int bind_unix(struct http_listener *l, const struct http_listener_config *config,
                     struct err *err)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    AUTO(free_z) char *path = copy_z(config->address);
    if (path == NULL || config->address.n == 0 || config->address.n >= sizeof addr.sun_path)
        return bad_address(config->address, "bad path of a socket", err);
    memcpy(addr.sun_path, path, config->address.n);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return err_set(err, ERR_IO, "listen %s: %s", path, strerror(errno));
    int rc = bind(l->fd, (struct sockaddr *)&addr, sizeof addr);
    struct stat st;
    if (rc < 0 && errno == EADDRINUSE && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
        !is_served(&addr)) {
        /* Left behind by a server that was killed. */
        (void)unlink(path);
        rc = bind(l->fd, (struct sockaddr *)&addr, sizeof addr);
    } else if (rc < 0) {
        errno = EADDRINUSE;
    }
    if (rc < 0)
        return err_set(err, ERR_IO, "listen %s: %s", path, strerror(errno));
    l->socket_path = strdup(path);
    TRY(set_owner(path, config, err));
    if (listen(l->fd, BACKLOG) < 0)
        return err_set(err, ERR_IO, "listen %s: %s", path, strerror(errno));
    return 0;
}

/* What it is called to the outside. */
static int note_address(struct http_listener *l, struct str unix_path, struct err *err)
{
    struct sockaddr_storage addr;
    socklen_t n = sizeof addr;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    char *text = NULL;
    if (l->socket_path != NULL) {
        text = copy_z(unix_path);
    } else if (getsockname(l->fd, (struct sockaddr *)&addr, &n) < 0 ||
               getnameinfo((struct sockaddr *)&addr, n, host, sizeof host, port, sizeof port,
                           NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return err_set(err, ERR_IO, "listen: %s", strerror(errno));
    } else if (asprintf(&text, addr.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port) < 0) {
        text = NULL;
    }
    if (text == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->address = str_of(text);
    return 0;
}

static int or_default(int value, int otherwise)
{
    return value > 0 ? value : otherwise;
}

static void take_limits(struct site *s, const struct http_listener_config *config)
{
    s->proxy = config->unix_socket ? HTTP_PROXY_NONE : config->proxy;
    s->trusts_proxy = config->trusts_proxy;
    s->trust_ctx = config->trust_ctx;
    s->max_body_bytes = config->max_body_bytes > 0 ? config->max_body_bytes : (size_t)32 << 20;
    s->max_header_bytes = config->max_header_bytes > 0 ? config->max_header_bytes : 1 << 20;
    s->read_header_timeout_ms = or_default(config->read_header_timeout_ms, 10000);
    s->read_timeout_ms = or_default(config->read_timeout_ms, 30000);
    s->idle_timeout_ms = or_default(config->idle_timeout_ms, 300000);
    s->write_timeout_ms = config->write_timeout_ms;
    s->user = config->user;
}

static int take_spool(struct site *s, const struct http_listener_config *config, struct err *err)
{
    s->spools = config->spools;
    if (config->spools == NULL)
        return 0;
    if (config->spool_dir == NULL)
        return err_set(err, ERR_BAD_REQUEST, "a folder for large bodies must be named");
    s->spool_dir = strdup(config->spool_dir);
    return s->spool_dir != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static void free_listener(struct http_listener **l)
{
    listener_free(*l);
}

int listener_open(const struct http_listener_config *config, struct http_listener **out,
                  struct err *err)
{
    AUTO(free_listener) struct http_listener *l = calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->fd = -1;
    l->site.listener = l;
    take_limits(&l->site, config);
    TRY(take_spool(&l->site, config, err));
    if (config->creds != NULL)
        TRY(clusterport_new(config, &l->site.cluster, err));
    else if (config->tls_cert_file.n > 0)
        TRY(tls_site_new(config, &l->site.tls, err));
    if (config->unix_socket)
        TRY(bind_unix(l, config, err));
    else
        TRY(bind_tcp(l, config->address, err));
    TRY(note_address(l, config->address, err));
    *out = l;
    l = NULL;
    return 0;
}
