/* Policies by name: stored as JSON, read on demand, compiled once per set of names. */
#include "core/policy_store.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/metric.h"
#include "core/policy_builtin.h"
#include "core/policy_cache.h"

#define PREFIX       "policy/"
#define SETS_MAX     8192
#define POLICIES_MAX 4096
#define TYPE_ACL     0

struct policy_store {
    struct storage *sys;
    struct policy_cache *cache;
    pthread_mutex_t mu;
    struct map held; /* under mu: name -> struct policy_held, of policies read lately */
};

static void unref_value(void *held)
{
    policy_held_unref(held);
}

int policy_store_new(struct storage *sys, struct policy_store **out, struct err *err)
{
    struct policy_store *s = calloc(1, sizeof *s);
    struct policy_cache *cache = policy_cache_new(SETS_MAX);
    if (s == NULL || cache == NULL || pthread_mutex_init(&s->mu, NULL) != 0) {
        policy_cache_free(cache);
        free(s);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    s->sys = sys;
    s->cache = cache;
    *out = s;
    return 0;
}

void policy_store_free(struct policy_store *s)
{
    if (s == NULL)
        return;
    policy_cache_free(s->cache);
    map_free(&s->held, unref_value);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

static struct str sanitised(struct arena *a, struct str name)
{
    name = str_trim(name);
    char *p = arena_bytes(a, name.n + 1);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    for (size_t i = 0; i < name.n; i++)
        p[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] + 32) : name.p[i];
    return str_mem(p, name.n);
}

/* Root is not stored; the others may be, but are not the client's to change. */
static bool is_fixed(struct str name)
{
    for (size_t i = 0; policy_builtin_at(i) != NULL; i++)
        if (policy_builtin_at(i)->fixed && str_eq(policy_builtin_at(i)->name, name))
            return true;
    return str_is(name, "root");
}

/* ---- stored form ---- */

static int encode(struct arena *a, const struct policy *p, struct buf *out, struct err *err)
{
    struct json *o = json_object(a);
    TRY(arena_check(a, err));
    o->keep_order = true;
    json_put_int(o, "Version", 2);
    json_put_str(o, "Raw", p->raw);
    json_put_bool(o, "Templated", p->templated);
    json_put_int(o, "Type", TYPE_ACL);
    TRY(arena_check(a, err));
    json_print(o, out);
    return buf_check(out, err);
}

static int decode(struct str stored, struct policy **out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *o = NULL;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (json_parse_all(a, stored, &o, err) < 0 || !json_is(json_member(o, "Raw"), JSON_STRING) ||
        json_get_int(o, "Type", TYPE_ACL) != TYPE_ACL)
        return err_set(err, ERR_CORRUPT, "failed to parse policy: stored entry is damaged");
    if (policy_parse(json_get_str(o, "Raw"), out, err) == 0)
        return 0;
    if (err != NULL && err->code == ERR_BAD_REQUEST)
        err->code = ERR_INTERNAL;
    return -1;
}

/* ---- reading ---- */

static struct policy_held *recall(struct policy_store *s, struct str name)
{
    pthread_mutex_lock(&s->mu);
    struct policy_held *h = map_get(&s->held, name);
    if (h != NULL)
        policy_held_ref(h);
    pthread_mutex_unlock(&s->mu);
    return h;
}

/* Keep ${h} for the next reader unless something changed since ${generation}. */
static void remember(struct policy_store *s, struct str name, struct policy_held *h,
                     uint64_t generation)
{
    void *old = NULL;
    pthread_mutex_lock(&s->mu);
    if (s->held.n >= POLICIES_MAX)
        map_free(&s->held, unref_value);
    if (generation == policy_cache_generation(s->cache)) {
        policy_held_ref(h);
        if (map_put(&s->held, name, h, &old, NULL) < 0)
            old = h;
        policy_held_unref(old);
    }
    pthread_mutex_unlock(&s->mu);
}

/* The policy of a sanitised name, with a count for the caller.  1, 0 absent, -1. */
static int load(struct policy_store *s, struct str name, struct policy_held **out, struct err *err)
{
    *out = recall(s, name);
    if (*out != NULL)
        return 1;
    if (name.n == 0)
        return 0;
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_POLICY_GET);
    AUTO(buf_free) struct buf key = { 0 }, stored = { 0 };
    uint64_t generation = policy_cache_generation(s->cache);
    buf_add(&key, STR(PREFIX));
    buf_add(&key, name);
    TRY(buf_check(&key, err));
    int found = storage_get(s->sys, buf_str(&key), &stored, err);
    if (found < 0)
        return err_prefix(err, "failed to read policy");
    if (found == 0)
        return 0;
    struct policy *p = NULL;
    TRY(decode(buf_str(&stored), &p, err));
    *out = policy_held_new(p);
    if (*out == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    remember(s, name, *out, generation);
    return 1;
}

int policy_store_get(struct policy_store *s, struct arena *a, struct str name, struct str *text,
                     struct err *err)
{
    struct policy_held *h;
    name = sanitised(a, name);
    TRY(arena_check(a, err));
    *text = STR("");
    if (str_is(name, "root"))
        return 1;
    int found = load(s, name, &h, err);
    if (found <= 0)
        return found;
    *text = arena_dup(a, policy_held_policy(h)->raw);
    policy_held_unref(h);
    TRY(arena_check(a, err));
    return 1;
}

struct listing {
    struct arena *arena;
    struct strs *names;
};

static int add_name(void *ctx, struct str name)
{
    struct listing *l = ctx;
    if (!is_fixed(name))
        strs_add(l->arena, l->names, arena_dup(l->arena, name));
    return 0;
}

int policy_store_list(struct policy_store *s, struct arena *a, struct strs *names, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_POLICY_LIST);
    struct listing l = { a, names };
    TRY(storage_walk(s->sys, STR(PREFIX), add_name, &l, err));
    strs_sort(names);
    strs_add(a, names, STR("root"));
    return arena_check(a, err);
}

/* ---- writing ---- */

void policy_store_invalidate(struct policy_store *s, struct str name)
{
    /* Both under one lock: a reader finds the old policy nowhere once the generation is new. */
    pthread_mutex_lock(&s->mu);
    policy_cache_drop(s->cache, name);
    policy_held_unref(map_remove(&s->held, name));
    pthread_mutex_unlock(&s->mu);
}

void policy_store_invalidate_all(struct policy_store *s)
{
    pthread_mutex_lock(&s->mu);
    policy_cache_drop(s->cache, STR(""));
    map_free(&s->held, unref_value);
    pthread_mutex_unlock(&s->mu);
}

/* Write ${text} under a sanitised name; the text is parsed before anything changes. */
static int put(struct policy_store *s, struct arena *a, struct str name, const struct policy *p,
               struct err *err)
{
    AUTO(buf_free) struct buf entry = { 0 };
    TRY(encode(a, p, &entry, err));
    struct str key = arena_cat(a, STR(PREFIX), name);
    TRY(arena_check(a, err));
    if (storage_put(s->sys, key, buf_str(&entry), err) < 0)
        return err_prefix(err, "failed to persist policy");
    policy_store_invalidate(s, name);
    return 0;
}

static void drop_policy(struct policy **p)
{
    policy_free(*p);
}

int policy_store_set(struct policy_store *s, struct str name, struct str text, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_POLICY_SET);
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(drop_policy) struct policy *p = NULL;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(policy_parse(text, &p, err));
    name = sanitised(a, name);
    TRY(arena_check(a, err));
    if (name.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "policy name missing");
    if (is_fixed(name))
        return err_set(err, ERR_BAD_REQUEST, "cannot update \"" STR_FMT "\" policy", STR_ARG(name));
    return put(s, a, name, p, err);
}

int policy_store_delete(struct policy_store *s, struct str name, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_POLICY_DELETE);
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    name = sanitised(a, name);
    struct str key = arena_cat(a, STR(PREFIX), name);
    TRY(arena_check(a, err));
    if (name.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "policy name missing");
    if (is_fixed(name))
        return err_set(err, ERR_BAD_REQUEST, "cannot delete \"" STR_FMT "\" policy", STR_ARG(name));
    if (str_is(name, "default"))
        return err_set(err, ERR_BAD_REQUEST, "cannot delete default policy");
    if (storage_delete(s->sys, key, err) < 0)
        return err_prefix(err, "failed to delete policy");
    policy_store_invalidate(s, name);
    return 0;
}

/* 1: the store has what it must have of this one; 0: it is to be written. */
static int builtin_is_there(struct policy_store *s, const struct policy_builtin *b, struct err *err)
{
    struct policy_held *h;
    int found = load(s, b->name, &h, err);
    if (found <= 0)
        return found;
    bool good = !b->fixed || str_eq(policy_held_policy(h)->raw, b->text);
    policy_held_unref(h);
    return good;
}

static int write_builtin(struct policy_store *s, const struct policy_builtin *b, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(drop_policy) struct policy *p = NULL;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(policy_parse(b->text, &p, err));
    struct err why = { 0 };
    if (put(s, a, b->name, p, &why) == 0 || why.code == ERR_READ_ONLY)
        return 0;
    return err_set(err, why.code, "%s", why.msg);
}

int policy_store_start(struct policy_store *s, struct err *err)
{
    const struct policy_builtin *b;
    for (size_t i = 0; (b = policy_builtin_at(i)) != NULL; i++) {
        int there = builtin_is_there(s, b, err);
        if (there < 0)
            return err_prefix(err, "error fetching " STR_FMT " policy from store",
                              STR_ARG(b->name));
        if (there == 0)
            TRY(write_builtin(s, b, err));
    }
    return 0;
}

/* ---- compiled sets ---- */

/*
 * A key of the cache: every part with its length before it, so that no two lists of parts give the
 * same bytes.  Small ones stay on the stack.
 */
struct key {
    char small[1024];
    char *p;
    size_t n, cap;
    bool failed;
};

static void key_init(struct key *k)
{
    k->p = k->small;
    k->n = 0;
    k->cap = sizeof k->small;
    k->failed = false;
}

static void key_fini(struct key *k)
{
    if (k->p != k->small)
        free(k->p);
}

static bool key_room(struct key *k, size_t more)
{
    size_t need;
    if (k->failed || __builtin_add_overflow(k->n, more, &need)) {
        k->failed = true;
        return false;
    }
    if (need <= k->cap)
        return true;
    char *p = malloc(need * 2);
    if (p == NULL) {
        k->failed = true;
        return false;
    }
    memcpy(p, k->p, k->n);
    key_fini(k);
    k->p = p;
    k->cap = need * 2;
    return true;
}

static void key_length(struct key *k, size_t n)
{
    uint64_t length = n;
    if (!key_room(k, sizeof length))
        return;
    memcpy(k->p + k->n, &length, sizeof length);
    k->n += sizeof length;
}

static void key_add(struct key *k, struct str part)
{
    key_length(k, part.n);
    if (part.n == 0 || !key_room(k, part.n))
        return;
    memcpy(k->p + k->n, part.p, part.n);
    k->n += part.n;
}

/* The path as this caller has it, or the mark of one that falls away. */
static void key_render(struct key *k, struct str path, const struct policy_facts *facts)
{
    struct policy_template_out count = { NULL, 0, 0 };
    if (!policy_template_render(path, facts, &count)) {
        key_length(k, SIZE_MAX);
        return;
    }
    key_length(k, count.n);
    if (!key_room(k, count.n))
        return;
    struct policy_template_out out = { k->p + k->n, 0, count.n };
    if (policy_template_render(path, facts, &out))
        k->n += out.n;
}

/* A set with its key and names; its policies and acl are still to come. */
static struct policy_set *set_of(const struct key *k, const struct strs *names)
{
    struct policy_set *set = policy_set_new();
    if (set == NULL)
        return NULL;
    set->key = arena_dup(set->arena, str_mem(k->p, k->n));
    for (size_t i = 0; i < names->n; i++)
        strs_add(set->arena, &set->names, sanitised(set->arena, names->v[i]));
    set->policies = arena_array(set->arena, names->n + 1, sizeof(void *));
    if (!arena_failed(set->arena))
        return set;
    policy_set_free(set);
    return NULL;
}

static int compile(struct policy_set *set, struct policy_held *const *policies, size_t n,
                   const struct policy_facts *facts, struct err *err)
{
    const struct policy **list = arena_array(set->arena, n + 1, sizeof *list);
    if (list == NULL)
        return arena_check(set->arena, err);
    for (size_t i = 0; i < n; i++)
        list[i] = policy_held_policy(policies[i]);
    if (policy_acl_compile(list, n, facts, &set->acl, err) == 0)
        return 0;
    if (err != NULL && err->code == ERR_BAD_REQUEST)
        err->code = ERR_INTERNAL;
    return err_prefix(err, "failed to construct ACL");
}

/* Read the set's policies and, when no caller is named in them, compile them. */
static int fill(struct policy_store *s, struct policy_set *set, struct err *err)
{
    if (strs_has(&set->names, STR("root"))) {
        if (set->names.n != 1)
            return err_set(err, ERR_INTERNAL,
                           "failed to construct ACL: other policies present along with root");
        return policy_acl_root(&set->acl, err);
    }
    for (size_t i = 0; i < set->names.n; i++) {
        struct policy_held *h;
        int found = load(s, set->names.v[i], &h, err);
        if (found < 0)
            return err_prefix(err, "failed to get policy");
        if (found == 0)
            continue;
        set->policies[set->n_policies++] = h;
        set->templated = set->templated || policy_held_policy(h)->templated;
    }
    return set->templated ? 0 : compile(set, set->policies, set->n_policies, NULL, err);
}

/* The set of these names, from the cache or made now. */
static int set_by_names(struct policy_store *s, const struct key *k, const struct strs *names,
                        const struct policy_set **out, struct err *err)
{
    *out = policy_cache_find(s->cache, str_mem(k->p, k->n));
    if (*out != NULL)
        return 0;
    uint64_t generation = policy_cache_generation(s->cache);
    struct policy_set *set = set_of(k, names);
    if (set == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (fill(s, set, err) < 0) {
        policy_set_free(set);
        return -1;
    }
    *out = set;
    policy_cache_put(s->cache, set, generation);
    return 0;
}

/* The acl of a templated set for one caller: found by what its templates give. */
static int acl_by_facts(struct policy_store *s, struct key *k, const struct policy_set *base,
                        const struct policy_facts *facts, const struct policy_acl **out,
                        struct err *err)
{
    for (size_t i = 0; i < base->n_policies; i++) {
        const struct policy *p = policy_held_policy(base->policies[i]);
        for (size_t r = 0; p->templated && r < p->n_rules; r++)
            if (p->rules[r].templated)
                key_render(k, p->rules[r].source, facts);
    }
    if (k->failed)
        return err_set(err, ERR_NOMEM, "out of memory");
    const struct policy_set *found = policy_cache_find(s->cache, str_mem(k->p, k->n));
    if (found != NULL) {
        *out = found->acl;
        return 0;
    }
    uint64_t generation = policy_cache_generation(s->cache);
    /* Was ${base} dropped before the generation was asked for?  Then it may be out of date. */
    struct str names_key = base->key;
    if (policy_cache_find(s->cache, names_key) != base)
        generation--;
    struct policy_set *set = set_of(k, &base->names);
    if (set == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (compile(set, base->policies, base->n_policies, facts, err) < 0) {
        policy_set_free(set);
        return -1;
    }
    *out = set->acl;
    policy_cache_put(s->cache, set, generation);
    return 0;
}

int policy_store_acl(struct policy_store *s, const struct strs *names,
                     const struct policy_facts *facts, const struct policy_acl **out,
                     struct err *err)
{
    AUTO(key_fini) struct key k;
    const struct policy_set *set;
    key_init(&k);
    key_length(&k, names->n);
    for (size_t i = 0; i < names->n; i++)
        key_add(&k, names->v[i]);
    if (k.failed)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(set_by_names(s, &k, names, &set, err));
    *out = set->acl;
    return set->templated ? acl_by_facts(s, &k, set, facts, out, err) : 0;
}
