/* Policy_builtin: the policies that every store has from the start. */
#ifndef CORE_POLICY_BUILTIN_H
#define CORE_POLICY_BUILTIN_H

#include "base/str.h"

struct policy_builtin {
    struct str name, text;
    bool fixed; /* cannot be changed or given to a token, and is not listed */
};

/* The built-in policy at ${i}; NULL past the last. */
const struct policy_builtin *policy_builtin_at(size_t i);

#endif
