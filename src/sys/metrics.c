/* sys/metrics, with a token; api/ answers it without one where the listener allows that. */
#include "core/telemetry.h"
#include "sys/system.h"

int metrics_read(struct request *req, struct response *resp)
{
    const struct active *on = active_of(req);
    struct telemetry_answer answer;
    TRY(telemetry_answer(on->settings->telemetry, on->lifecycle, req->arena,
                         field_str(req, "format"), request_header(req, "Accept"), &answer,
                         &req->err));
    resp->status = answer.status;
    resp->has_raw = true;
    resp->raw = answer.text;
    resp->content_type = str_of(answer.content_type);
    return 1;
}
