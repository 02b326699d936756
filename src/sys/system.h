/* System: the backend of sys/, one file per area; its state is the core's active set. */
#ifndef SYS_SYSTEM_H
#define SYS_SYSTEM_H

#include "core/active.h"
#include "core/lifecycle.h"
#include "logical/engine.h"

extern const struct engine engine_system;   /* sys/ */
extern const struct engine engine_token;    /* auth/token/ */
extern const struct engine engine_identity; /* identity/ */

/* What a handler of this folder works on. */
static inline const struct active *active_of(const struct request *req)
{
    return req->backend;
}

/* Old reads carry their data twice: under "data" and beside the envelope. 1. */
int system_twice(struct response *resp);

/* A path as mounts have it: no slash in front, one at the end. */
struct str system_mount_path(struct arena *a, struct str path);

/* Handlers, by file. */
route_fn mounts_read, mount_read, mount_write, mount_delete, remount_write;     /* mounts.c */
route_fn auths_read, auth_read, auth_write, auth_delete;                        /* mounts.c */
struct json *mounts_describe(struct arena *a, const struct mount *m);
route_fn ui_mounts_read, ui_mount_read, ui_acl_read;                                         /* visible.c */
route_fn policies_read, policy_read, policy_write, policy_delete;               /* policies.c */
route_fn acls_list, acl_read, acl_write;                                        /* policies.c */
route_fn capabilities_write, capabilities_self_write, capabilities_accessor_write;
route_fn lease_lookup_write, lease_lookup_list, lease_renew_write, lease_revoke_write;
route_fn lease_prefix_write, lease_force_write, lease_tidy_write;
route_fn wrap_write, unwrap_write, rewrap_write, wrap_lookup_write, wrap_lookup_read;
route_fn raw_read, raw_list, raw_write, raw_delete;
route_fn key_status_read, rotate_write, rotate_config_read, rotate_config_write; /* keys.c */
route_fn rekey_backup_read, rekey_backup_delete;                                 /* keys.c */
route_fn audits_read, audit_write, audit_delete, audit_hash_write;
route_fn audit_headers_read, audit_header_read, audit_header_write, audit_header_delete;
route_fn catalog_read, catalog_list;
route_fn openapi_read;
route_fn metrics_read;
route_fn counters_requests_read;
route_fn cors_read, cors_write, cors_delete;                                     /* browser.c */
route_fn ui_headers_list, ui_header_read, ui_header_write, ui_header_delete;     /* browser.c */
route_fn raft_configuration_read, raft_remove_peer_write, raft_promote_write;    /* raft.c */
route_fn raft_demote_write, raft_challenge_write, raft_answer_write;             /* raft.c */
route_fn autopilot_config_read, autopilot_config_write, autopilot_state_read;    /* raft.c */
route_fn ha_status_read;                                                         /* raft.c */

#endif
