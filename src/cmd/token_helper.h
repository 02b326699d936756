/* Token_helper: where a person's token is kept: ~/.vault-token, or a program named in ~/.vault. */
#ifndef CMD_TOKEN_HELPER_H
#define CMD_TOKEN_HELPER_H

#include "base/buf.h"
#include "base/err.h"

/* The stored token; ${out} stays empty when there is none. -1: ERR_IO, ERR_BAD_REQUEST. */
int token_helper_get(struct buf *out, struct err *err) MUST_USE;
/* Replace it, whole or not at all; the file is readable by its owner only. */
int token_helper_store(struct str token, struct err *err) MUST_USE;
/* Forget it; fine when there is none. */
int token_helper_erase(struct err *err) MUST_USE;

/*
 * The value of token_helper in the text of a ~/.vault file, appended to ${out}; nothing when it is
 * not set. -1: ERR_BAD_REQUEST.
 */
int token_helper_setting(struct str config, struct buf *out, struct err *err) MUST_USE;

#endif
