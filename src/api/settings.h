/* Settings: what the API layer is made with, and what a listener's stanza says to it. */
#ifndef API_SETTINGS_H
#define API_SETTINGS_H

#include "core/genroot.h"
#include "core/lifecycle.h"
#include "core/rekey.h"
#include "net/http.h"

struct forwarder;
struct recovery;

struct api_settings {
    struct lifecycle *lifecycle;
    const struct core_settings *core;
    struct rekey *rekey;       /* operations in progress, see core/ */
    struct rekey *rekey_recovery;
    struct genroot *genroot;
    struct recovery *recovery;   /* the server only mends (server -recovery); else NULL */
    struct forwarder *forwarder; /* hands requests on to the active node; NULL: redirects */
    bool ui;
};

/* What a listener's stanza says that matters above HTTP; its http_listener_user. Immutable. */
struct api_listener {
    struct strs authorized; /* blocks whose X-Forwarded-For counts; empty: nobody's */
    int64_t hop_skips;
    bool reject_not_present, reject_not_authorized;
    bool require_request_header; /* X-Vault-Request: true */
    bool open_metrics;           /* sys/metrics without a token */
    int64_t max_request_ns;      /* max_request_duration; 0: no limit */
    struct lifecycle *lifecycle; /* asked whose large bodies may come in */
};

#endif
