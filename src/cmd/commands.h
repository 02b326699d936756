/* Commands: every command of the program; main.c lists them, each file defines its own. */
#ifndef CMD_COMMANDS_H
#define CMD_COMMANDS_H

#include "cmd/command.h"

/* generic.c */
extern const struct command command_read, command_write_data, command_list, command_delete,
    command_unwrap, command_path_help;
/* status.c */
extern const struct command command_status;
/* operator_init.c, operator_seal.c, operator_rekey.c, operator_generate_root.c */
extern const struct command command_operator, command_operator_init, command_operator_unseal,
    command_operator_seal, command_operator_step_down, command_operator_key_status,
    command_operator_rotate, command_operator_rekey, command_operator_generate_root;
/* kv.c, kv_versions.c, kv_metadata.c */
extern const struct command command_kv, command_kv_get, command_kv_put, command_kv_patch,
    command_kv_list, command_kv_delete, command_kv_undelete, command_kv_destroy,
    command_kv_rollback, command_kv_enable_versioning, command_kv_metadata,
    command_kv_metadata_get, command_kv_metadata_put, command_kv_metadata_delete;
/* version.c */
extern const struct command command_version, command_server, command_print, command_print_token;

#endif
