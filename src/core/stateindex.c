/* base64("v1:<cluster id>:<local index>:<replicated index>:<hex of HMAC-SHA-256>"). */
#include "core/stateindex.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/secret.h"
#include "codec/base64.h"
#include "crypto/digest.h"

static const struct log lg = { "core" };

#define KEY STR("core/index-header-hmac-key")

enum { KEY_LEN = 32, MAC_LEN = 32 };

struct stateindex {
    struct secret key;
};

/* ---- the key ---- */

/* 1 loaded or made, 0 there is none, -1. */
static int load(struct storage *plain, bool make, struct secret *key, struct err *err)
{
    AUTO(buf_free) struct buf stored = { 0 };
    int found = storage_get(plain, KEY, &stored, err);
    if (found < 0)
        return -1;
    if (found > 0 && stored.n == 0)
        return err_set(err, ERR_CORRUPT, STR_FMT ": empty", STR_ARG(KEY));
    if (found > 0)
        return secret_set(key, buf_str(&stored), err) < 0 ? -1 : 1;
    if (!make)
        return 0;
    TRY(secret_random(key, KEY_LEN, err));
    TRY(storage_put(plain, KEY, secret_str(key), err));
    LOG(&lg, INFO, "made the key that signs state indexes");
    return 1;
}

int stateindex_new(struct storage *plain, bool make, struct stateindex **out, struct err *err)
{
    struct stateindex *k = calloc(1, sizeof *k);
    if (k == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = load(plain, make, &k->key, err);
    if (found <= 0) {
        stateindex_free(k);
        k = NULL;
    }
    *out = k;
    return found < 0 ? -1 : 0;
}

void stateindex_free(struct stateindex *k)
{
    if (k == NULL)
        return;
    secret_free(&k->key);
    free(k);
}

/* ---- headers ---- */

int stateindex_print(const struct stateindex *k, struct arena *a,
                     const struct stateindex_value *v, struct str *out, struct err *err)
{
    uint8_t mac[DIGEST_MAX];
    struct str state = arena_printf(a, "v1:" STR_FMT ":%llu:%llu", STR_ARG(v->cluster_id),
                                    (unsigned long long)v->local,
                                    (unsigned long long)v->replicated);
    TRY(arena_check(a, err));
    TRY(digest_hmac(DIGEST_SHA256, secret_str(&k->key), state, mac, err));
    struct str hex = hex_encode(a, str_mem(mac, MAC_LEN));
    *out = base64_encode(a, arena_printf(a, STR_FMT ":" STR_FMT, STR_ARG(state), STR_ARG(hex)));
    return arena_check(a, err);
}

static int malformed(struct err *err)
{
    return err_set(err, ERR_BAD_REQUEST, "invalid state header format");
}

static int check_mac(const struct stateindex *k, struct arena *a, struct str state, struct str hex,
                     struct err *err)
{
    struct str given;
    struct err ignored = { 0 };
    uint8_t mac[DIGEST_MAX];
    if (hex_decode(a, hex, &given, &ignored) < 0)
        return err_set(err, ERR_BAD_REQUEST, "invalid state header HMAC");
    TRY(digest_hmac(DIGEST_SHA256, secret_str(&k->key), state, mac, err));
    if (!secret_eq(given, str_mem(mac, MAC_LEN)))
        return err_set(err, ERR_BAD_REQUEST, "invalid state header HMAC (mismatch)");
    return 0;
}

int stateindex_parse(const struct stateindex *k, struct arena *a, struct str text,
                     struct stateindex_value *out, struct err *err)
{
    struct str raw, rest, part[4];
    struct err ignored = { 0 };
    if (base64_decode(a, text, &raw, &ignored) < 0)
        return malformed(err);
    ptrdiff_t last = str_rfind_byte(raw, ':');
    if (last < 0)
        return malformed(err);
    rest = str_head(raw, (size_t)last);
    TRY(check_mac(k, a, rest, str_from(raw, (size_t)last + 1), err));
    for (size_t i = 0; i < ARRAY_LEN(part); i++)
        if (!str_next(&rest, ':', &part[i]))
            return malformed(err);
    *out = (struct stateindex_value){ .cluster_id = part[1] };
    if (rest.p != NULL || !str_is(part[0], "v1") || part[1].n == 0
        || !str_to_u64(part[2], &out->local) || !str_to_u64(part[3], &out->replicated))
        return malformed(err);
    return arena_check(a, err);
}
