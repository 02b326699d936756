/* The seal's stored configuration, and the root key as it is wrapped by any seal. */
#include "seal/seal.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/pgp.h"

enum { SHARES_MAX = 255 };

/* The configuration. */

static int parse_pgp_keys(struct arena *a, const struct json *list, struct strs *out,
                          struct err *err)
{
    if (list == NULL || json_is(list, JSON_NULL))
        return 0;
    if (!json_is(list, JSON_ARRAY))
        return err_set(err, ERR_CORRUPT, "seal configuration: pgp_keys is not a list");
    for (struct json *key = json_first(list); key != NULL; key = key->next) {
        if (!json_is(key, JSON_STRING))
            return err_set(err, ERR_CORRUPT, "seal configuration: a PGP key is not a text");
        strs_add(a, out, key->text);
    }
    return arena_check(a, err);
}

int seal_config_parse(struct arena *a, struct str text, struct seal_config *out, struct err *err)
{
    struct err why = { 0 };
    struct json *json;

    if (json_parse_all(a, arena_dup(a, text), &json, &why) < 0)
        return err_set(err, why.code == ERR_NOMEM ? ERR_NOMEM : ERR_CORRUPT,
                       "failed to decode seal configuration: %s", why.msg);
    if (!json_is(json, JSON_OBJECT))
        return err_set(err, ERR_CORRUPT, "failed to decode seal configuration: not an object");
    *out = (struct seal_config){
        .type = json_get_str(json, "type"),
        .shares = json_get_int(json, "secret_shares", 0),
        .threshold = json_get_int(json, "secret_threshold", 0),
        .stored_shares = json_get_int(json, "stored_shares", 0),
        .nonce = json_get_str(json, "nonce"),
        .backup = json_get_bool(json, "backup", false),
    };
    if (out->type.n == 0) /* stores of before there were other types */
        out->type = STR("shamir");
    return parse_pgp_keys(a, json_member(json, "pgp_keys"), &out->pgp_keys, err);
}

struct str seal_config_print(struct arena *a, const struct seal_config *c)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *json = json_object(a);

    if (json != NULL)
        json->keep_order = true; /* Vault's order */
    json_put_str(json, "type", c->type);
    json_put_int(json, "secret_shares", c->shares);
    json_put_int(json, "secret_threshold", c->threshold);
    if (c->pgp_keys.n == 0)
        json_put_null(json, "pgp_keys");
    struct json *keys = c->pgp_keys.n == 0 ? NULL : json_put_array(json, "pgp_keys");
    for (size_t i = 0; i < c->pgp_keys.n; i++)
        json_add_str(keys, c->pgp_keys.v[i]);
    json_put_str(json, "nonce", c->nonce);
    json_put_bool(json, "backup", c->backup);
    json_put_int(json, "stored_shares", c->stored_shares);
    if (arena_failed(a))
        return (struct str){ 0 };
    json_print(json, &text);
    return text.failed ? (struct str){ 0 } : arena_dup(a, buf_str(&text));
}

int seal_config_load(struct storage *physical, struct arena *a, struct str key,
                     struct seal_config *out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    int found = storage_get(physical, key, &text, err);

    if (found <= 0)
        return found;
    TRY(seal_config_parse(a, buf_str(&text), out, err));
    return 1;
}

static int check_numbers(const struct seal_config *c, struct err *err)
{
    const struct {
        bool wrong;
        const char *text;
    } rules[] = {
        { c->shares < 1, "shares must be at least one" },
        { c->threshold < 1, "threshold must be at least one" },
        { c->shares > 1 && c->threshold < 2,
          "threshold must be greater than one for multiple shares" },
        { c->shares > SHARES_MAX, "shares must be less than 256" },
        { c->threshold > SHARES_MAX, "threshold must be less than 256" },
        { c->threshold > c->shares, "threshold cannot be larger than shares" },
        { c->pgp_keys.n > 0 && c->pgp_keys.n != (size_t)c->shares,
          "count mismatch between number of provided PGP keys and number of shares" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (rules[i].wrong)
            return err_set(err, ERR_BAD_REQUEST, "%s", rules[i].text);
    return 0;
}

int seal_config_check(const struct seal_config *c, struct err *err)
{
    TRY(check_numbers(c, err));
    for (size_t i = 0; i < c->pgp_keys.n; i++)
        TRY(pgp_check(c->pgp_keys.v[i], err));
    return 0;
}

/* What is wrapped. */

void seal_drop(struct seal **s)
{
    seal_close(*s);
}

int seal_wrap_root_key(struct seal *s, struct str root_key, struct buf *out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };

    buf_add(&text, STR("[\""));
    base64_add(&text, root_key);
    buf_add(&text, STR("\"]"));
    TRY(buf_check(&text, err));
    return seal_encrypt(s, buf_str(&text), out, err);
}

static int parse_root_key(struct str text, struct secret *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *list;
    struct str key;

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for the root key");
    if (json_parse_all(a, text, &list, NULL) < 0 || !json_is(list, JSON_ARRAY) ||
        list->count != 1 || !json_is(json_first(list), JSON_STRING) ||
        base64_decode(a, json_first(list)->text, &key, NULL) < 0 || key.n == 0)
        return err_set(err, ERR_CORRUPT, "failed to decode stored keys: not a list of one key");
    return secret_set(out, key, err);
}

int seal_unwrap_root_key(struct seal *s, struct str entry, struct secret *root_key,
                         struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };

    TRY(seal_decrypt(s, entry, &text, err));
    return parse_root_key(buf_str(&text), root_key, err);
}
