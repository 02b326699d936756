/*
 * Longkey: how a key of any length becomes one of at most 511 bytes (LMDB's limit) and keeps its
 * place.  Up to 479 bytes a key stands for itself.  A longer one is stored as its first 479 bytes
 * and the SHA-256 of the whole (511 bytes, a length that no short key has), and the value begins
 * with the whole key.  So all keys that share their first 479 bytes stand together, after the short
 * ones that sort before them, and only among themselves must they be sorted by whoever lists them.
 */
#ifndef STORAGE_LONGKEY_H
#define STORAGE_LONGKEY_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

enum {
    LONGKEY_SHORT = 479,  /* the longest key that stands for itself */
    LONGKEY_STORED = 511, /* length of the stored form of any longer key */
    LONGKEY_MAX = 1 << 20,
};

static inline bool longkey_is_long(struct str key)
{
    return key.n > LONGKEY_SHORT;
}

/* Is this the stored form of a long key? */
static inline bool longkey_is_stored_long(struct str stored)
{
    return stored.n == LONGKEY_STORED;
}

/* The stored form; ${room} is written to and borrowed for long keys only. -1: ERR_INTERNAL. */
int longkey_stored(struct str key, char room[LONGKEY_STORED], struct str *out,
                   struct err *err) MUST_USE;

/* Bytes that go before the value of a long key: the key's length, four bytes, and the key. */
static inline size_t longkey_head(struct str key)
{
    return longkey_is_long(key) ? 4 + key.n : 0;
}
void longkey_write_head(struct str key, char *out);

/* Divide a long key's stored value. -1: ERR_CORRUPT. */
int longkey_split(struct str stored_value, struct str *key, struct str *value,
                  struct err *err) MUST_USE;

/* Are all keys of this stored form before ${from}, for certain? */
bool longkey_before(struct str stored, struct str from);

/*
 * The stored form from which to look for keys not below ${from}: nothing before it can be one.
 * ${room} as above.
 */
struct str longkey_from(struct str from, char room[LONGKEY_STORED]);

#endif
