/* Tests of joining, against a member that says what the test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/base64.h"
#include "core/join.h"
#include "storage/driver.h"
#include "storage/raft/raftstore.h"

#define SEAL "\"seal_config\":{\"type\":\"shamir\",\"secret_shares\":1,\"secret_threshold\":1}"
/* 32 bytes, and what is no challenge. */
#define CHALLENGE "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER "bm90IGEgY2hhbGxlbmdl"

/* What it says to a challenge and to an answer: status and body. */
struct script {
    int challenge_status, answer_status;
    const char *challenge, *answer;
};

struct fixture {
    char dir[64], url[64];
    struct storage *store;
    struct link_creds *creds;
    struct core_settings settings;
    struct join *join;
    struct arena *arena;
    struct script script;
    int fd, answers; /* answers: how many it was given */
    pthread_t thread;
};

static bool heard(struct buf *in)
{
    ptrdiff_t end = str_find(buf_str(in), STR("\r\n\r\n"));
    ptrdiff_t at = str_find(buf_str(in), STR("ength: "));
    return end >= 0 && (at < 0 || in->n >= (size_t)end + 4 + strtoul(in->p + at + 7, NULL, 10));
}

static void talk(struct fixture *f, int fd)
{
    AUTO(buf_free) struct buf in = { 0 }, out = { 0 };
    while (!heard(&in) && buf_reserve(&in, 4096) == 0) {
        ssize_t n = read(fd, in.p + in.n, 4095);
        if (n <= 0)
            return;
        in.n += (size_t)n;
        in.p[in.n] = 0;
    }
    bool answer = str_find(buf_str(&in), STR("bootstrap/answer ")) >= 0;
    const char *body = answer ? f->script.answer : f->script.challenge;
    f->answers += answer;
    buf_printf(&out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
               answer ? f->script.answer_status : f->script.challenge_status, strlen(body), body);
    (void)!write(fd, out.p, out.n);
}

static void *member(void *ctx)
{
    struct fixture *f = ctx;
    for (int fd; (fd = accept(f->fd, NULL, NULL)) >= 0; close(fd))
        talk(f, fd);
    return NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void must(int rc, const struct err *err)
{
    if (rc < 0)
        fail_msg("%s", err->msg);
}

static int64_t now(const struct clock *c)
{
    return 1700000000LL * 1000000000;
}

static const struct clock clock_stands = { now, now };

static void listen_somewhere(struct fixture *f)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof a;
    f->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(f->fd, 16), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&a, &n), 0);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/", ntohs(a.sin_port));
    assert_int_equal(pthread_create(&f->thread, NULL, member, f), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err = { 0 };
    log_set_level(LOG_OFF);
    f->arena = arena_new();
    snprintf(f->dir, sizeof f->dir, "/tmp/coffer-join-XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    struct storage_option options[] = { { STR("path"), str_of(f->dir) },
                                        { STR("node_id"), STR("joiner") } };
    must(storage_raft.open(options, ARRAY_LEN(options), &f->store, &err), &err);
    must(link_creds_new(&f->creds, &err), &err);
    f->settings = (struct core_settings){
        .physical = f->store, .raft = raftstore_of(f->store), .creds = f->creds,
        .clock = &clock_stands, .node_id = STR("joiner"), .cluster_addr = STR("127.0.0.1:1"),
    };
    f->settings.ha = raftstore_ha(f->settings.raft);
    must(raftstore_set_network(f->settings.raft, f->creds, STR("127.0.0.1:1"), &err), &err);
    must(join_new(&f->settings, &f->join, &err), &err);
    f->script = (struct script){ 200, 200,
                                 "{\"data\":{\"challenge\":\"" CHALLENGE "\"," SEAL "}}",
                                 "{\"data\":{\"tls_keyring\":\"" OTHER "\"}}" };
    listen_somewhere(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    join_free(f->join);
    shutdown(f->fd, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->fd);
    storage_close(f->store);
    link_creds_free(f->creds);
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_free(f->arena);
    free(f);
    return 0;
}

static int ask(struct fixture *f, struct err *err)
{
    struct join_target target = { .api_addr = str_of(f->url) };
    return join_ask(f->join, &target, 1, false, err);
}

/* As if the seal were no seal. */
static int open_plain(void *ctx, struct str sealed, struct buf *out, struct err *err)
{
    buf_add(out, sealed);
    return buf_check(out, err);
}

static int open_never(void *ctx, struct str sealed, struct buf *out, struct err *err)
{
    return err_set(err, ERR_DENIED, "wrong key");
}

static void a_member_that_gives_a_challenge_is_found(void **state)
{
    struct fixture *f = *state;
    struct seal_config config;
    struct err err = { 0 };
    assert_int_equal(join_pending(f->join, f->arena, &config, &err), 0);
    must(ask(f, &err), &err);
    assert_int_equal(join_pending(f->join, f->arena, &config, &err), 1);
    assert_int_equal(config.threshold, 1);
    assert_true(str_is(config.type, "shamir"));
}

static void what_is_no_member_is_refused(void **state)
{
    static const struct script scripts[] = {
        { 503, 0, "{\"errors\":[\"Vault is sealed\"]}", "" },
        { 404, 0, "not JSON", "" },
        { 200, 0, "", "" },
        { 200, 0, "{}", "" },
        { 200, 0, "{\"data\":{}}", "" },
        { 200, 0, "{\"data\":{\"challenge\":\"" CHALLENGE "\"}}", "" },
        { 200, 0, "{\"data\":{\"challenge\":\"!\"," SEAL "}}", "" },
        { 307, 0, "", "" },
    };
    struct fixture *f = *state;
    struct seal_config config;
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct err err = { 0 };
        f->script = scripts[i];
        assert_int_equal(ask(f, &err), -1);
        assert_int_equal(err.code, ERR_UPSTREAM);
        assert_int_equal(join_pending(f->join, f->arena, &config, &err), 0);
    }
}

static void the_first_target_that_answers_counts(void **state)
{
    struct fixture *f = *state;
    struct join_target targets[] = { { .api_addr = STR("") },
                                     { .api_addr = STR("http://127.0.0.1:1") },
                                     { .api_addr = str_of(f->url) } };
    struct err err = { 0 };
    assert_int_equal(join_ask(f->join, targets, ARRAY_LEN(targets), false, &err), 1);
}

static void without_targets_nothing_is_found(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    assert_int_equal(join_ask(f->join, NULL, 0, false, &err), -1);
}

static void who_belongs_to_a_cluster_does_not_ask(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    must(storage_put(f->store, STR("a"), STR("b"), &err), &err);
    assert_int_equal(ask(f, &err), 0);
    assert_int_equal(join_ask_until(f->join, NULL, 0, false, NULL, NULL, &err), 0);
}

static void other_keys_are_told(void **state)
{
    struct fixture *f = *state;
    struct seal_config config;
    struct err err = { 0 };
    must(ask(f, &err), &err);
    assert_int_equal(join_finish(f->join, open_never, NULL, &err), -1);
    assert_int_equal(err.code, ERR_DENIED);
    assert_non_null(strstr(err.msg, "another cluster's unseal keys"));
    assert_int_equal(f->answers, 0);
    assert_int_equal(join_pending(f->join, f->arena, &config, &err), 1); /* to be tried again */
}

static void nothing_but_a_challenge_is_decrypted_for_others(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    must(ask(f, &err), &err);
    f->script.challenge = "{\"data\":{\"challenge\":\"" OTHER "\"," SEAL "}}";
    assert_int_equal(join_finish(f->join, open_plain, NULL, &err), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_int_equal(f->answers, 0);
}

static void a_refused_answer_is_told(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    must(ask(f, &err), &err);
    f->script.answer_status = 400;
    f->script.answer = "{\"errors\":[\"a living member is named so already\"]}";
    assert_int_equal(join_finish(f->join, open_plain, NULL, &err), -1);
    assert_non_null(strstr(err.msg, "a living member is named so already"));
}

static void certificates_that_make_no_sense_are_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    must(ask(f, &err), &err);
    assert_int_equal(join_finish(f->join, open_plain, NULL, &err), -1);
    assert_int_equal(f->answers, 1);
    assert_false(raftstore_has_cluster(f->settings.raft));
}

static void nothing_is_finished_that_was_not_begun(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    assert_int_equal(join_finish(f->join, open_plain, NULL, &err), -1);
    assert_int_equal(err.code, ERR_UNINITIALISED);
}

static int note_found(void *ctx)
{
    sem_post(ctx);
    return 0;
}

static void a_retry_goes_on_until_it_finds_one(void **state)
{
    struct fixture *f = *state;
    struct join_target target = { .api_addr = str_of(f->url) };
    struct err err = { 0 };
    sem_t found;
    sem_init(&found, 0, 0);
    for (int i = 0; i < 2; i++) { /* a second time, too */
        while (join_ask_until(f->join, &target, 1, false, note_found, &found, &err) < 0)
            assert_non_null(strstr(err.msg, "being retried already"));
        sem_wait(&found);
    }
    sem_destroy(&found);
}

static void the_end_of_the_server_ends_a_retry(void **state)
{
    struct fixture *f = *state;
    struct join_target target = { .api_addr = STR("http://127.0.0.1:1") };
    struct err err = { 0 };
    must(join_ask_until(f->join, &target, 1, false, note_found, NULL, &err), &err);
    assert_int_equal(join_ask_until(f->join, &target, 1, false, note_found, NULL, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_that_gives_a_challenge_is_found),
        TEST(what_is_no_member_is_refused),
        TEST(the_first_target_that_answers_counts),
        TEST(without_targets_nothing_is_found),
        TEST(who_belongs_to_a_cluster_does_not_ask),
        TEST(other_keys_are_told),
        TEST(nothing_but_a_challenge_is_decrypted_for_others),
        TEST(a_refused_answer_is_told),
        TEST(certificates_that_make_no_sense_are_refused),
        TEST(nothing_is_finished_that_was_not_begun),
        TEST(a_retry_goes_on_until_it_finds_one),
        TEST(the_end_of_the_server_ends_a_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
