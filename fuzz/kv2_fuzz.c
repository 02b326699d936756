/*
 * Fuzz target: what a mount of the versioned engine stores, read from any bytes.  The first byte
 * says as what: metadata, a version, settings, the key policy.
 */
#include <stdlib.h>

#include "engines/kv2/meta.h"
#include "engines/kv2/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void meta(struct str bytes)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf once = { 0 };
    AUTO(buf_free) struct buf twice = { 0 };
    struct kv2_meta m, again;
    struct kv2_version *cut;
    size_t n_cut;
    struct err err = { 0 };
    if (kv2_meta_decode(a, bytes, &m, &err) < 0) {
        must(err.code == ERR_CORRUPT);
        return;
    }
    kv2_meta_encode(&m, &once);
    must(kv2_meta_decode(a, buf_str(&once), &again, &err) == 0 && again.n == m.n);
    kv2_meta_encode(&again, &twice);
    must(str_eq(buf_str(&once), buf_str(&twice)));
    (void)kv2_meta_deletion(&(struct kv2_config){ .delete_after_ns = 1 }, &m, INT64_MAX - 1);
    if (kv2_meta_add_version(a, &m, 5, KV2_NEVER, 10, &cut, &n_cut, &err) == 0)
        must(kv2_meta_find(&m, m.current) != NULL);
}

static void record(struct str bytes)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct kv2_record r, again;
    if (kv2_record_decode(bytes, &r, NULL) < 0)
        return;
    kv2_record_encode(&r, &out);
    must(kv2_record_decode(buf_str(&out), &again, NULL) == 0 && str_eq(r.data, again.data));
    must(r.created_ns == again.created_ns && r.deletion_ns == again.deletion_ns);
}

static void config(struct str bytes)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct kv2_config c, again;
    if (kv2_config_decode(bytes, &c, NULL) < 0)
        return;
    kv2_config_encode(&c, &out);
    must(kv2_config_decode(buf_str(&out), &again, NULL) == 0);
    must(c.max_versions == again.max_versions && c.delete_after_ns == again.delete_after_ns);
}

static void policy(struct str bytes)
{
    struct kv2_policy p = { 0 };
    struct err err = { 0 };
    if (kv2_policy_parse(bytes, &p, &err) == 0)
        must(p.n > 0 && kv2_policy_key(&p, p.latest) != NULL);
    else
        must(err.code == ERR_CORRUPT);
    kv2_policy_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct str) = { meta, record, config, policy };
    if (size > 0)
        readers[data[0] % ARRAY_LEN(readers)](str_mem(data + 1, size - 1));
    return 0;
}
