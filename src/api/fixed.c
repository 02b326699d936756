/* The paths that are answered without the pipeline: they work sealed, or before init. */
#include "api/call.h"

static const struct fixed table[] = {
    { "sys/generate-root/attempt", genroot_get, genroot_put, genroot_del, false, false },
    { "sys/generate-root/update", NULL, genroot_update_put, NULL, false, false },
    { "sys/health", health_get, NULL, NULL, true, true },
    { "sys/init", init_get, init_put, NULL, false, false },
    { "sys/leader", leader_get, NULL, NULL, false, true },
    { "sys/monitor", monitor_get, NULL, NULL, false, false },
    { "sys/rekey-recovery-key/init", rekey_get, rekey_put, rekey_del, false, false },
    { "sys/rekey-recovery-key/update", NULL, rekey_update_put, NULL, false, false },
    { "sys/rekey-recovery-key/verify", rekey_verify_get, rekey_verify_put, rekey_verify_del, false,
      false },
    { "sys/rekey/init", rekey_get, rekey_put, rekey_del, false, false },
    { "sys/rekey/update", NULL, rekey_update_put, NULL, false, false },
    { "sys/rekey/verify", rekey_verify_get, rekey_verify_put, rekey_verify_del, false, false },
    { "sys/seal", NULL, seal_put, NULL, false, false },
    { "sys/seal-status", seal_status_get, NULL, NULL, false, false },
    { "sys/step-down", NULL, step_down_put, NULL, false, false },
    { "sys/unseal", NULL, unseal_put, NULL, false, false },
};

const struct fixed *fixed_find(struct str path)
{
    if (!str_starts(path, STR("sys/")))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_is(path, table[i].path))
            return &table[i];
    return NULL;
}
