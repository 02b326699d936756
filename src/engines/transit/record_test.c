/* Tests of stored records: rotation, archive, trimming, upgrades. */
#include "engines/transit/record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "engines/transit/key.h"

enum { NOW_S = 1700000000 };
#define NOW_NS (NOW_S * INT64_C(1000000000))

static struct transit_record made(struct arena *a, const struct transit_spec *spec, int versions)
{
    struct transit_record r;
    struct err err = { 0 };
    transit_record_make(a, spec, &r);
    for (int i = 0; i < versions; i++) {
        assert_int_equal(transit_record_rotate(&r, NOW_NS, &err), 0);
        assert_int_equal(transit_record_settle(&r, &err), 0);
    }
    return r;
}

static struct transit_record made_aes(struct arena *a, int versions)
{
    struct transit_spec spec = { .name = STR("k"), .type = TRANSIT_AES256 };
    return made(a, &spec, versions);
}

static struct json *version(const struct transit_record *r, const char *number)
{
    return json_member(json_member(r->policy, "keys"), number);
}

static size_t archived(const struct transit_record *r)
{
    return json_member(r->archive, "keys")->count;
}

static const char *print(struct arena *a, const struct json *v)
{
    AUTO(buf_free) struct buf text = { 0 };
    json_print(v, &text);
    return arena_cstr(a, buf_str(&text));
}

static void a_new_record_has_vaults_members_in_vaults_order(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct transit_record r = made_aes(a, 0);
    assert_string_equal(
        print(a, r.policy),
        "{\"name\":\"k\",\"keys\":{},\"derived\":false,\"kdf\":0,\"convergent_encryption\":false,"
        "\"exportable\":false,\"min_decryption_version\":0,\"min_encryption_version\":0,"
        "\"latest_version\":0,\"archive_version\":0,\"archive_min_version\":0,"
        "\"min_available_version\":0,\"deletion_allowed\":false,\"convergent_version\":0,"
        "\"type\":0,\"backup_info\":null,\"restore_info\":null,\"allow_plaintext_backup\":false,"
        "\"version_template\":\"\",\"storage_prefix\":\"\"}");
}

static void every_type_makes_versions_that_load(void **state)
{
    for (int type = TRANSIT_AES256; type <= TRANSIT_AES128; type++) {
        if (type == TRANSIT_RSA4096)
            continue; /* takes seconds */
        AUTO(arena_drop) struct arena *a = arena_new();
        struct transit_spec spec = { .name = STR("k"), .type = (enum transit_type)type };
        struct transit_record r = made(a, &spec, 1);
        struct transit_key *k = NULL;
        struct err err = { 0 };

        print_message("  %s\n", transit_type_info(type)->name);
        assert_int_equal(transit_key_new(a, r.policy, &k, &err), 0);
        assert_int_equal(k->latest, 1);
        const struct transit_version *v = transit_key_version(k, 1);
        assert_int_equal(v->hmac_key.n, 32);
        assert_int_equal(v->created_s, NOW_S);
        assert_true(str_is(v->created, "2023-11-14T22:13:20Z"));
        transit_key_free(k);
    }
}

static void rotation_keeps_old_versions_and_archives_all(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct transit_record r = made_aes(a, 3);
    assert_int_equal(transit_record_int(&r, "latest_version"), 3);
    assert_int_equal(transit_record_int(&r, "archive_version"), 3);
    assert_int_equal(transit_record_int(&r, "min_decryption_version"), 1);
    assert_int_equal(archived(&r), 4); /* the first is empty: versions count from 1 */
    const struct json *first = json_first(json_member(r.archive, "keys"));
    assert_string_equal(print(a, first),
                        "{\"key\":null,\"hmac_key\":null,\"time\":\"0001-01-01T00:00:00Z\","
                        "\"ec_x\":null,\"ec_y\":null,\"ec_d\":null,\"rsa_key\":null,"
                        "\"public_key\":\"\",\"convergent_version\":0,\"creation_time\":0}");
    assert_true(json_equal(first->next, version(&r, "1")));
}

static void versions_below_the_minimum_leave_the_policy_and_come_back(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct transit_record r = made_aes(a, 4);
    const char *first = print(a, version(&r, "1"));
    struct err err = { 0 };

    transit_record_set_int(&r, "min_decryption_version", 3);
    assert_int_equal(transit_record_settle(&r, &err), 0);
    assert_null(version(&r, "1"));
    assert_null(version(&r, "2"));
    assert_non_null(version(&r, "3"));
    assert_int_equal(archived(&r), 5);

    transit_record_set_int(&r, "min_decryption_version", 1);
    assert_int_equal(transit_record_settle(&r, &err), 0);
    assert_string_equal(print(a, version(&r, "1")), first);
    assert_int_equal(json_member(r.policy, "keys")->count, 4);
}

static void trimming_cuts_the_archive_from_below(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct transit_record r = made_aes(a, 4);
    const char *fourth = print(a, version(&r, "4"));
    struct err err = { 0 };

    transit_record_set_int(&r, "min_decryption_version", 3);
    transit_record_set_int(&r, "min_encryption_version", 3);
    assert_int_equal(transit_record_settle(&r, &err), 0);
    transit_record_set_int(&r, "min_available_version", 3);
    assert_int_equal(transit_record_settle(&r, &err), 0);
    assert_int_equal(archived(&r), 2);
    assert_int_equal(transit_record_int(&r, "archive_min_version"), 3);

    /* Going on after it: the archive is counted from its new beginning. */
    assert_int_equal(transit_record_rotate(&r, NOW_NS, &err), 0);
    assert_int_equal(transit_record_settle(&r, &err), 0);
    assert_int_equal(archived(&r), 3);
    transit_record_set_int(&r, "min_encryption_version", 5);
    transit_record_set_int(&r, "min_decryption_version", 5);
    assert_int_equal(transit_record_settle(&r, &err), 0);
    transit_record_set_int(&r, "min_decryption_version", 4);
    assert_int_equal(transit_record_settle(&r, &err), 0);
    assert_string_equal(print(a, version(&r, "4")), fourth);
}

static void nothing_is_written_to_the_archive_when_it_is_up_to_date(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct transit_record r = made_aes(a, 2);
    struct err err = { 0 };
    r.archive_changed = false;
    transit_record_set_bool(&r, "deletion_allowed", true);
    assert_int_equal(transit_record_settle(&r, &err), 0);
    assert_false(r.archive_changed);
}

static void contradictions_are_refused(void **state)
{
    static const struct { const char *member; int64_t v; const char *why; } cases[] = {
        { "min_decryption_version", 0, "minimum decryption version of 0 is less than 1" },
        { "latest_version", 0, "latest version of 0 is less than 1" },
        { "archive_version", 9, "archive version of 9 is greater than the latest version 3" },
        { "min_decryption_version", 4,
          "need to move keys from archive but archive version not up-to-date" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct transit_record r = made_aes(a, 3);
        struct err err = { 0 };
        if (i == 3)
            transit_record_set_int(&r, "archive_version", 2);
        transit_record_set_int(&r, cases[i].member, cases[i].v);
        print_message("  %s\n", cases[i].why);
        assert_int_equal(transit_record_settle(&r, &err), -1);
        assert_int_equal(err.code, ERR_INTERNAL);
        assert_string_equal(err.msg, cases[i].why);
    }
}

static void a_record_that_claims_versions_it_has_not_is_refused(void **state)
{
    static const struct { const char *what, *policy, *archive; } cases[] = {
        { "in the archive",
          "{\"latest_version\":1000000000,\"archive_version\":1000000000,"
          "\"min_decryption_version\":1,\"keys\":{}}",
          "{\"keys\":[{},{}]}" },
        { "in the policy",
          "{\"latest_version\":1000000000,\"archive_version\":0,"
          "\"min_decryption_version\":1,\"keys\":{\"1\":{}}}",
          "" },
        { "before the archive",
          "{\"latest_version\":2,\"archive_version\":1,\"archive_min_version\":7,"
          "\"min_decryption_version\":1,\"keys\":{\"1\":{},\"2\":{}}}",
          "{\"keys\":[]}" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct transit_record r;
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(transit_record_parse(a, str_of(cases[i].policy),
                                              str_of(cases[i].archive), &r, &err), 0);
        assert_int_equal(transit_record_settle(&r, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void texts_that_are_no_record_are_refused(void **state)
{
    static const char *const texts[] = { "", "null", "[]", "{", "\"x\"" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct transit_record r;
        struct err err = { 0 };
        assert_int_equal(transit_record_parse(a, str_of(texts[i]), STR(""), &r, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void a_record_of_the_first_vault_is_upgraded(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    static const struct str old =
        STR_INIT("{\"name\":\"k\",\"key\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\","
                 "\"cipher_mode\":\"aes-gcm\",\"derived\":true,\"convergent_encryption\":true}");
    struct transit_record r;
    struct transit_key *k = NULL;
    struct err err = { 0 };

    assert_int_equal(transit_record_parse(a, old, STR(""), &r, &err), 0);
    assert_int_equal(transit_record_upgrade(&r, NOW_NS, &err), 0);
    assert_true(r.policy_changed);
    assert_int_equal(transit_record_settle(&r, &err), 0);
    assert_true(r.archive_changed);
    assert_null(json_member(r.policy, "key"));
    assert_true(str_is(json_get_str(r.policy, "cipher_mode"), "aes-gcm")); /* unknown, but stays */
    assert_int_equal(transit_record_int(&r, "latest_version"), 1);
    assert_int_equal(transit_record_int(&r, "min_decryption_version"), 1);
    assert_int_equal(transit_record_int(&r, "archive_version"), 1);
    assert_int_equal(transit_record_int(&r, "convergent_version"), 1);
    json_put_int(r.policy, "type", 0);
    assert_int_equal(transit_key_new(a, r.policy, &k, &err), 0);
    assert_int_equal(transit_key_version(k, 1)->hmac_key.n, 32);
    transit_key_free(k);
}

static void a_record_up_to_date_is_left_as_it_is(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct transit_record r = made_aes(a, 2);
    struct err err = { 0 };
    const char *before = print(a, r.policy);
    r.policy_changed = false;
    assert_int_equal(transit_record_upgrade(&r, NOW_NS, &err), 0);
    assert_false(r.policy_changed);
    assert_string_equal(print(a, r.policy), before);
}

static void new_versions_of_a_convergent_key_are_of_scheme_3_unless_it_is_of_the_first(void **state)
{
    static const struct { int64_t policy, version; } cases[] = { { -1, 3 }, { 2, 3 }, { 1, 0 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct transit_spec spec = { .name = STR("k"), .derived = true, .convergent = true };
        struct transit_record r = made(a, &spec, 0);
        struct err err = { 0 };
        transit_record_set_int(&r, "convergent_version", cases[i].policy);
        assert_int_equal(transit_record_rotate(&r, NOW_NS, &err), 0);
        assert_int_equal(json_get_int(version(&r, "1"), "convergent_version", -9),
                         cases[i].version);
    }
}

static void types_refuse_what_they_cannot_do(void **state)
{
    static const struct { enum transit_type type; bool derived, convergent; const char *why; }
    cases[] = {
        { TRANSIT_AES256, true, true, NULL },
        { TRANSIT_ED25519, true, false, NULL },
        { TRANSIT_AES256, false, true,
          "convergent encryption requires derivation to be enabled" },
        { TRANSIT_ED25519, true, true,
          "convergent encryption not supported for keys of type ed25519" },
        { TRANSIT_P256, true, false,
          "key derivation and convergent encryption not supported for keys of type ecdsa-p256" },
        { TRANSIT_RSA2048, true, true,
          "key derivation and convergent encryption not supported for keys of type rsa-2048" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct transit_spec spec = { .type = cases[i].type, .derived = cases[i].derived,
                                     .convergent = cases[i].convergent };
        struct err err = { 0 };
        assert_int_equal(transit_spec_check(&spec, &err), cases[i].why == NULL ? 0 : -1);
        if (cases[i].why != NULL)
            assert_string_equal(err.msg, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_record_has_vaults_members_in_vaults_order),
        cmocka_unit_test(every_type_makes_versions_that_load),
        cmocka_unit_test(rotation_keeps_old_versions_and_archives_all),
        cmocka_unit_test(versions_below_the_minimum_leave_the_policy_and_come_back),
        cmocka_unit_test(trimming_cuts_the_archive_from_below),
        cmocka_unit_test(nothing_is_written_to_the_archive_when_it_is_up_to_date),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(a_record_that_claims_versions_it_has_not_is_refused),
        cmocka_unit_test(texts_that_are_no_record_are_refused),
        cmocka_unit_test(a_record_of_the_first_vault_is_upgraded),
        cmocka_unit_test(a_record_up_to_date_is_left_as_it_is),
        cmocka_unit_test(
            new_versions_of_a_convergent_key_are_of_scheme_3_unless_it_is_of_the_first),
        cmocka_unit_test(types_refuse_what_they_cannot_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
