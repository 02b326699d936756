/* Type: the kinds of named key, what each can do, and their names. */
#ifndef ENGINES_TRANSIT_TYPE_H
#define ENGINES_TRANSIT_TYPE_H

#include "base/str.h"
#include "crypto/aead.h"
#include "crypto/pkey.h"

/* The numbers are the stored ones. */
enum transit_type {
    TRANSIT_AES256 = 0,
    TRANSIT_P256 = 1,
    TRANSIT_ED25519 = 2,
    TRANSIT_RSA2048 = 3,
    TRANSIT_RSA4096 = 4,
    TRANSIT_CHACHA20 = 5,
    TRANSIT_P384 = 6,
    TRANSIT_P521 = 7,
    TRANSIT_AES128 = 8,
    TRANSIT_RSA3072 = 9,
};

struct transit_type_info {
    const char *name;       /* as clients say it */
    const char *curve;      /* how a key read names each version; NULL for symmetric keys */
    bool symmetric, encrypts, signs, derives;
    bool hashes_input;      /* signs a hash rather than the message */
    bool slow;              /* signing or decrypting takes too long for an event loop */
    size_t key_len;         /* bytes of a symmetric key */
    enum aead_kind aead;    /* of symmetric keys */
    enum pkey_kind pkey;    /* of the others */
    int rsa_bits;
};

/* NULL for a number that is no type. */
const struct transit_type_info *transit_type_info(int64_t type);
/* 1, or 0 when there is no such name. */
int transit_type_parse(struct str name, enum transit_type *out);

#endif
