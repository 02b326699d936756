/* The pages outside the API. */
#include "api/ui.h"

static const char page[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Coffer</title></head>\n"
    "<body><h1>Coffer</h1><p>This server is used through its API at <code>/v1/</code> and the "
    "command line: set <code>VAULT_ADDR</code> to this address and run "
    "<code>coffer status</code>.</p></body></html>\n";

void ui_answer(struct call *c, struct str path)
{
    bool gets = str_is(c->x->req.method, "GET");
    if (str_is(path, "/") || str_is(path, "/robots.txt") || str_is(path, "/ui"))
        answer_redirect(c, 307, STR("/ui/"));
    else if (str_starts(path, STR("/ui/")) && c->api->settings.ui && gets)
        answer_send(c, 200, "text/html; charset=utf-8", str_mem(page, sizeof page - 1));
    else
        answer_error(c, 404, STR(""));
}
