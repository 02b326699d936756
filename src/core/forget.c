/* Key prefix -> who must forget. */
#include "core/forget.h"

#include "core/mount.h"

typedef unsigned forget_fn(const struct active *on, struct str key, struct str rest);

static unsigned nothing(const struct active *on, struct str key, struct str rest)
{
    return 0;
}

static unsigned all(const struct active *on, struct str key, struct str rest)
{
    return FORGET_ALL;
}

static unsigned keyring(const struct active *on, struct str key, struct str rest)
{
    return FORGET_KEYRING;
}

static unsigned leader(const struct active *on, struct str key, struct str rest)
{
    return FORGET_LEADER;
}

static unsigned links(const struct active *on, struct str key, struct str rest)
{
    return FORGET_LINKS;
}

/* A device's salt is read with its table: without it that failed. */
static unsigned salt(const struct active *on, struct str key, struct str rest)
{
    return on == NULL ? FORGET_ALL : 0;
}

static unsigned policy(const struct active *on, struct str key, struct str rest)
{
    policy_store_invalidate(on->policies, rest);
    return 0;
}

/* Below "sys/": the token store knows its own keys. */
static unsigned token(const struct active *on, struct str key, struct str rest)
{
    token_store_invalidate(on->tokens, str_from(key, sizeof "sys/" - 1));
    return 0;
}

/* "<uuid>/key" of a mount's view. */
static unsigned mount(const struct active *on, struct str key, struct str rest)
{
    ptrdiff_t slash = str_find_byte(rest, '/');
    if (slash < 0)
        return 0;
    struct str uuid = str_head(rest, (size_t)slash), inner = str_from(rest, (size_t)slash + 1);
    const struct mount *m = mounts_by_uuid(on->mounts, uuid);
    if (m == NULL)
        return 0;
    /* It could not be opened when this node tried: what it lacked has come, perhaps. */
    if (m->engine == NULL)
        return m->unfinished ? FORGET_ALL : 0;
    if (!m->is_auth && str_is(m->type, "identity"))
        return identity_invalidate(on->identity, inner) ? FORGET_ALL : 0;
    if (m->engine->invalidate != NULL)
        m->engine->invalidate(m->state, inner);
    return 0;
}

/* A path that ends in '/' stands for all below it; the longest match decides. */
static const struct row {
    struct str path;
    forget_fn *forget;
} table[] = {
    { STR_INIT("core/keyring"), keyring },
    { STR_INIT("core/master"), keyring },
    { STR_INIT("core/upgrade/"), keyring },
    { STR_INIT("core/canary-keyring"), nothing },
    { STR_INIT("core/shamir-kek"), nothing }, /* read when it is needed, as all about the seal */
    { STR_INIT("core/seal-config"), nothing },
    { STR_INIT("core/recovery-config"), nothing },
    { STR_INIT("core/recovery-key"), nothing },
    { STR_INIT("core/hsm/"), nothing },
    { STR_INIT("core/unseal-keys-backup"), nothing },
    { STR_INIT("core/recovery-keys-backup"), nothing },
    { STR_INIT("core/lock"), leader },
    { STR_INIT("core/leader/"), leader },
    { STR_INIT("core/raft/tls"), links },
    { STR_INIT("core/raft/"), nothing }, /* the active node's own */
    { STR_INIT("core/node/"), nothing },
    { STR_INIT("core/"), all }, /* tables of mounts and devices, cluster, wrapping key, plugins */
    { STR_INIT("audit/"), salt },
    { STR_INIT("sys/"), all },
    { STR_INIT("sys/policy/"), policy },
    { STR_INIT("sys/token/id/"), token },
    { STR_INIT("sys/token/"), nothing }, /* accessors, parents, roles: never kept */
    { STR_INIT("sys/token/salt"), all },
    { STR_INIT("sys/expire/"), nothing }, /* a standby keeps no leases */
    { STR_INIT("sys/counters/"), nothing },
    { STR_INIT("logical/"), mount },
    { STR_INIT("auth/"), mount },
};

static const struct row *row_of(struct str key)
{
    const struct row *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct str path = table[i].path;
        bool covers = str_ends(path, STR("/")) ? str_starts(key, path) : str_eq(key, path);
        if (covers && (found == NULL || path.n > found->path.n))
            found = &table[i];
    }
    return found;
}

bool forget_knows(struct str key)
{
    return row_of(key) != NULL;
}

unsigned forget_keys(const struct active *on, const struct str *keys, size_t n)
{
    unsigned more = 0;
    for (size_t i = 0; i < n; i++) {
        const struct row *row = row_of(keys[i]);
        if (row == NULL)
            more |= FORGET_ALL; /* better too much than stale */
        else if (on != NULL || (row->forget != policy && row->forget != token
                                && row->forget != mount))
            more |= row->forget(on, keys[i], str_from(keys[i], row->path.n));
    }
    return more;
}
