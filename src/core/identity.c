/* Entities in memory, found by id and by alias; the store's buckets are read once and kept up. */
#include "core/identity.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/epoch.h"
#include "base/keylock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "core/identity_entity.h"
#include "core/identity_table.h"
#include "crypto/digest.h"

static const struct log lg = { "identity" };

#define ENTITIES "packer/buckets/"
#define GROUPS "packer/group/buckets/"

enum { ALIAS_KEY = 32 };

/* The groups that an entity is a direct member of. */
struct membership {
    const struct identity_group **v;
    size_t n;
};

struct identity {
    struct storage *view;
    struct keylock *locks; /* an alias that logs in; a bucket that is rewritten */
    uint8_t seed[32];      /* clients choose aliases, but cannot choose collisions */
    bool case_sensitive;
    struct identity_table *by_id, *by_alias;
    pthread_mutex_t fill;  /* writers of the two tables */

    /* Read at the start and immutable since: groups are not written here. */
    struct arena *arena;
    struct map groups;  /* id -> struct identity_group */
    struct map members; /* entity id -> struct membership */
};

/* ---- keys ---- */

static uint64_t id_hash(struct str id)
{
    return str_hash(id);
}

/* Aliases are told apart by a keyed hash of mount and name. */
static int alias_key(const struct identity *i, struct str accessor, struct str name,
                     uint8_t out[DIGEST_MAX], uint64_t *hash, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    buf_add(&text, accessor);
    buf_byte(&text, '\0');
    for (size_t k = 0; k < name.n; k++) {
        char c = name.p[k];
        buf_byte(&text, !i->case_sensitive && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
    TRY(buf_check(&text, err));
    TRY(digest_hmac(DIGEST_SHA256, str_mem(i->seed, sizeof i->seed), buf_str(&text), out, err));
    memcpy(hash, out, sizeof *hash);
    return 0;
}

/* ---- tables ---- */

static struct identity_record *record_new(struct str message)
{
    struct identity_record *r = malloc(sizeof *r + message.n);
    if (r == NULL)
        return NULL;
    r->n = message.n;
    if (message.n > 0)
        memcpy(r->bytes, message.p, message.n);
    return r;
}

static struct str record_bytes(const struct identity_record *r)
{
    return str_mem(r->bytes, r->n);
}

static int put_aliases(struct identity *i, const struct identity_entity *e,
                       struct identity_record *r, struct err *err)
{
    uint8_t key[DIGEST_MAX];
    uint64_t hash;
    for (size_t k = 0; k < e->n_aliases; k++) {
        TRY(alias_key(i, e->aliases[k].mount_accessor, e->aliases[k].name, key, &hash, err));
        TRY(identity_table_put(i->by_alias, hash, str_mem(key, ALIAS_KEY), r, NULL, err));
    }
    return 0;
}

/* Show the entity to readers, in place of what was there under its id. */
static int publish(struct identity *i, const struct identity_entity *e, struct str message,
                   struct err *err)
{
    struct identity_record *r = record_new(message), *old = NULL;
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_lock(&i->fill);
    int result = identity_table_put(i->by_id, id_hash(e->id), e->id, r, &old, err);
    if (result < 0)
        free(r);
    else
        result = put_aliases(i, e, r, err);
    pthread_mutex_unlock(&i->fill);
    /* Of an update that failed half-way an alias may still lead to the old record: keep it. */
    if (result == 0 && old != NULL)
        epoch_retire(old, free);
    return result;
}

/* ---- loading ---- */

struct loading {
    struct identity *i;
    const char *prefix;
    int (*each)(void *ctx, struct str message, struct err *err);
    struct err *err;
    int result;
};

static int load_entity(void *ctx, struct str message, struct err *err)
{
    struct identity *i = ctx;
    AUTO(arena_drop) struct arena *a = arena_new();
    struct identity_entity e;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(identity_entity_parse(a, message, &e, err));
    return publish(i, &e, message, err);
}

static int add_member(struct identity *i, struct str id, const struct identity_group *g,
                      struct err *err)
{
    struct membership *m = map_get(&i->members, id);
    if (m == NULL) {
        m = arena_alloc(i->arena, sizeof *m);
        TRY(arena_check(i->arena, err));
        TRY(map_put(&i->members, id, m, NULL, err));
    }
    /* Room doubles: full at each power of two. */
    if ((m->n & (m->n - 1)) == 0) {
        const struct identity_group **grown =
            arena_array(i->arena, m->n == 0 ? 1 : m->n * 2, sizeof *grown);
        if (grown == NULL)
            return arena_check(i->arena, err);
        if (m->n > 0)
            memcpy(grown, m->v, m->n * sizeof *grown);
        m->v = grown;
    }
    m->v[m->n++] = g;
    return 0;
}

static int load_group(void *ctx, struct str message, struct err *err)
{
    struct identity *i = ctx;
    struct identity_group *g = arena_alloc(i->arena, sizeof *g);
    struct str kept = arena_dup(i->arena, message);
    TRY(arena_check(i->arena, err));
    TRY(identity_entity_group_parse(i->arena, kept, g, err));
    TRY(map_put(&i->groups, g->id, g, NULL, err));
    for (size_t k = 0; k < g->member_ids.n; k++)
        TRY(add_member(i, g->member_ids.v[k], g, err));
    return 0;
}

static int load_bucket(void *ctx, struct str name)
{
    struct loading *l = ctx;
    AUTO(buf_free) struct buf key = { 0 };
    AUTO(buf_free) struct buf stored = { 0 };
    buf_add(&key, str_of(l->prefix));
    buf_add(&key, name);
    l->result = buf_check(&key, l->err);
    if (l->result == 0)
        l->result = storage_get(l->i->view, buf_str(&key), &stored, l->err);
    if (l->result > 0)
        l->result = identity_entity_bucket_walk(buf_str(&stored), l->each, l->i, l->err);
    return l->result;
}

static int load_all(struct identity *i, const char *prefix,
                    int (*each)(void *ctx, struct str message, struct err *err), struct err *err)
{
    struct loading l = { .i = i, .prefix = prefix, .each = each, .err = err };
    TRY(storage_list(i->view, str_of(prefix), STR(""), load_bucket, &l, err));
    return l.result;
}

static int load_case(struct identity *i, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = storage_get(i->view, STR("casesensitivity"), &text, err);
    if (found < 0)
        return -1;
    /* Vault writes down at the first start how names are compared. */
    if (found == 0)
        return storage_put(i->view, STR("casesensitivity"),
                           STR("{\"disable_lower_cased_names\":false}\n"), err);
    TRY(json_parse(a, buf_str(&text), &o, NULL, err));
    i->case_sensitive = json_get_bool(o, "disable_lower_cased_names", false);
    return 0;
}

int identity_new(struct storage *view, struct identity **out, struct err *err)
{
    struct identity *i = calloc(1, sizeof *i);
    if (i == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    i->view = view;
    random_fill(i->seed, sizeof i->seed);
    pthread_mutex_init(&i->fill, NULL);
    i->locks = keylock_new();
    i->arena = arena_new();
    i->by_id = identity_table_new();
    i->by_alias = identity_table_new();
    int result = 0;
    if (i->locks == NULL || i->arena == NULL || i->by_id == NULL || i->by_alias == NULL)
        result = err_set(err, ERR_NOMEM, "out of memory");
    if (result < 0 || load_case(i, err) < 0 || load_all(i, ENTITIES, load_entity, err) < 0
        || load_all(i, GROUPS, load_group, err) < 0) {
        identity_free(i);
        return -1;
    }
    *out = i;
    return 0;
}

void identity_free(struct identity *i)
{
    if (i == NULL)
        return;
    identity_table_free(i->by_alias, NULL);
    identity_table_free(i->by_id, free);
    map_free(&i->groups, NULL);
    map_free(&i->members, NULL);
    arena_free(i->arena);
    keylock_free(i->locks);
    pthread_mutex_destroy(&i->fill);
    free(i);
}

bool identity_invalidate(struct identity *i, struct str key)
{
    struct err err = { 0 };
    struct loading l = { .i = i, .prefix = ENTITIES, .each = load_entity, .err = &err };
    if (!str_starts(key, STR(ENTITIES)))
        return true;
    int found = load_bucket(&l, str_from(key, sizeof ENTITIES - 1));
    if (found < 0)
        LOG(&lg, ERROR, "failed to read a bucket of entities: error=%s", err.msg);
    return found <= 0; /* a bucket that went took its entities with it */
}

/* ---- writing ---- */

static int save(struct identity *i, struct arena *a, struct identity_entity *e, struct err *err)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    AUTO(buf_free) struct buf stored = { 0 };
    AUTO(buf_free) struct buf message = { 0 };
    AUTO(buf_free) struct buf bucket = { 0 };
    TRY(identity_entity_bucket(a, ENTITIES, e->id, &e->bucket_key, err));
    TRY(identity_entity_print(e, &message, err));
    TRY(keylock_hold(i->locks, e->bucket_key, &hold, err));
    TRY(storage_get(i->view, e->bucket_key, &stored, err));
    TRY(identity_entity_bucket_put(buf_str(&stored), e->bucket_key, e->id, buf_str(&message),
                                   &bucket, err));
    TRY(storage_put(i->view, e->bucket_key, buf_str(&bucket), err));
    return publish(i, e, buf_str(&message), err);
}

static struct str new_uuid(struct arena *a)
{
    char uuid[37];
    random_uuid(uuid);
    return arena_dup(a, str_of(uuid));
}

static int make(struct identity *i, struct arena *a, const struct identity_alias *alias,
                struct str *entity_id, struct err *err)
{
    unsigned char name[4];
    int64_t now_ns = clock_now_ns(&clock_system);
    random_fill(name, sizeof name);
    struct identity_entity e = {
        .id = new_uuid(a),
        .name = arena_printf(a, "entity_%02x%02x%02x%02x", name[0], name[1], name[2], name[3]),
        .namespace_id = STR("root"),
        .created_ns = now_ns,
        .updated_ns = now_ns,
    };
    struct identity_entity_alias x = {
        .id = new_uuid(a),
        .canonical_id = e.id,
        .mount_type = alias->mount_type,
        .mount_accessor = alias->mount_accessor,
        .mount_path = alias->mount_path,
        .name = alias->name,
        .namespace_id = STR("root"),
        .metadata = alias->metadata,
        .created_ns = now_ns,
        .updated_ns = now_ns,
    };
    e.aliases = &x;
    e.n_aliases = 1;
    TRY(arena_check(a, err));
    TRY(save(i, a, &e, err));
    *entity_id = e.id;
    return 0;
}

/* ---- login ---- */

static bool same_metadata(const struct json *one, const struct json *two)
{
    bool none = one == NULL || one->count == 0, empty = two == NULL || two->count == 0;
    return none || empty ? none == empty : json_equal(one, two);
}

static bool same_alias(const struct identity *i, const struct identity_entity_alias *x,
                       const struct identity_alias *alias)
{
    return str_eq(x->mount_accessor, alias->mount_accessor)
           && (i->case_sensitive ? str_eq(x->name, alias->name)
                                 : str_eq_nocase(x->name, alias->name));
}

/*
 * 1: the alias is known, the rest lives in ${a}; ${stale} gets the alias when the method now tells
 * other metadata of it.
 */
static int find(struct identity *i, struct arena *a, const struct identity_alias *alias,
                struct identity_entity *e, struct identity_entity_alias **stale, struct err *err)
{
    uint8_t key[DIGEST_MAX];
    uint64_t hash;
    struct str message = { NULL, 0 };
    *stale = NULL;
    TRY(alias_key(i, alias->mount_accessor, alias->name, key, &hash, err));
    epoch_enter();
    const struct identity_record *r =
        identity_table_get(i->by_alias, hash, str_mem(key, ALIAS_KEY));
    if (r != NULL)
        message = arena_dup(a, record_bytes(r));
    epoch_leave();
    if (r == NULL)
        return 0;
    TRY(arena_check(a, err));
    TRY(identity_entity_parse(a, message, e, err));
    if (e->disabled)
        return err_set(err, ERR_DENIED, "permission denied");
    for (size_t k = 0; k < e->n_aliases; k++)
        if (same_alias(i, &e->aliases[k], alias)
            && !same_metadata(e->aliases[k].metadata, alias->metadata))
            *stale = &e->aliases[k];
    return 1;
}

static int login_locked(struct identity *i, struct arena *a, const struct identity_alias *alias,
                        struct str *entity_id, struct err *err)
{
    struct identity_entity e;
    struct identity_entity_alias *stale;
    int found = find(i, a, alias, &e, &stale, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return make(i, a, alias, entity_id, err);
    *entity_id = e.id;
    if (stale == NULL)
        return 0;
    stale->metadata = alias->metadata;
    stale->updated_ns = clock_now_ns(&clock_system);
    return save(i, a, &e, err);
}

int identity_login(struct identity *i, struct arena *a, const struct identity_alias *alias,
                   struct str *entity_id, struct err *err)
{
    struct identity_entity e;
    struct identity_entity_alias *stale;
    uint8_t key[DIGEST_MAX];
    uint64_t hash;
    int found = find(i, a, alias, &e, &stale, err);
    if (found < 0)
        return -1;
    if (found > 0 && stale == NULL) {
        *entity_id = e.id;
        return 0;
    }
    /* Two first logins at once make one entity. */
    AUTO(keylock_release) struct keyhold hold = { 0 };
    TRY(alias_key(i, alias->mount_accessor, alias->name, key, &hash, err));
    TRY(keylock_hold(i->locks, str_mem(key, ALIAS_KEY), &hold, err));
    return login_locked(i, a, alias, entity_id, err);
}

/* ---- what a token gets ---- */

static void add_policies(struct arena *a, struct strs *policies, const struct strs *more)
{
    for (size_t k = 0; k < more->n; k++)
        if (!strs_has(policies, more->v[k]))
            strs_add(a, policies, more->v[k]);
}

/* Direct groups and those above them, each once; the array is in ${a}. */
static int groups_of(const struct identity *i, struct arena *a, struct str entity_id,
                     const struct identity_group ***out, size_t *n, struct err *err)
{
    const struct membership *m = map_get(&i->members, entity_id);
    struct strs seen = { 0 };
    *n = 0;
    if (m == NULL)
        return 0;
    *out = arena_array(a, i->groups.n, sizeof **out);
    if (*out == NULL)
        return arena_check(a, err);
    for (size_t k = 0; k < m->n && *n < i->groups.n; k++) {
        if (strs_has(&seen, m->v[k]->id))
            continue;
        strs_add(a, &seen, m->v[k]->id);
        (*out)[(*n)++] = m->v[k];
    }
    for (size_t k = 0; k < *n; k++)
        for (size_t p = 0; p < (*out)[k]->parent_ids.n; p++) {
            const struct identity_group *g = map_get(&i->groups, (*out)[k]->parent_ids.v[p]);
            if (g == NULL || strs_has(&seen, g->id) || *n == i->groups.n)
                continue;
            strs_add(a, &seen, g->id);
            (*out)[(*n)++] = g;
        }
    return arena_check(a, err);
}

static int fill_facts(struct arena *a, const struct identity_entity *e,
                      const struct identity_group **groups, size_t n_groups,
                      const struct policy_facts **out, struct err *err)
{
    struct policy_facts *f = arena_alloc(a, sizeof *f);
    struct policy_alias *aliases = arena_array(a, e->n_aliases + 1, sizeof *aliases);
    struct policy_group *named = arena_array(a, n_groups + 1, sizeof *named);
    TRY(arena_check(a, err));
    for (size_t k = 0; k < e->n_aliases; k++)
        aliases[k] = (struct policy_alias){
            .mount_accessor = e->aliases[k].mount_accessor,
            .id = e->aliases[k].id,
            .name = e->aliases[k].name,
            .metadata = e->aliases[k].metadata,
        };
    for (size_t k = 0; k < n_groups; k++)
        named[k] = (struct policy_group){
            .id = groups[k]->id,
            .name = groups[k]->name,
            .metadata = groups[k]->metadata,
        };
    *f = (struct policy_facts){
        .entity_id = e->id,
        .entity_name = e->name,
        .entity_metadata = e->metadata,
        .aliases = aliases,
        .n_aliases = e->n_aliases,
        .groups = named,
        .n_groups = n_groups,
    };
    *out = f;
    return 0;
}

int identity_of_token(struct identity *i, struct arena *a, struct str entity_id,
                      struct strs *policies, const struct policy_facts **facts, struct err *err)
{
    struct identity_entity e;
    const struct identity_group **groups = NULL;
    size_t n_groups;
    const struct identity_record *r =
        identity_table_get(i->by_id, id_hash(entity_id), entity_id);
    if (r == NULL)
        return 0;
    /* The texts are borrowed from the record, which lives in the caller's epoch section. */
    TRY(identity_entity_parse(a, record_bytes(r), &e, err));
    if (e.disabled)
        return 0;
    TRY(groups_of(i, a, entity_id, &groups, &n_groups, err));
    add_policies(a, policies, &e.policies);
    for (size_t k = 0; k < n_groups; k++)
        add_policies(a, policies, &groups[k]->policies);
    TRY(fill_facts(a, &e, groups, n_groups, facts, err));
    return 1;
}
