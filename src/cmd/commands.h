/* Commands: every command of the program; main.c lists them, each file defines its own. */
#ifndef CMD_COMMANDS_H
#define CMD_COMMANDS_H

#include "cmd/command.h"

/* absent.c */
extern const struct command command_agent, command_debug, command_namespace, command_plugin,
    command_ssh, command_operator_usage;

/* audit.c */
extern const struct command command_audit, command_audit_enable, command_audit_disable,
    command_audit_list;

/* generic.c */
extern const struct command command_read, command_write_data, command_patch, command_list,
    command_delete, command_unwrap, command_path_help;

/* kv.c */
extern const struct command command_kv, command_kv_get, command_kv_put, command_kv_patch,
    command_kv_list, command_kv_enable_versioning;

/* kv_metadata.c */
extern const struct command command_kv_metadata, command_kv_metadata_get,
    command_kv_metadata_put, command_kv_metadata_delete;

/* kv_versions.c */
extern const struct command command_kv_delete, command_kv_undelete, command_kv_destroy,
    command_kv_rollback;

/* lease.c */
extern const struct command command_lease, command_lease_lookup, command_lease_renew,
    command_lease_revoke;

/* login.c */
extern const struct command command_login, command_auth_help;

/* monitor.c */
extern const struct command command_monitor;

/* mounts.c */
extern const struct command command_secrets, command_auth, command_secrets_enable,
    command_auth_enable, command_secrets_disable, command_auth_disable, command_secrets_list,
    command_auth_list, command_secrets_tune, command_auth_tune, command_secrets_move;

/* operator_autopilot.c */
extern const struct command command_operator_raft_autopilot,
    command_operator_raft_autopilot_get_config, command_operator_raft_autopilot_set_config,
    command_operator_raft_autopilot_state;

/* operator_diagnose.c */
extern const struct command command_operator_diagnose;

/* operator_generate_root.c */
extern const struct command command_operator_generate_root;

/* operator_init.c */
extern const struct command command_operator_init;

/* operator_migrate.c */
extern const struct command command_operator_migrate;

/* operator_raft.c */
extern const struct command command_operator_raft, command_operator_raft_list_peers,
    command_operator_raft_remove_peer, command_operator_raft_join;

/* operator_rekey.c */
extern const struct command command_operator_rekey;

/* operator_seal.c */
extern const struct command command_operator, command_operator_unseal, command_operator_seal,
    command_operator_step_down, command_operator_key_status, command_operator_rotate;

/* operator_snapshot.c */
extern const struct command command_operator_raft_snapshot, command_operator_raft_snapshot_save,
    command_operator_raft_snapshot_restore, command_operator_raft_snapshot_inspect;

/* policy.c */
extern const struct command command_policy, command_policy_read, command_policy_write,
    command_policy_list, command_policy_delete, command_policy_fmt;

/* status.c */
extern const struct command command_status;

/* token.c */
extern const struct command command_token, command_token_create, command_token_lookup,
    command_token_renew, command_token_revoke, command_token_capabilities;

/* version.c */
extern const struct command command_version, command_server, command_print, command_print_token;

#endif
