/* The table of key types. */
#include "engines/transit/type.h"

static const struct transit_type_info types[] = {
    [TRANSIT_AES256] = { .name = "aes256-gcm96", .symmetric = true, .encrypts = true,
                         .derives = true, .key_len = 32, .aead = AEAD_AES256_GCM },
    [TRANSIT_P256] = { .name = "ecdsa-p256", .curve = "P-256", .signs = true, .hashes_input = true,
                       .pkey = PKEY_P256 },
    [TRANSIT_ED25519] = { .name = "ed25519", .curve = "ed25519", .signs = true, .derives = true,
                          .pkey = PKEY_ED25519 },
    [TRANSIT_RSA2048] = { .name = "rsa-2048", .curve = "rsa-2048", .encrypts = true, .signs = true,
                          .hashes_input = true, .slow = true, .pkey = PKEY_RSA, .rsa_bits = 2048 },
    [TRANSIT_RSA4096] = { .name = "rsa-4096", .curve = "rsa-4096", .encrypts = true, .signs = true,
                          .hashes_input = true, .slow = true, .pkey = PKEY_RSA, .rsa_bits = 4096 },
    [TRANSIT_CHACHA20] = { .name = "chacha20-poly1305", .symmetric = true, .encrypts = true,
                           .derives = true, .key_len = 32, .aead = AEAD_CHACHA20_POLY1305 },
    [TRANSIT_P384] = { .name = "ecdsa-p384", .curve = "P-384", .signs = true, .hashes_input = true,
                       .slow = true, .pkey = PKEY_P384 },
    [TRANSIT_P521] = { .name = "ecdsa-p521", .curve = "P-521", .signs = true, .hashes_input = true,
                       .slow = true, .pkey = PKEY_P521 },
    [TRANSIT_AES128] = { .name = "aes128-gcm96", .symmetric = true, .encrypts = true,
                         .derives = true, .key_len = 16, .aead = AEAD_AES128_GCM },
    [TRANSIT_RSA3072] = { .name = "rsa-3072", .curve = "rsa-3072", .encrypts = true, .signs = true,
                          .hashes_input = true, .slow = true, .pkey = PKEY_RSA, .rsa_bits = 3072 },
};

const struct transit_type_info *transit_type_info(int64_t type)
{
    return type >= 0 && (size_t)type < ARRAY_LEN(types) ? &types[type] : NULL;
}

int transit_type_parse(struct str name, enum transit_type *out)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_is(name, types[i].name)) {
            *out = (enum transit_type)i;
            return 1;
        }
    }
    return 0;
}
