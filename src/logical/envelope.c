/* The answer's envelope, members in the order in which Vault prints them. */
#include "logical/envelope.h"

#include "codec/timefmt.h"

static const char *type_name(enum token_type t)
{
    return t == TOKEN_BATCH ? "batch" : "service";
}

struct json *envelope_auth(struct arena *a, const struct auth *auth)
{
    struct json *o = json_object(a);
    if (o != NULL)
        o->keep_order = true;
    json_put_str(o, "client_token", auth->client_token);
    json_put_str(o, "accessor", auth->accessor);
    json_put_strs(o, "policies", &auth->policies);
    json_put_strs(o, "token_policies", &auth->token_policies);
    if (auth->identity_policies.n > 0)
        json_put_strs(o, "identity_policies", &auth->identity_policies);
    json_put(o, "metadata",
             auth->metadata == NULL ? json_null(a) : json_copy(a, auth->metadata));
    json_put_int(o, "lease_duration", auth->ttl_s);
    json_put_bool(o, "renewable", auth->renewable);
    json_put_str(o, "entity_id", auth->entity_id);
    json_put_text(o, "token_type", type_name(auth->type));
    json_put_bool(o, "orphan", auth->orphan);
    return o;
}

static struct json *wrap_object(struct arena *a, const struct wrap_info *w)
{
    struct json *o = json_object(a);
    if (o != NULL)
        o->keep_order = true;
    json_put_str(o, "token", w->token);
    json_put_str(o, "accessor", w->accessor);
    json_put_int(o, "ttl", w->ttl_s);
    json_put_str(o, "creation_time", time_format(a, w->created_ns));
    json_put_str(o, "creation_path", w->creation_path);
    if (w->wrapped_accessor.n > 0)
        json_put_str(o, "wrapped_accessor", w->wrapped_accessor);
    return o;
}

int envelope_print(const struct request *req, const struct response *resp, struct buf *out,
                   struct err *err)
{
    struct arena *a = req->arena;
    const struct lease_terms *lease = resp->lease;
    struct json *o = json_object(a);
    if (o == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    o->keep_order = true;
    json_put_str(o, "request_id", resp->wrap != NULL ? STR("") : req->id);
    json_put_str(o, "lease_id", lease != NULL ? lease->lease_id : STR(""));
    json_put_bool(o, "renewable", lease != NULL && lease->renewable);
    json_put_int(o, "lease_duration", lease != NULL ? lease->ttl_s : 0);
    json_put(o, "data", resp->data != NULL && resp->wrap == NULL ? resp->data : json_null(a));
    json_put(o, "wrap_info", resp->wrap != NULL ? wrap_object(a, resp->wrap) : json_null(a));
    json_put(o, "warnings", resp->warnings != NULL ? resp->warnings : json_null(a));
    json_put(o, "auth", resp->auth != NULL ? envelope_auth(a, resp->auth) : json_null(a));
    for (const struct json *m = json_first(resp->top); m != NULL && resp->wrap == NULL; m = m->next)
        json_set(o, m->key, json_copy(a, m));
    TRY(arena_check(a, err));
    json_print(o, out);
    buf_byte(out, '\n');
    return buf_check(out, err);
}
