/* Tests of the encoding of entries, and of reading bytes that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/random.h"
#include "storage/raft/entry.h"
#include "storage/raft/mark.h"

static const struct storage_op ops[] = {
    { STORAGE_PUT, STR_INIT("a"), STR_INIT("1") },
    { STORAGE_DELETE, STR_INIT("b"), STR_INIT("") },
    { STORAGE_PUT, STR_INIT("c\0d"), STR_INIT("") },
};

static void sample(struct buf *out)
{
    buf_byte(out, ENTRY_BATCHES);
    entry_add_batch(out, ops, 2);
    entry_add_batch(out, ops + 2, 1);
    entry_add_batch(out, NULL, 0);
}

static void batches_are_read_as_they_were_written(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    AUTO(entry_free) struct entry_batches got = { 0 };
    struct err err = { 0 };
    sample(&b);
    assert_int_equal(entry_kind_of(buf_str(&b)), ENTRY_BATCHES);
    assert_int_equal(entry_read(buf_str(&b), &got, &err), 0);
    assert_int_equal(entry_read(buf_str(&b), &got, &err), 0);
    entry_link(&got);
    assert_int_equal(got.n, 6);
    assert_int_equal(got.n_ops, 6);
    for (size_t i = 0; i < got.n_ops; i++) {
        assert_int_equal(got.ops[i].kind, ops[i % 3].kind);
        assert_true(str_eq(got.ops[i].key, ops[i % 3].key));
        assert_true(str_eq(got.ops[i].value, ops[i % 3].value));
    }
    assert_ptr_equal(got.v[4].ops, got.ops + 5);
}

static void a_payload_cut_anywhere_is_refused_or_shorter(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    sample(&b);
    for (size_t n = 0; n < b.n; n++) {
        AUTO(entry_free) struct entry_batches got = { 0 };
        struct err err = { 0 };
        char *copy = malloc(n + 1);
        memcpy(copy, b.p, n);
        if (entry_read(str_mem(copy, n), &got, &err) < 0) {
            assert_int_equal(err.code, ERR_CORRUPT);
            assert_int_equal(got.n + got.n_ops, 0);
        }
        free(copy);
    }
}

static void nonsense_is_refused(void **state)
{
    static const struct str cases[] = {
        STR_INIT(""),
        STR_INIT("\1\1"),                             /* a batch of one, and none there */
        STR_INIT("\1\377\377\377\377\377\377\377\177"), /* a batch of very many */
        STR_INIT("\1\377\377\377\377\377\377\377\377\377\377\377"),
        STR_INIT("\1\1\2\1a\1b"),                     /* an operation of another kind */
        STR_INIT("\1\1\0\0\1b"),                      /* an empty key */
        STR_INIT("\1\1\0\1a\5b"),                     /* a value that is not there */
        STR_INIT("\1\1\0\177a\1b"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(entry_free) struct entry_batches got = { 0 };
        struct err err = { 0 };
        assert_int_equal(entry_read(cases[i], &got, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    assert_int_equal(entry_kind_of(STR("")), 0);
    assert_int_equal(entry_kind_of(STR("\0")), 0);
    assert_int_equal(entry_kind_of(STR("\6")), 0);
}

static void random_bytes_do_no_harm(void **state)
{
    for (int i = 0; i < 20000; i++) {
        AUTO(entry_free) struct entry_batches got = { 0 };
        struct err err = { 0 };
        size_t n = random_below(40);
        char *p = malloc(n + 1);
        random_fill(p, n);
        for (size_t k = 0; k < n; k++)
            p[k] &= 7;
        if (entry_read(str_mem(p, n), &got, &err) == 0)
            entry_link(&got);
        free(p);
    }
}

/* ---- configurations and marks ---- */

static void three_members(struct raft_configuration *c)
{
    struct err err = { 0 };
    struct raft_configuration a = { 0 }, b = { 0 };
    assert_int_equal(member_with(&a, STR("one"), STR("h:1"), RAFT_VOTER, &b, &err), 0);
    assert_int_equal(member_with(&b, STR("two"), STR("h:2"), RAFT_STANDBY, c, &err), 0);
    member_clear(&b);
}

static void a_mark_is_read_as_it_was_written(void **state)
{
    AUTO(mark_clear) struct mark m = { .index = 9, .term = 3, .conf_index = 4, .restore = 7 };
    AUTO(mark_clear) struct mark got = { 0 };
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    three_members(&m.conf);
    assert_int_equal(mark_encode(&m, &b, &err), 0);
    assert_int_equal(mark_decode(buf_str(&b), &got, &err), 0);
    assert_int_equal(got.index, 9);
    assert_int_equal(got.term, 3);
    assert_int_equal(got.conf_index, 4);
    assert_int_equal(got.restore, 7);
    assert_int_equal(got.conf.n, 2);
    assert_string_equal(got.conf.servers[1].address, "two\th:2");
    assert_int_equal(got.conf.servers[1].role, RAFT_STANDBY);
    assert_int_equal(got.conf.servers[0].id, member_number(STR("one")));
}

static void a_configuration_with_any_byte_wrong_does_no_harm(void **state)
{
    AUTO(member_clear) struct raft_configuration c = { 0 };
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    three_members(&c);
    assert_int_equal(member_encode(&c, &b, &err), 0);
    for (size_t i = 0; i < b.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct raft_configuration got;
            char *copy = malloc(b.n);
            memcpy(copy, b.p, b.n);
            copy[i] = (char)(copy[i] ^ (1 << bit));
            if (member_decode(str_mem(copy, b.n), &got, &err) == 0)
                member_clear(&got);
            free(copy);
        }
    for (size_t n = 0; n < b.n; n++) {
        struct raft_configuration got;
        char *copy = malloc(n + 1);
        memcpy(copy, b.p, n);
        if (member_decode(str_mem(copy, n), &got, &err) == 0)
            member_clear(&got);
        free(copy);
    }
}

static void ids_and_addresses_that_cannot_be_are_refused(void **state)
{
    char text[MEMBER_TEXT_MAX], longest[400];
    struct err err = { 0 };
    memset(longest, 'x', sizeof longest);
    assert_int_equal(member_text(STR(""), STR("h:1"), text, &err), -1);
    assert_int_equal(member_text(STR("a\tb"), STR("h:1"), text, &err), -1);
    assert_int_equal(member_text(STR("a"), STR("h\n1"), text, &err), -1);
    assert_int_equal(member_text(str_mem(longest, 256), STR("h:1"), text, &err), -1);
    assert_int_equal(member_text(STR("a"), str_mem(longest, 256), text, &err), -1);
    assert_int_equal(member_text(str_mem(longest, 255), str_mem(longest, 255), text, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_read_as_they_were_written),
        cmocka_unit_test(a_payload_cut_anywhere_is_refused_or_shorter),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(random_bytes_do_no_harm),
        cmocka_unit_test(a_mark_is_read_as_it_was_written),
        cmocka_unit_test(a_configuration_with_any_byte_wrong_does_no_harm),
        cmocka_unit_test(ids_and_addresses_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
