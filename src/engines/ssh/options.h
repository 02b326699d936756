/* Options: critical options and extensions, as requests, roles and certificates hold them. */
#ifndef ENGINES_SSH_OPTIONS_H
#define ENGINES_SSH_OPTIONS_H

#include "crypto/sshcert.h"
#include "engines/ssh/role.h"

/*
 * The object of a request's field, its values made texts; empty when not given.
 * -1: ERR_BAD_REQUEST for a value that has no text (an array, an object).
 */
int options_given(struct request *req, const char *field, struct json **out) MUST_USE;

/* What a certificate gets: the request's where the role allows them all, else the role's own. */
int options_critical(struct request *req, const struct role *role, struct sshcert *cert) MUST_USE;
int options_extensions(struct request *req, const struct role *role,
                       struct sshcert *cert) MUST_USE;

/* "{{ ... }}" and nothing before or behind it: text that names the caller. */
bool options_is_template(struct str s);
/* Fill it in. -1: ERR_BAD_REQUEST with Vault's text. */
int options_render(struct request *req, struct str template, struct str *out) MUST_USE;

#endif
