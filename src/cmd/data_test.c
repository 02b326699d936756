/* Tests of data arguments: key=value, files, standard input. */
#include "cmd/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/data.h"
#include "cmd/file.h"

/* Parse one to three arguments and print the object as JSON; "!" and the text on failure. */
static void check(struct arena *a, const char *const *given, size_t n, const char *want)
{
    char *args[3];
    struct json *v;
    struct err err = { 0 };
    AUTO(buf_free) struct buf out = { 0 };
    struct command_run run = { .arena = a };
    for (size_t i = 0; i < n; i++)
        args[i] = arena_cstr(a, str_of(given[i]));
    if (data_parse(&run, args, n, &v, &err) == 0)
        json_print(v, &out);
    else
        buf_printf(&out, "!%s", err.msg);
    testing_is(&out, want);
}

#define CHECK(want, ...)                                                                           \
    check(*state, (const char *const[]){ __VA_ARGS__ },                                            \
          ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })), want)

static char folder[] = "/tmp/data_test.XXXXXX";

static int enter_folder(void **state)
{
    return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    unlink("v");
    unlink("in");
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void put_file(const char *name, const char *text)
{
    assert_int_equal(file_write(name, str_of(text), 0600, NULL), 0);
}

static void reads_pairs_as_texts(void **state)
{
    CHECK("{\"a\":\"1\",\"b\":\"two words\"}", "a=1", "b=two words");
    CHECK("{\"a\":\"x=y\"}", "a=x=y");
    CHECK("{\"a\":\"\"}", "a=");
    CHECK("{}", "");
}

static void makes_a_list_of_a_repeated_key(void **state)
{
    CHECK("{\"a\":[\"1\",\"2\",\"3\"]}", "a=1", "a=2", "a=3");
}

static void reads_a_value_from_a_file(void **state)
{
    put_file("v", "line\n");
    CHECK("{\"a\":\"line\\n\"}", "a=@v");
}

static void takes_an_escaped_at_sign_literally(void **state)
{
    CHECK("{\"a\":\"@v\"}", "a=\\@v");
    CHECK("{\"a\":\"\\\\\"}", "a=\\");
}

static void reads_an_object_from_a_file(void **state)
{
    put_file("v", "{\"n\": 3, \"deep\": {\"x\": [1]}}");
    CHECK("{\"b\":\"1\",\"deep\":{\"x\":[1]},\"n\":3}", "@v", "b=1");
}

/* Standard input comes from a file for these. */
static void with_input(const char *text)
{
    put_file("in", text);
    assert_non_null(freopen("in", "r", stdin));
}

static void reads_a_value_from_standard_input(void **state)
{
    with_input("typed");
    CHECK("{\"a\":\"typed\"}", "a=-");
}

static void reads_an_object_from_standard_input(void **state)
{
    with_input("{\"k\":true}");
    CHECK("{\"k\":true}", "-");
}

static void refuses_standard_input_twice(void **state)
{
    with_input("x");
    CHECK("!invalid key/value pair \"b\": stdin already consumed", "a=-", "b=-");
}

static void refuses_what_is_no_pair(void **state)
{
    CHECK("!invalid key/value pair \"word\": format must be key=value", "word");
    CHECK("!invalid key/value pair \"a\": error reading file: open nosuch: no such file or "
          "directory", "a=@nosuch");
    CHECK("!invalid key/value pair \"@nosuch\": open nosuch: no such file or directory",
          "@nosuch");
}

static void refuses_a_file_that_is_no_object(void **state)
{
    put_file("v", "[1]");
    CHECK("!invalid key/value pair \"@v\": a JSON object is expected", "@v");
}

static void never_shows_a_value_in_an_error(void **state)
{
    char *args[] = { arena_cstr(*state, STR("a=-")), arena_cstr(*state, STR("hunter=-")) };
    struct json *v;
    struct err err = { 0 };
    struct command_run run = { .arena = *state, .stdin_used = true };
    assert_int_equal(data_parse(&run, args, 2, &v, &err), -1);
    assert_null(strstr(err.msg, "=-"));
}

static void makes_several_parameters_of_a_list(void **state)
{
    char *args[] = { arena_cstr(*state, STR("a=1")), arena_cstr(*state, STR("a=2")) };
    struct coffer_pair *query;
    size_t n;
    struct command_run run = { .arena = *state };
    assert_int_equal(data_parse_query(&run, args, 2, &query, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(query[1].value, "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTING_TEST(reads_pairs_as_texts),
        TESTING_TEST(makes_a_list_of_a_repeated_key),
        TESTING_TEST(reads_a_value_from_a_file),
        TESTING_TEST(takes_an_escaped_at_sign_literally),
        TESTING_TEST(reads_an_object_from_a_file),
        TESTING_TEST(reads_a_value_from_standard_input),
        TESTING_TEST(reads_an_object_from_standard_input),
        TESTING_TEST(refuses_standard_input_twice),
        TESTING_TEST(refuses_what_is_no_pair),
        TESTING_TEST(refuses_a_file_that_is_no_object),
        TESTING_TEST(never_shows_a_value_in_an_error),
        TESTING_TEST(makes_several_parameters_of_a_list),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
