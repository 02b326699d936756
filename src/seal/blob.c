/* EncryptedBlobInfo, field by field; and AES-256-GCM as the seals that hold a key use it. */
#include "seal/blob.h"

#include "base/random.h"
#include "codec/protobuf.h"
#include "crypto/aead.h"

enum { BLOB_CIPHERTEXT = 1, BLOB_KEY_INFO = 5, KEY_INFO_ID = 3 };

static void drop_aead(struct aead **a)
{
    aead_free(*a);
}

void seal_blob_print(struct buf *out, const struct seal_blob *b)
{
    AUTO(buf_free) struct buf key_info = { 0 };

    protobuf_put_bytes(&key_info, KEY_INFO_ID, b->key_id);
    protobuf_add_bytes(out, BLOB_CIPHERTEXT, b->ciphertext);
    protobuf_add_bytes(out, BLOB_KEY_INFO, buf_str(&key_info));
    if (key_info.failed)
        out->failed = true;
}

static int parse_key_info(struct str info, struct seal_blob *out, struct err *err)
{
    struct protobuf_field f;
    int found;

    while ((found = protobuf_next(&info, &f, err)) > 0)
        if (protobuf_is(&f, KEY_INFO_ID, PROTOBUF_BYTES))
            out->key_id = f.bytes;
    return found;
}

int seal_blob_parse(struct str entry, struct seal_blob *out, struct err *err)
{
    struct protobuf_field f;
    int found;

    *out = (struct seal_blob){ 0 };
    while ((found = protobuf_next(&entry, &f, err)) > 0) {
        if (protobuf_is(&f, BLOB_CIPHERTEXT, PROTOBUF_BYTES))
            out->ciphertext = f.bytes;
        else if (protobuf_is(&f, BLOB_KEY_INFO, PROTOBUF_BYTES)
                 && parse_key_info(f.bytes, out, err) < 0)
            found = -1;
        if (found < 0)
            break;
    }
    if (found < 0)
        return err_prefix(err, "failed to proto decode stored keys");
    if (out->ciphertext.n == 0)
        return err_set(err, ERR_CORRUPT, "the seal's entry holds no ciphertext");
    return 0;
}

int seal_blob_lock(struct str key, struct str text, struct buf *out, struct err *err)
{
    AUTO(drop_aead) struct aead *aead = NULL;
    uint8_t nonce[AEAD_NONCE];

    TRY(aead_new(AEAD_AES256_GCM, key, &aead, err));
    random_fill(nonce, sizeof nonce);
    buf_add(out, str_mem(nonce, sizeof nonce));
    TRY(aead_seal(aead, nonce, (struct str){ 0 }, text, out, err));
    return buf_check(out, err);
}

int seal_blob_unlock(struct str key, struct str ciphertext, struct buf *out, struct err *err)
{
    AUTO(drop_aead) struct aead *aead = NULL;
    struct err why = { 0 };

    if (ciphertext.n < AEAD_NONCE + AEAD_TAG)
        return err_set(err, ERR_CORRUPT, "the seal's entry holds no ciphertext");
    TRY(aead_new(AEAD_AES256_GCM, key, &aead, err));
    if (aead_open(aead, (const uint8_t *)ciphertext.p, (struct str){ 0 },
                  str_from(ciphertext, AEAD_NONCE), out, &why) < 0)
        /* Vault 1.8's text says "encrypt". */
        return err_set(err, why.code == ERR_CORRUPT ? ERR_DENIED : why.code,
                       "failed to encrypt keys for storage: %s", why.msg);
    return 0;
}
