/* Tests of audit entries as XML. */
#include "audit/jsonx.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void values_become_elements_of_their_types(void **state)
{
    static const struct { const char *json, *xml; } cases[] = {
        { "{}", "" },
        { "{\"a\":\"x\"}", "<json:string name=\"a\">x</json:string>" },
        { "{\"a\":12.50}", "<json:number name=\"a\">12.50</json:number>" },
        { "{\"a\":null,\"b\":true}",
          "<json:null name=\"a\" /><json:boolean name=\"b\">true</json:boolean>" },
        { "{\"z\":1,\"b\":{\"d\":[\"x\",[],{}],\"c\":false}}",
          "<json:object name=\"b\"><json:boolean name=\"c\">false</json:boolean>"
          "<json:array name=\"d\"><json:string>x</json:string><json:array></json:array>"
          "<json:object></json:object></json:array></json:object>"
          "<json:number name=\"z\">1</json:number>" },
        { "{\"\":1}", "<json:number>1</json:number>" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        print_message("  %s\n", cases[i].json);
        assert_int_equal(jsonx_print(a, str_of(cases[i].json), &out, &err), 0);
        assert_true(str_is(buf_str(&out), cases[i].xml));
    }
}

static void text_cannot_pass_for_an_element(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };
    struct str json = STR("{\"a\\\"><b\":\"</json:string>&\\n\\u0001\"}");
    assert_int_equal(jsonx_print(a, json, &out, &err), 0);
    assert_true(str_is(buf_str(&out), "<json:string name=\"a&#34;&gt;&lt;b\">&lt;/json:string&gt;"
                                      "&amp;&#xA;\xef\xbf\xbd</json:string>"));
}

static void deep_values_need_no_stack(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf json = { 0 };
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };
    buf_add(&json, STR("{\"a\":"));
    for (int i = 0; i < 9000; i++)
        buf_byte(&json, '[');
    for (int i = 0; i < 9000; i++)
        buf_byte(&json, ']');
    buf_byte(&json, '}');
    assert_int_equal(jsonx_print(a, buf_str(&json), &out, &err), 0);
    assert_true(str_ends(buf_str(&out), STR("</json:array></json:array>")));
}

static void what_is_no_object_is_refused(void **state)
{
    static const char *const cases[] = { "", "[]", "1", "{", "null" };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        assert_int_equal(jsonx_print(a, str_of(cases[i]), &out, &err), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_become_elements_of_their_types),
        cmocka_unit_test(text_cannot_pass_for_an_element),
        cmocka_unit_test(deep_values_need_no_stack),
        cmocka_unit_test(what_is_no_object_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
