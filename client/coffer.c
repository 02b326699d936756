/* Coffer: the client itself: one call, with its headers, its one redirect and its retries. */
#include "coffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/random.h"
#include "client/address.h"
#include "net/httpc.h"

enum { MAX_HEADERS = 6 }; /* ours; the caller's come on top */

struct coffer {
    struct httpc *http;
    struct buf base; /* NUL-terminated; n counts without the NUL */
    struct buf address;
    struct buf token, wrap_ttl, name_space; /* the same; n == 0: none */
    struct httpc_header *extra;             /* MFA and the caller's headers */
    size_t n_extra;
    struct buf extra_text;
    bool policy_override, skip_verify;
    unsigned max_retries, retry_wait_ms;
    int64_t timeout_ms;
    double rate, allowance; /* requests that may go now */
    double burst;
    int64_t last_ms; /* when allowance was counted */
};

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_ms(int64_t ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000 };
    while (nanosleep(&t, &t) != 0)
        ;
}

static int fail(struct coffer_error *error, enum coffer_failure failure, const char *text)
{
    error->failure = failure;
    snprintf(error->text, sizeof error->text, "%s", text);
    return -1;
}

static int set_text(struct buf *b, const char *text)
{
    struct str s = str_of(text);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return -1;
    /* The text may be the buffer's own. */
    struct buf fresh = { 0 };
    buf_add(&fresh, s);
    buf_byte(&fresh, '\0');
    buf_free(b);
    *b = fresh;
    if (b->failed)
        return -1;
    b->n--;
    return 0;
}

int coffer_set_token(struct coffer *c, const char *token)
{
    return set_text(&c->token, token);
}

int coffer_set_wrap_ttl(struct coffer *c, const char *ttl)
{
    return set_text(&c->wrap_ttl, ttl);
}

void coffer_set_timeout(struct coffer *c, int64_t timeout_ms)
{
    c->timeout_ms = timeout_ms == 0 ? 60000 : timeout_ms < 0 ? 0 : timeout_ms;
    httpc_set_timeout(c->http, c->timeout_ms);
}

const char *coffer_token(const struct coffer *c)
{
    return c->token.p != NULL ? c->token.p : "";
}

const char *coffer_wrap_ttl(const struct coffer *c)
{
    return c->wrap_ttl.p != NULL ? c->wrap_ttl.p : "";
}

const char *coffer_address(const struct coffer *c)
{
    return c->address.p;
}

/* Copies of the MFA and other headers; their text lies in one buffer. */
static int keep_headers(struct coffer *c, const struct coffer_options *o)
{
    size_t n = o->n_mfa + o->n_headers, total = 0;
    c->extra = calloc(n + 1, sizeof *c->extra);
    if (c->extra == NULL)
        return -1;
    for (size_t i = 0; i < o->n_mfa; i++)
        total += strlen(o->mfa[i]);
    for (size_t i = 0; i < o->n_headers; i++)
        total += strlen(o->headers[i].name) + strlen(o->headers[i].value);
    if (buf_reserve(&c->extra_text, total + 1) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        bool mfa = i < o->n_mfa;
        struct str name = mfa ? STR("X-Vault-MFA") : str_of(o->headers[i - o->n_mfa].name);
        struct str value = str_of(mfa ? o->mfa[i] : o->headers[i - o->n_mfa].value);
        struct httpc_header *h = &c->extra[c->n_extra++];
        h->name = name;
        if (!mfa) {
            h->name.p = c->extra_text.p + c->extra_text.n;
            buf_add(&c->extra_text, name);
        }
        h->value = str_mem(c->extra_text.p + c->extra_text.n, value.n);
        buf_add(&c->extra_text, value);
    }
    return 0;
}

/* "ns1" and "/ns1/" are "ns1/"; the root is nothing. */
static int keep_name_space(struct coffer *c, const char *given)
{
    struct str s = str_of(given);
    while (str_starts(s, STR("/")))
        s = str_from(s, 1);
    while (str_ends(s, STR("/")))
        s = str_head(s, s.n - 1);
    if (s.n == 0 || str_is(s, "root"))
        return 0;
    AUTO(buf_free) struct buf text = { 0 };
    buf_add(&text, s);
    buf_add(&text, STR("/"));
    buf_byte(&text, '\0');
    return text.failed ? -1 : set_text(&c->name_space, text.p);
}

static int open_http(struct coffer *c, const struct coffer_options *o, struct coffer_error *error)
{
    struct err err = { 0 };
    AUTO(buf_free) struct buf unix_path = { 0 };
    AUTO(buf_free) struct buf found = { 0 };
    const char *address = o->address != NULL ? o->address : "https://127.0.0.1:8200";
    if (address_split(address, &c->base, &unix_path, &err) < 0)
        return fail(error, COFFER_BAD_OPTIONS, err.msg);
    if (o->srv_lookup && unix_path.n == 0 && address_by_srv(buf_str(&c->base), &found) > 0) {
        buf_clear(&c->base);
        buf_add(&c->base, buf_str(&found));
    }
    buf_byte(&unix_path, '\0');
    if ((o->client_cert != NULL) != (o->client_key != NULL))
        return fail(error, COFFER_BAD_OPTIONS,
                    "both client cert and client key must be provided");
    struct httpc_config config = {
        .ca_file = o->ca_cert, .ca_path = o->ca_path, .cert_file = o->client_cert,
        .key_file = o->client_key, .server_name = o->tls_server_name,
        .unix_path = unix_path.n > 1 ? unix_path.p : NULL, .skip_verify = o->tls_skip_verify,
        .timeout_ms = c->timeout_ms,
    };
    if (c->base.failed || unix_path.failed || set_text(&c->address, address) < 0 ||
        httpc_new(&config, &c->http, &err) < 0)
        return fail(error, COFFER_NO_MEMORY, "out of memory");
    return 0;
}

int coffer_new(const struct coffer_options *o, struct coffer **out, struct coffer_error *error)
{
    struct coffer *c = calloc(1, sizeof *c);
    if (c == NULL)
        return fail(error, COFFER_NO_MEMORY, "out of memory");
    c->max_retries = o->max_retries;
    c->retry_wait_ms = o->retry_wait_ms != 0 ? o->retry_wait_ms : 1000;
    c->timeout_ms = o->timeout_ms == 0 ? 60000 : o->timeout_ms < 0 ? 0 : o->timeout_ms;
    c->policy_override = o->policy_override;
    c->skip_verify = o->tls_skip_verify;
    c->rate = o->rate;
    c->burst = o->burst > 0 ? o->burst : o->rate > 1 ? o->rate : 1;
    c->allowance = c->burst;
    c->last_ms = mono_ms();
    int rc = open_http(c, o, error);
    if (rc == 0 && set_text(&c->token, o->token != NULL ? o->token : "") < 0)
        rc = fail(error, COFFER_BAD_OPTIONS,
                  "configured Vault token contains non-printable characters and cannot be used");
    if (rc == 0 && (set_text(&c->wrap_ttl, o->wrap_ttl != NULL ? o->wrap_ttl : "") < 0 ||
                    keep_name_space(c, o->name_space) < 0 || keep_headers(c, o) < 0))
        rc = fail(error, COFFER_BAD_OPTIONS, "a header's value cannot be sent");
    if (rc < 0) {
        coffer_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

void coffer_free(struct coffer *c)
{
    if (c == NULL)
        return;
    httpc_free(c->http);
    buf_free(&c->base);
    buf_free(&c->address);
    buf_free(&c->token);
    buf_free(&c->wrap_ttl);
    buf_free(&c->name_space);
    buf_free(&c->extra_text);
    free(c->extra);
    free(c);
}

void coffer_answer_free(struct coffer_answer *answer)
{
    if (answer->body != NULL)
        explicit_bzero(answer->body, answer->body_len);
    free(answer->body);
    free(answer->url);
    *answer = (struct coffer_answer){ 0 };
}

/* All headers of a request; ${list} has room for them. */
static size_t fill_headers(const struct coffer *c, const struct coffer_request *q,
                           struct httpc_header *list)
{
    size_t n = 0;
    list[n++] = (struct httpc_header){ STR("X-Vault-Request"), STR("true") };
    if (c->token.n > 0)
        list[n++] = (struct httpc_header){ STR("X-Vault-Token"), buf_str(&c->token) };
    if (c->name_space.n > 0)
        list[n++] = (struct httpc_header){ STR("X-Vault-Namespace"), buf_str(&c->name_space) };
    if (c->wrap_ttl.n > 0)
        list[n++] = (struct httpc_header){ STR("X-Vault-Wrap-TTL"), buf_str(&c->wrap_ttl) };
    if (c->policy_override)
        list[n++] = (struct httpc_header){ STR("X-Vault-Policy-Override"), STR("true") };
    if (q->body != NULL || q->source != NULL)
        list[n++] = (struct httpc_header){
            STR("Content-Type"),
            str_of(q->content_type != NULL ? q->content_type : "application/json")
        };
    for (size_t i = 0; i < c->n_extra; i++)
        list[n++] = c->extra[i];
    return n;
}

/* Wait until the rate limit lets one more request go. */
static void wait_for_turn(struct coffer *c)
{
    if (c->rate <= 0)
        return;
    int64_t now = mono_ms();
    c->allowance += (double)(now - c->last_ms) / 1000 * c->rate;
    if (c->allowance > c->burst)
        c->allowance = c->burst;
    c->last_ms = now;
    if (c->allowance < 1) {
        int64_t ms = (int64_t)((1 - c->allowance) / c->rate * 1000) + 1;
        sleep_ms(ms);
        c->allowance = 1;
        c->last_ms = mono_ms();
    }
    c->allowance -= 1;
}

static bool worth_another_try(const struct err *err, int rc, int status)
{
    if (rc < 0)
        return err->code == ERR_UPSTREAM && strstr(err->msg, "x509") == NULL;
    return status == 412 || status == 429 || (status >= 500 && status != 501);
}

/* Between one and one and a half times the wait, more with each try. */
static int64_t wait_before(const struct coffer *c, unsigned attempt)
{
    return (int64_t)(c->retry_wait_ms + random_below(c->retry_wait_ms / 2 + 1)) * (attempt + 1);
}

static int call_with_retries(struct coffer *c, const struct httpc_call *call,
                             struct httpc_answer *answer, struct err *err)
{
    int64_t until = c->timeout_ms > 0 ? mono_ms() + c->timeout_ms : INT64_MAX;
    for (unsigned attempt = 0;; attempt++) {
        int rc = httpc_run(c->http, call, answer, err);
        /* A sink that got something cannot be given it again. */
        bool begun = rc < 0 && call->sink != NULL && answer->status / 100 == 2;
        if (begun || attempt >= c->max_retries || !worth_another_try(err, rc, answer->status))
            return rc;
        int64_t wait = wait_before(c, attempt);
        if (mono_ms() > until - wait)
            return rc;
        sleep_ms(wait);
    }
}

/* Where a redirect leads; relative ones go to the same server. -1: ERR_UPSTREAM. */
static int follow(struct buf *url, struct str location, struct err *err)
{
    bool was_tls = str_starts(buf_str(url), STR("https://"));
    if (str_starts(location, STR("/"))) {
        ptrdiff_t slash = str_find_byte(str_from(buf_str(url), sizeof "https://" - 1), '/');
        if (slash >= 0)
            url->n = (size_t)slash + sizeof "https://" - 1;
    } else if (was_tls && !str_starts(location, STR("https://"))) {
        return err_set(err, ERR_UPSTREAM, "redirect would cause protocol downgrade");
    } else if (!was_tls && !str_starts(location, STR("https://")) &&
               !str_starts(location, STR("http://"))) {
        return err_set(err, ERR_UPSTREAM, "redirect to an unsupported address");
    } else {
        buf_clear(url);
    }
    buf_add(url, location);
    return buf_check(url, err);
}

/* What the transport calls back with. */
struct stream {
    const struct coffer_request *request;
};

static int fetch(void *ctx, uint64_t offset, char *to, size_t len, struct err *err)
{
    const struct coffer_request *q = ((struct stream *)ctx)->request;
    if (q->source(q->source_ctx, offset, to, len) < 0)
        return err_set(err, ERR_IO, "the body could not be read");
    return 0;
}

static int pass_on(void *ctx, struct str part, struct err *err)
{
    const struct coffer_request *q = ((struct stream *)ctx)->request;
    if (q->sink(q->sink_ctx, part.p, part.n) < 0)
        return err_set(err, ERR_IO, "the answer could not be written");
    return 0;
}

static int call_url(struct coffer *c, const struct coffer_request *q, struct buf *url,
                    struct httpc_answer *answer, struct err *err)
{
    struct stream stream = { q };
    struct httpc_header *headers = calloc(MAX_HEADERS + c->n_extra, sizeof *headers);
    if (headers == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct httpc_call call = {
        .method = q->method, .url = buf_str(url), .headers = headers,
        .n_headers = fill_headers(c, q, headers),
        .body = { q->body, q->body != NULL ? q->body_len : 0 },
        .source = q->source != NULL ? fetch : NULL, .source_ctx = &stream,
        .source_n = q->source != NULL ? q->body_len : 0,
        .sink = q->sink != NULL ? pass_on : NULL, .sink_ctx = &stream,
    };
    int rc = call_with_retries(c, &call, answer, err);
    if (rc == 0 && (answer->status == 301 || answer->status == 302 || answer->status == 307)) {
        struct str location = httpc_answer_header(answer, "Location");
        rc = location.n == 0 ? err_set(err, ERR_UPSTREAM, "redirect without a Location")
                             : follow(url, location, err);
        call.url = buf_str(url);
        if (rc == 0)
            rc = call_with_retries(c, &call, answer, err);
    }
    free(headers);
    return rc;
}

static int unreachable(const struct coffer_request *q, const struct buf *url,
                       const struct err *err, struct coffer_error *error)
{
    error->failure = err->code == ERR_NOMEM ? COFFER_NO_MEMORY : COFFER_UNREACHABLE;
    char method[16];
    snprintf(method, sizeof method, "%s", q->method);
    for (size_t i = 1; method[i] != '\0'; i++) /* "Get", as Go writes it */
        method[i] = (char)(method[i] >= 'A' && method[i] <= 'Z' ? method[i] + 32 : method[i]);
    snprintf(error->text, sizeof error->text, "%s \"%.*s\": %s", method,
             (int)(url->n < 400 ? url->n : 400), url->p, err->msg);
    return -1;
}

static int hand_over(struct httpc_answer *from, const struct buf *url, struct coffer_answer *to)
{
    to->status = from->status;
    to->url = strndup(url->p, url->n);
    to->body = malloc(from->body.n + 1);
    if (to->url == NULL || to->body == NULL)
        return -1;
    if (from->body.n > 0)
        memcpy(to->body, from->body.p, from->body.n);
    to->body[from->body.n] = '\0';
    to->body_len = from->body.n;
    return 0;
}

int coffer_call(struct coffer *c, const struct coffer_request *q, struct coffer_answer *answer,
                struct coffer_error *error)
{
    struct err err = { 0 };
    AUTO(buf_free) struct buf url = { 0 };
    AUTO(httpc_answer_free) struct httpc_answer got = { 0 };

    *error = (struct coffer_error){ 0 };
    coffer_answer_free(answer);
    buf_add(&url, buf_str(&c->base));
    address_add_path(&url, q->path);
    address_add_query(&url, q->query, q->n_query);
    if (url.failed)
        return fail(error, COFFER_NO_MEMORY, "out of memory");
    wait_for_turn(c);
    if (call_url(c, q, &url, &got, &err) < 0)
        return unreachable(q, &url, &err, error);
    if (hand_over(&got, &url, answer) < 0)
        return fail(error, COFFER_NO_MEMORY, "out of memory");
    if (got.status >= 200 && got.status < 400)
        return 0;
    error->failure = COFFER_REFUSED;
    snprintf(error->text, sizeof error->text, "%s %.*s: status %d", q->method,
             (int)(url.n < 400 ? url.n : 400), url.p, got.status);
    return -1;
}

static void add_quoted(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\'')
            buf_add(out, STR("'\"'\"'"));
        else
            buf_byte(out, text.p[i]);
}

char *coffer_curl_command(const struct coffer *c, const struct coffer_request *q)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct httpc_header *headers = calloc(MAX_HEADERS + c->n_extra, sizeof *headers);
    if (headers == NULL)
        return NULL;
    size_t n = fill_headers(c, q, headers);
    buf_printf(&out, "curl %s", c->skip_verify ? "--insecure " : "");
    if (strcmp(q->method, "GET") != 0)
        buf_printf(&out, "-X %s ", q->method);
    for (size_t i = 0; i < n; i++) {
        struct str value = str_is(headers[i].name, "X-Vault-Token") ? STR("$(vault print token)")
                                                                    : headers[i].value;
        /* Only a patch depends on its type. */
        if (!str_is(headers[i].name, "Content-Type") || strcmp(q->method, "PATCH") == 0)
            buf_printf(&out, "-H \"" STR_FMT ": " STR_FMT "\" ", STR_ARG(headers[i].name),
                       STR_ARG(value));
    }
    free(headers);
    if (q->body != NULL) {
        buf_add(&out, STR("-d '"));
        add_quoted(&out, str_mem(q->body, q->body_len));
        buf_add(&out, STR("' "));
    } else if (q->source != NULL) {
        buf_add(&out, STR("-T '"));
        add_quoted(&out, str_of(q->source_name != NULL ? q->source_name : "-"));
        buf_add(&out, STR("' "));
    }
    buf_add(&out, buf_str(&c->base));
    address_add_path(&out, q->path);
    address_add_query(&out, q->query, q->n_query);
    return out.failed ? NULL : strndup(out.p, out.n);
}
