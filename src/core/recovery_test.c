/* Tests of a server that only mends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/fixture.h"
#include "core/recovery.h"

struct mending {
    struct fixture f;
    struct recovery *r;
    struct request req;
    struct response resp;
};

/* A store that holds something, and a server on it that was not unsealed. */
static int setup(void **state)
{
    struct mending *m = test_calloc(1, sizeof *m);
    struct err err = { 0 };
    fixture_open(&m->f);
    assert_int_equal(lifecycle_seal(m->f.lifecycle, &err), 0);
    assert_int_equal(recovery_new(m->f.lifecycle, &m->r, &err), 0);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    struct mending *m = *state;
    recovery_free(m->r);
    fixture_close(&m->f);
    test_free(m);
    return 0;
}

static struct str open_it(struct mending *m)
{
    struct str token;
    struct err err = { 0 };
    if (recovery_open(m->r, m->f.arena, m->f.share, &token, &err) < 0)
        fail_msg("%s", err.msg);
    return token;
}

static int ask(struct mending *m, struct str token, const char *path)
{
    m->req = (struct request){ .arena = m->f.arena, .op = OP_READ, .path = str_of(path),
                               .data = json_object(m->f.arena), .token = token,
                               .may_block = true };
    m->resp = (struct response){ .arena = m->f.arena };
    return recovery_handle(m->r, &m->req, &m->resp);
}

static void the_holders_get_a_token(void **state)
{
    struct mending *m = *state;
    struct str token = open_it(m);
    assert_true(str_starts(token, STR("r.")));
    assert_int_equal(token.n, 26);
    assert_int_equal(ask(m, token, "sys/raw/core/mounts"), 1);
}

static void nothing_serves_meanwhile(void **state)
{
    struct mending *m = *state;
    (void)open_it(m);
    assert_null(lifecycle_active(m->f.lifecycle));
}

static void without_the_key_nothing_opens(void **state)
{
    struct mending *m = *state;
    struct str token;
    struct err err = { 0 };
    char wrong[33];
    memset(wrong, 7, sizeof wrong);
    assert_int_equal(recovery_open(m->r, m->f.arena, str_mem(wrong, m->f.share.n), &token, &err),
                     -1);
    assert_true(barrier_sealed(lifecycle_barrier(m->f.lifecycle)));
    assert_int_equal(ask(m, STR(""), "sys/raw/core/mounts"), -1);
    assert_int_equal(m->req.err.code, ERR_DENIED);
}

static void no_other_token_counts(void **state)
{
    struct mending *m = *state;
    (void)open_it(m);
    const struct str others[] = { STR(""), STR("r."), m->f.root, STR("r.aaaaaaaaaaaaaaaaaaaaaaaa") };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(ask(m, others[i], "sys/raw/core/mounts"), -1);
        assert_int_equal(m->req.err.code, ERR_DENIED);
    }
}

static void a_new_token_ends_the_old_one(void **state)
{
    struct mending *m = *state;
    struct str first = open_it(m), second = open_it(m);
    assert_int_equal(ask(m, first, "sys/raw/core/mounts"), -1);
    assert_int_equal(ask(m, second, "sys/raw/core/mounts"), 1);
}

static void nothing_but_raw_entries_is_to_be_had(void **state)
{
    static const char *const paths[] = { "sys/mounts", "sys/ra", "secret/x", "auth/token/create",
                                         "sys/rawer", "" };
    struct mending *m = *state;
    struct str token = open_it(m);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (ask(m, token, paths[i]) >= 0)
            fail_msg("%s was answered", paths[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_holders_get_a_token),
        TEST(nothing_serves_meanwhile),
        TEST(without_the_key_nothing_opens),
        TEST(no_other_token_counts),
        TEST(a_new_token_ends_the_old_one),
        TEST(nothing_but_raw_entries_is_to_be_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
