/* Api: HTTP in and out; the handler that the listeners call. */
#ifndef API_API_H
#define API_API_H

#include "core/lifecycle.h"
#include "net/http.h"

struct api; /* any thread; immutable after api_new */

struct api_settings {
    struct lifecycle *lifecycle;
    const struct core_settings *core;
    struct rekey *rekey;       /* operations in progress, see core/ */
    struct genroot *genroot;
    bool ui;
};

/* What a listener's stanza says that matters above HTTP; its http_listener_user. Immutable. */
struct api_listener {
    struct strs authorized; /* blocks whose X-Forwarded-For counts; empty: nobody's */
    int64_t hop_skips;
    bool reject_not_present, reject_not_authorized;
    bool require_request_header; /* X-Vault-Request: true */
    bool open_metrics;           /* sys/metrics without a token */
};

int api_new(const struct api_settings *settings, struct api **out, struct err *err) MUST_USE;
void api_free(struct api *a);

/* End the answers that never end by themselves: before the server is drained. */
void api_end_streams(struct api *a);

/* The http_handler; ${ctx} is the struct api. */
void api_handle(void *ctx, struct http_exchange *x);

#endif
