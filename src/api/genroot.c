/* sys/generate-root/attempt and update. */
#include "core/genroot.h"

#include "api/share.h"
#include "base/random.h"

/* ${otp}: the pad that was made for this attempt, shown once. */
static void show(struct call *c, const char *otp)
{
    struct err err = { 0 };
    struct genroot_state s;
    if (genroot_state(c->api->settings.genroot, c->arena, &s, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct json *o = json_object(c->arena);
    if (o != NULL)
        o->keep_order = true;
    json_put_text(o, "nonce", s.nonce);
    json_put_bool(o, "started", s.started);
    json_put_int(o, "progress", s.progress);
    json_put_int(o, "required", s.required);
    json_put_bool(o, "complete", false);
    json_put_text(o, "encoded_token", "");
    json_put_text(o, "encoded_root_token", "");
    json_put_str(o, "pgp_fingerprint", s.fingerprint);
    json_put_text(o, "otp", otp);
    json_put_int(o, "otp_length", GENROOT_OTP_LEN);
    answer_json(c, 200, o);
}

/* Whatever is wrong is a 400, but for a sealed server. */
static void refuse(struct call *c, const struct err *err)
{
    if (err->code == ERR_SEALED || err->code == ERR_TOO_LARGE || err->code == ERR_NOMEM)
        answer_failure(c, err);
    else
        answer_error(c, 400, err_text(err));
}

void genroot_get(struct call *c)
{
    show(c, "");
}

static void otp_wipe(char (*otp)[GENROOT_OTP_LEN + 1])
{
    explicit_bzero(*otp, sizeof *otp);
}

void genroot_put(struct call *c)
{
    AUTO(otp_wipe) char made[GENROOT_OTP_LEN + 1] = "";
    struct err err = { 0 };
    struct json *body = NULL;
    /* No body is an empty one here. */
    if (str_trim(c->x->req.body).n > 0 && read_object(c, &body, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct str otp = json_get_str(body, "otp"), pgp_key = json_get_str(body, "pgp_key");
    if (otp.n == 0 && pgp_key.n == 0) {
        random_base62(made, GENROOT_OTP_LEN);
        otp = str_of(made);
    }
    if (genroot_start(c->api->settings.genroot, otp, pgp_key, &err) < 0) {
        refuse(c, &err);
        return;
    }
    struct str shown = arena_dup(c->arena, str_mem(made, sizeof made));
    show(c, shown.p != NULL ? shown.p : "");
}

void genroot_del(struct call *c)
{
    struct err err = { 0 };
    if (genroot_cancel(c->api->settings.genroot, &err) < 0)
        answer_failure(c, &err);
    else
        answer_empty(c, 204);
}

void genroot_update_put(struct call *c)
{
    struct err err = { 0 };
    struct str share, nonce;
    struct genroot_result r;
    if (share_read(c, &share, &nonce, &err) < 0
        || genroot_update(c->api->settings.genroot, c->arena, share, nonce, &r, &err) < 0) {
        refuse(c, &err);
        return;
    }
    struct json *o = json_object(c->arena);
    if (o != NULL)
        o->keep_order = true;
    json_put_str(o, "nonce", nonce);
    json_put_bool(o, "started", true);
    json_put_int(o, "progress", r.progress);
    json_put_int(o, "required", r.required);
    json_put_bool(o, "complete", r.encoded.n > 0);
    json_put_str(o, "encoded_token", r.encoded);
    json_put_str(o, "encoded_root_token", r.encoded);
    json_put_str(o, "pgp_fingerprint", r.fingerprint);
    json_put_text(o, "otp", "");
    json_put_int(o, "otp_length", 0);
    answer_json(c, 200, o);
}
