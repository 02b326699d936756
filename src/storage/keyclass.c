/* One table, from path to class. */
#include "storage/keyclass.h"

/* A path that ends in '/' stands for all below it; the longest match of a key decides. */
static const struct {
    struct str path;
    enum keyclass keyclass;
} table[] = {
    /* Each cluster has its own seal, unseal shares, lock, leader, and raft. */
    { STR_INIT("core/seal-config"), KEYCLASS_CLUSTER },
    { STR_INIT("core/recovery-config"), KEYCLASS_CLUSTER },
    { STR_INIT("core/recovery-key"), KEYCLASS_CLUSTER },
    { STR_INIT("core/hsm/"), KEYCLASS_CLUSTER },
    { STR_INIT("core/shamir-kek"), KEYCLASS_CLUSTER },
    { STR_INIT("core/unseal-keys-backup"), KEYCLASS_CLUSTER },
    { STR_INIT("core/recovery-keys-backup"), KEYCLASS_CLUSTER },
    { STR_INIT("core/lock"), KEYCLASS_CLUSTER },
    { STR_INIT("core/leader/"), KEYCLASS_CLUSTER },
    { STR_INIT("core/raft/"), KEYCLASS_CLUSTER },
    { STR_INIT("core/cluster/local/"), KEYCLASS_CLUSTER },
    { STR_INIT("core/cluster/replicated/"), KEYCLASS_CLUSTER },
    { STR_INIT("core/cluster/replicated-dr/"), KEYCLASS_CLUSTER },
    { STR_INIT("core/primary-addrs/"), KEYCLASS_CLUSTER },
    { STR_INIT("core/poison-pill"), KEYCLASS_CLUSTER },
    { STR_INIT("core/dr-operation-token"), KEYCLASS_CLUSTER },
    { STR_INIT("wal/"), KEYCLASS_CLUSTER },
    { STR_INIT("index/"), KEYCLASS_CLUSTER },
    { STR_INIT("index-dr/"), KEYCLASS_CLUSTER },
    /* Keyrings are fetched when the replicated canary tells of a new term, not sent as entries. */
    { STR_INIT("core/keyring"), KEYCLASS_CLUSTER },
    { STR_INIT("core/master"), KEYCLASS_CLUSTER },
    { STR_INIT("core/upgrade/"), KEYCLASS_CLUSTER },
    /* What a performance secondary has of its own, and its stand-in must have too. */
    { STR_INIT("core/local-mounts"), KEYCLASS_DR },
    { STR_INIT("core/local-auth"), KEYCLASS_DR },
    { STR_INIT("core/local-audit"), KEYCLASS_DR },
    { STR_INIT("core/wrapping/jwtkey"), KEYCLASS_DR },
    { STR_INIT("sys/token/"), KEYCLASS_DR },
    { STR_INIT("sys/token/roles/"), KEYCLASS_REPLICATED },
    { STR_INIT("sys/expire/"), KEYCLASS_DR },
    { STR_INIT("sys/counters/"), KEYCLASS_DR },
    /* Ours: what one server notes for itself. */
    { STR_INIT("core/node/"), KEYCLASS_NODE },
};

static bool covers(struct str path, struct str key)
{
    return str_ends(path, STR("/")) ? str_starts(key, path) : str_eq(key, path);
}

enum keyclass keyclass_of(struct str key)
{
    enum keyclass found = KEYCLASS_REPLICATED;
    size_t longest = 0;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].path.n > longest && covers(table[i].path, key)) {
            longest = table[i].path.n;
            found = table[i].keyclass;
        }
    return found;
}
