/* Role: what a role allows, as the JSON object that Vault stores at roles/<name>. */
#ifndef ENGINES_SSH_ROLE_H
#define ENGINES_SSH_ROLE_H

#include "logical/request.h"

enum role_type {
    ROLE_OTP,
    ROLE_CA,
    ROLE_DYNAMIC, /* keys put on hosts: stored by an older Vault, readable, issues nothing */
};

/* Lives in the request's arena. */
struct role {
    enum role_type type;
    struct json *json; /* every member of the stored form, in its order */
};

/* An object with all members at their zero values. */
struct json *role_blank(struct arena *a);

/* 1, 0, -1: req->err (ERR_CORRUPT when what is stored is not a role). */
int role_load(struct request *req, struct str name, struct role *out) MUST_USE;

int role_store(struct request *req, struct str name, const struct json *role) MUST_USE;

struct str role_str(const struct role *r, const char *member);
bool role_bool(const struct role *r, const char *member);
/* "ttl" or "max_ttl", in seconds; 0: not set. -1: req->err. */
int role_seconds(struct request *req, const struct role *r, const char *member,
                 int64_t *out) MUST_USE;

/* What a read of the role answers; which members, its type decides. */
int role_describe(struct request *req, const struct role *r, struct json *out) MUST_USE;

#endif
