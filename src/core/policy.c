/* Policies: their text to rules, refused with Vault's words. */
#include "core/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "codec/hcl.h"
#include "codec/timefmt.h"

static const struct {
    const char *name;
    unsigned cap;
} capabilities[] = {
    { "create", POLICY_CREATE }, { "read", POLICY_READ }, { "update", POLICY_UPDATE },
    { "delete", POLICY_DELETE }, { "list", POLICY_LIST }, { "sudo", POLICY_SUDO },
    { "deny", POLICY_DENY },
};

/* The one-word form that capabilities replaced. */
static const struct {
    const char *name;
    unsigned caps;
} old_policies[] = {
    { "deny", POLICY_DENY },
    { "read", POLICY_READ | POLICY_LIST },
    { "write", POLICY_CREATE | POLICY_READ | POLICY_UPDATE | POLICY_DELETE | POLICY_LIST },
    { "sudo",
      POLICY_CREATE | POLICY_READ | POLICY_UPDATE | POLICY_DELETE | POLICY_LIST | POLICY_SUDO },
};

static const char *const top_keys[] = { "name", "path" };
static const char *const path_keys[] = {
    "comment",           "policy",
    "capabilities",      "allowed_parameters",
    "denied_parameters", "required_parameters",
    "min_wrapping_ttl",  "max_wrapping_ttl",
    "mfa_methods",       "control_group",
};

/* What is read of one path block before it is judged. */
struct block {
    struct arena *arena;   /* what the policy keeps */
    struct arena *scratch; /* the tree, given up when the policy is read */
    struct str key;        /* the path as written */
    const struct hcl *body;
    struct err *err;
};

static bool listed(const char *const *names, size_t n, struct str key)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(key, names[i]))
            return true;
    return false;
}

/* All unknown keys in one error, each after ${prefix}, laid out as Vault's list of errors. */
static int check_keys(const struct hcl *object, const char *const *names, size_t n,
                      struct str prefix, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    size_t bad = 0;
    for (const struct hcl_item *i = object->items; i != NULL; i = i->next) {
        if (listed(names, n, i->keys[0].text))
            continue;
        bad++;
        if (text.n < sizeof err->msg)
            buf_printf(&text, "\t* " STR_FMT "invalid key \"" STR_FMT "\" on line %u\n",
                       STR_ARG(prefix), STR_ARG(i->keys[0].text), i->assign_line);
    }
    if (bad == 0)
        return 0;
    TRY(buf_check(&text, err));
    return err_set(err, ERR_BAD_REQUEST, "%zu error%s occurred:\n" STR_FMT "\n", bad,
                   bad == 1 ? "" : "s", STR_ARG(buf_str(&text)));
}

static int wrong_type(const struct block *b, const struct hcl_item *i, const char *want)
{
    hcl_pos_error(b->err, i->value->pos, STR_FMT ": %s expected, got %s", STR_ARG(i->keys[0].text),
                  want, hcl_type_name(i->value->type));
    return err_prefix(b->err, "path \"" STR_FMT "\"", STR_ARG(b->key));
}

static bool is_key(const struct hcl_item *i, const char *name)
{
    return str_is(i->keys[0].text, name);
}

/* Append the texts of every list called ${name}. */
static int read_strings(const struct block *b, const struct hcl *object, const char *name,
                        struct strs *out)
{
    for (const struct hcl_item *i = object->items; i != NULL; i = i->next) {
        if (!is_key(i, name))
            continue;
        if (i->value->type != HCL_LIST || i->n_keys != 1)
            return wrong_type(b, i, "list of strings");
        for (const struct hcl *e = i->value->first; e != NULL; e = e->next) {
            if (e->type != HCL_STRING && e->type != HCL_NUMBER)
                return wrong_type(b, i, "list of strings");
            strs_add(b->arena, out, arena_dup(b->arena, e->text));
        }
    }
    return 0;
}

static struct str lowered(struct arena *a, struct str s)
{
    char *p = arena_bytes(a, s.n + 1);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    for (size_t i = 0; i < s.n; i++)
        p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
    return str_mem(p, s.n);
}

int policy_param_cmp(struct str low, struct str name)
{
    size_t n = low.n < name.n ? low.n : name.n;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c + 32);
        if ((unsigned char)low.p[i] != c)
            return (unsigned char)low.p[i] < c ? -1 : 1;
    }
    return low.n < name.n ? -1 : low.n > name.n;
}

static int by_name(const void *a, const void *b)
{
    return policy_param_cmp(((const struct policy_param *)a)->name,
                            ((const struct policy_param *)b)->name);
}

/* Join equal names, which the sort has put side by side. */
static void unite(struct arena *a, struct policy_params *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < out->n; i++) {
        struct policy_param *last = kept > 0 ? &out->v[kept - 1] : NULL, *p = &out->v[i];
        if (last == NULL || !str_eq(last->name, p->name)) {
            out->v[kept++] = *p;
            continue;
        }
        const struct json **v = arena_array(a, last->n + p->n + 1, sizeof(void *));
        if (v == NULL)
            return;
        if (last->n > 0)
            memcpy(v, last->values, last->n * sizeof *v);
        if (p->n > 0)
            memcpy(v + last->n, p->values, p->n * sizeof *v);
        last->values = v;
        last->n += p->n;
    }
    out->n = kept;
}

static int read_param(const struct block *b, const struct hcl_item *i, struct policy_param *out)
{
    if (i->value->type != HCL_LIST || i->n_keys != 1)
        return wrong_type(b, i, "list of values");
    out->name = lowered(b->arena, i->keys[0].text);
    out->values = arena_array(b->arena, i->value->count + 1, sizeof(void *));
    TRY(arena_check(b->arena, b->err));
    for (const struct hcl *e = i->value->first; e != NULL; e = e->next)
        out->values[out->n++] = hcl_to_json(b->arena, e);
    return arena_check(b->arena, b->err);
}

static int read_params(const struct block *b, const char *name, struct policy_params *out)
{
    size_t n = 0;
    for (const struct hcl_item *i = b->body->items; i != NULL; i = i->next)
        if (is_key(i, name)) {
            if (i->value->type != HCL_OBJECT || i->n_keys != 1)
                return wrong_type(b, i, "object");
            n += i->value->count;
        }
    if (n == 0)
        return 0;
    out->v = arena_array(b->arena, n, sizeof *out->v);
    TRY(arena_check(b->arena, b->err));
    for (const struct hcl_item *i = b->body->items; i != NULL; i = i->next)
        if (is_key(i, name))
            for (const struct hcl_item *p = i->value->items; p != NULL; p = p->next)
                TRY(read_param(b, p, &out->v[out->n++]));
    qsort(out->v, out->n, sizeof *out->v, by_name);
    unite(b->arena, out);
    return arena_check(b->arena, b->err);
}

/* Number of seconds, or text with a unit. */
static int read_duration(const struct block *b, const struct hcl *v, const char *what, int64_t *ns)
{
    double seconds;
    if (v == NULL)
        return 0;
    if (v->type == HCL_STRING) {
        if (duration_parse(v->text, false, ns, b->err) == 0)
            return 0;
        return err_prefix(b->err, "error parsing %s", what);
    }
    if (!hcl_to_double(v, &seconds) || !(seconds > -9e9 && seconds < 9e9))
        return err_set(b->err, ERR_BAD_REQUEST,
                       "error parsing %s: could not parse duration from input", what);
    *ns = (int64_t)seconds * 1000000000;
    return 0;
}

/* One factor of a control group: only judged, for no community edition acts on it. */
static int check_factor(const struct block *b, const struct hcl *factor, const struct strs *granted)
{
    struct strs ids = { 0 }, names = { 0 }, controlled = { 0 };
    int64_t approvals = 0;
    const struct hcl_block *id = hcl_blocks(b->scratch, factor, STR("identity"), 0);
    if (id == NULL || id->value->type != HCL_OBJECT)
        return err_set(b->err, ERR_BAD_REQUEST, "no control_group factor provided");
    TRY(read_strings(b, id->value, "group_ids", &ids));
    TRY(read_strings(b, id->value, "group_names", &names));
    TRY(read_strings(b, factor, "controlled_capabilities", &controlled));
    if (!hcl_to_i64(hcl_get(id->value, STR("approvals")), &approvals) || approvals <= 0 ||
        ids.n + names.n == 0)
        return err_set(b->err, ERR_BAD_REQUEST,
                       "must provide more than one identity group and approvals > 0");
    for (size_t i = 0; i < controlled.n; i++)
        if (!strs_has(granted, controlled.v[i]))
            return err_set(b->err, ERR_BAD_REQUEST,
                           "control group factor capabilities must be a "
                           "subset of the policy's capabilities");
    return 0;
}

static int check_control_group(const struct block *b, const struct strs *granted)
{
    int64_t ttl_ns;
    size_t factors = 0, groups = 0;
    const struct hcl_block *g = hcl_blocks(b->scratch, b->body, STR("control_group"), 0);
    for (; g != NULL; g = g->next) {
        groups++;
        if (g->value->type != HCL_OBJECT)
            return err_set(b->err, ERR_BAD_REQUEST, "no control group factors provided");
        TRY(read_duration(b, hcl_get(g->value, STR("ttl")), "control group max ttl", &ttl_ns));
        const struct hcl_block *f = hcl_blocks(b->scratch, g->value, STR("factor"), 1);
        for (; f != NULL; f = f->next, factors++)
            TRY(check_factor(b, f->value, granted));
    }
    if (groups > 0 && factors == 0)
        return err_set(b->err, ERR_BAD_REQUEST, "no control group factors provided");
    return 0;
}

static int add_old_policy(const struct block *b, struct strs *names)
{
    struct str old = { NULL, 0 };
    for (const struct hcl_item *i = b->body->items; i != NULL; i = i->next)
        if (is_key(i, "policy")) {
            if ((i->value->type != HCL_STRING && i->value->type != HCL_NUMBER) || i->n_keys != 1)
                return wrong_type(b, i, "string");
            old = i->value->text;
        }
    if (old.n == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(old_policies); i++) {
        if (!str_is(old, old_policies[i].name))
            continue;
        if (old_policies[i].caps & POLICY_DENY)
            names->n = 0;
        for (size_t c = 0; c < ARRAY_LEN(capabilities); c++)
            if (old_policies[i].caps & capabilities[c].cap)
                strs_add(b->arena, names, str_of(capabilities[c].name));
        return arena_check(b->arena, b->err);
    }
    return err_set(b->err, ERR_BAD_REQUEST, "path \"" STR_FMT "\": invalid policy \"" STR_FMT "\"",
                   STR_ARG(b->key), STR_ARG(old));
}

static int caps_of(const struct block *b, const struct strs *names, unsigned *caps)
{
    for (size_t i = 0; i < names->n; i++) {
        unsigned cap = 0;
        for (size_t c = 0; c < ARRAY_LEN(capabilities); c++)
            if (str_is(names->v[i], capabilities[c].name))
                cap = capabilities[c].cap;
        if (cap == 0)
            return err_set(b->err, ERR_BAD_REQUEST,
                           "path \"" STR_FMT "\": invalid capability \"" STR_FMT "\"",
                           STR_ARG(b->key), STR_ARG(names->v[i]));
        *caps |= cap;
        if (cap == POLICY_DENY) {
            *caps = POLICY_DENY;
            return 0;
        }
    }
    return 0;
}

/* What goes beyond the capabilities.  A denied path needs none of it, and Vault looks at none. */
static int read_limits(const struct block *b, const struct strs *granted, struct policy_rule *rule)
{
    TRY(read_duration(b, hcl_get(b->body, STR("min_wrapping_ttl")), "min_wrapping_ttl",
                      &rule->min_wrap_ns));
    TRY(read_duration(b, hcl_get(b->body, STR("max_wrapping_ttl")), "max_wrapping_ttl",
                      &rule->max_wrap_ns));
    TRY(check_control_group(b, granted));
    if (rule->min_wrap_ns != 0 && rule->max_wrap_ns != 0 && rule->max_wrap_ns < rule->min_wrap_ns)
        return err_set(b->err, ERR_BAD_REQUEST,
                       "max_wrapping_ttl cannot be less than min_wrapping_ttl");
    return 0;
}

static int read_body(const struct block *b, struct policy_rule *rule)
{
    struct strs names = { 0 }, mfa = { 0 };
    TRY(read_strings(b, b->body, "capabilities", &names));
    TRY(read_strings(b, b->body, "mfa_methods", &mfa));
    TRY(read_strings(b, b->body, "required_parameters", &rule->required));
    for (size_t i = 0; i < rule->required.n; i++)
        rule->required.v[i] = lowered(b->arena, rule->required.v[i]);
    TRY(read_params(b, "allowed_parameters", &rule->allowed));
    TRY(read_params(b, "denied_parameters", &rule->denied));
    TRY(policy_path(rule->source, &rule->path, &rule->match, b->err));
    TRY(add_old_policy(b, &names));
    TRY(caps_of(b, &names, &rule->caps));
    if (rule->caps != POLICY_DENY)
        return read_limits(b, &names, rule);
    rule->allowed = rule->denied = (struct policy_params){ 0 };
    rule->required = (struct strs){ 0 };
    return 0;
}

int policy_path(struct str source, struct str *path, enum policy_match *match, struct err *err)
{
    if (str_starts(source, STR("/")))
        source = str_from(source, 1);
    *path = source;
    *match = POLICY_EXACT;
    if (str_find(source, STR("+*")) >= 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "path \"" STR_FMT "\": invalid use of wildcards ('+*' is forbidden)",
                       STR_ARG(source));
    if (str_is(source, "+") || str_find(source, STR("/+")) >= 0 || str_starts(source, STR("+/"))) {
        *match = POLICY_WILD;
    } else if (str_ends(source, STR("*"))) {
        *match = POLICY_PREFIX;
        path->n--;
    }
    return 0;
}

static int read_path(struct policy *p, struct arena *scratch, const struct hcl_block *hb,
                     struct err *err)
{
    struct policy_rule *rule = &p->rules[p->n_rules];
    struct str key = hb->n_labels > 0 ? hb->labels[0].text : STR("path");
    struct block b = { p->arena, scratch, key, hb->value, err };
    rule->source = arena_dup(p->arena, key);
    if (policy_template_check(key, &rule->templated, err) < 0)
        return err_prefix(err, "failed to validate policy templating");
    if (hb->value->type != HCL_OBJECT) {
        hcl_pos_error(err, hb->value->pos, "object expected, got %s",
                      hcl_type_name(hb->value->type));
        return err_prefix(err, "path \"" STR_FMT "\"", STR_ARG(key));
    }
    struct str prefix = arena_printf(scratch, "path \"" STR_FMT "\": ", STR_ARG(key));
    TRY(check_keys(hb->value, path_keys, ARRAY_LEN(path_keys), prefix, err));
    TRY(read_body(&b, rule));
    p->templated = p->templated || rule->templated;
    p->n_rules++;
    return 0;
}

static int check_name(const struct hcl *root, struct err *err)
{
    for (const struct hcl_item *i = root->items; i != NULL; i = i->next)
        if (is_key(i, "name") &&
            (i->n_keys != 1 || (i->value->type != HCL_STRING && i->value->type != HCL_NUMBER)))
            return hcl_pos_error(err, i->value->pos, "name: string expected, got %s",
                                 hcl_type_name(i->value->type));
    return 0;
}

static int read_policy(struct policy *p, struct err *err)
{
    AUTO(arena_drop) struct arena *scratch = arena_new();
    struct hcl *root;
    size_t n = 0;
    if (scratch == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(hcl_parse(scratch, STR(""), p->raw, &root, err));
    TRY(check_keys(root, top_keys, ARRAY_LEN(top_keys), STR(""), err));
    TRY(check_name(root, err));
    const struct hcl_block *first = hcl_blocks(scratch, root, STR("path"), 1);
    for (const struct hcl_block *b = first; b != NULL; b = b->next)
        n++;
    p->rules = arena_array(p->arena, n + 1, sizeof *p->rules);
    TRY(arena_check(p->arena, err));
    TRY(arena_check(scratch, err));
    for (const struct hcl_block *b = first; b != NULL; b = b->next)
        TRY(read_path(p, scratch, b, err));
    TRY(arena_check(scratch, err));
    return arena_check(p->arena, err);
}

int policy_parse(struct str text, struct policy **out, struct err *err)
{
    struct arena *a = arena_new();
    struct policy *p = a == NULL ? NULL : arena_alloc(a, sizeof *p);
    if (p == NULL) {
        arena_free(a);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    p->arena = a;
    p->raw = arena_dup(a, text);
    if (read_policy(p, err) < 0) {
        arena_free(a);
        return err != NULL && err->code == ERR_NOMEM ? -1
                                                     : err_prefix(err, "failed to parse policy");
    }
    *out = p;
    return 0;
}

void policy_free(struct policy *p)
{
    if (p != NULL)
        arena_free(p->arena);
}
