/* Tests of the policy store: rules of names, caching, forgetting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/epoch.h"
#include "core/policy_cache.h"
#include "core/policy_store.h"
#include "storage/driver.h"

struct fixture {
    struct storage *disk;
    struct policy_store *store;
    struct arena *arena;
};

static int set_up(void **state)
{
    static struct fixture f;
    assert_int_equal(storage_inmem.open(NULL, 0, &f.disk, NULL), 0);
    assert_int_equal(policy_store_new(f.disk, &f.store, NULL), 0);
    assert_int_equal(policy_store_start(f.store, NULL), 0);
    f.arena = arena_new();
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    policy_store_free(f->store);
    storage_close(f->disk);
    arena_free(f->arena);
    return 0;
}

/* May a caller with these policies (separated by commas) do this? */
static bool may_as(struct fixture *f, const char *names, const struct policy_facts *facts,
                   enum op op, const char *path)
{
    struct strs list = strs_split(f->arena, str_of(names), ',');
    const struct policy_acl *acl;
    struct policy_verdict verdict;
    struct err err = { 0 };
    epoch_enter();
    if (policy_store_acl(f->store, &list, facts, &acl, &err) < 0)
        fail_msg("%s", err.msg);
    struct policy_question q = { .op = op, .path = str_of(path) };
    bool allowed = policy_acl_check(acl, &q, &verdict);
    epoch_leave();
    return allowed;
}

static bool may(struct fixture *f, const char *names, enum op op, const char *path)
{
    return may_as(f, names, NULL, op, path);
}

static void set(struct fixture *f, const char *name, const char *text)
{
    struct err err = { 0 };
    if (policy_store_set(f->store, str_of(name), str_of(text), &err) < 0)
        fail_msg("%s", err.msg);
}

static void the_default_policy_grants_what_vaults_does(void **state)
{
    static const struct {
        const char *path, *caps;
    } cases[] = {
        { "auth/token/lookup-self", "read" },
        { "auth/token/renew-self", "update" },
        { "auth/token/revoke-self", "update" },
        { "auth/token/create", "deny" },
        { "auth/token/lookup", "deny" },
        { "sys/capabilities-self", "update" },
        { "sys/capabilities", "deny" },
        { "identity/entity/id/x", "deny" },
        { "identity/entity/name/x", "deny" },
        { "identity/oidc/provider/p/authorize", "deny" },
        { "sys/internal/ui/resultant-acl", "read" },
        { "sys/renew", "update" },
        { "sys/leases/renew", "update" },
        { "sys/leases/lookup", "update" },
        { "sys/leases/revoke", "deny" },
        { "cubbyhole/a", "create,delete,list,read,update" },
        { "cubbyhole", "deny" },
        { "sys/wrapping/wrap", "update" },
        { "sys/wrapping/lookup", "update" },
        { "sys/wrapping/unwrap", "update" },
        { "sys/wrapping/rewrap", "deny" },
        { "sys/tools/hash", "update" },
        { "sys/tools/hash/sha2-256", "update" },
        { "sys/tools/random", "deny" },
        { "sys/control-group/request", "update" },
        { "sys/mounts", "deny" },
        { "sys/policy", "deny" },
        { "secret/data/a", "deny" },
        { "sys/internal/ui/mounts", "deny" },
    };
    struct fixture *f = *state;
    struct strs names = strs_split(f->arena, STR("default"), ',');
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct policy_acl *acl;
        const char *caps[POLICY_ACL_CAPS_MAX];
        struct strs got = { 0 };
        epoch_enter();
        assert_int_equal(policy_store_acl(f->store, &names, NULL, &acl, NULL), 0);
        size_t n = policy_acl_capabilities(acl, str_of(cases[i].path), caps);
        epoch_leave();
        for (size_t c = 0; c < n; c++)
            strs_add(f->arena, &got, str_of(caps[c]));
        if (!str_is(strs_join(f->arena, &got, STR(",")), cases[i].caps))
            fail_msg("%s", cases[i].path);
    }
}

static void the_default_policy_lets_see_the_own_entity(void **state)
{
    const struct policy_facts me = { .entity_id = STR("e-1"), .entity_name = STR("bob") };
    const struct policy_facts other = { .entity_id = STR("e-2"), .entity_name = STR("eve") };
    struct fixture *f = *state;
    for (int again = 0; again < 2; again++) {
        assert_true(may_as(f, "default", &me, OP_READ, "identity/entity/id/e-1"));
        assert_true(may_as(f, "default", &me, OP_READ, "identity/entity/name/bob"));
        assert_false(may_as(f, "default", &other, OP_READ, "identity/entity/id/e-1"));
        assert_false(may(f, "default", OP_READ, "identity/entity/id/e-1"));
    }
}

static void stores_the_form_that_vault_reads(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf v = { 0 };
    set(f, "  Web ", "path \"a\" { capabilities = [\"read\"] } # <>");
    assert_int_equal(storage_get(f->disk, STR("policy/web"), &v, NULL), 1);
    assert_true(str_is(buf_str(&v), "{\"Version\":2,\"Raw\":\"path \\\"a\\\" { capabilities = "
                                    "[\\\"read\\\"] } # \\u003c\\u003e\",\"Templated\":false,"
                                    "\"Type\":0}"));
}

static void reads_what_was_written(void **state)
{
    struct fixture *f = *state;
    struct str text;
    set(f, "UPPER", "path \"u\" { capabilities = [\"read\"] }");
    assert_int_equal(policy_store_get(f->store, f->arena, STR("upper"), &text, NULL), 1);
    assert_true(str_is(text, "path \"u\" { capabilities = [\"read\"] }"));
    assert_int_equal(policy_store_get(f->store, f->arena, STR("root"), &text, NULL), 1);
    assert_int_equal(text.n, 0);
    assert_int_equal(policy_store_get(f->store, f->arena, STR("none"), &text, NULL), 0);
}

static void lists_names_sorted_and_root_last(void **state)
{
    struct fixture *f = *state;
    struct strs names = { 0 };
    set(f, "zz", "# a");
    set(f, "js", "# b");
    set(f, "team/a", "# c");
    assert_int_equal(policy_store_list(f->store, f->arena, &names, NULL), 0);
    assert_true(str_is(strs_join(f->arena, &names, STR(" ")), "default js team/a zz root"));
}

static void refuses_what_must_not_change(void **state)
{
    static const struct {
        bool del;
        const char *name, *text, *msg;
    } cases[] = {
        { false, "root", "# x", "cannot update \"root\" policy" },
        { false, "Response-Wrapping", "# x", "cannot update \"response-wrapping\" policy" },
        { false, "control-group", "# x", "cannot update \"control-group\" policy" },
        { false, " ", "# x", "policy name missing" },
        { false, "bad", "path {",
          "failed to parse policy: At 1:7: object expected closing RBRACE got: EOF" },
        { true, "root", NULL, "cannot delete \"root\" policy" },
        { true, "control-group", NULL, "cannot delete \"control-group\" policy" },
        { true, "default", NULL, "cannot delete default policy" },
        { true, "", NULL, "policy name missing" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        struct str name = str_of(cases[i].name);
        int rc = cases[i].del ? policy_store_delete(f->store, name, &err)
                              : policy_store_set(f->store, name, str_of(cases[i].text), &err);
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

static void a_change_is_seen_at_once(void **state)
{
    struct fixture *f = *state;
    assert_false(may(f, "default,app", OP_READ, "kv/a"));
    set(f, "app", "path \"kv/*\" { capabilities = [\"read\"] }");
    assert_true(may(f, "default,app", OP_READ, "kv/a"));
    assert_true(may(f, "default,app", OP_READ, "auth/token/lookup-self"));
    set(f, "app", "path \"kv/*\" { capabilities = [\"list\"] }");
    assert_false(may(f, "default,app", OP_READ, "kv/a"));
    assert_int_equal(policy_store_delete(f->store, STR("APP"), NULL), 0);
    assert_false(may(f, "default,app", OP_LIST, "kv/a"));
    assert_int_equal(policy_store_delete(f->store, STR("never-was"), NULL), 0);
}

static void a_change_by_others_is_seen_after_invalidation(void **state)
{
    struct fixture *f = *state;
    set(f, "app", "path \"kv/*\" { capabilities = [\"read\"] }");
    assert_true(may(f, "app", OP_READ, "kv/a"));
    assert_int_equal(storage_delete(f->disk, STR("policy/app"), NULL), 0);
    assert_true(may(f, "app", OP_READ, "kv/a"));
    policy_store_invalidate(f->store, STR("other"));
    assert_true(may(f, "app", OP_READ, "kv/a"));
    policy_store_invalidate(f->store, STR("app"));
    assert_false(may(f, "app", OP_READ, "kv/a"));
    set(f, "app", "path \"kv/*\" { capabilities = [\"read\"] }");
    assert_true(may(f, "app", OP_READ, "kv/a"));
    assert_int_equal(storage_delete(f->disk, STR("policy/app"), NULL), 0);
    policy_store_invalidate_all(f->store);
    assert_false(may(f, "app", OP_READ, "kv/a"));
}

static void the_same_names_give_the_same_acl(void **state)
{
    struct fixture *f = *state;
    struct strs names = strs_split(f->arena, STR("default,a"), ',');
    const struct policy_facts me = { .entity_id = STR("e-1") };
    const struct policy_acl *one, *two, *mine, *mine_too;
    epoch_enter();
    assert_int_equal(policy_store_acl(f->store, &names, NULL, &one, NULL), 0);
    assert_int_equal(policy_store_acl(f->store, &names, NULL, &two, NULL), 0);
    assert_int_equal(policy_store_acl(f->store, &names, &me, &mine, NULL), 0);
    assert_int_equal(policy_store_acl(f->store, &names, &me, &mine_too, NULL), 0);
    epoch_leave();
    assert_ptr_equal(one, two);
    assert_ptr_equal(mine, mine_too);
    assert_ptr_not_equal(one, mine);
}

static void names_are_not_confused_with_their_joins(void **state)
{
    struct fixture *f = *state;
    struct str one[] = { STR_INIT("a"), STR_INIT("b") }, two[] = { { "a\0b", 3 } };
    struct strs split = { one, 2, 2 }, joined = { two, 1, 1 };
    const struct policy_acl *x, *y;
    epoch_enter();
    assert_int_equal(policy_store_acl(f->store, &split, NULL, &x, NULL), 0);
    assert_int_equal(policy_store_acl(f->store, &joined, NULL, &y, NULL), 0);
    epoch_leave();
    assert_ptr_not_equal(x, y);
}

static void root_stands_alone(void **state)
{
    struct fixture *f = *state;
    struct strs names = strs_split(f->arena, STR("root,default"), ',');
    const struct policy_acl *acl;
    struct err err = { 0 };
    assert_true(may(f, "root", OP_DELETE, "anything"));
    epoch_enter();
    assert_int_equal(policy_store_acl(f->store, &names, NULL, &acl, &err), -1);
    epoch_leave();
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_string_equal(err.msg, "failed to construct ACL: other policies present along with root");
}

static void a_damaged_entry_is_told(void **state)
{
    static const struct {
        struct str stored;
        enum err_code code;
    } cases[] = {
        { STR_INIT("{"), ERR_CORRUPT },
        { STR_INIT("{\"Version\":2,\"Type\":0}"), ERR_CORRUPT },
        { STR_INIT("{\"Version\":2,\"Raw\":\"x\",\"Type\":2}"), ERR_CORRUPT },
        { STR_INIT("{\"Version\":2,\"Raw\":\"path {\",\"Type\":0}"), ERR_INTERNAL },
    };
    struct fixture *f = *state;
    struct strs names = strs_split(f->arena, STR("app"), ',');
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct policy_acl *acl;
        struct err err = { 0 };
        assert_int_equal(storage_put(f->disk, STR("policy/app"), cases[i].stored, NULL), 0);
        epoch_enter();
        assert_int_equal(policy_store_acl(f->store, &names, NULL, &acl, &err), -1);
        epoch_leave();
        assert_int_equal(err.code, cases[i].code);
    }
}

static void start_keeps_an_edited_default_and_mends_the_fixed(void **state)
{
    struct fixture *f = *state;
    struct str text;
    set(f, "default", "# mine");
    assert_int_equal(storage_put(f->disk, STR("policy/response-wrapping"),
                                 STR("{\"Version\":2,\"Raw\":\"# theirs\",\"Type\":0}"), NULL),
                     0);
    policy_store_invalidate_all(f->store);
    assert_int_equal(policy_store_start(f->store, NULL), 0);
    assert_int_equal(policy_store_get(f->store, f->arena, STR("default"), &text, NULL), 1);
    assert_true(str_is(text, "# mine"));
    assert_true(may(f, "response-wrapping", OP_UPDATE, "sys/wrapping/unwrap"));
}

static void a_full_cache_forgets_what_is_not_asked_for(void **state)
{
    struct policy_cache *c = policy_cache_new(64);
    (void)state;
    for (int i = 0; i < 1000; i++) {
        char key[16];
        struct policy_set *s = policy_set_new();
        (void)snprintf(key, sizeof key, "%d", i);
        s->key = arena_dup(s->arena, str_of(key));
        epoch_enter();
        policy_cache_put(c, s, policy_cache_generation(c));
        assert_ptr_equal(policy_cache_find(c, str_of(key)), s);
        (void)policy_cache_find(c, STR("0"));
        epoch_leave();
    }
    size_t n = 0;
    epoch_enter();
    for (int i = 0; i < 1000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i);
        n += policy_cache_find(c, str_of(key)) != NULL;
    }
    epoch_leave();
    assert_in_range(n, 1, 64);
    policy_cache_free(c);
}

static void what_was_read_before_a_change_is_not_kept(void **state)
{
    struct policy_cache *c = policy_cache_new(64);
    struct policy_set *s = policy_set_new();
    (void)state;
    s->key = STR("k");
    uint64_t generation = policy_cache_generation(c);
    policy_cache_drop(c, STR("some"));
    epoch_enter();
    policy_cache_put(c, s, generation);
    assert_null(policy_cache_find(c, STR("k")));
    assert_true(str_is(s->key, "k"));
    epoch_leave();
    policy_cache_free(c);
}

struct crowd {
    struct policy_store *store;
    atomic_bool stop;
    atomic_int wrong;
};

static void *ask_again_and_again(void *arg)
{
    struct crowd *c = arg;
    struct str list[] = { STR_INIT("default"), STR_INIT("app") };
    struct strs names = { list, 2, 2 };
    const struct policy_facts me = { .entity_id = STR("e-1"), .entity_name = STR("n") };
    while (!atomic_load(&c->stop)) {
        const struct policy_acl *acl;
        struct policy_verdict v;
        struct policy_question q = { .op = OP_READ, .path = STR("identity/entity/id/e-1") };
        epoch_enter();
        if (policy_store_acl(c->store, &names, &me, &acl, NULL) < 0 ||
            !policy_acl_check(acl, &q, &v))
            atomic_fetch_add(&c->wrong, 1);
        epoch_leave();
    }
    return NULL;
}

static void readers_and_a_writer_do_not_disturb_each_other(void **state)
{
    struct fixture *f = *state;
    struct crowd crowd = { .store = f->store };
    pthread_t readers[3];
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        assert_int_equal(pthread_create(&readers[i], NULL, ask_again_and_again, &crowd), 0);
    for (int i = 0; i < 300; i++) {
        set(f, "app", i % 2 == 0 ? "path \"a\" { policy = \"read\" }" : "path \"b\" { }");
        assert_int_equal(may(f, "default,app", OP_READ, "a"), i % 2 == 0);
    }
    atomic_store(&crowd.stop, true);
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(atomic_load(&crowd.wrong), 0);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(the_default_policy_grants_what_vaults_does),
        WITH_STORE(the_default_policy_lets_see_the_own_entity),
        WITH_STORE(stores_the_form_that_vault_reads),
        WITH_STORE(reads_what_was_written),
        WITH_STORE(lists_names_sorted_and_root_last),
        WITH_STORE(refuses_what_must_not_change),
        WITH_STORE(a_change_is_seen_at_once),
        WITH_STORE(a_change_by_others_is_seen_after_invalidation),
        WITH_STORE(the_same_names_give_the_same_acl),
        WITH_STORE(names_are_not_confused_with_their_joins),
        WITH_STORE(root_stands_alone),
        WITH_STORE(a_damaged_entry_is_told),
        WITH_STORE(start_keeps_an_edited_default_and_mends_the_fixed),
        cmocka_unit_test(a_full_cache_forgets_what_is_not_asked_for),
        cmocka_unit_test(what_was_read_before_a_change_is_not_kept),
        WITH_STORE(readers_and_a_writer_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
