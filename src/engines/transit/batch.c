/* Reading items as Vault's decoders do, texts of failures included. */
#include "engines/transit/batch.h"

#include "codec/base64.h"
#include "engines/transit/store.h"
#include "logical/field.h"

/* What an event loop does in one go: some 100 us. */
enum { LOOP_ITEMS = 64, LOOP_BYTES = 64 * 1024 };

/* What Go prints for a value's type. */
static const char *go_type(const struct json *v)
{
    switch (v->type) {
    case JSON_NULL:
        return "<nil>";
    case JSON_BOOL:
        return "bool";
    case JSON_NUMBER:
        return "json.Number";
    case JSON_STRING:
        return "string";
    case JSON_ARRAY:
        return "[]interface {}";
    case JSON_OBJECT:
    case JSON_RAW:
        break;
    }
    return "map[string]interface {}";
}

/* The faults of all items are told together. */
struct faults {
    struct arena *arena;
    struct strs list;
};

static int faults_report(const struct faults *f, struct err *err)
{
    if (f->list.n == 0)
        return 0;
    struct str all = strs_join(f->arena, &f->list, STR("\n* "));
    return err_set(err, ERR_INTERNAL,
                   "failed to parse batch input: %zu error(s) decoding:\n\n* " STR_FMT, f->list.n,
                   STR_ARG(all));
}

static void text_member(struct faults *f, size_t i, const struct json *item, const char *name,
                        struct str *out)
{
    const struct json *v = json_member(item, name);
    /* null is taken as not sent, but not for what is to be encrypted. */
    if (v == NULL || (v->type == JSON_NULL && strcmp(name, "plaintext") != 0))
        return;
    if (v->type == JSON_STRING)
        *out = v->text;
    else
        strs_add(f->arena, &f->list,
                 arena_printf(f->arena,
                              "'[%zu].%s' expected type 'string', got unconvertible type '%s'", i,
                              name, go_type(v)));
}

static void version_member(struct faults *f, size_t i, const struct json *item, int64_t *out)
{
    const struct json *v = json_member(item, "key_version");
    if (v == NULL || v->type == JSON_NULL || json_to_i64(v, out))
        return;
    if (v->type == JSON_NUMBER)
        strs_add(f->arena, &f->list,
                 arena_printf(f->arena,
                              "error decoding json.Number into [%zu].key_version: "
                              "strconv.ParseInt: parsing \"" STR_FMT "\": invalid syntax",
                              i, STR_ARG(v->text)));
    else
        strs_add(f->arena, &f->list,
                 arena_printf(f->arena,
                              "'[%zu].key_version' expected type 'int', got unconvertible type "
                              "'%s'",
                              i, go_type(v)));
}

/* The list itself; 0 and NULL when there is none. */
static int list_of(struct request *req, struct json **out)
{
    struct json *v = field_raw(req, "batch_input");

    *out = NULL;
    if (v == NULL || v->type == JSON_NULL)
        return 0;
    if (v->type != JSON_ARRAY)
        return err_set(&req->err, ERR_INTERNAL,
                       "failed to parse batch input: source data must be an array or slice, got %s",
                       go_type(v));
    if (v->count == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "missing batch input to process");
    size_t i = 0;
    for (const struct json *e = json_first(v); e != NULL; e = e->next, i++)
        if (e->type != JSON_OBJECT)
            return err_set(&req->err, ERR_INTERNAL,
                           "failed to parse batch input: [%zu] expected a map, got '%s'", i,
                           go_type(e));
    *out = v;
    return 0;
}

static int list_read(struct request *req, const struct json *list, struct transit_item *items)
{
    struct faults f = { .arena = req->arena };
    size_t i = 0;

    for (const struct json *e = json_first(list); e != NULL; e = e->next, i++) {
        text_member(&f, i, e, "context", &items[i].context);
        text_member(&f, i, e, "ciphertext", &items[i].ciphertext);
        text_member(&f, i, e, "plaintext", &items[i].plaintext);
        text_member(&f, i, e, "nonce", &items[i].nonce);
        version_member(&f, i, e, &items[i].version);
    }
    TRY(arena_check(req->arena, &req->err));
    return faults_report(&f, &req->err);
}

int transit_batch_read(struct request *req, struct transit_batch *out)
{
    struct json *list;

    TRY(list_of(req, &list));
    *out = (struct transit_batch){ .n = list != NULL ? list->count : 1, .listed = list != NULL };
    out->items = arena_array(req->arena, out->n, sizeof *out->items);
    TRY(arena_check(req->arena, &req->err));
    if (list != NULL)
        return list_read(req, list, out->items);
    out->items[0] = (struct transit_item){
        .plaintext = field_str(req, "plaintext"),
        .ciphertext = field_str(req, "ciphertext"),
        .context = field_str(req, "context"),
        .nonce = field_str(req, "nonce"),
        .version = field_int(req, "key_version"),
    };
    return 0;
}

int transit_batch_fault(struct request *req, struct str *error)
{
    if (req->err.code != ERR_BAD_REQUEST)
        return -1;
    *error = arena_dup(req->arena, err_text(&req->err));
    req->err = (struct err){ 0 };
    return arena_check(req->arena, &req->err);
}

static int decode_member(struct request *req, struct transit_item *item, struct str text,
                         struct str *out)
{
    if (item->error.n > 0 || text.n == 0 || base64_decode(req->arena, text, out, &req->err) == 0)
        return 0;
    return transit_batch_fault(req, &item->error);
}

int transit_batch_decode(struct request *req, struct transit_batch *b)
{
    bool with_context = b->items[0].context.n > 0;

    for (size_t i = 0; i < b->n; i++) {
        struct transit_item *item = &b->items[i];
        if ((item->context.n > 0) != with_context)
            return err_set(&req->err, ERR_BAD_REQUEST,
                           "context should be set either in all the request blocks or in none");
        TRY(decode_member(req, item, item->context, &item->aux.context));
        TRY(decode_member(req, item, item->nonce, &item->aux.nonce));
    }
    return 0;
}

int transit_batch_weigh(struct request *req, const struct transit_batch *b)
{
    size_t bytes = 0;
    for (size_t i = 0; i < b->n; i++)
        bytes += b->items[i].plaintext.n + b->items[i].ciphertext.n;
    return b->n <= LOOP_ITEMS && bytes <= LOOP_BYTES ? 0 : transit_may_wait(req);
}

int transit_batch_texts(struct request *req, struct json **out)
{
    struct faults f = { .arena = req->arena };
    size_t i = 0, bytes = 0;

    TRY(list_of(req, out));
    for (const struct json *e = json_first(*out); e != NULL; e = e->next, i++) {
        for (struct json *m = json_first(e); m != NULL; m = m->next) {
            bytes += m->text.n;
            if (m->type == JSON_STRING || m->type == JSON_NUMBER || m->type == JSON_NULL)
                continue;
            strs_add(f.arena, &f.list,
                     arena_printf(f.arena,
                                  "'[%zu][" STR_FMT "]' expected type 'string', got unconvertible "
                                  "type '%s'",
                                  i, STR_ARG(m->key), go_type(m)));
        }
    }
    TRY(arena_check(req->arena, &req->err));
    TRY(faults_report(&f, &req->err));
    return i <= LOOP_ITEMS && bytes <= LOOP_BYTES ? 0 : transit_may_wait(req);
}

bool transit_batch_text(const struct json *item, const char *name, struct str *out)
{
    const struct json *v = json_member(item, name);
    *out = v != NULL && v->type != JSON_NULL ? v->text : STR("");
    return v != NULL;
}
