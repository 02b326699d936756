/* Random: bytes from the kernel, and the names that are made of them. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/attr.h"
#include "base/str.h"

/* Fill with bytes fit for keys. Any thread. Aborts when the kernel has none to give. */
void random_fill(void *p, size_t n);

/* Unbiased number below ${bound} (> 0). */
uint32_t random_below(uint32_t bound);

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" and a NUL: 16 random bytes in hex, as Vault's ids. */
void random_uuid(char out[37]);

/* ${n} base62 characters (digits, upper and lower case) and a NUL: tokens, accessors, lease ids. */
void random_base62(char *out, size_t n);

#endif
