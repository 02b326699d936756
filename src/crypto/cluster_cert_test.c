/* Tests of the certificates of a cluster's members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/cluster_cert.h"

enum { NOW_S = 1700000000, DAY_S = 86400 };

struct fixture {
    struct arena *arena;
    struct cluster_authority ca;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    struct err err = { 0 };
    f->arena = arena_new();
    assert_int_equal(
        cluster_authority_make(f->arena, STR("cluster-1"), NOW_S, 10 * DAY_S, &f->ca, &err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_free(f->arena);
    test_free(f);
    return 0;
}

static X509 *parsed(struct str der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *cert = d2i_X509(NULL, &p, (long)der.n);
    assert_non_null(cert);
    return cert;
}

/* X509_V_OK or why ${der} is not believed at ${at_s}. */
static int verdict(struct fixture *f, struct str der, const struct cluster_authority *ca,
                   time_t at_s, int purpose)
{
    X509 *cert = parsed(der), *root = parsed(ca->cert_der);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, root);
    X509_STORE_CTX_init(ctx, store, cert, NULL);
    X509_STORE_CTX_set_purpose(ctx, purpose);
    X509_STORE_CTX_set_time(ctx, 0, at_s);
    (void)X509_verify_cert(ctx);
    int rc = X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(root);
    X509_free(cert);
    return rc;
}

static void issue(struct fixture *f, struct str id, struct str *cert, struct str *key)
{
    struct err err = { 0 };
    assert_int_equal(
        cluster_cert_issue(f->arena, &f->ca, id, NOW_S, DAY_S, cert, key, &err), 0);
}

static void issues_what_its_authority_vouches_for(void **state)
{
    struct fixture *f = *state;
    struct str cert, key;
    issue(f, STR("node-1"), &cert, &key);
    assert_int_equal(verdict(f, cert, &f->ca, NOW_S, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    assert_int_equal(verdict(f, cert, &f->ca, NOW_S, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
}

static void the_key_belongs_to_the_certificate(void **state)
{
    struct fixture *f = *state;
    struct str cert, key;
    issue(f, STR("node-1"), &cert, &key);
    const unsigned char *p = (const unsigned char *)key.p;
    PKCS8_PRIV_KEY_INFO *p8 = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)key.n);
    assert_non_null(p8);
    EVP_PKEY *evp = EVP_PKCS82PKEY(p8);
    X509 *x = parsed(cert);
    assert_int_equal(X509_check_private_key(x, evp), 1);
    X509_free(x);
    EVP_PKEY_free(evp);
    PKCS8_PRIV_KEY_INFO_free(p8);
}

static void is_valid_from_a_day_before_until_its_end(void **state)
{
    struct fixture *f = *state;
    static const struct { const char *what; int64_t at_s; int verdict; } cases[] = {
        { "more than a day before", NOW_S - DAY_S - 2, X509_V_ERR_CERT_NOT_YET_VALID },
        { "a day before", NOW_S - DAY_S + 1, X509_V_OK },
        { "the end", NOW_S + DAY_S - 1, X509_V_OK },
        { "past the end", NOW_S + DAY_S + 2, X509_V_ERR_CERT_HAS_EXPIRED },
    };
    struct str cert, key;
    issue(f, STR("node-1"), &cert, &key);
    assert_int_equal(cluster_cert_expires_s(cert), NOW_S + DAY_S);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  %s\n", cases[i].what);
        assert_int_equal(verdict(f, cert, &f->ca, cases[i].at_s, X509_PURPOSE_SSL_SERVER),
                         cases[i].verdict);
    }
}

static void another_authority_of_the_same_name_does_not_vouch(void **state)
{
    struct fixture *f = *state;
    struct cluster_authority other;
    struct str cert, key;
    struct err err = { 0 };
    assert_int_equal(
        cluster_authority_make(f->arena, STR("cluster-1"), NOW_S, DAY_S, &other, &err), 0);
    issue(f, STR("node-1"), &cert, &key);
    assert_int_not_equal(verdict(f, cert, &other, NOW_S, X509_PURPOSE_SSL_SERVER), X509_V_OK);
}

static void a_member_cannot_issue(void **state)
{
    struct fixture *f = *state;
    struct str cert, key;
    issue(f, STR("node-1"), &cert, &key);
    X509 *x = parsed(cert);
    assert_int_equal(X509_check_ca(x), 0);
    X509_free(x);
}

static void an_id_may_be_long(void **state)
{
    struct fixture *f = *state;
    struct str cert, key;
    char id[301];
    memset(id, 'n', sizeof id);
    issue(f, str_mem(id, sizeof id), &cert, &key);
    X509 *x = parsed(cert);
    const X509_NAME *name = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID((X509_NAME *)name, NID_commonName, -1);
    const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    assert_int_equal(ASN1_STRING_length(cn), (int)sizeof id);
    X509_free(x);
    assert_int_equal(verdict(f, cert, &f->ca, NOW_S, X509_PURPOSE_SSL_SERVER), X509_V_OK);
}

static void an_empty_id_is_refused(void **state)
{
    struct fixture *f = *state;
    struct str cert, key;
    struct err err = { 0 };
    assert_int_equal(
        cluster_cert_issue(f->arena, &f->ca, STR(""), NOW_S, DAY_S, &cert, &key, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_int_equal(
        cluster_cert_issue(f->arena, &f->ca, STR("a\0b"), NOW_S, DAY_S, &cert, &key, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
}

static void a_damaged_authority_is_told(void **state)
{
    struct fixture *f = *state;
    struct cluster_authority other, bad;
    struct err err = { 0 };
    struct str cert, key;
    assert_int_equal(
        cluster_authority_make(f->arena, STR("cluster-2"), NOW_S, DAY_S, &other, &err), 0);
    struct cluster_authority cases[] = { f->ca, f->ca, f->ca, f->ca, f->ca, f->ca };
    cases[0].cert_der = str_head(f->ca.cert_der, f->ca.cert_der.n - 1);
    cases[1].cert_der = STR("");
    cases[2].x = STR("12");
    cases[3].d = STR("seven");
    cases[4].d = other.d;             /* a key whose halves do not match */
    cases[5].cert_der = other.cert_der; /* a key of another certificate */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  case %zu\n", i);
        bad = cases[i];
        err = (struct err){ 0 };
        assert_int_equal(
            cluster_cert_issue(f->arena, &bad, STR("n"), NOW_S, DAY_S, &cert, &key, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void what_is_no_certificate_expires_never(void **state)
{
    assert_int_equal(cluster_cert_expires_s(STR("")), -1);
    assert_int_equal(cluster_cert_expires_s(STR("0\x03\x02\x01\x01")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(issues_what_its_authority_vouches_for, setup, teardown),
        cmocka_unit_test_setup_teardown(the_key_belongs_to_the_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(is_valid_from_a_day_before_until_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(another_authority_of_the_same_name_does_not_vouch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_member_cannot_issue, setup, teardown),
        cmocka_unit_test_setup_teardown(an_id_may_be_long, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_id_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_authority_is_told, setup, teardown),
        cmocka_unit_test(what_is_no_certificate_expires_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
