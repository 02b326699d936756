/* Attributes and the few macros that all code shares. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The result tells of a failure and must be looked at. */
#define MUST_USE __attribute__((warn_unused_result))
/* The compiler checks format and arguments; counts from 1. */
#define PRINTF_LIKE(fmt_at, first) __attribute__((format(printf, fmt_at, first)))
/* Release the variable when it leaves its scope; ${fn} takes its address. */
#define AUTO(fn) __attribute__((cleanup(fn), unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Leave the function with -1 when the call did not succeed. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            return -1;                                                                             \
    } while (0)

#endif
