/* Tests of the tools for clients: random bytes and hashes. */
#include "logical/tools.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "logical/request.h"
#include "logical/route.h"

static const struct route routes[] = {
    { "random(/{urlbytes})", FIELDS(tools_random_fields), .write = tools_random },
    { "hash(/{urlalgorithm})", FIELDS(tools_hash_fields), .write = tools_hash },
};

static int call(struct arena *a, const char *path, const char *body, struct request *req,
                struct response *resp)
{
    *req = (struct request){ .arena = a, .op = OP_UPDATE, .rel = str_of(path) };
    *resp = (struct response){ .arena = a };
    assert_int_equal(json_parse(a, str_of(body), &req->data, NULL, &req->err), 0);
    assert_int_equal(route_match(routes, ARRAY_LEN(routes), req), 1);
    return route_call(req, resp);
}

static void random_gives_as_many_bytes_as_asked_for(void **state)
{
    static const struct { const char *path, *body; size_t text; } cases[] = {
        { "random", "{}", 44 },
        { "random/16", "{}", 24 },
        { "random/16", "{\"bytes\":5}", 24 },
        { "random", "{\"bytes\":20,\"format\":\"hex\"}", 40 },
        { "random", "{\"bytes\":\"1\",\"format\":\"hex\"}", 2 },
        { "random/131072", "{\"format\":\"hex\"}", 262144 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct request req;
        struct response resp;
        assert_int_equal(call(a, cases[i].path, cases[i].body, &req, &resp), 1);
        assert_int_equal(json_get_str(resp.data, "random_bytes").n, cases[i].text);
    }
}

static void random_is_never_the_same(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct request req;
    struct response first, second;
    assert_int_equal(call(a, "random", "{}", &req, &first), 1);
    assert_int_equal(call(a, "random", "{}", &req, &second), 1);
    assert_false(json_equal(first.data, second.data));
}

static void hash_gives_the_known_sums(void **state)
{
    static const struct { const char *path, *body, *sum; } cases[] = {
        { "hash", "{\"input\":\"aGVsbG8=\"}",
          "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" },
        { "hash", "{\"input\":\"aGVsbG8=\",\"format\":\"base64\"}",
          "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=" },
        { "hash/sha2-224", "{\"input\":\"aGVsbG8=\",\"algorithm\":\"sha2-512\"}",
          "ea09ae9cc6768c50fcee903ed054556e5bfc8347907f12598aa24193" },
        { "hash", "{\"algorithm\":\"sha2-224\"}",
          "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct request req;
        struct response resp;
        assert_int_equal(call(a, cases[i].path, cases[i].body, &req, &resp), 1);
        assert_true(str_is(json_get_str(resp.data, "sum"), cases[i].sum));
    }
}

static void say_what_they_refuse(void **state)
{
    static const struct { const char *path, *body, *why; } cases[] = {
        { "random/0", "{}", "\"bytes\" cannot be less than 1" },
        { "random", "{\"bytes\":-5}", "\"bytes\" cannot be less than 1" },
        { "random", "{\"bytes\":131073}", "\"bytes\" should be less than 131072" },
        { "random/abc", "{}",
          "error parsing url-set byte count: strconv.Atoi: parsing \"abc\": invalid syntax" },
        { "random", "{\"format\":\"oct\"}",
          "unsupported encoding format \"oct\"; must be \"hex\" or \"base64\"" },
        { "hash", "{\"input\":\"?\"}",
          "unable to decode input as base64: illegal base64 data at input byte 0" },
        { "hash", "{\"format\":\"x\"}",
          "unsupported encoding format x; must be \"hex\" or \"base64\"" },
        { "hash/md5", "{}", "unsupported algorithm md5" },
        { "hash", "{\"algorithm\":\"sha3-256\"}", "unsupported algorithm sha3-256" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct request req;
        struct response resp;
        print_message("  %s %s\n", cases[i].path, cases[i].body);
        assert_int_equal(call(a, cases[i].path, cases[i].body, &req, &resp), -1);
        assert_int_equal(req.err.code, ERR_BAD_REQUEST);
        assert_string_equal(req.err.msg, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_gives_as_many_bytes_as_asked_for),
        cmocka_unit_test(random_is_never_the_same),
        cmocka_unit_test(hash_gives_the_known_sums),
        cmocka_unit_test(say_what_they_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
