/* Response: the answer on its way up. */
#ifndef LOGICAL_RESPONSE_H
#define LOGICAL_RESPONSE_H

#include "base/buf.h"
#include "codec/json.h"
#include "logical/auth.h"

/* A secret that expires. Durations in seconds. */
struct lease_terms {
    bool leased;            /* false: only lease_duration is reported (kv v1), no lease is kept */
    bool renewable;
    int64_t ttl_s, max_ttl_s;
    const char *kind;       /* engine's secret kind, whose renew and revoke will be called */
    struct json *internal_data;
    struct str lease_id;    /* made by the core */
};

/* Made by the core when the answer was put into a cubbyhole. */
struct wrap_info {
    struct str token, accessor, creation_path, wrapped_accessor, wrapped_entity_id;
    struct str inner_token; /* of a token of JWT shape: what audit entries hash; else empty */
    int64_t ttl_s, created_ns;
};

/* Lives in the request's arena. */
struct response {
    struct arena *arena;
    int status;                /* 0: by rule (200 with content, 204 without) */
    struct json *data;         /* object, or NULL */
    struct json *warnings;     /* array of texts, or NULL */
    struct json *top;          /* members put beside the envelope (old sys reads), or NULL */
    struct lease_terms *lease;
    struct auth *auth;
    struct wrap_info *wrap;
    bool empty_envelope;       /* answer 200 with the envelope although there is no data */
    bool no_envelope;          /* data is the whole answer */
    /* A body of another kind: certificates, metrics, an unwrapped answer. */
    bool has_raw;
    struct str raw, content_type;
};

/* The data object, made at the first call. Never NULL unless out of memory. */
struct json *response_data(struct response *resp);
/* A new object in the data object. */
struct json *response_object(struct response *resp, const char *key);
void response_warn(struct response *resp, const char *format, ...) PRINTF_LIKE(2, 3);
/* {"keys": [...]}; 1, or 0 when the list is empty (which Vault answers with 404). */
int response_keys(struct response *resp, const struct strs *keys);
/*
 * The same for long lists: names are added one by one (wherever they live) and the list becomes
 * one finished JSON text.  Starts as { 0 }, ends with response_names_free.
 */
struct response_names {
    struct buf text;
    size_t n;
};
void response_name(struct response_names *names, struct str name);
/* Takes the names over. 1, 0 when there are none, -1: ERR_NOMEM. */
int response_names_put(struct response *resp, struct response_names *names,
                       struct err *err) MUST_USE;
void response_names_free(struct response_names *names);

#endif
