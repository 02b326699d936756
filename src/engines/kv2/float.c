/* Kv2/float: numbers as a 64-bit float prints, which is how version 2 gives them back. */
#include "engines/kv2/float.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_DIGITS = 17, ROOM = 64 };

/* A whole number of at most 15 digits is its own float's text. */
static bool already_plain(struct str s)
{
    size_t first = s.n > 0 && s.p[0] == '-' ? 1 : 0;

    if (s.n - first > 15 || s.n == first || (first == 1 && s.p[1] == '0'))
        return false;
    for (size_t i = first; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

/* The fewest digits that read back as ${d}: "d.ddde+xx". */
static void shortest(double d, char out[ROOM])
{
    for (int digits = 1; digits <= MOST_DIGITS; digits++) {
        snprintf(out, ROOM, "%.*e", digits - 1, d);
        if (strtod(out, NULL) == d)
            return;
    }
}

/* The same digits without an exponent. */
static struct str plain(struct arena *a, const char *digits, size_t n, int exponent, bool negative)
{
    AUTO(buf_free) struct buf b = { 0 };

    if (negative)
        buf_byte(&b, '-');
    if (exponent < 0) {
        buf_add(&b, STR("0."));
        for (int i = -1; i > exponent; i--)
            buf_byte(&b, '0');
        buf_add(&b, str_mem(digits, n));
    } else {
        for (int i = 0; i <= exponent || (size_t)i < n; i++) {
            if (i == exponent + 1)
                buf_byte(&b, '.');
            buf_byte(&b, (size_t)i < n ? digits[i] : '0');
        }
    }
    return arena_dup(a, buf_str(&b));
}

/* As Go's encoder: an exponent below 1e-6 and from 1e21 on, without leading zeros in it. */
static struct str go_float(struct arena *a, double d)
{
    char text[ROOM], digits[MOST_DIGITS + 1];
    size_t n = 0;

    if (d == 0)
        return signbit(d) ? STR("-0") : STR("0");
    shortest(fabs(d), text);
    char *e = strchr(text, 'e');
    int exponent = (int)strtol(e + 1, NULL, 10);
    for (const char *p = text; p < e; p++)
        if (*p != '.')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (fabs(d) >= 1e-6 && fabs(d) < 1e21)
        return plain(a, digits, n, exponent, d < 0);
    return arena_printf(a, "%s%c%s%.*se%c%d", d < 0 ? "-" : "", digits[0], n > 1 ? "." : "",
                        (int)n - 1, digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
}

static int number(struct arena *a, struct json *v, struct err *err)
{
    double d;

    if (already_plain(v->text))
        return 0;
    if (!json_to_double(v, &d) || !isfinite(d))
        return err_set(err, ERR_INTERNAL,
                       "json: cannot unmarshal number " STR_FMT " into Go value of type float64",
                       STR_ARG(v->text));
    v->text = go_float(a, d);
    return 0;
}

/* Containers to go through, the newest first. */
struct todo {
    struct json *container;
    struct todo *next;
};

/* No recursion: clients send trees deeper than a worker's stack. */
int kv2_float_numbers(struct arena *a, struct json *v, struct err *err)
{
    struct todo first = { v, NULL }, *todo = &first;

    if (v->type == JSON_NUMBER)
        return number(a, v, err);
    while (todo != NULL) {
        struct json *child = json_first(todo->container);
        todo = todo->next;
        for (; child != NULL; child = child->next) {
            if (child->type == JSON_NUMBER)
                TRY(number(a, child, err));
            if (json_first(child) == NULL)
                continue;
            struct todo *more = arena_alloc(a, sizeof *more);
            if (more == NULL)
                return arena_check(a, err);
            *more = (struct todo){ child, todo };
            todo = more;
        }
    }
    return 0;
}
