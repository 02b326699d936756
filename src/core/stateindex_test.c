/* Tests of state indexes. */
#include "core/stateindex.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "storage/driver.h"

#define KEY "core/index-header-hmac-key"

struct fixture {
    struct storage *store;
    struct stateindex *key;
    struct arena *arena;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = { 0 };
    f.arena = arena_new();
    if (f.arena == NULL || storage_inmem.open(NULL, 0, &f.store, &err) < 0
        || stateindex_new(f.store, true, &f.key, &err) < 0)
        return -1;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    stateindex_free(f->key);
    storage_close(f->store);
    arena_free(f->arena);
    return 0;
}

static struct str printed(struct fixture *f, uint64_t local)
{
    struct err err = { 0 };
    struct str text;
    struct stateindex_value v = { STR("11111111-2222"), local, 7 };
    assert_int_equal(stateindex_print(f->key, f->arena, &v, &text, &err), 0);
    return text;
}

/* The header of a state that somebody signed with the stored key. */
static struct str signed_text(struct fixture *f, const char *state)
{
    AUTO(buf_free) struct buf key = { 0 };
    struct err err = { 0 };
    uint8_t mac[DIGEST_MAX];
    assert_int_equal(storage_get(f->store, STR(KEY), &key, &err), 1);
    assert_int_equal(digest_hmac(DIGEST_SHA256, buf_str(&key), str_of(state), mac, &err), 0);
    struct str hex = hex_encode(f->arena, str_mem(mac, 32));
    return base64_encode(f->arena, arena_printf(f->arena, "%s:" STR_FMT, state, STR_ARG(hex)));
}

static void a_printed_index_is_read_back(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct stateindex_value v;
    assert_int_equal(stateindex_parse(f->key, f->arena, printed(f, UINT64_MAX), &v, &err), 0);
    assert_true(str_is(v.cluster_id, "11111111-2222"));
    assert_true(v.local == UINT64_MAX);
    assert_int_equal(v.replicated, 7);
}

static void another_node_reads_it_with_the_stored_key(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct stateindex *other = NULL;
    struct stateindex_value v;
    assert_int_equal(stateindex_new(f->store, false, &other, &err), 0);
    assert_non_null(other);
    assert_int_equal(stateindex_parse(other, f->arena, printed(f, 12), &v, &err), 0);
    assert_int_equal(v.local, 12);
    stateindex_free(other);
}

static void without_leave_no_key_is_made(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct stateindex *other = f->key;
    AUTO(buf_free) struct buf key = { 0 };
    assert_int_equal(storage_delete(f->store, STR(KEY), &err), 0);
    assert_int_equal(stateindex_new(f->store, false, &other, &err), 0);
    assert_null(other);
    assert_int_equal(storage_get(f->store, STR(KEY), &key, &err), 0);
}

static void an_empty_stored_key_is_damage(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct stateindex *other = NULL;
    assert_int_equal(storage_put(f->store, STR(KEY), STR(""), &err), 0);
    assert_int_equal(stateindex_new(f->store, true, &other, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_null(other);
}

static void what_is_signed_by_others_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct stateindex *other = NULL;
    struct stateindex_value v;
    struct str text = printed(f, 12);
    assert_int_equal(storage_delete(f->store, STR(KEY), &err), 0);
    assert_int_equal(stateindex_new(f->store, true, &other, &err), 0);
    assert_int_equal(stateindex_parse(other, f->arena, text, &v, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    stateindex_free(other);
}

static void what_is_no_index_is_refused(void **state)
{
    static const char *const states[] = {
        "",          "v1",         "v1:a:1",    "v1::1:2",  "v2:a:1:2", "v1:a:1:2:3", "v1:a:-1:2",
        "v1:a:x:2",  "v1:a:1:",    "v1:a::2",   "v1:a:1:2:", ":a:1:2",
        "v1:a:18446744073709551616:2",
    };
    static const char *const texts[] = { "", "!", "djE=", "Og==", "djE6YToxOjI6eHg=" };
    struct fixture *f = *state;
    struct stateindex_value v;
    struct err good = { 0 };
    assert_int_equal(stateindex_parse(f->key, f->arena, signed_text(f, "v1:a:1:2"), &v, &good), 0);
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct err err = { 0 };
        print_message("  signed: %s\n", states[i]);
        assert_int_equal(stateindex_parse(f->key, f->arena, signed_text(f, states[i]), &v, &err),
                         -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err err = { 0 };
        print_message("  text: %s\n", texts[i]);
        assert_int_equal(stateindex_parse(f->key, f->arena, str_of(texts[i]), &v, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

static void no_byte_may_change(void **state)
{
    struct fixture *f = *state;
    struct stateindex_value v;
    struct err good = { 0 };
    struct str text = printed(f, 12), raw;
    assert_int_equal(base64_decode(f->arena, text, &raw, &good), 0);
    for (size_t i = 0; i < raw.n; i++) {
        struct err err = { 0 };
        char *copy = (char *)arena_dup(f->arena, raw).p;
        copy[i] ^= 1;
        struct str changed = base64_encode(f->arena, str_mem(copy, raw.n));
        assert_int_equal(stateindex_parse(f->key, f->arena, changed, &v, &err), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_printed_index_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_node_reads_it_with_the_stored_key, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_leave_no_key_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_stored_key_is_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_signed_by_others_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_index_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_byte_may_change, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
