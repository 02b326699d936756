/* Audit entries, member by member as Vault writes them (docs/audit). */
#include "audit/record.h"

#include "audit/jsonx.h"
#include "codec/base64.h"
#include "codec/timefmt.h"
#include "crypto/digest.h"

static const int64_t SECOND = 1000000000;

struct print {
    const struct record *r;
    const struct record_format *f;
    struct arena *a;
    bool failed;
};

int record_hash(struct arena *a, struct str salt, struct str text, struct str *out,
                struct err *err)
{
    uint8_t raw[DIGEST_MAX];
    TRY(digest_hmac(DIGEST_SHA256, salt, text, raw, err));
    *out = arena_cat(a, STR("hmac-sha256:"), hex_encode(a, str_mem(raw, 32)));
    return arena_check(a, err);
}

static struct str hashed(struct print *p, struct str text)
{
    struct str out = { NULL, 0 };
    struct err ignored = { 0 };
    if (p->f->raw)
        return text;
    /* A text that cannot be hashed must not be written: the whole entry fails. */
    if (record_hash(p->a, p->f->salt, text, &out, &ignored) < 0)
        p->failed = true;
    return out;
}

static void put_hashed(struct print *p, struct json *o, const char *key, struct str text)
{
    if (text.n > 0)
        json_put_str(o, key, hashed(p, text));
}

static void put_accessor(struct print *p, struct json *o, const char *key, struct str text)
{
    if (text.n > 0)
        json_put_str(o, key, p->f->hmac_accessor ? hashed(p, text) : text);
}

static void put_text(struct json *o, const char *key, struct str text)
{
    if (text.n > 0)
        json_put_str(o, key, text);
}

static void put_list(struct json *o, const char *key, const struct strs *list)
{
    if (list == NULL || list->n == 0)
        return;
    struct json *array = json_put_array(o, key);
    for (size_t i = 0; i < list->n; i++)
        json_add_str(array, list->v[i]);
}

/* Deep copy with every text as an HMAC. */
static struct json *hash_tree(struct print *p, const struct json *v, bool numbers, int depth)
{
    enum { DEEPEST = 200 };
    struct json *out;
    if (v->type == JSON_RAW) {
        struct json *parsed;
        struct err ignored = { 0 };
        if (json_parse(p->a, v->text, &parsed, NULL, &ignored) < 0) {
            p->failed = true;
            return NULL;
        }
        return hash_tree(p, parsed, numbers, depth);
    }
    if (v->type == JSON_STRING || (v->type == JSON_NUMBER && numbers))
        return json_str(p->a, hashed(p, v->text));
    if (v->type != JSON_OBJECT && v->type != JSON_ARRAY)
        return json_copy(p->a, v);
    /* Deeper than anybody nests: shown as one hash of its text. */
    if (depth > DEEPEST) {
        AUTO(buf_free) struct buf text = { 0 };
        json_print(v, &text);
        return json_str(p->a, hashed(p, buf_str(&text)));
    }
    out = v->type == JSON_OBJECT ? json_object(p->a) : json_array(p->a);
    for (const struct json *c = json_first(v); c != NULL; c = c->next) {
        struct json *h = hash_tree(p, c, numbers, depth + 1);
        if (v->type == JSON_OBJECT)
            json_append(out, c->key, h);
        else
            json_add(out, h);
    }
    return out;
}

/* The data object; members in ${plain} stay as they are. */
static struct json *hash_data(struct print *p, const struct json *data, bool numbers,
                              const struct strs *plain)
{
    struct json *out = json_object(p->a);
    for (const struct json *c = json_first(data); c != NULL; c = c->next) {
        bool keep = p->f->raw || (plain != NULL && strs_has(plain, c->key));
        json_append(out, c->key, keep ? json_copy(p->a, c) : hash_tree(p, c, numbers, 0));
    }
    return out;
}

static struct json *ordered(struct print *p)
{
    struct json *o = json_object(p->a);
    if (o != NULL)
        o->keep_order = true;
    return o;
}

static struct json *caller_object(struct print *p)
{
    const struct record_caller *c = p->r->caller;
    struct json *o = ordered(p);
    if (c == NULL || !c->known) {
        json_put_text(o, "token_type", "default");
        return o;
    }
    put_hashed(p, o, "client_token", c->client_token);
    put_accessor(p, o, "accessor", c->accessor);
    put_text(o, "display_name", c->display_name);
    put_list(o, "policies", c->policies);
    put_list(o, "token_policies", c->token_policies);
    if (c->metadata != NULL && c->metadata->count > 0)
        json_put(o, "metadata", json_copy(p->a, c->metadata));
    if (c->uses_left > 0)
        json_put_int(o, "remaining_uses", c->uses_left);
    put_text(o, "entity_id", c->entity_id);
    json_put_text(o, "token_type", c->token_type);
    if (c->ttl_s > 0)
        json_put_int(o, "token_ttl", c->ttl_s);
    if (c->issued_s > 0)
        json_put_str(o, "token_issue_time", time_format(p->a, c->issued_s * SECOND));
    return o;
}

static struct json *request_object(struct print *p)
{
    const struct request *req = p->r->req;
    struct json *o = ordered(p);
    json_put_str(o, "id", req->id);
    json_put_text(o, "operation", op_name(req->op));
    put_text(o, "mount_type", req->mount_type);
    put_hashed(p, o, "client_token", req->token);
    put_accessor(p, o, "client_token_accessor", req->token_accessor);
    struct json *namespace = json_put_object(o, "namespace");
    json_put_text(namespace, "id", "root");
    put_text(o, "path", req->path);
    if (req->data != NULL && req->data->count > 0)
        json_put(o, "data", hash_data(p, req->data, true, p->r->plain_request_keys));
    if (req->peer != NULL)
        put_text(o, "remote_address", req->peer->addr);
    if (req->wrap_ttl_s > 0)
        json_put_int(o, "wrap_ttl", req->wrap_ttl_s);
    if (p->r->headers != NULL && p->r->headers->count > 0)
        json_put(o, "headers", p->r->headers);
    return o;
}

static struct json *auth_object(struct print *p, const struct auth *auth)
{
    struct json *o = ordered(p);
    put_hashed(p, o, "client_token", auth->client_token);
    put_accessor(p, o, "accessor", auth->accessor);
    put_text(o, "display_name", auth->display_name);
    put_list(o, "policies", &auth->policies);
    put_list(o, "token_policies", &auth->token_policies);
    put_list(o, "identity_policies", &auth->identity_policies);
    if (auth->no_default_policy)
        json_put_bool(o, "no_default_policy", true);
    if (auth->metadata != NULL && auth->metadata->count > 0)
        json_put(o, "metadata", json_copy(p->a, auth->metadata));
    if (auth->num_uses > 0)
        json_put_int(o, "remaining_uses", auth->num_uses);
    put_text(o, "entity_id", auth->entity_id);
    json_put_text(o, "token_type", auth->type == TOKEN_BATCH ? "batch" : "service");
    if (auth->ttl_s > 0)
        json_put_int(o, "token_ttl", auth->ttl_s);
    return o;
}

static struct json *wrap_object(struct print *p, const struct wrap_info *w)
{
    struct json *o = ordered(p);
    json_put_int(o, "ttl", w->ttl_s);
    put_hashed(p, o, "token", w->inner_token.n > 0 ? w->inner_token : w->token);
    put_accessor(p, o, "accessor", w->accessor);
    json_put_str(o, "creation_time", time_format(p->a, w->created_ns));
    put_text(o, "creation_path", w->creation_path);
    put_accessor(p, o, "wrapped_accessor", w->wrapped_accessor);
    return o;
}

/* A list's answer as a count. */
static struct json *elided(struct print *p, const struct json *data)
{
    struct json *o = json_object(p->a);
    json_put_int(o, "keys", (int64_t)(json_member(data, "keys") != NULL
                                          ? json_member(data, "keys")->count
                                          : 0));
    return o;
}

static struct json *response_object_of(struct print *p)
{
    const struct response *resp = p->r->resp;
    struct json *o = ordered(p);
    if (resp->auth != NULL)
        json_put(o, "auth", auth_object(p, resp->auth));
    put_text(o, "mount_type", p->r->req->mount_type);
    if (resp->lease != NULL && resp->lease->lease_id.n > 0) {
        struct json *secret = json_put_object(o, "secret");
        json_put_str(secret, "lease_id", resp->lease->lease_id);
    }
    if (p->r->failure != NULL) {
        struct json *data = json_put_object(o, "data");
        put_hashed(p, data, "error", err_text(p->r->failure));
    } else if (resp->data != NULL && resp->data->count > 0) {
        bool elide = p->f->elide_list && p->r->req->op == OP_LIST;
        json_put(o, "data",
                 elide ? elided(p, resp->data)
                       : hash_data(p, resp->data, p->r->hash_response_numbers,
                                   p->r->plain_response_keys));
    }
    if (resp->warnings != NULL)
        json_put(o, "warnings", json_copy(p->a, resp->warnings));
    if (resp->wrap != NULL)
        json_put(o, "wrap_info", wrap_object(p, resp->wrap));
    return o;
}

static int print_xml(const struct json *o, struct arena *a, struct buf *out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    json_print(o, &text);
    TRY(buf_check(&text, err));
    return jsonx_print(a, buf_str(&text), out, err);
}

int record_print(const struct record *r, const struct record_format *f, struct arena *a,
                 struct buf *out, struct err *err)
{
    struct print p = { r, f, a, false };
    struct json *o = ordered(&p);
    json_put_str(o, "time", time_format(a, r->now_ns));
    json_put_text(o, "type", r->resp == NULL ? "request" : "response");
    json_put(o, "auth", caller_object(&p));
    json_put(o, "request", request_object(&p));
    if (r->resp != NULL)
        json_put(o, "response", response_object_of(&p));
    if (r->failure != NULL)
        json_put_str(o, "error", err_text(r->failure));
    TRY(arena_check(a, err));
    if (p.failed)
        return err_set(err, ERR_INTERNAL, "an audit entry could not be hashed");
    buf_add(out, f->prefix);
    if (f->jsonx)
        return print_xml(o, a, out, err);
    json_print(o, out);
    return buf_check(out, err);
}
