/* Httpc: decides who makes a call (httpc_plain.c or libcurl) and drives libcurl. */
#include "net/httpc.h"

#include <curl/curl.h>
#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/httpc_plain.h"

/* What we use of libcurl, found at run time. */
struct curl_api {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *easy);
    void (*easy_reset)(CURL *easy);
    CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
    CURLcode (*easy_perform)(CURL *easy);
    const char *(*easy_strerror)(CURLcode code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *line);
    void (*slist_free_all)(struct curl_slist *list);
};

struct httpc {
    char *ca_file, *ca_path, *cert_file, *key_file, *server_name, *unix_path;
    bool skip_verify;
    int64_t timeout_ms;
    size_t max_body;
    struct httpc_plain plain;
    struct curl_api api; /* loaded when easy is set */
    CURL *easy;
};

static int keep_text(char **to, const char *text, struct err *err)
{
    if (text == NULL || text[0] == '\0')
        return 0;
    *to = strdup(text);
    return *to != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static int keep_config(struct httpc *c, const struct httpc_config *config, struct err *err)
{
    TRY(keep_text(&c->ca_file, config->ca_file, err));
    TRY(keep_text(&c->ca_path, config->ca_path, err));
    TRY(keep_text(&c->cert_file, config->cert_file, err));
    TRY(keep_text(&c->key_file, config->key_file, err));
    TRY(keep_text(&c->server_name, config->server_name, err));
    TRY(keep_text(&c->unix_path, config->unix_path, err));
    c->skip_verify = config->skip_verify;
    c->timeout_ms = config->timeout_ms;
    c->max_body = config->max_body_bytes != 0 ? config->max_body_bytes : (size_t)1 << 30;
    return 0;
}

int httpc_new(const struct httpc_config *config, struct httpc **out, struct err *err)
{
    struct httpc *c = calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    c->plain.fd = -1;
    if (keep_config(c, config, err) < 0) {
        httpc_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

void httpc_free(struct httpc *c)
{
    if (c == NULL)
        return;
    httpc_plain_close(&c->plain);
    if (c->easy != NULL)
        c->api.easy_cleanup(c->easy);
    free(c->ca_file);
    free(c->ca_path);
    free(c->cert_file);
    free(c->key_file);
    free(c->server_name);
    free(c->unix_path);
    free(c);
}

void httpc_set_timeout(struct httpc *c, int64_t timeout_ms)
{
    c->timeout_ms = timeout_ms;
}

/* ---- libcurl ---- */

static int load_curl(struct curl_api *api, struct err *err)
{
    /* Not unloaded again: OpenSSL and its friends register exit handlers. */
    void *lib = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (lib == NULL)
        return err_set(err, ERR_INTERNAL, "https and proxies need libcurl: %s", dlerror());
    const struct {
        const char *name;
        void *slot;
    } wanted[] = {
        { "curl_global_init", &api->global_init },   { "curl_easy_init", &api->easy_init },
        { "curl_easy_cleanup", &api->easy_cleanup }, { "curl_easy_reset", &api->easy_reset },
        { "curl_easy_setopt", &api->easy_setopt },   { "curl_easy_getinfo", &api->easy_getinfo },
        { "curl_easy_perform", &api->easy_perform }, { "curl_easy_strerror", &api->easy_strerror },
        { "curl_slist_append", &api->slist_append }, { "curl_slist_free_all",
                                                       &api->slist_free_all },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        void *symbol = dlsym(lib, wanted[i].name);
        if (symbol == NULL)
            return err_set(err, ERR_INTERNAL, "libcurl lacks %s", wanted[i].name);
        memcpy(wanted[i].slot, &symbol, sizeof symbol);
    }
    return 0;
}

static int open_curl(struct httpc *c, struct err *err)
{
    if (c->easy != NULL) {
        c->api.easy_reset(c->easy); /* keeps its connections */
        return 0;
    }
    TRY(load_curl(&c->api, err));
    if (c->api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (c->easy = c->api.easy_init()) == NULL)
        return err_set(err, ERR_NOMEM, "cannot start libcurl");
    return 0;
}

struct transfer {
    struct httpc *c;
    const struct httpc_call *call;
    struct httpc_answer *answer;
    struct err *err; /* filled when one of ours ended the transfer */
    uint64_t sent; /* of what the source gives */
    bool failed;
};

static size_t take_header(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct str line = str_mem(p, size * n);
    if (str_starts(line, STR("HTTP/"))) { /* a new head: after 100, or a proxy's CONNECT */
        buf_clear(&t->answer->head);
    } else if (str_trim(line).n > 0) {
        buf_add(&t->answer->head, str_trim(line));
        buf_add(&t->answer->head, STR("\r\n"));
    }
    return size * n;
}

static size_t take_body(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct str part = str_mem(p, size * n);
    long status = 0;
    t->c->api.easy_getinfo(t->c->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->call->sink != NULL && status / 100 == 2) {
        t->failed = t->call->sink(t->call->sink_ctx, part, t->err) < 0;
    } else if (part.n > t->c->max_body || t->answer->body.n > t->c->max_body - part.n) {
        err_set(t->err, ERR_TOO_LARGE, "the answer is larger than %zu bytes", t->c->max_body);
        t->failed = true;
    } else {
        buf_add(&t->answer->body, part);
        t->failed = buf_check(&t->answer->body, t->err) < 0;
    }
    return t->failed ? CURL_WRITEFUNC_ERROR : part.n;
}

static size_t give_body(char *to, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    uint64_t left = t->call->source_n - t->sent;
    size_t len = size * n < left ? size * n : (size_t)left;
    if (len == 0)
        return 0;
    if (t->call->source(t->call->source_ctx, t->sent, to, len, t->err) < 0) {
        t->failed = true;
        return CURL_READFUNC_ABORT;
    }
    t->sent += len;
    return len;
}

/* libcurl begins anew on another connection. */
static int seek_body(void *ctx, curl_off_t offset, int origin)
{
    struct transfer *t = ctx;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->call->source_n)
        return CURL_SEEKFUNC_CANTSEEK;
    t->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static int set_headers(struct transfer *t, struct curl_slist **list)
{
    const struct curl_api *api = &t->c->api;
    *list = api->slist_append(NULL, "Expect:");
    for (size_t i = 0; i < t->call->n_headers && *list != NULL; i++) {
        AUTO(buf_free) struct buf line = { 0 };
        struct str value = t->call->headers[i].value;
        buf_add(&line, t->call->headers[i].name);
        /* "Name;" is libcurl's way to send an empty value. */
        buf_add(&line, value.n > 0 ? STR(": ") : STR(";"));
        buf_add(&line, value);
        buf_byte(&line, '\0');
        TRY(buf_check(&line, t->err));
        if (str_find_byte(value, '\n') >= 0 || str_find_byte(value, '\r') >= 0)
            return err_set(t->err, ERR_BAD_REQUEST, "a header's value holds a line end");
        struct curl_slist *more = api->slist_append(*list, line.p);
        if (more == NULL)
            return err_set(t->err, ERR_NOMEM, "out of memory");
        *list = more;
    }
    return *list != NULL ? 0 : err_set(t->err, ERR_NOMEM, "out of memory");
}

/* "host:port:name" pins nothing: SNI and verification by another name need CONNECT_TO. */
static int set_server_name(struct transfer *t, struct buf *url, struct buf *connect_to,
                           struct curl_slist **pins)
{
    struct str left = str_from(t->call->url, sizeof "https://" - 1);
    size_t at = 0;
    while (at < left.n && left.p[at] != '/' && left.p[at] != '?')
        at++;
    struct str authority = str_head(left, at);
    ptrdiff_t colon = str_rfind_byte(authority, ':');
    bool v6 = authority.n > 0 && authority.p[authority.n - 1] == ']';
    bool has_port = colon >= 0 && !v6;
    struct str host = has_port ? str_head(authority, (size_t)colon) : authority;
    struct str port = has_port ? str_from(authority, (size_t)colon + 1) : STR("443");
    buf_printf(url, "https://%s:" STR_FMT STR_FMT, t->c->server_name, STR_ARG(port),
               STR_ARG(str_from(left, at)));
    buf_byte(url, '\0');
    buf_printf(connect_to, "%s:" STR_FMT ":" STR_FMT ":" STR_FMT, t->c->server_name,
               STR_ARG(port), STR_ARG(host), STR_ARG(port));
    buf_byte(connect_to, '\0');
    TRY(buf_check(url, t->err));
    TRY(buf_check(connect_to, t->err));
    *pins = t->c->api.slist_append(NULL, connect_to->p);
    return *pins != NULL ? 0 : err_set(t->err, ERR_NOMEM, "out of memory");
}

static void set_tls(const struct httpc *c)
{
    const struct curl_api *api = &c->api;
    if (c->ca_file != NULL)
        api->easy_setopt(c->easy, CURLOPT_CAINFO, c->ca_file);
    else if (c->ca_path != NULL)
        api->easy_setopt(c->easy, CURLOPT_CAINFO, NULL);
    if (c->ca_path != NULL)
        api->easy_setopt(c->easy, CURLOPT_CAPATH, c->ca_path);
    if (c->cert_file != NULL)
        api->easy_setopt(c->easy, CURLOPT_SSLCERT, c->cert_file);
    if (c->key_file != NULL)
        api->easy_setopt(c->easy, CURLOPT_SSLKEY, c->key_file);
    if (c->skip_verify) {
        api->easy_setopt(c->easy, CURLOPT_SSL_VERIFYPEER, 0L);
        api->easy_setopt(c->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static void set_body(struct transfer *t)
{
    const struct curl_api *api = &t->c->api;
    CURL *easy = t->c->easy;
    struct str body = t->call->body;
    bool in_pieces = t->call->source != NULL;
    if (body.p == NULL && !in_pieces && strcmp(t->call->method, "POST") != 0 &&
        strcmp(t->call->method, "PUT") != 0)
        return;
    curl_off_t n = (curl_off_t)(in_pieces ? t->call->source_n : body.n);
    api->easy_setopt(easy, CURLOPT_POST, 1L);
    api->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, n);
    api->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, t->call->method);
    if (!in_pieces) {
        api->easy_setopt(easy, CURLOPT_POSTFIELDS, body.n > 0 ? body.p : "");
        return;
    }
    /* A stream of HTTP/2 that refuses a long body is reset, and its answer is lost with it. */
    api->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    api->easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
    api->easy_setopt(easy, CURLOPT_READDATA, t);
    api->easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_body);
    api->easy_setopt(easy, CURLOPT_SEEKDATA, t);
}

static void set_basics(struct transfer *t, int64_t left_ms, char *message)
{
    const struct curl_api *api = &t->c->api;
    CURL *easy = t->c->easy;
    api->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    api->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    api->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, t->call->method);
    api->easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    api->easy_setopt(easy, CURLOPT_HEADERDATA, t);
    api->easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    api->easy_setopt(easy, CURLOPT_WRITEDATA, t);
    api->easy_setopt(easy, CURLOPT_ERRORBUFFER, message);
    api->easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (left_ms > 0)
        api->easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    else /* so that a server that vanished is noticed */
        api->easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    if (strcmp(t->call->method, "HEAD") == 0)
        api->easy_setopt(easy, CURLOPT_NOBODY, 1L);
    set_body(t);
    /* libcurl reads http_proxy in small letters only, Go's client reads both. */
    const char *proxy = getenv("HTTP_PROXY");
    if (proxy != NULL && proxy[0] != '\0' && getenv("http_proxy") == NULL &&
        str_starts(t->call->url, STR("http://")))
        api->easy_setopt(easy, CURLOPT_PROXY, proxy);
}

/* "host:port" of a URL. */
static struct str authority_of(struct str url)
{
    ptrdiff_t scheme = str_find(url, STR("://"));
    struct str rest = scheme < 0 ? url : str_from(url, (size_t)scheme + 3);
    ptrdiff_t slash = str_find_byte(rest, '/');
    return slash < 0 ? rest : str_head(rest, (size_t)slash);
}

static int curl_failed(struct transfer *t, CURLcode code, const char *message)
{
    if (t->failed)
        return -1;
    long number = 0;
    t->c->api.easy_getinfo(t->c->easy, CURLINFO_OS_ERRNO, &number);
    if (code == CURLE_COULDNT_CONNECT && number != 0) {
        char text[128];
        snprintf(text, sizeof text, "%s", strerror((int)number));
        text[0] = (char)tolower((unsigned char)text[0]);
        return err_set(t->err, ERR_UPSTREAM, "dial tcp " STR_FMT ": connect: %s",
                       STR_ARG(authority_of(t->call->url)), text);
    }
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(t->err, ERR_TIMEOUT, "context deadline exceeded");
    const char *text = message[0] != '\0' ? message : t->c->api.easy_strerror(code);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return err_set(t->err, ERR_UPSTREAM,
                       "x509: certificate not trusted: %s (name its CA with -ca-cert or "
                       "VAULT_CACERT)", text);
    if (code == CURLE_SSL_CONNECT_ERROR && strstr(text, "wrong version number") != NULL)
        return err_set(t->err, ERR_UPSTREAM,
                       "tls: %s (is the server running without TLS? Then use an address that "
                       "starts with http://, with -address or VAULT_ADDR)", text);
    return err_set(t->err, ERR_UPSTREAM, "%s", text);
}

static int perform(struct transfer *t, int64_t left_ms)
{
    const struct curl_api *api = &t->c->api;
    char message[CURL_ERROR_SIZE] = "";
    AUTO(buf_free) struct buf url = { 0 };
    AUTO(buf_free) struct buf connect_to = { 0 };
    struct curl_slist *headers = NULL, *pins = NULL;

    set_basics(t, left_ms, message);
    set_tls(t->c);
    int rc = set_headers(t, &headers);
    if (rc == 0 && t->c->server_name != NULL && str_starts(t->call->url, STR("https://"))) {
        rc = set_server_name(t, &url, &connect_to, &pins);
        api->easy_setopt(t->c->easy, CURLOPT_CONNECT_TO, pins);
    } else {
        buf_add(&url, t->call->url);
        buf_byte(&url, '\0');
    }
    if (rc == 0 && (rc = buf_check(&url, t->err)) == 0) {
        api->easy_setopt(t->c->easy, CURLOPT_URL, url.p);
        api->easy_setopt(t->c->easy, CURLOPT_HTTPHEADER, headers);
        if (t->c->unix_path != NULL)
            api->easy_setopt(t->c->easy, CURLOPT_UNIX_SOCKET_PATH, t->c->unix_path);
        CURLcode code = api->easy_perform(t->c->easy);
        long status = 0;
        api->easy_getinfo(t->c->easy, CURLINFO_RESPONSE_CODE, &status);
        t->answer->status = (int)status;
        rc = code == CURLE_OK ? 0 : curl_failed(t, code, message);
    }
    api->slist_free_all(headers);
    api->slist_free_all(pins);
    return rc;
}

/* ---- who makes the call ---- */

/* Is a proxy set up in the environment? Then libcurl decides which hosts go through it. */
static bool proxy_in_environment(void)
{
    static const char *const names[] = { "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *v = getenv(names[i]);
        if (v != NULL && v[0] != '\0')
            return true;
    }
    return false;
}

static int64_t deadline_from_now(int64_t timeout_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return timeout_ms <= 0 ? 0
                           : (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + timeout_ms;
}

int httpc_run(struct httpc *c, const struct httpc_call *call, struct httpc_answer *answer,
              struct err *err)
{
    httpc_answer_reset(answer);
    bool plain = str_starts(call->url, STR("http://"));
    if (!plain && !str_starts(call->url, STR("https://")))
        return err_set(err, ERR_BAD_REQUEST, "unsupported protocol scheme in \"" STR_FMT "\"",
                       STR_ARG(call->url));
    if (plain && (c->unix_path != NULL || !proxy_in_environment()))
        return httpc_plain_run(&c->plain, c->unix_path, deadline_from_now(c->timeout_ms),
                               c->max_body, call, answer, err);
    TRY(open_curl(c, err));
    struct transfer t = { .c = c, .call = call, .answer = answer, .err = err };
    return perform(&t, c->timeout_ms);
}
