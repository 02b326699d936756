/*
 * Keyring: the barrier's encryption keys by term, the root key that guards them, and their stored
 * form.  The newest term encrypts, all decrypt.
 */
#ifndef BARRIER_KEYRING_H
#define BARRIER_KEYRING_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

/*
 * Immutable after it was made, so any thread; every change makes a new one.  Keys lie in locked
 * memory; their ciphers are ready for use.
 */
struct keyring;

/* The key that encrypts. */
struct keyring_key {
    uint32_t term;
    int64_t installed_ns; /* TIME_ZERO: unknown */
    uint64_t encryptions; /* as stored last */
};

/* When the newest key is replaced by itself. */
struct keyring_rotation {
    bool enabled;
    int64_t max_operations;
    int64_t interval_ns; /* 0: by time never */
};

enum { KEYRING_KEY_LEN = 32 };

/* Vault's bounds of max_operations and of an interval that is not 0. */
#define KEYRING_OPERATIONS_MIN INT64_C(1000000)
#define KEYRING_OPERATIONS_MAX INT64_C(3865470566)
#define KEYRING_INTERVAL_MIN_NS (INT64_C(24) * 3600 * 1000000000)

/* Owned ring of one random key, term 1. -1: ERR_DENIED when the root key's length is wrong. */
int keyring_new(struct str root_key, int64_t now_ns, struct keyring **out,
                struct err *err) MUST_USE;
/* Wipe and release; NULL is fine. */
void keyring_free(struct keyring *k);

/*
 * The stored form of ${k} (value of core/keyring): JSON sealed by its root key, appended; and the
 * reverse, an owned ring.  -1: ERR_DENIED when the root key is wrong, ERR_CORRUPT when what it
 * opened is no keyring.
 */
int keyring_close_up(const struct keyring *k, struct buf *out, struct err *err) MUST_USE;
int keyring_open_up(struct str root_key, struct str stored, struct keyring **out,
                    struct err *err) MUST_USE;

/* Owned copies of ${k}: as it is, and with one thing changed. */
int keyring_copy(const struct keyring *k, struct keyring **out, struct err *err) MUST_USE;
int keyring_with_new_key(const struct keyring *k, int64_t now_ns, struct keyring **out,
                         struct err *err) MUST_USE;
/* ${key_json} is what keyring_print_key wrote.  -1: ERR_CORRUPT, also for a term held already. */
int keyring_with_key(const struct keyring *k, struct str key_json, struct keyring **out,
                     struct err *err) MUST_USE;
int keyring_with_root_key(const struct keyring *k, struct str root_key, struct keyring **out,
                          struct err *err) MUST_USE;
/* Values out of Vault's bounds are moved to the nearest one. */
int keyring_with_rotation(const struct keyring *k, const struct keyring_rotation *r,
                          struct keyring **out, struct err *err) MUST_USE;
int keyring_with_encryptions(const struct keyring *k, uint64_t encryptions, struct keyring **out,
                             struct err *err) MUST_USE;

struct keyring_key keyring_active(const struct keyring *k);
struct keyring_rotation keyring_rotation(const struct keyring *k);
/* Borrowed from the ring. */
struct str keyring_root_key(const struct keyring *k);

/* Append ${text} sealed by the newest key. */
int keyring_seal(const struct keyring *k, struct str path, struct str text, struct buf *out,
                 struct err *err) MUST_USE;
/* Append the text, by whichever key it needs. -1: ERR_CORRUPT, and nothing is appended. */
int keyring_open(const struct keyring *k, struct str path, struct str sealed, struct buf *out,
                 struct err *err) MUST_USE;
/* As keyring_seal under the key before the newest (core/upgrade). -1: ERR_INTERNAL: no such. */
int keyring_seal_before(const struct keyring *k, struct str path, struct str text, struct buf *out,
                        struct err *err) MUST_USE;

/* JSON of the newest key (core/upgrade), of the root key (core/master); appended. */
void keyring_print_key(const struct keyring *k, struct buf *out);
void keyring_print_root_key(const struct keyring *k, struct buf *out);
/* The key in such a text. -1: ERR_CORRUPT. */
int keyring_parse_root_key(struct str json, struct secret *out, struct err *err) MUST_USE;

#endif
