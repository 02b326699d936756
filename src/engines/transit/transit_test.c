/* Tests of the transit engine through its routes, on a store in memory. */
#include "engines/transit/transit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/epoch.h"
#include "codec/base64.h"
#include "engines/transit/vaultkeys.h"
#include "storage/driver.h"

enum { NOW_S = 1700000000 };

/* A store that counts commits and fails them on demand. */
struct counted {
    struct storage base;
    struct storage *under;
    atomic_int commits, gets;
    bool broken;
};

static int counted_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    struct counted *c = (struct counted *)s;
    atomic_fetch_add(&c->gets, 1);
    return storage_get(c->under, key, out, err);
}

static int counted_commit(struct storage *s, const struct storage_op *ops, size_t n,
                          struct err *err)
{
    struct counted *c = (struct counted *)s;
    if (c->broken)
        return err_set(err, ERR_IO, "disk on fire");
    atomic_fetch_add(&c->commits, 1);
    return storage_commit(c->under, ops, n, err);
}

static int counted_list(struct storage *s, struct str prefix, struct str after,
                        storage_name_fn *each, void *ctx, struct err *err)
{
    return storage_list(((struct counted *)s)->under, prefix, after, each, ctx, err);
}

static const struct storage_ops counted_ops = {
    .get = counted_get, .commit = counted_commit, .list = counted_list,
};

/* A mount; what the last request came to. */
struct mount {
    struct counted store;
    void *state;
    struct arena *arena;
    struct request req;
    struct response resp;
    bool on_loop; /* requests may not block */
    int rc;
};

static void reopen(struct mount *m)
{
    struct engine_ctx ctx = { .storage = &m->store.base, .mount_path = STR("transit/") };
    struct err err = { 0 };
    engine_transit.close(m->state);
    m->state = NULL;
    assert_int_equal(engine_transit.open(&ctx, &m->state, &err), 0);
}

static int setup(void **state)
{
    struct mount *m = test_calloc(1, sizeof *m);
    struct err err = { 0 };
    m->store.base.ops = &counted_ops;
    assert_int_equal(storage_inmem.open(NULL, 0, &m->store.under, &err), 0);
    m->arena = arena_new();
    reopen(m);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    struct mount *m = *state;
    engine_transit.close(m->state);
    storage_close(m->store.under);
    arena_free(m->arena);
    test_free(m);
    epoch_wait();
    return 0;
}

static enum op op_of(const char *method)
{
    return strcmp(method, "GET") == 0      ? OP_READ
           : strcmp(method, "LIST") == 0   ? OP_LIST
           : strcmp(method, "DELETE") == 0 ? OP_DELETE
                                           : OP_UPDATE;
}

/* Make the request as the core would: fields checked, create told from update. */
static int call_in(struct mount *m, struct arena *a, struct request *req, struct response *resp,
                   const char *method, const char *path, const char *body)
{
    *req = (struct request){
        .arena = a, .op = op_of(method), .rel = str_of(path), .storage = &m->store.base,
        .backend = m->state, .may_block = !m->on_loop, .now_ns = NOW_S * INT64_C(1000000000),
    };
    *resp = (struct response){ .arena = a };
    if (json_parse(a, str_of(body), &req->data, NULL, &req->err) < 0)
        return -2;
    if (route_match(engine_transit.routes, engine_transit.n_routes, req) != 1)
        return -3;
    if (req->op == OP_UPDATE && req->route->exists != NULL) {
        int exists = route_exists(req);
        if (exists < 0)
            return -1;
        req->op = exists ? OP_UPDATE : OP_CREATE;
    }
    return route_call(req, resp);
}

static int call(struct mount *m, const char *method, const char *path, const char *body)
{
    m->rc = call_in(m, m->arena, &m->req, &m->resp, method, path, body);
    return m->rc;
}

static void ok(struct mount *m, const char *method, const char *path, const char *body)
{
    if (call(m, method, path, body) != 1)
        fail_msg("%s %s: %d %s", method, path, m->rc, m->req.err.msg);
}

static void refused(struct mount *m, const char *method, const char *path, const char *body,
                    enum err_code code, const char *why)
{
    print_message("  %s %s\n", path, body);
    assert_int_equal(call(m, method, path, body), -1);
    assert_string_equal(m->req.err.msg, why);
    assert_int_equal(m->req.err.code, code);
}

/* A member of the answer as text: strings as they are, the rest as JSON. */
static const char *got(struct mount *m, const char *member)
{
    AUTO(buf_free) struct buf text = { 0 };
    const struct json *v = json_member(m->resp.data, member);
    if (v == NULL)
        return "(absent)";
    if (v->type == JSON_STRING)
        return arena_cstr(m->arena, v->text);
    json_print(v, &text);
    return arena_cstr(m->arena, buf_str(&text));
}

static const char *format(struct mount *m, const char *pattern, const char *value)
{
    struct str head = str_of(pattern);
    ptrdiff_t at = str_find_byte(head, '$');
    struct str first = arena_cat(m->arena, str_head(head, (size_t)at), str_of(value));
    return arena_cstr(m->arena, arena_cat(m->arena, first, str_from(head, (size_t)at + 1)));
}

static const char *stored(struct mount *m, const char *path)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct err err = { 0 };
    if (storage_get(m->store.under, str_of(path), &text, &err) != 1)
        return "(absent)";
    return arena_cstr(m->arena, buf_str(&text));
}

/* ---- what a Vault left ---- */

static void load_vaults_keys(struct mount *m)
{
    struct err err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(vault_entries); i++)
        assert_int_equal(storage_put(m->store.under, str_of(vault_entries[i].path),
                                     str_of(vault_entries[i].text), &err), 0);
}

static void keys_of_a_vault_work_on(void **state)
{
    struct mount *m = *state;
    load_vaults_keys(m);
    for (size_t i = 0; i < ARRAY_LEN(vault_answers); i++) {
        print_message("  %s\n", vault_answers[i].path);
        ok(m, "POST", vault_answers[i].path, vault_answers[i].body);
        assert_string_equal(got(m, vault_answers[i].member), vault_answers[i].value);
    }
    assert_int_equal(m->store.commits, 0); /* nothing was changed by using them */
}

static void a_vaults_record_changes_only_where_it_was_told_to(void **state)
{
    struct mount *m = *state;
    load_vaults_keys(m);
    for (size_t i = 0; i < ARRAY_LEN(vault_entries); i++) {
        const char *name = strchr(vault_entries[i].path, '/') + 1;
        if (strncmp(vault_entries[i].path, "policy/", 7) != 0 || strcmp(name, "aes256-gcm96") != 0)
            continue;
        ok(m, "POST", format(m, "keys/$/config", name), "{\"exportable\":true}");
        struct str was = str_of(vault_entries[i].text);
        struct str now = str_of(stored(m, vault_entries[i].path));
        struct str from = STR("\"exportable\":false"), to = STR("\"exportable\":true");
        size_t at = (size_t)str_find(was, from);
        assert_true(str_eq(str_head(was, at), str_head(now, at)));
        assert_true(str_starts(str_from(now, at), to));
        assert_true(str_eq(str_from(was, at + from.n), str_from(now, at + to.n)));
    }
}

static void signatures_of_other_programs_verify_with_any_salt(void **state)
{
    /* By the RSA key of a Vault, over "plaintext", with salts of the longest, 32 and no bytes. */
    static const char *const sigs[] = {
        "hkPfmRkexE4P6KK7bofVlr/2hcMFKep50FwpDuYOqi8U+MhRW9GiAKzL3Oxmf8D4WnOgNnx0vI8Wv2EN6QtDvzRu/"
        "40XxQhTezKdfYt/iRzHLbyc/Gb8E+eQXf6RHItAapHV5opwEVmtBwyVR2U4GiKYvR1ETJVfjcQvnu2og20dSaqygF"
        "DMJmk03UxslAwjJbEdM53jBHtfNOWgvNIKs5/zamrBCxCMQg1VAg7sY76+SgpMU+d6xHeGOW5xxlmg7jNcpsneSYu"
        "QN8owRtktz2mqneQ5RR7KXii2ynDiuuq9nv2SU+IUHBPDi1BU6a0tUwPOFdfofyWJGR53GslZ+w==",
        "N+MEiiC/ok+O1QQqYTOd7ZDZmsVsNgBfzmDb4HpmJFvmZGk/uRZEVlqFUhJ1bNtnNGa3MAy84okooUamKjDk0Y6jw"
        "guxBfs3feUNzESPNtcWwR3LyD7HCBkIZjnuzL7O2F1ApIPBLNpyL3+qU3nDcAoCd0kFXbxDVPilcPw4bxgWGzfDMK"
        "Ih9Ga8/15TnuYZ/Ngb8mmqB9com/ga40kmUDqHFVH5jo6j3s8lpVz2QinzSPwASKJ7C2gEmP0oxcSi/bAScmUxBWr"
        "Zm8z8owouzuMvbpnfXGUv4oJBM/e/g8QSarLWjyJXxbt1/bYPSD35+0HzC3yg6ZilLuWub1Q24g==",
        "g+MEbyAInly74lNofRGN7Jc+gtzht8GNdQSHojFqpC+DjnNpvXq5d7xI+aHcs7UvhqyCHi2/ByPlFVSonINsMs8Zi"
        "x3en5vXh59d44O8PK7mg09TwtQ3B9fP3Ap4pUVhGOYQkigfyIi37Jf6162afljFbsyZHKiLbW4ALv3jJwAY35hOS5"
        "bIRgZzlaMYYoEEpuqwEPnYUYY3Sa2lq6QFqNo5xXPUOT6yZttYYEd7GuaTtaDEpE/wCVvosUS6i+BrVW+XH9HKNot"
        "5ZI5LlAFIWUD6QpvcclmPj1HPqrEbweIIhOrrz9d6jyC7ZLboez7/fN3p0Ah4wPN99FL2UqDSQg==",
    };
    struct mount *m = *state;
    load_vaults_keys(m);
    for (size_t i = 0; i < ARRAY_LEN(sigs); i++) {
        ok(m, "POST", "verify/rsa-2048",
           format(m, "{\"input\":\"cGxhaW50ZXh0\",\"signature\":\"vault:v1:$\"}", sigs[i]));
        assert_string_equal(got(m, "valid"), "true");
    }
}

/* ---- encryption ---- */

static const char *encrypt(struct mount *m, const char *name, const char *plain)
{
    ok(m, "POST", format(m, "encrypt/$", name), format(m, "{\"plaintext\":\"$\"}", plain));
    return got(m, "ciphertext");
}

static void decrypts(struct mount *m, const char *name, const char *text, const char *plain)
{
    ok(m, "POST", format(m, "decrypt/$", name), format(m, "{\"ciphertext\":\"$\"}", text));
    assert_string_equal(got(m, "plaintext"), plain);
}

static void every_encrypting_type_opens_what_it_sealed(void **state)
{
    static const char *const types[] = { "aes128-gcm96", "aes256-gcm96", "chacha20-poly1305",
                                         "rsa-2048" };
    struct mount *m = *state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        ok(m, "POST", format(m, "keys/$", types[i]), format(m, "{\"type\":\"$\"}", types[i]));
        decrypts(m, types[i], encrypt(m, types[i], "aGVsbG8="), "aGVsbG8=");
        decrypts(m, types[i], encrypt(m, types[i], ""), "");
    }
}

static void a_key_in_memory_needs_no_store_and_may_stay_on_the_loop(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    const char *text = encrypt(m, "k", "aGVsbG8=");
    int gets = m->store.gets, commits = m->store.commits;
    m->on_loop = true;
    decrypts(m, "k", encrypt(m, "k", "aGVsbG8="), "aGVsbG8=");
    decrypts(m, "k", text, "aGVsbG8=");
    ok(m, "POST", "rewrap/k", format(m, "{\"ciphertext\":\"$\"}", text));
    ok(m, "POST", "datakey/plaintext/k", "{}");
    ok(m, "POST", "hmac/k", "{\"input\":\"\"}");
    ok(m, "GET", "keys/k", "{}");
    assert_int_equal(m->store.gets, gets);
    assert_int_equal(m->store.commits, commits);
}

static void what_must_wait_says_so_before_any_effect(void **state)
{
    static const struct { const char *method, *path, *body; } cases[] = {
        { "POST", "encrypt/absent", "{\"plaintext\":\"\"}" },
        { "POST", "decrypt/cold", "{\"ciphertext\":\"vault:v1:AAAA\"}" },
        { "POST", "sign/rsa", "{\"input\":\"\"}" },
        { "POST", "decrypt/rsa", "{\"ciphertext\":\"vault:v1:AAAA\"}" },
        { "POST", "rewrap/rsa", "{\"ciphertext\":\"vault:v1:AAAA\"}" },
        { "POST", "keys/new", "{}" },
        { "POST", "keys/rsa/rotate", "{}" },
        { "POST", "keys/rsa/config", "{}" },
        { "POST", "keys/rsa/trim", "{\"min_available_version\":1}" },
        { "DELETE", "keys/rsa", "{}" },
        { "GET", "keys/cold", "{}" },
        { "GET", "backup/rsa", "{}" },
    };
    struct mount *m = *state;
    ok(m, "POST", "keys/rsa", "{\"type\":\"rsa-2048\"}");
    ok(m, "POST", "keys/cold", "{}");
    engine_transit.invalidate(m->state, STR("policy/cold"));
    int commits = m->store.commits;
    m->on_loop = true;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  %s\n", cases[i].path);
        assert_int_equal(call(m, cases[i].method, cases[i].path, cases[i].body), -1);
        assert_int_equal(m->req.err.code, ERR_MUST_WAIT);
    }
    assert_int_equal(m->store.commits, commits);
}

static void a_large_batch_does_not_stay_on_the_loop(void **state)
{
    AUTO(buf_free) struct buf body = { 0 };
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    buf_add(&body, STR("{\"batch_input\":["));
    for (int i = 0; i < 100; i++)
        buf_add(&body, i == 0 ? STR("{\"plaintext\":\"\"}") : STR(",{\"plaintext\":\"\"}"));
    buf_add(&body, STR("]}"));
    buf_byte(&body, 0);
    m->on_loop = true;
    assert_int_equal(call(m, "POST", "encrypt/k", body.p), -1);
    assert_int_equal(m->req.err.code, ERR_MUST_WAIT);
    m->on_loop = false;
    ok(m, "POST", "encrypt/k", body.p);
    assert_int_equal(json_member(m->resp.data, "batch_results")->count, 100);
}

static void encryption_makes_a_key_that_is_not_there(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "encrypt/new", "{\"plaintext\":\"aGVsbG8=\",\"type\":\"chacha20-poly1305\"}");
    ok(m, "GET", "keys/new", "{}");
    assert_string_equal(got(m, "type"), "chacha20-poly1305");
    assert_string_equal(got(m, "derived"), "false");
    ok(m, "POST", "encrypt/der", "{\"plaintext\":\"aGVsbG8=\",\"context\":\"Y3R4\","
                                 "\"convergent_encryption\":true}");
    ok(m, "GET", "keys/der", "{}");
    assert_string_equal(got(m, "derived"), "true");
    assert_string_equal(got(m, "convergent_encryption"), "true");
}

static void refuses_to_make_a_key_that_does_not_encrypt(void **state)
{
    struct mount *m = *state;
    refused(m, "POST", "encrypt/n", "{\"plaintext\":\"\",\"type\":\"ecdsa-p256\"}",
            ERR_BAD_REQUEST, "key type ecdsa-p256 not supported for this operation");
    refused(m, "POST", "encrypt/n", "{\"plaintext\":\"\",\"type\":\"rsa-2048\"}", ERR_BAD_REQUEST,
            "unknown key type rsa-2048");
    refused(m, "POST", "encrypt/n", "{\"plaintext\":\"\",\"type\":\"x\"}", ERR_BAD_REQUEST,
            "unknown key type x");
    refused(m, "POST", "encrypt/n", "{\"plaintext\":\"\",\"convergent_encryption\":true}",
            ERR_BAD_REQUEST,
            "convergent encryption requires derivation to be enabled, so context is required");
    assert_string_equal(stored(m, "policy/n"), "(absent)");
}

static void batches_go_past_items_that_fail(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    ok(m, "POST", "encrypt/k",
       "{\"batch_input\":[{\"plaintext\":\"!\"},{\"plaintext\":\"\",\"key_version\":9},"
       "{\"plaintext\":\"\",\"nonce\":\"?\"},"
       "{\"plaintext\":\"\",\"nonce\":\"ZGVmZ2hpamtsbW5v\"}]}");
    assert_string_equal(
        got(m, "batch_results"),
        "[{\"error\":\"illegal base64 data at input byte 0\"},"
        "{\"error\":\"requested version for encryption is higher than the latest key version\"},"
        "{\"error\":\"illegal base64 data at input byte 0\"},"
        "{\"error\":\"provided nonce not allowed for this key\"}]");
    ok(m, "POST", "decrypt/k", "{\"batch_input\":[{},{\"ciphertext\":\"x\"}]}");
    assert_string_equal(
        got(m, "batch_results"),
        "[{\"error\":\"missing ciphertext to decrypt\",\"plaintext\":\"\"},"
        "{\"error\":\"invalid ciphertext: no prefix\",\"plaintext\":\"\"}]");
}

static void refuses_batches_that_are_none(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    refused(m, "POST", "encrypt/k", "{\"batch_input\":[]}", ERR_BAD_REQUEST,
            "missing batch input to process");
    refused(m, "POST", "encrypt/k", "{\"batch_input\":\"x\"}", ERR_INTERNAL,
            "failed to parse batch input: source data must be an array or slice, got string");
    refused(m, "POST", "encrypt/k", "{\"batch_input\":[1]}", ERR_INTERNAL,
            "failed to parse batch input: [0] expected a map, got 'json.Number'");
    refused(m, "POST", "encrypt/k",
            "{\"batch_input\":[{\"plaintext\":null},{\"context\":5,\"key_version\":\"x\"}]}",
            ERR_INTERNAL,
            "failed to parse batch input: 3 error(s) decoding:\n\n* '[0].plaintext' expected type "
            "'string', got unconvertible type '<nil>'\n* '[1].context' expected type 'string', got "
            "unconvertible type 'json.Number'\n* '[1].key_version' expected type 'int', got "
            "unconvertible type 'string'");
    refused(m, "POST", "encrypt/k",
            "{\"batch_input\":[{\"plaintext\":\"\",\"context\":\"YQ==\"},{\"plaintext\":\"\"}]}",
            ERR_BAD_REQUEST, "context should be set either in all the request blocks or in none");
    refused(m, "POST", "sign/k", "{\"batch_input\":[]}", ERR_BAD_REQUEST,
            "key type aes256-gcm96 does not support signing");
    refused(m, "POST", "hmac/k", "{\"batch_input\":[{\"input\":[]}]}", ERR_INTERNAL,
            "failed to parse batch input: 1 error(s) decoding:\n\n* '[0][input]' expected type "
            "'string', got unconvertible type '[]interface {}'");
}

static void a_rewrapped_text_is_of_the_latest_version(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    const char *old = encrypt(m, "k", "aGVsbG8=");
    ok(m, "POST", "keys/k/rotate", "{}");
    ok(m, "POST", "rewrap/k", format(m, "{\"batch_input\":[{\"ciphertext\":\"$\"}]}", old));
    const struct json *item = json_first(json_member(m->resp.data, "batch_results"));
    assert_int_equal(json_get_int(item, "key_version", 0), 2);
    decrypts(m, "k", arena_cstr(m->arena, json_get_str(item, "ciphertext")), "aGVsbG8=");
}

static void a_tampered_text_fails_the_request(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    refused(m, "POST", "decrypt/k",
            "{\"ciphertext\":\"vault:v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", ERR_CORRUPT,
            "cipher: message authentication failed");
    refused(m, "POST", "decrypt/none", "{\"ciphertext\":\"vault:v1:AAAA\"}", ERR_BAD_REQUEST,
            "encryption key not found");
    refused(m, "POST", "rewrap/k", "{}", ERR_BAD_REQUEST, "missing ciphertext to decrypt");
}

static void data_keys_come_in_three_lengths(void **state)
{
    static const struct { const char *body; size_t n; } cases[] = {
        { "{\"bits\":128}", 16 }, { "{}", 32 }, { "{\"bits\":\"512\"}", 64 },
    };
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str key;
        ok(m, "POST", "datakey/plaintext/k", cases[i].body);
        const char *plain = got(m, "plaintext");
        assert_int_equal(base64_decode(m->arena, str_of(plain), &key, &m->req.err), 0);
        assert_int_equal(key.n, cases[i].n);
        decrypts(m, "k", got(m, "ciphertext"), plain);
        ok(m, "POST", "datakey/wrapped/k", cases[i].body);
        assert_string_equal(got(m, "plaintext"), "(absent)");
    }
    refused(m, "POST", "datakey/wrapped/k", "{\"bits\":64}", ERR_BAD_REQUEST,
            "invalid bit length");
    refused(m, "POST", "datakey/wrapped/k", "{\"context\":\"?\"}", ERR_BAD_REQUEST,
            "failed to base64-decode context");
    refused(m, "POST", "datakey/wrapped/none", "{}", ERR_BAD_REQUEST, "encryption key not found");
}

/* ---- keys ---- */

static void a_key_that_is_there_is_left_alone_by_a_second_write(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    const char *before = stored(m, "policy/k");
    ok(m, "POST", "keys/k", "{\"type\":\"rsa-2048\",\"exportable\":true}");
    assert_null(m->resp.data);
    assert_string_equal(stored(m, "policy/k"), before);
}

static void says_why_a_key_is_not_made(void **state)
{
    struct mount *m = *state;
    refused(m, "POST", "keys/k", "{\"type\":\"des\"}", ERR_BAD_REQUEST, "unknown key type des");
    refused(m, "POST", "keys/k", "{\"convergent_encryption\":true}", ERR_BAD_REQUEST,
            "convergent encryption requires derivation to be enabled");
    refused(m, "POST", "keys/k", "{\"type\":\"rsa-2048\",\"derived\":true}", ERR_INTERNAL,
            "key derivation and convergent encryption not supported for keys of type rsa-2048");
    assert_int_equal(call(m, "LIST", "keys", "{}"), 0);
    assert_int_equal(call(m, "GET", "keys/k", "{}"), 0);
    assert_int_equal(m->store.commits, 0);
}

static void a_failed_commit_changes_nothing(void **state)
{
    static const struct { const char *method, *path, *body; } cases[] = {
        { "POST", "keys/k/rotate", "{}" },
        { "POST", "keys/k/config", "{\"deletion_allowed\":false}" },
        { "DELETE", "keys/k", "{}" },
        { "GET", "backup/k", "{}" },
        { "POST", "restore/other", NULL },
        { "POST", "keys/new", "{}" },
    };
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{\"exportable\":true,\"allow_plaintext_backup\":true}");
    ok(m, "POST", "keys/k/config", "{\"deletion_allowed\":true}");
    ok(m, "GET", "backup/k", "{}");
    const char *backup = format(m, "{\"backup\":\"$\"}", got(m, "backup"));
    const char *before = stored(m, "policy/k"), *archive = stored(m, "archive/k");
    m->store.broken = true;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *body = cases[i].body != NULL ? cases[i].body : backup;
        print_message("  %s\n", cases[i].path);
        assert_int_equal(call(m, cases[i].method, cases[i].path, body), -1);
        assert_int_equal(m->req.err.code, ERR_IO);
    }
    assert_string_equal(stored(m, "policy/k"), before);
    assert_string_equal(stored(m, "archive/k"), archive);
    ok(m, "GET", "keys/k", "{}"); /* what readers see is what is stored */
    assert_string_equal(got(m, "latest_version"), "1");
    assert_string_equal(got(m, "deletion_allowed"), "true");
    assert_int_equal(call(m, "GET", "keys/new", "{}"), 0);
}

static void policy_and_archive_are_stored_in_one_commit(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    assert_int_equal(m->store.commits, 1);
    ok(m, "POST", "keys/k/rotate", "{}");
    assert_int_equal(m->store.commits, 2);
    assert_string_not_equal(stored(m, "archive/k"), "(absent)");
}

static void versions_out_of_bounds_are_refused_after_config(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    const char *first = encrypt(m, "k", "aGVsbG8=");
    ok(m, "POST", "keys/k/rotate", "{}");
    ok(m, "POST", "keys/k/rotate", "{}");
    ok(m, "POST", "keys/k/config", "{\"min_decryption_version\":2,\"min_encryption_version\":3}");
    refused(m, "POST", "decrypt/k", format(m, "{\"ciphertext\":\"$\"}", first), ERR_BAD_REQUEST,
            "ciphertext or signature version is disallowed by policy (too old)");
    refused(m, "POST", "encrypt/k", "{\"plaintext\":\"\",\"key_version\":2}", ERR_BAD_REQUEST,
            "requested version for encryption is less than the minimum encryption key version");
    refused(m, "POST", "encrypt/k", "{\"plaintext\":\"\",\"key_version\":-1}", ERR_BAD_REQUEST,
            "requested version for encryption is negative");
    refused(m, "POST", "hmac/k", "{\"input\":\"\",\"key_version\":2}", ERR_BAD_REQUEST,
            "cannot generate HMAC: version is too old (disallowed by policy)");
    ok(m, "POST", "keys/k/config", "{\"min_decryption_version\":1}");
    decrypts(m, "k", first, "aGVsbG8=");
    reopen(m);
    decrypts(m, "k", first, "aGVsbG8=");
}

static void config_says_what_it_refuses(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    refused(m, "POST", "keys/k/config", "{\"min_decryption_version\":-1}", ERR_BAD_REQUEST,
            "min decryption version cannot be negative");
    refused(m, "POST", "keys/k/config", "{\"min_encryption_version\":-1}", ERR_BAD_REQUEST,
            "min encryption version cannot be negative");
    refused(m, "POST", "keys/k/config", "{\"min_encryption_version\":2}", ERR_BAD_REQUEST,
            "cannot set min encryption version of 2, latest key version is 1");
    refused(m, "POST", "keys/none/config", "{}", ERR_BAD_REQUEST,
            "no existing key named none could be found");
    refused(m, "POST", "keys/none/trim", "{}", ERR_BAD_REQUEST, "invalid key name");
    refused(m, "POST", "keys/k/trim", "{}", ERR_BAD_REQUEST, "missing min_available_version");
    ok(m, "POST", "keys/k/config", "{\"min_decryption_version\":0}");
    assert_null(m->resp.warnings);
    ok(m, "POST", "keys/k/config", "{\"min_decryption_version\":0,\"deletion_allowed\":true}");
    assert_int_equal(m->resp.warnings->count, 1);
}

static void a_trimmed_key_cannot_go_back(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    ok(m, "POST", "keys/k/rotate", "{}");
    ok(m, "POST", "keys/k/config", "{\"min_decryption_version\":2,\"min_encryption_version\":2}");
    refused(m, "POST", "keys/k/trim", "{\"min_available_version\":3}", ERR_BAD_REQUEST,
            "minimum available version cannot be greater than minmum encryption version");
    refused(m, "POST", "keys/k/trim", "{\"min_available_version\":0}", ERR_BAD_REQUEST,
            "minimum available version should be positive");
    ok(m, "POST", "keys/k/trim", "{\"min_available_version\":2}");
    refused(m, "POST", "keys/k/trim", "{\"min_available_version\":1}", ERR_BAD_REQUEST,
            "minimum available version cannot be decremented");
    refused(m, "POST", "keys/k/config", "{\"min_decryption_version\":1}", ERR_BAD_REQUEST,
            "min decryption version should not be less then min available version");
    refused(m, "POST", "keys/k/config", "{\"min_encryption_version\":0}", ERR_BAD_REQUEST,
            "min encryption version should not be less than min available version");
}

static void a_deleted_key_is_gone_from_memory_and_store(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    refused(m, "DELETE", "keys/k", "{}", ERR_BAD_REQUEST,
            "error deleting policy k: deletion is not allowed for this key");
    ok(m, "POST", "keys/k/config", "{\"deletion_allowed\":true}");
    ok(m, "DELETE", "keys/k", "{}");
    assert_int_equal(call(m, "GET", "keys/k", "{}"), 0);
    assert_string_equal(stored(m, "policy/k"), "(absent)");
    assert_string_equal(stored(m, "archive/k"), "(absent)");
    refused(m, "DELETE", "keys/k", "{}", ERR_BAD_REQUEST,
            "error deleting policy k: could not delete key; not found");
}

static void a_key_changed_elsewhere_is_read_again(void **state)
{
    struct mount *m = *state;
    struct err err = { 0 };
    ok(m, "POST", "keys/k", "{}");
    const char *text = encrypt(m, "k", "aGVsbG8=");
    ok(m, "POST", "keys/other", "{}");
    const char *other = stored(m, "policy/other");
    assert_int_equal(storage_put(m->store.under, STR("policy/k"), str_of(other), &err), 0);
    decrypts(m, "k", text, "aGVsbG8=");
    engine_transit.invalidate(m->state, STR("policy/k"));
    assert_int_equal(call(m, "POST", "decrypt/k", format(m, "{\"ciphertext\":\"$\"}", text)), -1);
    assert_int_equal(m->req.err.code, ERR_CORRUPT);
}

static void a_damaged_record_is_an_error_and_not_an_absence(void **state)
{
    static const char *const texts[] = { "", "{}", "null", "{\"keys\":{\"1\":{}},\"type\":0}" };
    struct mount *m = *state;
    struct err err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(storage_put(m->store.under, STR("policy/k"), str_of(texts[i]), &err), 0);
        assert_int_equal(call(m, "POST", "encrypt/k", "{\"plaintext\":\"\"}"), -1);
        assert_int_not_equal(m->req.err.code, ERR_BAD_REQUEST);
        assert_string_equal(stored(m, "policy/k"), texts[i]);
    }
}

/* ---- signatures and HMACs ---- */

static void every_signing_type_verifies_what_it_signed(void **state)
{
    static const struct { const char *type, *how; } cases[] = {
        { "ed25519", "" },
        { "ed25519", ",\"marshaling_algorithm\":\"jws\"" },
        { "ecdsa-p256", ",\"hash_algorithm\":\"sha2-512\"" },
        { "ecdsa-p256", ",\"marshaling_algorithm\":\"jws\"" },
        { "ecdsa-p384", ",\"marshaling_algorithm\":\"jws\"" },
        { "ecdsa-p521", ",\"marshaling_algorithm\":\"jws\"" },
        { "rsa-2048", "" },
        { "rsa-2048", ",\"hash_algorithm\":\"sha1\"" },
        { "rsa-2048", ",\"hash_algorithm\":\"sha2-224\",\"signature_algorithm\":\"pkcs1v15\"" },
        { "rsa-2048", ",\"hash_algorithm\":\"sha2-384\",\"signature_algorithm\":\"pss\"" },
    };
    struct mount *m = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *path = format(m, "sign/$", cases[i].type);
        print_message("  %s%s\n", cases[i].type, cases[i].how);
        ok(m, "POST", format(m, "keys/$", cases[i].type), format(m, "{\"type\":\"$\"}",
                                                                 cases[i].type));
        ok(m, "POST", path, format(m, "{\"input\":\"aGVsbG8=\"$}", cases[i].how));
        const char *sig = format(m, ",\"signature\":\"$\"}", got(m, "signature"));
        const char *good = format(m, "{\"input\":\"aGVsbG8=\"$", cases[i].how);
        path = format(m, "verify/$", cases[i].type);
        struct str body = arena_cat(m->arena, str_of(good), str_of(sig));
        ok(m, "POST", path, arena_cstr(m->arena, body));
        assert_string_equal(got(m, "valid"), "true");
    }
}

static void a_derived_ed25519_key_is_the_one_of_the_vector(void **state)
{
    struct mount *m = *state;
    struct err err = { 0 };
    static const struct str record = STR_INIT(
        "{\"name\":\"k\",\"keys\":{\"1\":{\"key\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8D"
        "oQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==\",\"hmac_key\":\"AAAA\",\"creation_time\":"
        "1700000000}},\"derived\":true,\"kdf\":1,\"min_decryption_version\":1,\"latest_version\":1,"
        "\"archive_version\":1,\"type\":2}");
    assert_int_equal(storage_put(m->store.under, STR("policy/k"), record, &err), 0);
    ok(m, "POST", "sign/k", "{\"input\":\"cGxhaW50ZXh0\",\"context\":\"Y29udGV4dA==\"}");
    assert_string_equal(got(m, "signature"),
                        "vault:v1:rHl/8fD01F2SaxjBuf17+V6br5vdK7dLwJbn0ZSme9CEAtuxvC7PmVdTYX+p"
                        "bqzizJErwbPJMVks0JZu1Um7Bw==");
    assert_string_equal(got(m, "public_key"), "lohzBGYaBlHuiSsInj0EzeA8XOx9fI4BGjYa/0Hxez8=");
    ok(m, "GET", "keys/k", "{\"context\":\"Y29udGV4dA==\"}");
    assert_string_equal(got(m, "keys"),
                        "{\"1\":{\"creation_time\":\"2023-11-14T22:13:20Z\",\"name\":\"ed25519\","
                        "\"public_key\":\"lohzBGYaBlHuiSsInj0EzeA8XOx9fI4BGjYa/0Hxez8=\"}}");
    refused(m, "GET", "keys/k", "{\"context\":\"?\"}", ERR_BAD_REQUEST,
            "failed to base64-decode context");
    assert_int_equal(call(m, "POST", "sign/k", "{\"input\":\"\"}"), -1);
    assert_int_equal(m->req.err.code, ERR_INTERNAL); /* a 500 in Vault */
    assert_true(str_starts(err_text(&m->req.err), STR("error deriving key: missing 'context'")));
}

static void sign_and_verify_say_what_they_refuse(void **state)
{
    static const struct { const char *path, *body; enum err_code code; const char *why; }
    cases[] = {
        { "sign/e", "{\"hash_algorithm\":\"md5\"}", ERR_BAD_REQUEST,
          "invalid hash algorithm \"md5\"" },
        { "sign/e/md5", "{}", ERR_BAD_REQUEST, "invalid hash algorithm \"md5\"" },
        { "sign/e", "{\"marshaling_algorithm\":\"x\"}", ERR_BAD_REQUEST,
          "invalid marshaling type \"x\"" },
        { "sign/none", "{}", ERR_BAD_REQUEST, "encryption key not found" },
        { "sign/e", "{\"input\":\"?\"}", ERR_BAD_REQUEST,
          "unable to decode input as base64: illegal base64 data at input byte 0" },
        { "sign/e", "{\"key_version\":2}", ERR_INTERNAL,
          "requested version for signing is higher than the latest key version" },
        { "sign/e", "{\"context\":\"?\"}", ERR_BAD_REQUEST, "failed to base64-decode context" },
        { "sign/e", "{\"batch_input\":[]}", ERR_BAD_REQUEST, "missing batch input to process" },
        { "verify/e", "{}", ERR_BAD_REQUEST,
          "neither a 'signature' nor an 'hmac' were given to verify" },
        { "verify/e", "{\"signature\":\"\",\"hmac\":\"\"}", ERR_BAD_REQUEST,
          "provide one of 'signature' or 'hmac'" },
        { "verify/e", "{\"signature\":\"vault:v1\"}", ERR_BAD_REQUEST,
          "invalid signature: wrong number of fields" },
        { "verify/e", "{\"signature\":\"vault:vx:\"}", ERR_BAD_REQUEST,
          "invalid signature: version number could not be decoded" },
        { "verify/e", "{\"signature\":\"vault:v2:\"}", ERR_BAD_REQUEST,
          "invalid signature: version is too new" },
        { "verify/e", "{\"signature\":\"vault:v0:\"}", ERR_BAD_REQUEST,
          "ciphertext or signature version is disallowed by policy (too old)" },
        { "verify/e", "{\"signature\":\"vault:v1:?\"}", ERR_BAD_REQUEST,
          "invalid base64 signature value" },
        { "verify/e", "{\"signature\":\"vault:v1:AAAA\"}", ERR_BAD_REQUEST,
          "supplied signature is invalid" },
        { "verify/e", "{\"batch_input\":[{\"signature\":\"\"},{\"hmac\":\"\"}]}", ERR_BAD_REQUEST,
          "elements of batch_input must all provide 'signature' or all provide 'hmac'" },
        { "verify/e", "{\"batch_input\":[{\"signature\":\"\"},{}]}", ERR_BAD_REQUEST,
          "some elements of batch_input are missing 'signature'" },
        { "verify/e", "{\"batch_input\":[{\"hmac\":\"\"},{}]}", ERR_BAD_REQUEST,
          "some elements of batch_input are missing 'hmac'" },
        { "verify/e", "{\"batch_input\":[{}]}", ERR_BAD_REQUEST,
          "no batch_input elements have 'signature' or 'hmac'" },
        { "verify/a", "{\"signature\":\"vault:v1:AAAA\"}", ERR_BAD_REQUEST,
          "key type aes256-gcm96 does not support verification" },
        { "sign/r", "{\"signature_algorithm\":\"x\"}", ERR_INTERNAL,
          "unsupported rsa signature algorithm x" },
        { "sign/r", "{\"input\":\"aGVsbG8=\",\"prehashed\":true}", ERR_INTERNAL,
          "crypto/rsa: input must be hashed message" },
    };
    struct mount *m = *state;
    load_vaults_keys(m);
    ok(m, "POST", "keys/e", "{\"type\":\"ecdsa-p256\"}");
    ok(m, "POST", "keys/r", "{\"type\":\"rsa-2048\"}");
    ok(m, "POST", "keys/a", "{}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(m, "POST", cases[i].path, cases[i].body, cases[i].code, cases[i].why);
}

static void batches_of_signatures_go_past_items_that_fail(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/e", "{\"type\":\"ed25519\"}");
    ok(m, "POST", "sign/e", "{\"batch_input\":[{},{\"input\":\"?\"}]}");
    assert_string_equal(got(m, "batch_results"),
                        "[{\"error\":\"missing input\",\"key_version\":0},"
                        "{\"error\":\"unable to decode input as base64: illegal base64 data at "
                        "input byte 0\",\"key_version\":0}]");
    ok(m, "POST", "verify/e", "{\"batch_input\":[{\"signature\":\"vault:v1:AAAA\"},"
                              "{\"input\":\"\",\"signature\":\"x\"},"
                              "{\"input\":\"\",\"signature\":\"vault:v1:AAAA\"}]}");
    assert_string_equal(got(m, "batch_results"),
                        "[{\"error\":\"missing input\",\"valid\":false},"
                        "{\"error\":\"invalid signature: no prefix\",\"valid\":false},"
                        "{\"valid\":false}]");
}

static void hmac_says_what_it_refuses(void **state)
{
    static const struct { const char *path, *body, *why; } cases[] = {
        { "hmac/k", "{}", "missing input for HMAC" },
        { "hmac/k", "{\"input\":\"?\"}",
          "unable to decode input as base64: illegal base64 data at input byte 0" },
        { "hmac/k/md5", "{\"input\":\"\"}", "unsupported algorithm '\\x00'" },
        { "hmac/none", "{\"input\":\"\"}", "encryption key not found" },
        { "hmac/k", "{\"input\":\"\",\"key_version\":2}",
          "key version does not exist; latest key version is 1" },
        { "hmac/k", "{\"input\":\"\",\"key_version\":-1}",
          "key version does not exist (cannot be negative)" },
        { "verify/k", "{\"hmac\":\"x\"}", "invalid HMAC to verify: no prefix" },
        { "verify/k", "{\"hmac\":\"vault:v1\"}", "invalid HMAC: wrong number of fields" },
        { "verify/k", "{\"hmac\":\"vault:vx:\"}",
          "invalid HMAC: version number could not be decoded" },
        { "verify/k", "{\"hmac\":\"vault:v1:?\"}",
          "unable to decode verification HMAC as base64: illegal base64 data at input byte 0" },
        { "verify/k", "{\"hmac\":\"vault:v2:\"}", "invalid HMAC: version is too new" },
        { "verify/k", "{\"hmac\":\"vault:v0:\"}",
          "cannot verify HMAC: version is too old (disallowed by policy)" },
    };
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(m, "POST", cases[i].path, cases[i].body, ERR_BAD_REQUEST, cases[i].why);
}

static void a_batch_of_hmacs_tells_only_the_good_ones_true(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    ok(m, "POST", "hmac/k", "{\"input\":\"aGVsbG8=\"}");
    const char *mac = got(m, "hmac");
    const char *body = format(m, "{\"batch_input\":[{\"input\":\"aGVsbG8=\",\"hmac\":\"$\"},"
                                 "{\"input\":\"\",\"hmac\":\"vault:v1:AAAA\"},{\"hmac\":\"x\"}]}",
                              mac);
    ok(m, "POST", "verify/k", body);
    assert_string_equal(got(m, "batch_results"),
                        "[{\"valid\":true},{},{\"error\":\"missing input\"}]");
}

/* ---- export, backup, restore ---- */

static void export_gives_the_versions_that_decrypt(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{\"exportable\":true}");
    ok(m, "POST", "keys/k/rotate", "{}");
    ok(m, "POST", "keys/k/rotate", "{}");
    ok(m, "POST", "keys/k/config", "{\"min_decryption_version\":2}");
    ok(m, "GET", "export/encryption-key/k", "{}");
    const struct json *keys = json_member(m->resp.data, "keys");
    assert_int_equal(keys->count, 2);
    assert_null(json_member(keys, "1"));
    ok(m, "GET", "export/hmac-key/k/latest", "{}");
    assert_non_null(json_member(json_member(m->resp.data, "keys"), "3"));
    ok(m, "GET", "export/hmac-key/k/v2", "{}");
    assert_non_null(json_member(json_member(m->resp.data, "keys"), "2"));
    refused(m, "GET", "export/hmac-key/k/1", "{}", ERR_BAD_REQUEST,
            "version for export is below minimum decryption version");
    refused(m, "GET", "export/hmac-key/k/x", "{}", ERR_BAD_REQUEST, "invalid key version");
    refused(m, "GET", "export/signing-key/k", "{}", ERR_BAD_REQUEST,
            "signing not supported for the key");
}

static void export_gives_a_vaults_keys_as_that_vault_would(void **state)
{
    struct mount *m = *state;
    load_vaults_keys(m);
    ok(m, "POST", "keys/ecdsa-p256/config", "{\"exportable\":true}");
    ok(m, "GET", "export/signing-key/ecdsa-p256", "{}");
    const char *pem = arena_cstr(m->arena, json_get_str(json_member(m->resp.data, "keys"), "1"));
    assert_string_equal(pem, "-----BEGIN EC PRIVATE KEY-----\n"
                             "MHcCAQEEIOCAfoZ8xl0/RLRGNTo63bier7fNA6iOI2Wx5KqFsZA8oAoGCCqGSM49\n"
                             "AwEHoUQDQgAEaVx/9D0s3rfB2+Xcpd9XzNLeP5QwVyWiSYZUdenUjkPYBiCmDjM4\n"
                             "ycLHk7QaJ9gvQrmwcc3PpoeEx1y9F1VRTQ==\n"
                             "-----END EC PRIVATE KEY-----");
}

static void a_backup_restores_under_another_name_with_its_archive(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{\"exportable\":true,\"allow_plaintext_backup\":true}");
    const char *first = encrypt(m, "k", "aGVsbG8=");
    ok(m, "POST", "keys/k/rotate", "{}");
    ok(m, "POST", "keys/k/config", "{\"min_decryption_version\":2}");
    ok(m, "GET", "backup/k", "{}");
    const char *body = format(m, "{\"backup\":\"$\"}", got(m, "backup"));
    refused(m, "POST", "restore/k", body, ERR_INTERNAL, "key \"k\" already exists");
    refused(m, "POST", "restore", body, ERR_INTERNAL, "key \"k\" already exists");
    ok(m, "POST", "restore/copy", body);
    ok(m, "POST", "keys/copy/config", "{\"min_decryption_version\":1}");
    decrypts(m, "copy", first, "aGVsbG8=");
    ok(m, "GET", "keys/copy", "{}");
    assert_string_equal(got(m, "name"), "copy");
    static const char event[] = "{\"time\":\"2023-11-14T22:13:20Z\",\"version\":2}";
    assert_string_equal(got(m, "restore_info"), event);
    assert_string_equal(got(m, "backup_info"), event);
}

static void backup_and_restore_say_what_they_refuse(void **state)
{
    static const struct { const char *method, *path, *body; enum err_code code; const char *why; }
    cases[] = {
        { "GET", "backup/none", "{}", ERR_INTERNAL, "key \"none\" not found" },
        { "GET", "backup/k", "{}", ERR_INTERNAL, "exporting is disallowed on the policy" },
        { "GET", "backup/x", "{}", ERR_INTERNAL, "plaintext backup is disallowed on the policy" },
        { "POST", "restore/n", "{}", ERR_BAD_REQUEST, "'backup' must be supplied" },
        { "POST", "restore/n", "{\"backup\":\"?\"}", ERR_INTERNAL,
          "illegal base64 data at input byte 0" },
        { "POST", "restore/n", "{\"backup\":\"AAAA\"}", ERR_INTERNAL, "the backup is not JSON" },
        /* {"policy":{"name":"../x"}} and {"policy":{}} */
        { "POST", "restore", "{\"backup\":\"eyJwb2xpY3kiOnsibmFtZSI6Ii4uL3gifX0=\"}", ERR_INTERNAL,
          "key names cannot be paths" },
        { "POST", "restore", "{\"backup\":\"eyJwb2xpY3kiOnt9fQ==\"}", ERR_INTERNAL,
          "the backup has no key name" },
    };
    struct mount *m = *state;
    ok(m, "POST", "keys/k", "{}");
    ok(m, "POST", "keys/x", "{\"exportable\":true}");
    int commits = m->store.commits;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(m, cases[i].method, cases[i].path, cases[i].body, cases[i].code, cases[i].why);
    assert_int_equal(m->store.commits, commits);
}

/* ---- cache-config ---- */

static void a_cache_size_counts_from_the_next_opening(void **state)
{
    struct mount *m = *state;
    ok(m, "POST", "cache-config", "{\"size\":2}");
    ok(m, "GET", "cache-config", "{}");
    assert_string_equal(got(m, "size"), "2");
    assert_int_equal(m->resp.warnings->count, 1);
    reopen(m);
    ok(m, "GET", "cache-config", "{}");
    assert_null(m->resp.warnings);
    for (int i = 0; i < 6; i++) {
        char path[16];
        snprintf(path, sizeof path, "keys/k%d", i);
        ok(m, "POST", path, "{}");
    }
    decrypts(m, "k0", encrypt(m, "k0", "aGVsbG8="), "aGVsbG8=");
    refused(m, "POST", "cache-config", "{\"size\":-1}", ERR_BAD_REQUEST,
            "size must be greater or equal to 0");
}

/* ---- many at once ---- */

struct worker {
    struct mount *mount;
    int good;
};

static void *encrypt_and_decrypt(void *p)
{
    struct worker *w = p;
    for (int i = 0; i < 200; i++) {
        struct arena *a = arena_new();
        struct request req;
        struct response resp;
        if (call_in(w->mount, a, &req, &resp, "POST", "encrypt/k",
                    "{\"plaintext\":\"aGVsbG8=\"}") == 1) {
            struct str text = json_get_str(resp.data, "ciphertext");
            struct str body = arena_printf(a, "{\"ciphertext\":\"" STR_FMT "\"}", STR_ARG(text));
            w->good += call_in(w->mount, a, &req, &resp, "POST", "decrypt/k",
                               arena_cstr(a, body)) == 1 &&
                       str_is(json_get_str(resp.data, "plaintext"), "aGVsbG8=");
        }
        arena_free(a);
    }
    return NULL;
}

static void readers_go_on_while_the_key_is_rotated(void **state)
{
    struct mount *m = *state;
    struct worker workers[2] = { { .mount = m }, { .mount = m } };
    pthread_t threads[2];
    ok(m, "POST", "keys/k", "{}");
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encrypt_and_decrypt, &workers[i]), 0);
    for (int i = 0; i < 30; i++) {
        ok(m, "POST", "keys/k/rotate", "{}");
        if (i % 5 == 0)
            engine_transit.invalidate(m->state, STR("policy/k"));
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].good, 200);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_of_a_vault_work_on),
        TEST(a_vaults_record_changes_only_where_it_was_told_to),
        TEST(signatures_of_other_programs_verify_with_any_salt),
        TEST(every_encrypting_type_opens_what_it_sealed),
        TEST(a_key_in_memory_needs_no_store_and_may_stay_on_the_loop),
        TEST(what_must_wait_says_so_before_any_effect),
        TEST(a_large_batch_does_not_stay_on_the_loop),
        TEST(encryption_makes_a_key_that_is_not_there),
        TEST(refuses_to_make_a_key_that_does_not_encrypt),
        TEST(batches_go_past_items_that_fail),
        TEST(refuses_batches_that_are_none),
        TEST(a_rewrapped_text_is_of_the_latest_version),
        TEST(a_tampered_text_fails_the_request),
        TEST(data_keys_come_in_three_lengths),
        TEST(a_key_that_is_there_is_left_alone_by_a_second_write),
        TEST(says_why_a_key_is_not_made),
        TEST(a_failed_commit_changes_nothing),
        TEST(policy_and_archive_are_stored_in_one_commit),
        TEST(versions_out_of_bounds_are_refused_after_config),
        TEST(config_says_what_it_refuses),
        TEST(a_trimmed_key_cannot_go_back),
        TEST(a_deleted_key_is_gone_from_memory_and_store),
        TEST(a_key_changed_elsewhere_is_read_again),
        TEST(a_damaged_record_is_an_error_and_not_an_absence),
        TEST(every_signing_type_verifies_what_it_signed),
        TEST(a_derived_ed25519_key_is_the_one_of_the_vector),
        TEST(sign_and_verify_say_what_they_refuse),
        TEST(batches_of_signatures_go_past_items_that_fail),
        TEST(hmac_says_what_it_refuses),
        TEST(a_batch_of_hmacs_tells_only_the_good_ones_true),
        TEST(export_gives_the_versions_that_decrypt),
        TEST(export_gives_a_vaults_keys_as_that_vault_would),
        TEST(a_backup_restores_under_another_name_with_its_archive),
        TEST(backup_and_restore_say_what_they_refuse),
        TEST(a_cache_size_counts_from_the_next_opening),
        TEST(readers_go_on_while_the_key_is_rotated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
