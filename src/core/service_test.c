/* Tests of the modes of a node in a cluster, and of what may be done in each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/epoch.h"
#include "core/pair.h"
#include "logical/route.h"

/* ---- engines that do next to nothing ---- */

static int nothing_read(struct request *req, struct response *resp)
{
    json_put_text(response_data(resp), "answer", "yes");
    return 1;
}

static int nothing_write(struct request *req, struct response *resp)
{
    return storage_put(req->storage, STR("written"), STR("x"), &req->err) < 0 ? -1 : 1;
}

static const struct route routes[] = {
    { "{...}", .read = nothing_read, .write = nothing_write },
};
static const struct engine engine_sys = { .type = "system", ROUTES(routes) };
static const struct engine engine_box = { .type = "box", ROUTES(routes) };
static const struct engine engine_tokens = { .type = "token", .is_auth = true };
static const struct engine engine_identities = { .type = "identity" };
static const struct engine engine_drawers = { .type = "cubbyhole" };
static const struct engine *const engines[] = { &engine_sys, &engine_box, &engine_tokens,
                                                &engine_identities, &engine_drawers, NULL };
static const struct device_kind *const devices[] = { NULL };

static int setup(void **state)
{
    struct pair *p = malloc(sizeof *p);
    if (p == NULL)
        return -1;
    pair_open(p, engines, devices);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    pair_close(*state);
    free(*state);
    return 0;
}

static void must(int result, const struct err *err)
{
    if (result < 0)
        fail_msg("%s", err->msg);
}

static void set_policy(struct pair *p, int i, const char *name, const char *text)
{
    struct err err = { 0 };
    epoch_enter();
    const struct active *on = lifecycle_active(p->node[i].lifecycle);
    assert_non_null(on);
    must(policy_store_set(on->policies, str_of(name), str_of(text), &err), &err);
    epoch_leave();
}

/* What the node knows of the policy; empty: nothing. */
static struct str policy_at(struct pair *p, int i, const char *name)
{
    struct err err = { 0 };
    struct str text = STR("");
    pair_flush(p, i);
    epoch_enter();
    const struct active *on = lifecycle_active(p->node[i].lifecycle);
    assert_non_null(on);
    must(policy_store_get(on->policies, p->arena, str_of(name), &text, &err), &err);
    epoch_leave();
    return text;
}

static bool is_elsewhere(struct pair *p, int i, enum op op, const char *path)
{
    return pair_call(p, i, op, path, p->root, NULL) < 0 && p->req.elsewhere
           && p->req.err.code == ERR_STANDBY;
}

#define ONE "path \"one\" { capabilities = [\"read\"] }"
#define TWO "path \"two\" { capabilities = [\"read\"] }"

/* ---- modes ---- */

static void who_leads_is_active_and_the_other_a_standby(void **state)
{
    struct pair *p = *state;
    assert_int_equal(service_mode(pair_service(p, 0)), SERVICE_ACTIVE);
    assert_int_equal(service_mode(pair_service(p, 1)), SERVICE_STANDBY);
    assert_true(service_active_since_ns(pair_service(p, 0)) > 0);
    assert_int_equal(service_active_since_ns(pair_service(p, 1)), 0);
}

static void a_standby_becomes_active_when_the_leader_is_gone(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    must(lifecycle_seal(p->node[0].lifecycle, &err), &err);
    pair_lead(p, 1);
    pair_wait(p, 1, SERVICE_ACTIVE);
    pair_must(p, 1, OP_UPDATE, "sys/x", NULL);
}

static void each_becomes_what_it_was_again(void **state)
{
    struct pair *p = *state;
    for (int i = 0; i < 6; i++) {
        pair_settle(p, !(i & 1));
        pair_must(p, !(i & 1), OP_UPDATE, "sys/x", NULL);
        pair_must(p, i & 1, OP_READ, "sys/x", NULL);
    }
}

static void without_a_leader_both_are_standbys(void **state)
{
    struct pair *p = *state;
    pair_lead(p, -1);
    pair_wait(p, 0, SERVICE_STANDBY);
    pair_wait(p, 1, SERVICE_STANDBY);
}

static void who_leads_no_more_before_it_serves_goes_back(void **state)
{
    struct pair *p = *state;
    pthread_mutex_lock(&p->mu);
    p->node[1].settle_fails = true;
    pthread_mutex_unlock(&p->mu);
    pair_lead(p, 1);
    pair_wait(p, 1, SERVICE_TURNING);
    pair_settle(p, 0);
}

/* Lost and won again before this node looked: another one may have written in between. */
static void a_new_leadership_of_the_same_node_is_a_new_life(void **state)
{
    struct pair *p = *state;
    struct service *s = pair_service(p, 0);
    uint64_t before = service_lives(s), news;
    set_policy(p, 0, "p", ONE);
    assert_true(policy_at(p, 0, "p").n > 0);
    pair_lead_quietly(p, 0);
    assert_true(is_elsewhere(p, 0, OP_READ, "sys/x"));
    pair_tell(p);
    for (service_news(s, &news); service_lives(s) == before; service_news(s, &news))
        service_wait_news(s, news, 30000);
    assert_int_equal(service_mode(s), SERVICE_ACTIVE);
    pair_must(p, 0, OP_READ, "sys/x", NULL);
}

static void a_commit_of_an_earlier_leadership_is_refused(void **state)
{
    struct pair *p = *state;
    pair_lead_quietly(p, 0);
    assert_int_equal(pair_call(p, 0, OP_UPDATE, "sys/x", p->root, NULL), -1);
    assert_int_equal(p->req.err.code, ERR_STANDBY);
    pair_tell(p);
}

/* ---- what changes ---- */

static void a_standby_forgets_what_the_active_node_changes(void **state)
{
    struct pair *p = *state;
    set_policy(p, 0, "p", ONE);
    assert_non_null(memmem(policy_at(p, 1, "p").p, policy_at(p, 1, "p").n, "one", 3));
    set_policy(p, 0, "p", TWO);
    assert_non_null(memmem(policy_at(p, 1, "p").p, policy_at(p, 1, "p").n, "two", 3));
}

static void write_two(struct pair_node *n)
{
    set_policy(n->pair, 1, "p", TWO);
    pair_flush(n->pair, 0);
}

/* A key that changes while a standby is being built is forgotten before anybody reads. */
static void what_changes_while_turning_is_not_missed(void **state)
{
    struct pair *p = *state;
    set_policy(p, 0, "p", ONE);
    pair_lead_quietly(p, 1);
    p->node[1].events.role_changed(p->node[1].events.ctx);
    pair_wait(p, 1, SERVICE_ACTIVE);
    pthread_mutex_lock(&p->mu);
    p->node[0].on_get = write_two;
    pthread_mutex_unlock(&p->mu);
    pair_tell(p);
    pair_wait(p, 0, SERVICE_STANDBY);
    assert_non_null(memmem(policy_at(p, 0, "p").p, policy_at(p, 0, "p").n, "two", 3));
}

static void mount_box(struct pair_node *n)
{
    struct err err = { 0 };
    struct mount box = { .path = STR("late/"), .type = STR("box") };
    epoch_enter();
    must(mounts_enable(lifecycle_active(n->pair->node[1].lifecycle)->mounts, &box, &err), &err);
    epoch_leave();
    pair_flush(n->pair, 0);
}

static void a_mount_made_while_turning_is_there_afterwards(void **state)
{
    struct pair *p = *state;
    pair_lead_quietly(p, 1);
    p->node[1].events.role_changed(p->node[1].events.ctx);
    pair_wait(p, 1, SERVICE_ACTIVE);
    pthread_mutex_lock(&p->mu);
    p->node[0].on_get = mount_box;
    pthread_mutex_unlock(&p->mu);
    pair_tell(p);
    pair_wait(p, 0, SERVICE_STANDBY);
    pair_must(p, 0, OP_READ, "late/x", NULL);
}

static void a_rotated_key_is_followed_by_the_standby(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    uint32_t term;
    must(barrier_rotate(lifecycle_barrier(p->node[0].lifecycle), 1, &term, &err), &err);
    set_policy(p, 0, "p", ONE);
    assert_true(policy_at(p, 1, "p").n > 0);
}

/* ---- restores ---- */

static void a_restore_is_taken_in_by_the_active_node(void **state)
{
    struct pair *p = *state;
    struct service *s = pair_service(p, 0);
    struct err err = { 0 };
    set_policy(p, 0, "p", ONE);
    uint64_t lives = service_lives(s);
    must(storage_delete(p->under, STR("sys/policy/p"), &err), &err);
    p->node[0].events.store_replaced(p->node[0].events.ctx);
    must(service_settle_restore(s, &err), &err);
    assert_int_equal(service_lives(s), lives + 1);
    assert_int_equal(policy_at(p, 0, "p").n, 0);
}

static void a_restore_is_taken_in_by_a_standby(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    set_policy(p, 0, "p", ONE);
    assert_true(policy_at(p, 1, "p").n > 0);
    must(storage_delete(p->under, STR("sys/policy/p"), &err), &err);
    p->node[1].events.store_replaced(p->node[1].events.ctx);
    assert_int_equal(policy_at(p, 1, "p").n, 0);
}

static void replace_keyring(struct pair *p)
{
    AUTO(buf_free) struct buf other = { 0 };
    struct err err = { 0 };
    must(storage_get(p->under, STR("core/keyring"), &other, &err), &err);
    other.p[other.n - 1] ^= 1;
    must(storage_put(p->under, STR("core/keyring"), buf_str(&other), &err), &err);
}

static void a_restore_under_other_keys_seals_the_active_node(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    replace_keyring(p);
    p->node[0].events.store_replaced(p->node[0].events.ctx);
    (void)!service_settle_restore(pair_service(p, 0), &err);
    pair_wait(p, 0, SERVICE_OFF);
}

static void a_restore_under_other_keys_seals_a_standby(void **state)
{
    struct pair *p = *state;
    replace_keyring(p);
    p->node[1].events.store_replaced(p->node[1].events.ctx);
    pair_wait(p, 1, SERVICE_OFF);
}

static void a_store_under_other_keys_seals_who_becomes_active(void **state)
{
    struct pair *p = *state;
    replace_keyring(p);
    pair_lead(p, 1);
    pair_wait(p, 1, SERVICE_OFF);
}

/* ---- stepping down ---- */

static void stepping_down_lets_the_other_one_lead(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    must(service_step_down(pair_service(p, 0), &err), &err);
    pair_wait(p, 0, SERVICE_STANDBY);
    pair_wait(p, 1, SERVICE_ACTIVE);
}

static void who_cannot_step_down_stays_active_and_says_so(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    p->node[0].step_down = ERR_TIMEOUT;
    assert_int_equal(service_step_down(pair_service(p, 0), &err), -1);
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_int_equal(service_mode(pair_service(p, 0)), SERVICE_ACTIVE);
    pair_must(p, 0, OP_UPDATE, "sys/x", NULL);
}

static void where_nobody_else_could_lead_stepping_down_is_fine(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    p->node[0].step_down = ERR_UNSUPPORTED;
    must(service_step_down(pair_service(p, 0), &err), &err);
    assert_int_equal(service_mode(pair_service(p, 0)), SERVICE_ACTIVE);
}

static void a_standby_cannot_step_down(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    assert_int_equal(service_step_down(pair_service(p, 1), &err), -1);
    assert_int_equal(err.code, ERR_STANDBY);
}

/* ---- sealing ---- */

static void each_mode_can_be_sealed_and_unsealed(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    for (int i = 0; i < 2; i++) {
        must(lifecycle_seal(p->node[i].lifecycle, &err), &err);
        assert_int_equal(service_mode(pair_service(p, i)), SERVICE_OFF);
        pair_unseal(p, i);
        pair_wait(p, i, SERVICE_STANDBY);
    }
    pair_lead(p, 0);
    pair_wait(p, 0, SERVICE_ACTIVE);
}

static void who_is_turning_can_be_sealed(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    pthread_mutex_lock(&p->mu);
    p->node[1].settle_fails = true;
    pthread_mutex_unlock(&p->mu);
    pair_lead(p, 1);
    pair_wait(p, 1, SERVICE_TURNING);
    must(lifecycle_seal(p->node[1].lifecycle, &err), &err);
    assert_int_equal(service_mode(pair_service(p, 1)), SERVICE_OFF);
}

static void *seal_it(void *lifecycle)
{
    struct err err = { 0 };
    return lifecycle_seal(lifecycle, &err) < 0 ? lifecycle : NULL;
}

/* Whichever comes first, it is sealed in the end, and nothing serves. */
static void stepping_down_while_sealing_leaves_it_sealed(void **state)
{
    struct pair *p = *state;
    for (int i = 0; i < 20; i++) {
        struct err ignored = { 0 };
        pthread_t thread;
        void *failed;
        assert_int_equal(pthread_create(&thread, NULL, seal_it, p->node[0].lifecycle), 0);
        p->node[0].step_down = i & 1 ? ERR_TIMEOUT : ERR_NONE;
        (void)!service_step_down(pair_service(p, 0), &ignored);
        pthread_join(thread, &failed);
        assert_null(failed);
        assert_int_equal(service_mode(pair_service(p, 0)), SERVICE_OFF);
        assert_null(service_active(pair_service(p, 0)));
        pair_unseal(p, 0);
        pair_settle(p, 0);
    }
}

/* ---- waiting for a leader ---- */

static void nobody_waits_for_a_leader_longer_than_asked(void **state)
{
    struct pair *p = *state;
    struct service_leader leader;
    struct err err = { 0 };
    uint64_t term;
    pair_lead(p, -1);
    pair_wait(p, 0, SERVICE_STANDBY);
    assert_int_equal(service_wait_leader(pair_service(p, 0), 0, 0, &leader, &term, &err), -1);
    assert_int_equal(err.code, ERR_STANDBY);
    assert_int_equal(service_wait_leader(pair_service(p, 0), 20, 0, &leader, &term, &err), -1);
    assert_int_equal(err.code, ERR_STANDBY);
}

static void *lead_again(void *pair)
{
    pair_lead(pair, 0);
    return NULL;
}

static void who_waits_for_a_leader_is_woken(void **state)
{
    struct pair *p = *state;
    struct service_leader leader;
    struct err err = { 0 };
    uint64_t term;
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        pair_lead(p, -1);
        assert_int_equal(pthread_create(&thread, NULL, lead_again, p), 0);
        must(service_wait_leader(pair_service(p, 1), 30000, 0, &leader, &term, &err), &err);
        pthread_join(thread, NULL);
        assert_false(leader.self);
    }
}

static void a_leader_that_proved_useless_is_not_given_again(void **state)
{
    struct pair *p = *state;
    struct service_leader leader;
    struct err err = { 0 };
    uint64_t term;
    must(service_wait_leader(pair_service(p, 1), 0, 0, &leader, &term, &err), &err);
    assert_int_equal(service_wait_leader(pair_service(p, 1), 0, term, &leader, &term, &err), -1);
    pair_lead_quietly(p, 0);
    must(service_wait_leader(pair_service(p, 1), 0, 1, &leader, &term, &err), &err);
    pair_settle(p, 0);
}

static void a_sealed_node_waits_for_nobody(void **state)
{
    struct pair *p = *state;
    struct service_leader leader;
    struct err err = { 0 };
    uint64_t term;
    must(lifecycle_seal(p->node[1].lifecycle, &err), &err);
    assert_int_equal(service_wait_leader(pair_service(p, 1), 30000, 0, &leader, &term, &err), -1);
    assert_int_equal(err.code, ERR_SEALED);
}

static void a_standby_tells_the_active_nodes_address(void **state)
{
    struct pair *p = *state;
    struct service_leader leader;
    for (int i = 1; i >= 0; i--) {
        pair_settle(p, i);
        pair_flush(p, !i);
        assert_int_equal(service_leader(pair_service(p, !i), &leader), 1);
        assert_string_equal(leader.api_addr, i == 0 ? "http://node0" : "http://node1");
    }
}

/* ---- the gate ---- */

static void a_standby_answers_what_only_reads(void **state)
{
    struct pair *p = *state;
    pair_must(p, 1, OP_READ, "sys/x", NULL);
    assert_non_null(memmem(p->text.p, p->text.n, "yes", 3));
}

static void a_standby_hands_writes_on(void **state)
{
    struct pair *p = *state;
    assert_true(is_elsewhere(p, 1, OP_UPDATE, "sys/x"));
    assert_true(is_elsewhere(p, 1, OP_DELETE, "sys/x"));
}

static void a_standby_that_shall_not_read_hands_all_on(void **state)
{
    struct pair *p = *state;
    p->node[1].settings.forward_reads = true;
    assert_true(is_elsewhere(p, 1, OP_READ, "sys/x"));
}

static void nobody_reads_from_a_store_that_may_be_old(void **state)
{
    struct pair *p = *state;
    p->node[0].stale = p->node[1].stale = true;
    assert_true(is_elsewhere(p, 0, OP_READ, "sys/x"));
    assert_true(is_elsewhere(p, 1, OP_READ, "sys/x"));
    p->node[0].stale = p->node[1].stale = false;
}

static void a_token_that_counts_its_uses_is_the_active_nodes(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    struct auth auth = { .type = TOKEN_SERVICE, .ttl_s = 60 };
    struct token_entry e = { .type = TOKEN_SERVICE, .path = STR("auth/token/create"),
                             .display_name = STR("t"), .ttl_s = 60, .num_uses = 1 };
    strs_add(p->arena, &e.policies, STR("root"));
    e.root = true;
    epoch_enter();
    must(token_create(lifecycle_active(p->node[0].lifecycle)->tokens, p->arena, &e, &auth, &err),
         &err);
    epoch_leave();
    assert_int_equal(pair_call(p, 1, OP_READ, "sys/x", auth.client_token, NULL), -1);
    assert_true(p->req.elsewhere);
    assert_true(pair_call(p, 0, OP_READ, "sys/x", auth.client_token, NULL) > 0);
    assert_int_equal(pair_call(p, 0, OP_READ, "sys/x", auth.client_token, NULL), -1);
}

static void a_node_between_two_modes_hands_all_on(void **state)
{
    struct pair *p = *state;
    pthread_mutex_lock(&p->mu);
    p->node[1].settle_fails = true;
    pthread_mutex_unlock(&p->mu);
    pair_lead(p, 1);
    pair_wait(p, 1, SERVICE_TURNING);
    assert_true(is_elsewhere(p, 1, OP_READ, "sys/x"));
}

static void a_sealed_node_hands_nothing_on(void **state)
{
    struct pair *p = *state;
    struct err err = { 0 };
    must(lifecycle_seal(p->node[1].lifecycle, &err), &err);
    assert_int_equal(pair_call(p, 1, OP_READ, "sys/x", p->root, NULL), -1);
    assert_int_equal(p->req.err.code, ERR_SEALED);
    assert_false(p->req.elsewhere);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_leads_is_active_and_the_other_a_standby),
        TEST(a_standby_becomes_active_when_the_leader_is_gone),
        TEST(each_becomes_what_it_was_again),
        TEST(without_a_leader_both_are_standbys),
        TEST(who_leads_no_more_before_it_serves_goes_back),
        TEST(a_new_leadership_of_the_same_node_is_a_new_life),
        TEST(a_commit_of_an_earlier_leadership_is_refused),
        TEST(a_standby_forgets_what_the_active_node_changes),
        TEST(what_changes_while_turning_is_not_missed),
        TEST(a_mount_made_while_turning_is_there_afterwards),
        TEST(a_rotated_key_is_followed_by_the_standby),
        TEST(a_restore_is_taken_in_by_the_active_node),
        TEST(a_restore_is_taken_in_by_a_standby),
        TEST(a_restore_under_other_keys_seals_the_active_node),
        TEST(a_restore_under_other_keys_seals_a_standby),
        TEST(a_store_under_other_keys_seals_who_becomes_active),
        TEST(stepping_down_lets_the_other_one_lead),
        TEST(who_cannot_step_down_stays_active_and_says_so),
        TEST(where_nobody_else_could_lead_stepping_down_is_fine),
        TEST(a_standby_cannot_step_down),
        TEST(each_mode_can_be_sealed_and_unsealed),
        TEST(who_is_turning_can_be_sealed),
        TEST(stepping_down_while_sealing_leaves_it_sealed),
        TEST(nobody_waits_for_a_leader_longer_than_asked),
        TEST(who_waits_for_a_leader_is_woken),
        TEST(a_leader_that_proved_useless_is_not_given_again),
        TEST(a_sealed_node_waits_for_nobody),
        TEST(a_standby_tells_the_active_nodes_address),
        TEST(a_standby_answers_what_only_reads),
        TEST(a_standby_hands_writes_on),
        TEST(a_standby_that_shall_not_read_hands_all_on),
        TEST(nobody_reads_from_a_store_that_may_be_old),
        TEST(a_token_that_counts_its_uses_is_the_active_nodes),
        TEST(a_node_between_two_modes_hands_all_on),
        TEST(a_sealed_node_hands_nothing_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
