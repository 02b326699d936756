/* Cross-origin requests: what a browser asks before and learns with each answer. */
#include "core/browser.h"

#include "api/call.h"
#include "base/epoch.h"

#define METHODS "DELETE,GET,OPTIONS,POST,PUT,LIST"

static bool is_method(struct str method)
{
    static const char *const known[] = { "DELETE", "GET", "OPTIONS", "POST", "PUT", "LIST" };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_is(method, known[i]))
            return true;
    return false;
}

static void answer_preflight(struct call *c, const struct strs *allowed)
{
    struct http_header headers[] = {
        { STR("Cache-Control"), STR("no-store") },
        { STR("Access-Control-Allow-Origin"), c->origin },
        { STR("Vary"), STR("Origin") },
        { STR("Access-Control-Allow-Methods"), STR(METHODS) },
        { STR("Access-Control-Allow-Headers"), strs_join(c->arena, allowed, STR(",")) },
        { STR("Access-Control-Max-Age"), STR("300") },
    };
    struct http_reply reply = { .status = 200, .headers = headers,
                                .n_headers = ARRAY_LEN(headers) };
    http_answer(c->x, &reply);
}

/* Rules are on and there is an origin. True: answered. */
static bool check(struct call *c, const struct browser_rules *r, struct str origin)
{
    bool asks = str_is(c->x->req.method, "OPTIONS");
    if (!browser_allows(r, origin)) {
        answer_error(c, 403, STR("origin not allowed"));
        return true;
    }
    if (asks && !is_method(http_header(&c->x->req, "Access-Control-Request-Method", NULL))) {
        struct http_reply reply = { .status = 405 };
        http_answer(c->x, &reply);
        return true;
    }
    c->origin = origin;
    if (asks)
        answer_preflight(c, &r->headers);
    return asks;
}

bool cors_answers(struct call *c)
{
    struct str origin = http_header(&c->x->req, "Origin", NULL);
    bool answered = false;
    if (origin.n == 0)
        return false;
    epoch_enter();
    const struct active *on = lifecycle_active(c->api->settings.lifecycle);
    if (on != NULL && browser_rules(on->browser)->cors)
        answered = check(c, browser_rules(on->browser), origin);
    epoch_leave();
    return answered;
}
