/* Tests of bodies that a server spools to files. */
#include "net/wire_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "net/spool.h"

enum { LARGE = 3000000 };

struct fixture {
    struct arena *a;
    struct http_server *server;
    char dir[64];
    struct str addr;
};

/* What of the body is seen: where it lies, its size, whether it is as it was sent. */
static void work(void *ctx, struct http_exchange *x)
{
    struct http_request *req = &x->req;
    struct stat st = { 0 };
    size_t n = 0;
    bool good = true;
    char part[10000];
    ssize_t got;
    while (req->body_fd >= 0 && (got = read(req->body_fd, part, sizeof part)) > 0)
        for (ssize_t i = 0; i < got; i++, n++)
            good &= part[i] == (char)('a' + n % 23);
    if (req->body_fd >= 0)
        (void)fstat(req->body_fd, &st);
    struct str text = arena_printf(
        req->arena, "spooled=%d size=%zu good=%d links=%d mode=%o body=%zu large=%d path=" STR_FMT
                    "", req->body_fd >= 0, n, good, (int)st.st_nlink, st.st_mode & 0777,
        req->body.n, req->body_too_large, STR_ARG(req->path));
    http_answer(x, &(struct http_reply){ .status = 200, .body = text });
}

static void handler(void *ctx, struct http_exchange *x)
{
    http_offload(x, work, ctx);
}

static bool spools(const struct http_request *head)
{
    return str_is(head->method, "POST") && str_is(head->path, "/large");
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct http_server_config config = { .loops = 1, .max_workers = 2, .handler = handler };
    struct err err = { 0 };
    f->a = arena_new();
    signal(SIGXFSZ, SIG_IGN);
    snprintf(f->dir, sizeof f->dir, "/tmp/spool_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(http_server_new(&config, &f->server, &err), 0);
    *state = f;
    return 0;
}

static void listen_with(struct fixture *f, struct http_listener_config config)
{
    const struct http_listener *l;
    struct err err = { 0 };
    config.address = STR("127.0.0.1:0");
    config.max_body_bytes = 1000; /* does not count for what is spooled */
    config.spools = spools;
    config.spool_dir = config.spool_dir != NULL ? config.spool_dir : f->dir;
    if (http_listen(f->server, &config, &l, &err) < 0)
        fail_msg("%s", err.msg);
    f->addr = http_listener_address(l);
}

static int files_in(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.' || e->d_name[1] == 's';
    closedir(d);
    return n;
}

/* Spooled files that this process holds open. */
static int open_spools(const struct fixture *f)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char to[512] = "";
        (void)!readlinkat(dirfd(d), e->d_name, to, sizeof to - 1);
        n += strstr(to, f->dir) != NULL;
    }
    closedir(d);
    return n;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_server_free(f->server);
    assert_int_equal(open_spools(f), 0);
    assert_int_equal(files_in(f->dir), 0);
    rmdir(f->dir);
    arena_free(f->a);
    free(f);
    return 0;
}

static void add_pattern(struct buf *b, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++)
        buf_byte(b, (char)('a' + i % 23));
}

#define LAST "Host: a\r\nConnection: close\r\n"

static void a_plain_body_of_any_size_is_spooled(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = { 1, 999, 5000, 70000, LARGE };
    listen_with(f, (struct http_listener_config){ 0 });
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        AUTO(buf_free) struct buf in = { 0 }, out = { 0 };
        buf_printf(&in, "POST /large HTTP/1.1\r\n" LAST "Content-Length: %zu\r\n\r\n", sizes[i]);
        add_pattern(&in, 0, sizes[i]);
        assert_true(wire_talk(f->addr, buf_str(&in), &out));
        struct str want = arena_printf(f->a, "spooled=1 size=%zu good=1 links=0 mode=600 body=0 "
                                             "large=0 path=/large", sizes[i]);
        assert_true(has_text(buf_str(&out), arena_cstr(f->a, want)));
    }
}

static void add_chunks(struct buf *b, size_t n)
{
    for (size_t at = 0, step = 1; at < n; at += step, step = step * 3 % 65537) {
        step = step < n - at ? step : n - at;
        buf_printf(b, "%zx\r\n", step);
        add_pattern(b, at, step);
        buf_add(b, STR("\r\n"));
    }
    buf_add(b, STR("0\r\n\r\n"));
}

static void a_chunked_body_is_spooled(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, out = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    buf_add(&in, STR("POST /large HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n"));
    add_chunks(&in, LARGE);
    assert_true(wire_talk(f->addr, buf_str(&in), &out));
    assert_true(has_text(buf_str(&out), "spooled=1 size=3000000 good=1 links=0"));
}

static void a_body_over_http2_is_spooled(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, out = { 0 }, part = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    wire_post2(&in, "/large", true);
    for (size_t at = 0; at < LARGE; at += 15000) {
        buf_clear(&part);
        add_pattern(&part, at, 15000);
        wire_frame(&in, 0, at + 15000 == LARGE, 1, buf_str(&part));
    }
    int fd = dial_plain(f->addr);
    wire_say(fd, buf_str(&in));
    assert_true(wire_hear2(fd, &out));
    assert_true(has_text(buf_str(&out), "spooled=1 size=3000000 good=1 links=0 mode=600 body=0"));
    close(fd);
}

static void others_are_not_spooled_and_keep_their_limit(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, out = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    buf_add(&in, STR("PUT /large HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                     "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
                     "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n"));
    add_pattern(&in, 0, 1001);
    assert_true(wire_talk(f->addr, buf_str(&in), &out));
    assert_true(has_text(buf_str(&out), "spooled=0 size=0 good=1 links=0 mode=0 body=3 large=0"));
    assert_true(has_text(buf_str(&out), "body=0 large=0 path=/large"));
    assert_true(has_text(buf_str(&out), "body=0 large=1 path=/small"));
}

static void the_connection_goes_on_afterwards(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, out = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    for (int i = 0; i < 3; i++)
        buf_add(&in, STR("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"));
    buf_add(&in, STR("GET /last HTTP/1.1\r\n" LAST "\r\n"));
    assert_true(wire_talk(f->addr, buf_str(&in), &out));
    assert_true(has_text(buf_str(&out), "spooled=1 size=5 good=1"));
    assert_true(has_text(buf_str(&out), "spooled=0 size=0 good=1 links=0 mode=0 body=0 large=0 "
                                        "path=/last"));
}

static void who_expects_to_be_asked_is_asked(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf out = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    int fd = dial_plain(f->addr);
    wire_say(fd, STR("POST /large HTTP/1.1\r\n" LAST
                     "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
    assert_true(wire_hear(fd, "100 Continue\r\n\r\n", &out));
    wire_say(fd, STR("abcde"));
    assert_true(wire_hear(fd, NULL, &out));
    assert_true(has_text(buf_str(&out), "spooled=1 size=5 good=1"));
    close(fd);
}

/* A disk that is full, as far as this process can tell. */
static void limit_files(rlim_t most)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = most == 0 ? limit.rlim_max : most;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_told(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, out = { 0 }, chunked = { 0 }, out2 = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    buf_add(&in, STR("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n"));
    add_pattern(&in, 0, 500000);
    buf_add(&chunked, STR("POST /large HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    add_chunks(&chunked, 500000);
    limit_files(100000);
    (void)wire_talk(f->addr, buf_str(&in), &out);
    (void)wire_talk(f->addr, buf_str(&chunked), &out2);
    limit_files(0);
    assert_true(has_text(buf_str(&out), "HTTP/1.1 507 Insufficient Storage\r\n"));
    assert_true(has_text(buf_str(&out), "no room on disk for the request's body"));
    assert_true(has_text(buf_str(&out), "Connection: close"));
    assert_true(has_text(buf_str(&out2), "HTTP/1.1 507 Insufficient Storage\r\n"));
}

static void a_full_disk_is_told_over_http2(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, out = { 0 }, part = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    wire_post2(&in, "/large", true);
    add_pattern(&part, 0, 15000);
    for (int i = 0; i < 20; i++)
        wire_frame(&in, 0, 0, 1, buf_str(&part)); /* the body has no end */
    int fd = dial_plain(f->addr);
    limit_files(100000);
    wire_say(fd, buf_str(&in));
    assert_true(wire_hear2(fd, &out));
    limit_files(0);
    assert_true(has_text(buf_str(&out), "no room on disk"));
    close(fd);
}

static void a_folder_that_is_missing_is_told(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf out = { 0 }, in2 = { 0 }, out2 = { 0 };
    listen_with(f, (struct http_listener_config){ .spool_dir = "/nonexistent/folder" });
    (void)wire_talk(f->addr,
                    STR("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"), &out);
    assert_true(has_text(buf_str(&out), "HTTP/1.1 500 Internal Server Error\r\n"));
    assert_true(has_text(buf_str(&out), "cannot store the request's body"));
    assert_true(str_find(buf_str(&out), STR("nonexistent")) < 0);
    wire_post2(&in2, "/large", true);
    int fd = dial_plain(f->addr);
    wire_say(fd, buf_str(&in2)); /* answered before any of the body came */
    assert_true(wire_hear2(fd, &out2));
    assert_true(has_text(buf_str(&out2), "cannot store the request's body"));
    close(fd);
}

static void a_listener_that_spools_needs_a_folder(void **state)
{
    struct fixture *f = *state;
    struct http_listener_config config = { .address = STR("127.0.0.1:0"), .spools = spools };
    struct err err = { 0 };
    assert_int_equal(http_listen(f->server, &config, NULL, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
}

static void a_client_that_goes_away_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf out = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    int fd = dial_plain(f->addr);
    wire_say(fd, STR("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nabcde"));
    close(fd);
    /* Served by the same loop after it: it has seen the end. */
    assert_true(wire_talk(f->addr, STR("GET / HTTP/1.1\r\n" LAST "\r\n"), &out));
}

static void a_malformed_chunk_is_refused(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf out = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    (void)wire_talk(f->addr,
                    STR("POST /large HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "5\r\nabcdeXX"), &out);
    assert_true(has_text(buf_str(&out), "HTTP/1.1 400 Bad Request"));
}

/* The whole takes longer than the read timeout, no pause does; the client decides when. */
static void progress_prolongs_the_read_timeout(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, out = { 0 };
    listen_with(f, (struct http_listener_config){ .read_timeout_ms = 1000,
                                                  .write_timeout_ms = 1000 });
    int fd = dial_plain(f->addr);
    wire_say(fd, STR("POST /large HTTP/1.1\r\n" LAST "Content-Length: 8\r\n\r\n"));
    add_pattern(&in, 0, 8);
    int64_t before = clock_mono_ns(&clock_system), longest = 0;
    for (size_t i = 0; i < 8; i++) {
        struct timespec pause = { 0, 200000000 };
        nanosleep(&pause, NULL);
        wire_say(fd, str_mem(in.p + i, 1));
        int64_t now = clock_mono_ns(&clock_system);
        longest = now - before > longest ? now - before : longest;
        before = now;
    }
    bool whole = wire_hear(fd, NULL, &out);
    close(fd);
    if (longest > 800000000)
        skip(); /* the machine was too busy: what was sent was an idle line */
    assert_true(whole);
    assert_true(has_text(buf_str(&out), "spooled=1 size=8 good=1"));
}

static void an_idle_line_is_cut(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf out = { 0 }, in2 = { 0 }, out2 = { 0 };
    listen_with(f, (struct http_listener_config){ .read_timeout_ms = 100 });
    (void)wire_talk(f->addr,
                    STR("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nabcde"),
                    &out);
    assert_true(has_text(buf_str(&out), "HTTP/1.1 408 Request Timeout"));
    wire_post2(&in2, "/large", true);
    wire_frame(&in2, 0, 0, 1, STR("abcde"));
    int fd = dial_plain(f->addr);
    wire_say(fd, buf_str(&in2));
    assert_false(wire_hear2(fd, &out2));
    close(fd);
}

static void words_fit_the_failure(void **state)
{
    assert_int_equal(spool_status(ENOSPC), 507);
    assert_int_equal(spool_status(EDQUOT), 507);
    assert_int_equal(spool_status(EIO), 500);
    assert_int_equal(spool_open("/nonexistent"), -1);
    assert_int_equal(errno, ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plain_body_of_any_size_is_spooled),
        TEST(a_chunked_body_is_spooled),
        TEST(a_body_over_http2_is_spooled),
        TEST(others_are_not_spooled_and_keep_their_limit),
        TEST(the_connection_goes_on_afterwards),
        TEST(who_expects_to_be_asked_is_asked),
        TEST(a_full_disk_is_told),
        TEST(a_full_disk_is_told_over_http2),
        TEST(a_folder_that_is_missing_is_told),
        TEST(a_listener_that_spools_needs_a_folder),
        TEST(a_client_that_goes_away_leaves_nothing),
        TEST(a_malformed_chunk_is_refused),
        TEST(progress_prolongs_the_read_timeout),
        TEST(an_idle_line_is_cut),
        cmocka_unit_test(words_fit_the_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
