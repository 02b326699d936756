/* Tests of the barrier: Vault's own store, tampering, rotation, rekey, other nodes. */
#include "barrier/barrier.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

#include "barrier/envelope.h"
#include "codec/base64.h"
#include "crypto/aead.h"
#include "storage/driver.h"

static const struct str root = STR_INIT("0123456789abcdef0123456789abcdef");
static const struct str other_root = STR_INIT("another root key of 32 bytes ...");
static const int64_t day_ns = INT64_C(24) * 3600 * 1000000000;
static const int64_t start_ns = INT64_C(1766368618000000000);

/* A storage whose commits can be made to fail. */
struct disk {
    struct storage base;
    struct storage *under;
    bool fails;
};

static int disk_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    return storage_get(((struct disk *)s)->under, key, out, err);
}

static int disk_commit(struct storage *s, const struct storage_op *ops, size_t n, struct err *err)
{
    struct disk *d = (struct disk *)s;

    if (d->fails)
        return err_set(err, ERR_IO, "the disk is full");
    return storage_commit(d->under, ops, n, err);
}

static int disk_list(struct storage *s, struct str prefix, struct str after, storage_name_fn *each,
                     void *ctx, struct err *err)
{
    return storage_list(((struct disk *)s)->under, prefix, after, each, ctx, err);
}

static const struct storage_ops disk_ops = { disk_get, disk_commit, disk_list, NULL };

struct fixture {
    struct disk disk;
    struct barrier *b;
    struct storage *plain;
};

static int setup_sealed(void **state)
{
    static struct fixture f;
    struct err err = { 0 };

    f = (struct fixture){ .disk.base = { &disk_ops, true, true } };
    *state = &f;
    if (storage_inmem.open(NULL, 0, &f.disk.under, &err) < 0 ||
        barrier_new(&f.disk.base, &f.b, &err) < 0)
        return -1;
    f.plain = barrier_storage(f.b);
    return 0;
}

static int setup(void **state)
{
    struct fixture *f;
    struct err err = { 0 };

    if (setup_sealed(state) < 0)
        return -1;
    f = *state;
    return barrier_init(f->b, root, start_ns, &err) < 0 || barrier_unseal(f->b, root, &err) < 0 ? -1
                                                                                                : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    barrier_free(f->b);
    storage_close(f->disk.under);
    return 0;
}

static void put(struct storage *s, struct str key, struct str value)
{
    struct err err = { 0 };

    assert_int_equal(storage_put(s, key, value, &err), 0);
}

static void assert_value(struct storage *s, struct str key, const char *want)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };
    int found = storage_get(s, key, &out, &err);

    assert_string_equal(err.msg, "");
    assert_int_equal(found, want == NULL ? 0 : 1);
    if (want != NULL)
        assert_true(str_is(buf_str(&out), want));
}

static uint32_t term_of(struct fixture *f, struct str key)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };
    uint32_t term = 0;

    assert_int_equal(storage_get(f->disk.under, key, &out, &err), 1);
    assert_int_equal(envelope_term(buf_str(&out), &term, &err), 0);
    return term;
}

/* What Vault wrote. */

static const char vault_root[] = "60e348b88db3ddb3e3816288fa97da83c3310994fdcf8fdb161df7bf08330d48";

static const struct {
    struct str key;
    const char *value;
} vault_store[] = {
    { STR_INIT("core/keyring"),
      "AAAAAQIlJAHJwjKCI0ow6+CtargiqC+BzCThlPmVP75GuSDKT7/uiI0YNXBQqhIrxdplLEUbFJJG3VDFA4Of"
      "EcRoIDD+7d0MM69dSAtPfT4N3O5hkyd3KkG1mPBzhL+TLW6L9TMLKoRW8mLj5/4kxFaJlMsOxzIpLDr5lOPg"
      "z0MRALgi2dWmZj9bufMB1do3xRtDDnUCgUZaoeEgcA8W6++/6fjPKBblYJCEjWbpdPVuGoPtKBOs1B6EqXOK"
      "Lt3VqXQdhhJCyTc1l12xhuvZQ/lBO0/hRW89grCJ1dZoyu5sY8POdysIvzRe6QR6JslbDu6i+LVsC70KxqXT"
      "YK03TtAmqScmC7D5p0LPpI93UmV/DkqjtPFDIlkSqiXQZlt4Ze1h3T6a12RKqF4Q/LLmB0nnWZh2+iM6lQka"
      "JPktQrtFAdaO5VDgDBJDoG4WXw+oQDu1Uwff9IJ5a98eBGclztF0WoYZD267mTT4EBwAvp5NzUkkNDzM890T"
      "1kxo1TYPSze7JArH1pmvVmVXcT3CuNWgEqY4772YFf0YwbxH7WGXAf4JBHs8qFUM3Es=" },
    { STR_INIT("core/master"),
      "AAAAAgI5vyJGrfCUU26Kwjgma6NXu+NY/L6KIYjfJ7aYdKpEAFaCLzg6SkHItdahJM5K5FsNJm61HZ8FHVU+"
      "qBJNeIEY0AOQB3iHMcsMbMx8mqcsJ556cUFYliRnlcvidL1QTzpGt8Fial4xndgRsUBSZJSzqYdMBVsKt3CX"
      "r4H2QaCc6UJoXH9B4WP4DDAAfGYB" },
    { STR_INIT("core/canary-keyring"),
      "AAAAAgLH61T7oZgzosytk/Bjg/kQdGrI3UOQ04qDMX0DfyNXGnIcDG2Lx+xislCB5uKrHg==" },
    { STR_INIT("logical/6d76d9b5-3ffb-5934-9547-a035e891f3ac/app/db"),
      "AAAAAQKnQsnKVI5JU3aWkNHPxesuTnVBAS7NvxAZxg8jO21pVeWBSD33e3HHSdslrxULtO5G3qj/xmWf+tkk"
      "WgVc/iT5xqJ176dyDwcECf9+Lqhj0L06L259SB6eKFfFRcWhRJQ=" },
    { STR_INIT("logical/6d76d9b5-3ffb-5934-9547-a035e891f3ac/after-rotate"),
      "AAAAAgIbsVxESP94JGLvbWOLmu2XZaYX3orfMunfRsUWc5kfPe4XgpMiEE9K8Fo=" },
};

static struct str decoded(struct arena *a, const char *base64)
{
    struct str out;
    struct err err = { 0 };

    assert_int_equal(base64_decode(a, str_of(base64), &out, &err), 0);
    return out;
}

static void unseal_vaults_store(struct fixture *f, struct arena *a)
{
    struct str key;
    struct err err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(vault_store); i++)
        put(f->disk.under, vault_store[i].key, decoded(a, vault_store[i].value));
    assert_int_equal(hex_decode(a, str_of(vault_root), &key, &err), 0);
    assert_int_equal(barrier_unseal(f->b, key, &err), 0);
}

static void opens_a_store_that_vault_wrote(void **state)
{
    struct fixture *f = *state;
    AUTO(arena_drop) struct arena *a = arena_new();

    unseal_vaults_store(f, a);
    assert_value(
        f->plain, STR("logical/6d76d9b5-3ffb-5934-9547-a035e891f3ac/app/db"),
        "{\"n\":42,\"nested\":{\"a\":[1,2,3]},\"password\":\"pw-visible\",\"user\":\"app\"}");
    assert_value(f->plain, STR("logical/6d76d9b5-3ffb-5934-9547-a035e891f3ac/after-rotate"),
                 "{\"term\":\"two\"}");
    assert_value(f->plain, STR("core/canary-keyring"), "new-rotation-term-2");
    assert_value(
        f->plain, STR("core/master"),
        "{\"Term\":1,\"Version\":1,\"Value\":\"YONIuI2z3bPjgWKI+pfag8MxCZT9z4/bFh33vwgzDUg=\","
        "\"InstallTime\":\"0001-01-01T00:00:00Z\"}");
}

static void knows_vaults_key_and_rotation_settings(void **state)
{
    struct fixture *f = *state;
    AUTO(arena_drop) struct arena *a = arena_new();
    struct barrier_key_status key;
    struct barrier_rotation r;
    struct err err = { 0 };

    unseal_vaults_store(f, a);
    assert_int_equal(barrier_key_status(f->b, &key, &err), 0);
    assert_int_equal(key.term, 2);
    assert_true(key.installed_ns == INT64_C(1795312610717366477));
    assert_int_equal(key.encryptions, 0);
    assert_int_equal(barrier_rotation(f->b, &r, &err), 0);
    assert_true(r.enabled && r.max_operations == INT64_C(3865470566) && r.interval_ns == 0);
}

static void writes_core_master_as_vault_does(void **state)
{
    struct fixture *f = *state;
    AUTO(arena_drop) struct arena *a = arena_new();
    struct err err = { 0 };
    uint32_t term;

    unseal_vaults_store(f, a);
    assert_int_equal(barrier_rotate(f->b, start_ns, &term, &err), 0);
    assert_int_equal(term, 3);
    assert_value(
        f->plain, STR("core/master"),
        "{\"Term\":1,\"Version\":1,\"Value\":\"YONIuI2z3bPjgWKI+pfag8MxCZT9z4/bFh33vwgzDUg=\","
        "\"InstallTime\":\"0001-01-01T00:00:00Z\"}");
    assert_value(f->plain, STR("core/canary-keyring"), "new-rotation-term-3");
}

/* Values. */

static void what_lies_beneath_is_an_envelope(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf sealed = { 0 };
    struct err err = { 0 };

    put(f->plain, STR("secret/a"), STR("hunter2"));
    assert_value(f->plain, STR("secret/a"), "hunter2");
    assert_int_equal(storage_get(f->disk.under, STR("secret/a"), &sealed, &err), 1);
    assert_int_equal(sealed.n, 7 + 33);
    assert_memory_equal(sealed.p, "\0\0\0\1\2", 5);
    assert_int_equal(str_find(buf_str(&sealed), STR("hunter2")), -1);
}

static void the_same_value_never_looks_the_same(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf one = { 0 };
    AUTO(buf_free) struct buf two = { 0 };
    struct err err = { 0 };

    put(f->plain, STR("k"), STR("v"));
    assert_int_equal(storage_get(f->disk.under, STR("k"), &one, &err), 1);
    put(f->plain, STR("k"), STR("v"));
    assert_int_equal(storage_get(f->disk.under, STR("k"), &two, &err), 1);
    assert_false(str_eq(buf_str(&one), buf_str(&two)));
}

static void empty_values_and_absent_ones_differ(void **state)
{
    struct fixture *f = *state;

    put(f->plain, STR("empty"), STR(""));
    assert_value(f->plain, STR("empty"), "");
    assert_value(f->plain, STR("absent"), NULL);
}

static void a_batch_is_sealed_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct storage_op ops[30];
    char keys[30];
    struct err err = { 0 };

    put(f->plain, STR("gone"), STR("v"));
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        keys[i] = (char)('A' + i);
        ops[i] = (struct storage_op){ STORAGE_PUT, str_mem(&keys[i], 1), str_mem(&keys[i], 1) };
    }
    ops[29] = (struct storage_op){ STORAGE_DELETE, STR("gone"), { NULL, 0 } };
    assert_int_equal(storage_commit(f->plain, ops, ARRAY_LEN(ops), &err), 0);
    assert_value(f->plain, STR("A"), "A");
    assert_value(f->plain, STR("Z"), "Z");
    assert_value(f->plain, STR("gone"), NULL);
    assert_int_equal(storage_commit(f->plain, ops, 0, &err), 0);
}

static int collect(void *ctx, struct str name)
{
    buf_add(ctx, name);
    buf_byte(ctx, ' ');
    return 0;
}

static void names_are_not_hidden(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf names = { 0 };
    struct err err = { 0 };

    put(f->plain, STR("d/a"), STR("v"));
    put(f->plain, STR("d/b/c"), STR("v"));
    assert_int_equal(storage_list(f->plain, STR("d/"), STR(""), collect, &names, &err), 0);
    assert_true(str_is(buf_str(&names), "a b/ "));
}

static void opens_only_what_it_sealed(void **state)
{
    enum { NONE = -1 };
    static const struct {
        const char *what;
        struct str from;
        int flip;
        int found;
    } cases[] = {
        { "untouched", STR_INIT("secret/a"), NONE, 1 },
        { "read from another path", STR_INIT("secret/b"), NONE, -1 },
        { "term of no key we hold", STR_INIT("secret/a"), 3, -1 },
        { "version 3", STR_INIT("secret/a"), 4, -1 },
        { "nonce", STR_INIT("secret/a"), 5, -1 },
        { "first byte of the text", STR_INIT("secret/a"), 17, -1 },
        { "first byte of the tag", STR_INIT("secret/a"), 24, -1 },
        { "last byte of the tag", STR_INIT("secret/a"), 39, -1 },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf sealed = { 0 };
        AUTO(buf_free) struct buf plain = { 0 };
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        put(f->plain, STR("secret/a"), STR("hunter2"));
        assert_int_equal(storage_get(f->disk.under, STR("secret/a"), &sealed, &err), 1);
        if (cases[i].flip != NONE)
            sealed.p[cases[i].flip] ^= 1;
        put(f->disk.under, cases[i].from, buf_str(&sealed));
        assert_int_equal(storage_get(f->plain, cases[i].from, &plain, &err), cases[i].found);
        assert_int_equal(err.code, cases[i].found == 1 ? ERR_NONE : ERR_CORRUPT);
        assert_int_equal(plain.n, cases[i].found == 1 ? 7 : 0); /* nothing leaks on failure */
    }
}

static void a_value_cut_short_does_not_open(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf sealed = { 0 };
    struct err err = { 0 };

    put(f->plain, STR("k"), STR("v"));
    assert_int_equal(storage_get(f->disk.under, STR("k"), &sealed, &err), 1);
    for (size_t n = 0; n < sealed.n; n++) {
        AUTO(buf_free) struct buf plain = { 0 };
        put(f->disk.under, STR("k"), str_head(buf_str(&sealed), n));
        assert_int_equal(storage_get(f->plain, STR("k"), &plain, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_int_equal(plain.n, 0);
    }
}

static void reads_version_1_which_has_no_path(void **state)
{
    static const uint8_t nonce[AEAD_NONCE] = { 1, 2, 3 };
    struct fixture *f = *state;
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf sealed = { 0 };
    struct aead *key;
    struct err err = { 0 };

    unseal_vaults_store(f, a); /* its second key is known */
    assert_int_equal(aead_new(AEAD_AES256_GCM,
                              decoded(a, "TsvTUvKO1TozA1xYUrdifb4uAsROpiIonDynTWZTdSA="), &key,
                              &err),
                     0);
    buf_add(&sealed, STR("\0\0\0\2\1"));
    buf_add(&sealed, str_mem(nonce, sizeof nonce));
    assert_int_equal(aead_seal(key, nonce, STR(""), STR("old"), &sealed, &err), 0);
    aead_free(key);
    put(f->disk.under, STR("any/path"), buf_str(&sealed));
    assert_value(f->plain, STR("any/path"), "old");
}

/* Sealed and unsealed. */

static void refuses_everything_while_sealed(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf out = { 0 };
    AUTO(secret_free) struct secret key = { 0 };
    struct barrier_rotation rotation = { true, 2000000, 0 };
    struct barrier_key_status status;
    uint32_t term;
    struct err e[13] = { 0 };

    barrier_seal(f->b);
    assert_true(barrier_sealed(f->b));
    assert_int_equal(storage_get(f->plain, STR("k"), &out, &e[0]), -1);
    assert_int_equal(storage_put(f->plain, STR("k"), STR("v"), &e[1]), -1);
    assert_int_equal(storage_delete(f->plain, STR("k"), &e[2]), -1);
    assert_int_equal(storage_list(f->plain, STR(""), STR(""), collect, &out, &e[3]), -1);
    assert_int_equal(barrier_rotate(f->b, start_ns, &term, &e[4]), -1);
    assert_int_equal(barrier_set_root_key(f->b, other_root, &e[5]), -1);
    assert_int_equal(barrier_root_key(f->b, &key, &e[6]), -1);
    assert_int_equal(barrier_key_status(f->b, &status, &e[7]), -1);
    assert_int_equal(barrier_rotation(f->b, &rotation, &e[8]), -1);
    assert_int_equal(barrier_set_rotation(f->b, &rotation, &e[9]), -1);
    assert_int_equal(barrier_rotate_if_due(f->b, start_ns, &e[10]), -1);
    assert_int_equal(barrier_encrypt(f->b, STR(""), STR("x"), &out, &e[11]), -1);
    assert_int_equal(barrier_decrypt(f->b, STR(""), STR("x"), &out, &e[12]), -1);
    for (size_t i = 0; i < ARRAY_LEN(e); i++)
        assert_int_equal(e[i].code, ERR_SEALED);
}

static void a_wrong_root_key_opens_nothing(void **state)
{
    static const struct str wrong[] = { STR_INIT("another root key of 32 bytes ..."),
                                        STR_INIT("0123456789abcdef"), STR_INIT("") };
    struct fixture *f = *state;

    barrier_seal(f->b);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err err[2] = { 0 };
        assert_int_equal(barrier_unseal(f->b, wrong[i], &err[0]), -1);
        assert_int_equal(err[0].code, ERR_DENIED);
        assert_int_equal(barrier_check_root_key(f->b, wrong[i], &err[1]), -1);
        assert_int_equal(err[1].code, ERR_DENIED);
        assert_true(barrier_sealed(f->b));
    }
}

static void the_root_key_can_be_checked_sealed_or_not(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_int_equal(barrier_check_root_key(f->b, root, &err), 0);
    assert_int_equal(barrier_check_root_key(f->b, other_root, &err), -1);
    barrier_seal(f->b);
    assert_int_equal(barrier_check_root_key(f->b, root, &err), 0);
    assert_true(barrier_sealed(f->b));
}

static void an_empty_store_is_not_initialised(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_int_equal(barrier_initialised(f->b, &err), 0);
    assert_int_equal(barrier_unseal(f->b, root, &err), -1);
    assert_int_equal(err.code, ERR_UNINITIALISED);
    assert_int_equal(barrier_init(f->b, root, start_ns, &err), 0);
    assert_int_equal(barrier_initialised(f->b, &err), 1);
    assert_true(barrier_sealed(f->b));
}

static void it_is_initialised_once(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    put(f->plain, STR("k"), STR("v"));
    assert_int_equal(barrier_init(f->b, other_root, start_ns, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    barrier_seal(f->b);
    assert_int_equal(barrier_unseal(f->b, root, &err), 0);
    assert_value(f->plain, STR("k"), "v");
}

static void a_root_key_of_a_wrong_length_initialises_nothing(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_int_equal(barrier_init(f->b, STR("short"), start_ns, &err), -1);
    assert_int_equal(barrier_initialised(f->b, &err), 0);
}

static void sealing_and_unsealing_again_loses_nothing(void **state)
{
    struct fixture *f = *state;
    AUTO(secret_free) struct secret key = { 0 };
    struct err err = { 0 };

    put(f->plain, STR("k"), STR("v"));
    for (int i = 0; i < 3; i++) {
        barrier_seal(f->b);
        barrier_seal(f->b);
        assert_int_equal(barrier_unseal(f->b, root, &err), 0);
        assert_int_equal(barrier_unseal(f->b, other_root, &err), 0); /* open already: no matter */
    }
    assert_value(f->plain, STR("k"), "v");
    assert_int_equal(barrier_root_key(f->b, &key, &err), 0);
    assert_true(secret_eq(secret_str(&key), root));
}

static void a_damaged_keyring_is_told_from_a_wrong_key(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    barrier_seal(f->b);
    put(f->disk.under, STR("core/keyring"), STR("\0\0\0\1\2 too short"));
    assert_int_equal(barrier_unseal(f->b, root, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

/* Rotation and rekey. */

static void after_a_rotation_old_values_open_and_new_ones_have_the_new_term(void **state)
{
    struct fixture *f = *state;
    struct barrier_key_status status;
    struct err err = { 0 };
    uint32_t term;

    put(f->plain, STR("old"), STR("v1"));
    assert_int_equal(barrier_rotate(f->b, start_ns + 5, &term, &err), 0);
    assert_int_equal(term, 2);
    put(f->plain, STR("new"), STR("v2"));
    for (int i = 0; i < 2; i++) {
        assert_value(f->plain, STR("old"), "v1");
        assert_value(f->plain, STR("new"), "v2");
        assert_value(f->plain, STR("core/canary-keyring"), "new-rotation-term-2");
        barrier_seal(f->b);
        assert_int_equal(barrier_unseal(f->b, root, &err), 0);
    }
    assert_int_equal(term_of(f, STR("old")), 1);
    assert_int_equal(term_of(f, STR("new")), 2);
    assert_int_equal(term_of(f, STR("core/keyring")), 1); /* under the root key: always 1 */
    assert_int_equal(term_of(f, STR("core/master")), 2);
    assert_int_equal(barrier_key_status(f->b, &status, &err), 0);
    assert_int_equal(status.term, 2);
    assert_true(status.installed_ns == start_ns + 5);
}

static void many_rotations_keep_every_key(void **state)
{
    struct fixture *f = *state;
    char keys[20];
    struct err err = { 0 };
    uint32_t term;

    for (size_t i = 0; i < sizeof keys; i++) {
        keys[i] = (char)('a' + i);
        put(f->plain, str_mem(&keys[i], 1), STR("v"));
        assert_int_equal(barrier_rotate(f->b, start_ns, &term, &err), 0);
        assert_int_equal(term, i + 2);
    }
    barrier_seal(f->b);
    assert_int_equal(barrier_unseal(f->b, root, &err), 0);
    for (size_t i = 0; i < sizeof keys; i++)
        assert_value(f->plain, str_mem(&keys[i], 1), "v");
}

static void a_change_that_cannot_be_stored_does_not_happen(void **state)
{
    struct fixture *f = *state;
    struct barrier_rotation rotation = { false, 2000000, 0 };
    struct err err[3] = { 0 };
    uint32_t term;

    f->disk.fails = true;
    assert_int_equal(barrier_rotate(f->b, start_ns, &term, &err[0]), -1);
    assert_int_equal(barrier_set_root_key(f->b, other_root, &err[1]), -1);
    assert_int_equal(barrier_set_rotation(f->b, &rotation, &err[2]), -1);
    for (size_t i = 0; i < ARRAY_LEN(err); i++)
        assert_int_equal(err[i].code, ERR_IO);
    f->disk.fails = false;
    put(f->plain, STR("k"), STR("v"));
    assert_int_equal(term_of(f, STR("k")), 1);
    assert_int_equal(barrier_check_root_key(f->b, root, &err[0]), 0);
    assert_int_equal(barrier_rotation(f->b, &rotation, &err[0]), 0);
    assert_true(rotation.enabled);
}

static void after_a_rekey_only_the_new_root_key_unseals(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    put(f->plain, STR("k"), STR("v"));
    assert_int_equal(barrier_set_root_key(f->b, other_root, &err), 0);
    assert_value(f->plain, STR("k"), "v");
    assert_int_equal(barrier_check_root_key(f->b, other_root, &err), 0);
    barrier_seal(f->b);
    assert_int_equal(barrier_unseal(f->b, root, &err), -1);
    assert_int_equal(barrier_unseal(f->b, other_root, &err), 0);
    assert_value(f->plain, STR("k"), "v");
    assert_int_equal(term_of(f, STR("k")), 1);
}

static void a_rekey_to_a_key_of_a_wrong_length_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_int_equal(barrier_set_root_key(f->b, STR("short"), &err), -1);
    assert_int_equal(barrier_check_root_key(f->b, root, &err), 0);
}

static int64_t encryptions(struct fixture *f)
{
    struct barrier_key_status status;
    struct err err = { 0 };

    assert_int_equal(barrier_key_status(f->b, &status, &err), 0);
    return status.encryptions;
}

static void encryptions_are_counted_over_restarts_and_by_key(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    uint32_t term;

    assert_int_equal(encryptions(f), 0);
    for (int i = 0; i < 10; i++)
        put(f->plain, STR("k"), STR("v"));
    assert_int_equal(encryptions(f), 10);
    assert_int_equal(barrier_rotate_if_due(f->b, start_ns, &err), 0);
    assert_int_equal(encryptions(f), 11); /* one for storing the count */
    assert_int_equal(barrier_rotate_if_due(f->b, start_ns, &err), 0);
    assert_int_equal(encryptions(f), 11); /* nothing new, nothing stored */
    barrier_seal(f->b);
    assert_int_equal(barrier_unseal(f->b, root, &err), 0);
    assert_int_equal(encryptions(f), 11);
    put(f->plain, STR("k"), STR("v"));
    assert_int_equal(encryptions(f), 12);
    assert_int_equal(barrier_rotate(f->b, start_ns, &term, &err), 0);
    assert_int_equal(encryptions(f), 0);
}

static void set_rotation(struct fixture *f, bool enabled, int64_t max, int64_t interval_ns)
{
    struct barrier_rotation r = { enabled, max, interval_ns };
    struct err err = { 0 };

    assert_int_equal(barrier_set_rotation(f->b, &r, &err), 0);
}

static void rotates_when_the_interval_is_over(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    put(f->plain, STR("k"), STR("v"));
    set_rotation(f, true, 0, 2 * day_ns);
    assert_int_equal(barrier_rotate_if_due(f->b, start_ns + 2 * day_ns, &err), 0);
    assert_int_equal(barrier_rotate_if_due(f->b, start_ns + 2 * day_ns + 1, &err), 1);
    assert_int_equal(term_of(f, STR("core/master")), 2);
    assert_int_equal(barrier_rotate_if_due(f->b, start_ns + 3 * day_ns, &err), 0);
}

static void rotates_a_key_of_unknown_use_after_a_year(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_int_equal(barrier_rotate_if_due(f->b, start_ns + 366 * day_ns, &err), 1);
    put(f->plain, STR("k"), STR("v"));
    assert_int_equal(barrier_rotate_if_due(f->b, start_ns + 3 * 366 * day_ns, &err), 0);
}

static void does_not_rotate_when_it_is_disabled(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    set_rotation(f, false, 0, day_ns);
    assert_int_equal(barrier_rotate_if_due(f->b, start_ns + 1000 * day_ns, &err), 0);
}

static void rotation_settings_keep_to_vaults_bounds(void **state)
{
    static const struct {
        int64_t max, interval_ns, want_max, want_interval_ns;
    } cases[] = {
        { 2000000, 0, 2000000, 0 },
        { 0, 0, INT64_C(3865470566), 0 },
        { 1, 1, 1000000, INT64_C(86400000000000) },
        { -5, -5, 1000000, INT64_C(86400000000000) },
        { INT64_MAX, INT64_MAX, INT64_C(3865470566), INT64_MAX },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct barrier_rotation r;
        struct err err = { 0 };
        set_rotation(f, true, cases[i].max, cases[i].interval_ns);
        barrier_seal(f->b);
        assert_int_equal(barrier_unseal(f->b, root, &err), 0);
        assert_int_equal(barrier_rotation(f->b, &r, &err), 0);
        assert_true(r.max_operations == cases[i].want_max);
        assert_true(r.interval_ns == cases[i].want_interval_ns);
    }
}

/* Two nodes over one store. */

static struct barrier *standby_of(struct fixture *f)
{
    struct barrier *b;
    struct err err = { 0 };

    assert_int_equal(barrier_new(&f->disk.base, &b, &err), 0);
    assert_int_equal(barrier_unseal(b, root, &err), 0);
    return b;
}

static void another_node_follows_rotations_and_a_rekey(void **state)
{
    struct fixture *f = *state;
    struct barrier *standby = standby_of(f);
    AUTO(secret_free) struct secret key = { 0 };
    struct err err = { 0 };
    uint32_t term;

    assert_int_equal(barrier_follow(standby, &err), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(barrier_rotate(f->b, start_ns, &term, &err), 0);
        assert_int_equal(barrier_put_upgrade(f->b, term, &err), 0);
    }
    assert_int_equal(barrier_set_root_key(f->b, other_root, &err), 0);
    put(f->plain, STR("k"), STR("v"));
    assert_int_equal(barrier_follow(standby, &err), 1);
    assert_value(barrier_storage(standby), STR("k"), "v");
    assert_int_equal(barrier_root_key(standby, &key, &err), 0);
    assert_true(secret_eq(secret_str(&key), other_root));
    assert_int_equal(barrier_follow(standby, &err), 0);
    barrier_free(standby);
}

static void a_node_that_missed_the_upgrade_follows_all_the_same(void **state)
{
    struct fixture *f = *state;
    struct barrier *standby = standby_of(f);
    struct err err = { 0 };
    uint32_t term;

    assert_int_equal(barrier_rotate(f->b, start_ns, &term, &err), 0);
    put(f->plain, STR("k"), STR("v"));
    assert_int_equal(barrier_follow(standby, &err), 1);
    assert_value(barrier_storage(standby), STR("k"), "v");
    barrier_free(standby);
}

static void a_node_that_missed_the_upgrade_and_a_rekey_is_told(void **state)
{
    struct fixture *f = *state;
    struct barrier *standby = standby_of(f);
    struct err err = { 0 };
    uint32_t term;

    assert_int_equal(barrier_rotate(f->b, start_ns, &term, &err), 0);
    assert_int_equal(barrier_put_upgrade(f->b, term, &err), 0);
    assert_value(f->plain, STR("core/upgrade/2"), NULL);
    assert_int_equal(barrier_delete_upgrade(f->b, term, &err), 0);
    assert_value(f->plain, STR("core/upgrade/1"), NULL);
    assert_int_equal(barrier_set_root_key(f->b, other_root, &err), 0);
    assert_int_equal(barrier_follow(standby, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_false(barrier_sealed(standby));
    barrier_free(standby);
}

static void a_forged_upgrade_leads_nowhere(void **state)
{
    static const struct str texts[] = {
        STR_INIT("{}"),
        STR_INIT("no JSON"),
        STR_INIT("[]"),
        STR_INIT("{\"Term\":1,\"Version\":1,\"Value\":"
                 "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}"),
        STR_INIT("{\"Term\":0,\"Version\":1,\"Value\":"
                 "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}"),
        STR_INIT("{\"Term\":2,\"Version\":1,\"Value\":\"AAAA\"}"),
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err err = { 0 };
        put(f->plain, STR("core/upgrade/1"), texts[i]);
        assert_int_equal(barrier_follow(f->b, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

/* Texts that are not stored, and the rest. */

static void seals_texts_that_are_not_stored(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf sealed = { 0 };
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    assert_int_equal(barrier_encrypt(f->b, STR("aad"), STR("token"), &sealed, &err), 0);
    assert_int_equal(barrier_decrypt(f->b, STR("aad"), buf_str(&sealed), &out, &err), 0);
    assert_true(str_is(buf_str(&out), "token"));
    buf_clear(&out);
    assert_int_equal(barrier_decrypt(f->b, STR(""), buf_str(&sealed), &out, &err), -1);
    assert_int_equal(barrier_decrypt(f->b, STR("aad"), STR(""), &out, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(out.n, 0);
}

static void opens_a_batch_token_that_vault_made(void **state)
{
    static const char token[] =
        "AAAAAQIxMTXhkuyffrsMoM_Wu6yIrBVEthzfzhRt1ulguPzpPZybdnX2lFQoDzBRZWLRJr6KmZCicbiabmyE"
        "EgVO0Nis96bGsDBCQM0_I2OF1p00ej07DQEonf3INPIfY3JBbrYSQrqizK90b-5dUJfp6K8G7F86gjTg4Y6s"
        "k5qh9MB86RYqPYfp";
    struct fixture *f = *state;
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf out = { 0 };
    struct str sealed;
    struct err err = { 0 };

    unseal_vaults_store(f, a);
    assert_int_equal(base64url_decode(a, str_of(token), &sealed, &err), 0);
    assert_int_equal(barrier_decrypt(f->b, STR(""), sealed, &out, &err), 0);
    assert_true(str_find(buf_str(&out), STR("auth/token/create")) > 0);
}

static void knows_the_keys_outside_the_barrier(void **state)
{
    static const struct {
        struct str key;
        bool plain;
    } cases[] = {
        { STR_INIT("core/seal-config"), true },
        { STR_INIT("core/hsm/barrier-unseal-keys"), true },
        { STR_INIT("core/recovery-key"), true },
        { STR_INIT("core/recovery-config"), true },
        { STR_INIT("core/lock"), true },
        { STR_INIT("core/unseal-keys-backup"), true },
        { STR_INIT("core/recovery-keys-backup"), true },
        { STR_INIT("sys/uiconfig_plaintext"), true },
        { STR_INIT("core/keyring"), false },
        { STR_INIT("core/master"), false },
        { STR_INIT("core/seal-config/"), false },
        { STR_INIT("core/seal-confi"), false },
        { STR_INIT("sys/uiconfig"), false },
        { STR_INIT(""), false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(barrier_is_plain_key(cases[i].key), cases[i].plain);
}

/* Readers while keys come and go. */
struct readers {
    struct fixture *f;
    atomic_bool stop;
    atomic_int wrong;
};

static void *read_on(void *shared)
{
    struct readers *r = shared;

    while (!atomic_load(&r->stop)) {
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        int found = storage_get(r->f->plain, STR("k"), &out, &err);
        if (found == 1 ? !str_is(buf_str(&out), "v") : err.code != ERR_SEALED)
            atomic_fetch_add(&r->wrong, 1);
    }
    return NULL;
}

static void readers_see_the_value_or_a_sealed_barrier(void **state)
{
    struct fixture *f = *state;
    struct readers r = { .f = f };
    pthread_t threads[3];
    struct err err = { 0 };
    uint32_t term;

    put(f->plain, STR("k"), STR("v"));
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &r), 0);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(barrier_rotate(f->b, start_ns, &term, &err), 0);
        put(f->plain, STR("k"), STR("v"));
        barrier_seal(f->b);
        assert_int_equal(barrier_unseal(f->b, root, &err), 0);
    }
    atomic_store(&r.stop, true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&r.wrong), 0);
}

#define OPEN(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SEALED(name) cmocka_unit_test_setup_teardown(name, setup_sealed, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEALED(opens_a_store_that_vault_wrote),
        SEALED(knows_vaults_key_and_rotation_settings),
        SEALED(writes_core_master_as_vault_does),
        OPEN(what_lies_beneath_is_an_envelope),
        OPEN(the_same_value_never_looks_the_same),
        OPEN(empty_values_and_absent_ones_differ),
        OPEN(a_batch_is_sealed_as_a_whole),
        OPEN(names_are_not_hidden),
        OPEN(opens_only_what_it_sealed),
        OPEN(a_value_cut_short_does_not_open),
        SEALED(reads_version_1_which_has_no_path),
        OPEN(refuses_everything_while_sealed),
        OPEN(a_wrong_root_key_opens_nothing),
        OPEN(the_root_key_can_be_checked_sealed_or_not),
        SEALED(an_empty_store_is_not_initialised),
        OPEN(it_is_initialised_once),
        SEALED(a_root_key_of_a_wrong_length_initialises_nothing),
        OPEN(sealing_and_unsealing_again_loses_nothing),
        OPEN(a_damaged_keyring_is_told_from_a_wrong_key),
        OPEN(after_a_rotation_old_values_open_and_new_ones_have_the_new_term),
        OPEN(many_rotations_keep_every_key),
        OPEN(a_change_that_cannot_be_stored_does_not_happen),
        OPEN(after_a_rekey_only_the_new_root_key_unseals),
        OPEN(a_rekey_to_a_key_of_a_wrong_length_is_refused),
        OPEN(encryptions_are_counted_over_restarts_and_by_key),
        OPEN(rotates_when_the_interval_is_over),
        OPEN(rotates_a_key_of_unknown_use_after_a_year),
        OPEN(does_not_rotate_when_it_is_disabled),
        OPEN(rotation_settings_keep_to_vaults_bounds),
        OPEN(another_node_follows_rotations_and_a_rekey),
        OPEN(a_node_that_missed_the_upgrade_follows_all_the_same),
        OPEN(a_node_that_missed_the_upgrade_and_a_rekey_is_told),
        OPEN(a_forged_upgrade_leads_nowhere),
        OPEN(seals_texts_that_are_not_stored),
        SEALED(opens_a_batch_token_that_vault_made),
        cmocka_unit_test(knows_the_keys_outside_the_barrier),
        OPEN(readers_see_the_value_or_a_sealed_barrier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
