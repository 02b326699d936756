/*
 * Fuzz target: the text of a policy, then a NUL and a path.  What the compiled policy says of the
 * path is compared with a plain search through the rules in the documented order.
 */
#include <stdlib.h>

#include "core/policy_acl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

struct match {
    size_t first, plus, length;
    bool prefix, exact;
    struct str path;
};

/* The first ${n} segments are compared one by one; a final '*' takes the rest. */
static bool segments_match(struct str pattern, struct str path, bool prefix)
{
    for (;;) {
        ptrdiff_t p = str_find_byte(pattern, '/'), q = str_find_byte(path, '/');
        struct str want = p < 0 ? pattern : str_head(pattern, (size_t)p);
        struct str have = q < 0 ? path : str_head(path, (size_t)q);
        bool same =
            str_is(want, "+") || str_eq(want, have) || (prefix && p < 0 && str_starts(have, want));
        if (!same)
            return false;
        if (p < 0)
            return prefix || q < 0;
        if (q < 0)
            return false;
        pattern = str_from(pattern, (size_t)p + 1);
        path = str_from(path, (size_t)q + 1);
    }
}

static bool rule_matches(const struct policy_rule *r, struct str path, struct match *m)
{
    *m = (struct match){ .path = r->path, .length = r->path.n, .first = r->path.n };
    if (r->match == POLICY_EXACT) {
        m->exact = true;
        return str_eq(r->path, path);
    }
    m->prefix = r->match == POLICY_PREFIX || str_ends(r->path, STR("*"));
    if (r->match == POLICY_PREFIX)
        return str_starts(path, r->path);
    m->first = (size_t)str_find_byte(r->path, '+');
    if (m->prefix)
        m->path = str_head(r->path, --m->length);
    struct str rest = m->path, segment;
    while (str_next(&rest, '/', &segment))
        m->plus += str_is(segment, "+");
    return segments_match(m->path, path, m->prefix);
}

static bool is_better(const struct match *a, const struct match *b)
{
    if (a->exact != b->exact)
        return a->exact;
    if (a->first != b->first)
        return a->first > b->first;
    if (a->prefix != b->prefix)
        return !a->prefix;
    if (a->plus != b->plus)
        return a->plus < b->plus;
    if (a->length != b->length)
        return a->length > b->length;
    return str_cmp(a->path, b->path) > 0;
}

/* Capabilities by searching; deny swallows all others of the same path. */
static unsigned caps_by_search(const struct policy *p, struct str path)
{
    struct match best, m;
    const struct policy_rule *winner = NULL;
    unsigned caps = 0;
    for (size_t i = 0; i < p->n_rules; i++)
        if (rule_matches(&p->rules[i], path, &m) && (winner == NULL || is_better(&m, &best))) {
            winner = &p->rules[i];
            best = m;
        }
    for (size_t i = 0; winner != NULL && i < p->n_rules; i++)
        if (p->rules[i].match == winner->match && str_eq(p->rules[i].path, winner->path))
            caps |= p->rules[i].caps;
    return caps & POLICY_DENY ? POLICY_DENY : caps;
}

static void check_path(const struct policy *p, const struct policy_acl *acl, struct str path)
{
    const char *names[POLICY_ACL_CAPS_MAX];
    struct policy_verdict v;
    struct policy_question q = { .op = OP_READ, .path = path };
    bool allowed = policy_acl_check(acl, &q, &v);
    must(!allowed || (v.caps & POLICY_READ));
    must(policy_acl_capabilities(acl, path, names) > 0);
    (void)policy_acl_reaches(acl, path);
    while (path.n > 0 && path.p[0] == '/')
        path = str_from(path, 1);
    if (!p->templated)
        must(v.caps == caps_by_search(p, path));
}

static void check_facts(const struct policy *p, struct str path)
{
    const struct policy_group group = { path, path, NULL };
    const struct policy_alias alias = { path, path, path, NULL };
    const struct policy_facts facts = { path, path, NULL, &alias, 1, &group, 1 };
    struct policy_acl *acl;
    if (policy_acl_compile(&p, 1, &facts, &acl, NULL) < 0)
        return;
    check_path(p, acl, path);
    policy_acl_free(acl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_mem(data, size), path = STR("secret/data/app");
    struct policy *p;
    struct policy_acl *acl;
    struct err err = { 0 };
    ptrdiff_t nul = str_find_byte(text, 0);
    if (nul >= 0) {
        path = str_from(text, (size_t)nul + 1);
        text = str_head(text, (size_t)nul);
    }
    if (policy_parse(text, &p, &err) < 0) {
        must(err.code == ERR_BAD_REQUEST);
        must(str_starts(err_text(&err), STR("failed to parse policy: ")));
        return 0;
    }
    const struct policy *one = p;
    must(policy_acl_compile(&one, 1, NULL, &acl, &err) == 0);
    check_path(p, acl, path);
    for (size_t i = 0; i < p->n_rules && i < 50; i++)
        check_path(p, acl, p->rules[i].path);
    policy_acl_free(acl);
    check_facts(p, path);
    policy_free(p);
    return 0;
}
