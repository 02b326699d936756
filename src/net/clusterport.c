/* A port for other members of the cluster: which protocols it takes, whom it refuses and tells. */
#include "net/clusterport.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/link.h"

enum { WARN_EVERY_S = 10 };

static const struct log lg = { "cluster-port" };

struct clusterport {
    struct link_creds *creds;
    struct buf alpns; /* in ALPN's own form */
    struct buf forward;
    void (*takeover)(void *takeover_ctx, struct str alpn, struct link *link);
    void *takeover_ctx;
    atomic_bool said_empty;
    _Atomic(int64_t) warned_ns;
};

static int add_alpn(struct buf *list, const char *name, struct err *err)
{
    struct str s = str_of(name);
    if (s.n == 0 || s.n > 255)
        return err_set(err, ERR_BAD_REQUEST, "a cluster port's protocol must have 1 to 255 bytes");
    buf_byte(list, (char)s.n);
    buf_add(list, s);
    return 0;
}

void clusterport_free(struct clusterport *p)
{
    if (p == NULL)
        return;
    buf_free(&p->alpns);
    buf_free(&p->forward);
    free(p);
}

static void drop(struct clusterport **p)
{
    clusterport_free(*p);
}

int clusterport_new(const struct http_listener_config *config, struct clusterport **out,
                    struct err *err)
{
    AUTO(drop) struct clusterport *p = calloc(1, sizeof *p);
    if (p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    p->creds = config->creds;
    p->takeover = config->takeover;
    p->takeover_ctx = config->takeover_ctx;
    if (config->forward_alpn != NULL) {
        TRY(add_alpn(&p->alpns, config->forward_alpn, err));
        buf_add(&p->forward, str_of(config->forward_alpn));
    }
    for (const char *const *name = config->other_alpn; name != NULL && *name != NULL; name++)
        TRY(add_alpn(&p->alpns, *name, err));
    TRY(buf_check(&p->alpns, err));
    TRY(buf_check(&p->forward, err));
    *out = p;
    p = NULL;
    return 0;
}

struct tls *clusterport_greet(struct clusterport *p, int fd, struct str peer_ip)
{
    bool empty;
    struct tls *t = link_greet(p->creds, buf_str(&p->alpns), fd, &empty);
    if (t != NULL) {
        atomic_store_explicit(&p->said_empty, false, memory_order_relaxed);
        return t;
    }
    /* A fatal alert, "access denied": link_dial has words for it (RFC 8446 §6). */
    static const char alert[] = { 0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x31 };
    (void)!send(fd, alert, sizeof alert, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (empty && !atomic_exchange(&p->said_empty, true))
        LOG(&lg, INFO, "refusing members until this node is unsealed and in a cluster: peer="
            STR_FMT, STR_ARG(peer_ip));
    return NULL;
}

/* Whether a warning may be written now: whoever can connect must not fill the log. */
static bool may_warn(struct clusterport *p)
{
    int64_t now = clock_mono_ns(&clock_system);
    int64_t before = atomic_load(&p->warned_ns);
    return (before == 0 || now - before > (int64_t)WARN_EVERY_S * 1000000000) &&
           atomic_compare_exchange_strong(&p->warned_ns, &before, now);
}

void clusterport_failed(struct clusterport *p, const struct tls *t, struct str peer_ip)
{
    struct str why = link_greet_why(t);
    if (why.n > 0 && may_warn(p))
        LOG(&lg, WARN, "refused a connection: peer=" STR_FMT " error=\"" STR_FMT "\"",
            STR_ARG(peer_ip), STR_ARG(why));
    else
        LOG(&lg, DEBUG, "a handshake failed: peer=" STR_FMT " error=\"" STR_FMT "\"",
            STR_ARG(peer_ip), STR_ARG(why));
}

enum clusterport_way clusterport_done(struct clusterport *p, struct tls *t, char **member)
{
    struct str alpn;
    if (link_greet_done(t, &alpn, member) < 0)
        return CLUSTERPORT_REFUSED;
    return str_eq(alpn, buf_str(&p->forward)) ? CLUSTERPORT_HTTP : CLUSTERPORT_LINK;
}

void clusterport_give(struct clusterport *p, struct tls *t, int fd, char *member,
                      struct str peer_ip, int peer_port)
{
    struct link *l = link_of(t, fd, member, peer_ip, peer_port);
    if (l == NULL)
        return;
    if (p->takeover != NULL)
        p->takeover(p->takeover_ctx, link_alpn(l), l);
    else
        link_free(l);
}
