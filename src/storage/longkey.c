/* The stored form of keys. */
#include "storage/longkey.h"

#include "crypto/digest.h"

int longkey_stored(struct str key, char room[LONGKEY_STORED], struct str *out, struct err *err)
{
    uint8_t hash[DIGEST_MAX];
    *out = key;
    if (!longkey_is_long(key))
        return 0;
    TRY(digest_of(DIGEST_SHA256, key, hash, err));
    memcpy(room, key.p, LONGKEY_SHORT);
    memcpy(room + LONGKEY_SHORT, hash, LONGKEY_STORED - LONGKEY_SHORT);
    *out = str_mem(room, LONGKEY_STORED);
    return 0;
}

void longkey_write_head(struct str key, char *out)
{
    for (int i = 0; i < 4; i++)
        out[i] = (char)(key.n >> (8 * (3 - i)));
    memcpy(out + 4, key.p, key.n);
}

int longkey_split(struct str stored_value, struct str *key, struct str *value, struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < 4 && i < stored_value.n; i++)
        n = n << 8 | (unsigned char)stored_value.p[i];
    if (stored_value.n < 4 || n > stored_value.n - 4)
        return err_set(err, ERR_CORRUPT, "lmdb: a long key's entry is cut off");
    *key = str_mem(stored_value.p + 4, n);
    *value = str_from(stored_value, 4 + n);
    return 0;
}

bool longkey_before(struct str stored, struct str from)
{
    if (!longkey_is_stored_long(stored))
        return str_cmp(stored, from) < 0;
    return str_cmp(str_head(stored, LONGKEY_SHORT), str_head(from, LONGKEY_SHORT)) < 0;
}

struct str longkey_from(struct str from, char room[LONGKEY_STORED])
{
    if (!longkey_is_long(from))
        return from;
    /* The short key of just these bytes is below; the long ones are above a further zero byte. */
    memcpy(room, from.p, LONGKEY_SHORT);
    room[LONGKEY_SHORT] = 0;
    return str_mem(room, LONGKEY_SHORT + 1);
}
