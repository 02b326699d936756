/*
 * Fuzz target: a stored named key, policy and archive with a NUL between, as a restore of a backup
 * brings it: brought up to date and made ready to be stored, or refused.
 */
#include <stdlib.h>

#include "engines/transit/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str policy = str_mem(data, size), archive = { NULL, 0 };
    struct transit_record r;
    struct err err = { 0 };
    ptrdiff_t nul = str_find_byte(policy, 0);
    if (nul >= 0) {
        archive = str_from(policy, (size_t)nul + 1);
        policy = str_head(policy, (size_t)nul);
    }
    if (transit_record_parse(a, policy, archive, &r, &err) < 0) {
        must(err.code == ERR_CORRUPT);
        return 0;
    }
    if (transit_record_upgrade(&r, 1600000000000000000, &err) == 0
        && transit_record_settle(&r, &err) == 0)
        must(json_is(r.policy, JSON_OBJECT) && json_is(r.archive, JSON_OBJECT));
    return 0;
}
