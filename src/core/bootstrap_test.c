/* Tests of challenges to nodes that want to join. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/bootstrap.h"

static int setup(void **state)
{
    *state = bootstrap_new();
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    bootstrap_free(*state);
    return 0;
}

static void challenge(struct bootstrap *b, const char *id, uint8_t answer[BOOTSTRAP_ANSWER])
{
    struct err err = { 0 };
    assert_int_equal(bootstrap_challenge(b, str_of(id), answer, &err), 0);
}

static bool answers(struct bootstrap *b, const char *id, const uint8_t answer[BOOTSTRAP_ANSWER])
{
    return bootstrap_is_answer(b, str_of(id), str_mem((const char *)answer, BOOTSTRAP_ANSWER));
}

static void the_answer_is_good_once(void **state)
{
    uint8_t a[BOOTSTRAP_ANSWER];
    challenge(*state, "n", a);
    assert_true(answers(*state, "n", a));
    assert_false(answers(*state, "n", a));
}

static void a_wrong_answer_spends_the_challenge(void **state)
{
    uint8_t a[BOOTSTRAP_ANSWER], wrong[BOOTSTRAP_ANSWER];
    challenge(*state, "n", a);
    memcpy(wrong, a, sizeof a);
    wrong[31] ^= 1;
    assert_false(answers(*state, "n", wrong));
    assert_false(answers(*state, "n", a));
}

static void half_an_answer_and_none_are_wrong(void **state)
{
    uint8_t a[BOOTSTRAP_ANSWER];
    challenge(*state, "n", a);
    assert_false(bootstrap_is_answer(*state, STR("n"), str_mem((char *)a, 16)));
    challenge(*state, "n", a);
    assert_false(bootstrap_is_answer(*state, STR("n"), STR("")));
}

static void another_nodes_answer_is_wrong(void **state)
{
    uint8_t a[BOOTSTRAP_ANSWER], b[BOOTSTRAP_ANSWER];
    challenge(*state, "n", a);
    challenge(*state, "m", b);
    assert_false(answers(*state, "n", b));
    assert_true(answers(*state, "m", b));
}

static void who_was_not_asked_cannot_answer(void **state)
{
    static const uint8_t zero[BOOTSTRAP_ANSWER];
    assert_false(answers(*state, "n", zero));
    assert_false(answers(*state, "", zero));
}

static void only_the_newest_challenge_of_a_node_counts(void **state)
{
    uint8_t a[BOOTSTRAP_ANSWER], b[BOOTSTRAP_ANSWER];
    challenge(*state, "n", a);
    challenge(*state, "n", b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(answers(*state, "n", b));
}

static void only_so_many_are_open(void **state)
{
    uint8_t first[BOOTSTRAP_ANSWER], second[BOOTSTRAP_ANSWER], a[BOOTSTRAP_ANSWER];
    challenge(*state, "first", first);
    challenge(*state, "second", second);
    for (int i = 0; i < BOOTSTRAP_MAX - 1; i++) {
        char id[16];
        snprintf(id, sizeof id, "n%d", i);
        challenge(*state, id, a);
    }
    assert_false(answers(*state, "first", first));
    assert_true(answers(*state, "second", second));
}

static void an_id_without_bounds_is_refused(void **state)
{
    char id[BOOTSTRAP_ID_MAX + 1];
    uint8_t a[BOOTSTRAP_ANSWER];
    struct err err = { 0 };
    memset(id, 'x', sizeof id);
    assert_int_equal(bootstrap_challenge(*state, str_mem(id, sizeof id), a, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_int_equal(bootstrap_challenge(*state, STR(""), a, &err), -1);
    assert_int_equal(bootstrap_challenge(*state, str_mem(id, BOOTSTRAP_ID_MAX), a, &err), 0);
    assert_true(bootstrap_is_answer(*state, str_mem(id, BOOTSTRAP_ID_MAX),
                                    str_mem((char *)a, sizeof a)));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_answer_is_good_once),
        TEST(a_wrong_answer_spends_the_challenge),
        TEST(half_an_answer_and_none_are_wrong),
        TEST(another_nodes_answer_is_wrong),
        TEST(who_was_not_asked_cannot_answer),
        TEST(only_the_newest_challenge_of_a_node_counts),
        TEST(only_so_many_are_open),
        TEST(an_id_without_bounds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
