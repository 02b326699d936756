/* sys/rekey and sys/rekey-recovery-key: init, update, verify. */
#include "core/rekey.h"

#include "api/share.h"
#include "codec/base64.h"

static struct json *ordered(struct call *c)
{
    struct json *o = json_object(c->arena);
    if (o != NULL)
        o->keep_order = true;
    return o;
}

/* The path says which key gets new shares. */
static struct rekey *rekey_of(const struct call *c)
{
    bool recovery = str_starts(c->path, STR("sys/rekey-recovery-key/"));
    return recovery ? c->api->settings.rekey_recovery : c->api->settings.rekey;
}

void rekey_get(struct call *c)
{
    struct err err = { 0 };
    struct rekey_state s;
    if (rekey_state(rekey_of(c), c->arena, &s, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct json *o = ordered(c);
    json_put_text(o, "nonce", s.nonce);
    json_put_bool(o, "started", s.started);
    json_put_int(o, "t", s.threshold);
    json_put_int(o, "n", s.shares);
    json_put_int(o, "progress", s.progress);
    json_put_int(o, "required", s.required);
    share_put_list(o, "pgp_fingerprints", &s.fingerprints);
    json_put_bool(o, "backup", s.backup);
    json_put_bool(o, "verification_required", s.verification_required);
    if (s.verification_nonce[0] != 0)
        json_put_text(o, "verification_nonce", s.verification_nonce);
    answer_json(c, 200, o);
}

void rekey_put(struct call *c)
{
    struct err err = { 0 };
    struct json *body;
    struct rekey_state now;
    /* Whether the node can do this at all comes first. */
    if (rekey_state(rekey_of(c), c->arena, &now, &err) < 0 || read_object(c, &body, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct seal_config want = {
        .type = STR("shamir"),
        .shares = json_get_int(body, "secret_shares", 0),
        .threshold = json_get_int(body, "secret_threshold", 0),
        .backup = json_get_bool(body, "backup", false),
        .verification_required = json_get_bool(body, "require_verification", false),
    };
    for (struct json *v = json_first(json_member(body, "pgp_keys")); v != NULL; v = v->next)
        strs_add(c->arena, &want.pgp_keys, v->text);
    if (arena_check(c->arena, &err) < 0 || rekey_start(rekey_of(c), &want, &err) < 0)
        answer_failure(c, &err);
    else
        rekey_get(c);
}

void rekey_del(struct call *c)
{
    struct err err = { 0 };
    if (rekey_cancel(rekey_of(c), &err) < 0)
        answer_failure(c, &err);
    else
        answer_empty(c, 204);
}

void rekey_update_put(struct call *c)
{
    struct err err = { 0 };
    struct str share, nonce;
    struct rekey_result r;
    if (share_read(c, &share, &nonce, &err) < 0
        || rekey_update(rekey_of(c), c->arena, share, nonce, &r, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    if (!r.complete) {
        rekey_get(c);
        return;
    }
    struct json *o = ordered(c);
    json_put_str(o, "nonce", nonce);
    json_put_bool(o, "complete", true);
    struct json *hex = json_put_array(o, "keys");
    struct json *base64 = json_put_array(o, "keys_base64");
    for (size_t i = 0; i < r.shares.n; i++) {
        json_add_str(hex, hex_encode(c->arena, r.shares.v[i]));
        json_add_str(base64, base64_encode(c->arena, r.shares.v[i]));
    }
    share_put_list(o, "pgp_fingerprints", &r.fingerprints);
    json_put_bool(o, "backup", r.backup);
    json_put_bool(o, "verification_required", r.verification_required);
    if (r.verification_nonce[0] != 0)
        json_put_text(o, "verification_nonce", r.verification_nonce);
    answer_json(c, 200, o);
}

void rekey_verify_get(struct call *c)
{
    struct err err = { 0 };
    struct rekey_verify_state s;
    if (rekey_verify_state(rekey_of(c), &s, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct json *o = ordered(c);
    json_put_text(o, "nonce", s.nonce);
    json_put_bool(o, "started", s.started);
    json_put_int(o, "t", s.threshold);
    json_put_int(o, "n", s.shares);
    json_put_int(o, "progress", s.progress);
    answer_json(c, 200, o);
}

void rekey_verify_del(struct call *c)
{
    struct err err = { 0 };
    if (rekey_verify_restart(rekey_of(c), &err) < 0)
        answer_failure(c, &err);
    else
        rekey_verify_get(c);
}

void rekey_verify_put(struct call *c)
{
    struct err err = { 0 };
    struct str share, nonce;
    bool complete;
    if (share_read(c, &share, &nonce, &err) < 0
        || rekey_verify(rekey_of(c), share, nonce, &complete, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    if (!complete) {
        rekey_verify_get(c);
        return;
    }
    struct json *o = ordered(c);
    json_put_str(o, "nonce", nonce);
    json_put_bool(o, "complete", true);
    answer_json(c, 200, o);
}
