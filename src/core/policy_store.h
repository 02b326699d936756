/* Policy_store: the named policies, kept below sys/policy/, and what sets of them allow. */
#ifndef CORE_POLICY_STORE_H
#define CORE_POLICY_STORE_H

#include "core/policy_acl.h"
#include "storage/storage.h"

struct policy_store; /* any thread */

/* ${sys} is the view of "sys/", borrowed for the store's life.  -1: ERR_NOMEM. */
int policy_store_new(struct storage *sys, struct policy_store **out, struct err *err) MUST_USE;
/* No reader may be left. */
void policy_store_free(struct policy_store *s);

/*
 * Write the built-in policies that are missing: default, response-wrapping, control-group.  An
 * edited default is left alone; the other two are put back to their text.  A store that takes no
 * writes is fine: its policies come from elsewhere.
 */
int policy_store_start(struct policy_store *s, struct err *err) MUST_USE;

/* Names are trimmed and lowered everywhere. */

/* The text, in ${a}; that of root is empty.  1, 0 absent, -1. */
int policy_store_get(struct policy_store *s, struct arena *a, struct str name, struct str *text,
                     struct err *err) MUST_USE;
/* -1: ERR_BAD_REQUEST in Vault's words: does not parse, may not be changed. */
int policy_store_set(struct policy_store *s, struct str name, struct str text,
                     struct err *err) MUST_USE;
/* Absent is fine.  -1: ERR_BAD_REQUEST in Vault's words: may not be deleted. */
int policy_store_delete(struct policy_store *s, struct str name, struct err *err) MUST_USE;
/* Names in ${a}: sorted, without the two that no token can be given, "root" last. */
int policy_store_list(struct policy_store *s, struct arena *a, struct strs *names,
                      struct err *err) MUST_USE;

/* A stored policy was changed by somebody else; ${name} as in the key below "policy/". */
void policy_store_invalidate(struct policy_store *s, struct str name);
/* Forget everything that was read. */
void policy_store_invalidate_all(struct policy_store *s);

/*
 * What the named policies allow together; names without a policy count for nothing.  ${facts} is
 * of the caller's entity, or NULL.  The acl is borrowed until the caller's epoch section ends, in
 * which the call must be made.  Takes no lock and does not allocate when the same names were asked
 * for before; else it reads the storage.  -1: ERR_INTERNAL (a stored policy does not parse, root
 * together with others), or the storage's error.
 */
int policy_store_acl(struct policy_store *s, const struct strs *names,
                     const struct policy_facts *facts, const struct policy_acl **out,
                     struct err *err) MUST_USE;

#endif
