/* Tests of the client library against a server of canned answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "client/address.h"
#include "coffer.h"

/* Answers each request with the next text; one connection after the other. */
struct canned {
    int fd;
    const char *const *answers; /* NULL-terminated; "" closes without an answer */
    char address[64];
    char seen[8][2048];
    size_t n_seen;
    pthread_t thread;
};

/* Until the body that the head announces is there. */
static bool read_request(int fd, char *to, size_t size)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, to + n, size - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        to[n] = '\0';
        const char *end = strstr(to, "\r\n\r\n"), *length = strstr(to, "Content-Length: ");
        size_t body = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
        if (end != NULL && n >= (size_t)(end + 4 - to) + body)
            return true;
    }
}

static void *serve(void *arg)
{
    struct canned *c = arg;
    int fd = -1;
    for (size_t i = 0; c->answers[i] != NULL;) {
        if (fd < 0)
            fd = accept(c->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        if (!read_request(fd, c->seen[c->n_seen], sizeof c->seen[0])) {
            close(fd);
            fd = -1;
            continue;
        }
        c->n_seen++;
        const char *text = c->answers[i++];
        bool closes = text[0] == '\0' || strstr(text, "Connection: close") != NULL;
        if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 || closes) {
            close(fd);
            fd = -1;
        }
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void start(struct canned *c, const char *const *answers)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    *c = (struct canned){ .answers = answers };
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(c->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(c->fd, 8), 0);
    assert_int_equal(getsockname(c->fd, (struct sockaddr *)&a, &n), 0);
    snprintf(c->address, sizeof c->address, "http://127.0.0.1:%d", ntohs(a.sin_port));
    assert_int_equal(pthread_create(&c->thread, NULL, serve, c), 0);
}

static void stop(struct canned *c)
{
    pthread_join(c->thread, NULL);
    close(c->fd);
}

static struct coffer *client(const struct canned *c, unsigned retries)
{
    struct coffer_options o;
    struct coffer_error error = { 0 };
    struct coffer *out = NULL;
    coffer_options_init(&o);
    o.address = c->address;
    o.token = "s.token";
    o.max_retries = retries;
    o.retry_wait_ms = 1;
    assert_int_equal(coffer_new(&o, &out, &error), 0);
    return out;
}

/* One GET of a/b; the result of coffer_call. */
static int get(struct coffer *c, struct coffer_answer *answer, struct coffer_error *error)
{
    return coffer_call(c, &(struct coffer_request){ .method = "GET", .path = "a/b" }, answer,
                       error);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

static void sends_token_and_path(void **state)
{
    struct canned s;
    struct coffer_answer answer = { 0 };
    struct coffer_error error;
    start(&s, (const char *const[]){ OK, NULL });
    struct coffer *c = client(&s, 0);
    assert_int_equal(get(c, &answer, &error), 0);
    assert_string_equal(answer.body, "{}");
    assert_non_null(strstr(s.seen[0], "GET /v1/a/b HTTP/1.1\r\n"));
    assert_non_null(strstr(s.seen[0], "X-Vault-Token: s.token\r\n"));
    assert_non_null(strstr(s.seen[0], "X-Vault-Request: true\r\n"));
    coffer_answer_free(&answer);
    coffer_free(c);
    stop(&s);
}

static void reads_chunks_and_keeps_the_connection(void **state)
{
    struct canned s;
    struct coffer_answer answer = { 0 };
    struct coffer_error error;
    start(&s, (const char *const[]){ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                     "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
                                     OK, NULL });
    struct coffer *c = client(&s, 0);
    assert_int_equal(get(c, &answer, &error), 0);
    assert_string_equal(answer.body, "abc0123456789");
    assert_int_equal(get(c, &answer, &error), 0);
    assert_string_equal(answer.body, "{}");
    coffer_answer_free(&answer);
    coffer_free(c);
    stop(&s);
}

static void reads_until_the_end_without_a_length(void **state)
{
    struct canned s;
    struct coffer_answer answer = { 0 };
    struct coffer_error error;
    start(&s, (const char *const[]){ "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nall", NULL });
    struct coffer *c = client(&s, 0);
    assert_int_equal(get(c, &answer, &error), 0);
    assert_string_equal(answer.body, "all");
    coffer_answer_free(&answer);
    coffer_free(c);
    stop(&s);
}

static void follows_one_redirect_with_method_and_body(void **state)
{
    struct canned s;
    struct coffer_answer answer = { 0 };
    struct coffer_error error;
    start(&s, (const char *const[]){ "HTTP/1.1 307 Moved\r\nLocation: /v1/else\r\n"
                                     "Content-Length: 0\r\n\r\n",
                                     OK, NULL });
    struct coffer *c = client(&s, 0);
    struct coffer_request q = { .method = "PUT", .path = "a", .body = "{\"k\":1}", .body_len = 7 };
    assert_int_equal(coffer_call(c, &q, &answer, &error), 0);
    assert_non_null(strstr(s.seen[1], "PUT /v1/else HTTP/1.1\r\n"));
    assert_non_null(strstr(s.seen[1], "\r\n\r\n{\"k\":1}"));
    coffer_answer_free(&answer);
    coffer_free(c);
    stop(&s);
}

static void does_not_follow_a_second_redirect(void **state)
{
#define MOVED "HTTP/1.1 307 Moved\r\nLocation: /v1/else\r\nContent-Length: 0\r\n\r\n"
    struct canned s;
    struct coffer_answer answer = { 0 };
    struct coffer_error error;
    start(&s, (const char *const[]){ MOVED, MOVED, NULL });
    struct coffer *c = client(&s, 0);
    assert_int_equal(get(c, &answer, &error), 0);
    assert_int_equal(answer.status, 307);
    coffer_answer_free(&answer);
    coffer_free(c);
    stop(&s);
}

static void tries_again_after_a_server_error(void **state)
{
    struct canned s;
    struct coffer_answer answer = { 0 };
    struct coffer_error error;
    start(&s, (const char *const[]){ "HTTP/1.1 500 E\r\nContent-Length: 0\r\n\r\n",
                                     "HTTP/1.1 412 P\r\nContent-Length: 0\r\n\r\n", OK, NULL });
    struct coffer *c = client(&s, 2);
    assert_int_equal(get(c, &answer, &error), 0);
    assert_int_equal(answer.status, 200);
    coffer_answer_free(&answer);
    coffer_free(c);
    stop(&s);
}

static void gives_up_after_the_last_try(void **state)
{
    struct canned s;
    struct coffer_answer answer = { 0 };
    struct coffer_error error;
    start(&s, (const char *const[]){ "HTTP/1.1 500 E\r\nContent-Length: 1\r\n\r\nx", NULL });
    struct coffer *c = client(&s, 0);
    assert_int_equal(get(c, &answer, &error), -1);
    assert_int_equal(error.failure, COFFER_REFUSED);
    assert_int_equal(answer.status, 500);
    assert_string_equal(answer.body, "x");
    coffer_answer_free(&answer);
    coffer_free(c);
    stop(&s);
}

static void refuses_answers_that_are_broken(void **state)
{
    static const char *const broken[] = {
        "nonsense\r\n\r\n", "HTTP/1.1 x\r\n\r\n",
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"
         "Connection: close\r\n\r\nshort"),
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct canned s;
        struct coffer_answer answer = { 0 };
        struct coffer_error error;
        print_message("  %zu\n", i);
        start(&s, (const char *const[]){ broken[i], NULL });
        struct coffer *c = client(&s, 0);
        assert_int_equal(get(c, &answer, &error), -1);
        assert_int_equal(error.failure, COFFER_UNREACHABLE);
        assert_null(strstr(error.text, "s.token"));
        coffer_answer_free(&answer);
        coffer_free(c);
        stop(&s);
    }
}

static void says_when_nobody_listens(void **state)
{
    struct canned s = { .address = "http://127.0.0.1:1" };
    struct coffer_answer answer = { 0 };
    struct coffer_error error;
    struct coffer *c = client(&s, 0);
    assert_int_equal(get(c, &answer, &error), -1);
    assert_string_equal(error.text, "Get \"http://127.0.0.1:1/v1/a/b\": dial tcp 127.0.0.1:1: "
                                    "connect: connection refused");
    coffer_free(c);
}

static void refuses_options_that_cannot_be(void **state)
{
    static const struct coffer_options bad[] = {
        { .address = "ftp://x" }, { .address = "127.0.0.1:8200" }, { .address = "unix://" },
        { .address = "http://x", .token = "a\nb" }, { .address = "http://x", .client_cert = "c" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct coffer *c = NULL;
        struct coffer_error error = { 0 };
        assert_int_equal(coffer_new(&bad[i], &c, &error), -1);
        assert_int_equal(error.failure, COFFER_BAD_OPTIONS);
    }
}

static void reads_the_environment(void **state)
{
    struct coffer_options o;
    struct coffer_error error = { 0 };
    setenv("VAULT_ADDR", "http://a", 1);
    setenv("VAULT_CLIENT_TIMEOUT", "1m30s", 1);
    setenv("VAULT_MAX_RETRIES", "5", 1);
    setenv("VAULT_RATE_LIMIT", "10:50", 1);
    setenv("VAULT_SKIP_VERIFY", "true", 1);
    coffer_options_init(&o);
    assert_int_equal(coffer_options_from_environment(&o, &error), 0);
    assert_string_equal(o.address, "http://a");
    assert_true(o.timeout_ms == 90000 && o.max_retries == 5 && o.burst == 50);
    assert_true(o.tls_skip_verify);
    setenv("VAULT_AGENT_ADDR", "http://b", 1);
    assert_int_equal(coffer_options_from_environment(&o, &error), 0);
    assert_string_equal(o.address, "http://b");
}

static void refuses_a_bad_environment(void **state)
{
    static const struct {
        const char *name, *value;
    } bad[] = { { "VAULT_CLIENT_TIMEOUT", "soon" }, { "VAULT_MAX_RETRIES", "-1" },
                { "VAULT_SKIP_VERIFY", "maybe" },   { "VAULT_RATE_LIMIT", "x" },
                { "VAULT_SRV_LOOKUP", "2" } };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct coffer_options o;
        struct coffer_error error = { 0 };
        coffer_options_init(&o);
        setenv(bad[i].name, bad[i].value, 1);
        assert_int_equal(coffer_options_from_environment(&o, &error), -1);
        assert_non_null(strstr(error.text, bad[i].name));
        unsetenv(bad[i].name);
    }
}

static void encodes_paths_and_queries_as_go_does(void **state)
{
    static const struct {
        const char *path, *url;
    } cases[] = {
        { "secret/my app", "/v1/secret/my%20app" }, { "a//b/./c/../d/", "/v1/a/b/d" },
        { "a/100%", "/v1/a/100%25" },               { "a?b#c", "/v1/a%3Fb%23c" },
        { "a:@$&+,;=~", "/v1/a:@$&+,;=~" },         { "../..", "/v1" },
        { "\xc3\xa9", "/v1/%C3%A9" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf url = { 0 };
        address_add_path(&url, cases[i].path);
        print_message("  " STR_FMT "\n", STR_ARG(buf_str(&url)));
        assert_true(str_is(buf_str(&url), cases[i].url));
    }
    static const struct coffer_pair query[] = { { "b", "x y" }, { "a", "1&2" }, { "b", "+" } };
    AUTO(buf_free) struct buf url = { 0 };
    address_add_query(&url, query, 3);
    assert_true(str_is(buf_str(&url), "?a=1%262&b=x+y&b=%2B"));
}

static void sets_a_text_to_itself(void **state)
{
    struct canned s = { .address = "http://127.0.0.1:1" };
    struct coffer *c = client(&s, 0);
    assert_int_equal(coffer_set_token(c, coffer_token(c)), 0);
    assert_string_equal(coffer_token(c), "s.token");
    assert_int_equal(coffer_set_token(c, "a\tb"), -1);
    assert_string_equal(coffer_token(c), "s.token");
    coffer_free(c);
}

static void hides_the_token_in_the_curl_command(void **state)
{
    struct canned s = { .address = "http://127.0.0.1:1" };
    struct coffer *c = client(&s, 0);
    struct coffer_request q = { .method = "PUT", .path = "a", .body = "{\"k\":\"it's\"}",
                                .body_len = 12 };
    char *line = coffer_curl_command(c, &q);
    assert_string_equal(line, "curl -X PUT -H \"X-Vault-Request: true\" "
                              "-H \"X-Vault-Token: $(vault print token)\" "
                              "-d '{\"k\":\"it'\"'\"'s\"}' http://127.0.0.1:1/v1/a");
    free(line);
    coffer_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_token_and_path),
        cmocka_unit_test(reads_chunks_and_keeps_the_connection),
        cmocka_unit_test(reads_until_the_end_without_a_length),
        cmocka_unit_test(follows_one_redirect_with_method_and_body),
        cmocka_unit_test(does_not_follow_a_second_redirect),
        cmocka_unit_test(tries_again_after_a_server_error),
        cmocka_unit_test(gives_up_after_the_last_try),
        cmocka_unit_test(refuses_answers_that_are_broken),
        cmocka_unit_test(says_when_nobody_listens),
        cmocka_unit_test(refuses_options_that_cannot_be),
        cmocka_unit_test(reads_the_environment),
        cmocka_unit_test(refuses_a_bad_environment),
        cmocka_unit_test(encodes_paths_and_queries_as_go_does),
        cmocka_unit_test(sets_a_text_to_itself),
        cmocka_unit_test(hides_the_token_in_the_curl_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
