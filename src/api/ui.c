/* The pages outside the API. */
#include "api/ui.h"

#include "base/epoch.h"
#include "core/browser.h"

static const char page[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Coffer</title></head>\n"
    "<body><h1>Coffer</h1><p>This server is used through its API at <code>/v1/</code> and the "
    "command line: set <code>VAULT_ADDR</code> to this address and run "
    "<code>coffer status</code>.</p></body></html>\n";

/* Unless the operator says otherwise. */
static const struct { const char *name, *value; } usual[] = {
    { "Content-Security-Policy",
      "default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src 'self'; "
      "style-src 'unsafe-inline' 'self'; form-action 'none'; frame-ancestors 'none'" },
    { "Service-Worker-Allowed", "/" },
    { "X-Content-Type-Options", "nosniff" },
};

/* Headers that belong to HTTP itself, whatever sys/config/ui/headers holds. */
static bool is_ours(struct str name)
{
    static const char *const ours[] = { "Content-Length", "Content-Type", "Connection", "Date",
                                        "Transfer-Encoding", "Upgrade", "Keep-Alive" };
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (str_eq_nocase(name, str_of(ours[i])))
            return true;
    return false;
}

static size_t count_values(const struct json *ui)
{
    size_t n = 0;
    for (const struct json *h = json_first(ui); h != NULL; h = h->next)
        n += h->count;
    return n;
}

/* Those of sys/config/ui/headers, then the usual ones that are not among them. */
static size_t page_headers(struct call *c, const struct json *ui, struct http_header *out)
{
    size_t n = answer_headers(c, out);
    out[n++] = (struct http_header){ STR("Content-Type"), STR("text/html; charset=utf-8") };
    for (const struct json *h = json_first(ui); h != NULL; h = h->next)
        for (const struct json *v = is_ours(h->key) ? NULL : json_first(h); v != NULL; v = v->next)
            out[n++] = (struct http_header){ arena_dup(c->arena, h->key),
                                             arena_dup(c->arena, v->text) };
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        if (json_member(ui, usual[i].name) == NULL)
            out[n++] = (struct http_header){ str_of(usual[i].name), str_of(usual[i].value) };
    return n;
}

static void answer_page(struct call *c)
{
    epoch_enter();
    const struct active *on = lifecycle_active(c->api->settings.lifecycle);
    const struct json *ui = on == NULL ? NULL : browser_rules(on->browser)->ui;
    size_t room = ANSWER_HEADERS + 1 + ARRAY_LEN(usual) + count_values(ui);
    struct http_header *headers = arena_array(c->arena, room, sizeof *headers);
    struct http_reply reply = { .status = 200, .body = str_mem(page, sizeof page - 1) };
    if (headers != NULL) {
        reply.headers = headers;
        reply.n_headers = page_headers(c, ui, headers);
    }
    epoch_leave();
    if (arena_failed(c->arena))
        answer_error(c, 500, STR("out of memory"));
    else
        http_answer(c->x, &reply);
}

void ui_answer(struct call *c, struct str path)
{
    bool gets = str_is(c->x->req.method, "GET");
    if (str_is(path, "/") || str_is(path, "/robots.txt") || str_is(path, "/ui"))
        answer_redirect(c, 307, STR("/ui/"));
    else if (str_starts(path, STR("/ui/")) && c->api->settings.ui && gets)
        answer_page(c);
    else
        answer_error(c, 404, STR(""));
}
