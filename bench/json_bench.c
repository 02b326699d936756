/* Bench: nanoseconds to parse and print a request's body of some 330 bytes, arena included. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "codec/json.h"

static const char body[] =
    "{\"data\":{\"username\":\"app-frontend\",\"password\":\"c0rrect-horse-battery-staple\","
    "\"host\":\"db-primary.internal.example.com\",\"port\":5432,\"tls\":true,"
    "\"options\":{\"pool\":20,\"timeout_ms\":1500,\"schema\":\"public\"},"
    "\"replicas\":[\"db-replica-1.internal.example.com\",\"db-replica-2.internal.example.com\"]},"
    "\"options\":{\"cas\":3}}";

enum { ROUNDS = 200000, TRIES = 5 };

/* One body in and out again. */
static void once(struct arena *a, struct buf *out)
{
    struct json *v;
    if (json_parse_all(a, str_mem(body, sizeof body - 1), &v, NULL) < 0)
        abort();
    json_print(v, out);
}

int main(void)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf out = { 0 };
    double best = 1e9;
    if (a == NULL)
        return 1;
    for (int t = 0; t < TRIES; t++) {
        int64_t start = clock_mono_ns(&clock_system);
        for (int i = 0; i < ROUNDS; i++) {
            once(a, &out);
            arena_reset(a);
            buf_clear(&out);
        }
        double each = (double)(clock_mono_ns(&clock_system) - start) / ROUNDS;
        best = each < best ? each : best;
    }
    printf("json: parse + print of %zu bytes: %.0f ns (best of %d)\n", sizeof body - 1, best,
           TRIES);
    return 0;
}
