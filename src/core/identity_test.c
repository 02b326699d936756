/* Tests of identity: entities made, found again, refused; buckets as Vault has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/epoch.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "core/identity.h"
#include "core/identity_entity.h"
#include "storage/driver.h"

struct fixture {
    struct storage *disk;
    struct identity *identity;
    struct arena *arena;
};

static int set_up(void **state)
{
    static struct fixture f;
    assert_int_equal(storage_inmem.open(NULL, 0, &f.disk, NULL), 0);
    assert_int_equal(identity_new(f.disk, &f.identity, NULL), 0);
    f.arena = arena_new();
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    identity_free(f->identity);
    storage_close(f->disk);
    arena_free(f->arena);
    return 0;
}

static void restart(struct fixture *f)
{
    struct err err = { 0 };
    identity_free(f->identity);
    f->identity = NULL;
    if (identity_new(f->disk, &f->identity, &err) < 0)
        fail_msg("%s", err.msg);
}

static struct str login_as(struct fixture *f, const char *accessor, const char *name,
                           struct json *metadata)
{
    struct identity_alias alias = { str_of(accessor), STR("userpass"), STR("auth/userpass/"),
                                    str_of(name), metadata };
    struct str id = { NULL, 0 };
    struct err err = { 0 };
    if (identity_login(f->identity, f->arena, &alias, &id, &err) < 0)
        fail_msg("%s", err.msg);
    return id;
}

/* What the store holds of an entity. */
struct wanted {
    struct arena *arena;
    struct str id;
    struct identity_entity entity;
    int found;
};

static int pick(void *ctx, struct str message, struct err *err)
{
    struct wanted *w = ctx;
    struct identity_entity e;
    TRY(identity_entity_parse(w->arena, arena_dup(w->arena, message), &e, err));
    if (str_eq(e.id, w->id)) {
        w->entity = e;
        w->found++;
    }
    return 0;
}

static struct wanted stored(struct fixture *f, struct str id)
{
    AUTO(buf_free) struct buf bucket = { 0 };
    struct wanted w = { .arena = f->arena, .id = id };
    struct str key;
    assert_int_equal(identity_entity_bucket(f->arena, "packer/buckets/", id, &key, NULL), 0);
    assert_int_equal(storage_get(f->disk, key, &bucket, NULL), 1);
    assert_int_equal(bucket.p[0], 'S');
    assert_int_equal(identity_entity_bucket_walk(buf_str(&bucket), pick, &w, NULL), 0);
    return w;
}

/* Put an entity into the store behind identity's back, then start anew. */
static void plant(struct fixture *f, const struct identity_entity *e)
{
    AUTO(buf_free) struct buf message = { 0 };
    AUTO(buf_free) struct buf bucket = { 0 };
    struct str key;
    assert_int_equal(identity_entity_bucket(f->arena, "packer/buckets/", e->id, &key, NULL), 0);
    assert_int_equal(identity_entity_print(e, &message, NULL), 0);
    assert_int_equal(identity_entity_bucket_put(STR(""), key, e->id, buf_str(&message), &bucket,
                                                NULL), 0);
    assert_int_equal(storage_put(f->disk, key, buf_str(&bucket), NULL), 0);
    restart(f);
}

static void a_first_login_makes_an_entity_and_the_next_one_finds_it(void **state)
{
    struct fixture *f = *state;
    struct str id = login_as(f, "auth_userpass_1", "bob", NULL);
    struct wanted w = stored(f, id);

    assert_int_equal(w.found, 1);
    assert_true(str_starts(w.entity.name, STR("entity_")));
    assert_int_equal(w.entity.name.n, 15);
    assert_true(str_is(w.entity.namespace_id, "root"));
    assert_int_equal(w.entity.n_aliases, 1);
    assert_true(str_is(w.entity.aliases[0].name, "bob"));
    assert_true(str_eq(w.entity.aliases[0].canonical_id, id));
    assert_true(str_eq(login_as(f, "auth_userpass_1", "bob", NULL), id));
    restart(f);
    assert_true(str_eq(login_as(f, "auth_userpass_1", "bob", NULL), id));
}

static void names_of_aliases_match_without_regard_to_case(void **state)
{
    struct fixture *f = *state;
    struct str id = login_as(f, "auth_userpass_1", "Bob", NULL);
    assert_true(str_eq(login_as(f, "auth_userpass_1", "bOB", NULL), id));
    assert_true(str_is(stored(f, id).entity.aliases[0].name, "Bob"));
}

static void a_store_that_says_so_tells_case_apart(void **state)
{
    struct fixture *f = *state;
    struct str id = login_as(f, "auth_userpass_1", "Bob", NULL);
    assert_int_equal(storage_put(f->disk, STR("casesensitivity"),
                                 STR("{\"disable_lower_cased_names\":true}"), NULL), 0);
    restart(f);
    assert_true(str_eq(login_as(f, "auth_userpass_1", "Bob", NULL), id));
    assert_false(str_eq(login_as(f, "auth_userpass_1", "bob", NULL), id));
}

static void the_same_name_at_another_mount_is_another_entity(void **state)
{
    struct fixture *f = *state;
    struct str id = login_as(f, "auth_userpass_1", "bob", NULL);
    assert_false(str_eq(login_as(f, "auth_userpass_2", "bob", NULL), id));
}

static void new_metadata_of_an_alias_is_kept(void **state)
{
    struct fixture *f = *state;
    struct json *m = json_object(f->arena);
    struct str id = login_as(f, "auth_userpass_1", "bob", NULL);
    json_put_text(m, "team", "blue");
    assert_true(str_eq(login_as(f, "auth_userpass_1", "bob", m), id));
    struct wanted w = stored(f, id);
    assert_int_equal(w.found, 1);
    assert_true(str_is(json_get_str(w.entity.aliases[0].metadata, "team"), "blue"));
}

static void many_entities_are_found_again(void **state)
{
    struct fixture *f = *state;
    struct str ids[600];
    char name[16];
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        (void)snprintf(name, sizeof name, "u%zu", i);
        ids[i] = login_as(f, "a", name, NULL);
    }
    restart(f);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        (void)snprintf(name, sizeof name, "u%zu", i);
        assert_true(str_eq(login_as(f, "a", name, NULL), ids[i]));
    }
}

static void a_disabled_entity_neither_logs_in_nor_gives_anything(void **state)
{
    struct fixture *f = *state;
    struct identity_entity_alias x = { .mount_accessor = STR("a"), .name = STR("eve") };
    struct identity_entity e = { .id = STR("e-1"), .aliases = &x, .n_aliases = 1,
                                 .disabled = true };
    struct identity_alias alias = { .mount_accessor = STR("a"), .name = STR("eve") };
    struct strs policies = { 0 };
    const struct policy_facts *facts;
    struct str id;
    struct err err = { 0 };

    plant(f, &e);
    assert_int_equal(identity_login(f->identity, f->arena, &alias, &id, &err), -1);
    assert_int_equal(err.code, ERR_DENIED);
    epoch_enter();
    assert_int_equal(identity_of_token(f->identity, f->arena, e.id, &policies, &facts, &err), 0);
    epoch_leave();
    assert_int_equal(policies.n, 0);
}

static void an_unknown_entity_gives_nothing(void **state)
{
    struct fixture *f = *state;
    struct strs policies = { 0 };
    const struct policy_facts *facts;
    epoch_enter();
    assert_int_equal(identity_of_token(f->identity, f->arena, STR("none"), &policies, &facts,
                                       NULL), 0);
    epoch_leave();
}

/* A group's bucket as Vault writes one: {1 id, 2 name, 3 policy, 4 parent, 5 member}. */
static void plant_group(struct fixture *f, const char *key, const char *id, const char *policy,
                        const char *parent, const char *member)
{
    AUTO(buf_free) struct buf b = { 0 };
    size_t item = protobuf_open(&b, 2);
    protobuf_put_bytes(&b, 1, str_of(id));
    size_t any = protobuf_open(&b, 2);
    protobuf_put_bytes(&b, 1, STR("type.googleapis.com/identity.Group"));
    size_t group = protobuf_open(&b, 2);
    protobuf_put_bytes(&b, 1, str_of(id));
    protobuf_put_bytes(&b, 2, str_of(id));
    protobuf_put_bytes(&b, 3, str_of(policy));
    protobuf_put_bytes(&b, 4, str_of(parent));
    protobuf_put_bytes(&b, 5, str_of(member));
    protobuf_close(&b, group);
    protobuf_close(&b, any);
    protobuf_close(&b, item);
    assert_int_equal(storage_put(f->disk, str_of(key), buf_str(&b), NULL), 0);
}

static void policies_come_from_the_entity_its_groups_and_those_above(void **state)
{
    struct fixture *f = *state;
    struct identity_entity_alias x = { .mount_accessor = STR("a"), .name = STR("eve"),
                                       .id = STR("x-1") };
    struct identity_entity e = { .id = STR("e-1"), .name = STR("Eve"), .aliases = &x,
                                 .n_aliases = 1 };
    struct strs policies = { 0 };
    const struct policy_facts *facts;

    strs_add(f->arena, &e.policies, STR("own"));
    /* The last two are each other's parent: such a loop must end. */
    plant_group(f, "packer/group/buckets/1", "g-1", "team", "g-2", "e-1");
    plant_group(f, "packer/group/buckets/2", "g-2", "dept", "g-1", "");
    plant(f, &e);
    epoch_enter();
    assert_int_equal(identity_of_token(f->identity, f->arena, e.id, &policies, &facts, NULL), 1);
    assert_int_equal(policies.n, 3);
    assert_true(str_is(policies.v[0], "own"));
    assert_true(strs_has(&policies, STR("team")));
    assert_true(strs_has(&policies, STR("dept")));
    assert_true(str_is(facts->entity_name, "Eve"));
    assert_int_equal(facts->n_groups, 2);
    assert_int_equal(facts->n_aliases, 1);
    assert_true(str_is(facts->aliases[0].id, "x-1"));
    epoch_leave();
}

static void a_rewritten_bucket_keeps_its_other_items_and_unknown_fields(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf one = { 0 };
    AUTO(buf_free) struct buf two = { 0 };
    AUTO(buf_free) struct buf three = { 0 };
    AUTO(buf_free) struct buf message = { 0 };
    struct identity_entity e;
    /* An entity with a field 10 that means nothing here. */
    struct str odd = STR("\x12\x03" "e-2" "\x52\x02" "mf");

    assert_int_equal(identity_entity_parse(f->arena, odd, &e, NULL), 0);
    assert_int_equal(identity_entity_print(&e, &message, NULL), 0);
    assert_true(str_find(buf_str(&message), STR("\x52\x02" "mf")) >= 0);

    struct str key = STR("packer/buckets/7");
    assert_int_equal(identity_entity_bucket_put(STR(""), key, STR("e-1"),
                                                STR("\x12\x03" "e-1"), &one, NULL), 0);
    assert_int_equal(identity_entity_bucket_put(buf_str(&one), key, STR("e-2"), buf_str(&message),
                                                &two, NULL), 0);
    assert_int_equal(identity_entity_bucket_put(buf_str(&two), key, STR("e-2"), buf_str(&message),
                                                &three, NULL), 0);
    assert_true(str_eq(buf_str(&two), buf_str(&three)));
    struct wanted w = { .arena = f->arena, .id = STR("e-1") };
    assert_int_equal(identity_entity_bucket_walk(buf_str(&three), pick, &w, NULL), 0);
    assert_int_equal(w.found, 1);
}

static void a_damaged_bucket_is_an_error(void **state)
{
    struct fixture *f = *state;
    static const struct { const char *what; struct str bytes; } cases[] = {
        { "snappy cut off", STR_INIT("S\xff\6") },
        { "item cut off", STR_INIT("\x12\x7f") },
        { "entity without an id", STR_INIT("\x12\x07\x0a\x01" "x" "\x12\x02\x12\x00") },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct identity *made = NULL;
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(storage_put(f->disk, STR("packer/buckets/0"), cases[i].bytes, NULL), 0);
        assert_int_equal(identity_new(f->disk, &made, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_null(made);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
        TEST(a_first_login_makes_an_entity_and_the_next_one_finds_it),
        TEST(names_of_aliases_match_without_regard_to_case),
        TEST(a_store_that_says_so_tells_case_apart),
        TEST(the_same_name_at_another_mount_is_another_entity),
        TEST(new_metadata_of_an_alias_is_kept),
        TEST(many_entities_are_found_again),
        TEST(a_disabled_entity_neither_logs_in_nor_gives_anything),
        TEST(an_unknown_entity_gives_nothing),
        TEST(policies_come_from_the_entity_its_groups_and_those_above),
        TEST(a_rewritten_bucket_keeps_its_other_items_and_unknown_fields),
        TEST(a_damaged_bucket_is_an_error),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
