/* Key derivation in counter mode: one block of HMAC-SHA256, which is a whole key. */
#include "crypto/kdf.h"

#include "base/buf.h"
#include "crypto/digest.h"

int kdf_counter(struct str key, struct str context, uint8_t out[KDF_LEN], struct err *err)
{
    static const char counter[4] = { 0, 0, 0, 0 }, bits[4] = { 0, 0, 1, 0 };
    AUTO(buf_free) struct buf input = { 0 };
    uint8_t sum[DIGEST_MAX];

    buf_add(&input, str_mem(counter, sizeof counter));
    buf_add(&input, context);
    buf_add(&input, str_mem(bits, sizeof bits));
    TRY(buf_check(&input, err));
    TRY(digest_hmac(DIGEST_SHA256, key, buf_str(&input), sum, err));
    memcpy(out, sum, KDF_LEN);
    explicit_bzero(sum, sizeof sum);
    return 0;
}
