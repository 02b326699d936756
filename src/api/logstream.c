/* sys/monitor: the log as an answer that goes on until somebody ends it. */
#include "api/call.h"
#include "api/monitor.h"

enum { LOOK_MS = 1000 }; /* how soon a client that left, or a seal, is noticed */

static bool is_sealed(struct call *c)
{
    /* Only asked whether there is one: no epoch is needed. */
    return lifecycle_active(c->api->settings.lifecycle) == NULL;
}

static void stream(struct call *c, struct watcher *w)
{
    struct http_header headers[ANSWER_HEADERS + 1];
    size_t n = answer_headers(c, headers);
    headers[n++] = (struct http_header){ STR("Content-Type"), STR("text/plain; charset=utf-8") };
    struct http_reply head = { .status = 200, .headers = headers, .n_headers = n };
    struct monitor *m = c->api->monitor;
    int more = 0;
    http_stream_begin(c->x, &head);
    while (more >= 0) {
        AUTO(buf_free) struct buf lines = { 0 };
        more = monitor_next(m, w, LOOK_MS, &lines);
        if (more >= 0 && is_sealed(c)) {
            buf_add(&lines, STR("core received sealed state change, ending monitor session"));
            more = -1;
        }
        /* Nothing to write asks whether the client is still there. */
        if (http_stream_write(c->x, buf_str(&lines)) < 0)
            more = -1;
    }
    monitor_leave(m, w);
    http_stream_end(c->x);
}

void monitor_get(struct call *c)
{
    struct err err = { 0 };
    struct str name = STR("");
    enum log_level level;
    struct watcher *w;
    bool sealed, with_token = read_token(&c->x->req).n > 0;
    if (!with_token && !is_sealed(c)) {
        answer_error(c, 400, STR("missing client token"));
        return;
    }
    if (!read_authorized(c, &sealed))
        return;
    if (sealed) {
        answer_error(c, 503, with_token ? STR("error performing token check: Vault is sealed")
                                        : STR("Vault is sealed"));
        return;
    }
    if (url_query_get(&c->query, STR("log_level"), &name) <= 0)
        name = STR("");
    if (!log_level_of(name, &level) || level == LOG_OFF)
        answer_error(c, 400, STR("unknown log level"));
    else if (monitor_watch(c->api->monitor, level, &w, &err) < 0)
        answer_failure(c, &err);
    else
        stream(c, w);
}
