/*
 * Kv2/names: where the entries of a secret lie.  The segments of its name are encrypted one by
 * one, so that folders stay folders (storage-layout.md, section 7); the keys of its versions are
 * salted hashes.
 */
#ifndef ENGINES_KV2_NAMES_H
#define ENGINES_KV2_NAMES_H

#include "base/strs.h"
#include "storage/storage.h"

struct kv2_names; /* any thread */

/*
 * ${policy} is the stored key policy, ${salt} the stored salt, ${prefix} "<backend uuid>/".  All
 * are copied.  -1: ERR_CORRUPT.
 */
int kv2_names_new(struct str policy, struct str salt, struct str prefix, struct kv2_names **out,
                  struct err *err) MUST_USE;
/* No reader may be left. NULL is fine. */
void kv2_names_free(struct kv2_names *n);

/* Made of these very texts? */
bool kv2_names_same(const struct kv2_names *n, struct str policy, struct str salt);

/*
 * The key of the metadata of ${path} in ${a}; "" (or "/") gives the folder of all of them.
 * -1: ERR_BAD_REQUEST for a path with a segment "..".
 */
int kv2_names_metadata(struct kv2_names *n, struct arena *a, struct str path, struct str *key,
                       struct err *err) MUST_USE;

/* The key of a version's data in ${a}. */
int kv2_names_version(struct kv2_names *n, struct arena *a, struct str path, uint64_t version,
                      struct str *key, struct err *err) MUST_USE;

/*
 * The clear names below ${folder}, folders with their slash, sorted.  When more than
 * ${decrypt_most} of them would have to be decrypted: ERR_MUST_WAIT.  -1 also: ERR_CORRUPT.
 */
int kv2_names_list(struct kv2_names *n, struct storage *storage, struct arena *a,
                   struct str folder, size_t decrypt_most, struct strs *out,
                   struct err *err) MUST_USE;

#endif
