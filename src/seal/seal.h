/*
 * Seal: how the root key comes and goes.  It stores the root key encrypted
 * (core/hsm/barrier-unseal-keys) and knows how many people or which server must agree.
 */
#ifndef SEAL_SEAL_H
#define SEAL_SEAL_H

#include "base/buf.h"
#include "base/secret.h"
#include "base/strs.h"
#include "storage/driver.h"

/* core/seal-config or core/recovery-config, as storage-layout.md section 3 has it. */
struct seal_config {
    struct str type;          /* "shamir", "transit" */
    int64_t shares, threshold, stored_shares;
    struct strs pgp_keys;     /* base64 */
    struct str nonce;
    bool backup;
    bool verification_required; /* rekey only; not stored */
};

/* Text as JSON and back, in ${a}. -1: ERR_CORRUPT. */
int seal_config_parse(struct arena *a, struct str text, struct seal_config *out,
                      struct err *err) MUST_USE;
struct str seal_config_print(struct arena *a, const struct seal_config *c);
/* Load from ${physical} key ${key}: 1, 0, -1. */
int seal_config_load(struct storage *physical, struct arena *a, struct str key,
                     struct seal_config *out, struct err *err) MUST_USE;

/*
 * Vault's rules with Vault's texts ("threshold cannot be larger than shares", ...).
 * -1: ERR_BAD_REQUEST.
 */
int seal_config_check(const struct seal_config *c, struct err *err) MUST_USE;

/* ---- the object ---- */

/* One line about it for the operator: "Transit Address", "https://...". */
typedef void seal_row_fn(void *ctx, const char *name, struct str value);

/*
 * What encrypts the root key: shares of people (seal/shamir.h), another server (seal/transit.h), a
 * key that lies beside the configuration (seal/static_key.h).  Any thread; every call may wait for
 * another server.
 */
struct seal {
    const struct seal_ops *ops;
};

struct seal_ops {
    const char *type; /* as in the configuration and in core/seal-config */
    int (*encrypt)(struct seal *s, struct str text, struct buf *out, struct err *err);
    int (*decrypt)(struct seal *s, struct str entry, struct buf *out, struct err *err);
    int (*key_id)(struct seal *s, struct buf *out, struct err *err);
    int (*start)(struct seal *s, struct err *err);           /* may be NULL */
    void (*describe)(struct seal *s, seal_row_fn *row, void *ctx); /* may be NULL */
    void (*close)(struct seal *s);
};

/* A stanza of the configuration, without "disabled" and "purpose"; all borrowed for the call. */
struct seal_stanza {
    const struct storage_option *options;
    size_t n;
    const char *(*env)(void *ctx, const char *name); /* NULL: not set */
    void *env_ctx;
};

/* A kind that needs nobody's shares; a row of server/registry.c. */
struct seal_kind {
    const char *type;
    const char *const *options; /* that it knows; NULL at the end */
    /* Nobody is called yet. -1: ERR_BAD_REQUEST names what is wrong in the stanza. */
    int (*open)(const struct seal_stanza *stanza, struct seal **out, struct err *err);
};

/*
 * Encrypt ${text} into an EncryptedBlobInfo, appended: what core/hsm/barrier-unseal-keys,
 * core/recovery-key and a snapshot's checksums are.  -1: ERR_UPSTREAM names the server.
 */
static inline int seal_encrypt(struct seal *s, struct str text, struct buf *out, struct err *err)
{
    return s->ops->encrypt(s, text, out, err);
}

/*
 * The reverse, appended. -1: ERR_DENIED when it is of another key, ERR_CORRUPT when the entry is
 * none, ERR_UPSTREAM.
 */
static inline int seal_decrypt(struct seal *s, struct str entry, struct buf *out, struct err *err)
{
    return s->ops->decrypt(s, entry, out, err);
}

/* Append the name of the key that encrypts now; asks for it where another server knows. */
static inline int seal_key_id(struct seal *s, struct buf *out, struct err *err)
{
    return s->ops->key_id(s, out, err);
}

/* Begin what runs beside it: a token is kept alive. */
static inline int seal_start(struct seal *s, struct err *err)
{
    return s->ops->start == NULL ? 0 : s->ops->start(s, err);
}

static inline void seal_describe(struct seal *s, seal_row_fn *row, void *ctx)
{
    if (s->ops->describe != NULL)
        s->ops->describe(s, row, ctx);
}

/* Wipes its keys. NULL is fine. */
static inline void seal_close(struct seal *s)
{
    if (s != NULL)
        s->ops->close(s);
}

/* For AUTO(seal_drop) struct seal *s = NULL. */
void seal_drop(struct seal **s);

/* The root key as its entry core/hsm/barrier-unseal-keys, appended. -1: as seal_encrypt. */
int seal_wrap_root_key(struct seal *s, struct str root_key, struct buf *out,
                       struct err *err) MUST_USE;
/* The reverse. -1: as seal_decrypt. */
int seal_unwrap_root_key(struct seal *s, struct str entry, struct secret *root_key,
                         struct err *err) MUST_USE;

#endif
