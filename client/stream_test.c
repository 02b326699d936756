/* Tests of bodies and answers that pass in pieces, spoken plainly and through libcurl. */
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
#include "coffer.h"

enum { BODY = 300007 };

/* What the server does with one request. */
struct turn {
    bool refuses;       /* answers when it has read the head, and reads no more */
    const char *answer; /* NULL: none, until the client goes */
};

struct server {
    int fd;
    char address[64];
    const struct turn *turns;
    size_t n_turns;
    struct buf heads;
    size_t body[4]; /* bytes that came, of each request */
    bool right[4];  /* each was the one expected */
    pthread_t thread;
    bool done;
};

static char byte_at(uint64_t offset)
{
    return (char)(offset * 7 + offset / 251);
}

static void take_body(struct server *s, size_t turn, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != byte_at(s->body[turn] + i))
            s->right[turn] = false;
    s->body[turn] += n;
}

/* Head, and as much of the body as the client sends. */
static bool read_request(struct server *s, size_t turn, int fd)
{
    char part[16384];
    size_t begin = s->heads.n, length = 0;
    bool in_body = false;
    s->right[turn] = true;
    while (!in_body || (!s->turns[turn].refuses && s->body[turn] < length)) {
        ssize_t n = recv(fd, part, in_body ? sizeof part : 1, 0);
        if (n <= 0)
            return in_body;
        if (in_body) {
            take_body(s, turn, part, (size_t)n);
            continue;
        }
        buf_add(&s->heads, str_mem(part, (size_t)n));
        struct str head = str_from(buf_str(&s->heads), begin);
        in_body = str_ends(head, STR("\r\n\r\n"));
        ptrdiff_t at = str_find(head, STR("Content-Length: "));
        if (in_body && at >= 0)
            length = strtoul(head.p + at + 16, NULL, 10);
    }
    return true;
}

/* A connection for each turn; it ends when the client closes it. */
static void *serve(void *arg)
{
    struct server *s = arg;
    for (size_t i = 0; i < s->n_turns; i++) {
        char rest[4096];
        int fd = accept(s->fd, NULL, NULL);
        const char *answer = s->turns[i].answer;
        if (fd < 0)
            return NULL;
        if (read_request(s, i, fd) && answer != NULL &&
            send(fd, answer, strlen(answer), MSG_NOSIGNAL) > 0)
            shutdown(fd, SHUT_WR);
        while (recv(fd, rest, sizeof rest, 0) > 0)
            ;
        close(fd);
    }
    return NULL;
}

/* With ${curl} the server is the proxy too: the environment makes libcurl speak. */
static void start(struct server *s, const struct turn *turns, size_t n, bool curl)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    *s = (struct server){ .turns = turns, .n_turns = n };
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->fd, 8), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
    snprintf(s->address, sizeof s->address, "http://127.0.0.1:%d", ntohs(a.sin_port));
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
    if (curl)
        setenv("http_proxy", s->address, 1);
    else
        unsetenv("http_proxy");
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* Until it has had all its turns; then what it saw may be looked at. */
static void settle(struct server *s)
{
    if (!s->done)
        pthread_join(s->thread, NULL);
    s->done = true;
}

static void stop(struct server *s)
{
    settle(s);
    close(s->fd);
    buf_free(&s->heads);
    unsetenv("http_proxy");
}

static bool seen(const struct server *s, const char *text)
{
    return str_find(buf_str(&s->heads), str_of(text)) >= 0;
}

static struct coffer *client(const struct server *s, unsigned retries)
{
    struct coffer_options o;
    struct coffer_error error = { 0 };
    struct coffer *out = NULL;
    coffer_options_init(&o);
    o.address = s->address;
    o.max_retries = retries;
    o.retry_wait_ms = 1;
    assert_int_equal(coffer_new(&o, &out, &error), 0);
    return out;
}

/* The body; ${fails_at} is where it cannot be read any more. */
struct source {
    uint64_t fails_at;
    unsigned begun;
};

static int give(void *ctx, uint64_t offset, char *to, size_t len)
{
    struct source *src = ctx;
    src->begun += offset == 0;
    if (offset + len > src->fails_at)
        return -1;
    for (size_t i = 0; i < len; i++)
        to[i] = byte_at(offset + i);
    return 0;
}

struct sink {
    size_t n, most; /* bytes taken, and how many it can take */
    bool wrong;
};

static int take_part(void *ctx, const char *part, size_t len)
{
    struct sink *k = ctx;
    if (k->n + len > k->most)
        return -1;
    for (size_t i = 0; i < len; i++)
        k->wrong |= part[i] != 'a';
    k->n += len;
    return 0;
}

/* A POST of the body in pieces, the client gone when it returns. */
static int post(struct server *s, struct source *src, struct coffer_answer *answer,
                struct coffer_error *error)
{
    struct coffer *c = client(s, 0);
    struct coffer_request q = { .method = "POST", .path = "snap", .body_len = BODY,
                                .content_type = "application/octet-stream", .source = give,
                                .source_ctx = src };
    int rc = coffer_call(c, &q, answer, error);
    coffer_free(c);
    return rc;
}

static int get(struct server *s, struct sink *k, unsigned retries, struct coffer_answer *answer,
               struct coffer_error *error)
{
    struct coffer *c = client(s, retries);
    struct coffer_request q = { .method = "GET", .path = "snap", .sink = take_part,
                                .sink_ctx = k };
    int rc = coffer_call(c, &q, answer, error);
    coffer_free(c);
    return rc;
}

#define DONE "HTTP/1.1 204 No Content\r\n\r\n"

/* Each test runs twice: spoken plainly, and through libcurl. */
#define BOTH_WAYS(curl) for (int curl = 0; curl < 2; curl++)

static void sends_all_of_a_body_in_pieces(void **state)
{
    BOTH_WAYS(curl) {
        struct server s;
        struct source src = { .fails_at = UINT64_MAX };
        struct coffer_answer answer = { 0 };
        struct coffer_error error;
        start(&s, (const struct turn[]){ { .answer = DONE } }, 1, curl);
        assert_int_equal(post(&s, &src, &answer, &error), 0);
        assert_int_equal(answer.status, 204);
        settle(&s);
        assert_int_equal(s.body[0], BODY);
        assert_true(s.right[0]);
        assert_true(seen(&s, "Content-Length: 300007\r\n"));
        assert_true(seen(&s, "Content-Type: application/octet-stream\r\n"));
        assert_false(seen(&s, "Expect"));
        coffer_answer_free(&answer);
        stop(&s);
    }
}

static void sends_an_empty_body_with_its_length(void **state)
{
    BOTH_WAYS(curl) {
        struct server s;
        struct source src = { .fails_at = 0 };
        struct coffer_answer answer = { 0 };
        struct coffer_error error;
        start(&s, (const struct turn[]){ { .answer = DONE } }, 1, curl);
        struct coffer *c = client(&s, 0);
        struct coffer_request q = { .method = "POST", .path = "snap", .source = give,
                                    .source_ctx = &src };
        assert_int_equal(coffer_call(c, &q, &answer, &error), 0);
        coffer_answer_free(&answer);
        coffer_free(c);
        settle(&s);
        assert_true(seen(&s, "Content-Length: 0\r\n"));
        assert_int_equal(src.begun, 0);
        stop(&s);
    }
}

static void begins_anew_after_a_redirect(void **state)
{
    static const struct turn turns[] = {
        { .answer = "HTTP/1.1 307 Moved\r\nLocation: /v1/else\r\nContent-Length: 0\r\n"
                    "Connection: close\r\n\r\n" },
        { .answer = DONE },
    };
    BOTH_WAYS(curl) {
        struct server s;
        struct source src = { .fails_at = UINT64_MAX };
        struct coffer_answer answer = { 0 };
        struct coffer_error error;
        start(&s, turns, 2, curl);
        assert_int_equal(post(&s, &src, &answer, &error), 0);
        settle(&s);
        assert_int_equal(s.body[1], BODY);
        assert_true(s.right[1]);
        assert_int_equal(src.begun, 2);
        assert_true(seen(&s, "/v1/else HTTP/1.1\r\n"));
        coffer_answer_free(&answer);
        stop(&s);
    }
}

static void ends_when_the_body_cannot_be_read(void **state)
{
    BOTH_WAYS(curl) {
        struct server s;
        struct source src = { .fails_at = BODY / 2 };
        struct coffer_answer answer = { 0 };
        struct coffer_error error;
        start(&s, (const struct turn[]){ { .answer = NULL } }, 1, curl);
        assert_int_equal(post(&s, &src, &answer, &error), -1);
        assert_int_equal(error.failure, COFFER_UNREACHABLE);
        assert_non_null(strstr(error.text, "the body could not be read"));
        settle(&s);
        assert_true(s.body[0] < BODY);
        coffer_answer_free(&answer);
        stop(&s);
    }
}

static void takes_a_refusal_that_comes_before_the_body_has_gone(void **state)
{
    static const struct turn turns[] = {
        { .refuses = true, .answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 24\r\n"
                                     "Connection: close\r\n\r\n"
                                     "{\"errors\":[\"forbidden\"]}" },
    };
    BOTH_WAYS(curl) {
        struct server s;
        struct source src = { .fails_at = UINT64_MAX };
        struct coffer_answer answer = { 0 };
        struct coffer_error error;
        start(&s, turns, 1, curl);
        assert_int_equal(post(&s, &src, &answer, &error), -1);
        assert_int_equal(error.failure, COFFER_REFUSED);
        assert_int_equal(answer.status, 403);
        assert_string_equal(answer.body, "{\"errors\":[\"forbidden\"]}");
        coffer_answer_free(&answer);
        stop(&s);
    }
}

static void hands_an_answer_over_in_pieces(void **state)
{
    AUTO(buf_free) struct buf text = { 0 };
    buf_printf(&text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY);
    for (size_t i = 0; i < BODY; i++)
        buf_byte(&text, 'a');
    buf_byte(&text, '\0');
    BOTH_WAYS(curl) {
        struct server s;
        struct sink k = { .most = BODY };
        struct coffer_answer answer = { 0 };
        struct coffer_error error;
        start(&s, (const struct turn[]){ { .answer = text.p } }, 1, curl);
        assert_int_equal(get(&s, &k, 0, &answer, &error), 0);
        assert_int_equal(k.n, BODY);
        assert_false(k.wrong);
        assert_int_equal(answer.body_len, 0);
        coffer_answer_free(&answer);
        stop(&s);
    }
}

static void does_not_repeat_an_answer_that_was_torn(void **state)
{
    static const char *const torn[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\naaaa",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\naaaa\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(torn); i++) {
        BOTH_WAYS(curl) {
            struct server s;
            struct sink k = { .most = BODY };
            struct coffer_answer answer = { 0 };
            struct coffer_error error;
            start(&s, (const struct turn[]){ { .answer = torn[i] } }, 1, curl);
            assert_int_equal(get(&s, &k, 2, &answer, &error), -1);
            assert_int_equal(error.failure, COFFER_UNREACHABLE);
            assert_int_equal(k.n, 4);
            coffer_answer_free(&answer);
            stop(&s);
        }
    }
}

static void ends_when_the_answer_cannot_be_written(void **state)
{
    BOTH_WAYS(curl) {
        struct server s;
        struct sink k = { .most = 3 };
        struct coffer_answer answer = { 0 };
        struct coffer_error error;
        start(&s, (const struct turn[]){ { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"
                                                     "\r\naaaa" } }, 1, curl);
        assert_int_equal(get(&s, &k, 0, &answer, &error), -1);
        assert_non_null(strstr(error.text, "the answer could not be written"));
        coffer_answer_free(&answer);
        stop(&s);
    }
}

static void keeps_a_refusal_from_the_sink(void **state)
{
    BOTH_WAYS(curl) {
        struct server s;
        struct sink k = { .most = BODY };
        struct coffer_answer answer = { 0 };
        struct coffer_error error;
        start(&s, (const struct turn[]){ { .answer = "HTTP/1.1 503 No\r\nContent-Length: 6\r\n"
                                                     "\r\nsealed" } }, 1, curl);
        assert_int_equal(get(&s, &k, 0, &answer, &error), -1);
        assert_int_equal(error.failure, COFFER_REFUSED);
        assert_string_equal(answer.body, "sealed");
        assert_int_equal(k.n, 0);
        coffer_answer_free(&answer);
        stop(&s);
    }
}

static void obeys_a_time_limit_that_is_set_later(void **state)
{
    BOTH_WAYS(curl) {
        struct server s;
        struct coffer_answer answer = { 0 };
        struct coffer_error error;
        start(&s, (const struct turn[]){ { .answer = NULL } }, 1, curl);
        struct coffer *c = client(&s, 0);
        coffer_set_timeout(c, 20);
        struct coffer_request q = { .method = "GET", .path = "snap" };
        assert_int_equal(coffer_call(c, &q, &answer, &error), -1);
        assert_non_null(strstr(error.text, "context deadline exceeded"));
        coffer_answer_free(&answer);
        coffer_free(c);
        stop(&s);
    }
}

static void names_the_file_in_the_curl_command(void **state)
{
    struct server s = { .address = "http://127.0.0.1:1" };
    struct coffer *c = client(&s, 0);
    struct coffer_request q = { .method = "POST", .path = "snap", .body_len = 5, .source = give,
                                .source_name = "it's.snap" };
    char *line = coffer_curl_command(c, &q);
    assert_string_equal(line, "curl -X POST -H \"X-Vault-Request: true\" "
                              "-T 'it'\"'\"'s.snap' http://127.0.0.1:1/v1/snap");
    free(line);
    coffer_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_all_of_a_body_in_pieces),
        cmocka_unit_test(sends_an_empty_body_with_its_length),
        cmocka_unit_test(begins_anew_after_a_redirect),
        cmocka_unit_test(ends_when_the_body_cannot_be_read),
        cmocka_unit_test(takes_a_refusal_that_comes_before_the_body_has_gone),
        cmocka_unit_test(hands_an_answer_over_in_pieces),
        cmocka_unit_test(does_not_repeat_an_answer_that_was_torn),
        cmocka_unit_test(ends_when_the_answer_cannot_be_written),
        cmocka_unit_test(keeps_a_refusal_from_the_sink),
        cmocka_unit_test(obeys_a_time_limit_that_is_set_later),
        cmocka_unit_test(names_the_file_in_the_curl_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
