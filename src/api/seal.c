/* sys/init, sys/unseal, sys/seal, sys/seal-status, sys/step-down. */
#include "api/call.h"
#include "base/epoch.h"
#include "base/version.h"
#include "codec/base64.h"

void init_get(struct call *c)
{
    struct err err = { 0 };
    int there = lifecycle_initialised(c->api->settings.lifecycle, &err);
    if (there < 0) {
        answer_failure(c, &err);
        return;
    }
    struct json *o = json_object(c->arena);
    json_put_bool(o, "initialized", there > 0);
    answer_json(c, 200, o);
}

static void put_shares(struct call *c, struct json *o, const char *hex_name,
                       const char *base64_name, const struct strs *shares)
{
    struct json *hex = json_put_array(o, hex_name);
    struct json *base64 = json_put_array(o, base64_name);
    for (size_t i = 0; i < shares->n; i++) {
        json_add_str(hex, hex_encode(c->arena, shares->v[i]));
        json_add_str(base64, base64_encode(c->arena, shares->v[i]));
    }
}

void init_put(struct call *c)
{
    struct err err = { 0 };
    struct json *body;
    struct init_result made;
    if (read_object(c, &body, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct init_request want = {
        .config = { .type = STR("shamir"),
                    .shares = json_get_int(body, "secret_shares", 0),
                    .threshold = json_get_int(body, "secret_threshold", 0),
                    .pgp_keys = json_strs(c->arena, json_member(body, "pgp_keys")) },
        .recovery = { .type = STR("shamir"),
                      .shares = json_get_int(body, "recovery_shares", 0),
                      .threshold = json_get_int(body, "recovery_threshold", 0),
                      .pgp_keys = json_strs(c->arena, json_member(body, "recovery_pgp_keys")) },
        .root_token_pgp_key = json_get_str(body, "root_token_pgp_key"),
    };
    if (lifecycle_init(c->api->settings.lifecycle, c->arena, &want, &made, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct json *o = json_object(c->arena);
    if (o != NULL)
        o->keep_order = true;
    put_shares(c, o, "keys", "keys_base64", &made.shares);
    if (made.recovery_shares.n > 0)
        put_shares(c, o, "recovery_keys", "recovery_keys_base64", &made.recovery_shares);
    json_put_str(o, "root_token",
                 want.root_token_pgp_key.n > 0 ? base64_encode(c->arena, made.root_token)
                                               : made.root_token);
    answer_json(c, 200, o);
}

void seal_status_get(struct call *c)
{
    struct err err = { 0 };
    struct unseal_status s;
    if (lifecycle_status(c->api->settings.lifecycle, &s, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct json *o = json_object(c->arena);
    if (o != NULL)
        o->keep_order = true;
    json_put_text(o, "type", s.type);
    json_put_bool(o, "initialized", s.initialised);
    json_put_bool(o, "sealed", s.sealed);
    json_put_int(o, "t", s.threshold);
    json_put_int(o, "n", s.shares);
    json_put_int(o, "progress", s.progress);
    json_put_text(o, "nonce", s.nonce);
    json_put_text(o, "version", VERSION_FULL);
    json_put_bool(o, "migration", s.migration);
    epoch_enter();
    const struct active *on = lifecycle_active(c->api->settings.lifecycle);
    if (on != NULL) {
        json_put_str(o, "cluster_name", on->cluster_name);
        json_put_str(o, "cluster_id", on->cluster_id);
    }
    json_put_bool(o, "recovery_seal", s.recovery_seal);
    json_put_str(o, "storage_type", c->api->settings.core->storage_type);
    answer_json(c, 200, o);
    epoch_leave();
}

/* A share as hex of either case, or else base64. */
static int decode_share(struct call *c, struct str text, struct str *out, struct err *err)
{
    if (hex_decode(c->arena, text, out, err) == 0 || base64_decode(c->arena, text, out, err) == 0)
        return 0;
    return err_set(err, ERR_BAD_REQUEST, "'key' must be a valid hex or base64 string");
}

void unseal_put(struct call *c)
{
    struct err err = { 0 };
    struct json *body;
    struct str share;
    struct lifecycle *l = c->api->settings.lifecycle;
    if (read_object(c, &body, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct str key = json_get_str(body, "key");
    int result = 0;
    if (json_get_bool(body, "reset", false)) {
        lifecycle_unseal_reset(l);
    } else if (key.n == 0) {
        result = err_set(&err, ERR_BAD_REQUEST,
                         "'key' must be specified in request body as JSON, or 'reset' set to true");
    } else {
        result = decode_share(c, key, &share, &err);
        if (result == 0)
            result = json_get_bool(body, "migrate", false)
                         ? lifecycle_unseal_migrate(l, share, &err)
                         : lifecycle_unseal(l, share, &err);
    }
    if (result < 0)
        answer_error(c, err.code == ERR_BAD_REQUEST ? 400 : 500, err_text(&err));
    else
        seal_status_get(c);
}

void seal_put(struct call *c)
{
    struct err err = { 0 };
    struct lifecycle *l = c->api->settings.lifecycle;
    bool sealed;
    int there = lifecycle_initialised(l, &err);
    if (there == 0) {
        answer_empty(c, 204);
        return;
    }
    if (there < 0 || !read_authorized(c, &sealed)) {
        if (there < 0)
            answer_failure(c, &err);
        return;
    }
    if (sealed) {
        bool with_token = read_token(&c->x->req).n > 0;
        answer_error(c, 503, with_token ? STR("error performing token check: Vault is sealed")
                                        : STR("Vault is sealed"));
        return;
    }
    if (lifecycle_seal(l, &err) < 0)
        answer_failure(c, &err);
    else
        answer_empty(c, 204);
}

void step_down_put(struct call *c)
{
    struct err err = { 0 };
    bool sealed;
    if (!read_authorized(c, &sealed))
        return;
    if (sealed)
        answer_error(c, 503, STR("Vault is sealed"));
    else if (service_step_down(lifecycle_service(c->api->settings.lifecycle), &err) < 0)
        answer_failure(c, &err);
    else
        answer_empty(c, 204);
}
