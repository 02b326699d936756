/* Shamir: secret sharing over GF(2^8) as Vault's shares have it: 1 x byte after the y bytes. */
#ifndef CRYPTO_SHAMIR_H
#define CRYPTO_SHAMIR_H

#include "base/secret.h"

/*
 * Split ${secret} into ${shares} parts, any ${threshold} of which give it back; 2 <= threshold <=
 * shares <= 255.  ${out} has room for ${shares} secrets, each of secret.n + 1 bytes.
 */
int shamir_split(struct str secret, int shares, int threshold, struct secret *out,
                 struct err *err) MUST_USE;
/*
 * -1: ERR_BAD_REQUEST: fewer than two parts, unequal lengths, a part twice.  Wrong parts give a
 * wrong secret: only its use tells.  Constant time in the bytes.
 */
int shamir_combine(const struct str *parts, int n, struct secret *out, struct err *err) MUST_USE;

#endif
