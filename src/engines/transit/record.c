/* Stored keys: making, upgrading, rotating them, and the movement of versions to the archive. */
#include "engines/transit/record.h"

#include "base/secret.h"
#include "codec/base64.h"
#include "codec/timefmt.h"

enum { HMAC_KEY_LEN = 32, CONVERGENT_NOW = 3 };

int64_t transit_record_int(const struct transit_record *r, const char *name)
{
    return json_get_int(r->policy, name, 0);
}

void transit_record_set_int(struct transit_record *r, const char *name, int64_t v)
{
    json_put_int(r->policy, name, v);
    r->policy_changed = true;
}

bool transit_record_bool(const struct transit_record *r, const char *name)
{
    return json_get_bool(r->policy, name, false);
}

void transit_record_set_bool(struct transit_record *r, const char *name, bool v)
{
    json_put_bool(r->policy, name, v);
    r->policy_changed = true;
}

void transit_record_stamp(struct transit_record *r, const char *name, int64_t now_ns)
{
    struct json *event = json_put_object(r->policy, name);
    if (event == NULL)
        return; /* the arena remembers */
    event->keep_order = true;
    json_put_str(event, "time", time_format(r->arena, now_ns));
    json_put_int(event, "version", transit_record_int(r, "latest_version"));
    r->policy_changed = true;
}

int transit_spec_check(const struct transit_spec *spec, struct err *err)
{
    const struct transit_type_info *info = transit_type_info(spec->type);

    if (info->symmetric && spec->convergent && !spec->derived)
        return err_set(err, ERR_INTERNAL,
                       "convergent encryption requires derivation to be enabled");
    if (!info->derives && (spec->derived || spec->convergent))
        return err_set(err, ERR_INTERNAL,
                       "key derivation and convergent encryption not supported for keys of type %s",
                       info->name);
    if (!info->symmetric && spec->convergent)
        return err_set(err, ERR_INTERNAL, "convergent encryption not supported for keys of type %s",
                       info->name);
    return 0;
}

/* Members in Vault's order, so that a stored key reads the same whoever wrote it. */
static struct json *policy_make(struct arena *a, const struct transit_spec *spec)
{
    struct json *p = json_object(a);
    if (p == NULL)
        return NULL;
    p->keep_order = true;
    json_put_str(p, "name", arena_dup(a, spec->name));
    (void)json_put_object(p, "keys");
    json_put_bool(p, "derived", spec->derived);
    json_put_int(p, "kdf", spec->derived ? 1 : 0);
    json_put_bool(p, "convergent_encryption", spec->convergent);
    json_put_bool(p, "exportable", spec->exportable);
    json_put_int(p, "min_decryption_version", 0);
    json_put_int(p, "min_encryption_version", 0);
    json_put_int(p, "latest_version", 0);
    json_put_int(p, "archive_version", 0);
    json_put_int(p, "archive_min_version", 0);
    json_put_int(p, "min_available_version", 0);
    json_put_bool(p, "deletion_allowed", false);
    /* -1: each version knows its own scheme. */
    json_put_int(p, "convergent_version", spec->convergent ? -1 : 0);
    json_put_int(p, "type", spec->type);
    json_put_null(p, "backup_info");
    json_put_null(p, "restore_info");
    json_put_bool(p, "allow_plaintext_backup", spec->plaintext_backup);
    json_put_text(p, "version_template", "");
    json_put_text(p, "storage_prefix", "");
    return p;
}

static struct json *archive_make(struct arena *a)
{
    struct json *archive = json_object(a);
    (void)json_put_array(archive, "keys");
    return archive;
}

void transit_record_make(struct arena *a, const struct transit_spec *spec,
                         struct transit_record *out)
{
    *out = (struct transit_record){
        .arena = a, .policy = policy_make(a, spec), .archive = archive_make(a),
        .policy_changed = true,
    };
}

/* What was stored goes back in the order in which it stood; versions are sorted by name. */
static void keep_order(struct json *v)
{
    if (v->type == JSON_OBJECT && !str_is(v->key, "keys"))
        v->keep_order = true;
    for (struct json *m = json_first(v); m != NULL; m = m->next)
        keep_order(m);
}

static int parse_text(struct arena *a, struct str text, struct json **out, struct err *err)
{
    if (json_parse(a, text, out, NULL, err) < 0) {
        /* The parser's text may quote what it read. */
        return err->code == ERR_NOMEM ? -1
                                      : err_set(err, ERR_CORRUPT, "a stored key is not JSON");
    }
    return 0;
}

int transit_record_from(struct arena *a, struct json *policy, struct json *archive,
                        struct transit_record *out, struct err *err)
{
    if (!json_is(policy, JSON_OBJECT))
        return err_set(err, ERR_CORRUPT, "a stored key is not a JSON object");
    *out = (struct transit_record){ .arena = a, .policy = policy, .archive = archive };
    if (!json_is(json_member(policy, "keys"), JSON_OBJECT))
        (void)json_put_object(policy, "keys");
    if (!json_is(archive, JSON_OBJECT))
        out->archive = archive_make(a);
    else if (!json_is(json_member(archive, "keys"), JSON_ARRAY))
        (void)json_put_array(archive, "keys");
    TRY(arena_check(a, err));
    keep_order(out->policy);
    keep_order(out->archive);
    return 0;
}

int transit_record_parse(struct arena *a, struct str policy, struct str archive,
                         struct transit_record *out, struct err *err)
{
    struct json *p, *stored = NULL;

    TRY(parse_text(a, policy, &p, err));
    if (archive.n > 0)
        TRY(parse_text(a, archive, &stored, err));
    return transit_record_from(a, p, stored, out, err);
}

static void put_base64(struct json *entry, const char *name, struct str bytes)
{
    json_put_str(entry, name, base64_encode(entry->arena, bytes));
}

static void put_number(struct json *entry, const char *name, struct str digits)
{
    json_put(entry, name, json_number(entry->arena, digits));
}

static void put_random(struct json *entry, const char *name, size_t n, struct err *err, int *rc)
{
    AUTO(secret_free) struct secret key = { 0 };
    if (secret_random(&key, n, err) < 0) {
        *rc = -1;
        return;
    }
    put_base64(entry, name, secret_str(&key));
}

/* An entry with all members in Vault's order and nothing in them. */
static struct json *entry_make(struct arena *a, int64_t time_ns, int64_t created_s)
{
    struct json *e = json_object(a);
    if (e == NULL)
        return NULL;
    e->keep_order = true;
    json_put_null(e, "key");
    json_put_null(e, "hmac_key");
    json_put_str(e, "time", time_ns == TIME_ZERO ? STR("0001-01-01T00:00:00Z")
                                                 : time_format(a, time_ns));
    json_put_null(e, "ec_x");
    json_put_null(e, "ec_y");
    json_put_null(e, "ec_d");
    json_put_null(e, "rsa_key");
    json_put_text(e, "public_key", "");
    json_put_int(e, "convergent_version", 0);
    json_put_int(e, "creation_time", created_s);
    return e;
}

static int fill_ec(struct json *entry, const struct pkey *k, struct err *err)
{
    AUTO(buf_free) struct buf pem = { 0 };
    struct pkey_ec ec;
    TRY(pkey_ec_numbers(k, entry->arena, &ec, err));
    TRY(pkey_public_pem(k, &pem, err));
    put_number(entry, "ec_x", ec.x);
    put_number(entry, "ec_y", ec.y);
    put_number(entry, "ec_d", ec.d);
    json_put_str(entry, "public_key", arena_dup(entry->arena, buf_str(&pem)));
    return 0;
}

static int fill_rsa(struct json *entry, const struct pkey *k, struct err *err)
{
    struct pkey_rsa n;
    TRY(pkey_rsa_numbers(k, entry->arena, &n, err));
    struct json *rsa = json_put_object(entry, "rsa_key");
    if (rsa == NULL)
        return arena_check(entry->arena, err);
    rsa->keep_order = true;
    put_number(rsa, "N", n.n);
    put_number(rsa, "E", n.e);
    put_number(rsa, "D", n.d);
    struct json *primes = json_put_array(rsa, "Primes");
    json_add(primes, json_number(entry->arena, n.p));
    json_add(primes, json_number(entry->arena, n.q));
    struct json *crt = json_put_object(rsa, "Precomputed");
    if (crt == NULL)
        return arena_check(entry->arena, err);
    crt->keep_order = true;
    put_number(crt, "Dp", n.dp);
    put_number(crt, "Dq", n.dq);
    put_number(crt, "Qinv", n.qinv);
    (void)json_put_array(crt, "CRTValues");
    return 0;
}

static int fill_ed25519(struct json *entry, const struct pkey *k, struct err *err)
{
    uint8_t both[64];
    int rc = pkey_ed25519_bytes(k, both, err);
    if (rc == 0) {
        put_base64(entry, "key", str_mem(both, sizeof both));
        put_base64(entry, "public_key", str_mem(both + PKEY_ED25519_SEED, PKEY_ED25519_PUBLIC));
    }
    explicit_bzero(both, sizeof both);
    return rc;
}

static int fill_key(struct json *entry, const struct transit_type_info *info, struct err *err)
{
    AUTO(pkey_drop) struct pkey *k = NULL;
    int rc = 0;

    if (info->symmetric) {
        put_random(entry, "key", info->key_len, err, &rc);
        return rc;
    }
    TRY(pkey_generate(info->pkey, info->rsa_bits, &k, err));
    switch (info->pkey) {
    case PKEY_RSA:
        return fill_rsa(entry, k, err);
    case PKEY_ED25519:
        return fill_ed25519(entry, k, err);
    case PKEY_P256:
    case PKEY_P384:
    case PKEY_P521:
        break;
    }
    return fill_ec(entry, k, err);
}

/* The name of a version's member: its number. */
static struct str version_name(struct arena *a, int64_t version)
{
    return arena_printf(a, "%lld", (long long)version);
}

static struct json *versions_of(const struct transit_record *r)
{
    return json_member(r->policy, "keys");
}

static struct json *version_of(const struct transit_record *r, int64_t version)
{
    return json_get(versions_of(r), version_name(r->arena, version));
}

int transit_record_rotate(struct transit_record *r, int64_t now_ns, struct err *err)
{
    const struct transit_type_info *info = transit_type_info(transit_record_int(r, "type"));
    struct json *entry = entry_make(r->arena, now_ns, now_ns / 1000000000);
    int rc = 0;

    if (info == NULL)
        return err_set(err, ERR_CORRUPT, "a stored key has an unknown type");
    if (entry == NULL)
        return arena_check(r->arena, err);
    put_random(entry, "hmac_key", HMAC_KEY_LEN, err, &rc);
    TRY(rc);
    TRY(fill_key(entry, info, err));
    /* A key of scheme 1 stays with it: its clients choose the nonces. */
    int64_t scheme = transit_record_int(r, "convergent_version");
    if (transit_record_bool(r, "convergent_encryption") && (scheme == -1 || scheme > 1))
        json_put_int(entry, "convergent_version", CONVERGENT_NOW);

    int64_t next = transit_record_int(r, "latest_version") + 1;
    json_set(versions_of(r), version_name(r->arena, next), entry);
    transit_record_set_int(r, "latest_version", next);
    if (transit_record_int(r, "min_decryption_version") == 0)
        transit_record_set_int(r, "min_decryption_version", 1);
    return arena_check(r->arena, err);
}

/* The one key of a store older than rotation becomes version 1. */
static void upgrade_single_key(struct transit_record *r, int64_t now_ns)
{
    struct str key = json_get_str(r->policy, "key");
    if (key.n == 0)
        return;
    struct json *entry = entry_make(r->arena, now_ns, now_ns / 1000000000);
    json_put_str(entry, "key", key);
    json_set(versions_of(r), STR("1"), entry);
    (void)json_remove(r->policy, STR("key"));
    r->policy_changed = true;
}

static int upgrade_hmac_key(struct transit_record *r, struct err *err)
{
    struct json *latest = version_of(r, transit_record_int(r, "latest_version"));
    int rc = 0;
    if (latest == NULL || json_get_str(latest, "hmac_key").n > 0)
        return 0;
    put_random(latest, "hmac_key", HMAC_KEY_LEN, err, &rc);
    r->policy_changed = true;
    return rc;
}

int transit_record_upgrade(struct transit_record *r, int64_t now_ns, struct err *err)
{
    upgrade_single_key(r, now_ns);
    if (transit_record_int(r, "latest_version") == 0 && versions_of(r)->count > 0)
        transit_record_set_int(r, "latest_version", (int64_t)versions_of(r)->count);
    if (transit_record_int(r, "min_decryption_version") == 0)
        transit_record_set_int(r, "min_decryption_version", 1);
    if (transit_record_int(r, "archive_version") == 0)
        r->policy_changed = true; /* to be settled: copied to the archive */
    if (transit_record_bool(r, "convergent_encryption") &&
        transit_record_int(r, "convergent_version") == 0)
        transit_record_set_int(r, "convergent_version", 1);
    TRY(upgrade_hmac_key(r, err));
    return arena_check(r->arena, err);
}

/* ---- the archive ---- */

static int contradicts(const struct transit_record *r, struct err *err)
{
    long long min = transit_record_int(r, "min_decryption_version");
    long long latest = transit_record_int(r, "latest_version");
    long long archived = transit_record_int(r, "archive_version");
    long long encrypt = transit_record_int(r, "min_encryption_version");

    if (min < 1)
        return err_set(err, ERR_INTERNAL, "minimum decryption version of %lld is less than 1", min);
    if (latest < 1)
        return err_set(err, ERR_INTERNAL, "latest version of %lld is less than 1", latest);
    if (version_of(r, min) == NULL && archived != latest)
        return err_set(err, ERR_INTERNAL,
                       "need to move keys from archive but archive version not up-to-date");
    if (archived > latest)
        return err_set(err, ERR_INTERNAL,
                       "archive version of %lld is greater than the latest version %lld", archived,
                       latest);
    if (encrypt > 0 && encrypt < min)
        return err_set(err, ERR_INTERNAL,
                       "minimum decryption version of %lld is greater than minimum encryption "
                       "version %lld",
                       min, encrypt);
    if (min > latest)
        return err_set(err, ERR_INTERNAL,
                       "minimum decryption version of %lld is greater than the latest version %lld",
                       min, latest);
    return 0;
}

/* The archive's entries as an array: entry of version v at [v - base]. */
struct shelf {
    struct json **of;
    int64_t base, n;
};

static int shelf_open(const struct transit_record *r, int64_t latest, struct shelf *s,
                      struct err *err)
{
    struct json *keys = json_member(r->archive, "keys");
    s->base = transit_record_int(r, "archive_min_version");
    s->n = (int64_t)keys->count;
    if (s->base < 0 || s->base > latest)
        return err_set(err, ERR_CORRUPT, "the archive begins at version %lld",
                       (long long)s->base);
    s->of = arena_array(r->arena, (size_t)s->n + 1, sizeof *s->of);
    if (s->of == NULL)
        return arena_check(r->arena, err);
    int64_t i = 0;
    for (struct json *e = json_first(keys); e != NULL; e = e->next)
        s->of[i++] = e;
    return 0;
}

static struct json *shelf_at(const struct shelf *s, int64_t version)
{
    return version >= s->base && version - s->base < s->n ? s->of[version - s->base] : NULL;
}

static int from_archive(struct transit_record *r, const struct shelf *s, int64_t min,
                        int64_t latest, struct err *err)
{
    for (int64_t v = min; v <= latest; v++) {
        struct json *entry = shelf_at(s, v);
        if (entry == NULL)
            return err_set(err, ERR_CORRUPT, "version %lld is missing in the archive",
                           (long long)v);
        json_set(versions_of(r), version_name(r->arena, v), json_copy(r->arena, entry));
    }
    keep_order(r->policy);
    r->policy_changed = true;
    return 0;
}

/*
 * The archive anew: from min_available on, old entries kept, newer ones copied from the policy, and
 * those too that a lost archive should have had.
 */
static int archive_rebuild(struct transit_record *r, const struct shelf *s, int64_t latest,
                           struct err *err)
{
    int64_t archived = transit_record_int(r, "archive_version");
    int64_t first = transit_record_int(r, "min_available_version");
    struct json *archive = json_object(r->arena), *keys = json_put_array(archive, "keys");

    for (int64_t v = first > s->base ? first : s->base; v <= latest; v++) {
        const struct json *entry = v <= archived ? shelf_at(s, v) : NULL;
        if (entry == NULL)
            entry = version_of(r, v);
        if (entry == NULL && v > 0)
            return err_set(err, ERR_CORRUPT, "version %lld is missing", (long long)v);
        /* Versions count from 1: an archive that was never trimmed begins with an empty entry. */
        json_add(keys, entry != NULL ? json_copy(r->arena, entry)
                                     : entry_make(r->arena, TIME_ZERO, 0));
    }
    TRY(arena_check(r->arena, err));
    keep_order(archive);
    r->archive = archive;
    r->archive_changed = true;
    transit_record_set_int(r, "archive_version", latest);
    if (s->base < first)
        transit_record_set_int(r, "archive_min_version", first);
    return 0;
}

static void drop_below(struct transit_record *r, int64_t min)
{
    struct json *next;
    for (struct json *e = json_first(versions_of(r)); e != NULL; e = next) {
        int64_t version;
        next = e->next;
        if (str_to_i64(e->key, &version) && version < min) {
            (void)json_remove(versions_of(r), e->key);
            r->policy_changed = true;
        }
    }
}

int transit_record_settle(struct transit_record *r, struct err *err)
{
    int64_t min = transit_record_int(r, "min_decryption_version");
    int64_t latest = transit_record_int(r, "latest_version");
    struct shelf s;

    TRY(contradicts(r, err));
    TRY(shelf_open(r, latest, &s, err));
    if (version_of(r, min) == NULL)
        return from_archive(r, &s, min, latest, err);
    bool behind = transit_record_int(r, "archive_version") < latest ||
                  s.base < transit_record_int(r, "min_available_version");
    if (behind)
        TRY(archive_rebuild(r, &s, latest, err));
    drop_below(r, min);
    return arena_check(r->arena, err);
}
