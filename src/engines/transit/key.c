/* A stored record turned into crypto objects, once; what may be asked of it. */
#include "engines/transit/key.h"

#include <stdlib.h>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "crypto/kdf.h"

static struct str own(struct str s)
{
    char *p = malloc(s.n + 1);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (struct str){ p, s.n };
}

static void disown(struct str *s)
{
    free((char *)s->p);
    *s = (struct str){ NULL, 0 };
}

static int own_member(const struct json *object, const char *name, struct str *out,
                      struct err *err)
{
    *out = own(json_get_str(object, name));
    return out->p != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory for a key");
}

static int event_read(const struct json *record, const char *name, struct transit_event *out,
                      struct err *err)
{
    const struct json *v = json_member(record, name);
    out->version = json_get_int(v, "version", 0);
    return own_member(v, "time", &out->time, err);
}

static int secret_read(struct arena *a, const struct json *entry, const char *name,
                       struct secret *out, struct err *err)
{
    struct str text = json_get_str(entry, name), bytes;
    if (text.n == 0)
        return 0;
    if (base64_decode(a, text, &bytes, err) < 0)
        return err_set(err, ERR_CORRUPT, "a stored key is not base64");
    return secret_set(out, bytes, err);
}

/* A member's digits; empty when it is null or absent. */
static struct str digits(const struct json *object, const char *name)
{
    const struct json *v = json_member(object, name);
    return json_is(v, JSON_NUMBER) ? v->text : (struct str){ NULL, 0 };
}

static int rsa_read(const struct json *entry, struct pkey **out, struct err *err)
{
    const struct json *rsa = json_member(entry, "rsa_key"), *crt = json_member(rsa, "Precomputed");
    const struct json *p = json_first(json_member(rsa, "Primes"));
    const struct json *q = p != NULL ? p->next : NULL;
    if (q == NULL || q->next != NULL || p->type != JSON_NUMBER || q->type != JSON_NUMBER)
        return err_set(err, ERR_CORRUPT, "a stored RSA key has not two primes");
    struct pkey_rsa numbers = {
        .n = digits(rsa, "N"), .e = digits(rsa, "E"), .d = digits(rsa, "D"),
        .p = p->text, .q = q->text,
        .dp = digits(crt, "Dp"), .dq = digits(crt, "Dq"), .qinv = digits(crt, "Qinv"),
    };
    return pkey_from_rsa(&numbers, out, err);
}

static int pkey_read(const struct transit_type_info *info, const struct json *entry,
                     struct transit_version *v, struct err *err)
{
    struct pkey_ec ec = { digits(entry, "ec_x"), digits(entry, "ec_y"), digits(entry, "ec_d") };

    switch (info->pkey) {
    case PKEY_RSA:
        return rsa_read(entry, &v->pkey, err);
    case PKEY_P256:
    case PKEY_P384:
    case PKEY_P521:
        return pkey_from_ec(info->pkey, &ec, &v->pkey, err);
    case PKEY_ED25519:
        break;
    }
    if (v->key.n != 64)
        return err_set(err, ERR_CORRUPT, "a stored Ed25519 key has %zu bytes", v->key.n);
    return pkey_from_ed25519(str_head(secret_str(&v->key), PKEY_ED25519_SEED), &v->pkey, err);
}

static int version_read(struct arena *a, const struct transit_key *k, const struct json *entry,
                        struct transit_version *v, struct err *err)
{
    if (!str_to_i64(entry->key, &v->number) || entry->type != JSON_OBJECT)
        return err_set(err, ERR_CORRUPT, "a stored key version is not a number");
    v->convergent = json_get_int(entry, "convergent_version", 0);
    v->created_s = json_get_int(entry, "creation_time", 0);
    TRY(own_member(entry, "time", &v->created, err));
    TRY(own_member(entry, "public_key", &v->public_key, err));
    TRY(secret_read(a, entry, "key", &v->key, err));
    TRY(secret_read(a, entry, "hmac_key", &v->hmac_key, err));
    if (!k->info->symmetric)
        return pkey_read(k->info, entry, v, err);
    if (v->key.n != k->info->key_len)
        return err_set(err, ERR_CORRUPT, "a stored %s key has %zu bytes", k->info->name, v->key.n);
    return k->derived ? 0 : aead_new(k->info->aead, secret_str(&v->key), &v->aead, err);
}

static int by_number(const void *a, const void *b)
{
    int64_t x = ((const struct transit_version *)a)->number;
    int64_t y = ((const struct transit_version *)b)->number;
    return (x > y) - (x < y);
}

static int versions_read(struct arena *a, const struct json *record, struct transit_key *k,
                         struct err *err)
{
    const struct json *keys = json_member(record, "keys");
    if (!json_is(keys, JSON_OBJECT) || keys->count == 0)
        return err_set(err, ERR_CORRUPT, "a stored key has no versions");
    k->versions = calloc(keys->count, sizeof *k->versions);
    if (k->versions == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a key");
    for (const struct json *e = json_first(keys); e != NULL; e = e->next)
        TRY(version_read(a, k, e, &k->versions[k->n_versions++], err));
    qsort(k->versions, k->n_versions, sizeof *k->versions, by_number);
    return 0;
}

static int template_read(const struct json *record, struct transit_key *k, struct err *err)
{
    struct str template = json_get_str(record, "version_template"), mark = STR("{{version}}");
    if (template.n == 0)
        template = STR("vault:v{{version}}:");
    ptrdiff_t at = str_find(template, mark);
    if (at < 0)
        return err_set(err, ERR_CORRUPT, "error parsing version template");
    k->before = own(str_head(template, (size_t)at));
    k->after = own(str_from(template, (size_t)at + mark.n));
    if (k->before.p == NULL || k->after.p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a key");
    if (k->after.n == 0 || str_find(k->after, mark) >= 0)
        return err_set(err, ERR_CORRUPT, "error parsing version template");
    return 0;
}

static int fill(struct arena *a, const struct json *record, struct transit_key *k, struct err *err)
{
    int64_t type = json_get_int(record, "type", -1);
    k->info = transit_type_info(type);
    if (k->info == NULL)
        return err_set(err, ERR_CORRUPT, "a stored key has the unknown type %lld", (long long)type);
    k->type = (enum transit_type)type;
    k->derived = json_get_bool(record, "derived", false);
    k->convergent = json_get_bool(record, "convergent_encryption", false);
    k->exportable = json_get_bool(record, "exportable", false);
    k->deletion_allowed = json_get_bool(record, "deletion_allowed", false);
    k->plaintext_backup = json_get_bool(record, "allow_plaintext_backup", false);
    k->kdf = json_get_int(record, "kdf", 0);
    k->convergent_version = json_get_int(record, "convergent_version", 0);
    k->min_decryption = json_get_int(record, "min_decryption_version", 0);
    k->min_encryption = json_get_int(record, "min_encryption_version", 0);
    k->min_available = json_get_int(record, "min_available_version", 0);
    k->latest = json_get_int(record, "latest_version", 0);
    TRY(own_member(record, "name", &k->name, err));
    TRY(event_read(record, "backup_info", &k->backup, err));
    TRY(event_read(record, "restore_info", &k->restore, err));
    TRY(template_read(record, k, err));
    return versions_read(a, record, k, err);
}

int transit_key_new(struct arena *a, const struct json *record, struct transit_key **out,
                    struct err *err)
{
    struct transit_key *k = calloc(1, sizeof *k);
    if (k == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a key");
    if (fill(a, record, k, err) < 0) {
        transit_key_free(k);
        return -1;
    }
    *out = k;
    return 0;
}

void transit_key_free(void *key)
{
    struct transit_key *k = key;
    if (k == NULL)
        return;
    for (size_t i = 0; i < k->n_versions; i++) {
        struct transit_version *v = &k->versions[i];
        secret_free(&v->key);
        secret_free(&v->hmac_key);
        aead_free(v->aead);
        pkey_free(v->pkey);
        disown(&v->created);
        disown(&v->public_key);
    }
    free(k->versions);
    disown(&k->name);
    disown(&k->backup.time);
    disown(&k->restore.time);
    disown(&k->before);
    disown(&k->after);
    free(k);
}

const struct transit_version *transit_key_version(const struct transit_key *k, int64_t number)
{
    struct transit_version sought = { .number = number };
    return bsearch(&sought, k->versions, k->n_versions, sizeof sought, by_number);
}

int64_t transit_key_convergent(const struct transit_key *k, const struct transit_version *v)
{
    if (!k->convergent)
        return 0;
    if (v->convergent != 0)
        return v->convergent;
    return k->convergent_version == 0 ? 1 : k->convergent_version;
}

int transit_key_derive(const struct transit_key *k, const struct transit_version *v,
                       struct str context, struct secret *out, size_t n, struct err *err)
{
    if (!k->info->derives)
        return err_set(err, ERR_BAD_REQUEST, "derivation not supported for key type %s",
                       k->info->name);
    if (context.n == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "missing 'context' for key derivation; the key was created using a derived "
                       "key, which means additional, per-request information must be included in "
                       "order to perform operations with the key");
    TRY(secret_alloc(out, n, err));
    if (k->kdf == TRANSIT_KDF_HKDF)
        return digest_hkdf(secret_str(&v->key), STR(""), context, out->p, n, err);
    if (k->kdf != TRANSIT_KDF_COUNTER)
        return err_set(err, ERR_INTERNAL, "unsupported key derivation mode");
    if (n > KDF_LEN)
        return err_set(err, ERR_INTERNAL, "could not derive key, length too small");
    uint8_t block[KDF_LEN];
    int rc = kdf_counter(secret_str(&v->key), context, block, err);
    memcpy(out->p, block, n);
    explicit_bzero(block, sizeof block);
    return rc;
}
