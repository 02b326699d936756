/* Tests of autopilot's rules and its configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/autopilot.h"

static const int64_t SECOND = 1000000000;

struct fixture {
    struct autopilot_config config;
    struct raft_member members[6];
    struct autopilot_server servers[6];
    struct autopilot_state state;
};

static const int64_t NOW_NS = 1700000000LL * 1000000000;

/* ${n} voters that are well; the first one leads. */
static void begin(struct fixture *f, size_t n)
{
    memset(f, 0, sizeof *f);
    f->config = (struct autopilot_config){
        .cleanup_dead_servers = true,
        .last_contact_threshold_ns = 10 * SECOND,
        .dead_server_last_contact_threshold_ns = 60 * SECOND,
        .max_trailing_logs = 1000,
        .min_quorum = 3,
    };
    for (size_t i = 0; i < n; i++) {
        f->members[i] = (struct raft_member){ .voter = true, .leader = i == 0, .alive = true,
                                              .last_index = 5000, .last_term = 3 };
        snprintf(f->members[i].id, sizeof f->members[i].id, "n%zu", i);
        f->servers[i] = (struct autopilot_server){ &f->members[i], true, NOW_NS - 100 * SECOND };
    }
    f->state = (struct autopilot_state){ .servers = f->servers, .n = n,
                                         .members = { f->members, n, 1 } };
}

static void kill(struct fixture *f, size_t i, int64_t silent_ms)
{
    f->members[i].alive = false;
    f->members[i].last_contact_ms = silent_ms;
    f->servers[i].healthy = false;
}

static bool healthy(struct fixture *f, size_t i)
{
    return autopilot_is_healthy(&f->config, &f->state.members, &f->members[i]);
}

static const struct raft_member *removable(struct fixture *f)
{
    return autopilot_removable(&f->config, &f->state, NOW_NS);
}

static void who_answers_and_keeps_up_is_healthy(void **state)
{
    struct fixture f;
    begin(&f, 3);
    f.members[1].last_index = 4000;
    f.members[2].last_contact_ms = 10000;
    assert_true(healthy(&f, 0) && healthy(&f, 1) && healthy(&f, 2));
}

static void who_is_silent_is_not(void **state)
{
    struct fixture f;
    begin(&f, 3);
    f.members[1].last_contact_ms = 10001;
    f.members[2].last_contact_ms = -1;
    assert_false(healthy(&f, 1) || healthy(&f, 2));
    f.members[1].last_contact_ms = 0;
    f.members[1].alive = false;
    assert_false(healthy(&f, 1));
}

static void who_lags_behind_is_not(void **state)
{
    struct fixture f;
    begin(&f, 3);
    f.members[1].last_index = 3999;
    f.members[2].last_term = 2;
    assert_false(healthy(&f, 1) || healthy(&f, 2));
}

static void without_a_leader_nobody_else_is(void **state)
{
    struct fixture f;
    begin(&f, 3);
    f.members[0].leader = false;
    assert_false(healthy(&f, 1));
}

static void a_server_that_is_dead_for_long_goes(void **state)
{
    struct fixture f;
    begin(&f, 4);
    kill(&f, 2, 60001);
    assert_ptr_equal(removable(&f), &f.members[2]);
}

static void one_that_is_not_dead_long_enough_stays(void **state)
{
    struct fixture f;
    begin(&f, 4);
    kill(&f, 2, 60000);
    assert_null(removable(&f));
}

static void one_that_died_under_an_earlier_leader_goes(void **state)
{
    struct fixture f;
    begin(&f, 4);
    kill(&f, 2, -1);
    assert_ptr_equal(removable(&f), &f.members[2]);
    f.servers[2].stable_since_ns = NOW_NS - 10 * SECOND;
    assert_null(removable(&f));
}

static void nobody_goes_unasked(void **state)
{
    struct fixture f;
    begin(&f, 4);
    f.config.cleanup_dead_servers = false;
    kill(&f, 2, 60001);
    assert_null(removable(&f));
}

static void three_voters_are_not_made_two(void **state)
{
    struct fixture f;
    begin(&f, 3);
    f.config.min_quorum = 0;
    kill(&f, 2, 60001);
    assert_null(removable(&f));
}

static void the_operators_quorum_is_kept(void **state)
{
    struct fixture f;
    begin(&f, 5);
    f.config.min_quorum = 5;
    kill(&f, 2, 60001);
    assert_null(removable(&f));
    f.config.min_quorum = 4;
    assert_ptr_equal(removable(&f), &f.members[2]);
}

static void nobody_goes_while_too_few_are_well(void **state)
{
    struct fixture f;
    begin(&f, 5);
    kill(&f, 2, 60001);
    kill(&f, 3, 100);
    kill(&f, 4, 100);
    assert_null(removable(&f));
}

static void a_dead_server_without_a_vote_goes_from_any_cluster(void **state)
{
    struct fixture f;
    begin(&f, 2);
    kill(&f, 1, 60001);
    f.members[1].voter = false;
    assert_ptr_equal(removable(&f), &f.members[1]);
}

static void the_configuration_comes_back_as_it_was_stored(void **state)
{
    struct fixture f;
    struct storage *store;
    struct autopilot_config back;
    struct err err = { 0 };
    begin(&f, 0);
    assert_int_equal(storage_inmem.open(NULL, 0, &store, &err), 0);
    assert_int_equal(autopilot_config_load(store, &back, &err), 0);
    assert_false(back.cleanup_dead_servers);
    assert_int_equal(back.dead_server_last_contact_threshold_ns, 86400 * SECOND);
    f.config.server_stabilization_time_ns = 15 * SECOND;
    assert_int_equal(autopilot_config_store(store, &f.config, &err), 0);
    assert_int_equal(autopilot_config_load(store, &back, &err), 0);
    assert_memory_equal(&back, &f.config, sizeof back);
    assert_int_equal(storage_put(store, STR("core/raft/autopilot/configuration"), STR("{"), &err),
                     0);
    assert_int_equal(autopilot_config_load(store, &back, &err), -1);
    storage_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_answers_and_keeps_up_is_healthy),
        cmocka_unit_test(who_is_silent_is_not),
        cmocka_unit_test(who_lags_behind_is_not),
        cmocka_unit_test(without_a_leader_nobody_else_is),
        cmocka_unit_test(a_server_that_is_dead_for_long_goes),
        cmocka_unit_test(one_that_is_not_dead_long_enough_stays),
        cmocka_unit_test(one_that_died_under_an_earlier_leader_goes),
        cmocka_unit_test(nobody_goes_unasked),
        cmocka_unit_test(three_voters_are_not_made_two),
        cmocka_unit_test(the_operators_quorum_is_kept),
        cmocka_unit_test(nobody_goes_while_too_few_are_well),
        cmocka_unit_test(a_dead_server_without_a_vote_goes_from_any_cluster),
        cmocka_unit_test(the_configuration_comes_back_as_it_was_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
