/* The paths that are answered without the pipeline: they work sealed, or before init. */
#include "api/call.h"
#include "core/echo.h"

static const struct fixed table[] = {
    { "sys/generate-root/attempt", genroot_get, genroot_put, genroot_del, FIXED_ACTIVE },
    { "sys/generate-root/update", NULL, genroot_update_put, NULL, FIXED_ACTIVE },
    { ECHO_PATH, NULL, echo_put, NULL, FIXED_QUICK | FIXED_MEMBER },
    { "sys/health", health_get, NULL, NULL, FIXED_HEAD | FIXED_QUICK },
    { "sys/init", init_get, init_put, NULL, 0 },
    { "sys/leader", leader_get, NULL, NULL, FIXED_QUICK },
    { "sys/monitor", monitor_get, NULL, NULL, 0 },
    { "sys/rekey-recovery-key/init", rekey_get, rekey_put, rekey_del, FIXED_ACTIVE },
    { "sys/rekey-recovery-key/update", NULL, rekey_update_put, NULL, FIXED_ACTIVE },
    { "sys/rekey-recovery-key/verify", rekey_verify_get, rekey_verify_put, rekey_verify_del,
      FIXED_ACTIVE },
    { "sys/rekey/init", rekey_get, rekey_put, rekey_del, FIXED_ACTIVE },
    { "sys/rekey/update", NULL, rekey_update_put, NULL, FIXED_ACTIVE },
    { "sys/rekey/verify", rekey_verify_get, rekey_verify_put, rekey_verify_del, FIXED_ACTIVE },
    { "sys/seal", NULL, seal_put, NULL, 0 },
    { "sys/seal-status", seal_status_get, NULL, NULL, 0 },
    { "sys/step-down", NULL, step_down_put, NULL, FIXED_ACTIVE },
    { "sys/storage/raft/join", NULL, raft_join_put, NULL, 0 },
    { "sys/storage/raft/snapshot", snapshot_get, snapshot_put, NULL, FIXED_ACTIVE },
    { "sys/storage/raft/snapshot-force", NULL, snapshot_force_put, NULL, FIXED_ACTIVE },
    { "sys/unseal", NULL, unseal_put, NULL, 0 },
};

static const struct fixed recovery_table[] = {
    { "sys/generate-recovery-token/attempt", genroot_get, genroot_put, genroot_del, 0 },
    { "sys/generate-recovery-token/update", NULL, genroot_update_put, NULL, 0 },
};

static const struct fixed *find(const struct fixed *rows, size_t n, struct str path)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(path, rows[i].path))
            return &rows[i];
    return NULL;
}

const struct fixed *fixed_find(struct str path)
{
    return str_starts(path, STR("sys/")) ? find(table, ARRAY_LEN(table), path) : NULL;
}

const struct fixed *recovery_fixed_find(struct str path)
{
    return find(recovery_table, ARRAY_LEN(recovery_table), path);
}
