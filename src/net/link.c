/* Links over OpenSSL: credentials, handshakes of both sides, blocking reads and writes. */
#include "net/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/tls.h"

enum {
    KEEPALIVE_S = 15, /* a member that vanished is noticed in a minute, */
    KEEPALIVE_TRIES = 3,
    UNHEARD_MS = 60 * 1000, /* also when it owes us acknowledgements */
    ADDR_TEXT = INET6_ADDRSTRLEN + 10,
};

static const char welcome = 'C';

struct link_creds {
    pthread_mutex_t mu;
    SSL_CTX *ctx; /* under mu; NULL: none */
};

/* What a handshake needs to know and leaves behind; the SSL's application data meanwhile. */
struct greeting {
    struct str alpns; /* the accepting side's */
    char why[300];    /* the certificate was not believed */
};

struct link {
    SSL *ssl;
    int fd; /* non-blocking: waits have a limit */
    int timeout_ms;
    atomic_bool shut;
    char *id;
    char addr[ADDR_TEXT];
};

static void ctx_drop(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

static void x509_drop(X509 **cert)
{
    X509_free(*cert);
}

static void key_drop(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void pkcs8_drop(PKCS8_PRIV_KEY_INFO **p)
{
    PKCS8_PRIV_KEY_INFO_free(*p); /* wipes the key */
}

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- certificates ---- */

/* The common name as an owned text; NULL: none, or one with a NUL. */
static char *name_of(const X509 *cert)
{
    X509_NAME *subject = cert != NULL ? X509_get_subject_name(cert) : NULL;
    int at = subject != NULL ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
    if (at < 0)
        return NULL;
    const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    const char *p = (const char *)ASN1_STRING_get0_data(cn);
    int n = ASN1_STRING_length(cn);
    return n <= 0 || memchr(p, 0, (size_t)n) != NULL ? NULL : strndup(p, (size_t)n);
}

static void time_text(const struct tm *t, char *out, size_t n)
{
    if (strftime(out, n, "%Y-%m-%d %H:%M:%S UTC", t) == 0)
        out[0] = 0;
}

/* A clock that is wrong is the usual cause, and the hardest to find. */
static void explain_time(struct greeting *g, const X509 *cert, bool early, const char *whose)
{
    char limit[40] = "?", here[40];
    struct tm t;
    time_t now = time(NULL);
    if (ASN1_TIME_to_tm(early ? X509_get0_notBefore(cert) : X509_get0_notAfter(cert), &t) == 1)
        time_text(&t, limit, sizeof limit);
    gmtime_r(&now, &t);
    time_text(&t, here, sizeof here);
    snprintf(g->why, sizeof g->why, "%s is not valid %s %s, and it is %s here: is a clock wrong?",
             whose, early ? "before" : "after", limit, here);
}

static void explain(struct greeting *g, X509_STORE_CTX *store)
{
    int code = X509_STORE_CTX_get_error(store);
    const X509 *cert = X509_STORE_CTX_get_current_cert(store);
    const char *whose = X509_STORE_CTX_get_error_depth(store) == 0
                            ? "its certificate"
                            : "the certificate of its cluster's authority";
    switch (code) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
        explain_time(g, cert, code == X509_V_ERR_CERT_NOT_YET_VALID, whose);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        snprintf(g->why, sizeof g->why, "its certificate is not of this cluster");
        break;
    default:
        snprintf(g->why, sizeof g->why, "%s is not accepted: %s", whose,
                 X509_verify_cert_error_string(code));
        break;
    }
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct greeting *g = ssl != NULL ? SSL_get_app_data(ssl) : NULL;
    if (!ok && g != NULL)
        explain(g, store);
    return ok;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *in, unsigned in_n, void *unused)
{
    const struct greeting *g = SSL_get_app_data(ssl);
    if (g == NULL || SSL_select_next_proto((unsigned char **)out, out_n,
                                           (const unsigned char *)g->alpns.p, (unsigned)g->alpns.n,
                                           in, in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- credentials ---- */

static int bad(struct err *err, const char *what)
{
    ERR_clear_error();
    return err_set(err, ERR_BAD_REQUEST, "credentials of the cluster: %s", what);
}

static X509 *parse(struct str der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    return der.n > 0 && der.n < INT32_MAX ? d2i_X509(NULL, &p, (long)der.n) : NULL;
}

static int use_identity(SSL_CTX *ctx, const struct link_identity *id, struct err *err)
{
    const unsigned char *p = (const unsigned char *)id->key_der.p;
    AUTO(x509_drop) X509 *cert = parse(id->cert_der);
    AUTO(pkcs8_drop)
    PKCS8_PRIV_KEY_INFO *p8 =
        id->key_der.n > 0 ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)id->key_der.n) : NULL;
    AUTO(key_drop) EVP_PKEY *key = p8 != NULL ? EVP_PKCS82PKEY(p8) : NULL;
    if (cert == NULL)
        return bad(err, "our own certificate is damaged");
    if (key == NULL)
        return bad(err, "our own key is damaged");
    char *name = name_of(cert);
    free(name);
    if (name == NULL)
        return bad(err, "our own certificate has no common name");
    if (SSL_CTX_use_certificate(ctx, cert) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return bad(err, "our own key does not belong to our certificate");
    return 0;
}

/* These and no others: the system's are not loaded. */
static int use_authorities(SSL_CTX *ctx, const struct strs *ders, struct err *err)
{
    if (ders->n == 0)
        return bad(err, "there is no authority");
    for (size_t i = 0; i < ders->n; i++) {
        AUTO(x509_drop) X509 *cert = parse(ders->v[i]);
        if (cert == NULL || X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) != 1)
            return bad(err, "the certificate of the authority is damaged");
    }
    return 0;
}

static int make_ctx(const struct link_identity *id, SSL_CTX **out, struct err *err)
{
    AUTO(ctx_drop) SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1)
        return bad(err, "TLS 1.3 is not available");
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 1);
    /* Nothing is resumed: who has lost its place in the cluster shall not come back by a ticket. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    TRY(use_authorities(ctx, &id->authorities_der, err));
    TRY(use_identity(ctx, id, err));
    *out = ctx;
    ctx = NULL;
    return 0;
}

int link_creds_new(struct link_creds **out, struct err *err)
{
    struct link_creds *c = calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_init(&c->mu, NULL);
    *out = c;
    return 0;
}

void link_creds_free(struct link_creds *c)
{
    if (c == NULL)
        return;
    SSL_CTX_free(c->ctx);
    pthread_mutex_destroy(&c->mu);
    free(c);
}

int link_creds_set(struct link_creds *c, const struct link_identity *id, struct err *err)
{
    SSL_CTX *fresh = NULL;
    if (id != NULL)
        TRY(make_ctx(id, &fresh, err));
    pthread_mutex_lock(&c->mu);
    SSL_CTX *old = c->ctx;
    c->ctx = fresh;
    pthread_mutex_unlock(&c->mu);
    SSL_CTX_free(old); /* handshakes under way and open links have a share of it */
    return 0;
}

/* A blank connection over ${fd} with what counts now; NULL: ${empty}, or no memory. */
static SSL *new_ssl(struct link_creds *c, int fd, struct greeting *g, bool *empty)
{
    pthread_mutex_lock(&c->mu);
    *empty = c->ctx == NULL;
    SSL *ssl = c->ctx != NULL ? SSL_new(c->ctx) : NULL;
    pthread_mutex_unlock(&c->mu);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_set_app_data(ssl, g) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    return ssl;
}

/* ---- waiting ---- */

/* Until the socket is ready, at most until ${until_ms}; 0: for ever. */
static int wait_for(int fd, short events, int64_t until_ms, const char *addr, struct err *err)
{
    for (;;) {
        int left = -1;
        if (until_ms != 0) {
            int64_t ms = until_ms - mono_ms();
            left = ms <= 0 ? 0 : ms > 1000000 ? 1000000 : (int)ms;
        }
        struct pollfd p = { .fd = fd, .events = events };
        int n = poll(&p, 1, left);
        if (n > 0)
            return 0;
        if (n == 0 && mono_ms() >= until_ms)
            return err_set(err, ERR_TIMEOUT, "%s: timed out", addr);
        if (n < 0 && errno != EINTR)
            return err_set(err, ERR_UPSTREAM, "%s: %s", addr, strerror(errno));
    }
}

/* What went wrong with a connection that was good. */
static int broken(const struct link *l, int kind, int number, struct err *err)
{
    unsigned long code = ERR_peek_error();
    const char *text = NULL;
    if (kind == SSL_ERROR_SYSCALL && number != 0)
        text = strerror(number);
    else if (code != 0 && !ERR_SYSTEM_ERROR(code) &&
             ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        text = "the connection was cut off";
    else if (code != 0)
        text = ERR_reason_error_string(code);
    err_set(err, ERR_UPSTREAM, "%s: %s", l->addr,
            text != NULL ? text : "the connection was cut off");
    ERR_clear_error();
    return -1;
}

/*
 * A call of OpenSSL gave ${rc}, no success: 1: it may be called again, 0: the end, -1.
 * ${until_ms} starts as 0 and is when to give up waiting.
 */
static int settle(struct link *l, int rc, int64_t *until_ms, struct err *err)
{
    int number = errno;
    int kind = SSL_get_error(l->ssl, rc);
    if (atomic_load(&l->shut)) {
        ERR_clear_error();
        return err_set(err, ERR_UPSTREAM, "%s: the link was shut", l->addr);
    }
    if (kind == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
        return broken(l, kind, number, err);
    if (*until_ms == 0 && l->timeout_ms > 0)
        *until_ms = mono_ms() + l->timeout_ms;
    TRY(wait_for(l->fd, kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, *until_ms, l->addr, err));
    return 1;
}

long link_read(struct link *l, void *p, size_t n, struct err *err)
{
    int64_t until_ms = 0;
    for (;;) {
        size_t got = 0;
        ERR_clear_error();
        errno = 0;
        int rc = SSL_read_ex(l->ssl, p, n, &got);
        if (rc == 1)
            return (long)got;
        rc = settle(l, rc, &until_ms, err);
        if (rc <= 0)
            return rc;
    }
}

int link_read_full(struct link *l, void *p, size_t n, struct err *err)
{
    size_t at = 0;
    while (at < n) {
        long got = link_read(l, (char *)p + at, n - at, err);
        if (got < 0)
            return -1;
        if (got == 0 && at == 0)
            return 0;
        if (got == 0)
            return err_set(err, ERR_UPSTREAM, "%s: the other side ended in mid-sentence", l->addr);
        at += (size_t)got;
    }
    return 1;
}

int link_write(struct link *l, const void *p, size_t n, struct err *err)
{
    int64_t until_ms = 0;
    size_t at = 0;
    while (at < n) {
        size_t put = 0;
        ERR_clear_error();
        errno = 0;
        int rc = SSL_write_ex(l->ssl, (const char *)p + at, n - at, &put);
        if (rc == 1) {
            at += put;
            until_ms = 0; /* the limit is for standing still */
            continue;
        }
        rc = settle(l, rc, &until_ms, err);
        if (rc == 0)
            return err_set(err, ERR_UPSTREAM, "%s: the other side has ended", l->addr);
        TRY(rc);
    }
    return 0;
}

void link_set_timeout(struct link *l, int ms)
{
    l->timeout_ms = ms;
}

bool link_is_quiet(const struct link *l)
{
    char byte;
    return SSL_has_pending(l->ssl) == 0 &&
           recv(l->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

void link_shut(struct link *l)
{
    atomic_store(&l->shut, true);
    (void)shutdown(l->fd, SHUT_RDWR);
}

struct str link_peer_id(const struct link *l)
{
    return str_of(l->id);
}

struct str link_peer_addr(const struct link *l)
{
    return str_of(l->addr);
}

struct str link_alpn(const struct link *l)
{
    const unsigned char *p = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(l->ssl, &p, &n);
    return str_mem(p, n);
}

void link_free(struct link *l)
{
    if (l == NULL)
        return;
    if (l->ssl != NULL && SSL_is_init_finished(l->ssl))
        (void)SSL_shutdown(l->ssl); /* as far as the socket takes it */
    ERR_clear_error();
    SSL_free(l->ssl);
    if (l->fd >= 0)
        close(l->fd);
    free(l->id);
    free(l);
}

static void link_drop(struct link **l)
{
    link_free(*l);
}

static void set_socket_options(int fd)
{
    int on = 1, after = KEEPALIVE_S, tries = KEEPALIVE_TRIES, unheard = UNHEARD_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &after, sizeof after);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard, sizeof unheard);
}

static void addr_text(const char *ip, int port, char out[ADDR_TEXT])
{
    snprintf(out, ADDR_TEXT, strchr(ip, ':') != NULL ? "[%s]:%d" : "%s:%d", ip, port);
}

/* ---- dialling ---- */

/* A dial under way. */
struct dial {
    struct str addr; /* as given, for errors */
    char host[256], port[8];
    int port_number;
    int64_t until_ms;
    struct err *err;
};

static int dial_fails(const struct dial *d, const char *why)
{
    return err_set(d->err, ERR_UPSTREAM, STR_FMT ": %s", STR_ARG(d->addr), why);
}

/* "host:port", "[v6]:port" */
static int take_addr(struct dial *d)
{
    ptrdiff_t colon = str_rfind_byte(d->addr, ':');
    struct str host = str_head(d->addr, colon > 0 ? (size_t)colon : 0);
    struct str port = colon > 0 ? str_from(d->addr, (size_t)colon + 1) : STR("");
    uint64_t number;
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = (struct str){ host.p + 1, host.n - 2 };
    else if (str_find_byte(host, ':') >= 0)
        host.n = 0;
    if (host.n == 0 || host.n >= sizeof d->host || memchr(host.p, 0, host.n) != NULL ||
        !str_to_u64(port, &number) || number == 0 || number > 65535)
        return dial_fails(d, "not an address of the form host:port");
    snprintf(d->host, sizeof d->host, STR_FMT, STR_ARG(host));
    d->port_number = (int)number;
    snprintf(d->port, sizeof d->port, "%d", d->port_number);
    return 0;
}

/* Connected, or the reason as errno; ETIMEDOUT when it takes past ${until_ms}. */
static int connect_one(const struct addrinfo *at, int64_t until_ms, int *out)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    int number = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    if (number == EINPROGRESS || number == EINTR) {
        struct err late = { 0 };
        socklen_t n = sizeof number;
        if (wait_for(fd, POLLOUT, until_ms, "", &late) < 0)
            number = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &n) < 0)
            number = errno;
    }
    if (number != 0)
        close(fd);
    else
        *out = fd;
    return number;
}

/* Each of a name's addresses gets its share of the time. */
static int connect_any(const struct dial *d, struct link *l)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    char ip[NI_MAXHOST];
    int rc = getaddrinfo(d->host, d->port, &hints, &list), left = 0;
    if (rc != 0)
        return dial_fails(d, rc == EAI_NONAME ? "no such host" : gai_strerror(rc));
    for (struct addrinfo *a = list; a != NULL; a = a->ai_next)
        left++;
    rc = ETIMEDOUT;
    for (struct addrinfo *a = list; a != NULL && l->fd < 0; a = a->ai_next, left--) {
        int64_t now = mono_ms();
        rc = connect_one(a, now + (d->until_ms - now) / left, &l->fd);
        if (rc == 0 && getnameinfo(a->ai_addr, a->ai_addrlen, ip, sizeof ip, NULL, 0,
                                   NI_NUMERICHOST) == 0)
            addr_text(ip, d->port_number, l->addr);
    }
    freeaddrinfo(list);
    if (rc == ECONNREFUSED)
        return dial_fails(d, "connection refused: does the server run, and is this its cluster "
                             "address?");
    if (rc == ETIMEDOUT)
        return dial_fails(d, "no connection in time: is the address right, and does a firewall "
                             "stand between?");
    return rc == 0 ? 0 : dial_fails(d, strerror(rc));
}

/* The other side's word about us, or about TLS itself. */
static const char *refusal(unsigned long code)
{
    if (ERR_GET_LIB(code) != ERR_LIB_SSL)
        return NULL;
    switch (ERR_GET_REASON(code)) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "it says that our certificate has expired: is a clock wrong?";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        return "it does not accept our certificate, perhaps as not yet valid: is a clock wrong?";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "it does not know our certificate's authority: it is not of this cluster, or has "
               "not heard of a new authority yet";
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
        return "it does not take such connections: is this a cluster address, of this version?";
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        return "it is in no cluster yet, or sealed";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
        return "it does not speak TLS: is this its cluster address?";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
        return "it does not speak TLS 1.3: is this its cluster address?";
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return "it closed the connection: is this its cluster address?";
    default:
        return ERR_reason_error_string(code);
    }
}

static int handshake_fails(const struct dial *d, const struct greeting *g, int kind, int number)
{
    unsigned long code = ERR_peek_error();
    const char *why = g->why[0] != 0 ? g->why : code != 0 ? refusal(code) : NULL;
    if (why == NULL && kind == SSL_ERROR_SYSCALL && number != 0)
        why = strerror(number);
    ERR_clear_error();
    return dial_fails(d, why != NULL ? why : "it closed the connection: is this its cluster "
                                             "address?");
}

/* Do one step of the handshake until it succeeds. */
static int shake(const struct dial *d, struct link *l, const struct greeting *g,
                 int (*step)(SSL *ssl))
{
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int rc = step(l->ssl), number = errno;
        if (rc == 1)
            return 0;
        int kind = SSL_get_error(l->ssl, rc);
        if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
            return handshake_fails(d, g, kind, number);
        if (wait_for(l->fd, kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, d->until_ms, l->addr,
                     d->err) < 0)
            return dial_fails(d, "no answer in time");
    }
}

static int read_welcome(SSL *ssl)
{
    char byte;
    size_t n;
    int rc = SSL_read_ex(ssl, &byte, 1, &n);
    return rc == 1 && byte != welcome ? -1 : rc;
}

static int check_alpn(const struct dial *d, const struct link *l, const char *alpn)
{
    if (!str_eq(link_alpn(l), str_of(alpn)))
        return dial_fails(d, "it does not take such connections: is this its cluster address?");
    return 0;
}

static int greet(const struct dial *d, struct link_creds *c, const char *alpn, struct link *l)
{
    struct greeting g = { 0 };
    unsigned char offer[256];
    size_t n = strlen(alpn);
    bool empty;
    l->ssl = new_ssl(c, l->fd, &g, &empty);
    if (l->ssl == NULL)
        return empty ? dial_fails(d, "we have no credentials of a cluster yet")
                     : err_set(d->err, ERR_NOMEM, "out of memory");
    offer[0] = (unsigned char)n;
    memcpy(offer + 1, alpn, n < sizeof offer ? n : 0);
    if (n == 0 || n >= sizeof offer || SSL_set_alpn_protos(l->ssl, offer, (unsigned)n + 1) != 0)
        return dial_fails(d, "such a protocol cannot be named");
    int rc = shake(d, l, &g, SSL_connect);
    rc = rc < 0 ? rc : check_alpn(d, l, alpn);
    rc = rc < 0 ? rc : shake(d, l, &g, read_welcome);
    (void)SSL_set_app_data(l->ssl, NULL);
    TRY(rc);
    l->id = name_of(SSL_get0_peer_certificate(l->ssl));
    return l->id != NULL ? 0 : dial_fails(d, "its certificate has no common name");
}

int link_dial(struct link_creds *c, struct str addr, const char *alpn, int timeout_ms,
              struct link **out, struct err *err)
{
    struct dial d = { .addr = addr, .until_ms = mono_ms() + timeout_ms, .err = err };
    TRY(take_addr(&d));
    AUTO(link_drop) struct link *l = calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->fd = -1;
    TRY(connect_any(&d, l));
    set_socket_options(l->fd);
    TRY(greet(&d, c, alpn, l));
    *out = l;
    l = NULL;
    return 0;
}

/* ---- accepting ---- */

struct tls *link_greet(struct link_creds *c, struct str alpns, int fd, bool *empty)
{
    struct greeting *g = calloc(1, sizeof *g);
    *empty = false;
    if (g == NULL)
        return NULL;
    g->alpns = alpns;
    SSL *ssl = new_ssl(c, fd, g, empty);
    struct tls *t = ssl != NULL ? tls_wrap(ssl, g) : NULL;
    if (t == NULL) {
        SSL_free(ssl);
        free(g);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return t;
}

struct str link_greet_why(const struct tls *t)
{
    const struct greeting *g = tls_own(t);
    return str_of(g->why);
}

int link_greet_done(struct tls *t, struct str *alpn, char **member)
{
    SSL *ssl = tls_ssl(t);
    const unsigned char *p = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(ssl, &p, &n);
    if (n == 0)
        return -1;
    /* The first byte on a fresh socket finds room. */
    *alpn = str_mem(p, n);
    *member = name_of(SSL_get0_peer_certificate(ssl));
    if (*member != NULL && tls_write(t, &welcome, 1) == 1)
        return 0;
    free(*member);
    *member = NULL;
    return -1;
}

struct link *link_of(struct tls *t, int fd, char *member, struct str peer_ip, int peer_port)
{
    SSL *ssl = tls_unwrap(t);
    (void)SSL_set_app_data(ssl, NULL);
    struct link *l = calloc(1, sizeof *l);
    if (l == NULL) {
        SSL_free(ssl);
        free(member);
        close(fd);
        return NULL;
    }
    char ip[INET6_ADDRSTRLEN];
    snprintf(ip, sizeof ip, STR_FMT, STR_ARG(peer_ip));
    addr_text(ip, peer_port, l->addr);
    l->ssl = ssl;
    l->fd = fd;
    l->id = member;
    set_socket_options(fd);
    return l;
}
