/* Kv2/names: encrypts the segments of names, and remembers what it worked out. */
#include "engines/kv2/names.h"

#include <stdlib.h>

#include "base/epoch.h"
#include "codec/base62.h"
#include "codec/base64.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "engines/kv2/cache.h"
#include "engines/kv2/policy.h"

/* Slots; together some 8 MiB a mount when full of usual names, 24 MiB at the very worst. */
enum { KEY_SLOTS = 16384, NAME_SLOTS = 32768, FOLDER_SLOTS = 1024 };

enum { DERIVED = 64, HALF = 32 };

struct kv2_names {
    struct kv2_policy policy;
    struct str prefix, salt;        /* owned */
    uint8_t source[DIGEST_MAX];     /* hash of what it was made of */
    struct kv2_cache *keys;         /* path -> key of its metadata */
    struct kv2_cache *clear;        /* encrypted segment -> the segment */
    struct kv2_cache *folders;      /* key version and folder -> struct folder */
};

/* What the segments directly below a folder are encrypted with. */
struct folder {
    struct kv2_cache_item item;
    struct aead *aead;
    struct secret hmac_key;
    uint32_t version;
    char key[]; /* the version's four bytes and the folder's context */
};

static void folder_release(void *p)
{
    struct folder *f = p;

    aead_free(f->aead);
    secret_free(&f->hmac_key);
    explicit_bzero(f->key, f->item.key.n);
    free(f);
}

/* ---- life ---- */

static bool dup_owned(struct str s, struct str *out)
{
    char *p = malloc(s.n + 1);

    if (p == NULL)
        return false;
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    *out = (struct str){ p, s.n };
    return true;
}

static int source_of(struct str policy, struct str salt, uint8_t out[DIGEST_MAX], struct err *err)
{
    AUTO(buf_free) struct buf both = { 0 };

    buf_add(&both, salt);
    buf_byte(&both, '\0');
    buf_add(&both, policy);
    TRY(buf_check(&both, err));
    return digest_of(DIGEST_SHA256, buf_str(&both), out, err);
}

void kv2_names_free(struct kv2_names *n)
{
    if (n == NULL)
        return;
    kv2_cache_free(n->keys);
    kv2_cache_free(n->clear);
    kv2_cache_free(n->folders);
    kv2_policy_free(&n->policy);
    free((char *)n->prefix.p);
    free((char *)n->salt.p);
    free(n);
}

static void names_drop(struct kv2_names **n)
{
    kv2_names_free(*n);
}

int kv2_names_new(struct str policy, struct str salt, struct str prefix, struct kv2_names **out,
                  struct err *err)
{
    AUTO(names_drop) struct kv2_names *n = calloc(1, sizeof *n);

    if (n == NULL || !dup_owned(prefix, &n->prefix) || !dup_owned(salt, &n->salt))
        return err_set(err, ERR_NOMEM, "out of memory");
    n->keys = kv2_cache_new(KEY_SLOTS);
    n->clear = kv2_cache_new(NAME_SLOTS);
    n->folders = kv2_cache_new(FOLDER_SLOTS);
    if (n->keys == NULL || n->clear == NULL || n->folders == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(source_of(policy, salt, n->source, err));
    TRY(kv2_policy_parse(policy, &n->policy, err));
    *out = n;
    n = NULL;
    return 0;
}

bool kv2_names_same(const struct kv2_names *n, struct str policy, struct str salt)
{
    uint8_t source[DIGEST_MAX];

    return source_of(policy, salt, source, NULL) == 0 &&
           memcmp(source, n->source, digest_len(DIGEST_SHA256)) == 0;
}

/* ---- a folder's keys ---- */

static int folder_derive(const struct kv2_policy_key *key, struct str context, struct folder *f,
                         struct err *err)
{
    uint8_t derived[DERIVED];
    int done = digest_hkdf(secret_str(&key->key), STR(""), context, derived, sizeof derived, err);

    if (done == 0)
        done = aead_new(AEAD_AES256_GCM, str_mem(derived, HALF), &f->aead, err);
    if (done == 0)
        done = secret_set(&f->hmac_key, str_mem(derived + HALF, HALF), err);
    explicit_bzero(derived, sizeof derived);
    return done;
}

static int folder_new(const struct kv2_policy_key *key, struct str cache_key, struct folder **out,
                      struct err *err)
{
    struct folder *f = calloc(1, sizeof *f + cache_key.n);

    if (f == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    memcpy(f->key, cache_key.p, cache_key.n);
    f->item = (struct kv2_cache_item){ { f->key, cache_key.n }, folder_release };
    f->version = key->version;
    if (folder_derive(key, str_from(cache_key, sizeof key->version), f, err) < 0) {
        folder_release(f);
        return -1;
    }
    *out = f;
    return 0;
}

/* The folder of ${context} under a key version; valid until the caller leaves its epoch. */
static int folder_get(struct kv2_names *n, uint32_t version, struct str context,
                      const struct folder **out, struct err *err)
{
    AUTO(buf_free) struct buf cache_key = { 0 };
    const struct kv2_policy_key *key = kv2_policy_key(&n->policy, version);
    struct folder *made = NULL;

    if (key == NULL)
        return err_set(err, ERR_CORRUPT, "kv: a name is encrypted with an unknown key version");
    buf_add(&cache_key, str_mem(&version, sizeof version));
    buf_add(&cache_key, context);
    TRY(buf_check(&cache_key, err));
    *out = (const struct folder *)kv2_cache_get(n->folders, buf_str(&cache_key));
    if (*out != NULL)
        return 0;
    TRY(folder_new(key, buf_str(&cache_key), &made, err));
    /* Within the caller's epoch nobody releases it, even when another takes its slot. */
    kv2_cache_put(n->folders, &made->item);
    *out = made;
    return 0;
}

/* ---- segments ---- */

static void add_decimal(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;

    do
        digits[--at] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    buf_add(b, str_mem(digits + at, sizeof digits - at));
}

/*
 * "<version>:" and the base64 of nonce, ciphertext and tag, as one number in base 62.  The nonce
 * comes from the text, so that a name has one encryption only.
 */
static int segment_encrypt(const struct folder *f, struct arena *a, struct str clear,
                           struct str *out, struct err *err)
{
    AUTO(buf_free) struct buf sealed = { 0 }, text = { 0 };
    uint8_t mac[DIGEST_MAX];

    TRY(digest_hmac(DIGEST_SHA256, secret_str(&f->hmac_key), clear, mac, err));
    buf_add(&sealed, str_mem(mac, AEAD_NONCE));
    TRY(aead_seal(f->aead, mac, STR(""), clear, &sealed, err));
    TRY(buf_check(&sealed, err));
    add_decimal(&text, f->version);
    buf_byte(&text, ':');
    base64_add(&text, buf_str(&sealed));
    TRY(buf_check(&text, err));
    *out = base62_encode(a, buf_str(&text));
    return arena_check(a, err);
}

static int not_a_name(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "kv: a stored name does not decrypt");
}

static int segment_decrypt(struct kv2_names *n, struct arena *a, struct str context,
                           struct str segment, struct str *clear, struct err *err)
{
    AUTO(buf_free) struct buf plain = { 0 };
    const struct folder *f;
    struct str text, sealed;
    uint64_t version;

    if (base62_decode(a, segment, &text, err) < 0)
        return not_a_name(err);
    ptrdiff_t colon = str_find_byte(text, ':');
    if (colon < 0 || !str_to_u64(str_head(text, (size_t)colon), &version) || version > UINT32_MAX ||
        base64_decode(a, str_from(text, (size_t)colon + 1), &sealed, err) < 0 ||
        sealed.n < AEAD_NONCE + AEAD_TAG)
        return not_a_name(err);
    TRY(folder_get(n, (uint32_t)version, context, &f, err));
    if (aead_open(f->aead, (const uint8_t *)sealed.p, STR(""), str_from(sealed, AEAD_NONCE),
                  &plain, err) < 0)
        return not_a_name(err);
    *clear = arena_dup(a, buf_str(&plain));
    return arena_check(a, err);
}

/* ---- whole names ---- */

/* The next segment that means something: "//" and "." are cleaned away. */
static bool next_segment(struct str *rest, struct str *segment)
{
    while (str_next(rest, '/', segment))
        if (segment->n > 0 && !str_is(*segment, "."))
            return true;
    return false;
}

static int context_of(struct kv2_names *n, struct buf *out, struct str folder, struct err *err)
{
    struct str segment;

    buf_add(out, n->prefix);
    buf_add(out, STR("metadata"));
    while (next_segment(&folder, &segment)) {
        buf_byte(out, '/');
        buf_add(out, segment);
    }
    return buf_check(out, err);
}

static int metadata_encrypt(struct kv2_names *n, struct arena *a, struct str path,
                            struct buf *key, struct err *err)
{
    AUTO(buf_free) struct buf context = { 0 };
    const struct folder *f;
    struct str segment, sealed;

    TRY(context_of(n, &context, STR(""), err));
    while (next_segment(&path, &segment)) {
        if (str_is(segment, ".."))
            return err_set(err, ERR_BAD_REQUEST, "relative paths not supported");
        TRY(folder_get(n, n->policy.latest, buf_str(&context), &f, err));
        TRY(segment_encrypt(f, a, segment, &sealed, err));
        buf_byte(key, '/');
        buf_add(key, sealed);
        buf_byte(&context, '/');
        buf_add(&context, segment);
        TRY(buf_check(&context, err));
        kv2_cache_put_text(n->clear, sealed, segment);
    }
    return buf_check(key, err);
}

int kv2_names_metadata(struct kv2_names *n, struct arena *a, struct str path, struct str *key,
                       struct err *err)
{
    AUTO(buf_free) struct buf made = { 0 };

    if (kv2_cache_get_text(n->keys, path, a, key) == 1)
        return 0;
    buf_add(&made, n->prefix);
    buf_add(&made, STR("metadata"));
    size_t root = made.n;
    epoch_enter();
    int done = metadata_encrypt(n, a, path, &made, err);
    epoch_leave();
    TRY(done);
    if (made.n == root)
        buf_byte(&made, '/');
    else
        kv2_cache_put_text(n->keys, path, buf_str(&made));
    *key = arena_dup(a, buf_str(&made));
    return arena_check(a, err);
}

int kv2_names_version(struct kv2_names *n, struct arena *a, struct str path, uint64_t version,
                      struct str *key, struct err *err)
{
    AUTO(buf_free) struct buf b = { 0 };
    uint8_t hash[DIGEST_MAX];

    buf_add(&b, n->salt);
    buf_add(&b, path);
    buf_byte(&b, '|');
    add_decimal(&b, version);
    TRY(buf_check(&b, err));
    TRY(digest_of(DIGEST_SHA256, buf_str(&b), hash, err));
    struct str hex = hex_encode(a, str_mem(hash, digest_len(DIGEST_SHA256)));
    buf_clear(&b);
    buf_add(&b, n->prefix);
    buf_add(&b, STR("versions/"));
    buf_add(&b, str_head(hex, 3));
    buf_byte(&b, '/');
    buf_add(&b, str_from(hex, 3));
    TRY(buf_check(&b, err));
    *key = arena_dup(a, buf_str(&b));
    return arena_check(a, err);
}

/* ---- listing ---- */

struct listing {
    struct arena *a;
    struct strs *names;
};

static int add_name(void *ctx, struct str name)
{
    struct listing *l = ctx;

    strs_add(l->a, l->names, arena_dup(l->a, name));
    return 0;
}

/* The encrypted names become clear ones, in place; inside an epoch. */
static int decrypt_all(struct kv2_names *n, struct arena *a, struct str context, size_t most,
                       struct strs *names, struct err *err)
{
    size_t decrypted = 0;

    for (size_t i = 0; i < names->n; i++) {
        struct str name = names->v[i], clear;
        bool folder = str_ends(name, STR("/"));
        if (folder)
            name.n--;
        if (kv2_cache_get_text(n->clear, name, a, &clear) == 0) {
            if (decrypted++ == most)
                return err_set(err, ERR_MUST_WAIT, "kv: many names to decrypt");
            TRY(segment_decrypt(n, a, context, name, &clear, err));
            kv2_cache_put_text(n->clear, name, clear);
        }
        names->v[i] = folder ? arena_cat(a, clear, STR("/")) : clear;
    }
    return arena_check(a, err);
}

int kv2_names_list(struct kv2_names *n, struct storage *storage, struct arena *a,
                   struct str folder, size_t decrypt_most, struct strs *out, struct err *err)
{
    AUTO(buf_free) struct buf context = { 0 };
    struct listing l = { a, out };
    struct str key;

    *out = (struct strs){ 0 };
    TRY(context_of(n, &context, folder, err));
    TRY(kv2_names_metadata(n, a, folder, &key, err));
    if (!str_ends(key, STR("/")))
        key = arena_cat(a, key, STR("/"));
    TRY(arena_check(a, err));
    TRY(storage_list(storage, key, STR(""), add_name, &l, err));
    TRY(arena_check(a, err));
    epoch_enter();
    int done = decrypt_all(n, a, buf_str(&context), decrypt_most, out, err);
    epoch_leave();
    TRY(done);
    strs_sort(out);
    return 0;
}
