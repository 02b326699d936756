/* Kv2/meta: the stored forms of a secret's metadata, of a version's data and of the settings. */
#ifndef ENGINES_KV2_META_H
#define ENGINES_KV2_META_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/timefmt.h"

/* An instant that is not set. */
#define KV2_NEVER TIME_ZERO

/* What is known of one version; nanoseconds. */
struct kv2_version {
    uint64_t number;
    int64_t created_ns, deletion_ns; /* deletion may lie ahead */
    bool destroyed;
};

/* Of one secret. Lives in an arena. */
struct kv2_meta {
    struct str key;                /* the secret's name */
    struct kv2_version *versions;  /* by number */
    size_t n;
    uint64_t current, oldest;
    int64_t created_ns, updated_ns;
    uint32_t max_versions;         /* 0: as the mount says */
    bool cas_required;
    int64_t delete_after_ns;       /* 0: as the mount says */
    struct str unknown;            /* fields of later versions, kept as they are */
};

/* Settings of the mount. */
struct kv2_config {
    uint32_t max_versions;   /* 0: the default of 10 */
    bool cas_required;
    int64_t delete_after_ns; /* 0: not set; negative: switched off for all keys */
};

/* The data of one version. */
struct kv2_record {
    struct str data; /* JSON */
    int64_t created_ns, deletion_ns;
};

/* Texts are borrowed from ${bytes}. -1: ERR_CORRUPT. */
int kv2_meta_decode(struct arena *a, struct str bytes, struct kv2_meta *out,
                    struct err *err) MUST_USE;
void kv2_meta_encode(const struct kv2_meta *m, struct buf *out);

int kv2_record_decode(struct str bytes, struct kv2_record *out, struct err *err) MUST_USE;
void kv2_record_encode(const struct kv2_record *r, struct buf *out);

int kv2_config_decode(struct str bytes, struct kv2_config *out, struct err *err) MUST_USE;
void kv2_config_encode(const struct kv2_config *c, struct buf *out);

/* NULL when there is no such version. */
struct kv2_version *kv2_meta_find(const struct kv2_meta *m, uint64_t number);

/* Neither destroyed nor deleted by now. */
bool kv2_version_readable(const struct kv2_version *v, int64_t now_ns);

/*
 * Add the next version.  ${cut} gets the numbers of those that are no longer kept, in ${a}; they
 * are out of ${m} then.  -1: ERR_NOMEM.
 */
int kv2_meta_add_version(struct arena *a, struct kv2_meta *m, int64_t created_ns,
                         int64_t deletion_ns, uint32_t config_max, struct kv2_version **cut,
                         size_t *n_cut, struct err *err) MUST_USE;

/*
 * When a version made (or brought back) at ${from_ns} deletes itself: the shorter of the mount's
 * and the secret's time; KV2_NEVER when neither is set or the mount switched it off.
 */
int64_t kv2_meta_deletion(const struct kv2_config *c, const struct kv2_meta *m, int64_t from_ns);

#endif
