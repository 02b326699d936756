/*
 * Fuzz target: the small texts that requests and configurations hold.  Durations, times, address
 * blocks, base64 and hex: what is read is written so that it reads the same.
 */
#include <stdlib.h>

#include "codec/base64.h"
#include "codec/timefmt.h"
#include "logical/cidr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_duration(struct arena *a, struct str text)
{
    int64_t ns, again;
    struct err err = { 0 };
    (void)!duration_parse(text, true, &ns, &err);
    if (duration_parse(text, false, &ns, &err) < 0) {
        must(err.code == ERR_BAD_REQUEST);
        return;
    }
    if (ns == INT64_MIN)
        return;
    must(duration_parse_go(duration_format(a, ns), &again, &err) == 0 && again == ns);
}

static void check_time(struct arena *a, struct str text)
{
    int64_t ns, again;
    struct err err = { 0 };
    if (time_parse(text, &ns, &err) < 0)
        must(err.code == ERR_BAD_REQUEST);
    else
        must(time_parse(time_format(a, ns), &again, &err) == 0 && again == ns);
}

static void check_cidr(struct arena *a, struct str text)
{
    struct cidr c, again;
    struct err err = { 0 };
    if (cidr_parse(text, &c, &err) < 0)
        return;
    must(c.bits >= 0 && c.bits <= (c.v6 ? 128 : 32) && c.port >= 0 && c.port <= 65535);
    struct str printed = cidr_format(a, &c);
    must(cidr_parse(printed, &again, &err) == 0);
    must(again.v6 == c.v6 && memcmp(again.addr, c.addr, sizeof c.addr) == 0);
    must(c.port > 0 || again.bits == c.bits);
    (void)cidr_contains(&c, STR("10.1.2.3"));
    (void)cidr_contains(&c, STR("::ffff:10.1.2.3"));
    (void)cidr_contains(&c, text);
    if (str_find_byte(text, '/') < 0 && str_find_byte(text, ':') < 0)
        must(cidr_contains(&c, text));
}

static void check_codes(struct arena *a, struct str text)
{
    struct str bytes, back;
    if (base64_decode(a, text, &bytes, NULL) == 0) {
        must(bytes.n <= text.n);
        must(base64_decode(a, base64_encode(a, bytes), &back, NULL) == 0 && str_eq(back, bytes));
    }
    if (base64url_decode(a, text, &bytes, NULL) == 0)
        must(base64url_decode(a, base64url_encode(a, bytes), &back, NULL) == 0
             && str_eq(back, bytes));
    if (hex_decode(a, text, &bytes, NULL) == 0)
        must(str_eq_nocase(hex_encode(a, bytes), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str text = str_mem(data, size);
    check_duration(a, text);
    check_time(a, text);
    check_cidr(a, text);
    check_codes(a, text);
    return 0;
}
