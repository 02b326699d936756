/* Tests of the HCL parser: the tree as text, for good and bad input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "codec/hcl.h"

static void dump(const struct hcl *v, struct buf *out)
{
    switch (v->type) {
    case HCL_STRING:
        buf_printf(out, "'" STR_FMT "'", STR_ARG(v->text));
        break;
    case HCL_NUMBER:
        buf_add(out, v->text);
        break;
    case HCL_BOOL:
        buf_add(out, v->truth ? STR("T") : STR("F"));
        break;
    case HCL_LIST:
        buf_byte(out, '[');
        for (const struct hcl *e = v->first; e != NULL; e = e->next) {
            if (e != v->first)
                buf_byte(out, ',');
            dump(e, out);
        }
        buf_byte(out, ']');
        break;
    case HCL_OBJECT:
        buf_byte(out, '{');
        for (const struct hcl_item *i = v->items; i != NULL; i = i->next) {
            if (i != v->items)
                buf_byte(out, ';');
            for (size_t k = 0; k < i->n_keys; k++)
                buf_printf(out, k > 0 ? " " STR_FMT : STR_FMT, STR_ARG(i->keys[k].text));
            buf_byte(out, '=');
            dump(i->value, out);
        }
        buf_byte(out, '}');
        break;
    }
}

static void expect_tree(struct str text, const char *tree)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };
    struct hcl *root = NULL;
    if (hcl_parse(a, STR(""), text, &root, &err) < 0)
        fail_msg(STR_FMT ": %s", STR_ARG(text), err.msg);
    dump(root, &out);
    buf_byte(&out, 0);
    assert_string_equal(out.p, tree);
}

static void reads_every_kind_of_value(void **state)
{
    static const struct {
        struct str text;
        const char *tree;
    } cases[] = {
        { STR_INIT(""), "{}" },
        { STR_INIT("# only\n// comments\n/* here\n */"), "{}" },
        { STR_INIT("\xef\xbb\xbf"
                   "a = 1"),
          "{a=1}" },
        { STR_INIT("a = 1 b = -2\nc = 0x1F d = 017 e = 1.5e-3 f = .5"),
          "{a=1;b=-2;c=0x1F;d=017;e=1.5e-3;f=.5}" },
        { STR_INIT("a = true\nb = false"), "{a=T;b=F}" },
        { STR_INIT("a = \"x\\n\\t\\\"\\\\\\u00e9\\x41\\101\""), "{a='x\n\t\"\\\xc3\xa9"
                                                                "AA'}" },
        { STR_INIT("a = \"${b[\"c\"]}d\""), "{a='${b[\"c\"]}d'}" },
        { STR_INIT("a = [1, \"b\", [true,], ]"), "{a=[1,'b',[T]]}" },
        { STR_INIT("a = []\nb {}"), "{a=[];b={}}" },
        { STR_INIT("a { b { c = 1 } b { c = 2 } }"), "{a={b={c=1};b={c=2}}}" },
        { STR_INIT("path \"x/*\" { c = [\"r\"] }"), "{path x/*={c=['r']}}" },
        { STR_INIT("\"k\" = {\"a\"=[], \"b\"=[1]}"), "{k={a=[];b=[1]}}" },
        { STR_INIT("a=1,b=2,"), "{a=1;b=2}" },
        { STR_INIT("a-b.c_d = 1 /* x */ # y"), "{a-b.c_d=1}" },
        { STR_INIT("a = [{b = 1}, {b = 2}]"), "{a=[{b=1},{b=2}]}" },
        { STR_INIT("a = <<EOF\none\n two\nEOF\nb = 1"), "{a='one\n two\n';b=1}" },
        { STR_INIT("a = <<-EOF\n    one\n      two\n    EOF\n"), "{a='one\n  two\n'}" },
        { STR_INIT("a = <<-EOF\n  one\n    EOF\n"), "{a='  one\n'}" },
        { STR_INIT("a = <<EOF\nEOF"), "{a=''}" },
        { STR_INIT("a = <<E\r\none\r\nE\r\n"), "{a='one\r\n'}" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_tree(cases[i].text, cases[i].tree);
}

static void json_gives_the_tree_of_the_same_hcl(void **state)
{
    static const struct {
        struct str hcl, json;
    } cases[] = {
        { STR_INIT("a = 1"), STR_INIT("{\"a\": 1}") },
        { STR_INIT("path \"x\" { c = [\"r\"] } path \"y\" { c = [] }"),
          STR_INIT("{\"path\": {\"x\": {\"c\": [\"r\"]}, \"y\": {\"c\": []}}}") },
        { STR_INIT("listener \"tcp\" { a = true } listener \"tcp\" { a = false }"),
          STR_INIT("{\"listener\":[{\"tcp\":{\"a\":true}},{\"tcp\":{\"a\":false}}]}") },
        { STR_INIT("listener \"tcp\" { a = true } listener \"tcp\" { a = false }"),
          STR_INIT("{\"listener\":{\"tcp\":[{\"a\":true},{\"a\":false}]}}") },
        { STR_INIT("storage \"raft\" { p = \"\" r { } r { b = 1.0 } }"),
          STR_INIT("{\"storage\":{\"raft\":{\"p\":null,\"r\":[{},{\"b\":1.0}]}}}") },
        { STR_INIT("a = \"\\u00e9/\\U0001f600\""),
          STR_INIT(" {\"a\": \"\\u00e9\\/\\ud83d\\ude00\"} ") },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        struct hcl *root = NULL;
        assert_int_equal(hcl_parse(a, STR(""), cases[i].hcl, &root, &err), 0);
        dump(root, &out);
        buf_byte(&out, 0);
        expect_tree(cases[i].json, out.p);
    }
}

static void says_where_the_text_is_wrong(void **state)
{
    static const struct {
        struct str text;
        const char *msg;
    } cases[] = {
        { STR_INIT("path {"), "At 1:7: object expected closing RBRACE got: EOF" },
        { STR_INIT("a = \n\n  }"), "At 3:3: value expected, got: RBRACE" },
        { STR_INIT("a"), "At 1:2: key 'a' expected start of object ('{') or assignment ('=')" },
        { STR_INIT("a b = 1"), "At 1:5: nested object expected: LBRACE got: ASSIGN" },
        { STR_INIT("a = \"x\ny\""), "At 1:5: literal not terminated" },
        { STR_INIT("a = \"x"), "At 1:5: literal not terminated" },
        { STR_INIT("a = \"${x"), "At 1:5: literal not terminated" },
        { STR_INIT("a = \"\\q\""), "At 1:6: unknown escape sequence" },
        { STR_INIT("a = \"\\u12\""), "At 1:10: illegal char in escape sequence" },
        { STR_INIT("a = [1 2]"), "At 1:8: COMMA or RBRACK expected in a list, got: NUMBER" },
        { STR_INIT("a = [,]"), "At 1:6: value expected, got: COMMA" },
        { STR_INIT("a = [1"), "At 1:7: COMMA or RBRACK expected in a list, got: EOF" },
        { STR_INIT("a = yes"), "At 1:5: value expected, got: IDENT yes" },
        { STR_INIT("a = 089"), "At 1:5: illegal octal number" },
        { STR_INIT("a = 0x"), "At 1:5: illegal hexadecimal number" },
        { STR_INIT("a = 1e"), "At 1:5: illegal exponent of a number" },
        { STR_INIT("a = 1.2.3"), "At 1:8: number expected to end" },
        { STR_INIT("a = -"), "At 1:5: number expected" },
        { STR_INIT("/* a"), "At 1:1: comment not terminated" },
        { STR_INIT("a = <<EOF\nx"), "At 1:5: heredoc not terminated" },
        { STR_INIT("a = <<\nx"), "At 1:5: zero-length heredoc anchor" },
        { STR_INIT("a = <<"), "At 1:5: zero-length heredoc anchor" },
        { STR_INIT("a = 1\n@"), "At 2:1: illegal character" },
        { STR_INIT("= 1"), "At 1:1: object key expected (STRING or IDENT) got: ASSIGN" },
        { STR_INIT("a = 1 }"), "At 1:7: object key expected (STRING or IDENT) got: RBRACE" },
        { STR_INIT("x\n\xff"), "At 2:1: text in UTF-8 without NUL expected" },
        { STR_INIT("a\0"), "At 1:2: text in UTF-8 without NUL expected" },
        { STR_INIT("{\"a\": 1,}"), "At 1:9: object key expected (STRING) got: RBRACE" },
        { STR_INIT("{\"a\" 1}"), "At 1:6: COLON expected after a key, got: NUMBER" },
        { STR_INIT("{\"a\":1 \"b\":2}"), "At 1:8: COMMA or RBRACE expected, got: STRING" },
        { STR_INIT("{\"a\":[1,]}"), "At 1:9: value expected after COMMA, got: RBRACK" },
        { STR_INIT("{} x"), "At 1:4: EOF expected, got: IDENT" },
        { STR_INIT("{\"a\": nil}"), "At 1:7: value expected, got: IDENT nil" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct err err = { 0 };
        struct hcl *root = NULL;
        assert_int_equal(hcl_parse(a, STR(""), cases[i].text, &root, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

static void names_the_file(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct err err = { 0 };
    struct hcl *root = NULL;
    (void)state;
    assert_int_equal(hcl_parse(a, STR("vault.hcl"), STR("\n a = ?"), &root, &err), -1);
    assert_string_equal(err.msg, "vault.hcl:2:6: illegal character");
}

static void refuses_deep_nesting(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    struct hcl *root = NULL;
    (void)state;
    buf_add(&b, STR("a = "));
    for (int i = 0; i < 100000; i++)
        buf_byte(&b, '[');
    assert_int_equal(hcl_parse(a, STR(""), buf_str(&b), &root, &err), -1);
    assert_string_equal(err.msg, "At 1:105: nesting of at most 100 expected");
}

static void keeps_the_place_of_keys_and_values(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct hcl *root = NULL;
    (void)state;
    assert_int_equal(hcl_parse(a, STR("f"), STR("a {\n  bc \"l\" =\n {}"), &root, NULL), -1);
    assert_int_equal(hcl_parse(a, STR("f"), STR("a {\n  bc =\n  5 }"), &root, NULL), 0);
    const struct hcl_item *item = root->items->value->items;
    assert_string_equal(item->keys[0].pos.file, "f");
    assert_int_equal(item->keys[0].pos.line, 2);
    assert_int_equal(item->keys[0].pos.column, 3);
    assert_int_equal(item->assign_line, 2);
    assert_int_equal(item->value->pos.line, 3);
    assert_int_equal(item->value->pos.column, 3);
}

static void blocks_come_out_however_they_are_grouped(void **state)
{
    static const struct str texts[] = {
        STR_INIT("p \"x\" { a = 1 } p \"y\" { a = 1 }"),
        STR_INIT("p { x { a = 1 } y { a = 1 } }"),
        STR_INIT("p = [{ x = { a = 1 } }, { y = { a = 1 } }]"),
        STR_INIT("{\"p\": {\"x\": {\"a\": 1}, \"y\": {\"a\": 1}}}"),
        STR_INIT("{\"p\": [{\"x\": {\"a\": 1}}, {\"y\": [{\"a\": 1}]}]}"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct hcl *root = NULL;
        assert_int_equal(hcl_parse(a, STR(""), texts[i], &root, NULL), 0);
        const struct hcl_block *b = hcl_blocks(a, root, STR("p"), 1);
        assert_true(str_is(b->labels[0].text, "x"));
        assert_true(str_is(b->next->labels[0].text, "y"));
        assert_true(str_is(hcl_get(b->next->value, STR("a"))->text, "1"));
        assert_null(b->next->next);
    }
}

static void more_labels_than_asked_for_become_objects(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf out = { 0 };
    struct hcl *root = NULL;
    (void)state;
    assert_int_equal(hcl_parse(a, STR(""), STR("g \"x\" \"y\" { a = 1 }"), &root, NULL), 0);
    dump(hcl_blocks(a, root, STR("g"), 0)->value, &out);
    buf_byte(&out, 0);
    assert_string_equal(out.p, "{x y={a=1}}");
    assert_null(hcl_blocks(a, root, STR("h"), 0));
}

static void numbers_are_read_in_every_base(void **state)
{
    static const struct {
        struct str text;
        bool whole;
        int64_t n;
        double d;
    } cases[] = {
        { STR_INIT("a=12"), true, 12, 12 },
        { STR_INIT("a=-0x10"), true, -16, -16 },
        { STR_INIT("a=017"), true, 15, 15 },
        { STR_INIT("a=1.5"), false, 0, 1.5 },
        { STR_INIT("a=2e3"), false, 0, 2000 },
        { STR_INIT("a=9223372036854775808"), false, 0, 0x1p63 },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct hcl *root = NULL;
        int64_t n = 0;
        double d = 0;
        assert_int_equal(hcl_parse(a, STR(""), cases[i].text, &root, NULL), 0);
        assert_int_equal(hcl_to_i64(root->items->value, &n), cases[i].whole);
        assert_int_equal(n, cases[i].n);
        assert_true(hcl_to_double(root->items->value, &d));
        assert_true(d == cases[i].d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_value),
        cmocka_unit_test(json_gives_the_tree_of_the_same_hcl),
        cmocka_unit_test(says_where_the_text_is_wrong),
        cmocka_unit_test(names_the_file),
        cmocka_unit_test(refuses_deep_nesting),
        cmocka_unit_test(keeps_the_place_of_keys_and_values),
        cmocka_unit_test(blocks_come_out_however_they_are_grouped),
        cmocka_unit_test(more_labels_than_asked_for_become_objects),
        cmocka_unit_test(numbers_are_read_in_every_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
