/* Acl: a set of policies compiled for checking requests; what a token may do. */
#ifndef CORE_ACL_H
#define CORE_ACL_H

#include "core/policy.h"
#include "core/policy_template.h"
#include "logical/request.h"

struct acl; /* immutable after acl_compile; any thread */

/*
 * Compile ${n} policies (borrowed only for the call) as Vault merges them: for the same path,
 * deny wins, capabilities are united, parameters are united, of wrapping times the least counts.
 * Templated paths are filled in from ${facts} (NULL: no entity) or dropped when a value is missing.
 * An owned acl in ${out}.  -1: ERR_BAD_REQUEST when a filled-in path holds "+*"; ERR_NOMEM.
 */
int acl_compile(const struct policy *const *policies, size_t n, const struct policy_facts *facts,
                struct acl **out, struct err *err) MUST_USE;
/* Of the root policy: everything is allowed. */
int acl_root(struct acl **out, struct err *err) MUST_USE;
void acl_free(struct acl *acl);

/* What is asked. */
struct acl_query {
    enum op op;
    struct str path;         /* "secret/data/app" */
    const struct json *data; /* fields of the request, or NULL */
    int64_t wrap_ttl_s;      /* 0: not wrapped */
    bool wants_sudo;         /* the path is root-protected */
};

struct acl_result {
    bool allowed;
    bool root;      /* by the root policy */
    bool sudo;      /* root or the sudo capability on this path */
    unsigned caps;  /* enum policy_cap of the rule that matched; 0 when none did or root */
    int64_t min_wrap_ns, max_wrap_ns; /* the rule's limits, 0: none */
};

/* Check a request; result->allowed is returned.  Does not allocate, takes no lock. */
bool acl_check(const struct acl *acl, const struct acl_query *q, struct acl_result *result);

/*
 * Capabilities on a path as sys/capabilities answers: names sorted, {"deny"} when there are none,
 * {"root"} for root.  Returns how many of ${out} were filled.
 */
#define ACL_CAPS_MAX 6
size_t acl_capabilities(const struct acl *acl, struct str path, const char *out[ACL_CAPS_MAX]);
/* The names of a set, the same way. */
size_t acl_cap_names(unsigned caps, const char *out[ACL_CAPS_MAX]);

bool acl_is_root(const struct acl *acl);

/*
 * Is anything granted on the mount at ${mount_path} ("secret/") or below it?  For the lists of
 * mounts that a token may see (sys/internal/ui/mounts).
 */
bool acl_reaches(const struct acl *acl, struct str mount_path);

/* A compiled rule, for sys/internal/ui/resultant-acl. */
struct acl_rule {
    struct str path; /* POLICY_PREFIX: without the '*' */
    enum policy_match match;
    unsigned caps;
};
/* Walk all rules, in no order: start with *at = 0; false at the end. */
bool acl_next(const struct acl *acl, size_t *at, struct acl_rule *out);

#endif
