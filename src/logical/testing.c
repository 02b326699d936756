/* Testing: a mount of one engine over a store in memory, for the engines' unit tests alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "logical/testing.h"
#include "storage/driver.h"

/* 2026-01-02T03:04:05Z */
static const int64_t START_NS = 1767323045000000000;

static struct testing *of_clock(const struct clock *c)
{
    return (struct testing *)((char *)c - offsetof(struct testing, clock));
}

static struct testing *of_sys(const struct sysview *v)
{
    return (struct testing *)((char *)v - offsetof(struct testing, sys));
}

static int64_t now_ns(const struct clock *c)
{
    return of_clock(c)->now_ns;
}

static int64_t default_ttl_s(const struct sysview *v)
{
    return 2764800;
}

static bool read_only(const struct sysview *v)
{
    return of_sys(v)->read_only;
}

static int mount(struct testing *t)
{
    const struct engine_ctx ctx = {
        .storage = t->storage,
        .sys = &t->sys,
        .mount_path = STR("m/"),
        .accessor = STR("kv_00000000"),
        .uuid = STR("6d76d9b5-3ffb-5934-9547-a035e891f3ac"),
        .backend_uuid = STR("75c3cbce-fb28-52a7-1197-2b56eedeec61"),
    };

    t->state = NULL;
    return t->engine->open == NULL ? 0 : t->engine->open(&ctx, &t->state, &t->req.err);
}

static void unmount(struct testing *t)
{
    if (t->state != NULL && t->engine->close != NULL)
        t->engine->close(t->state);
    t->state = NULL;
}

void testing_open(struct testing *t, const struct engine *engine)
{
    *t = (struct testing){ .engine = engine, .now_ns = START_NS };
    t->clock = (struct clock){ now_ns, now_ns };
    t->sys = (struct sysview){
        .default_ttl_s = default_ttl_s,
        .max_ttl_s = default_ttl_s,
        .read_only = read_only,
        .clock = &t->clock,
    };
    t->peer = (struct peer){ .addr = STR("127.0.0.1") };
    t->cubbyhole_id = STR("nNYPePJJmfEqVZFhb74Bj4iL");
    assert_int_equal(storage_inmem.open(NULL, 0, &t->storage, &t->req.err), 0);
    if (mount(t) < 0)
        fail_msg("mount: %s", t->req.err.msg);
}

int testing_reopen(struct testing *t, const struct engine *engine)
{
    unmount(t);
    t->engine = engine;
    return mount(t);
}

void testing_close(struct testing *t)
{
    unmount(t);
    storage_close(t->storage);
    arena_free(t->arena);
    buf_free(&t->text);
}

static void begin(struct testing *t, enum op op, const char *rel, const char *json)
{
    arena_free(t->arena);
    t->arena = arena_new();
    assert_non_null(t->arena);
    t->now_ns += 1000000;
    t->req = (struct request){
        .arena = t->arena,
        .op = op,
        .rel = str_of(rel),
        .now_ns = t->now_ns,
        .may_block = true,
        .storage = t->storage,
        .backend = t->state,
        .sys = &t->sys,
        .peer = &t->peer,
        .cubbyhole_id = t->cubbyhole_id,
    };
    t->resp = (struct response){ .arena = t->arena };
    t->req.data = json_object(t->arena);
    if (json != NULL && json_parse_all(t->arena, str_of(json), &t->req.data, &t->req.err) < 0)
        fail_msg("test body: %s", t->req.err.msg);
}

int testing_call(struct testing *t, enum op op, const char *rel, const char *json)
{
    begin(t, op, rel, json);
    (void)route_match(t->engine->routes, t->engine->n_routes, &t->req);
    if (op == OP_UPDATE && t->req.route != NULL) {
        int there = route_exists(&t->req);
        if (there < 0)
            return -1;
        if (there == 0)
            t->req.op = OP_CREATE;
    }
    return route_call(&t->req, &t->resp);
}

const char *testing_data(struct testing *t)
{
    buf_clear(&t->text);
    if (t->resp.data != NULL)
        json_print(t->resp.data, &t->text);
    buf_byte(&t->text, '\0');
    assert_false(t->text.failed);
    return t->text.p;
}

void testing_expect(struct testing *t, enum op op, const char *rel, const char *json,
                    const char *data)
{
    int got = testing_call(t, op, rel, json);

    if (got != 1)
        fail_msg("%s %s: %d %s", op_name(op), rel, got, t->req.err.msg);
    if (data != NULL)
        assert_string_equal(testing_data(t), data);
}

void testing_refuse(struct testing *t, enum op op, const char *rel, const char *json,
                    enum err_code code, const char *text)
{
    assert_int_equal(testing_call(t, op, rel, json), -1);
    assert_string_equal(t->req.err.msg, text);
    assert_int_equal(t->req.err.code, code);
}

void testing_absent(struct testing *t, enum op op, const char *rel)
{
    assert_int_equal(testing_call(t, op, rel, NULL), 0);
}

void testing_put(struct testing *t, const char *key, struct str value)
{
    struct err err = { 0 };

    assert_int_equal(storage_put(t->storage, str_of(key), value, &err), 0);
}

int testing_get(struct testing *t, const char *key, struct buf *out)
{
    struct err err = { 0 };

    buf_clear(out);
    return storage_get(t->storage, str_of(key), out, &err);
}

static int count_one(void *ctx, struct str name)
{
    (*(size_t *)ctx)++;
    return 0;
}

size_t testing_count(struct testing *t, const char *prefix)
{
    struct err err = { 0 };
    size_t n = 0;

    assert_int_equal(storage_walk(t->storage, str_of(prefix), count_one, &n, &err), 0);
    return n;
}
