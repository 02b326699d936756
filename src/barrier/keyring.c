/* Keys in term order, and their JSON. */
#include "barrier/keyring.h"

#include <inttypes.h>
#include <stdlib.h>

#include "barrier/envelope.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/timefmt.h"
#include "crypto/aead.h"

struct key {
    uint32_t term;
    struct secret value;
    struct aead *aead;
    int64_t installed_ns;
    uint64_t encryptions;
};

struct keyring {
    struct secret root;
    struct keyring_rotation rotation;
    struct key *keys; /* ascending terms; the last one encrypts */
    size_t n;
};

/* core/keyring is sealed by the root key, which has no term: the field says 1. */
static const uint32_t root_term = 1;
static const struct str stored_at = STR_INIT("core/keyring");

static void drop_aead(struct aead **a)
{
    aead_free(*a);
}

static void drop_ring(struct keyring **k)
{
    keyring_free(*k);
}

static struct keyring *hand_over(struct keyring **k)
{
    struct keyring *out = *k;

    *k = NULL;
    return out;
}

void keyring_free(struct keyring *k)
{
    if (k == NULL)
        return;
    for (size_t i = 0; i < k->n; i++) {
        secret_free(&k->keys[i].value);
        aead_free(k->keys[i].aead);
    }
    free(k->keys);
    secret_free(&k->root);
    free(k);
}

static int64_t within(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static struct keyring_rotation sane(struct keyring_rotation r)
{
    if (r.max_operations == 0) /* keyrings of before 1.7 have no setting */
        r.max_operations = KEYRING_OPERATIONS_MAX;
    r.max_operations = within(r.max_operations, KEYRING_OPERATIONS_MIN, KEYRING_OPERATIONS_MAX);
    if (r.interval_ns != 0)
        r.interval_ns = within(r.interval_ns, KEYRING_INTERVAL_MIN_NS, INT64_MAX);
    return r;
}

/* A ring without keys, with room for ${room}. */
static int ring_make(struct str root_key, size_t room, struct keyring **out, struct err *err)
{
    if (root_key.n != KEYRING_KEY_LEN)
        return err_set(err, ERR_DENIED, "Unseal failed, invalid key");
    struct keyring *k = calloc(1, sizeof *k);
    if (k == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a keyring");
    k->keys = calloc(room, sizeof *k->keys);
    if (k->keys == NULL || secret_set(&k->root, root_key, err) < 0) {
        keyring_free(k);
        return err_set(err, ERR_NOMEM, "out of memory for a keyring");
    }
    k->rotation = sane((struct keyring_rotation){ .enabled = true });
    *out = k;
    return 0;
}

static int compare_terms(const void *a, const void *b)
{
    const struct key *x = a, *y = b;

    return x->term < y->term ? -1 : x->term > y->term;
}

/* Add a copy of ${key}, for which the ring has room. */
static int add_key(struct keyring *k, const struct key *key, struct err *err)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->keys[i].term == key->term)
            return err_set(err, ERR_CORRUPT, "conflicting key for term %" PRIu32
                                             " already installed", key->term);
    if (key->value.n != KEYRING_KEY_LEN)
        return err_set(err, ERR_CORRUPT, "keyring: the key of term %" PRIu32 " has %zu bytes",
                       key->term, key->value.n);
    struct key *new = &k->keys[k->n];
    *new = (struct key){ .term = key->term,
                         .installed_ns = key->installed_ns,
                         .encryptions = key->encryptions };
    TRY(secret_set(&new->value, secret_str(&key->value), err));
    k->n++;
    TRY(aead_new(AEAD_AES256_GCM, secret_str(&key->value), &new->aead, err));
    qsort(k->keys, k->n, sizeof *k->keys, compare_terms);
    return 0;
}

/* A copy under ${root_key} with room for one key more. */
static int copy(const struct keyring *k, struct str root_key, struct keyring **out,
                struct err *err)
{
    AUTO(drop_ring) struct keyring *new = NULL;

    TRY(ring_make(root_key, k->n + 1, &new, err));
    new->rotation = k->rotation;
    for (size_t i = 0; i < k->n; i++)
        TRY(add_key(new, &k->keys[i], err));
    *out = hand_over(&new);
    return 0;
}

static struct key *newest(const struct keyring *k)
{
    return &k->keys[k->n - 1];
}

static void key_wipe(struct key *k)
{
    secret_free(&k->value);
}

static int add_random_key(struct keyring *k, uint32_t term, int64_t now_ns, struct err *err)
{
    AUTO(key_wipe) struct key key = { .term = term, .installed_ns = now_ns };

    TRY(secret_random(&key.value, KEYRING_KEY_LEN, err));
    /* Only the newest key's count matters (Vault keeps the others at 0 too). */
    for (size_t i = 0; i < k->n; i++)
        k->keys[i].encryptions = 0;
    return add_key(k, &key, err);
}

int keyring_new(struct str root_key, int64_t now_ns, struct keyring **out, struct err *err)
{
    AUTO(drop_ring) struct keyring *new = NULL;

    TRY(ring_make(root_key, 1, &new, err));
    TRY(add_random_key(new, 1, now_ns, err));
    *out = hand_over(&new);
    return 0;
}

int keyring_with_new_key(const struct keyring *k, int64_t now_ns, struct keyring **out,
                         struct err *err)
{
    AUTO(drop_ring) struct keyring *new = NULL;

    if (newest(k)->term == UINT32_MAX)
        return err_set(err, ERR_INTERNAL, "keyring: there is no term after %" PRIu32, UINT32_MAX);
    TRY(keyring_copy(k, &new, err));
    TRY(add_random_key(new, newest(k)->term + 1, now_ns, err));
    *out = hand_over(&new);
    return 0;
}

int keyring_copy(const struct keyring *k, struct keyring **out, struct err *err)
{
    return copy(k, secret_str(&k->root), out, err);
}

int keyring_with_root_key(const struct keyring *k, struct str root_key, struct keyring **out,
                          struct err *err)
{
    return copy(k, root_key, out, err);
}

int keyring_with_rotation(const struct keyring *k, const struct keyring_rotation *r,
                          struct keyring **out, struct err *err)
{
    TRY(keyring_copy(k, out, err));
    (*out)->rotation = sane(*r);
    return 0;
}

int keyring_with_encryptions(const struct keyring *k, uint64_t encryptions, struct keyring **out,
                             struct err *err)
{
    TRY(keyring_copy(k, out, err));
    newest(*out)->encryptions = encryptions;
    return 0;
}

struct keyring_key keyring_active(const struct keyring *k)
{
    const struct key *key = newest(k);

    return (struct keyring_key){ key->term, key->installed_ns, key->encryptions };
}

struct keyring_rotation keyring_rotation(const struct keyring *k)
{
    return k->rotation;
}

struct str keyring_root_key(const struct keyring *k)
{
    return secret_str(&k->root);
}

/* Sealing and opening values. */

static const struct key *key_of_term(const struct keyring *k, uint32_t term)
{
    size_t low = 0, high = k->n;

    if (newest(k)->term == term)
        return newest(k);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (k->keys[mid].term < term)
            low = mid + 1;
        else
            high = mid;
    }
    return low < k->n && k->keys[low].term == term ? &k->keys[low] : NULL;
}

int keyring_seal(const struct keyring *k, struct str path, struct str text, struct buf *out,
                 struct err *err)
{
    return envelope_seal(newest(k)->aead, newest(k)->term, path, text, out, err);
}

int keyring_seal_before(const struct keyring *k, struct str path, struct str text, struct buf *out,
                        struct err *err)
{
    const struct key *key = key_of_term(k, newest(k)->term - 1);

    if (key == NULL)
        return err_set(err, ERR_INTERNAL, "keyring: there is no key before term %" PRIu32,
                       newest(k)->term);
    return envelope_seal(key->aead, key->term, path, text, out, err);
}

int keyring_open(const struct keyring *k, struct str path, struct str sealed, struct buf *out,
                 struct err *err)
{
    uint32_t term;

    TRY(envelope_term(sealed, &term, err));
    const struct key *key = key_of_term(k, term);
    if (key == NULL)
        return err_set(err, ERR_CORRUPT, "no decryption key available for term %" PRIu32, term);
    if (envelope_open(key->aead, path, sealed, out, err) < 0)
        return err_prefix(err, "decryption failed");
    return 0;
}

/* The stored form. */

/* Member order and spelling are Vault's; nothing in it needs escapes. */
static void print_one(uint32_t term, struct str value, struct str time, uint64_t encryptions,
                      struct buf *out)
{
    buf_printf(out, "{\"Term\":%" PRIu32 ",\"Version\":1,\"Value\":\"", term);
    base64_add(out, value);
    buf_printf(out, "\",\"InstallTime\":\"" STR_FMT "\"", STR_ARG(time));
    if (encryptions > 0)
        buf_printf(out, ",\"encryptions\":%" PRIu64, encryptions);
    buf_byte(out, '}');
}

static void print_key(const struct key *key, struct buf *out)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str time = a == NULL ? (struct str){ 0 } : time_format(a, key->installed_ns);

    if (time.p == NULL)
        out->failed = true;
    print_one(key->term, secret_str(&key->value), time, key->encryptions, out);
}

void keyring_print_key(const struct keyring *k, struct buf *out)
{
    print_key(newest(k), out);
}

void keyring_print_root_key(const struct keyring *k, struct buf *out)
{
    print_one(root_term, secret_str(&k->root), STR("0001-01-01T00:00:00Z"), 0, out);
}

static void print_ring(const struct keyring *k, struct buf *out)
{
    buf_add(out, STR("{\"MasterKey\":\""));
    base64_add(out, secret_str(&k->root));
    buf_add(out, STR("\",\"Keys\":["));
    for (size_t i = 0; i < k->n; i++) {
        if (i > 0)
            buf_byte(out, ',');
        print_key(&k->keys[i], out);
    }
    buf_printf(out, "],\"RotationConfig\":{\"Disabled\":%s,\"MaxOperations\":%" PRId64
                    ",\"Interval\":%" PRId64 "}}",
               k->rotation.enabled ? "false" : "true", k->rotation.max_operations,
               k->rotation.interval_ns);
}

int keyring_close_up(const struct keyring *k, struct buf *out, struct err *err)
{
    AUTO(buf_free) struct buf json = { 0 };
    AUTO(drop_aead) struct aead *root = NULL;

    print_ring(k, &json);
    TRY(buf_check(&json, err));
    TRY(aead_new(AEAD_AES256_GCM, secret_str(&k->root), &root, err));
    return envelope_seal(root, root_term, stored_at, buf_str(&json), out, err);
}

static int parse_bytes(struct arena *a, const struct json *object, const char *name,
                       struct str *out, struct err *err)
{
    struct err why;

    if (base64_decode(a, json_get_str(object, name), out, &why) < 0)
        return err_set(err, ERR_CORRUPT, "keyring: %s is not base64", name);
    return 0;
}

static int parse_time(const struct json *object, int64_t *out, struct err *err)
{
    struct str text = json_get_str(object, "InstallTime");
    struct err why;

    *out = TIME_ZERO;
    if (text.n > 0 && time_parse(text, out, &why) < 0)
        return err_set(err, ERR_CORRUPT, "keyring: an install time is malformed");
    return 0;
}

static int parse_key(struct arena *a, const struct json *object, struct keyring *k,
                     struct err *err)
{
    AUTO(key_wipe) struct key key = { 0 };
    int64_t term = json_get_int(object, "Term", -1);
    int64_t encryptions = json_get_int(object, "encryptions", 0);
    struct str value;

    if (term < 0 || term > UINT32_MAX)
        return err_set(err, ERR_CORRUPT, "keyring: a key without a term");
    key.term = (uint32_t)term;
    key.encryptions = encryptions < 0 ? 0 : (uint64_t)encryptions;
    TRY(parse_time(object, &key.installed_ns, err));
    TRY(parse_bytes(a, object, "Value", &value, err));
    TRY(secret_set(&key.value, value, err));
    return add_key(k, &key, err);
}

static int parse_json(struct arena *a, struct str text, struct json **out, struct err *err)
{
    struct err why = { 0 };

    if (json_parse_all(a, text, out, &why) < 0)
        return err_set(err, why.code == ERR_NOMEM ? ERR_NOMEM : ERR_CORRUPT,
                       "keyring deserialization failed: %s", why.msg);
    if (!json_is(*out, JSON_OBJECT))
        return err_set(err, ERR_CORRUPT, "keyring deserialization failed: not an object");
    return 0;
}

static int parse_ring(struct str text, struct keyring **out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(drop_ring) struct keyring *k = NULL;
    struct json *json;
    struct str root;

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a keyring");
    TRY(parse_json(a, text, &json, err));
    TRY(parse_bytes(a, json, "MasterKey", &root, err));
    struct json *keys = json_member(json, "Keys"), *r = json_member(json, "RotationConfig");
    if (!json_is(keys, JSON_ARRAY) || keys->count == 0)
        return err_set(err, ERR_CORRUPT, "keyring: it holds no keys");
    if (root.n != KEYRING_KEY_LEN)
        return err_set(err, ERR_CORRUPT, "keyring: the root key has %zu bytes", root.n);
    TRY(ring_make(root, keys->count, &k, err));
    for (struct json *key = json_first(keys); key != NULL; key = key->next)
        TRY(parse_key(a, key, k, err));
    k->rotation = sane((struct keyring_rotation){
        .enabled = !json_get_bool(r, "Disabled", false),
        .max_operations = json_get_int(r, "MaxOperations", 0),
        .interval_ns = json_get_int(r, "Interval", 0),
    });
    *out = hand_over(&k);
    return 0;
}

int keyring_open_up(struct str root_key, struct str stored, struct keyring **out, struct err *err)
{
    AUTO(buf_free) struct buf json = { 0 };
    AUTO(drop_aead) struct aead *root = NULL;
    struct err why = { 0 };
    uint32_t term;

    if (root_key.n != KEYRING_KEY_LEN)
        return err_set(err, ERR_DENIED, "Unseal failed, invalid key");
    TRY(envelope_term(stored, &term, err));
    if (term != root_term)
        return err_set(err, ERR_CORRUPT, "term mis-match");
    TRY(aead_new(AEAD_AES256_GCM, root_key, &root, err));
    if (envelope_open(root, stored_at, stored, &json, &why) < 0)
        return err_set(err, why.code == ERR_CORRUPT ? ERR_DENIED : why.code, "%s",
                       why.code == ERR_CORRUPT ? "Unseal failed, invalid key" : why.msg);
    return parse_ring(buf_str(&json), out, err);
}

int keyring_with_key(const struct keyring *k, struct str key_json, struct keyring **out,
                     struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(drop_ring) struct keyring *new = NULL;
    struct json *json;

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a keyring");
    TRY(parse_json(a, key_json, &json, err));
    TRY(keyring_copy(k, &new, err));
    newest(new)->encryptions = 0;
    TRY(parse_key(a, json, new, err));
    *out = hand_over(&new);
    return 0;
}

int keyring_parse_root_key(struct str text, struct secret *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *json;
    struct str value;

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a key");
    TRY(parse_json(a, text, &json, err));
    TRY(parse_bytes(a, json, "Value", &value, err));
    if (value.n != KEYRING_KEY_LEN)
        return err_set(err, ERR_CORRUPT, "keyring: the root key has %zu bytes", value.n);
    return secret_set(out, value, err);
}
