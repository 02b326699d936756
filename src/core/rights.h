/* Rights: the compiled policies of a token, its entity's included. */
#ifndef CORE_RIGHTS_H
#define CORE_RIGHTS_H

#include "core/active.h"

/*
 * The acl of ${e}; valid until the caller's epoch section ends.  1; 0 when its entity is disabled
 * or gone; -1.
 */
int rights_of(const struct active *on, struct arena *a, const struct token_entry *e,
              const struct policy_acl **out, struct err *err) MUST_USE;

#endif
