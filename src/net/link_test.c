/* Tests of links between members, and of the port that hands them over. */
#include "net/clusters_test.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define ALPN "coffer-test/1"

/* A member's port that takes links over, and the credentials of both sides. */
struct fixture {
    struct arena *a;
    struct cluster_authority ca;
    struct link_creds *ours, *theirs;
    struct http_server *server;
    struct str addr;
    sem_t taken;
    pthread_mutex_t mu; /* all below */
    struct link *got;
    char alpn[32];
};

static void takeover(void *ctx, struct str alpn, struct link *link)
{
    struct fixture *f = ctx;
    pthread_mutex_lock(&f->mu);
    link_free(f->got);
    f->got = link;
    snprintf(f->alpn, sizeof f->alpn, STR_FMT, STR_ARG(alpn));
    pthread_mutex_unlock(&f->mu);
    sem_post(&f->taken);
}

static void handler(void *ctx, struct http_exchange *x)
{
    http_answer(x, &(struct http_reply){ .status = 200 });
}

static struct str listen_on(struct fixture *f, struct http_listener_config config)
{
    struct err err = { 0 };
    const struct http_listener *l;
    config.address = STR("127.0.0.1:0");
    if (http_listen(f->server, &config, &l, &err) < 0)
        fail_msg("%s", err.msg);
    return http_listener_address(l);
}

static int setup(void **state)
{
    static const char *const alpns[] = { "other/1", ALPN, NULL };
    struct fixture *f = calloc(1, sizeof *f);
    struct http_server_config config = { .loops = 1, .handler = handler, .ctx = f };
    struct err err = { 0 };
    signal(SIGPIPE, SIG_IGN);
    f->a = arena_new();
    f->ca = authority(f->a);
    sem_init(&f->taken, 0, 0);
    pthread_mutex_init(&f->mu, NULL);
    assert_int_equal(link_creds_new(&f->ours, &err), 0);
    assert_int_equal(link_creds_new(&f->theirs, &err), 0);
    struct link_identity us = identity(f->a, &f->ca, STR("us"));
    struct link_identity them = identity(f->a, &f->ca, STR("them"));
    set_creds(f->ours, &us);
    set_creds(f->theirs, &them);
    assert_int_equal(http_server_new(&config, &f->server, &err), 0);
    f->addr = listen_on(f, (struct http_listener_config){ .creds = f->theirs,
                                                          .forward_alpn = "forward/1",
                                                          .other_alpn = alpns,
                                                          .takeover = takeover,
                                                          .takeover_ctx = f });
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_server_free(f->server);
    link_free(f->got);
    link_creds_free(f->ours);
    link_creds_free(f->theirs);
    arena_free(f->a);
    sem_destroy(&f->taken);
    pthread_mutex_destroy(&f->mu);
    free(f);
    return 0;
}

/* The link that the port handed over last; the caller's. */
static struct link *taken(struct fixture *f)
{
    sem_wait(&f->taken);
    pthread_mutex_lock(&f->mu);
    struct link *l = f->got;
    f->got = NULL;
    pthread_mutex_unlock(&f->mu);
    return l;
}

static struct link *dialled(struct fixture *f)
{
    struct link *l = NULL;
    struct err err = { 0 };
    if (link_dial(f->ours, f->addr, ALPN, 10000, &l, &err) < 0)
        fail_msg("%s", err.msg);
    link_set_timeout(l, 20000);
    return l;
}

static void both(struct fixture *f, struct link **we, struct link **they)
{
    *we = dialled(f);
    *they = taken(f);
    link_set_timeout(*they, 20000);
}

static void drop_link(struct link **l)
{
    link_free(*l);
}

static void each_knows_who_the_other_is(void **state)
{
    struct fixture *f = *state;
    AUTO(drop_link) struct link *we = NULL;
    AUTO(drop_link) struct link *they = NULL;
    both(f, &we, &they);
    assert_true(str_is(link_peer_id(we), "them"));
    assert_true(str_is(link_peer_id(they), "us"));
    assert_true(str_eq(link_peer_addr(we), f->addr));
    assert_true(str_starts(link_peer_addr(they), STR("127.0.0.1:")));
    assert_true(str_is(link_alpn(we), ALPN));
    assert_string_equal(f->alpn, ALPN);
}

static void a_name_is_looked_up(void **state)
{
    struct fixture *f = *state;
    AUTO(drop_link) struct link *we = NULL;
    struct err err = { 0 };
    struct str port = str_from(f->addr, (size_t)str_rfind_byte(f->addr, ':'));
    struct str addr = arena_cat(f->a, STR("localhost"), port);
    if (link_dial(f->ours, addr, ALPN, 10000, &we, &err) < 0)
        fail_msg("%s", err.msg);
    link_free(taken(f));
}

static void *echo(void *arg)
{
    struct link *l = arg;
    char part[10000];
    long n;
    while ((n = link_read(l, part, sizeof part, NULL)) > 0)
        if (link_write(l, part, (size_t)n, NULL) < 0)
            break;
    return NULL;
}

static void large_amounts_pass_both_ways(void **state)
{
    struct fixture *f = *state;
    AUTO(drop_link) struct link *we = NULL;
    AUTO(drop_link) struct link *they = NULL;
    static char out[200000], back[200000];
    pthread_t thread;
    struct err err = { 0 };
    both(f, &we, &they);
    pthread_create(&thread, NULL, echo, they);
    for (int i = 0; i < 10; i++) {
        memset(out, 'a' + i, sizeof out);
        assert_int_equal(link_write(we, out, sizeof out, &err), 0);
        assert_int_equal(link_read_full(we, back, sizeof back, &err), 1);
        assert_memory_equal(out, back, sizeof out);
    }
    link_shut(we);
    pthread_join(thread, NULL);
}

/* ---- who is refused, and what is said ---- */

static void expect_refusal(struct fixture *f, struct str addr, const char *alpn, const char *words)
{
    struct link *l = NULL;
    struct err err = { 0 };
    assert_int_equal(link_dial(f->ours, addr, alpn, 5000, &l, &err), -1);
    assert_null(l);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_true(has_text(err_text(&err), words));
    assert_true(str_starts(err_text(&err), addr));
    assert_int_equal(sem_trywait(&f->taken), -1);
}

static void certificates_out_of_their_time_are_told_apart(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *what;
        bool theirs;
        int64_t shift_s;
        const char *words;
    } cases[] = {
        { "theirs ended", true, -3 * DAY_S, "its certificate is not valid after 20" },
        { "theirs has not begun", true, 3 * DAY_S, "its certificate is not valid before 20" },
        { "ours ended", false, -3 * DAY_S, "our certificate has expired: is a clock wrong?" },
        { "ours has not begun", false, 3 * DAY_S, "perhaps as not yet valid: is a clock wrong?" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  %s\n", cases[i].what);
        struct link_identity good = identity(f->a, &f->ca, STR("good"));
        struct link_identity bad =
            identity_at(f->a, &f->ca, STR("bad"), cases[i].shift_s, DAY_S);
        set_creds(f->ours, cases[i].theirs ? &good : &bad);
        set_creds(f->theirs, cases[i].theirs ? &bad : &good);
        expect_refusal(f, f->addr, ALPN, cases[i].words);
        expect_refusal(f, f->addr, ALPN, "is a clock wrong?");
    }
}

static void another_clusters_members_are_refused(void **state)
{
    struct fixture *f = *state;
    struct cluster_authority other = authority(f->a);
    struct link_identity stranger = identity(f->a, &other, STR("stranger"));
    set_creds(f->ours, &stranger);
    expect_refusal(f, f->addr, ALPN, "its certificate is not of this cluster");
    /* We believe them, they do not believe us. */
    strs_add(f->a, &stranger.authorities_der, f->ca.cert_der);
    set_creds(f->ours, &stranger);
    expect_refusal(f, f->addr, ALPN, "it does not know our certificate's authority");
}

static void a_protocol_that_is_not_taken_is_refused(void **state)
{
    struct fixture *f = *state;
    expect_refusal(f, f->addr, "unheard/9", "it does not take such connections");
    expect_refusal(f, f->addr, "", "such a protocol cannot be named");
}

static void without_credentials_nothing_is_dialled_or_let_in(void **state)
{
    struct fixture *f = *state;
    set_creds(f->theirs, NULL);
    expect_refusal(f, f->addr, ALPN, "it is in no cluster yet, or sealed");
    set_creds(f->ours, NULL);
    expect_refusal(f, f->addr, ALPN, "we have no credentials of a cluster yet");
}

static void a_port_that_is_no_cluster_port_is_recognised(void **state)
{
    struct fixture *f = *state;
    struct str plain = listen_on(f, (struct http_listener_config){ 0 });
    expect_refusal(f, plain, ALPN, "is this its cluster address?");
}

static void addresses_that_lead_nowhere_are_told(void **state)
{
    struct fixture *f = *state;
    static const struct { struct str addr; const char *words; } cases[] = {
        { STR_INIT("127.0.0.1:21200"), "connection refused" },
        { STR_INIT("no-such-host.invalid:21200"), "" },
        { STR_INIT("127.0.0.1"), "not an address" },
        { STR_INIT("127.0.0.1:"), "not an address" },
        { STR_INIT("127.0.0.1:0"), "not an address" },
        { STR_INIT("127.0.0.1:70000"), "not an address" },
        { STR_INIT(":8201"), "not an address" },
        { STR_INIT("::1:8201"), "not an address" },
        { STR_INIT(""), "not an address" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_refusal(f, cases[i].addr, ALPN, cases[i].words);
}

static void an_ipv6_address_is_understood(void **state)
{
    struct fixture *f = *state;
    struct link *l;
    struct err err = { 0 };
    assert_int_equal(link_dial(f->ours, STR("[::1]:21200"), ALPN, 5000, &l, &err), -1);
    assert_true(str_find(err_text(&err), STR("not an address")) < 0);
}

static void a_dial_ends_in_time(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct link *l;
    struct err err = { 0 };
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, n), 0);
    assert_int_equal(listen(fd, 1), 0); /* the kernel connects, nobody answers */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &n), 0);
    struct str to = arena_printf(f->a, "127.0.0.1:%d", ntohs(addr.sin_port));
    assert_int_equal(link_dial(f->ours, to, ALPN, 50, &l, &err), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_true(has_text(err_text(&err), "no answer in time"));
    close(fd);
}

/* ---- other clients than ours ---- */

/* A client of OpenSSL's own over two memories, so that we decide what leaves when. */
struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    int fd;
};

static void client_open(struct fixture *f, struct client *c, const struct link_identity *id,
                        int version)
{
    static const unsigned char alpn[] = "\x0d" ALPN;
    c->ctx = SSL_CTX_new(TLS_client_method());
    if (id != NULL) {
        const unsigned char *p = (const unsigned char *)id->key_der.p;
        EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, (long)id->key_der.n);
        assert_int_equal(SSL_CTX_use_certificate_ASN1(c->ctx, (int)id->cert_der.n,
                                                      (const unsigned char *)id->cert_der.p),
                         1);
        assert_int_equal(SSL_CTX_use_PrivateKey(c->ctx, key), 1);
        EVP_PKEY_free(key);
    }
    SSL_CTX_set_max_proto_version(c->ctx, version);
    SSL_CTX_set_alpn_protos(c->ctx, alpn, sizeof alpn - 1);
    c->ssl = SSL_new(c->ctx);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_connect_state(c->ssl);
    c->fd = dial_plain(f->addr);
}

static void client_close(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
}

static void client_send(struct client *c)
{
    char *p;
    long n = BIO_get_mem_data(c->out, &p);
    if (n > 0)
        assert_int_equal(send(c->fd, p, (size_t)n, MSG_NOSIGNAL), n);
    (void)BIO_reset(c->out);
}

static bool client_hear(struct client *c)
{
    char part[16384];
    ssize_t n = recv(c->fd, part, sizeof part, 0);
    return n > 0 && BIO_write(c->in, part, (int)n) == (int)n;
}

/* To the end of the handshake, whose last flight stays unsent. */
static int client_shake(struct client *c)
{
    int rc;
    ERR_clear_error();
    while ((rc = SSL_do_handshake(c->ssl)) != 1 &&
           SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_READ) {
        client_send(c);
        if (!client_hear(c))
            return 0;
    }
    return rc;
}

static int client_read(struct client *c, void *p, int n)
{
    int rc;
    ERR_clear_error();
    while ((rc = SSL_read(c->ssl, p, n)) <= 0 && SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_READ)
        if (!client_hear(c))
            return 0;
    return rc;
}

static void what_came_with_the_handshake_is_not_lost(void **state)
{
    struct fixture *f = *state;
    struct link_identity id = identity(f->a, &f->ca, STR("early"));
    struct client c;
    char got[11], byte;
    struct err err = { 0 };
    client_open(f, &c, &id, TLS1_3_VERSION);
    assert_int_equal(client_shake(&c), 1);
    assert_int_equal(SSL_write(c.ssl, "first", 5), 5);
    assert_int_equal(SSL_write(c.ssl, "second", 6), 6);
    client_send(&c); /* one segment: the end of the handshake and two records */
    AUTO(drop_link) struct link *they = taken(f);
    link_set_timeout(they, 20000);
    assert_int_equal(link_read_full(they, got, sizeof got, &err), 1);
    assert_memory_equal(got, "firstsecond", 11);
    assert_int_equal(client_read(&c, &byte, 1), 1);
    assert_int_equal(byte, 'C');
    client_close(&c);
}

static void no_session_is_given_to_resume(void **state)
{
    struct fixture *f = *state;
    struct link_identity id = identity(f->a, &f->ca, STR("again"));
    struct client c;
    char byte;
    client_open(f, &c, &id, TLS1_3_VERSION);
    assert_int_equal(client_shake(&c), 1);
    client_send(&c);
    assert_int_equal(client_read(&c, &byte, 1), 1);
    assert_int_equal(SSL_SESSION_is_resumable(SSL_get_session(c.ssl)), 0);
    link_free(taken(f));
    client_close(&c);
}

static void without_a_certificate_nobody_comes_in(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char byte;
    client_open(f, &c, NULL, TLS1_3_VERSION);
    assert_int_equal(client_shake(&c), 1); /* from the client's side it looks good */
    client_send(&c);
    assert_int_not_equal(client_read(&c, &byte, 1), 1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED);
    assert_int_equal(sem_trywait(&f->taken), -1);
    client_close(&c);
}

static void older_tls_is_refused(void **state)
{
    struct fixture *f = *state;
    struct link_identity id = identity(f->a, &f->ca, STR("old"));
    struct client c;
    client_open(f, &c, &id, TLS1_2_VERSION);
    assert_int_not_equal(client_shake(&c), 1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    client_close(&c);
}

static void a_connection_cut_off_is_no_end(void **state)
{
    struct fixture *f = *state;
    struct link_identity id = identity(f->a, &f->ca, STR("cut"));
    struct client c;
    struct err err = { 0 };
    char byte;
    client_open(f, &c, &id, TLS1_3_VERSION);
    assert_int_equal(client_shake(&c), 1);
    client_send(&c);
    AUTO(drop_link) struct link *they = taken(f);
    assert_int_equal(client_read(&c, &byte, 1), 1);
    shutdown(c.fd, SHUT_WR); /* half-closed, without TLS's goodbye */
    assert_int_equal(link_read(they, &byte, 1, &err), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_true(has_text(err_text(&err), "cut off"));
    client_close(&c);
}

/* ---- reading, writing, ending ---- */

static void a_goodbye_is_an_end(void **state)
{
    struct fixture *f = *state;
    struct link *we;
    AUTO(drop_link) struct link *they = NULL;
    struct err err = { 0 };
    char byte;
    both(f, &we, &they);
    link_free(we);
    assert_int_equal(link_read(they, &byte, 1, &err), 0);
    assert_int_equal(link_read_full(they, &byte, 1, &err), 0);
}

static void an_end_in_mid_sentence_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct link *we;
    AUTO(drop_link) struct link *they = NULL;
    struct err err = { 0 };
    char four[4];
    both(f, &we, &they);
    assert_int_equal(link_write(we, "abc", 3, &err), 0);
    link_free(we);
    assert_int_equal(link_read_full(they, four, 4, &err), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
}

static void a_silent_other_side_is_given_up(void **state)
{
    struct fixture *f = *state;
    AUTO(drop_link) struct link *we = NULL;
    AUTO(drop_link) struct link *they = NULL;
    static char much[1 << 20];
    struct err err = { 0 };
    int rc = 0;
    both(f, &we, &they);
    link_set_timeout(we, 20);
    assert_int_equal(link_read(we, much, 1, &err), -1);
    assert_int_equal(err.code, ERR_TIMEOUT);
    err = (struct err){ 0 };
    for (int i = 0; rc == 0 && i < 1000; i++)
        rc = link_write(we, much, sizeof much, &err);
    assert_int_equal(rc, -1);
    assert_int_equal(err.code, ERR_TIMEOUT);
}

/* A thread that reads or writes until it cannot. */
struct blocked {
    struct link *link;
    bool writes;
    struct err err;
    sem_t begun;
};

static void *work(void *arg)
{
    static char much[1 << 20];
    struct blocked *b = arg;
    char byte;
    sem_post(&b->begun);
    if (!b->writes)
        (void)!link_read(b->link, &byte, 1, &b->err);
    while (b->writes && link_write(b->link, much, sizeof much, &b->err) == 0)
        ;
    return NULL;
}

static void shutting_wakes_who_waits(void **state)
{
    struct fixture *f = *state;
    for (int writes = 0; writes < 2; writes++) {
        struct link *we, *they;
        pthread_t thread;
        both(f, &we, &they);
        link_set_timeout(we, 0);
        struct blocked b = { .link = we, .writes = writes != 0 };
        sem_init(&b.begun, 0, 0);
        pthread_create(&thread, NULL, work, &b);
        sem_wait(&b.begun);
        link_shut(we);
        pthread_join(thread, NULL);
        assert_int_equal(b.err.code, ERR_UPSTREAM);
        assert_true(has_text(err_text(&b.err), "was shut"));
        sem_destroy(&b.begun);
        link_free(we);
        link_free(they);
    }
}

/* ---- credentials ---- */

static void bad_credentials_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct link_identity good = identity(f->a, &f->ca, STR("x"));
    struct link_identity other = identity(f->a, &f->ca, STR("y"));
    struct link_identity cases[] = { good, good, good, good, good };
    cases[0].authorities_der = (struct strs){ 0 };
    cases[1].authorities_der = (struct strs){ &(struct str){ "rubbish", 7 }, 1, 1 };
    cases[2].cert_der = str_head(good.cert_der, good.cert_der.n / 2);
    cases[3].key_der = STR("");
    cases[4].key_der = other.key_der;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        assert_int_equal(link_creds_set(f->ours, &cases[i], &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
    link_free(dialled(f));
    link_free(taken(f));
}

static void open_links_outlive_their_credentials(void **state)
{
    struct fixture *f = *state;
    AUTO(drop_link) struct link *we = NULL;
    AUTO(drop_link) struct link *they = NULL;
    struct err err = { 0 };
    char two[2];
    both(f, &we, &they);
    set_creds(f->ours, NULL);
    set_creds(f->theirs, NULL);
    assert_int_equal(link_write(we, "ok", 2, &err), 0);
    assert_int_equal(link_read_full(they, two, 2, &err), 1);
}

static void two_authorities_count_while_one_follows_the_other(void **state)
{
    struct fixture *f = *state;
    struct cluster_authority next = authority(f->a); /* of the same name */
    struct link_identity us = identity(f->a, &f->ca, STR("us"));
    struct link_identity them = identity(f->a, &next, STR("them"));
    strs_add(f->a, &us.authorities_der, next.cert_der);
    strs_add(f->a, &them.authorities_der, f->ca.cert_der);
    set_creds(f->ours, &us);
    set_creds(f->theirs, &them);
    link_free(dialled(f));
    link_free(taken(f));
}

static void *keep_setting(void *arg)
{
    struct fixture *f = arg;
    struct arena *a = arena_new();
    struct link_identity us = identity(a, &f->ca, STR("us"));
    struct link_identity them = identity(a, &f->ca, STR("them"));
    for (int i = 0; i < 50; i++) {
        set_creds(f->ours, &us);
        set_creds(f->theirs, &them);
    }
    arena_free(a);
    return NULL;
}

static void credentials_change_while_others_dial(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    pthread_create(&thread, NULL, keep_setting, f);
    for (int i = 0; i < 30; i++) {
        link_free(dialled(f));
        link_free(taken(f));
    }
    pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_knows_who_the_other_is),
        TEST(a_name_is_looked_up),
        TEST(large_amounts_pass_both_ways),
        TEST(certificates_out_of_their_time_are_told_apart),
        TEST(another_clusters_members_are_refused),
        TEST(a_protocol_that_is_not_taken_is_refused),
        TEST(without_credentials_nothing_is_dialled_or_let_in),
        TEST(a_port_that_is_no_cluster_port_is_recognised),
        TEST(addresses_that_lead_nowhere_are_told),
        TEST(an_ipv6_address_is_understood),
        TEST(a_dial_ends_in_time),
        TEST(what_came_with_the_handshake_is_not_lost),
        TEST(no_session_is_given_to_resume),
        TEST(without_a_certificate_nobody_comes_in),
        TEST(older_tls_is_refused),
        TEST(a_connection_cut_off_is_no_end),
        TEST(a_goodbye_is_an_end),
        TEST(an_end_in_mid_sentence_is_an_error),
        TEST(a_silent_other_side_is_given_up),
        TEST(shutting_wakes_who_waits),
        TEST(bad_credentials_change_nothing),
        TEST(open_links_outlive_their_credentials),
        TEST(two_authorities_count_while_one_follows_the_other),
        TEST(credentials_change_while_others_dial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
