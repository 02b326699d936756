/* The five names. */
#include "engines/transit/hashes.h"

bool transit_hashes_find(struct str name, enum digest *out)
{
    static const struct { const char *name; enum digest digest; } known[] = {
        { "sha1", DIGEST_SHA1 },         { "sha2-224", DIGEST_SHA224 },
        { "sha2-256", DIGEST_SHA256 },   { "sha2-384", DIGEST_SHA384 },
        { "sha2-512", DIGEST_SHA512 },
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_is(name, known[i].name)) {
            *out = known[i].digest;
            return true;
        }
    }
    return false;
}
