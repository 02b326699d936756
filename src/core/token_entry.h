/* Token entry: the stored form of a service token, and what is sealed into a batch token. */
#ifndef CORE_TOKEN_ENTRY_H
#define CORE_TOKEN_ENTRY_H

#include "base/buf.h"
#include "codec/json.h"
#include "logical/auth.h"

/*
 * A token as it is stored (storage-layout.md section 6).  Immutable; what token_lookup hands out is
 * valid until the caller leaves its epoch section (base/epoch.h), strings included.
 */
struct token_entry {
    enum token_type type; /* TOKEN_SERVICE or TOKEN_BATCH */
    struct str id;        /* the token itself: never printed, never logged */
    struct str accessor, parent, path, display_name, role, entity_id, cubbyhole_id;
    struct strs policies;
    struct strs bound_cidrs;
    struct json *meta;    /* object of texts, or NULL */
    int64_t num_uses;     /* 0: unlimited; below 0: being revoked */
    int64_t created_s, ttl_s, explicit_max_ttl_s, period_s;
    struct str sid;       /* salted id: "h" and 64 hex digits, or 40 hex digits of a custom id */
    bool root;            /* policies hold "root" */
};

/* Stored JSON of a service token, in ${a}; ${sid} is set by the caller. -1: ERR_CORRUPT. */
int token_entry_parse(struct arena *a, struct str text, struct token_entry *out,
                      struct err *err) MUST_USE;
int token_entry_print(struct arena *a, const struct token_entry *e, struct buf *out,
                      struct err *err) MUST_USE;

/* The protobuf inside a batch token. */
int token_entry_unpack(struct arena *a, struct str bytes, struct token_entry *out,
                       struct err *err) MUST_USE;
int token_entry_pack(const struct token_entry *e, struct buf *out, struct err *err) MUST_USE;

#endif
