/* One snapshot of all rules, replaced as a whole by every change. */
#include "core/browser.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/epoch.h"

#define CORS_KEY STR("sys/config/cors")
/* Without a slash behind "ui": so Vault has them. */
#define UI_KEY STR("sys/uiconfig")
#define UI_PLAIN_KEY STR("sys/uiconfig_plaintext")

static const char *const usual_headers[] = {
    "Content-Type", "X-Requested-With", "X-Vault-AWS-IAM-Server-ID", "X-Vault-MFA",
    "X-Vault-No-Request-Forwarding", "X-Vault-Wrap-Format", "X-Vault-Wrap-TTL",
    "X-Vault-Policy-Override", "Authorization", "X-Vault-Token",
};

struct held {
    struct browser_rules rules;
    struct arena *arena;
};

struct browser {
    struct storage *plain, *physical;
    _Atomic(struct held *) now;
    pthread_mutex_t change; /* one at a time, its write included */
};

/* ---- snapshots ---- */

static void held_release(void *p)
{
    struct held *h = p;
    if (h == NULL)
        return;
    arena_free(h->arena);
    free(h);
}

/* A copy to edit; NULL: ERR_NOMEM. */
static struct held *held_copy(const struct held *old, struct err *err)
{
    struct held *h = calloc(1, sizeof *h);
    if (h == NULL || (h->arena = arena_new()) == NULL) {
        free(h);
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    if (old == NULL) {
        h->rules.ui = json_object(h->arena);
        return h;
    }
    h->rules.cors = old->rules.cors;
    h->rules.origins = strs_copy(h->arena, &old->rules.origins);
    h->rules.headers = strs_copy(h->arena, &old->rules.headers);
    h->rules.ui = json_copy(h->arena, old->rules.ui);
    return h;
}

static void take_list(struct arena *a, const struct json *list, struct strs *out)
{
    for (const struct json *i = json_first(list); i != NULL; i = i->next)
        strs_add(a, out, arena_dup(a, i->text));
}

static int load(struct storage *s, struct arena *a, struct str key, struct json **out,
                struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    int found = storage_get(s, key, &text, err);
    if (found <= 0)
        return found;
    struct str kept = arena_dup(a, buf_str(&text));
    TRY(arena_check(a, err));
    if (json_parse(a, kept, out, NULL, err) < 0)
        return err_prefix(err, STR_FMT, STR_ARG(key));
    return 1;
}

static int load_all(struct browser *b, struct held *h, struct err *err)
{
    struct json *o;
    int found = load(b->plain, h->arena, CORS_KEY, &o, err);
    if (found < 0)
        return -1;
    if (found > 0) {
        h->rules.cors = json_get_int(o, "enabled", 0) == 1;
        take_list(h->arena, json_member(o, "allowed_origins"), &h->rules.origins);
        take_list(h->arena, json_member(o, "allowed_headers"), &h->rules.headers);
    }
    found = load(b->plain, h->arena, UI_KEY, &o, err);
    if (found < 0)
        return -1;
    if (found > 0 && json_is(json_member(o, "headers"), JSON_OBJECT))
        h->rules.ui = json_member(o, "headers");
    return arena_check(h->arena, err);
}

int browser_new(struct storage *plain, struct storage *physical, struct browser **out,
                struct err *err)
{
    struct browser *b = calloc(1, sizeof *b);
    if (b == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    b->plain = plain;
    b->physical = physical;
    pthread_mutex_init(&b->change, NULL);
    struct held *h = held_copy(NULL, err);
    atomic_init(&b->now, h);
    if (h == NULL || load_all(b, h, err) < 0) {
        browser_free(b);
        return -1;
    }
    *out = b;
    return 0;
}

void browser_free(struct browser *b)
{
    if (b == NULL)
        return;
    held_release(atomic_load(&b->now));
    pthread_mutex_destroy(&b->change);
    free(b);
}

const struct browser_rules *browser_rules(const struct browser *b)
{
    return &atomic_load(&b->now)->rules;
}

bool browser_allows(const struct browser_rules *r, struct str origin)
{
    return (r->origins.n == 1 && str_is(r->origins.v[0], "*")) || strs_has(&r->origins, origin);
}

/* ---- changes ---- */

static void put_list(struct json *o, const char *key, const struct strs *list)
{
    if (list->n == 0)
        return;
    struct json *to = json_put_array(o, key);
    for (size_t i = 0; i < list->n; i++)
        json_add_str(to, list->v[i]);
}

static int write_cors(struct browser *b, struct held *h, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o = json_object(h->arena);
    if (o != NULL)
        o->keep_order = true;
    json_put_int(o, "enabled", h->rules.cors);
    put_list(o, "allowed_origins", &h->rules.origins);
    put_list(o, "allowed_headers", &h->rules.headers);
    TRY(arena_check(h->arena, err));
    json_print(o, &text);
    buf_byte(&text, '\n');
    TRY(buf_check(&text, err));
    return storage_put(b->plain, CORS_KEY, buf_str(&text), err);
}

/* The copy in clear comes first, as in Vault: what is read unsealed is the other one. */
static int write_ui(struct browser *b, struct held *h, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o = json_object(h->arena);
    TRY(arena_check(h->arena, err));
    if (h->rules.ui->count == 0) {
        TRY(storage_delete(b->physical, UI_PLAIN_KEY, err));
        return storage_delete(b->plain, UI_KEY, err);
    }
    json_put(o, "headers", json_copy(h->arena, h->rules.ui));
    TRY(arena_check(h->arena, err));
    json_print(o, &text);
    TRY(buf_check(&text, err));
    TRY(storage_put(b->physical, UI_PLAIN_KEY, buf_str(&text), err));
    return storage_put(b->plain, UI_KEY, buf_str(&text), err);
}

/* Write, then show. Under b->change; ${h} is taken over. */
static int publish(struct browser *b, struct held *h,
                   int (*write)(struct browser *, struct held *, struct err *), struct err *err)
{
    if (write(b, h, err) < 0) {
        held_release(h);
        return -1;
    }
    epoch_retire(atomic_exchange(&b->now, h), held_release);
    return 0;
}

static int set_cors(struct browser *b, bool on, const struct strs *origins,
                    const struct strs *headers, struct err *err)
{
    pthread_mutex_lock(&b->change);
    struct held *h = held_copy(atomic_load(&b->now), err);
    int result = -1;
    if (h != NULL) {
        h->rules.cors = on;
        h->rules.origins = strs_copy(h->arena, origins);
        h->rules.headers = strs_copy(h->arena, headers);
        result = publish(b, h, write_cors, err);
    }
    pthread_mutex_unlock(&b->change);
    return result;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

/* What is put into headers must not end them. */
static int check_clean(const struct strs *list, struct err *err)
{
    for (size_t i = 0; i < list->n; i++)
        if (has_control(list->v[i]))
            return err_set(err, ERR_BAD_REQUEST, "a value holds a control character");
    return 0;
}

int browser_cors_on(struct browser *b, const struct strs *origins, const struct strs *more,
                    struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct strs headers = { 0 };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (origins->n == 0)
        return err_set(err, ERR_INTERNAL, "at least one origin or the wildcard must be provided");
    if (origins->n > 1 && strs_has(origins, STR("*")))
        return err_set(err, ERR_INTERNAL, "to allow all origins the '*' must be the only value "
                                          "for allowed_origins");
    TRY(check_clean(origins, err));
    TRY(check_clean(more, err));
    for (size_t i = 0; i < ARRAY_LEN(usual_headers); i++)
        strs_add(a, &headers, str_of(usual_headers[i]));
    for (size_t i = 0; i < more->n; i++)
        strs_add(a, &headers, more->v[i]);
    TRY(arena_check(a, err));
    return set_cors(b, true, origins, &headers, err);
}

int browser_cors_off(struct browser *b, struct err *err)
{
    static const struct strs none;
    return set_cors(b, false, &none, &none, err);
}

/* "x-FRAME-options" as "X-Frame-Options". */
static struct str canonical(struct arena *a, struct str name)
{
    char *p = arena_bytes(a, name.n);
    bool first = true;
    for (size_t i = 0; p != NULL && i < name.n; i++) {
        char c = name.p[i];
        if (first && c >= 'a' && c <= 'z')
            c = (char)(c - 32);
        else if (!first && c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        p[i] = c;
        first = c == '-';
    }
    return str_mem(p, p == NULL ? 0 : name.n);
}

int browser_ui_set(struct browser *b, struct str name, const struct strs *values, struct err *err)
{
    if (values != NULL)
        TRY(check_clean(values, err));
    pthread_mutex_lock(&b->change);
    struct held *h = held_copy(atomic_load(&b->now), err);
    int result = -1;
    if (h != NULL) {
        struct json *ui = json_copy(h->arena, h->rules.ui);
        struct str key = canonical(h->arena, name);
        struct json *list = values == NULL ? NULL : json_array(h->arena);
        for (size_t i = 0; values != NULL && i < values->n; i++)
            json_add_str(list, arena_dup(h->arena, values->v[i]));
        if (values == NULL)
            json_remove(ui, key);
        else
            json_set(ui, key, list);
        h->rules.ui = ui;
        result = publish(b, h, write_ui, err);
    }
    pthread_mutex_unlock(&b->change);
    return result;
}

const struct json *browser_ui_get(const struct browser_rules *r, struct arena *a, struct str name)
{
    struct str key = canonical(a, name);
    return key.p == NULL ? NULL : json_get(r->ui, key);
}
