/* Api: HTTP in and out; the handler that the listeners call. */
#ifndef API_API_H
#define API_API_H

#include "api/settings.h"

struct api; /* any thread; immutable after api_new */

int api_new(const struct api_settings *settings, struct api **out, struct err *err) MUST_USE;
void api_free(struct api *a);

/* End the answers that never end by themselves: before the server is drained. */
void api_end_streams(struct api *a);

/* The http_handler; ${ctx} is the struct api. */
void api_handle(void *ctx, struct http_exchange *x);

#endif
