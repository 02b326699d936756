/* Texts of the built-in policies: they grant what Vault's of the same name grant. */
#include "core/policy_builtin.h"

#define GRANT(path, caps) "path \"" path "\" {\n    capabilities = [" caps "]\n}\n"

/* clang-format off: one grant a line */
static const char default_text[] =
    "# What every token may do unless it was made without this policy.\n"
    "\n"
    "# With itself: look at its own properties and capabilities, renew, revoke.\n"
    GRANT("auth/token/lookup-self", "\"read\"")
    GRANT("auth/token/renew-self", "\"update\"")
    GRANT("auth/token/revoke-self", "\"update\"")
    GRANT("sys/capabilities-self", "\"update\"")
    "\n"
    "# The whole of its rules, for user interfaces; the format of the answer may change.\n"
    GRANT("sys/internal/ui/resultant-acl", "\"read\"")
    "\n"
    "# The identity behind it, by id or by name.\n"
    GRANT("identity/entity/id/{{identity.entity.id}}", "\"read\"")
    GRANT("identity/entity/name/{{identity.entity.name}}", "\"read\"")
    "\n"
    "# Leases whose id it knows: renew (by the old and the new path) and look up.\n"
    GRANT("sys/renew", "\"update\"")
    GRANT("sys/leases/renew", "\"update\"")
    GRANT("sys/leases/lookup", "\"update\"")
    "\n"
    "# The drawer that only this token can open.\n"
    GRANT("cubbyhole/*", "\"create\", \"read\", \"update\", \"delete\", \"list\"")
    "\n"
    "# Response wrapping: put in, look at the envelope, take out.\n"
    GRANT("sys/wrapping/wrap", "\"update\"")
    GRANT("sys/wrapping/lookup", "\"update\"")
    GRANT("sys/wrapping/unwrap", "\"update\"")
    "\n"
    "# Hashing.\n"
    GRANT("sys/tools/hash", "\"update\"")
    GRANT("sys/tools/hash/*", "\"update\"")
    "\n"
    "# The state of a control group request whose accessor it knows.\n"
    GRANT("sys/control-group/request", "\"update\"");

static const char response_wrapping_text[] =
    GRANT("cubbyhole/response", "\"create\", \"read\"")
    GRANT("sys/wrapping/unwrap", "\"update\"");

static const char control_group_text[] =
    GRANT("cubbyhole/control-group", "\"update\", \"create\", \"read\"")
    GRANT("sys/wrapping/unwrap", "\"update\"");
/* clang-format on */

static const struct policy_builtin builtins[] = {
    { STR_INIT("default"), { default_text, sizeof default_text - 1 }, false },
    { STR_INIT("response-wrapping"),
      { response_wrapping_text, sizeof response_wrapping_text - 1 },
      true },
    { STR_INIT("control-group"), { control_group_text, sizeof control_group_text - 1 }, true },
};

const struct policy_builtin *policy_builtin_at(size_t i)
{
    return i < ARRAY_LEN(builtins) ? &builtins[i] : NULL;
}
