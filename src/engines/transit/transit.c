/* The transit engine's table of routes, and a mount's state. */
#include "engines/transit/transit.h"

#include <stdlib.h>

#include "engines/transit/cachesize.h"
#include "engines/transit/routes.h"
#include "engines/transit/store.h"
#include "logical/tools.h"

static void transit_close(void *state)
{
    struct transit *t = state;
    if (t == NULL)
        return;
    transit_cache_free(t->cache);
    keylock_free(t->locks);
    free(t);
}

static int transit_open(const struct engine_ctx *ctx, void **state, struct err *err)
{
    int64_t limit;

    TRY(transit_cachesize_load(ctx->storage, &limit, err));
    struct transit *t = calloc(1, sizeof *t);
    if (t != NULL) {
        t->cache = transit_cache_new(limit > 0 ? (size_t)limit : 0);
        t->locks = keylock_new();
    }
    if (t == NULL || t->cache == NULL || t->locks == NULL) {
        transit_close(t);
        return err_set(err, ERR_NOMEM, "out of memory for a transit mount");
    }
    *state = t;
    return 0;
}

/* The archive needs no row: it is read afresh whenever it is needed. */
static void transit_invalidate(void *state, struct str key)
{
    static const struct str policy = STR_INIT("policy/");
    struct transit *t = state;
    if (str_starts(key, policy))
        transit_cache_forget(t->cache, str_from(key, policy.n));
}

#define NAME           { "name", FIELD_STRING, NULL, "Name of the key." }
#define CONTEXT        { "context", FIELD_STRING, NULL, "Context of a derived key, in base64." }
#define NONCE                                                                                      \
    { "nonce", FIELD_STRING, NULL,                                                                 \
      "Nonce in base64, for convergent keys of version 1 only (made by Vault 0.6.1)." }
#define KEY_VERSION                                                                                \
    { "key_version", FIELD_INT, NULL, "Version to use; 0, the default, is the latest." }
#define URL_ALGORITHM  { "urlalgorithm", FIELD_STRING, NULL, "Hash algorithm, in the path." }
#define INPUT          { "input", FIELD_STRING, NULL, "The data, in base64." }
#define ALGORITHM                                                                                  \
    { "algorithm", FIELD_STRING, "sha2-256", "Hash algorithm, in the body. Default: sha2-256." }
#define CIPHERTEXT     { "ciphertext", FIELD_STRING, NULL, "What encrypt answered." }

static const struct field keys_fields[] = {
    NAME,
    { "type", FIELD_STRING, "aes256-gcm96",
      "aes128-gcm96, aes256-gcm96 (the default), chacha20-poly1305, ed25519, ecdsa-p256, "
      "ecdsa-p384, ecdsa-p521, rsa-2048, rsa-3072 or rsa-4096." },
    { "derived", FIELD_BOOL, NULL, "Derive a key from each request's context." },
    { "convergent_encryption", FIELD_BOOL, NULL,
      "The same plaintext and context always give the same ciphertext; needs derived." },
    { "exportable", FIELD_BOOL, NULL, "Let the key be exported. Cannot be taken back." },
    { "allow_plaintext_backup", FIELD_BOOL, NULL,
      "Let the key be backed up in plain text. Cannot be taken back." },
    CONTEXT,
};

static const struct field config_fields[] = {
    NAME,
    { "min_decryption_version", FIELD_INT, NULL,
      "Oldest version that decrypts and verifies; older ones are archived." },
    { "min_encryption_version", FIELD_INT, NULL,
      "Oldest version that encrypts and signs on request; 0: the latest alone." },
    { "deletion_allowed", FIELD_BOOL, NULL, "Let the key be deleted." },
    { "exportable", FIELD_BOOL, NULL, "Let the key be exported. Cannot be taken back." },
    { "allow_plaintext_backup", FIELD_BOOL, NULL,
      "Let the key be backed up in plain text. Cannot be taken back." },
};

static const struct field name_fields[] = { NAME };

static const struct field trim_fields[] = {
    NAME,
    { "min_available_version", FIELD_INT, NULL,
      "Versions before this are deleted for good; at most the lesser of the two minimums." },
};

static const struct field encrypt_fields[] = {
    NAME,
    { "plaintext", FIELD_STRING, NULL, "What to encrypt, in base64." },
    CONTEXT,
    NONCE,
    KEY_VERSION,
    { "type", FIELD_STRING, "aes256-gcm96", "Type of the key, should it have to be made." },
    { "convergent_encryption", FIELD_BOOL, NULL,
      "Whether the key shall be convergent, should it have to be made." },
};

static const struct field decrypt_fields[] = { NAME, CIPHERTEXT, CONTEXT, NONCE };
static const struct field rewrap_fields[] = { NAME, CIPHERTEXT, CONTEXT, NONCE, KEY_VERSION };

static const struct field datakey_fields[] = {
    NAME,
    { "plaintext", FIELD_STRING, NULL,
      "\"plaintext\" answers the key plain and encrypted, \"wrapped\" encrypted only." },
    { "bits", FIELD_INT, "256", "Length of the key: 128, 256 (the default) or 512." },
    CONTEXT,
    NONCE,
    KEY_VERSION,
};

#define SIGNING                                                                                    \
    INPUT, CONTEXT, URL_ALGORITHM,                                                                 \
        { "hash_algorithm", FIELD_STRING, "sha2-256",                                              \
          "sha1, sha2-224, sha2-256 (the default), sha2-384 or sha2-512; not for ed25519." },      \
        { "algorithm", FIELD_STRING, "sha2-256", "Old name of hash_algorithm." },                  \
        { "prehashed", FIELD_BOOL, NULL, "The input is a hash already." },                         \
        { "signature_algorithm", FIELD_STRING, NULL, "pss (the default) or pkcs1v15, for RSA." },  \
        { "marshaling_algorithm", FIELD_STRING, "asn1",                                            \
          "asn1 (the default), or jws, which is URL-safe too; for ECDSA." }

static const struct field sign_fields[] = { NAME, SIGNING, KEY_VERSION };

static const struct field verify_fields[] = {
    NAME,
    SIGNING,
    { "signature", FIELD_STRING, NULL, "What sign answered." },
    { "hmac", FIELD_STRING, NULL, "What hmac answered." },
};

static const struct field hmac_fields[] = { NAME, INPUT, ALGORITHM, URL_ALGORITHM, KEY_VERSION };

static const struct field export_fields[] = {
    { "type", FIELD_STRING, NULL, "encryption-key, signing-key or hmac-key." },
    NAME,
    { "version", FIELD_STRING, NULL, "A version's number or \"latest\"; all when left out." },
};

static const struct field restore_fields[] = {
    { "backup", FIELD_STRING, NULL, "What backup answered." },
    { "name", FIELD_STRING, NULL, "Name of the restored key, if another." },
    { "force", FIELD_BOOL, NULL, "Replace a key of that name." },
};

static const struct field cachesize_fields[] = {
    { "size", FIELD_INT, "0", "How many keys to keep in memory; 0: no limit." },
};

/* What a route does to a key's stored form decides where it may run: see ROUTE_NO_COMMIT. */
static const struct route routes[] = {
    { "keys/{name}/config", FIELDS(config_fields), .write = transit_config_write,
      .summary = "Configure a key.",
      .details = "Sets which versions may be used, and what may be done with the key." },
    { "keys/{name}/rotate", FIELDS(name_fields), .write = transit_config_rotate,
      .summary = "Rotate a key.",
      .details = "Makes a new version, which encrypts from then on; older ones still decrypt." },
    { "keys/{name}/trim", FIELDS(trim_fields), .write = transit_config_trim,
      .summary = "Delete old versions of a key.",
      .details = "What was encrypted with them cannot be decrypted any more." },
    { "rewrap/{name}", FIELDS(rewrap_fields), .flags = ROUTE_NO_COMMIT, .write = transit_rewrap,
      .summary = "Encrypt a ciphertext anew.",
      .details = "Decrypts and encrypts with the latest version, without showing the plaintext." },
    { "keys/{name}", FIELDS(keys_fields), .read = transit_keys_read, .write = transit_keys_write,
      .del = transit_keys_delete, .summary = "Create, read and delete a key.",
      .details = "A key that is there already is left as it is by a write." },
    { "keys/?", .list = transit_keys_list, .summary = "List the keys." },
    { "export/{type}/{name}(/{version})", FIELDS(export_fields), .flags = ROUTE_SLOW,
      .read = transit_export, .summary = "Export a key.",
      .details = "Only of keys that were made exportable." },
    { "encrypt/{name}", FIELDS(encrypt_fields), .flags = ROUTE_NO_COMMIT, .write = transit_encrypt,
      .exists = transit_encrypt_exists, .summary = "Encrypt, one or a batch.",
      .details = "A key that is not there is made, if the caller may create it." },
    { "decrypt/{name}", FIELDS(decrypt_fields), .flags = ROUTE_NO_COMMIT, .write = transit_decrypt,
      .summary = "Decrypt, one or a batch." },
    { "datakey/{plaintext}/{name}", FIELDS(datakey_fields), .flags = ROUTE_NO_COMMIT,
      .write = transit_datakey, .summary = "Make a data key.",
      .details = "A random key, encrypted with the named key, and on request plain too." },
    { "random(/{urlbytes})", FIELDS(tools_random_fields), .flags = ROUTE_NO_COMMIT,
      .write = tools_random, .summary = "Random bytes." },
    { "hash(/{urlalgorithm})", FIELDS(tools_hash_fields), .flags = ROUTE_NO_COMMIT,
      .write = tools_hash, .summary = "Hash data." },
    { "hmac/{name}(/{urlalgorithm})", FIELDS(hmac_fields), .flags = ROUTE_NO_COMMIT,
      .write = transit_hmac, .summary = "Make an HMAC of data, one or a batch." },
    { "sign/{name}(/{urlalgorithm})", FIELDS(sign_fields), .flags = ROUTE_NO_COMMIT,
      .write = transit_sign, .summary = "Sign data, one or a batch." },
    { "verify/{name}(/{urlalgorithm})", FIELDS(verify_fields), .flags = ROUTE_NO_COMMIT,
      .write = transit_verify, .summary = "Verify a signature or an HMAC, one or a batch." },
    { "backup/{name}", FIELDS(name_fields), .flags = ROUTE_SLOW, .read = transit_backup,
      .summary = "Back up a key.",
      .details = "In plain text, all versions. Only of keys that allow it." },
    { "restore(/{name})", FIELDS(restore_fields), .write = transit_restore,
      .summary = "Restore a key from a backup." },
    { "cache-config", FIELDS(cachesize_fields), .read = transit_cachesize_read,
      .write = transit_cachesize_write, .summary = "How many keys are kept in memory.",
      .details = "A change counts when the mount is opened the next time." },
};

const struct engine engine_transit = {
    .type = "transit",
    .help = "The transit engine encrypts, signs and hashes data with named keys that it keeps to "
            "itself, and stores none of the data.",
    ROUTES(routes),
    .open = transit_open,
    .close = transit_close,
    .invalidate = transit_invalidate,
};
