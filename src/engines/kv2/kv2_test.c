/* Tests of kv2: the whole API over a store in memory, and a store that Vault wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "codec/protobuf.h"
#include "engines/kv2/kv2.h"
#include "engines/kv2/state.h"
#include "engines/kv2/vault_store_test.h"
#include "logical/testing.h"

static int fresh(void **state)
{
    static struct testing t;
    testing_open(&t, &engine_kv2);
    *state = &t;
    return 0;
}

/* 2026-11-23, a day after Vault wrote the store. */
static int of_vault(void **state)
{
    static struct testing t;
    testing_open(&t, &engine_kv2);
    for (size_t i = 0; i < ARRAY_LEN(vault_store); i++)
        testing_put(&t, vault_store[i].key, vault_store[i].value);
    t.now_ns = 1795400000000000000;
    assert_int_equal(testing_reopen(&t, &engine_kv2), 0);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    testing_close(*state);
    return 0;
}

static const struct json *data_of(struct testing *t, const char *path, const char *version)
{
    AUTO(buf_free) struct buf rel = { 0 };
    char body[64];

    buf_printf(&rel, "data/%s%c", path, '\0');
    snprintf(body, sizeof body, "{\"version\":\"%s\"}", version);
    testing_expect(t, OP_READ, rel.p, body, NULL);
    return json_member(t->resp.data, "data");
}

static void assert_data(struct testing *t, const char *path, const char *version,
                        const char *want)
{
    AUTO(buf_free) struct buf text = { 0 };

    json_print(data_of(t, path, version), &text);
    if (!str_is(buf_str(&text), want))
        fail_msg("%s@%s: " STR_FMT, path, version, STR_ARG(buf_str(&text)));
}

static const struct json *meta_of(struct testing *t, const char *path)
{
    AUTO(buf_free) struct buf rel = { 0 };

    buf_printf(&rel, "metadata/%s%c", path, '\0');
    testing_expect(t, OP_READ, rel.p, NULL, NULL);
    return t->resp.data;
}

/* ---- reading and writing ---- */

static void versions_are_kept_and_read(void **state)
{
    struct testing *t = *state;

    testing_absent(t, OP_READ, "data/a");
    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{\"k\":\"v1\"}}",
                   "{\"created_time\":\"2026-01-02T03:04:05.002Z\",\"deletion_time\":\"\","
                   "\"destroyed\":false,\"version\":1}");
    assert_int_equal(t->req.op, OP_CREATE);
    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{\"k\":\"v2\",\"n\":1.0}}", NULL);
    assert_int_equal(t->req.op, OP_UPDATE);
    testing_expect(t, OP_READ, "data/a", NULL,
                   "{\"data\":{\"k\":\"v2\",\"n\":1},\"metadata\":{"
                   "\"created_time\":\"2026-01-02T03:04:05.003Z\",\"deletion_time\":\"\","
                   "\"destroyed\":false,\"version\":2}}");
    assert_data(t, "a", "1", "{\"k\":\"v1\"}");
    assert_data(t, "a", "0", "{\"k\":\"v2\",\"n\":1}");
    assert_data(t, "a", "-3", "{\"k\":\"v2\",\"n\":1}");
    assert_int_equal(testing_call(t, OP_READ, "data/a", "{\"version\":9}"), 0);
}

static void empty_and_null_data_are_versions_too(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":null}", NULL);
    assert_data(t, "a", "0", "null");
    assert_int_equal(t->resp.status, 0);
    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{}}", NULL);
    assert_data(t, "a", "0", "{}");
}

static void bad_writes_change_nothing(void **state)
{
    static const struct { const char *json, *text; } cases[] = {
        { "{\"k\":\"v\"}", "no data provided" },
        { "{\"data\":\"text\"}",
          "error converting input text for field \"data\": '' expected a map, got 'string'" },
        { "{\"data\":{},\"options\":{\"cas\":2}}",
          "check-and-set parameter did not match the current version" },
        { "{\"data\":{},\"options\":{\"cas\":0}}",
          "check-and-set parameter did not match the current version" },
        { "{\"data\":{},\"options\":{\"cas\":-1}}",
          "check-and-set parameter did not match the current version" },
        { "{\"data\":{},\"options\":{\"cas\":\"x\"}}", "error parsing check-and-set parameter" },
        { "{\"data\":{},\"options\":{\"cas\":[]}}", "error parsing check-and-set parameter" },
    };
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{\"k\":1}}", NULL);
    size_t entries = testing_count(t, "");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        testing_refuse(t, OP_UPDATE, "data/a", cases[i].json, ERR_BAD_REQUEST, cases[i].text);
    assert_int_equal(testing_count(t, ""), entries);
    assert_data(t, "a", "0", "{\"k\":1}");
    testing_refuse(t, OP_READ, "data/a", "{\"version\":\"x\"}", ERR_INTERNAL,
                   "error converting input x for field \"version\": cannot parse '' as int: "
                   "strconv.ParseInt: parsing \"x\": invalid syntax");
}

static void check_and_set_takes_numbers_and_their_texts(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{},\"options\":{\"cas\":0}}", NULL);
    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{},\"options\":{\"cas\":\"1\"}}", NULL);
    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{},\"options\":{}}", NULL);
    testing_expect(t, OP_UPDATE, "metadata/a", "{\"cas_required\":true}", "");
    testing_refuse(t, OP_UPDATE, "data/a", "{\"data\":{}}", ERR_BAD_REQUEST,
                   "check-and-set parameter required for this call");
    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{},\"options\":{\"cas\":3}}", NULL);
}

static void a_deleted_version_answers_404_with_its_metadata(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{\"k\":1}}", NULL);
    testing_expect(t, OP_DELETE, "data/a", NULL, "");
    testing_expect(t, OP_READ, "data/a", NULL,
                   "{\"data\":null,\"metadata\":{"
                   "\"created_time\":\"2026-01-02T03:04:05.001Z\","
                   "\"deletion_time\":\"2026-01-02T03:04:05.002Z\","
                   "\"destroyed\":false,\"version\":1}}");
    assert_int_equal(t->resp.status, 404);
    testing_expect(t, OP_UPDATE, "undelete/a", "{\"versions\":[\"1\"]}", "");
    assert_data(t, "a", "0", "{\"k\":1}");
    assert_int_equal(t->resp.status, 0);
    testing_expect(t, OP_UPDATE, "delete/a", "{\"versions\":\"1,7\"}", "");
    assert_data(t, "a", "1", "null");
    assert_int_equal(t->resp.status, 404);
}

static void a_destroyed_version_does_not_come_back(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{\"k\":1}}", NULL);
    size_t entries = testing_count(t, "");
    testing_expect(t, OP_UPDATE, "destroy/a", "{\"versions\":[1]}", "");
    assert_int_equal(testing_count(t, ""), entries - 1);
    testing_expect(t, OP_UPDATE, "undelete/a", "{\"versions\":[1]}", "");
    testing_expect(t, OP_READ, "data/a", NULL,
                   "{\"data\":null,\"metadata\":{"
                   "\"created_time\":\"2026-01-02T03:04:05.001Z\",\"deletion_time\":\"\","
                   "\"destroyed\":true,\"version\":1}}");
    assert_int_equal(t->resp.status, 404);
    /* Deleting the newest of destroyed ones is no change. */
    testing_expect(t, OP_DELETE, "data/a", NULL, "");
}

static void versions_have_to_be_named(void **state)
{
    testing_refuse(*state, OP_UPDATE, "delete/a", "{}", ERR_BAD_REQUEST,
                   "No version number provided");
    testing_refuse(*state, OP_UPDATE, "undelete/a", "{\"versions\":[]}", ERR_BAD_REQUEST,
                   "No version number provided");
    testing_refuse(*state, OP_UPDATE, "destroy/a", NULL, ERR_BAD_REQUEST,
                   "no version number provided");
}

static void changing_what_is_not_there_is_fine(void **state)
{
    struct testing *t = *state;
    size_t entries = testing_count(t, "");

    testing_expect(t, OP_UPDATE, "delete/none", "{\"versions\":[1]}", "");
    testing_expect(t, OP_UPDATE, "undelete/none", "{\"versions\":[1]}", "");
    testing_expect(t, OP_UPDATE, "destroy/none", "{\"versions\":[1]}", "");
    testing_expect(t, OP_DELETE, "data/none", NULL, "");
    testing_expect(t, OP_DELETE, "metadata/none", NULL, "");
    assert_int_equal(testing_count(t, ""), entries);
}

/* ---- metadata ---- */

static void metadata_reads_with_all_its_versions(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "metadata/m",
                   "{\"max_versions\":2,\"delete_version_after\":\"1h30m\"}", "");
    testing_expect(t, OP_READ, "metadata/m", NULL,
                   "{\"cas_required\":false,\"created_time\":\"2026-01-02T03:04:05.001Z\","
                   "\"current_version\":0,\"delete_version_after\":\"1h30m0s\","
                   "\"max_versions\":2,\"oldest_version\":0,"
                   "\"updated_time\":\"2026-01-02T03:04:05.001Z\",\"versions\":{}}");
    testing_expect(t, OP_UPDATE, "data/m", "{\"data\":{}}",
                   "{\"created_time\":\"2026-01-02T03:04:05.003Z\","
                   "\"deletion_time\":\"2026-01-02T04:34:05.003Z\",\"destroyed\":false,"
                   "\"version\":1}");
    testing_expect(t, OP_READ, "metadata/m", NULL,
                   "{\"cas_required\":false,\"created_time\":\"2026-01-02T03:04:05.001Z\","
                   "\"current_version\":1,\"delete_version_after\":\"1h30m0s\","
                   "\"max_versions\":2,\"oldest_version\":0,"
                   "\"updated_time\":\"2026-01-02T03:04:05.003Z\",\"versions\":{\"1\":{"
                   "\"created_time\":\"2026-01-02T03:04:05.003Z\","
                   "\"deletion_time\":\"2026-01-02T04:34:05.003Z\",\"destroyed\":false}}}");
    testing_absent(t, OP_READ, "metadata/none");
}

static void versions_beyond_the_limit_go_with_their_data(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "metadata/m", "{\"max_versions\":2}", "");
    for (int i = 0; i < 2; i++)
        testing_expect(t, OP_UPDATE, "data/m", "{\"data\":{}}", NULL);
    size_t entries = testing_count(t, "");
    for (int i = 0; i < 3; i++)
        testing_expect(t, OP_UPDATE, "data/m", "{\"data\":{}}", NULL);
    assert_int_equal(testing_count(t, ""), entries);
    const struct json *meta = meta_of(t, "m");
    assert_int_equal(json_get_int(meta, "oldest_version", -1), 4);
    assert_int_equal(json_member(meta, "versions")->count, 2);
    assert_int_equal(testing_call(t, OP_READ, "data/m", "{\"version\":3}"), 0);
}

static void ten_versions_are_kept_when_nothing_is_said(void **state)
{
    struct testing *t = *state;

    for (int i = 0; i < 12; i++)
        testing_expect(t, OP_UPDATE, "data/m", "{\"data\":{}}", NULL);
    const struct json *meta = meta_of(t, "m");
    assert_int_equal(json_member(meta, "versions")->count, 10);
    assert_int_equal(json_get_int(meta, "oldest_version", -1), 3);
}

static void the_larger_limit_of_mount_and_secret_counts(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "config", "{\"max_versions\":3}", "");
    testing_expect(t, OP_UPDATE, "metadata/m", "{\"max_versions\":1}", "");
    for (int i = 0; i < 5; i++)
        testing_expect(t, OP_UPDATE, "data/m", "{\"data\":{}}", NULL);
    assert_int_equal(json_member(meta_of(t, "m"), "versions")->count, 3);
}

static void a_negative_limit_wraps_as_in_vault(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "metadata/m", "{\"max_versions\":-1}", "");
    assert_int_equal(json_get_int(meta_of(t, "m"), "max_versions", 0), 4294967295);
}

static void deleting_the_metadata_leaves_nothing(void **state)
{
    struct testing *t = *state;
    size_t entries = testing_count(t, "");

    for (int i = 0; i < 3; i++)
        testing_expect(t, OP_UPDATE, "data/dir/a", "{\"data\":{}}", NULL);
    testing_expect(t, OP_DELETE, "metadata/dir/a", NULL, "");
    assert_int_equal(testing_count(t, ""), entries);
    testing_absent(t, OP_READ, "data/dir/a");
    testing_absent(t, OP_READ, "metadata/dir/a");
    testing_absent(t, OP_LIST, "metadata/");
}

static void names_are_listed_in_the_clear_and_in_order(void **state)
{
    struct testing *t = *state;

    testing_absent(t, OP_LIST, "metadata/");
    testing_expect(t, OP_UPDATE, "data/b", "{\"data\":{}}", NULL);
    testing_expect(t, OP_UPDATE, "data/a b", "{\"data\":{}}", NULL);
    testing_expect(t, OP_UPDATE, "data/dir/\xc3\xbc", "{\"data\":{}}", NULL);
    testing_expect(t, OP_UPDATE, "data/dir", "{\"data\":{}}", NULL);
    testing_expect(t, OP_UPDATE, "data/dir/sub/x", "{\"data\":{}}", NULL);
    for (int cold = 0; cold < 2; cold++) {
        testing_expect(t, OP_LIST, "metadata/", NULL,
                       "{\"keys\":[\"a b\",\"b\",\"dir\",\"dir/\"]}");
        testing_expect(t, OP_LIST, "metadata", NULL,
                       "{\"keys\":[\"a b\",\"b\",\"dir\",\"dir/\"]}");
        testing_expect(t, OP_LIST, "metadata/dir", NULL, "{\"keys\":[\"sub/\",\"\xc3\xbc\"]}");
        testing_expect(t, OP_LIST, "metadata/dir/", NULL, "{\"keys\":[\"sub/\",\"\xc3\xbc\"]}");
        testing_absent(t, OP_LIST, "metadata/none");
        assert_int_equal(testing_reopen(t, &engine_kv2), 0);
    }
}

static void many_names_are_not_decrypted_on_an_event_loop(void **state)
{
    struct testing *t = *state;
    struct kv2 *k = t->state;
    char rel[32];

    for (int i = 0; i < 300; i++) {
        snprintf(rel, sizeof rel, "data/n%d", i);
        testing_expect(t, OP_UPDATE, rel, "{\"data\":{}}", NULL);
    }
    assert_int_equal(testing_reopen(t, &engine_kv2), 0);
    k = t->state;
    struct kv2_names *names;
    struct strs found;
    assert_int_equal(kv2_state_names(k, &names, &t->req.err), 1);
    assert_int_equal(kv2_names_list(names, t->storage, t->arena, STR(""), 256, &found,
                                    &t->req.err), -1);
    assert_int_equal(t->req.err.code, ERR_MUST_WAIT);
    assert_int_equal(kv2_names_list(names, t->storage, t->arena, STR(""), SIZE_MAX, &found,
                                    &t->req.err), 0);
    assert_int_equal(found.n, 300);
    /* What was decrypted is remembered, but for the few that share a slot. */
    assert_int_equal(kv2_names_list(names, t->storage, t->arena, STR(""), 32, &found,
                                    &t->req.err), 0);
}

/* ---- config ---- */

static void settings_read_back(void **state)
{
    struct testing *t = *state;
    static const char set[] =
        "{\"cas_required\":true,\"delete_version_after\":\"768h0m0s\",\"max_versions\":3}";

    testing_expect(t, OP_READ, "config", NULL,
                   "{\"cas_required\":false,\"delete_version_after\":\"0s\",\"max_versions\":0}");
    testing_expect(t, OP_UPDATE, "config", "{}", "");
    testing_expect(t, OP_UPDATE, "config",
                   "{\"max_versions\":3,\"cas_required\":true,\"delete_version_after\":\"768h\"}",
                   "");
    testing_expect(t, OP_READ, "config", NULL, set);
    assert_int_equal(testing_reopen(t, &engine_kv2), 0);
    testing_expect(t, OP_READ, "config", NULL, set);
    testing_refuse(t, OP_UPDATE, "data/c", "{\"data\":{}}", ERR_BAD_REQUEST,
                   "check-and-set parameter required for this call");
    testing_expect(t, OP_UPDATE, "metadata/c", "{\"cas_required\":false}", "");
    assert_int_equal(t->resp.warnings->count, 1);
}

static void a_negative_time_switches_deletion_off(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "config", "{\"delete_version_after\":\"-5h\"}", "");
    testing_expect(t, OP_READ, "config", NULL,
                   "{\"cas_required\":false,\"delete_version_after\":\"-1s\",\"max_versions\":0}");
    testing_expect(t, OP_UPDATE, "metadata/a", "{\"delete_version_after\":\"1h\"}", "");
    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{}}", NULL);
    assert_int_equal(json_get_str(t->resp.data, "deletion_time").n, 0);
    testing_refuse(t, OP_UPDATE, "metadata/a", "{\"delete_version_after\":\"-1h\"}",
                   ERR_BAD_REQUEST,
                   "error converting input -1h for field \"delete_version_after\": cannot provide "
                   "negative value '-3600'");
}

static void the_shorter_time_of_mount_and_secret_counts(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "config", "{\"delete_version_after\":\"10s\"}", "");
    testing_expect(t, OP_UPDATE, "metadata/a", "{\"delete_version_after\":\"1h\"}", "");
    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{}}", NULL);
    assert_true(str_is(json_get_str(t->resp.data, "deletion_time"), "2026-01-02T03:04:15.003Z"));
    t->now_ns += 11000000000;
    assert_data(t, "a", "0", "null");
    assert_int_equal(t->resp.status, 404);
    testing_expect(t, OP_UPDATE, "undelete/a", "{\"versions\":1}", "");
    assert_data(t, "a", "0", "{}");
}

static void settings_changed_elsewhere_are_read_again(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_READ, "config", NULL, NULL);
    testing_put(t, VAULT_PREFIX "config", STR("\x08\x05"));
    engine_kv2.invalidate(t->state, STR(VAULT_PREFIX "config"));
    testing_expect(t, OP_READ, "config", NULL,
                   "{\"cas_required\":false,\"delete_version_after\":\"0s\",\"max_versions\":5}");
}

/* ---- other paths ---- */

static void assert_advice(struct testing *t, enum op op, const char *rel, const char *text)
{
    testing_expect(t, op, rel, NULL, "");
    assert_int_equal(t->resp.status, 404);
    assert_true(t->resp.empty_envelope);
    assert_int_equal(t->resp.warnings->count, 1);
    assert_true(str_find(t->resp.warnings->first->text, str_of(text)) >= 0);
}

static void paths_of_version_1_get_advice(void **state)
{
    assert_advice(*state, OP_READ, "a", "use 'vault kv get' for");
    assert_advice(*state, OP_UPDATE, "a", "use 'vault kv put' for");
    assert_advice(*state, OP_DELETE, "a/b", "use 'vault kv delete' for");
    assert_advice(*state, OP_LIST, "a/", "use 'vault kv list' for");
    assert_advice(*state, OP_READ, "data", "Non-listing operations on the root");
    assert_advice(*state, OP_UPDATE, "metadata", "Non-listing operations on the root");
    testing_refuse(*state, OP_LIST, "data/", NULL, ERR_UNSUPPORTED, "unsupported operation");
    testing_refuse(*state, OP_LIST, "data", NULL, ERR_UNSUPPORTED, "unsupported operation");
}

static void a_name_that_climbs_is_refused(void **state)
{
    testing_refuse(*state, OP_READ, "data/../x", NULL, ERR_BAD_REQUEST,
                   "relative paths not supported");
    testing_refuse(*state, OP_UPDATE, "data/", "{\"data\":{}}", ERR_BAD_REQUEST, "missing path");
    testing_absent(*state, OP_READ, "data/");
}

/* ---- a store that Vault wrote ---- */

static void vaults_store_reads(void **state)
{
    struct testing *t = *state;

    assert_data(t, "app/conf", "0", "{\"tag\":\"visible\",\"v\":4}");
    assert_data(t, "app/conf", "3", "{\"tag\":\"visible\",\"v\":3}");
    assert_data(t, "app/conf", "2", "null");
    assert_data(t, "app/conf", "1", "null");
    assert_int_equal(t->resp.status, 404);
    testing_expect(t, OP_READ, "metadata/app/conf", NULL,
                   "{\"cas_required\":false,\"created_time\":\"2026-11-22T01:56:43.242552307Z\","
                   "\"current_version\":4,\"delete_version_after\":\"0s\",\"max_versions\":6,"
                   "\"oldest_version\":0,\"updated_time\":\"2026-11-22T01:56:43.327622505Z\","
                   "\"versions\":{"
                   "\"1\":{\"created_time\":\"2026-11-22T01:56:43.242552307Z\","
                   "\"deletion_time\":\"\",\"destroyed\":true},"
                   "\"2\":{\"created_time\":\"2026-11-22T01:56:43.268798761Z\","
                   "\"deletion_time\":\"2026-11-22T01:56:43.344823558Z\",\"destroyed\":false},"
                   "\"3\":{\"created_time\":\"2026-11-22T01:56:43.293358826Z\","
                   "\"deletion_time\":\"\",\"destroyed\":false},"
                   "\"4\":{\"created_time\":\"2026-11-22T01:56:43.327622505Z\","
                   "\"deletion_time\":\"\",\"destroyed\":false}}}");
    testing_expect(t, OP_LIST, "metadata/", NULL, "{\"keys\":[\"app/\",\"gone\"]}");
    testing_expect(t, OP_LIST, "metadata/app", NULL, "{\"keys\":[\"conf\"]}");
    testing_expect(t, OP_READ, "config", NULL,
                   "{\"cas_required\":false,\"delete_version_after\":\"0s\",\"max_versions\":9}");
    testing_expect(t, OP_UPDATE, "undelete/app/conf", "{\"versions\":[2]}", "");
    assert_data(t, "app/conf", "2", "{\"tag\":\"visible\",\"v\":2}");
    testing_expect(t, OP_UPDATE, "data/app/conf", "{\"data\":{\"v\":5}}", NULL);
    assert_int_equal(json_get_int(t->resp.data, "version", 0), 5);
    assert_int_equal(testing_count(t, ""), ARRAY_LEN(vault_store) + 1);
}

/* Unchanged metadata is written byte for byte as Vault's, the order of versions aside. */
static void what_is_written_is_what_vault_writes(void **state)
{
    static const char key[] =
        VAULT_PREFIX "metadata/5kL0RuLcyzIUU6GJPlXehi4rBmus1n4OKNC8dN8ihTin60WqLd716ueApaZJc9";
    struct testing *t = *state;
    AUTO(buf_free) struct buf before = { 0 }, after = { 0 };

    assert_int_equal(testing_get(t, key, &before), 1);
    testing_expect(t, OP_UPDATE, "delete/gone", "{\"versions\":[1]}", "");
    assert_int_equal(testing_get(t, key, &after), 1);
    assert_int_equal(after.n, before.n);
    assert_memory_equal(after.p, before.p, before.n);
}

static void fields_of_later_versions_survive_a_write(void **state)
{
    static const char key[] =
        VAULT_PREFIX "metadata/5kL0RuLcyzIUU6GJPlXehi4rBmus1n4OKNC8dN8ihTin60WqLd716ueApaZJc9";
    struct testing *t = *state;
    AUTO(buf_free) struct buf stored = { 0 };

    assert_int_equal(testing_get(t, key, &stored), 1);
    protobuf_add_pair(&stored, 10, STR("owner"), STR("me"));
    testing_put(t, key, buf_str(&stored));
    testing_expect(t, OP_UPDATE, "metadata/gone", "{\"cas_required\":true}", "");
    assert_int_equal(testing_get(t, key, &stored), 1);
    assert_true(str_find(buf_str(&stored), STR("owner\x12\x02me")) >= 0);
}

static void what_does_not_decode_is_told(void **state)
{
    static const char conf[] =
        VAULT_PREFIX "versions/cf8/885c360f7e34fd36b0e1bdc1525ec6b5947095ead1053855ed7733e5dc6f7";
    static const char gone[] =
        VAULT_PREFIX "metadata/5kL0RuLcyzIUU6GJPlXehi4rBmus1n4OKNC8dN8ihTin60WqLd716ueApaZJc9";
    struct testing *t = *state;

    testing_put(t, conf, STR("\x0a\x03not"));
    testing_refuse(t, OP_READ, "data/app/conf", NULL, ERR_CORRUPT,
                   "kv: a version's data is not JSON");
    testing_put(t, conf, STR("\x0a\x7f"));
    assert_int_equal(testing_call(t, OP_READ, "data/app/conf", NULL), -1);
    assert_int_equal(t->req.err.code, ERR_CORRUPT);
    assert_int_equal(storage_delete(t->storage, str_of(conf), &t->req.err), 0);
    testing_refuse(t, OP_READ, "data/app/conf", NULL, ERR_INTERNAL,
                   "could not find version data");
    testing_put(t, gone, STR("\xff"));
    assert_int_equal(testing_call(t, OP_READ, "metadata/gone", NULL), -1);
    assert_int_equal(t->req.err.code, ERR_CORRUPT);
    testing_put(t, VAULT_PREFIX "metadata/nonsense", STR(""));
    testing_refuse(t, OP_LIST, "metadata/", NULL, ERR_CORRUPT,
                   "kv: a stored name does not decrypt");
}

static void a_key_policy_of_another_kind_is_refused(void **state)
{
    static const char *const cases[] = {
        "", "{}", "[]",
        "{\"type\":0,\"kdf\":1,\"derived\":true,\"convergent_encryption\":true,\"keys\":{}}",
        "{\"type\":0,\"kdf\":1,\"derived\":true,\"convergent_encryption\":true,"
        "\"convergent_version\":3,\"latest_version\":1,\"keys\":{\"1\":{\"key\":\"c2hvcnQ=\"}}}",
        "{\"type\":5,\"kdf\":1,\"derived\":true,\"convergent_encryption\":true,"
        "\"convergent_version\":3,\"latest_version\":1,"
        "\"keys\":{\"1\":{\"key\":\"oKsSwF6GSPEJMlaGyJbPo01/oIxizgQshhyS8WSKkSM=\"}}}",
        "{\"type\":0,\"kdf\":1,\"derived\":true,\"convergent_encryption\":true,"
        "\"convergent_version\":2,\"latest_version\":1,"
        "\"keys\":{\"1\":{\"key\":\"oKsSwF6GSPEJMlaGyJbPo01/oIxizgQshhyS8WSKkSM=\"}}}",
    };
    struct testing *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        testing_put(t, VAULT_PREFIX "policy/metadata", str_of(cases[i]));
        assert_int_equal(testing_reopen(t, &engine_kv2), -1);
        assert_int_equal(t->req.err.code, ERR_CORRUPT);
    }
}

/* ---- several at once ---- */

enum { WRITERS = 4, WRITES = 50 };

static void *write_often(void *shared)
{
    struct testing mine = *(struct testing *)shared;

    mine.arena = NULL;
    mine.text = (struct buf){ 0 };
    for (int i = 0; i < WRITES; i++) {
        testing_call(&mine, OP_UPDATE, "data/one", "{\"data\":{}}");
        testing_call(&mine, OP_READ, "data/one", NULL);
        testing_call(&mine, OP_LIST, "metadata/", NULL);
    }
    arena_free(mine.arena);
    return NULL;
}

static void no_write_is_lost_among_many(void **state)
{
    struct testing *t = *state;
    pthread_t threads[WRITERS];

    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_often, t), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(json_get_int(meta_of(t, "one"), "current_version", 0), WRITERS * WRITES);
    assert_int_equal(testing_count(t, ""), 4 + 1 + 10);
}

/* ---- setting up and upgrading ---- */

static void a_new_mount_has_what_vault_would_have_made(void **state)
{
    struct testing *t = *state;
    AUTO(buf_free) struct buf b = { 0 };
    const struct json *v = NULL;
    struct json *parsed;

    assert_int_equal(testing_count(t, ""), 4);
    assert_int_equal(testing_get(t, VAULT_PREFIX "salt", &b), 1);
    assert_int_equal(b.n, 36);
    assert_int_equal(testing_get(t, VAULT_PREFIX "upgrading", &b), 1);
    assert_true(str_ends(buf_str(&b), STR("\x10\x01")));
    assert_int_equal(testing_get(t, VAULT_PREFIX "archive/metadata", &b), 1);
    testing_expect(t, OP_READ, "config", NULL, NULL);
    assert_int_equal(testing_get(t, VAULT_PREFIX "policy/metadata", &b), 1);
    assert_int_equal(json_parse_all(t->arena, buf_str(&b), &parsed, &t->req.err), 0);
    v = parsed;
    assert_int_equal(v->count, 20);
    assert_true(str_is(json_get_str(v, "storage_prefix"), "75c3cbce-fb28-52a7-1197-2b56eedeec61"));
    /* Opening again makes no other key. */
    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{}}", NULL);
    assert_int_equal(testing_reopen(t, &engine_kv2), 0);
    assert_data(t, "a", "0", "{}");
}

/* As Vault leaves a mount that was never written to. */
static void a_missing_salt_is_made(void **state)
{
    struct testing *t = *state;
    AUTO(buf_free) struct buf before = { 0 }, after = { 0 };

    assert_int_equal(testing_get(t, VAULT_PREFIX "policy/metadata", &before), 1);
    assert_int_equal(storage_delete(t->storage, STR(VAULT_PREFIX "salt"), &t->req.err), 0);
    assert_int_equal(testing_reopen(t, &engine_kv2), 0);
    testing_expect(t, OP_UPDATE, "data/a", "{\"data\":{}}", NULL);
    assert_int_equal(testing_get(t, VAULT_PREFIX "policy/metadata", &after), 1);
    assert_true(str_eq(buf_str(&before), buf_str(&after)));
    assert_int_equal(testing_get(t, VAULT_PREFIX "salt", &after), 1);
}

/* An empty store in which version 1 will have written. */
static int of_version_1(void **state)
{
    static const struct engine none = { .type = "kv", .version = 1 };
    static struct testing t;
    testing_open(&t, &none);
    *state = &t;
    return 0;
}

static void secrets_of_version_1_become_version_1_of_theirs(void **state)
{
    struct testing *t = *state;

    testing_put(t, "a", STR("{\"k\":1}"));
    testing_put(t, "dir", STR("{\"k\":2}"));
    testing_put(t, "dir/sub/b", STR("{\"k\":3}"));
    assert_int_equal(testing_reopen(t, &engine_kv2), 0);
    assert_data(t, "a", "0", "{\"k\":1}");
    assert_data(t, "dir", "1", "{\"k\":2}");
    assert_data(t, "dir/sub/b", "0", "{\"k\":3}");
    testing_expect(t, OP_LIST, "metadata/", NULL, "{\"keys\":[\"a\",\"dir\",\"dir/\"]}");
    assert_int_equal(testing_count(t, ""), 4 + 2 * 3);
    const struct json *meta = meta_of(t, "a");
    assert_int_equal(json_get_int(meta, "oldest_version", -1), 1);
    assert_int_equal(json_get_int(meta, "current_version", -1), 1);
}

/* More than a batch: the rest is moved by the mount's own thread, which closing waits for. */
static void many_secrets_are_moved_in_batches(void **state)
{
    enum { MANY = 1300 };
    struct testing *t = *state;
    char key[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "%s%d", i % 2 == 0 ? "even/" : "", i);
        testing_put(t, key, STR("{\"k\":1}"));
    }
    assert_int_equal(testing_reopen(t, &engine_kv2), 0);
    struct kv2 *k = t->state;
    if (k->has_upgrader) {
        pthread_join(k->upgrader, NULL);
        k->has_upgrader = false;
    }
    assert_int_equal(atomic_load(&k->phase), KV2_READY);
    assert_int_equal(testing_count(t, ""), 4 + 2 * MANY);
    assert_data(t, "even/1298", "0", "{\"k\":1}");
    assert_data(t, "1299", "0", "{\"k\":1}");
}

static void a_mount_closed_in_the_middle_goes_on_at_the_next_opening(void **state)
{
    enum { MANY = 1300 };
    struct testing *t = *state;
    char key[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "k%d", i);
        testing_put(t, key, STR("{\"k\":1}"));
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(testing_reopen(t, &engine_kv2), 0);
    struct kv2 *k = t->state;
    if (k->has_upgrader) {
        pthread_join(k->upgrader, NULL);
        k->has_upgrader = false;
    }
    assert_int_equal(testing_count(t, ""), 4 + 2 * MANY);
    assert_data(t, "k1299", "0", "{\"k\":1}");
}

static void requests_are_refused_while_secrets_are_moved(void **state)
{
    static const char text[] =
        "Upgrading from non-versioned to versioned data. This backend will be unavailable for a "
        "brief period and will resume service shortly.";
    struct testing *t = *state;
    struct kv2 *k = t->state;

    atomic_store(&k->phase, KV2_UPGRADING);
    testing_refuse(t, OP_READ, "data/a", NULL, ERR_BAD_REQUEST, text);
    testing_refuse(t, OP_UPDATE, "data/a", "{\"data\":{}}", ERR_BAD_REQUEST, text);
    testing_refuse(t, OP_LIST, "metadata/", NULL, ERR_BAD_REQUEST, text);
    testing_refuse(t, OP_UPDATE, "config", "{\"max_versions\":1}", ERR_BAD_REQUEST, text);
    /* Housekeeping takes up what was left. */
    assert_int_equal(engine_kv2.tick(k, &t->req), 0);
    testing_absent(t, OP_READ, "data/a");
}

static void a_secondary_waits_for_its_primary(void **state)
{
    struct testing *t = *state;

    testing_put(t, "a", STR("{\"k\":1}"));
    t->read_only = true;
    assert_int_equal(testing_reopen(t, &engine_kv2), 0);
    assert_int_equal(testing_count(t, ""), 1);
    assert_int_equal(testing_call(t, OP_READ, "data/a", NULL), -1);
    assert_true(str_starts(err_text(&t->req.err), STR("Waiting for the primary to upgrade")));
    for (size_t i = 0; i < ARRAY_LEN(vault_store); i++)
        testing_put(t, vault_store[i].key, vault_store[i].value);
    engine_kv2.invalidate(t->state, STR(VAULT_PREFIX "upgrading"));
    engine_kv2.invalidate(t->state, STR(VAULT_PREFIX "policy/metadata"));
    assert_data(t, "app/conf", "3", "{\"tag\":\"visible\",\"v\":3}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, tear_down)
#define TEST_OF(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(versions_are_kept_and_read),
        TEST(empty_and_null_data_are_versions_too),
        TEST(bad_writes_change_nothing),
        TEST(check_and_set_takes_numbers_and_their_texts),
        TEST(a_deleted_version_answers_404_with_its_metadata),
        TEST(a_destroyed_version_does_not_come_back),
        TEST(versions_have_to_be_named),
        TEST(changing_what_is_not_there_is_fine),
        TEST(metadata_reads_with_all_its_versions),
        TEST(versions_beyond_the_limit_go_with_their_data),
        TEST(ten_versions_are_kept_when_nothing_is_said),
        TEST(the_larger_limit_of_mount_and_secret_counts),
        TEST(a_negative_limit_wraps_as_in_vault),
        TEST(deleting_the_metadata_leaves_nothing),
        TEST(names_are_listed_in_the_clear_and_in_order),
        TEST(many_names_are_not_decrypted_on_an_event_loop),
        TEST(settings_read_back),
        TEST(a_negative_time_switches_deletion_off),
        TEST(the_shorter_time_of_mount_and_secret_counts),
        TEST(settings_changed_elsewhere_are_read_again),
        TEST(paths_of_version_1_get_advice),
        TEST(a_name_that_climbs_is_refused),
        TEST_OF(vaults_store_reads, of_vault),
        TEST_OF(what_is_written_is_what_vault_writes, of_vault),
        TEST_OF(fields_of_later_versions_survive_a_write, of_vault),
        TEST_OF(what_does_not_decode_is_told, of_vault),
        TEST_OF(a_key_policy_of_another_kind_is_refused, of_vault),
        TEST(no_write_is_lost_among_many),
        TEST(a_new_mount_has_what_vault_would_have_made),
        TEST(a_missing_salt_is_made),
        TEST_OF(secrets_of_version_1_become_version_1_of_theirs, of_version_1),
        TEST_OF(many_secrets_are_moved_in_batches, of_version_1),
        TEST_OF(a_mount_closed_in_the_middle_goes_on_at_the_next_opening, of_version_1),
        TEST(requests_are_refused_while_secrets_are_moved),
        TEST_OF(a_secondary_waits_for_its_primary, of_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
