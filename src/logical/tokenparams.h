/* Tokenparams: the token_* parameters that auth methods' roles and token roles share. */
#ifndef LOGICAL_TOKENPARAMS_H
#define LOGICAL_TOKENPARAMS_H

#include "logical/auth.h"
#include "logical/field.h"
#include "logical/request.h"

/* Lives in a request's arena. Durations in seconds. */
struct tokenparams {
    struct strs bound_cidrs; /* as cidr_format writes them */
    struct strs policies;
    int64_t ttl_s, max_ttl_s, explicit_max_ttl_s, period_s;
    int64_t num_uses; /* 0: unlimited */
    enum token_type type;
    bool no_default_policy;
};

/* Rows for a route's field table. */
#define TOKENPARAMS_FIELDS                                                                         \
    { "token_bound_cidrs", FIELD_COMMA_STRINGS, NULL,                                              \
      "Blocks of IP addresses that may log in and use the token." },                               \
    { "token_explicit_max_ttl", FIELD_SECONDS, NULL,                                               \
      "Hard limit of the token's life, which no renewal passes." },                                \
    { "token_max_ttl", FIELD_SECONDS, NULL, "Longest life of the token." },                        \
    { "token_no_default_policy", FIELD_BOOL, NULL,                                                 \
      "Do not attach the default policy to the token." },                                          \
    { "token_num_uses", FIELD_INT, NULL, "How often the token may be used; 0: no limit." },        \
    { "token_period", FIELD_SECONDS, NULL,                                                         \
      "Makes the token periodic: each renewal gives it this long, without end." },                 \
    { "token_policies", FIELD_COMMA_STRINGS, NULL, "Policies of the token." },                     \
    { "token_ttl", FIELD_SECONDS, NULL, "First life of the token." },                              \
    { "token_type", FIELD_STRING, "default-service",                                               \
      "Type of the token: service, batch or default." }

/*
 * Take over what the request gives, leave the rest, and check the whole.  -1: ERR_BAD_REQUEST with
 * Vault's text in req->err; ${p} is then of no use.
 */
int tokenparams_parse(struct request *req, struct tokenparams *p) MUST_USE;
/* The same without token_type, which token roles read in their own way. */
int tokenparams_parse_but_type(struct request *req, struct tokenparams *p) MUST_USE;

/* Put into the object that is stored (storage-layout.md, section 8): durations in nanoseconds. */
void tokenparams_store(const struct tokenparams *p, struct json *object);
/* Read from a stored object; its texts are borrowed. What is missing is zero. */
void tokenparams_load(struct arena *a, const struct json *object, struct tokenparams *p);

/* Put into a response's data: durations in seconds. */
void tokenparams_show(const struct tokenparams *p, struct json *data);

/* Set the auth of a login: everything here, and renewable. */
void tokenparams_fill(const struct tokenparams *p, struct auth *auth);

/* "default", "service", "batch", "default-service", "default-batch". */
const char *tokenparams_type_name(enum token_type type);
/* False when no type has the name. */
bool tokenparams_type_of(struct str name, enum token_type *out) MUST_USE;

/*
 * Vault's older names for some parameters ("policies" for "token_policies").  Sent alone, the old
 * one sets both; beside the new one it takes the new one's value; when only the new one was sent,
 * the old one is emptied.  Call after tokenparams_parse.  Lists of policies are cleaned up; blocks
 * of addresses are parsed, -1: ERR_BAD_REQUEST.
 */
void tokenparams_old_seconds(struct request *req, const char *old, const char *now,
                             int64_t *old_value, int64_t *now_value);
void tokenparams_old_policies(struct request *req, const char *old, const char *now,
                              struct strs *old_value, struct strs *now_value);
int tokenparams_old_cidrs(struct request *req, const char *old, const char *now,
                          struct strs *old_value, struct strs *now_value) MUST_USE;

/*
 * Vault's clean-up of a list of policies: trimmed, lowered (ASCII), empty and repeated ones
 * dropped, sorted; with "root" among them "root" alone.
 */
struct strs tokenparams_policies(struct arena *a, const struct strs *names);
/*
 * May a login be renewed whose role now has ${role} and whose token got ${token}?  Order and
 * "default" aside they must be the same; a repeated or empty item of the role makes them differ,
 * as in Vault.
 */
bool tokenparams_same_policies(struct arena *a, const struct strs *role,
                               const struct strs *token);

#endif
