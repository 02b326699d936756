/*
 * Coffer's client library: speaks to a Coffer (or Vault) server over HTTP. This is the only header
 * that programs outside the tree include. All texts are NUL-terminated UTF-8 unless a length is
 * given.
 */
#ifndef COFFER_H
#define COFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct coffer; /* a client; one thread at a time */

enum coffer_failure {
    COFFER_NO_FAILURE = 0,
    COFFER_BAD_OPTIONS, /* an option or an environment variable cannot be understood */
    COFFER_NO_MEMORY,
    COFFER_UNREACHABLE, /* no connection, no trust, a broken answer, or too slow */
    COFFER_REFUSED,     /* the server answered with an error status: see coffer_answer */
};

/* Why a call failed; made by the caller. The text never holds a token. */
struct coffer_error {
    enum coffer_failure failure;
    char text[1024];
};

struct coffer_pair {
    const char *name, *value;
};

/* Borrowed until coffer_new returns. NULL or 0 means the default in brackets. */
struct coffer_options {
    const char *address;         /* "https://host:port" or "unix:///path" [https://127.0.0.1:8200] */
    const char *token;
    const char *name_space;      /* sent as X-Vault-Namespace */
    const char *wrap_ttl;        /* wrap every answer, e.g. "5m" */
    const char *ca_cert, *ca_path, *client_cert, *client_key, *tls_server_name;
    bool tls_skip_verify;
    bool policy_override;
    bool srv_lookup;             /* find the server by the DNS record _http._tcp.host */
    const char *const *mfa;      /* one X-Vault-MFA header each */
    size_t n_mfa;
    const struct coffer_pair *headers;
    size_t n_headers;
    unsigned max_retries;        /* on 5xx (but 501), 412, 429 and failed connections */
    unsigned retry_wait_ms;      /* between the first two tries; grows with each [1000] */
    int64_t timeout_ms;          /* of a whole call, retries included [60,000]; < 0: none */
    double rate;                 /* requests per second; 0: no limit */
    unsigned burst;              /* how many may go before the rate counts [rate, at least 1] */
};

/* The library's defaults: two retries, the rest zero. */
void coffer_options_init(struct coffer_options *options);

/*
 * Fill from VAULT_ADDR, VAULT_TOKEN, VAULT_CACERT, ... (those that are set; the texts belong to
 * the environment). -1: COFFER_BAD_OPTIONS, nothing is changed.
 */
int coffer_options_from_environment(struct coffer_options *options, struct coffer_error *error);

/* No connection is made yet. -1: COFFER_BAD_OPTIONS, COFFER_NO_MEMORY. */
int coffer_new(const struct coffer_options *options, struct coffer **out,
               struct coffer_error *error);
/* Wipes the token. NULL is fine. */
void coffer_free(struct coffer *c);

/* "" or NULL: none. -1: out of memory, or a text with control characters. */
int coffer_set_token(struct coffer *c, const char *token);
int coffer_set_wrap_ttl(struct coffer *c, const char *ttl);
/* Of calls from now on, as in the options; < 0: none, for answers that stream. */
void coffer_set_timeout(struct coffer *c, int64_t timeout_ms);
const char *coffer_token(const struct coffer *c);
const char *coffer_wrap_ttl(const struct coffer *c);
const char *coffer_address(const struct coffer *c);

struct coffer_request {
    const char *method;              /* "GET", "PUT", "POST", "DELETE", ... */
    const char *path;                /* below /v1/, not encoded: "secret/data/my app" */
    const struct coffer_pair *query; /* not encoded */
    size_t n_query;
    const char *body;                /* JSON; NULL: none */
    size_t body_len;
    const char *content_type;        /* of the body [application/json] */
    /*
     * Instead of body: ${body_len} bytes that are asked for in pieces. Fills ${to} with the ${len}
     * bytes from ${offset} on, which begins at 0 anew when the call is repeated (a redirect,
     * another try). -1 ends the call.
     */
    int (*source)(void *ctx, uint64_t offset, char *to, size_t len);
    void *source_ctx;
    const char *source_name;         /* a file's, for coffer_curl_command [-] */
    /* Gets the body of a successful answer in pieces; -1 ends the call. */
    int (*sink)(void *ctx, const char *part, size_t len);
    void *sink_ctx;
};

/* Starts as { 0 }; release with coffer_answer_free, which wipes it. */
struct coffer_answer {
    int status;
    char *body; /* NUL-terminated, NULs inside possible */
    size_t body_len;
    char *url;  /* that answered, after a redirect */
};

/*
 * Make the call, follow one redirect (method and body kept, never from https to http), try again
 * where the options say so. 0: status 2xx or 3xx. -1: COFFER_REFUSED with the answer filled,
 * COFFER_UNREACHABLE, COFFER_NO_MEMORY.
 */
int coffer_call(struct coffer *c, const struct coffer_request *request,
                struct coffer_answer *answer, struct coffer_error *error);
void coffer_answer_free(struct coffer_answer *answer);

/*
 * The command line of curl that would make the call, with the token replaced by
 * "$(vault print token)". free() it. NULL: out of memory.
 */
char *coffer_curl_command(const struct coffer *c, const struct coffer_request *request);

#endif
