/* sys/metrics of a listener that lets everybody read it. */
#include "core/telemetry.h"

#include "api/call.h"

bool metrics_are_open(const struct call *c)
{
    const struct api_listener *l = http_listener_user(c->x->req.listener);
    return l != NULL && l->open_metrics && str_is(c->path, "sys/metrics");
}

void metrics_get(struct call *c)
{
    struct str format = STR("");
    struct telemetry_answer answer;
    struct err err = { 0 };
    if (url_query_get(&c->query, STR("format"), &format) <= 0)
        format = STR("");
    struct str accept = http_header(&c->x->req, "Accept", NULL);
    if (!str_is(c->x->req.method, "GET"))
        answer_error(c, 405, STR(""));
    else if (telemetry_answer(c->api->settings.core->telemetry, c->api->settings.lifecycle,
                              c->arena, format, accept, &answer, &err) < 0)
        answer_failure(c, &err);
    else
        answer_send(c, answer.status, answer.content_type, answer.text);
}
