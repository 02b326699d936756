/* JSON values as elements of their types: <json:string name="path">kv/a</json:string>. */
#include "audit/jsonx.h"

#include <stdlib.h>

#include "codec/json.h"

/* An object or array whose children are being printed. */
struct frame {
    struct frame *outer;
    const struct json *of;
    const struct json **children;
    size_t n, at;
};

static int by_name(const void *a, const void *b)
{
    return str_cmp((*(const struct json *const *)a)->key, (*(const struct json *const *)b)->key);
}

static struct frame *enter(struct arena *a, const struct json *of, struct frame *outer)
{
    struct frame *f = arena_alloc(a, sizeof *f);
    if (f == NULL)
        return NULL;
    *f = (struct frame){ .outer = outer, .of = of };
    f->children = arena_array(a, of->count + 1, sizeof(const struct json *));
    if (f->children == NULL)
        return NULL;
    for (const struct json *i = json_first(of); i != NULL; i = i->next)
        f->children[f->n++] = i;
    if (of->type == JSON_OBJECT)
        qsort(f->children, f->n, sizeof(const struct json *), by_name);
    return f;
}

/*
 * Vault leaves the text of strings as it is.  Then a client's "</json:string>" would pass for
 * another part of the entry, so here it is escaped; and what XML cannot hold becomes U+FFFD.
 */
static void put_text(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '<')
            buf_add(out, STR("&lt;"));
        else if (c == '>')
            buf_add(out, STR("&gt;"));
        else if (c == '&')
            buf_add(out, STR("&amp;"));
        else if (c == '"')
            buf_add(out, STR("&#34;"));
        else if (c == '\'')
            buf_add(out, STR("&#39;"));
        else if (c == '\n' || c == '\r' || c == '\t')
            buf_printf(out, "&#x%X;", c); /* an entry is one line */
        else if (c < 0x20)
            buf_add(out, STR("\xef\xbf\xbd"));
        else
            buf_byte(out, (char)c);
    }
}

static const char *element_of(const struct json *v)
{
    switch (v->type) {
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return "boolean";
    case JSON_NUMBER:
        return "number";
    case JSON_ARRAY:
        return "array";
    case JSON_OBJECT:
        return "object";
    case JSON_STRING:
    case JSON_RAW: /* only made, never parsed */
        break;
    }
    return "string";
}

/* The opening tag, and of a value without children all of it. */
static void put_start(struct buf *out, const struct json *v, bool member)
{
    const char *element = element_of(v);
    buf_printf(out, "<json:%s", element);
    if (member && v->key.n > 0) {
        buf_add(out, STR(" name=\""));
        put_text(out, v->key);
        buf_byte(out, '"');
    }
    buf_add(out, v->type == JSON_NULL ? STR(" />") : STR(">"));
    if (v->type == JSON_NULL || v->type == JSON_ARRAY || v->type == JSON_OBJECT)
        return;
    if (v->type == JSON_BOOL)
        buf_add(out, v->truth ? STR("true") : STR("false"));
    else
        put_text(out, v->text);
    buf_printf(out, "</json:%s>", element);
}

int jsonx_print(struct arena *a, struct str text, struct buf *out, struct err *err)
{
    struct json *root;
    TRY(json_parse(a, text, &root, NULL, err));
    if (root->type != JSON_OBJECT)
        return err_set(err, ERR_INTERNAL, "jsonx: an entry is an object");
    struct frame *f = enter(a, root, NULL);
    while (f != NULL) {
        if (f->at == f->n) {
            if (f->outer != NULL)
                buf_printf(out, "</json:%s>", element_of(f->of));
            f = f->outer;
            continue;
        }
        const struct json *v = f->children[f->at++];
        put_start(out, v, f->of->type == JSON_OBJECT);
        if (v->type == JSON_ARRAY || v->type == JSON_OBJECT)
            f = enter(a, v, f);
    }
    TRY(arena_check(a, err));
    return buf_check(out, err);
}
