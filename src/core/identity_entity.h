/* Identity_entity: entities, groups and the buckets that hold them, as they are stored. */
#ifndef CORE_IDENTITY_ENTITY_H
#define CORE_IDENTITY_ENTITY_H

#include "base/strs.h"
#include "codec/json.h"

struct identity_entity_alias {
    struct str id, canonical_id, mount_type, mount_accessor, mount_path, name, namespace_id;
    struct json *metadata; /* object of texts, or NULL */
    int64_t created_ns, updated_ns;
    struct strs merged_from;
};

/* Lives in an arena; texts are borrowed from the message it was read from. */
struct identity_entity {
    struct str id, name, bucket_key, namespace_id;
    struct json *metadata; /* object of texts, or NULL */
    int64_t created_ns, updated_ns;
    struct strs merged_ids, policies;
    struct identity_entity_alias *aliases;
    size_t n_aliases;
    bool disabled;
    struct strs others; /* fields of no meaning here (multi-factor secrets), as they were */
};

struct identity_group {
    struct str id, name;
    struct strs policies, parent_ids, member_ids;
    struct json *metadata;
};

/* -1: ERR_CORRUPT. */
int identity_entity_parse(struct arena *a, struct str message, struct identity_entity *out,
                          struct err *err) MUST_USE;
int identity_entity_print(const struct identity_entity *e, struct buf *out,
                          struct err *err) MUST_USE;
int identity_entity_group_parse(struct arena *a, struct str message, struct identity_group *out,
                                struct err *err) MUST_USE;

/* Key of the bucket of an item: "${prefix}<0..255>", in ${a}. */
int identity_entity_bucket(struct arena *a, const char *prefix, struct str id, struct str *out,
                           struct err *err) MUST_USE;
/* Call ${each} with every item's message in a stored bucket; anything but 0 ends the walk. */
int identity_entity_bucket_walk(struct str stored,
                                int (*each)(void *ctx, struct str message, struct err *err),
                                void *ctx, struct err *err) MUST_USE;
/*
 * A bucket's new stored form: ${stored} (empty: none yet) with the entity ${id} set to ${message}.
 */
int identity_entity_bucket_put(struct str stored, struct str key, struct str id,
                               struct str message, struct buf *out, struct err *err) MUST_USE;

#endif
