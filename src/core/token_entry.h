/* Token entry: the stored form of a service token, and what is sealed into a batch token. */
#ifndef CORE_TOKEN_ENTRY_H
#define CORE_TOKEN_ENTRY_H

#include "core/token.h"

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
