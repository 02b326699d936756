/*
 * Compiled policies: exact paths and prefixes in one hash table that is asked while the path is
 * hashed once, '+' paths as a list in order of priority.
 */
#include "core/policy_acl.h"

#include <stdlib.h>

#include "base/random.h"

#define FNV_PRIME 1099511628211ULL

/* What holds for one path after merging. */
struct grant {
    unsigned caps;
    int64_t min_wrap_ns, max_wrap_ns;
    struct policy_params allowed, denied;
    struct strs required;
};

struct slot {
    uint64_t hash;
    struct str path;
    enum policy_match match;
    struct grant *grant; /* NULL: free */
};

/* A path with '+' segments; also stands for a prefix when priorities are compared. */
struct wild {
    struct str path; /* without the final '*' */
    size_t first;    /* index of the first '+' */
    size_t plus;     /* segments that are '+' */
    bool prefix;     /* had a final '*' */
    const struct grant *grant;
};

struct policy_acl {
    struct arena *arena;
    bool root;
    uint64_t seed;
    struct slot *slots;
    size_t mask;     /* slots - 1, a power of two less one */
    size_t *lengths; /* of the prefixes, each once, rising */
    size_t n_lengths;
    struct wild *wilds; /* highest priority first */
    size_t n_wilds;
};

/* ---- the table ---- */

static uint64_t hash_step(uint64_t h, char c)
{
    return (h ^ (unsigned char)c) * FNV_PRIME;
}

static uint64_t hash_of(const struct policy_acl *acl, struct str s)
{
    uint64_t h = acl->seed;
    for (size_t i = 0; i < s.n; i++)
        h = hash_step(h, s.p[i]);
    return h;
}

/* The slot of that path, or the free one where it would stand. */
static struct slot *slot_of(const struct policy_acl *acl, uint64_t hash, struct str path,
                            enum policy_match match)
{
    size_t at = (hash ^ hash >> 32) + match;
    for (;; at++) {
        struct slot *s = &acl->slots[at & acl->mask];
        if (s->grant == NULL || (s->hash == hash && s->match == match && str_eq(s->path, path)))
            return s;
    }
}

/* ---- merging ---- */

static struct policy_param *find_param(const struct policy_params *list, struct str name)
{
    size_t low = 0, high = list->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = policy_param_cmp(list->v[mid].name, name);
        if (c == 0)
            return &list->v[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static void copy_param(struct arena *a, struct policy_param *to, const struct policy_param *from)
{
    to->name = arena_dup(a, from->name);
    to->n = 0;
    to->values = arena_array(a, from->n + 1, sizeof(void *));
    if (to->values == NULL)
        return;
    for (; to->n < from->n; to->n++)
        to->values[to->n] = json_copy(a, from->values[to->n]);
}

/* Values of both; none means all, so it swallows any. */
static void join_values(struct arena *a, struct policy_param *to, const struct policy_param *from)
{
    if (to->n == 0 || from->n == 0) {
        to->n = 0;
        return;
    }
    const struct json **v = arena_array(a, to->n + from->n, sizeof(void *));
    if (v == NULL)
        return;
    size_t n = 0;
    for (; n < from->n; n++)
        v[n] = json_copy(a, from->values[n]);
    memcpy(v + n, to->values, to->n * sizeof *v);
    to->values = v;
    to->n += n;
}

/* Both lists are sorted. */
static void merge_params(struct arena *a, struct policy_params *to,
                         const struct policy_params *from)
{
    if (from->n == 0)
        return;
    struct policy_param *v = arena_array(a, to->n + from->n, sizeof *v);
    if (v == NULL)
        return;
    size_t n = 0, i = 0, j = 0;
    while (i < to->n || j < from->n) {
        int c = i == to->n     ? 1
                : j == from->n ? -1
                               : policy_param_cmp(to->v[i].name, from->v[j].name);
        if (c <= 0)
            v[n] = to->v[i++];
        else
            copy_param(a, &v[n], &from->v[j]);
        if (c == 0)
            join_values(a, &v[n], &from->v[j]);
        j += c >= 0;
        n++;
    }
    to->v = v;
    to->n = n;
}

static int64_t least(int64_t a_ns, int64_t b_ns)
{
    return b_ns > 0 && (a_ns == 0 || b_ns < a_ns) ? b_ns : a_ns;
}

/* ${fresh}: the grant's first rule, taken as it is. */
static void merge_rule(struct arena *a, struct grant *g, const struct policy_rule *r, bool fresh)
{
    if (!fresh && (g->caps & POLICY_DENY))
        return;
    if (r->caps & POLICY_DENY) {
        *g = (struct grant){ .caps = POLICY_DENY };
        return;
    }
    g->caps |= r->caps;
    g->min_wrap_ns = fresh ? r->min_wrap_ns : least(g->min_wrap_ns, r->min_wrap_ns);
    g->max_wrap_ns = fresh ? r->max_wrap_ns : least(g->max_wrap_ns, r->max_wrap_ns);
    merge_params(a, &g->allowed, &r->allowed);
    merge_params(a, &g->denied, &r->denied);
    for (size_t i = 0; i < r->required.n; i++)
        if (!strs_has(&g->required, r->required.v[i]))
            strs_add(a, &g->required, arena_dup(a, r->required.v[i]));
}

/* ---- compiling ---- */

/* The rule's path with templates filled in; false when it falls away. */
static bool rendered(struct arena *a, const struct policy_rule *r, const struct policy_facts *facts,
                     struct str *source)
{
    struct policy_template_out count = { NULL, 0, 0 };
    if (!policy_template_render(r->source, facts, &count))
        return false;
    struct policy_template_out out = { arena_bytes(a, count.n + 1), 0, count.n };
    if (out.p == NULL || !policy_template_render(r->source, facts, &out))
        return false;
    *source = str_mem(out.p, out.n);
    return true;
}

static int add_rule(struct policy_acl *acl, const struct policy_rule *r,
                    const struct policy_facts *facts, struct err *err)
{
    struct str path = r->path, source;
    enum policy_match match = r->match;
    if (r->templated) {
        if (!rendered(acl->arena, r, facts, &source))
            return arena_check(acl->arena, err);
        TRY(policy_path(source, &path, &match, err));
    }
    uint64_t hash = hash_of(acl, path);
    struct slot *s = slot_of(acl, hash, path, match);
    bool fresh = s->grant == NULL;
    if (fresh) {
        struct grant *g = arena_alloc(acl->arena, sizeof *g);
        *s = (struct slot){ hash, arena_dup(acl->arena, path), match, g };
        TRY(arena_check(acl->arena, err));
    }
    merge_rule(acl->arena, s->grant, r, fresh);
    return arena_check(acl->arena, err);
}

static int by_length(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

/* Vault's order of priority ("Priority matching" in docs/concepts/policies): < 0 when a is lower.
 */
static int priority_cmp(const struct wild *a, const struct wild *b)
{
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->prefix != b->prefix)
        return a->prefix ? -1 : 1;
    if (a->plus != b->plus)
        return a->plus > b->plus ? -1 : 1;
    if (a->path.n != b->path.n)
        return a->path.n < b->path.n ? -1 : 1;
    return a->path.n == 0 ? 0 : memcmp(a->path.p, b->path.p, a->path.n);
}

static int highest_first(const void *a, const void *b)
{
    return priority_cmp(b, a);
}

static struct wild wild_of(const struct slot *s)
{
    struct wild w = { .path = s->path, .grant = s->grant };
    w.first = (size_t)str_find_byte(s->path, '+');
    if (str_ends(s->path, STR("*"))) {
        w.prefix = true;
        w.path.n--;
    }
    struct str rest = w.path, segment;
    while (str_next(&rest, '/', &segment))
        w.plus += str_is(segment, "+");
    return w;
}

/* Collect prefix lengths and '+' paths from the table. */
static int index_rules(struct policy_acl *acl, struct err *err)
{
    size_t prefixes = 0, wilds = 0;
    for (size_t i = 0; i <= acl->mask; i++) {
        const struct slot *s = &acl->slots[i];
        prefixes += s->grant != NULL && s->match == POLICY_PREFIX;
        wilds += s->grant != NULL && s->match == POLICY_WILD;
    }
    acl->lengths = arena_array(acl->arena, prefixes + 1, sizeof *acl->lengths);
    acl->wilds = arena_array(acl->arena, wilds + 1, sizeof *acl->wilds);
    TRY(arena_check(acl->arena, err));
    for (size_t i = 0; i <= acl->mask; i++) {
        const struct slot *s = &acl->slots[i];
        if (s->grant != NULL && s->match == POLICY_PREFIX)
            acl->lengths[acl->n_lengths++] = s->path.n;
        if (s->grant != NULL && s->match == POLICY_WILD)
            acl->wilds[acl->n_wilds++] = wild_of(s);
    }
    qsort(acl->lengths, acl->n_lengths, sizeof *acl->lengths, by_length);
    qsort(acl->wilds, acl->n_wilds, sizeof *acl->wilds, highest_first);
    size_t n = 0;
    for (size_t i = 0; i < acl->n_lengths; i++)
        if (n == 0 || acl->lengths[n - 1] != acl->lengths[i])
            acl->lengths[n++] = acl->lengths[i];
    acl->n_lengths = n;
    return 0;
}

/* Empty, with room for ${rules} at no more than half full. */
static struct policy_acl *policy_acl_new(size_t rules)
{
    struct arena *a = arena_new();
    struct policy_acl *acl = a == NULL ? NULL : arena_alloc(a, sizeof *acl);
    size_t size = 8;
    while (size < rules * 2)
        size *= 2;
    struct slot *slots = acl == NULL ? NULL : arena_array(a, size, sizeof *slots);
    if (slots == NULL) {
        arena_free(a);
        return NULL;
    }
    *acl = (struct policy_acl){ .arena = a, .slots = slots, .mask = size - 1 };
    /* Whoever writes policies must not choose collisions. */
    random_fill(&acl->seed, sizeof acl->seed);
    return acl;
}

int policy_acl_compile(const struct policy *const *policies, size_t n,
                       const struct policy_facts *facts, struct policy_acl **out, struct err *err)
{
    size_t rules = 0;
    for (size_t i = 0; i < n; i++)
        rules += policies[i]->n_rules;
    struct policy_acl *acl = policy_acl_new(rules);
    if (acl == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        for (size_t r = 0; r < policies[i]->n_rules && rc == 0; r++)
            rc = add_rule(acl, &policies[i]->rules[r], facts, err);
    if (rc < 0 || index_rules(acl, err) < 0) {
        policy_acl_free(acl);
        return -1;
    }
    *out = acl;
    return 0;
}

int policy_acl_root(struct policy_acl **out, struct err *err)
{
    struct policy_acl *acl = policy_acl_new(0);
    if (acl == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    acl->root = true;
    *out = acl;
    return 0;
}

void policy_acl_free(struct policy_acl *acl)
{
    if (acl != NULL)
        arena_free(acl->arena);
}

bool policy_acl_is_root(const struct policy_acl *acl)
{
    return acl->root;
}

/* ---- matching ---- */

/* The segment at *at, up to the next '/'; steps past it.  False when nothing is left. */
static bool segment_next(struct str s, size_t *at, struct str *segment)
{
    if (*at > s.n)
        return false;
    const char *start = s.p + *at;
    const char *slash = *at == s.n ? NULL : memchr(start, '/', s.n - *at);
    *segment = str_mem(start, slash == NULL ? s.n - *at : (size_t)(slash - start));
    *at += segment->n + 1;
    return true;
}

static bool wild_matches(const struct wild *w, struct str path)
{
    struct str want, have;
    size_t i = 0, j = 0;
    if (!str_starts(path, str_head(w->path, w->first)))
        return false;
    while (segment_next(w->path, &i, &want)) {
        bool last = i > w->path.n;
        if (!segment_next(path, &j, &have))
            return false;
        if (!str_is(want, "+") && !str_eq(want, have) &&
            !(w->prefix && last && str_starts(have, want)))
            return false;
    }
    return w->prefix || j > path.n;
}

/* Of a path that no exact rule names: the longest prefix or the best '+' path. */
static const struct grant *match_loose(const struct policy_acl *acl, struct str path,
                                       const struct slot *prefix)
{
    const struct grant *best = prefix == NULL ? NULL : prefix->grant;
    struct wild glob = { .prefix = true };
    if (prefix != NULL) {
        glob.path = prefix->path;
        glob.first = prefix->path.n;
    }
    for (size_t i = 0; i < acl->n_wilds; i++) {
        const struct wild *w = &acl->wilds[i];
        if (prefix != NULL && priority_cmp(w, &glob) < 0)
            break;
        if (wild_matches(w, path))
            return w->grant;
    }
    return best;
}

static const struct grant *match(const struct policy_acl *acl, struct str path, bool list)
{
    const struct slot *prefix = NULL, *s;
    uint64_t h = acl->seed, before_last = h;
    size_t next = 0;
    for (size_t i = 0;; i++) {
        if (next < acl->n_lengths && acl->lengths[next] == i) {
            s = slot_of(acl, h, str_head(path, i), POLICY_PREFIX);
            prefix = s->grant != NULL ? s : prefix;
            next++;
        }
        if (i == path.n)
            break;
        before_last = h;
        h = hash_step(h, path.p[i]);
    }
    s = slot_of(acl, h, path, POLICY_EXACT);
    if (s->grant != NULL)
        return s->grant;
    if (list && path.n > 0 && path.p[path.n - 1] == '/') {
        s = slot_of(acl, before_last, str_head(path, path.n - 1), POLICY_EXACT);
        if (s->grant != NULL)
            return s->grant;
    }
    return match_loose(acl, path, prefix);
}

static struct str without_slashes(struct str path)
{
    while (path.n > 0 && path.p[0] == '/')
        path = str_from(path, 1);
    return path;
}

/* ---- parameters ---- */

/* A '*' at the start, at the end, or at both stands for anything. */
static bool text_matches(struct str glob, struct str text)
{
    if (glob.n < 2)
        return str_eq(glob, text);
    bool open = glob.p[0] == '*', end = glob.p[glob.n - 1] == '*';
    if (open && end)
        return str_find(text, str_mem(glob.p + 1, glob.n - 2)) >= 0;
    if (open)
        return str_ends(text, str_from(glob, 1));
    if (end)
        return str_starts(text, str_head(glob, glob.n - 1));
    return str_eq(glob, text);
}

static bool number_matches(const struct json *a, const struct json *b)
{
    int64_t i, j;
    double x, y;
    if (json_to_i64(a, &i) && json_to_i64(b, &j))
        return i == j;
    return json_to_double(a, &x) && json_to_double(b, &y) && x == y;
}

static bool value_listed(const struct policy_param *p, const struct json *v)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct json *want = p->values[i];
        if (want->type == JSON_STRING && v->type == JSON_STRING) {
            if (text_matches(want->text, v->text))
                return true;
        } else if (want->type == JSON_NUMBER && v->type == JSON_NUMBER) {
            if (number_matches(want, v))
                return true;
        } else if (json_equal(want, v)) {
            return true;
        }
    }
    return p->n == 0;
}

static bool denied_by_params(const struct grant *g, const struct json *data)
{
    if (g->denied.n == 0)
        return false;
    if (find_param(&g->denied, STR("*")) != NULL)
        return true;
    for (const struct json *v = json_first(data); v != NULL; v = v->next) {
        const struct policy_param *p = find_param(&g->denied, v->key);
        if (p != NULL && value_listed(p, v))
            return true;
    }
    return false;
}

static bool allowed_by_params(const struct grant *g, const struct json *data)
{
    if (g->allowed.n == 0)
        return true;
    bool any = find_param(&g->allowed, STR("*")) != NULL;
    if (any && g->allowed.n == 1)
        return true;
    for (const struct json *v = json_first(data); v != NULL; v = v->next) {
        const struct policy_param *p = find_param(&g->allowed, v->key);
        if (p == NULL ? !any : !value_listed(p, v))
            return false;
    }
    return true;
}

static bool params_allow(const struct grant *g, const struct json *data)
{
    for (size_t i = 0; i < g->required.n; i++)
        if (json_get(data, g->required.v[i]) == NULL)
            return false;
    if (json_first(data) == NULL)
        return true;
    return !denied_by_params(g, data) && allowed_by_params(g, data);
}

/* ---- checking ---- */

static bool wrapping_allows(const struct grant *g, int64_t wrap_ttl_s)
{
    int64_t wrap_ns = wrap_ttl_s;
    if (g->max_wrap_ns <= 0 && g->min_wrap_ns <= 0)
        return true;
    if (wrap_ttl_s <= 0)
        return false;
    if (__builtin_mul_overflow(wrap_ttl_s, 1000000000, &wrap_ns))
        wrap_ns = INT64_MAX;
    if (g->max_wrap_ns > 0 && wrap_ns > g->max_wrap_ns)
        return false;
    return g->min_wrap_ns <= 0 || wrap_ns >= g->min_wrap_ns;
}

static unsigned cap_for(enum op op)
{
    switch (op) {
    case OP_READ:
        return POLICY_READ;
    case OP_LIST:
        return POLICY_LIST;
    case OP_CREATE:
        return POLICY_CREATE;
    case OP_DELETE:
        return POLICY_DELETE;
    case OP_UPDATE:
    case OP_RENEW:
    case OP_REVOKE:
    case OP_ROLLBACK:
        return POLICY_UPDATE;
    case OP_HELP:
        return 0;
    }
    return 0;
}

static bool grant_allows(const struct grant *g, const struct policy_question *q)
{
    if (!(g->caps & cap_for(q->op)) || !wrapping_allows(g, q->wrap_ttl_s))
        return false;
    /* Reads too: Vault checks the parameters of a query since 0.10.2. */
    bool has_params = q->op == OP_READ || q->op == OP_UPDATE || q->op == OP_CREATE;
    return !has_params || params_allow(g, q->data);
}

bool policy_acl_check(const struct policy_acl *acl, const struct policy_question *q,
                      struct policy_verdict *result)
{
    *result = (struct policy_verdict){ 0 };
    if (acl->root) {
        result->allowed = result->root = result->sudo = true;
        return true;
    }
    if (q->op == OP_HELP) {
        result->allowed = !q->needs_sudo;
        return result->allowed;
    }
    const struct grant *g = match(acl, without_slashes(q->path), q->op == OP_LIST);
    if (g == NULL)
        return false;
    result->sudo = (g->caps & POLICY_SUDO) != 0;
    result->caps = g->caps;
    result->min_wrap_ns = g->min_wrap_ns;
    result->max_wrap_ns = g->max_wrap_ns;
    result->allowed = (result->sudo || !q->needs_sudo) && grant_allows(g, q);
    return result->allowed;
}

size_t policy_acl_cap_names(unsigned caps, const char *out[POLICY_ACL_CAPS_MAX])
{
    static const struct {
        unsigned cap;
        const char *name;
    } names[] = {
        { POLICY_CREATE, "create" }, { POLICY_DELETE, "delete" }, { POLICY_LIST, "list" },
        { POLICY_READ, "read" },     { POLICY_SUDO, "sudo" },     { POLICY_UPDATE, "update" },
    };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if ((caps & names[i].cap) && !(caps & POLICY_DENY))
            out[n++] = names[i].name;
    if (n == 0)
        out[n++] = "deny";
    return n;
}

size_t policy_acl_capabilities(const struct policy_acl *acl, struct str path,
                               const char *out[POLICY_ACL_CAPS_MAX])
{
    if (acl->root) {
        out[0] = "root";
        return 1;
    }
    const struct grant *g = match(acl, without_slashes(path), true);
    return policy_acl_cap_names(g == NULL ? 0 : g->caps, out);
}

static bool grants_something(const struct grant *g)
{
    return g->caps != 0 && !(g->caps & POLICY_DENY);
}

/* Could a path below ${mount}, which ends in '/', match?  Its segments against the first of w. */
static bool wild_below(const struct wild *w, struct str mount)
{
    struct str want, have;
    size_t i = 0, j = 0;
    while (j < mount.n && segment_next(mount, &j, &have)) {
        if (!segment_next(w->path, &i, &want))
            return false;
        bool last = i > w->path.n;
        if (!str_is(want, "+") && !str_eq(want, have) &&
            !(w->prefix && last && str_starts(have, want)))
            return false;
    }
    return true;
}

bool policy_acl_reaches(const struct policy_acl *acl, struct str mount_path)
{
    if (acl->root)
        return true;
    const struct grant *g = match(acl, mount_path, true);
    if (g != NULL && grants_something(g))
        return true;
    for (size_t i = 0; i <= acl->mask; i++) {
        const struct slot *s = &acl->slots[i];
        if (s->grant != NULL && s->match != POLICY_WILD && grants_something(s->grant) &&
            str_starts(s->path, mount_path))
            return true;
    }
    for (size_t i = 0; i < acl->n_wilds; i++)
        if (grants_something(acl->wilds[i].grant) && wild_below(&acl->wilds[i], mount_path))
            return true;
    return false;
}

bool policy_acl_next(const struct policy_acl *acl, size_t *at, struct policy_acl_rule *out)
{
    for (; *at <= acl->mask; ++*at) {
        const struct slot *s = &acl->slots[*at];
        if (s->grant == NULL)
            continue;
        *out = (struct policy_acl_rule){ s->path, s->match, s->grant->caps };
        ++*at;
        return true;
    }
    return false;
}
