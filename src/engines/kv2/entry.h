/* Kv2/entry: reads a secret's entries and writes what changed as one batch. */
#ifndef ENGINES_KV2_ENTRY_H
#define ENGINES_KV2_ENTRY_H

#include "engines/kv2/state.h"

/* One request's work on one secret; in the request's arena. */
struct kv2_entry {
    struct request *req;
    struct kv2 *k;
    struct kv2_names *names;
    struct str path, key;      /* the secret's name, and where its metadata lies */
    struct kv2_meta meta;      /* of a new secret: only its name is set */
    struct keyhold hold;       /* taken by kv2_entry_change */
    struct storage_op *ops;    /* to be committed */
    size_t n_ops, cap_ops;
};

/* Of the request's field "path".  1, 0 no such secret, -1: req->err. */
int kv2_entry_open(struct request *req, struct kv2_entry *e) MUST_USE;
/* The same, and no other request changes the secret until kv2_entry_end. */
int kv2_entry_change(struct request *req, struct kv2_entry *e) MUST_USE;
/* Starts as { 0 }, may end at any time: for AUTO. */
void kv2_entry_end(struct kv2_entry *e);

/* Add to the batch. Lack of memory is remembered by the arena. */
void kv2_entry_put(struct kv2_entry *e, struct str key, struct str value);
void kv2_entry_delete(struct kv2_entry *e, struct str key);
int kv2_entry_delete_version(struct kv2_entry *e, uint64_t number) MUST_USE;

/* Write the metadata as it is now and whatever was added: all or nothing. */
int kv2_entry_save(struct kv2_entry *e) MUST_USE;
/* Write what was added alone. */
int kv2_entry_commit(struct kv2_entry *e) MUST_USE;

/* "" for an instant that is not set. */
struct str kv2_entry_time(struct arena *a, int64_t ns);
/* created_time, deletion_time, destroyed. */
void kv2_entry_show_version(const struct kv2_version *v, struct json *out);

#endif
