/* Testing: what the unit tests of the commands share. */
#ifndef CMD_TESTING_H
#define CMD_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "codec/json.h"

static inline int testing_arena(void **state)
{
    *state = arena_new();
    return *state == NULL ? -1 : 0;
}

static inline int testing_arena_free(void **state)
{
    arena_free(*state);
    return 0;
}

/* The content must be this text. */
static inline void testing_is(const struct buf *b, const char *want)
{
    struct str got = buf_str(b);
    if (!str_is(got, want))
        print_error("got:\n" STR_FMT "\n", STR_ARG(got));
    assert_true(str_is(got, want));
}

static inline struct json *testing_json(struct arena *a, const char *text)
{
    struct json *v = NULL;
    assert_int_equal(json_parse_all(a, str_of(text), &v, NULL), 0);
    return v;
}

#define TESTING_TEST(fn) cmocka_unit_test_setup_teardown(fn, testing_arena, testing_arena_free)

#endif
