/* The routes of sys/. */
#include "sys/system.h"

#include "logical/tools.h"

static const struct field mount_fields[] = {
    { "path", FIELD_STRING, NULL, "Where the mount is." },
    { "type", FIELD_STRING, NULL, "Type of the engine." },
    { "description", FIELD_STRING, NULL, "For people." },
    { "config", FIELD_MAP, NULL, "Tunable values: default_lease_ttl, max_lease_ttl, ..." },
    { "options", FIELD_KV_PAIRS, NULL, "Options of the engine." },
    { "local", FIELD_BOOL, NULL, "Keep the mount out of replication." },
    { "seal_wrap", FIELD_BOOL, NULL, "Wrap critical values by the seal too." },
    { "external_entropy_access", FIELD_BOOL, NULL, "Take randomness from an external source." },
    { "plugin_name", FIELD_STRING, NULL, "Name of the plugin, for type \"plugin\"." },
};

static const struct field remount_fields[] = {
    { "from", FIELD_STRING, NULL, "Present path of the mount." },
    { "to", FIELD_STRING, NULL, "New path." },
};

static const struct field policy_fields[] = {
    { "name", FIELD_STRING, NULL, "Name of the policy." },
    { "policy", FIELD_STRING, NULL, "Text of the policy, HCL or JSON, or base64 of it." },
    { "rules", FIELD_STRING, NULL, "The older name of \"policy\"." },
};

static const struct field capabilities_fields[] = {
    { "token", FIELD_STRING, NULL, "Token to ask about." },
    { "accessor", FIELD_STRING, NULL, "Accessor of the token to ask about." },
    { "path", FIELD_COMMA_STRINGS, NULL, "The older name of \"paths\"." },
    { "paths", FIELD_COMMA_STRINGS, NULL, "Paths to ask about." },
};

static const struct field lease_fields[] = {
    { "lease_id", FIELD_STRING, NULL, "The lease." },
    { "url_lease_id", FIELD_STRING, NULL, "The lease, in the path." },
    { "increment", FIELD_SECONDS, NULL, "How long it shall live from now." },
    { "sync", FIELD_BOOL, NULL, "Answer only when the revocation is done (it always is)." },
    { "prefix", FIELD_STRING, NULL, "Path that the leases begin with." },
};

static const struct field wrap_fields[] = {
    { "token", FIELD_STRING, NULL, "The wrapping token." },
};

static const struct field raw_fields[] = {
    { "path", FIELD_STRING, NULL, "Key in the store." },
    { "value", FIELD_STRING, NULL, "Text to store." },
};

static const struct field audit_fields[] = {
    { "path", FIELD_STRING, NULL, "Where the device is." },
    { "type", FIELD_STRING, NULL, "file, syslog or socket." },
    { "description", FIELD_STRING, NULL, "For people." },
    { "options", FIELD_KV_PAIRS, NULL, "Options of the device." },
    { "local", FIELD_BOOL, NULL, "Keep the device out of replication." },
    { "input", FIELD_STRING, NULL, "Text to hash as the device does." },
};

static const struct field header_fields[] = {
    { "header", FIELD_STRING, NULL, "Name of the request header." },
    { "hmac", FIELD_BOOL, NULL, "Write an HMAC of its value instead of the value." },
};

static const struct field catalog_fields[] = {
    { "type", FIELD_STRING, NULL, "auth, secret or database." },
    { "name", FIELD_STRING, NULL, "Name of the plugin." },
};

static const struct field cors_fields[] = {
    { "allowed_origins", FIELD_COMMA_STRINGS, NULL, "Origins that may call, or \"*\"." },
    { "allowed_headers", FIELD_COMMA_STRINGS, NULL, "Headers allowed beside the usual ones." },
};

static const struct field ui_fields[] = {
    { "header", FIELD_STRING, NULL, "Name of the header." },
    { "values", FIELD_STRINGS, NULL, "What it is set to." },
    { "multivalue", FIELD_BOOL, NULL, "Answer with all values instead of the first." },
};

static const struct field metrics_fields[] = {
    { "format", FIELD_STRING, NULL, "Empty for JSON, or \"prometheus\"." },
};

static const struct field rotate_fields[] = {
    { "enabled", FIELD_BOOL, NULL, "Rotate the encryption key automatically." },
    { "max_operations", FIELD_INT, NULL, "Encryptions after which the key is rotated." },
    { "interval", FIELD_SECONDS, NULL, "Time after which the key is rotated." },
};

static const struct field raft_fields[] = {
    { "server_id", FIELD_STRING, NULL, "Node id of the member." },
    { "answer", FIELD_STRING, NULL, "What the challenge opened to, base64." },
    { "cluster_addr", FIELD_STRING, NULL, "host:port at which the other members reach the node." },
    { "non_voter", FIELD_BOOL, NULL, "Let it have a copy of the data, but no vote." },
};

static const struct field autopilot_fields[] = {
    { "cleanup_dead_servers", FIELD_BOOL, NULL, "Remove servers that are dead." },
    { "last_contact_threshold", FIELD_SECONDS, NULL, "Silence after which one is unhealthy." },
    { "dead_server_last_contact_threshold", FIELD_SECONDS, NULL,
      "Silence after which one is dead." },
    { "max_trailing_logs", FIELD_INT, NULL, "Entries behind the leader that are still healthy." },
    { "min_quorum", FIELD_INT, NULL, "Voters that must remain when a dead one is removed." },
    { "server_stabilization_time", FIELD_SECONDS, NULL,
      "How long one must be healthy to count as stable." },
};

static const struct route routes[] = {
    { "mounts", .read = mounts_read, .summary = "List the secrets engines." },
    { "mounts/{path:+}", FIELDS(mount_fields), .read = mount_read, .write = mount_write,
      .del = mount_delete, .summary = "Enable, tune or disable a secrets engine." },
    { "remount", FIELDS(remount_fields), ROUTE_SUDO, .write = remount_write,
      .summary = "Move a mount to another path." },
    { "auth", .read = auths_read, .summary = "List the auth methods." },
    { "auth/{path:+}", FIELDS(mount_fields), ROUTE_SUDO, .read = auth_read, .write = auth_write,
      .del = auth_delete, .summary = "Enable, tune or disable an auth method." },

    { "policy", .read = policies_read, .list = acls_list, .summary = "List the policies." },
    { "policy/{name:+}", FIELDS(policy_fields), .read = policy_read, .write = policy_write,
      .del = policy_delete, .summary = "Read, write or delete a policy." },
    { "policies/acl/?", .list = acls_list, .summary = "List the ACL policies." },
    { "policies/acl/{name:+}", FIELDS(policy_fields), .read = acl_read, .write = acl_write,
      .del = policy_delete, .summary = "Read, write or delete an ACL policy." },
    { "capabilities", FIELDS(capabilities_fields), ROUTE_NO_COMMIT, .write = capabilities_write,
      .summary = "What a token may do on a path." },
    { "capabilities-self", FIELDS(capabilities_fields), ROUTE_NO_COMMIT,
      .write = capabilities_self_write, .summary = "What the caller may do on a path." },
    { "capabilities-accessor", FIELDS(capabilities_fields), ROUTE_NO_COMMIT,
      .write = capabilities_accessor_write,
      .summary = "What the token of an accessor may do on a path." },

    { "leases/lookup", FIELDS(lease_fields), .write = lease_lookup_write,
      .summary = "Look up a lease." },
    { "leases/lookup/{prefix...}", FIELDS(lease_fields), ROUTE_SUDO, .list = lease_lookup_list,
      .summary = "List leases by path." },
    { "leases/renew(/{url_lease_id:+})", FIELDS(lease_fields), .write = lease_renew_write,
      .summary = "Renew a lease." },
    { "renew(/{url_lease_id:+})", FIELDS(lease_fields), .write = lease_renew_write,
      .summary = "Renew a lease (older path)." },
    { "leases/revoke(/{url_lease_id:+})", FIELDS(lease_fields), .write = lease_revoke_write,
      .summary = "Revoke a lease." },
    { "revoke(/{url_lease_id:+})", FIELDS(lease_fields), .write = lease_revoke_write,
      .summary = "Revoke a lease (older path)." },
    { "leases/revoke-prefix/{prefix:+}", FIELDS(lease_fields), ROUTE_SUDO,
      .write = lease_prefix_write, .summary = "Revoke all leases below a path." },
    { "revoke-prefix/{prefix:+}", FIELDS(lease_fields), ROUTE_SUDO, .write = lease_prefix_write,
      .summary = "Revoke all leases below a path (older path)." },
    { "leases/revoke-force/{prefix:+}", FIELDS(lease_fields), ROUTE_SUDO,
      .write = lease_force_write,
      .summary = "Drop all leases below a path, whatever their engine says." },
    { "revoke-force/{prefix:+}", FIELDS(lease_fields), ROUTE_SUDO, .write = lease_force_write,
      .summary = "Drop all leases below a path (older path)." },
    { "leases/tidy", .write = lease_tidy_write, .summary = "Remove leases without a token." },

    { "wrapping/wrap", .write = wrap_write, .summary = "Wrap the fields of the request." },
    { "wrapping/unwrap", FIELDS(wrap_fields), .write = unwrap_write,
      .summary = "Fetch a wrapped answer." },
    { "wrapping/rewrap", FIELDS(wrap_fields), .write = rewrap_write,
      .summary = "Wrap an answer anew." },
    { "wrapping/lookup", FIELDS(wrap_fields), ROUTE_NO_TOKEN, .read = wrap_lookup_read,
      .write = wrap_lookup_write, .summary = "Where a wrapping token comes from." },

    { "tools/random(/{urlbytes:any})", FIELDS(tools_random_fields), ROUTE_NO_COMMIT,
      .write = tools_random, .summary = "Random bytes." },
    { "tools/hash(/{urlalgorithm:any})", FIELDS(tools_hash_fields), ROUTE_NO_COMMIT,
      .write = tools_hash, .summary = "Hash of a text." },

    { "raw/?{path...}", FIELDS(raw_fields), ROUTE_SUDO, .read = raw_read, .list = raw_list,
      .write = raw_write, .del = raw_delete, .summary = "Entries of the store." },

    { "key-status", .read = key_status_read, .summary = "The encryption key in use." },
    { "rotate", .flags = ROUTE_SUDO, .write = rotate_write,
      .summary = "Make a new encryption key." },
    { "rotate/config", FIELDS(rotate_fields), ROUTE_SUDO, .read = rotate_config_read,
      .write = rotate_config_write, .summary = "When the encryption key is rotated by itself." },

    { "rekey/backup", .read = rekey_backup_read, .del = rekey_backup_delete,
      .summary = "The PGP-encrypted shares of the last rekey." },
    { "rekey/recovery-key-backup", .read = rekey_backup_read, .del = rekey_backup_delete,
      .summary = "The PGP-encrypted shares of the last rekey of the recovery key." },

    { "audit", .flags = ROUTE_SUDO, .read = audits_read, .summary = "List the audit devices." },
    { "audit/{path:+}", FIELDS(audit_fields), ROUTE_SUDO, .write = audit_write,
      .del = audit_delete, .summary = "Enable or disable an audit device." },
    { "audit-hash/{path:+}", FIELDS(audit_fields), .write = audit_hash_write,
      .summary = "Hash a text as an audit device does." },
    { "config/auditing/request-headers", .flags = ROUTE_SUDO, .read = audit_headers_read,
      .summary = "Request headers that are audited." },
    { "config/auditing/request-headers/{header:+}", FIELDS(header_fields), ROUTE_SUDO,
      .read = audit_header_read, .write = audit_header_write, .del = audit_header_delete,
      .summary = "Audit a request header." },

    { "plugins/catalog/{type}/{name}", FIELDS(catalog_fields), ROUTE_SUDO, .read = catalog_read,
      .summary = "A built-in plugin." },
    { "plugins/catalog/{type}/?", FIELDS(catalog_fields), ROUTE_SUDO, .list = catalog_list,
      .summary = "List the built-in plugins of a kind." },

    { "config/cors", FIELDS(cors_fields), ROUTE_SUDO, .read = cors_read, .write = cors_write,
      .del = cors_delete, .summary = "Which origins browsers may call from." },
    { "config/ui/headers/?", .flags = ROUTE_SUDO, .list = ui_headers_list,
      .summary = "List the headers of the web interface." },
    { "config/ui/headers/{header}", FIELDS(ui_fields), ROUTE_SUDO, .read = ui_header_read,
      .write = ui_header_write, .del = ui_header_delete,
      .summary = "A header that the web interface is served with." },

    { "metrics", FIELDS(metrics_fields), ROUTE_SLOW, .read = metrics_read,
      .summary = "How often and how long things were done." },

    { "internal/ui/mounts", .flags = ROUTE_NO_TOKEN, .read = ui_mounts_read,
      .summary = "Mounts that the caller may see." },
    { "internal/ui/mounts/{path:+}", FIELDS(mount_fields), ROUTE_NO_TOKEN, .read = ui_mount_read,
      .summary = "A mount that the caller may see." },
    { "internal/ui/resultant-acl", .read = ui_acl_read, .summary = "All that the caller may do." },
    { "internal/counters/requests", .flags = ROUTE_ACTIVE, .read = counters_requests_read,
      .summary = "Requests served, month by month." },
    { "internal/specs/openapi", .flags = ROUTE_NO_TOKEN, .read = openapi_read,
      .summary = "This API as an OpenAPI document." },

    { "storage/raft/configuration", .flags = ROUTE_ACTIVE, .read = raft_configuration_read,
      .summary = "The members of the cluster." },
    { "storage/raft/bootstrap/challenge", FIELDS(raft_fields), ROUTE_NO_TOKEN,
      .write = raft_challenge_write, .summary = "For a node that wants to join." },
    { "storage/raft/bootstrap/answer", FIELDS(raft_fields), ROUTE_NO_TOKEN,
      .write = raft_answer_write, .summary = "For a node that wants to join." },
    { "storage/raft/remove-peer", FIELDS(raft_fields), .write = raft_remove_peer_write,
      .summary = "Remove a member from the cluster." },
    { "storage/raft/promote", FIELDS(raft_fields), .write = raft_promote_write,
      .summary = "Make a member a voter." },
    { "storage/raft/demote", FIELDS(raft_fields), .write = raft_demote_write,
      .summary = "Take a member's vote away." },
    { "storage/raft/autopilot/state", .flags = ROUTE_ACTIVE, .read = autopilot_state_read,
      .summary = "The members' health." },
    { "storage/raft/autopilot/configuration", FIELDS(autopilot_fields), ROUTE_ACTIVE,
      .read = autopilot_config_read, .write = autopilot_config_write,
      .summary = "Who counts as healthy, and what becomes of the dead." },
    { "ha-status", .flags = ROUTE_ACTIVE, .read = ha_status_read,
      .summary = "The nodes of the cluster." },

    /* Answered by api/ outside the pipeline; here for their sudo and their help. */
    { "seal", .flags = ROUTE_SUDO, .summary = "Seal the server." },
    { "monitor", .summary = "The log, line by line, while the connection lasts." },
    { "storage/raft/snapshot", .flags = ROUTE_SUDO,
      .summary = "The whole store as an archive; or put one in its place." },
    { "storage/raft/snapshot-force", .flags = ROUTE_SUDO,
      .summary = "Put an archive in the store's place, whoever's it was." },
    { "step-down", .flags = ROUTE_SUDO, .summary = "Give up being the active node." },
};

const struct engine engine_system = {
    .type = "system",
    .help = "The system backend: mounts, policies, leases, audit and all that runs the server.",
    ROUTES(routes),
};
