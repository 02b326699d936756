/* Routes: the handlers of the engine's table, by file. */
#ifndef ENGINES_SSH_ROUTES_H
#define ENGINES_SSH_ROUTES_H

#include "logical/engine.h"

/* roles.c */
route_fn ssh_roles_read, ssh_roles_write, ssh_roles_delete, ssh_roles_list;

/* ca.c */
route_fn ssh_ca_read, ssh_ca_write, ssh_ca_delete, ssh_ca_public;

/* sign.c */
route_fn ssh_sign;

/* otp.c */
route_fn ssh_otp_creds, ssh_otp_verify, ssh_otp_revoke;

/* address.c */
route_fn ssh_address_lookup, ssh_address_read, ssh_address_write, ssh_address_delete;

/* hostkey.c */
route_fn ssh_hostkey_write, ssh_hostkey_delete, ssh_hostkey_renew, ssh_hostkey_revoke;

#endif
