/* Jsonx: an audit entry as XML, in IBM's notation for JSON, as Vault writes it (format=jsonx). */
#ifndef AUDIT_JSONX_H
#define AUDIT_JSONX_H

#include "base/arena.h"
#include "base/buf.h"

/*
 * Append the members of ${text}, a JSON object, one element each: without a header and without an
 * element around them.  Members are in order of their names.  -1: ERR_INTERNAL, ERR_NOMEM.
 */
int jsonx_print(struct arena *a, struct str text, struct buf *out, struct err *err) MUST_USE;

#endif
