/* JSON Web Tokens with one algorithm and one key (RFC 7515, RFC 7519, RFC 7518 §3.4). */
#include "core/wrapkey.h"

#include <stdlib.h>

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/sign.h"

#define KEY STR("core/wrapping/jwtkey")

enum { EARLY_S = 5 }; /* clocks of two servers differ */

struct wrapkey {
    struct pkey *key;
};

static const struct sign_how jws = { .raw = true };

/* ---- the stored key ---- */

static int parse(struct arena *a, struct str text, struct pkey **out, struct err *err)
{
    struct json *o;
    TRY(json_parse(a, text, &o, NULL, err));
    const struct json *x = json_member(o, "x"), *y = json_member(o, "y"), *d = json_member(o, "d");
    if (!str_is(json_get_str(o, "type"), "p521") || !json_is(x, JSON_NUMBER)
        || !json_is(y, JSON_NUMBER) || !json_is(d, JSON_NUMBER))
        return err_set(err, ERR_CORRUPT, "not a p521 key");
    struct pkey_ec numbers = { .x = x->text, .y = y->text, .d = d->text };
    return pkey_from_ec(PKEY_P521, &numbers, out, err);
}

static int make(struct storage *s, struct arena *a, struct pkey **out, struct err *err)
{
    AUTO(pkey_drop) struct pkey *k = NULL;
    AUTO(buf_free) struct buf text = { 0 };
    struct pkey_ec numbers;
    TRY(pkey_generate(PKEY_P521, 0, &k, err));
    TRY(pkey_ec_numbers(k, a, &numbers, err));
    buf_printf(&text, "{\"type\":\"p521\",\"x\":" STR_FMT ",\"y\":" STR_FMT ",\"d\":" STR_FMT "}\n",
               STR_ARG(numbers.x), STR_ARG(numbers.y), STR_ARG(numbers.d));
    TRY(buf_check(&text, err));
    TRY(storage_put(s, KEY, buf_str(&text), err));
    *out = k;
    k = NULL;
    return 0;
}

static int load(struct storage *s, struct pkey **out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = storage_get(s, KEY, &text, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return make(s, a, out, err);
    if (parse(a, buf_str(&text), out, err) < 0)
        return err_prefix(err, "core/wrapping/jwtkey");
    return 0;
}

int wrapkey_new(struct storage *s, struct wrapkey **out, struct err *err)
{
    struct wrapkey *k = calloc(1, sizeof *k);
    if (k == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (load(s, &k->key, err) < 0) {
        free(k);
        return -1;
    }
    *out = k;
    return 0;
}

void wrapkey_free(struct wrapkey *k)
{
    if (k == NULL)
        return;
    pkey_free(k->key);
    free(k);
}

/* ---- tokens ---- */

static int add_signature(const struct wrapkey *k, struct buf *text, struct arena *a,
                         struct err *err)
{
    AUTO(buf_free) struct buf signature = { 0 };
    uint8_t hash[DIGEST_MAX];
    TRY(buf_check(text, err));
    TRY(digest_of(DIGEST_SHA512, buf_str(text), hash, err));
    TRY(sign_make(k->key, &jws, str_mem(hash, digest_len(DIGEST_SHA512)), &signature, err));
    buf_byte(text, '.');
    buf_add(text, base64url_encode(a, buf_str(&signature)));
    TRY(arena_check(a, err));
    return buf_check(text, err);
}

int wrapkey_sign(const struct wrapkey *k, struct arena *a, const struct wrapkey_claims *claims,
                 struct str *out, struct err *err)
{
    AUTO(buf_free) struct buf body = { 0 };
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o = json_object(a);
    json_put_str(o, "accessor", claims->accessor);
    json_put_str(o, "addr", claims->addr);
    json_put_int(o, "exp", claims->issued_s + claims->ttl_s);
    json_put_int(o, "iat", claims->issued_s);
    json_put_str(o, "jti", claims->token);
    json_put_int(o, "nbf", claims->issued_s - EARLY_S);
    json_put_text(o, "type", "wrapping");
    TRY(arena_check(a, err));
    json_print(o, &body);
    TRY(buf_check(&body, err));
    buf_add(&text, base64url_encode(a, STR("{\"alg\":\"ES512\",\"typ\":\"JWT\"}")));
    buf_byte(&text, '.');
    buf_add(&text, base64url_encode(a, buf_str(&body)));
    TRY(add_signature(k, &text, a, err));
    *out = arena_dup(a, buf_str(&text));
    return arena_check(a, err);
}

/* Cut at the two dots. */
static bool split(struct str jwt, struct str part[3], struct str *is_signed)
{
    ptrdiff_t first = str_find_byte(jwt, '.'), last = str_rfind_byte(jwt, '.');
    if (first < 0 || first == last)
        return false;
    part[0] = str_head(jwt, (size_t)first);
    part[1] = str_mem(jwt.p + first + 1, (size_t)(last - first - 1));
    part[2] = str_from(jwt, (size_t)last + 1);
    *is_signed = str_head(jwt, (size_t)last);
    return str_find_byte(part[1], '.') < 0;
}

bool wrapkey_looks_like(struct str token)
{
    struct str part[3], is_signed;
    return split(token, part, &is_signed) && part[0].n > 1 && part[1].n > 0 && part[2].n > 0;
}

/* An object in base64; NULL when it is none. */
static const struct json *decode(struct arena *a, struct str part)
{
    struct err ignored = { 0 };
    struct str text;
    struct json *o;
    if (base64url_decode(a, part, &text, &ignored) < 0
        || json_parse(a, text, &o, NULL, &ignored) < 0 || o->type != JSON_OBJECT)
        return NULL;
    return o;
}

static bool is_in_force(const struct json *claims, int64_t now_s)
{
    return str_is(json_get_str(claims, "type"), "wrapping")
           && now_s < json_get_int(claims, "exp", 0)
           && now_s + EARLY_S >= json_get_int(claims, "nbf", 0);
}

int wrapkey_open(const struct wrapkey *k, struct arena *a, struct str jwt, int64_t now_s,
                 struct str *token, struct err *err)
{
    struct str part[3], is_signed, signature;
    uint8_t hash[DIGEST_MAX];
    struct err ignored = { 0 };
    if (!split(jwt, part, &is_signed))
        return 0;
    const struct json *head = decode(a, part[0]);
    if (head == NULL || !str_is(json_get_str(head, "alg"), "ES512")
        || base64url_decode(a, part[2], &signature, &ignored) < 0)
        return arena_check(a, err);
    TRY(digest_of(DIGEST_SHA512, is_signed, hash, err));
    /* What is no signature at all is told as a bad one. */
    struct str hashed = str_mem(hash, digest_len(DIGEST_SHA512));
    if (sign_check(k->key, &jws, hashed, signature, &ignored) <= 0)
        return 0;
    const struct json *claims = decode(a, part[1]);
    if (claims == NULL || !is_in_force(claims, now_s))
        return arena_check(a, err);
    *token = arena_dup(a, json_get_str(claims, "jti"));
    TRY(arena_check(a, err));
    return 1;
}
