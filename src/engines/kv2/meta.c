/* Kv2/meta: the stored forms of a secret's metadata, of a version's data and of the settings. */
#include "engines/kv2/meta.h"

#include <stdlib.h>

#include "codec/protobuf.h"

/* KeyMetadata, VersionMetadata, Configuration and Version: storage-layout.md, section 7. */
enum {
    META_KEY = 1, META_VERSIONS, META_CURRENT, META_OLDEST, META_CREATED, META_UPDATED,
    META_MAX_VERSIONS, META_CAS_REQUIRED, META_DELETE_AFTER,
};
enum { ENTRY_NUMBER = 1, ENTRY_VERSION };
enum { VERSION_CREATED = 1, VERSION_DELETION, VERSION_DESTROYED };
enum { CONFIG_MAX_VERSIONS = 1, CONFIG_CAS_REQUIRED, CONFIG_DELETE_AFTER };
enum { RECORD_DATA = 1, RECORD_CREATED, RECORD_DELETION };

enum { DEFAULT_MAX_VERSIONS = 10 };

/* ---- versions within the metadata ---- */

static int version_decode(struct str bytes, struct kv2_version *v, struct err *err)
{
    struct protobuf_field f;
    int found;

    while ((found = protobuf_next(&bytes, &f, err)) > 0) {
        if (protobuf_is(&f, VERSION_CREATED, PROTOBUF_BYTES))
            TRY(protobuf_timestamp(f.bytes, &v->created_ns, err));
        else if (protobuf_is(&f, VERSION_DELETION, PROTOBUF_BYTES))
            TRY(protobuf_timestamp(f.bytes, &v->deletion_ns, err));
        else if (protobuf_is(&f, VERSION_DESTROYED, PROTOBUF_VARINT))
            v->destroyed = f.value != 0;
    }
    return found;
}

static int entry_decode(struct str bytes, struct kv2_version *v, struct err *err)
{
    struct protobuf_field f;
    int found;

    *v = (struct kv2_version){ .created_ns = KV2_NEVER, .deletion_ns = KV2_NEVER };
    while ((found = protobuf_next(&bytes, &f, err)) > 0) {
        if (protobuf_is(&f, ENTRY_NUMBER, PROTOBUF_VARINT))
            v->number = f.value;
        else if (protobuf_is(&f, ENTRY_VERSION, PROTOBUF_BYTES))
            TRY(version_decode(f.bytes, v, err));
    }
    return found;
}

static void put_time(struct buf *out, uint32_t number, int64_t ns)
{
    if (ns != KV2_NEVER)
        protobuf_add_timestamp(out, number, ns);
}

static void entry_encode(const struct kv2_version *v, struct buf *out)
{
    size_t entry = protobuf_open(out, META_VERSIONS);

    protobuf_put_uint(out, ENTRY_NUMBER, v->number);
    size_t version = protobuf_open(out, ENTRY_VERSION);
    put_time(out, VERSION_CREATED, v->created_ns);
    put_time(out, VERSION_DELETION, v->deletion_ns);
    protobuf_put_bool(out, VERSION_DESTROYED, v->destroyed);
    protobuf_close(out, version);
    protobuf_close(out, entry);
}

/* ---- metadata ---- */

static int by_number(const void *a, const void *b)
{
    const struct kv2_version *one = a, *two = b;

    return one->number < two->number ? -1 : one->number > two->number;
}

static int count_versions(struct str bytes, size_t *n, struct err *err)
{
    struct protobuf_field f;
    int found;

    *n = 0;
    while ((found = protobuf_next(&bytes, &f, err)) > 0)
        if (protobuf_is(&f, META_VERSIONS, PROTOBUF_BYTES))
            (*n)++;
    return found;
}

static int field_decode(const struct protobuf_field *f, struct kv2_meta *m, bool *known,
                        struct err *err)
{
    *known = true;
    if (protobuf_is(f, META_KEY, PROTOBUF_BYTES))
        m->key = f->bytes;
    else if (protobuf_is(f, META_VERSIONS, PROTOBUF_BYTES))
        return entry_decode(f->bytes, &m->versions[m->n++], err);
    else if (protobuf_is(f, META_CURRENT, PROTOBUF_VARINT))
        m->current = f->value;
    else if (protobuf_is(f, META_OLDEST, PROTOBUF_VARINT))
        m->oldest = f->value;
    else if (protobuf_is(f, META_CREATED, PROTOBUF_BYTES))
        return protobuf_timestamp(f->bytes, &m->created_ns, err);
    else if (protobuf_is(f, META_UPDATED, PROTOBUF_BYTES))
        return protobuf_timestamp(f->bytes, &m->updated_ns, err);
    else if (protobuf_is(f, META_MAX_VERSIONS, PROTOBUF_VARINT))
        m->max_versions = (uint32_t)f->value;
    else if (protobuf_is(f, META_CAS_REQUIRED, PROTOBUF_VARINT))
        m->cas_required = f->value != 0;
    else if (protobuf_is(f, META_DELETE_AFTER, PROTOBUF_BYTES))
        return protobuf_duration(f->bytes, &m->delete_after_ns, err);
    else
        *known = false;
    return 0;
}

/* Of a version that occurs twice the last one counts. */
static void drop_repeats(struct kv2_meta *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n; i++) {
        if (kept > 0 && m->versions[kept - 1].number == m->versions[i].number)
            kept--;
        m->versions[kept++] = m->versions[i];
    }
    m->n = kept;
}

/* Versions of which the counters know nothing would be cut off, or hidden, by the next write. */
static int check_counters(const struct kv2_meta *m, struct err *err)
{
    uint64_t newest = m->n > 0 ? m->versions[m->n - 1].number : 0;

    if (newest > m->current || m->oldest > m->current || m->current == UINT64_MAX)
        return err_set(err, ERR_CORRUPT, "metadata: versions %llu to %llu, but one is %llu",
                       (unsigned long long)m->oldest, (unsigned long long)m->current,
                       (unsigned long long)newest);
    return 0;
}

int kv2_meta_decode(struct arena *a, struct str bytes, struct kv2_meta *out, struct err *err)
{
    struct protobuf_field f;
    size_t n;
    int found;

    TRY(count_versions(bytes, &n, err));
    *out = (struct kv2_meta){ .created_ns = KV2_NEVER, .updated_ns = KV2_NEVER };
    out->versions = arena_array(a, n + 1, sizeof *out->versions);
    TRY(arena_check(a, err));
    for (;;) {
        bool known;
        struct str start = bytes;
        if ((found = protobuf_next(&bytes, &f, err)) <= 0)
            break;
        TRY(field_decode(&f, out, &known, err));
        if (!known)
            out->unknown = arena_cat(a, out->unknown, str_head(start, start.n - bytes.n));
    }
    TRY(found);
    qsort(out->versions, out->n, sizeof *out->versions, by_number);
    drop_repeats(out);
    TRY(check_counters(out, err));
    return arena_check(a, err);
}

void kv2_meta_encode(const struct kv2_meta *m, struct buf *out)
{
    protobuf_put_bytes(out, META_KEY, m->key);
    for (size_t i = 0; i < m->n; i++)
        entry_encode(&m->versions[i], out);
    protobuf_put_uint(out, META_CURRENT, m->current);
    protobuf_put_uint(out, META_OLDEST, m->oldest);
    put_time(out, META_CREATED, m->created_ns);
    put_time(out, META_UPDATED, m->updated_ns);
    protobuf_put_uint(out, META_MAX_VERSIONS, m->max_versions);
    protobuf_put_bool(out, META_CAS_REQUIRED, m->cas_required);
    if (m->delete_after_ns != 0)
        protobuf_add_duration(out, META_DELETE_AFTER, m->delete_after_ns);
    buf_add(out, m->unknown);
}

struct kv2_version *kv2_meta_find(const struct kv2_meta *m, uint64_t number)
{
    struct kv2_version wanted = { .number = number };

    if (m->n == 0)
        return NULL;
    return bsearch(&wanted, m->versions, m->n, sizeof *m->versions, by_number);
}

bool kv2_version_readable(const struct kv2_version *v, int64_t now_ns)
{
    return !v->destroyed && (v->deletion_ns == KV2_NEVER || v->deletion_ns > now_ns);
}

static uint32_t versions_kept(const struct kv2_meta *m, uint32_t config_max)
{
    uint32_t most = m->max_versions > config_max ? m->max_versions : config_max;

    return most > 0 ? most : DEFAULT_MAX_VERSIONS;
}

int kv2_meta_add_version(struct arena *a, struct kv2_meta *m, int64_t created_ns,
                         int64_t deletion_ns, uint32_t config_max, struct kv2_version **cut,
                         size_t *n_cut, struct err *err)
{
    struct kv2_version *all = arena_array(a, m->n + 1, sizeof *all);
    uint32_t most = versions_kept(m, config_max);
    size_t gone = 0;

    TRY(arena_check(a, err));
    if (m->n > 0)
        memcpy(all, m->versions, m->n * sizeof *all);
    m->current++;
    all[m->n] = (struct kv2_version){ m->current, created_ns, deletion_ns, false };
    m->updated_ns = created_ns;
    if (m->created_ns == KV2_NEVER)
        m->created_ns = created_ns;
    if (m->current - m->oldest >= most) {
        uint64_t last_gone = m->current - most;
        while (gone < m->n && all[gone].number <= last_gone)
            gone++;
        m->oldest = last_gone + 1;
    }
    *cut = all;
    *n_cut = gone;
    m->versions = all + gone;
    m->n = m->n + 1 - gone;
    return 0;
}

int64_t kv2_meta_deletion(const struct kv2_config *c, const struct kv2_meta *m, int64_t from_ns)
{
    int64_t after = m->delete_after_ns, at;

    if (c->delete_after_ns < 0 || (c->delete_after_ns == 0 && after == 0))
        return KV2_NEVER;
    if (after == 0 || (c->delete_after_ns != 0 && c->delete_after_ns < after))
        after = c->delete_after_ns;
    return __builtin_add_overflow(from_ns, after, &at) ? INT64_MAX : at;
}

/* ---- a version's data ---- */

int kv2_record_decode(struct str bytes, struct kv2_record *out, struct err *err)
{
    struct protobuf_field f;
    int found;

    *out = (struct kv2_record){ .created_ns = KV2_NEVER, .deletion_ns = KV2_NEVER };
    while ((found = protobuf_next(&bytes, &f, err)) > 0) {
        if (protobuf_is(&f, RECORD_DATA, PROTOBUF_BYTES))
            out->data = f.bytes;
        else if (protobuf_is(&f, RECORD_CREATED, PROTOBUF_BYTES))
            TRY(protobuf_timestamp(f.bytes, &out->created_ns, err));
        else if (protobuf_is(&f, RECORD_DELETION, PROTOBUF_BYTES))
            TRY(protobuf_timestamp(f.bytes, &out->deletion_ns, err));
    }
    return found;
}

void kv2_record_encode(const struct kv2_record *r, struct buf *out)
{
    protobuf_put_bytes(out, RECORD_DATA, r->data);
    put_time(out, RECORD_CREATED, r->created_ns);
    put_time(out, RECORD_DELETION, r->deletion_ns);
}

/* ---- settings ---- */

int kv2_config_decode(struct str bytes, struct kv2_config *out, struct err *err)
{
    struct protobuf_field f;
    int found;

    *out = (struct kv2_config){ 0 };
    while ((found = protobuf_next(&bytes, &f, err)) > 0) {
        if (protobuf_is(&f, CONFIG_MAX_VERSIONS, PROTOBUF_VARINT))
            out->max_versions = (uint32_t)f.value;
        else if (protobuf_is(&f, CONFIG_CAS_REQUIRED, PROTOBUF_VARINT))
            out->cas_required = f.value != 0;
        else if (protobuf_is(&f, CONFIG_DELETE_AFTER, PROTOBUF_BYTES))
            TRY(protobuf_duration(f.bytes, &out->delete_after_ns, err));
    }
    return found;
}

void kv2_config_encode(const struct kv2_config *c, struct buf *out)
{
    protobuf_put_uint(out, CONFIG_MAX_VERSIONS, c->max_versions);
    protobuf_put_bool(out, CONFIG_CAS_REQUIRED, c->cas_required);
    if (c->delete_after_ns != 0)
        protobuf_add_duration(out, CONFIG_DELETE_AFTER, c->delete_after_ns);
}
