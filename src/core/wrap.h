/* Wrap: an answer put into a cubbyhole, and a token with one use to fetch it. */
#ifndef CORE_WRAP_H
#define CORE_WRAP_H

#include "core/active.h"

/*
 * Put ${resp} away for ${ttl_s} seconds and turn it into the answer that carries only wrap_info.
 * -1: req->err.
 */
int wrap_response(const struct active *on, struct request *req, struct response *resp,
                  int64_t ttl_s) MUST_USE;

/*
 * Where a wrapping token of JWT shape stands, in the header or as the field "token", put the
 * token inside it: nobody after this meets one.  One that is not good stays, and is unknown to all.
 * -1: ERR_MUST_WAIT, for verifying takes long; ERR_NOMEM.
 */
int wrap_undress(const struct active *on, struct request *req) MUST_USE;

/* The same for an answer's finished JSON text; ${info} (in the request's arena) tells the token. */
int wrap_text(const struct active *on, struct request *req, struct str text, struct str path,
              int64_t ttl_s, struct wrap_info *info) MUST_USE;

/*
 * Is ${token} a wrapping token that lives? 1 and its entry, 0, -1.  Within an epoch section.
 */
int wrap_find(const struct active *on, struct str token, const struct token_entry **out,
              struct err *err) MUST_USE;

/* True for a token that may only fetch an answer (its one policy is response-wrapping). */
bool wrap_is_wrapping_token(const struct token_entry *e);

/* The stored answer's JSON text, in ${a}. 1, 0 there is none, -1.  Does not spend the token. */
int wrap_open(const struct active *on, struct arena *a, const struct token_entry *e,
              struct str *json, struct err *err) MUST_USE;

/* End the token with all it holds. */
int wrap_spend(const struct active *on, const struct token_entry *e, struct err *err) MUST_USE;

/* What sys/wrapping/lookup tells: creation path, time and ttl. 1, 0, -1. */
int wrap_load_info(const struct active *on, struct arena *a, const struct token_entry *e,
                   struct wrap_info *out, struct err *err) MUST_USE;

#endif
