/* sys/internal/counters/requests: how much the server was used, month by month. */
#include "core/counters.h"

#include "sys/system.h"

int counters_requests_read(struct request *req, struct response *resp)
{
    struct counters_month *months;
    size_t n;
    TRY(counters_list(active_of(req)->counters, req->arena, &months, &n, &req->err));
    struct json *list = json_put_array(response_data(resp), "counters");
    for (size_t i = 0; i < n; i++) {
        struct json *m = json_add_object(list);
        json_put_str(m, "start_time", arena_printf(req->arena, "%04d-%02d-01T00:00:00Z",
                                                   months[i].year, months[i].month));
        json_put(m, "total", json_uint(req->arena, months[i].total));
    }
    return arena_check(req->arena, &req->err) < 0 ? -1 : 1;
}
