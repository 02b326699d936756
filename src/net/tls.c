/* TLS of listeners and connections, by OpenSSL on the socket itself. */
#include "net/tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

enum { CHAIN_IN_TICKET = 12000 };

struct tls_site {
    /* Copies of the configuration; immutable. */
    char *cert_file, *key_file, *client_ca_file, *cipher_suites;
    int min_version, max_version;
    bool prefer_server, require_client, disable_client;
    pthread_mutex_t mu; /* all below */
    SSL_CTX *ctx;       /* for new connections */
    SSL_CTX *fresh;     /* read, not yet in use */
};

struct tls {
    SSL *ssl;
    void *own; /* a link's; NULL: none */
};

static void free_ctx(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

/* What OpenSSL has to say about a failure.  The first error is the cause. */
static const char *reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *text = NULL;
    if (ERR_SYSTEM_ERROR(code))
        text = strerror(ERR_GET_REASON(code));
    else if (code != 0)
        text = ERR_reason_error_string(code);
    ERR_clear_error();
    return text != NULL ? text : "unknown error";
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *in, unsigned in_n, void *unused)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    if (SSL_select_next_proto((unsigned char **)out, out_n, ours, sizeof ours - 1, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    return SSL_TLSEXT_ERR_OK;
}

/* A certificate is asked for, not judged: that is for those who use it (Go's RequestClientCert). */
static int accept_any(X509_STORE_CTX *store, void *unused)
{
    return 1;
}

static void add_der(struct arena *a, struct strs *list, X509 *cert)
{
    int n = i2d_X509(cert, NULL);
    unsigned char *p = n > 0 ? (unsigned char *)arena_bytes(a, (size_t)n) : NULL;
    if (p == NULL)
        return;
    strs_add(a, list, str_mem(p, (size_t)n));
    (void)i2d_X509(cert, &p);
}

/*
 * A ticket holds the client's own certificate only; put those that came with it beside, so that a
 * resumed connection shows the same chain as the first one.
 */
static int fill_ticket(SSL *ssl, void *unused)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    SSL_SESSION *session = SSL_get_session(ssl);
    AUTO(arena_drop)
    struct arena *a = chain == NULL || sk_X509_num(chain) == 0 ? NULL : arena_new();
    if (a == NULL || session == NULL)
        return 1;
    struct strs list = { 0 };
    for (int i = 0; i < sk_X509_num(chain); i++)
        add_der(a, &list, sk_X509_value(chain, i));
    struct str all = strs_join(a, &list, STR(""));
    if (all.n > 0 && all.n <= CHAIN_IN_TICKET && !arena_failed(a))
        return SSL_SESSION_set1_ticket_appdata(session, all.p, all.n);
    return 1;
}

static SSL_TICKET_RETURN open_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                     size_t name_n, SSL_TICKET_STATUS status, void *unused)
{
    switch (status) {
    case SSL_TICKET_SUCCESS:
        return SSL_TICKET_RETURN_USE;
    case SSL_TICKET_SUCCESS_RENEW:
        return SSL_TICKET_RETURN_USE_RENEW;
    default:
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
}

static int load_files(const struct tls_site *s, SSL_CTX *ctx, struct err *err)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, s->cert_file) != 1)
        return err_set(err, ERR_BAD_REQUEST, "error loading TLS cert: %s: %s", s->cert_file,
                       reason());
    if (SSL_CTX_use_PrivateKey_file(ctx, s->key_file, SSL_FILETYPE_PEM) != 1)
        return err_set(err, ERR_BAD_REQUEST, "error loading TLS key: %s: %s", s->key_file,
                       reason());
    if (SSL_CTX_check_private_key(ctx) != 1)
        return err_set(err, ERR_BAD_REQUEST, "error loading TLS cert: %s does not belong to %s",
                       s->key_file, s->cert_file);
    return 0;
}

static int set_client_auth(const struct tls_site *s, SSL_CTX *ctx, struct err *err)
{
    if (s->disable_client) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
        return 0;
    }
    if (!s->require_client) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
        return 0;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (s->client_ca_file == NULL)
        return SSL_CTX_set_default_verify_paths(ctx) == 1
                   ? 0
                   : err_set(err, ERR_IO, "system's certificate authorities: %s", reason());
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(s->client_ca_file);
    if (names == NULL || SSL_CTX_load_verify_file(ctx, s->client_ca_file) != 1)
        return err_set(err, ERR_BAD_REQUEST, "failed to parse CA certificate in %s: %s",
                       s->client_ca_file, reason());
    SSL_CTX_set_client_CA_list(ctx, names);
    return 0;
}

/* Suites of TLS 1.3 go by another call than older ones; the list may name both. */
static int set_suites(const struct tls_site *s, SSL_CTX *ctx, struct err *err)
{
    if (s->cipher_suites == NULL)
        return 0;
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct str rest = str_of(s->cipher_suites), name;
    struct strs older = { 0 }, newer = { 0 };
    while (rest.n > 0) {
        size_t n = strcspn(rest.p, ",: ");
        name = str_head(rest, n);
        rest = str_from(rest, n + 1);
        if (name.n > 0)
            strs_add(a, str_starts(name, STR("TLS_")) ? &newer : &older, name);
    }
    const char *old_z = arena_cstr(a, strs_join(a, &older, STR(":")));
    const char *new_z = arena_cstr(a, strs_join(a, &newer, STR(":")));
    if (old_z == NULL || new_z == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if ((older.n > 0 && SSL_CTX_set_cipher_list(ctx, old_z) != 1) ||
        (newer.n > 0 && SSL_CTX_set_ciphersuites(ctx, new_z) != 1))
        return err_set(err, ERR_BAD_REQUEST, "invalid value for tls_cipher_suites: %s: %s",
                       s->cipher_suites, reason());
    return 0;
}

static void set_options(const struct tls_site *s, SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (s->prefer_server)
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* Idle connections hold no buffers; a record is read with one call. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    /* Tickets only: the server keeps no sessions, so they cost no memory. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    (void)SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"coffer", 6);
    (void)SSL_CTX_set_session_ticket_cb(ctx, fill_ticket, open_ticket, NULL);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
}

static int make_ctx(const struct tls_site *s, SSL_CTX **out, struct err *err)
{
    ERR_clear_error();
    AUTO(free_ctx) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return err_set(err, ERR_NOMEM, "TLS: %s", reason());
    if (SSL_CTX_set_min_proto_version(ctx, s->min_version) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, s->max_version) != 1)
        return err_set(err, ERR_BAD_REQUEST, "TLS: unsupported version");
    if (s->min_version < TLS1_2_VERSION) /* older ones sign with SHA-1 */
        SSL_CTX_set_security_level(ctx, 0);
    set_options(s, ctx);
    TRY(load_files(s, ctx, err));
    TRY(set_client_auth(s, ctx, err));
    TRY(set_suites(s, ctx, err));
    *out = ctx;
    ctx = NULL;
    return 0;
}

void tls_site_free(struct tls_site *s)
{
    if (s == NULL)
        return;
    SSL_CTX_free(s->ctx);
    SSL_CTX_free(s->fresh);
    free(s->cert_file);
    free(s->key_file);
    free(s->client_ca_file);
    free(s->cipher_suites);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

int64_t tls_site_expires_s(struct tls_site *s)
{
    struct tm end;
    pthread_mutex_lock(&s->mu);
    const X509 *cert = SSL_CTX_get0_certificate(s->ctx);
    int known = cert != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) == 1;
    pthread_mutex_unlock(&s->mu);
    return known ? (int64_t)timegm(&end) : -1;
}

static void drop_site(struct tls_site **s)
{
    tls_site_free(*s);
}

/* An owned copy, NULL for an empty text; -1: no memory, or a NUL inside. */
static int copy_text(struct str s, char **out)
{
    if (s.n == 0)
        return 0;
    *out = memchr(s.p, 0, s.n) != NULL ? NULL : strndup(s.p, s.n);
    return *out != NULL ? 0 : -1;
}

int tls_site_new(const struct http_listener_config *config, struct tls_site **out, struct err *err)
{
    AUTO(drop_site) struct tls_site *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_init(&s->mu, NULL);
    if (config->tls_key_file.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "'tls_key_file' must be set");
    if (config->tls_disable_client_certs && config->tls_require_and_verify_client_cert)
        return err_set(err, ERR_BAD_REQUEST,
                       "'tls_disable_client_certs' and "
                       "'tls_require_and_verify_client_cert' are mutually exclusive");
    if (copy_text(config->tls_cert_file, &s->cert_file) < 0 ||
        copy_text(config->tls_key_file, &s->key_file) < 0 ||
        copy_text(config->tls_client_ca_file, &s->client_ca_file) < 0 ||
        copy_text(config->tls_cipher_suites, &s->cipher_suites) < 0)
        return err_set(err, ERR_BAD_REQUEST, "TLS: a file's name holds a NUL");
    s->min_version = config->tls_min_version != 0 ? config->tls_min_version : TLS1_2_VERSION;
    s->max_version = config->tls_max_version;
    s->prefer_server = config->tls_prefer_server_cipher_suites;
    s->require_client = config->tls_require_and_verify_client_cert;
    s->disable_client = config->tls_disable_client_certs;
    TRY(make_ctx(s, &s->ctx, err));
    *out = s;
    s = NULL;
    return 0;
}

int tls_site_read(struct tls_site *s, struct err *err)
{
    SSL_CTX *fresh = NULL;
    TRY(make_ctx(s, &fresh, err));
    pthread_mutex_lock(&s->mu);
    SSL_CTX_free(s->fresh);
    s->fresh = fresh;
    pthread_mutex_unlock(&s->mu);
    return 0;
}

void tls_site_swap(struct tls_site *s, bool use)
{
    pthread_mutex_lock(&s->mu);
    SSL_CTX *out = s->fresh;
    if (use && s->fresh != NULL) {
        out = s->ctx;
        s->ctx = s->fresh;
    }
    s->fresh = NULL;
    pthread_mutex_unlock(&s->mu);
    SSL_CTX_free(out); /* connections of the old one keep it */
}

struct tls *tls_new(struct tls_site *s, int fd)
{
    pthread_mutex_lock(&s->mu);
    SSL *ssl = SSL_new(s->ctx); /* takes a share of the context */
    pthread_mutex_unlock(&s->mu);
    struct tls *t = malloc(sizeof *t);
    if (ssl == NULL || t == NULL || SSL_set_fd(ssl, fd) != 1) {
        ERR_clear_error();
        SSL_free(ssl);
        free(t);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    *t = (struct tls){ .ssl = ssl };
    return t;
}

struct tls *tls_wrap(struct ssl_st *ssl, void *own)
{
    struct tls *t = malloc(sizeof *t);
    if (t != NULL)
        *t = (struct tls){ ssl, own };
    return t;
}

struct ssl_st *tls_ssl(const struct tls *t)
{
    return t->ssl;
}

void *tls_own(const struct tls *t)
{
    return t->own;
}

struct ssl_st *tls_unwrap(struct tls *t)
{
    SSL *ssl = t->ssl;
    free(t->own);
    free(t);
    return ssl;
}

void tls_free(struct tls *t)
{
    if (t == NULL)
        return;
    SSL_free(t->ssl);
    free(t->own);
    free(t);
}

/*
 * The error queue is the thread's, and SSL_get_error looks into it: what a handler left there must
 * not be taken for ours.
 */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

/* What a failed call means. */
static int outcome(struct tls *t, int rc)
{
    int kind = SSL_get_error(t->ssl, rc);
    switch (kind) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_EOF;
    default:
        ERR_clear_error();
        return TLS_BROKEN;
    }
}

int tls_handshake(struct tls *t)
{
    forget_errors();
    int rc = SSL_do_handshake(t->ssl);
    if (rc == 1)
        return 1;
    rc = outcome(t, rc);
    return rc == TLS_EOF ? TLS_BROKEN : rc;
}

ssize_t tls_read(struct tls *t, void *p, size_t n)
{
    size_t got;
    forget_errors();
    int rc = SSL_read_ex(t->ssl, p, n, &got);
    return rc == 1 ? (ssize_t)got : outcome(t, rc);
}

ssize_t tls_write(struct tls *t, const void *p, size_t n)
{
    size_t put;
    forget_errors();
    int rc = SSL_write_ex(t->ssl, p, n, &put);
    if (rc == 1)
        return (ssize_t)put;
    rc = outcome(t, rc);
    return rc == TLS_EOF ? TLS_BROKEN : rc;
}

bool tls_has_pending(const struct tls *t)
{
    return SSL_has_pending(t->ssl) == 1;
}

void tls_bye(struct tls *t)
{
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

bool tls_is_http2(const struct tls *t)
{
    const unsigned char *name;
    unsigned n;
    SSL_get0_alpn_selected(t->ssl, &name, &n);
    return n == 2 && memcmp(name, "h2", 2) == 0;
}

/* The chain that a ticket carried: certificates end to end. */
static void add_ticket_chain(struct arena *a, struct strs *list, const SSL *ssl)
{
    SSL_SESSION *session = SSL_get_session(ssl);
    void *data = NULL;
    size_t n = 0;
    if (session == NULL || SSL_SESSION_get0_ticket_appdata(session, &data, &n) != 1)
        return;
    const unsigned char *p = data, *end = p + n;
    while (p < end) {
        const unsigned char *at = p;
        X509 *cert = d2i_X509(NULL, &p, end - p);
        if (cert == NULL)
            break;
        X509_free(cert);
        strs_add(a, list, arena_dup(a, str_mem(at, (size_t)(p - at))));
    }
    ERR_clear_error();
}

struct strs tls_peer_chain(const struct tls *t, struct arena *a)
{
    struct strs list = { 0 };
    X509 *leaf = SSL_get0_peer_certificate(t->ssl);
    if (leaf == NULL)
        return list;
    add_der(a, &list, leaf);
    if (SSL_session_reused(t->ssl)) {
        add_ticket_chain(a, &list, t->ssl);
        return list;
    }
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(t->ssl);
    for (int i = 0; chain != NULL && i < sk_X509_num(chain); i++)
        add_der(a, &list, sk_X509_value(chain, i));
    return list;
}
