/* Policy: the rules of one ACL policy, read from HCL or JSON text. */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include "base/strs.h"
#include "codec/json.h"
#include "core/policy_template.h"

/* What a rule grants; a set is an `unsigned`. */
enum policy_cap {
    POLICY_DENY = 1,
    POLICY_CREATE = 2,
    POLICY_READ = 4,
    POLICY_UPDATE = 8,
    POLICY_DELETE = 16,
    POLICY_LIST = 32,
    POLICY_SUDO = 64,
};

/* A parameter's name (lowered) and the values meant; no values: all. */
struct policy_param {
    struct str name;
    const struct json **values;
    size_t n;
};

/* Sorted by name. */
struct policy_params {
    struct policy_param *v;
    size_t n;
};

enum policy_match {
    POLICY_EXACT,
    POLICY_PREFIX, /* ended in '*', which is cut off */
    POLICY_WILD,   /* has '+' segments; a '*' at its end stays */
};

/* One `path` block. */
struct policy_rule {
    struct str source; /* as written: with templates, slash and glob */
    bool templated;
    struct str path; /* without template: what to match */
    enum policy_match match;
    unsigned caps;
    int64_t min_wrap_ns, max_wrap_ns; /* 0: not limited */
    struct policy_params allowed, denied;
    struct strs required; /* lowered */
};

/* Immutable after policy_parse; any thread.  Owns all it points to. */
struct policy {
    struct arena *arena;
    struct str raw; /* the text */
    bool templated; /* some path names the caller */
    struct policy_rule *rules;
    size_t n_rules;
};

/*
 * Read a policy's text.  An owned policy in ${out} (policy_free).  -1: ERR_BAD_REQUEST
 * "failed to parse policy: ..." as Vault says it; ERR_NOMEM.
 */
int policy_parse(struct str text, struct policy **out, struct err *err) MUST_USE;
void policy_free(struct policy *p);

/*
 * What a path as written (templates filled in) matches: the leading '/' and a final '*' are cut
 * off; ${path} points into ${source}.  -1: ERR_BAD_REQUEST, the forbidden "+*".
 */
int policy_path(struct str source, struct str *path, enum policy_match *match,
                struct err *err) MUST_USE;

/* Order of parameter names, ${name} taken as lowered. */
int policy_param_cmp(struct str lowered, struct str name);

#endif
