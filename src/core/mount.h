/* Mount: one secrets engine or auth method at its path. */
#ifndef CORE_MOUNT_H
#define CORE_MOUNT_H

#include "logical/engine.h"

/* A row of a mount table (storage-layout.md section 4) and what was opened for it. Immutable. */
struct mount {
    bool is_auth, local, seal_wrap, tainted;
    struct str path;        /* without "auth/": "secret/", "userpass/" */
    struct str full_path;   /* as requests name it: "secret/", "auth/userpass/" */
    struct str type, description, uuid, backend_uuid, accessor;
    struct json *options;   /* object of texts, or NULL */
    int64_t default_ttl_s, max_ttl_s; /* as tuned; 0: the system's */
    bool force_no_cache;
    struct strs audit_non_hmac_request_keys, audit_non_hmac_response_keys;
    struct strs passthrough_request_headers, allowed_response_headers;
    struct str listing_visibility; /* "", "unauth", "hidden" */
    bool has_audit_non_hmac_request_keys, has_audit_non_hmac_response_keys;
    enum token_type token_type; /* TOKEN_DEFAULT: not tuned */
    struct str plugin_name;
    /* Opened. */
    const struct engine *engine; /* NULL: closed, no requests */
    bool unfinished;             /* closed because a standby cannot write what its opening needs */
    struct storage *view;
    void *state;
    const struct sysview *sys;
    uint32_t metrics[OP_DELETE + 1]; /* by operation: how long its requests take */
};

#endif
