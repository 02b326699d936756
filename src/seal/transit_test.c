/* Tests of the transit seal against a server of canned answers. */
#include "seal/transit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "seal/blob.h"

/* ---- the other server ---- */

/* Answers each connection with the next text, which closes it. */
struct canned {
    int fd;
    const char *const *answers; /* NULL at the end */
    char address[64];
    char seen[4][1024];
    size_t n_seen;
    pthread_t thread;
};

static void read_request(int fd, char *to, size_t size)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, to + n, size - 1 - n, 0);
        if (got <= 0)
            return;
        n += (size_t)got;
        to[n] = '\0';
        const char *end = strstr(to, "\r\n\r\n"), *length = strstr(to, "Content-Length: ");
        size_t body = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
        if (end != NULL && n >= (size_t)(end + 4 - to) + body)
            return;
    }
}

static void *serve(void *ctx)
{
    struct canned *c = ctx;
    for (size_t i = 0; c->answers[i] != NULL; i++) {
        int fd = accept(c->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        read_request(fd, c->seen[c->n_seen], sizeof c->seen[0]);
        c->n_seen++;
        (void)!send(fd, c->answers[i], strlen(c->answers[i]), MSG_NOSIGNAL);
        close(fd);
    }
    return NULL;
}

static void start(struct canned *c, const char *const *answers)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    *c = (struct canned){ .answers = answers };
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    assert_int_equal(bind(c->fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(c->fd, 8), 0);
    assert_int_equal(getsockname(c->fd, (struct sockaddr *)&a, &n), 0);
    snprintf(c->address, sizeof c->address, "http://127.0.0.1:%d", ntohs(a.sin_port));
    assert_int_equal(pthread_create(&c->thread, NULL, serve, c), 0);
}

static void stop(struct canned *c)
{
    shutdown(c->fd, SHUT_RDWR);
    pthread_join(c->thread, NULL);
    close(c->fd);
}

#define ANSWER(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body
#define ENCRYPTED(text) ANSWER("200 OK", "{\"data\":{\"ciphertext\":\"" text "\"}}")

/* ---- the seal ---- */

struct variable {
    const char *name, *value;
};

static const char *lookup(void *ctx, const char *name)
{
    for (const struct variable *v = ctx; v != NULL && v->name != NULL; v++)
        if (strcmp(v->name, name) == 0)
            return v->value;
    return NULL;
}

static int open_with(const char *address, const struct variable *env, struct seal **out,
                     struct err *err)
{
    const struct storage_option options[] = {
        { STR_INIT("address"), str_of(address) },     { STR_INIT("token"), STR_INIT("s.secret") },
        { STR_INIT("key_name"), STR_INIT("unseal") }, { STR_INIT("mount_path"), STR_INIT("t/") },
        { STR_INIT("namespace"), STR_INIT("ns1") },
    };
    struct seal_stanza s = { options, ARRAY_LEN(options), lookup, (void *)env };
    return seal_transit.open(&s, out, err);
}

static struct seal *opened(const struct canned *c)
{
    struct seal *seal = NULL;
    assert_int_equal(open_with(c->address, NULL, &seal, NULL), 0);
    return seal;
}

static void an_encryption_is_one_call_and_stored_as_vault_does(void **state)
{
    static const char *const answers[] = { ENCRYPTED("vault:v7:abc"), NULL };
    struct canned c;
    struct seal_blob blob;
    AUTO(buf_free) struct buf entry = { 0 };
    start(&c, answers);
    AUTO(seal_drop) struct seal *seal = opened(&c);
    assert_int_equal(seal_encrypt(seal, STR("text"), &entry, NULL), 0);
    stop(&c);
    assert_int_equal(seal_blob_parse(buf_str(&entry), &blob, NULL), 0);
    assert_true(str_is(blob.ciphertext, "vault:v7:abc"));
    assert_true(str_is(blob.key_id, "v7"));
    assert_non_null(strstr(c.seen[0], "PUT /v1/t/encrypt/unseal HTTP/1.1\r\n"));
    assert_non_null(strstr(c.seen[0], "X-Vault-Token: s.secret\r\n"));
    assert_non_null(strstr(c.seen[0], "X-Vault-Namespace: ns1/\r\n"));
    assert_non_null(strstr(c.seen[0], "{\"plaintext\":\"dGV4dA==\"}"));
}

static void a_decryption_gives_the_text_back(void **state)
{
    static const char *const answers[] = {
        ANSWER("200 OK", "{\"data\":{\"plaintext\":\"dGV4dA==\"}}"), NULL };
    struct canned c;
    AUTO(buf_free) struct buf entry = { 0 };
    AUTO(buf_free) struct buf out = { 0 };
    start(&c, answers);
    AUTO(seal_drop) struct seal *seal = opened(&c);
    seal_blob_print(&entry, &(struct seal_blob){ STR("vault:v1:x"), STR("v1") });
    assert_int_equal(seal_decrypt(seal, buf_str(&entry), &out, NULL), 0);
    stop(&c);
    assert_true(str_is(buf_str(&out), "text"));
    assert_non_null(strstr(c.seen[0], "{\"ciphertext\":\"vault:v1:x\"}"));
}

static void the_key_id_is_the_newest_version(void **state)
{
    static const char *const answers[] = { ENCRYPTED("vault:v12:abc"), NULL };
    struct canned c;
    AUTO(buf_free) struct buf id = { 0 };
    start(&c, answers);
    AUTO(seal_drop) struct seal *seal = opened(&c);
    assert_int_equal(seal_key_id(seal, &id, NULL), 0);
    stop(&c);
    assert_true(str_is(buf_str(&id), "v12"));
}

static void a_refusal_is_told_in_the_words_of_vaults_client(void **state)
{
    static const char *const answers[] = {
        ANSWER("403 Forbidden", "{\"errors\":[\"permission denied\"]}"), NULL };
    struct canned c;
    AUTO(buf_free) struct buf entry = { 0 };
    struct err err = { 0 };
    char text[256];
    start(&c, answers);
    AUTO(seal_drop) struct seal *seal = opened(&c);
    assert_int_equal(seal_encrypt(seal, STR("text"), &entry, &err), -1);
    stop(&c);
    assert_int_equal(err.code, ERR_UPSTREAM);
    snprintf(text, sizeof text, "Error making API request.\n\nURL: PUT %s/v1/t/encrypt/unseal\n"
                                "Code: 403. Errors:\n\n* permission denied", c.address);
    assert_string_equal(err.msg, text);
    assert_int_equal(entry.n, 0);
}

static void an_odd_answer_is_no_success(void **state)
{
    static const char *const odd[] = {
        ANSWER("200 OK", "<html>"),          ANSWER("200 OK", "{}"),
        ANSWER("200 OK", "{\"data\":null}"), ENCRYPTED(""),
        ENCRYPTED("vault:v1"),               ENCRYPTED("vault::x"),
        ENCRYPTED("a:b:c:d"),                ANSWER("200 OK", ""),
    };
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        const char *const answers[] = { odd[i], NULL };
        struct canned c;
        AUTO(buf_free) struct buf entry = { 0 };
        struct err err = { 0 };
        start(&c, answers);
        AUTO(seal_drop) struct seal *seal = opened(&c);
        assert_int_equal(seal_encrypt(seal, STR("text"), &entry, &err), -1);
        stop(&c);
        assert_int_equal(err.code, ERR_UPSTREAM);
        assert_int_equal(entry.n, 0);
    }
}

static void a_server_that_is_away_is_named(void **state)
{
    static const char *const answers[] = { NULL };
    struct canned c;
    AUTO(buf_free) struct buf id = { 0 };
    struct err err = { 0 };
    start(&c, answers);
    AUTO(seal_drop) struct seal *seal = opened(&c);
    stop(&c);
    assert_int_equal(seal_key_id(seal, &id, &err), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_non_null(strstr(err.msg, c.address));
    assert_null(strstr(err.msg, "s.secret"));
}

static void what_another_seal_encrypted_is_not_sent_away(void **state)
{
    AUTO(buf_free) struct buf entry = { 0 };
    AUTO(buf_free) struct buf out = { 0 };
    AUTO(seal_drop) struct seal *seal = NULL;
    struct err err = { 0 };
    assert_int_equal(open_with("http://127.0.0.1:1", NULL, &seal, NULL), 0);
    seal_blob_print(&entry, &(struct seal_blob){ STR("0123456789012345678901234567890"), STR("") });
    assert_int_equal(seal_decrypt(seal, buf_str(&entry), &out, &err), -1);
    assert_int_equal(err.code, ERR_DENIED);
}

/* ---- stanza and environment ---- */

struct rows {
    char text[512];
};

static void note(void *ctx, const char *name, struct str value)
{
    struct rows *r = ctx;
    size_t n = strlen(r->text);
    snprintf(r->text + n, sizeof r->text - n, "%s=" STR_FMT ";", name, STR_ARG(value));
}

static void the_environment_names_key_and_mount_the_stanza_the_server(void **state)
{
    static const struct variable env[] = {
        { "VAULT_ADDR", "http://elsewhere" }, { "VAULT_TOKEN", "s.other" },
        { "VAULT_TRANSIT_SEAL_KEY_NAME", "k2" }, { "VAULT_TRANSIT_SEAL_MOUNT_PATH", "/m2/" },
        { "VAULT_NAMESPACE", "ns2" }, { NULL, NULL },
    };
    AUTO(seal_drop) struct seal *seal = NULL;
    struct rows rows = { "" };
    assert_int_equal(open_with("http://here:1", env, &seal, NULL), 0);
    seal_describe(seal, note, &rows);
    assert_string_equal(rows.text, "Transit Address=http://here:1;Transit Key Name=k2;"
                                   "Transit Mount Path=m2/;Transit Namespace=ns2;");
}

static void the_environment_fills_what_the_stanza_lacks(void **state)
{
    static const struct variable env[] = {
        { "VAULT_ADDR", "http://env:2" }, { "VAULT_TRANSIT_SEAL_KEY_NAME", "k" },
        { "VAULT_TRANSIT_SEAL_MOUNT_PATH", "m" }, { NULL, NULL },
    };
    struct seal_stanza stanza = { .env = lookup, .env_ctx = (void *)env };
    AUTO(seal_drop) struct seal *seal = NULL;
    struct rows rows = { "" };
    assert_int_equal(seal_transit.open(&stanza, &seal, NULL), 0);
    seal_describe(seal, note, &rows);
    assert_string_equal(rows.text, "Transit Address=http://env:2;Transit Key Name=k;"
                                   "Transit Mount Path=m/;");
}

static void what_is_wrong_in_a_stanza_is_named(void **state)
{
    static const struct { struct storage_option options[3]; const char *text; } cases[] = {
        { { { STR_INIT("key_name"), STR_INIT("k") } }, "mount_path is required" },
        { { { STR_INIT("mount_path"), STR_INIT("m") } }, "key_name is required" },
        { { { STR_INIT("tls_skip_verify"), STR_INIT("perhaps") } },
          "tls_skip_verify: true or false expected, got \"perhaps\"" },
        { { { STR_INIT("key_name"), STR_INIT("k") }, { STR_INIT("mount_path"), STR_INIT("m") },
            { STR_INIT("disable_renewal"), STR_INIT("x") } },
          "disable_renewal: true or false expected, got \"x\"" },
        { { { STR_INIT("key_name"), STR_INIT("k") }, { STR_INIT("mount_path"), STR_INIT("m") },
            { STR_INIT("tls_client_key"), STR_INIT("/x") } },
          "both client cert and client key must be provided" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct seal_stanza stanza = { .options = cases[i].options, .n = 3, .env = lookup };
        struct seal *seal = NULL;
        struct err err = { 0 };
        assert_int_equal(seal_transit.open(&stanza, &seal, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.msg, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_encryption_is_one_call_and_stored_as_vault_does),
        cmocka_unit_test(a_decryption_gives_the_text_back),
        cmocka_unit_test(the_key_id_is_the_newest_version),
        cmocka_unit_test(a_refusal_is_told_in_the_words_of_vaults_client),
        cmocka_unit_test(an_odd_answer_is_no_success),
        cmocka_unit_test(a_server_that_is_away_is_named),
        cmocka_unit_test(what_another_seal_encrypted_is_not_sent_away),
        cmocka_unit_test(the_environment_names_key_and_mount_the_stanza_the_server),
        cmocka_unit_test(the_environment_fills_what_the_stanza_lacks),
        cmocka_unit_test(what_is_wrong_in_a_stanza_is_named),
    };
    log_set_level(LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
