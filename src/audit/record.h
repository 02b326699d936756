/* Record: the layout of audit entries, with every secret as an HMAC. */
#ifndef AUDIT_RECORD_H
#define AUDIT_RECORD_H

#include "base/buf.h"
#include "logical/request.h"
#include "logical/response.h"

/* How one device wants its entries. Strings borrowed. */
struct record_format {
    struct str salt;    /* HMAC key */
    struct str prefix;  /* before each entry */
    bool raw;           /* log_raw: nothing is hashed */
    bool hmac_accessor;
    bool jsonx;         /* XML instead of JSON */
    bool elide_list;    /* elide_list_responses: counts instead of names */
};

/* Who asks, as far as known. */
struct record_caller {
    bool known;         /* false: the token was not good, or there was none */
    struct str client_token, accessor, display_name, entity_id;
    const char *token_type; /* "service", "batch", "default" */
    const struct strs *policies, *token_policies;
    const struct json *metadata;
    int64_t ttl_s, issued_s, uses_left;
};

/* What is written; pointers may be NULL. */
struct record {
    const struct request *req;
    const struct record_caller *caller;
    const struct response *resp;       /* NULL: a request entry */
    const struct err *failure;
    struct json *headers;              /* audited request headers: name -> list; or NULL */
    const struct strs *plain_request_keys, *plain_response_keys;
    bool hash_response_numbers;        /* numbers that are texts inside (kv version 1) */
    int64_t now_ns;
};

/* "hmac-sha256:<hex>" of a text, in ${a}. */
int record_hash(struct arena *a, struct str salt, struct str text, struct str *out,
                struct err *err) MUST_USE;

/* One line, without a line end, appended to ${out}. */
int record_print(const struct record *r, const struct record_format *f, struct arena *a,
                 struct buf *out, struct err *err) MUST_USE;

#endif
