/* Policy_acl: a set of policies compiled for checking requests; what a token may do. */
#ifndef CORE_POLICY_ACL_H
#define CORE_POLICY_ACL_H

#include "core/policy.h"
#include "core/policy_template.h"
#include "logical/request.h"

struct policy_acl; /* immutable after policy_acl_compile; any thread */

/*
 * Compile ${n} policies (borrowed only for the call) as Vault merges them: for the same path,
 * deny wins, capabilities are united, parameters are united, of wrapping times the least counts.
 * Templated paths are filled in from ${facts} (NULL: no entity) or dropped when a value is missing.
 * An owned acl in ${out}.  -1: ERR_BAD_REQUEST when a filled-in path holds "+*"; ERR_NOMEM.
 */
int policy_acl_compile(const struct policy *const *policies, size_t n,
                       const struct policy_facts *facts, struct policy_acl **out,
                       struct err *err) MUST_USE;
/* Of the root policy: everything is allowed. */
int policy_acl_root(struct policy_acl **out, struct err *err) MUST_USE;
void policy_acl_free(struct policy_acl *acl);

/* What is asked. */
struct policy_question {
    enum op op;
    struct str path;         /* "secret/data/app" */
    const struct json *data; /* fields of the request, or NULL */
    int64_t wrap_ttl_s;      /* 0: not wrapped */
    bool needs_sudo;         /* the path is root-protected */
};

struct policy_verdict {
    bool allowed;
    bool root;     /* by the root policy */
    bool sudo;     /* root or the sudo capability on this path */
    unsigned caps; /* enum policy_cap of the rule that matched; 0 when none did or root */
    int64_t min_wrap_ns, max_wrap_ns; /* the rule's limits, 0: none */
};

/* Check a request; result->allowed is returned.  Does not allocate, takes no lock. */
bool policy_acl_check(const struct policy_acl *acl, const struct policy_question *q,
                      struct policy_verdict *result);

/*
 * Capabilities on a path as sys/capabilities answers: names sorted, {"deny"} when there are none,
 * {"root"} for root.  Returns how many of ${out} were filled.
 */
#define POLICY_ACL_CAPS_MAX 6
size_t policy_acl_capabilities(const struct policy_acl *acl, struct str path,
                               const char *out[POLICY_ACL_CAPS_MAX]);
/* The names of a set, the same way. */
size_t policy_acl_cap_names(unsigned caps, const char *out[POLICY_ACL_CAPS_MAX]);

bool policy_acl_is_root(const struct policy_acl *acl);

/*
 * Is anything granted on the mount at ${mount_path} ("secret/") or below it?  For the lists of
 * mounts that a token may see (sys/internal/ui/mounts).
 */
bool policy_acl_reaches(const struct policy_acl *acl, struct str mount_path);

/* A compiled rule, for sys/internal/ui/resultant-acl. */
struct policy_acl_rule {
    struct str path; /* POLICY_PREFIX: without the '*' */
    enum policy_match match;
    unsigned caps;
};
/* Walk all rules, in no order: start with *at = 0; false at the end. */
bool policy_acl_next(const struct policy_acl *acl, size_t *at, struct policy_acl_rule *out);

#endif
