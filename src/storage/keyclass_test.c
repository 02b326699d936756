/* Which keys travel where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/keyclass.h"

static void each_path_has_its_class(void **state)
{
    static const struct {
        struct str key;
        enum keyclass keyclass;
    } cases[] = {
        { STR_INIT("logical/uuid/app"), KEYCLASS_REPLICATED },
        { STR_INIT("auth/uuid/role/web"), KEYCLASS_REPLICATED },
        { STR_INIT("core/mounts"), KEYCLASS_REPLICATED },
        { STR_INIT("core/canary-keyring"), KEYCLASS_REPLICATED },
        { STR_INIT("sys/policy/default"), KEYCLASS_REPLICATED },
        { STR_INIT("sys/token/roles/ops"), KEYCLASS_REPLICATED },
        { STR_INIT("sys/token/id/h00"), KEYCLASS_DR },
        { STR_INIT("sys/token/salt"), KEYCLASS_DR },
        { STR_INIT("sys/expire/id/auth/token/create/h00"), KEYCLASS_DR },
        { STR_INIT("sys/counters/requests/2026/01"), KEYCLASS_DR },
        { STR_INIT("core/local-mounts"), KEYCLASS_DR },
        { STR_INIT("core/lock"), KEYCLASS_CLUSTER },
        { STR_INIT("core/leader/uuid"), KEYCLASS_CLUSTER },
        { STR_INIT("core/cluster/local/info"), KEYCLASS_CLUSTER },
        { STR_INIT("core/raft/tls"), KEYCLASS_CLUSTER },
        { STR_INIT("core/hsm/barrier-unseal-keys"), KEYCLASS_CLUSTER },
        { STR_INIT("core/node/id"), KEYCLASS_NODE },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  " STR_FMT "\n", STR_ARG(cases[i].key));
        assert_int_equal(keyclass_of(cases[i].key), cases[i].keyclass);
    }
}

static void a_longer_name_is_not_covered_by_a_shorter_one(void **state)
{
    assert_int_equal(keyclass_of(STR("core/locksmith")), KEYCLASS_REPLICATED);
    assert_int_equal(keyclass_of(STR("core/lock/x")), KEYCLASS_REPLICATED);
    assert_int_equal(keyclass_of(STR("core/raft")), KEYCLASS_REPLICATED);
    assert_int_equal(keyclass_of(STR("")), KEYCLASS_REPLICATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_has_its_class),
        cmocka_unit_test(a_longer_name_is_not_covered_by_a_shorter_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
