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

/* Is ${token} a wrapping token that lives (also a JWT-shaped one)? 1, 0, -1.  ${inner} gets the
 * token itself. Within an epoch section. */
int wrap_check(const struct active *on, struct arena *a, struct str token,
               const struct token_entry **out, struct err *err) MUST_USE;

/* The stored answer's JSON text, in ${a}; the token is spent. 1, 0 none, -1. */
int wrap_open(const struct active *on, struct request *req, const struct token_entry *e,
              struct str *json, struct err *err) MUST_USE;

/* What sys/wrapping/lookup tells: creation path, time and ttl. 1, 0, -1. */
int wrap_info_load(const struct active *on, struct arena *a, const struct token_entry *e,
                   struct wrap_info *out, struct err *err) MUST_USE;

/* May this token only fetch its answer (policy response-wrapping)? */
bool wrap_is_wrapping_token(const struct token_entry *e);

#endif
