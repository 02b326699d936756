/* Tests of the authority behind the members' certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/log.h"
#include "codec/json.h"
#include "core/cluster_keys.h"
#include "storage/driver.h"

static const int64_t DAY_S = 86400, START_S = 1700000000;

/* In the form of Vault 1.8, with an authority of its kind; valid from 2026 to 2056. */
static const char vault_text[] =
    "{\"keys\":[{\"id\":\"raft-11111111-2222-3333-4444-555555555555\",\"key_type\":\"p521"
    "\",\"applied_index\":0,\"cluster_cert\":\"MIICdzCCAdmgAwIBAgIUO1LcJecxVwpbhu1VUNt0Dp"
    "fLxigwCgYIKoZIzj0EAwIwNDEyMDAGA1UEAwwpcmFmdC0xMTExMTExMS0yMjIyLTMzMzMtNDQ0NC01NTU1NT"
    "U1NTU1NTUwIBcNMjYxMTIyMDc1NzMxWhgPMjA1NjExMTQwNzU3MzFaMDQxMjAwBgNVBAMMKXJhZnQtMTExMT"
    "ExMTEtMjIyMi0zMzMzLTQ0NDQtNTU1NTU1NTU1NTU1MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAkjdgrl"
    "q75Or99kfCCRK9PQ2VBrPuhbTJTNc22hxGmnRpl2Bp2DDUf4llI1dZKIOalYYlPGXotYrrFt+rAmQCdA8BSK"
    "f5+vQUqhAYHs7BhGrsn2CsMZPimfYxPBGW6sPmFb5TafTtXarkzox/QtrssTRVFNo18ZeEDLtOfLLD5S/g3s"
    "OjgYMwgYAwHQYDVR0OBBYEFA/I5b+5jzNOBQ2JoH2EhdoDmeMKMB8GA1UdIwQYMBaAFA/I5b+5jzNOBQ2JoH"
    "2EhdoDmeMKMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgKMMB0GA1UdJQQWMBQGCCsGAQUFBwMBBg"
    "grBgEFBQcDAjAKBggqhkjOPQQDAgOBiwAwgYcCQgErhXYD0M6El9p5I1aNkkQ/q9OGHy/6ftAFaJ42TYv1Y2"
    "3FGAWD8UBgwg02jvOmZMAwN5iTctaig6Wo8HdWLoj42wJBB67JwPFQ/RMkGy+4VORU71NI/sQUV1xEUfpi03"
    "ltXzBel4CSn7R/X50JF37m4RY62YSbp2oBZXc4RA7FUmlLuPw=\",\"cluster_key_params\":{\"type"
    "\":\"p521\",\"x\":196044032118863119710053748573940051513887806007339691937293960938"
    "905789410854208220005601477952374211746822370588928456276720129164972315020025322572"
    "6276623,\"y\":4406558643420671577343016910164820177886855875301525568271606898223983"
    "058165970622004415549831323142849117592834554493238587228893295719547909189538483855"
    "043,\"d\":51316415017308883953434935748047274397528352881087429488992091653756708015"
    "88999443873424156051978058567264080256312976699469484034264965640026644436273358478}"
    ",\"created_time\":\"2021-08-18T19:45:10.123456789Z\"}],\"applied_index\":0,\"term\":"
    "0,\"active_key_id\":\"raft-11111111-2222-3333-4444-555555555555\"}";

struct fixture {
    struct storage *store;
    struct link_creds *creds;
    struct arena *arena;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    struct err err = { 0 };
    log_set_level(LOG_OFF);
    f->arena = arena_new();
    assert_int_equal(storage_inmem.open(NULL, 0, &f->store, &err), 0);
    assert_int_equal(link_creds_new(&f->creds, &err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    link_creds_free(f->creds);
    storage_close(f->store);
    arena_free(f->arena);
    test_free(f);
    return 0;
}

static int keep(struct fixture *f, int64_t now_s)
{
    struct err err = { 0 };
    int result = cluster_keys_keep(f->store, now_s, &err);
    if (result < 0)
        fail_msg("%s", err.msg);
    return result;
}

static const struct json *keys(struct fixture *f)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct err err = { 0 };
    struct json *o;
    assert_int_equal(cluster_keys_read(f->store, &text, &err), 1);
    assert_int_equal(json_parse(f->arena, arena_dup(f->arena, buf_str(&text)), &o, NULL, &err), 0);
    return json_member(o, "keys");
}

static size_t count(struct fixture *f)
{
    return keys(f)->count;
}

static int use(struct fixture *f, struct str text, int64_t now_s)
{
    struct err err = { 0 };
    return cluster_keys_use(text, STR("node-1"), now_s, f->creds, &err);
}

static void a_new_cluster_has_none(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf text = { 0 };
    struct err err = { 0 };
    assert_int_equal(cluster_keys_read(f->store, &text, &err), 0);
}

static void the_first_is_made_and_can_be_used(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf text = { 0 };
    struct err err = { 0 };
    assert_int_equal(keep(f, START_S), 1);
    assert_int_equal(count(f), 1);
    assert_int_equal(cluster_keys_read(f->store, &text, &err), 1);
    assert_int_equal(use(f, buf_str(&text), START_S), 0);
}

static void it_is_kept_for_a_month(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(keep(f, START_S), 1);
    assert_int_equal(keep(f, START_S), 0);
    assert_int_equal(keep(f, START_S + 30 * DAY_S - 1), 0);
    assert_int_equal(count(f), 1);
}

static void then_the_next_one_stands_beside_it(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(keep(f, START_S), 1);
    struct str first = json_get_str(json_first(keys(f)), "id");
    assert_int_equal(keep(f, START_S + 30 * DAY_S), 1);
    assert_int_equal(count(f), 2);
    assert_true(str_eq(json_get_str(json_first(keys(f)), "id"), first));
}

static void who_was_away_for_three_months_knows_one_of_them(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(keep(f, START_S), 1);
    struct str first = json_get_str(json_first(keys(f)), "id");
    for (int64_t day = 1; day < 120; day++)
        (void)keep(f, START_S + day * DAY_S);
    assert_true(str_eq(json_get_str(json_first(keys(f)), "id"), first));
    assert_int_equal(keep(f, START_S + 120 * DAY_S), 1);
    assert_false(str_eq(json_get_str(json_first(keys(f)), "id"), first));
    for (int64_t day = 121; day < 1000; day++)
        (void)keep(f, START_S + day * DAY_S);
    assert_true(count(f) <= 4);
}

static void vaults_own_text_can_be_used(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(use(f, str_of(vault_text), 1800000000), 0);
}

static void a_successor_is_made_for_vaults(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    assert_int_equal(storage_put(f->store, STR("core/raft/tls"), str_of(vault_text), &err), 0);
    assert_int_equal(keep(f, 1800000000), 1);
    assert_int_equal(count(f), 2); /* members that have only seen Vault's still know one */
}

static void a_damaged_text_is_refused(void **state)
{
    static const char *const texts[] = {
        "", "{", "[]", "{}", "{\"keys\":[]}", "{\"keys\":[{}]}", "{\"keys\":[1]}",
        "{\"keys\":[{\"cluster_cert\":\"!\"}]}",
        "{\"keys\":[{\"cluster_cert\":\"AAAA\",\"cluster_key_params\":{\"x\":1,\"y\":2,\"d\":3}}]}",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(use(f, str_of(texts[i]), START_S), -1);
}

static void a_damaged_text_is_not_overwritten(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    assert_int_equal(storage_put(f->store, STR("core/raft/tls"), STR("{"), &err), 0);
    assert_int_equal(cluster_keys_keep(f->store, START_S, &err), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_cluster_has_none),
        TEST(the_first_is_made_and_can_be_used),
        TEST(it_is_kept_for_a_month),
        TEST(then_the_next_one_stands_beside_it),
        TEST(who_was_away_for_three_months_knows_one_of_them),
        TEST(vaults_own_text_can_be_used),
        TEST(a_successor_is_made_for_vaults),
        TEST(a_damaged_text_is_refused),
        TEST(a_damaged_text_is_not_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
