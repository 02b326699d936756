/* The ssh engine's table of routes, and a mount's state. */
#include "engines/ssh/ssh.h"

#include <stdlib.h>

#include "engines/ssh/routes.h"
#include "engines/ssh/store.h"

static void ssh_close(void *state)
{
    struct ssh *mount = state;
    if (mount == NULL)
        return;
    keylock_free(mount->locks);
    free(mount);
}

static int ssh_open(const struct engine_ctx *ctx, void **state, struct err *err)
{
    struct ssh *mount = calloc(1, sizeof *mount);
    if (mount != NULL)
        mount->locks = keylock_new();
    if (mount == NULL || mount->locks == NULL) {
        ssh_close(mount);
        return err_set(err, ERR_NOMEM, "out of memory for an ssh mount");
    }
    *state = mount;
    return 0;
}

#define ROLE { "role", FIELD_STRING, NULL, "Name of the role." }

static const struct field roles_fields[] = {
    ROLE,
    { "key_type", FIELD_STRING, NULL, "otp or ca." },
    { "default_user", FIELD_STRING, NULL, "User when a request names none; otp must have one." },
    { "allowed_users", FIELD_STRING, NULL,
      "Users that a request may name, comma-separated; '*' is everybody. Empty: for otp the "
      "default user alone, for ca nobody." },
    { "cidr_list", FIELD_STRING, NULL, "otp: blocks of the hosts' addresses, comma-separated." },
    { "exclude_cidr_list", FIELD_STRING, NULL, "otp: blocks among them that do not count." },
    { "port", FIELD_INT, NULL, "otp: port of the host, told to clients. Default: 22." },
    { "allowed_users_template", FIELD_BOOL, NULL,
      "ca: allowed_users may name the caller, as in {{identity.entity.name}}." },
    { "allowed_domains", FIELD_STRING, NULL, "ca: domains of host certificates, comma-separated." },
    { "allow_bare_domains", FIELD_BOOL, NULL, "ca: a host may be an allowed domain itself." },
    { "allow_subdomains", FIELD_BOOL, NULL, "ca: a host may lie below an allowed domain." },
    { "allow_user_certificates", FIELD_BOOL, NULL, "ca: sign users' keys." },
    { "allow_host_certificates", FIELD_BOOL, NULL, "ca: sign hosts' keys." },
    { "ttl", FIELD_SECONDS, NULL,
      "ca: how long a certificate is good when a request does not say." },
    { "max_ttl", FIELD_SECONDS, NULL, "ca: the most that a request may ask for." },
    { "allowed_critical_options", FIELD_STRING, NULL,
      "ca: critical options that a request may set, comma-separated. Empty: any." },
    { "allowed_extensions", FIELD_STRING, NULL,
      "ca: extensions that a request may set, comma-separated. Empty: any." },
    { "default_critical_options", FIELD_MAP, NULL,
      "ca: critical options when a request has none." },
    { "default_extensions", FIELD_MAP, NULL, "ca: extensions when a request has none." },
    { "default_extensions_template", FIELD_BOOL, NULL,
      "ca: values of default_extensions may name the caller." },
    { "allow_user_key_ids", FIELD_BOOL, NULL, "ca: a request may choose the key id." },
    { "key_id_format", FIELD_STRING, NULL,
      "ca: the key id, with {{token_display_name}}, {{role_name}} and {{public_key_hash}}." },
    { "allowed_user_key_lengths", FIELD_MAP, NULL,
      "ca: kinds of keys (rsa, dsa, ecdsa, ed25519) and the bits that each must have." },
    { "algorithm_signer", FIELD_STRING, NULL,
      "ca: how an RSA key signs: ssh-rsa (the default, which OpenSSH refuses since 8.2), "
      "rsa-sha2-256 or rsa-sha2-512." },
    { "admin_user", FIELD_STRING, NULL, "Of dynamic keys, which are not supported." },
    { "key", FIELD_STRING, NULL, "Of dynamic keys, which are not supported." },
    { "key_bits", FIELD_INT, NULL, "Of dynamic keys, which are not supported." },
    { "install_script", FIELD_STRING, NULL, "Of dynamic keys, which are not supported." },
    { "key_option_specs", FIELD_STRING, NULL, "Of dynamic keys, which are not supported." },
};

static const struct field creds_fields[] = {
    ROLE,
    { "username", FIELD_STRING, NULL, "User on the host; the role's default when left out." },
    { "ip", FIELD_STRING, NULL, "Address of the host." },
};

static const struct field sign_fields[] = {
    ROLE,
    { "public_key", FIELD_STRING, NULL, "The key to sign: a line of authorized_keys." },
    { "valid_principals", FIELD_STRING, NULL,
      "Users or hosts that the certificate is good for, comma-separated." },
    { "cert_type", FIELD_STRING, "user", "user (the default) or host." },
    { "ttl", FIELD_SECONDS, NULL, "How long the certificate is good; at most the role's max_ttl." },
    { "key_id", FIELD_STRING, NULL, "The key id, if the role lets a request choose it." },
    { "critical_options", FIELD_MAP, NULL, "Critical options of the certificate." },
    { "extensions", FIELD_MAP, NULL, "Extensions of the certificate." },
};

static const struct field ca_fields[] = {
    { "private_key", FIELD_STRING, NULL, "Private key, as ssh-keygen writes it." },
    { "public_key", FIELD_STRING, NULL, "Its public key." },
    { "generate_signing_key", FIELD_BOOL, "true", "Make an RSA key of 4096 bits." },
};

static const struct field address_fields[] = {
    { "roles", FIELD_COMMA_STRINGS, NULL, "Roles that serve every address." },
};

static const struct field lookup_fields[] = {
    { "ip", FIELD_STRING, NULL, "Address of the host." },
};

static const struct field verify_fields[] = {
    { "otp", FIELD_STRING, NULL, "The password that a user gave." },
};

static const struct field hostkey_fields[] = {
    { "key_name", FIELD_STRING, NULL, "Name of the key." },
    { "key", FIELD_STRING, NULL, "Private key of the hosts' administrator." },
};

static const struct route routes[] = {
    { "config/zeroaddress", FIELDS(address_fields), .read = ssh_address_read,
      .write = ssh_address_write, .del = ssh_address_delete,
      .summary = "Roles that give passwords for every address.",
      .details = "The blocks of addresses of these roles do not count. Guard them by policies." },
    { "keys/{key_name}", FIELDS(hostkey_fields), .write = ssh_hostkey_write,
      .del = ssh_hostkey_delete, .summary = "Register a private key.",
      .details = "A remainder of dynamic keys: it is kept, and nothing uses it." },
    { "roles/?", .list = ssh_roles_list, .summary = "List the roles." },
    { "roles/{role:at}", FIELDS(roles_fields), .read = ssh_roles_read, .write = ssh_roles_write,
      .del = ssh_roles_delete, .summary = "What may be asked for, and by which rules.",
      .details = "A role of type otp gives one-time passwords, one of type ca signs keys." },
    { "creds/{role:at}", FIELDS(creds_fields), .write = ssh_otp_creds,
      .summary = "A password for one login at one host." },
    { "lookup", FIELDS(lookup_fields), .write = ssh_address_lookup,
      .summary = "Roles that serve an address." },
    { "verify", FIELDS(verify_fields), .flags = ROUTE_NO_TOKEN, .write = ssh_otp_verify,
      .summary = "Is the password good? Asked by the host, once.",
      .details = "Tells for which user and address the password was made, and forgets it." },
    { "config/ca", FIELDS(ca_fields), .read = ssh_ca_read, .write = ssh_ca_write,
      .del = ssh_ca_delete, .summary = "The key that signs certificates.",
      .details = "A key is made unless one is given. The private half is never told." },
    { "sign/{role:at}", FIELDS(sign_fields), .write = ssh_sign,
      .summary = "Sign a user's or a host's public key." },
    { "public_key", .flags = ROUTE_NO_TOKEN, .read = ssh_ca_public,
      .summary = "The CA's public key, as text." },
};

static const struct secret_kind secrets[] = {
    { "secret_otp_type", NULL, ssh_otp_revoke },
    { "secret_dynamic_key_type", ssh_hostkey_renew, ssh_hostkey_revoke },
};

const struct engine engine_ssh = {
    .type = "ssh",
    .help = "The ssh engine lets people and hosts in by SSH: it gives one-time passwords that\n"
            "hosts verify, or signs public keys so that hosts and clients trust them.",
    ROUTES(routes),
    .secrets = secrets,
    .n_secrets = ARRAY_LEN(secrets),
    .open = ssh_open,
    .close = ssh_close,
};
