/* Kv2/versions: delete/..., undelete/... and destroy/..., by version numbers. */
#include "engines/kv2/versions.h"

#include "engines/kv2/entry.h"

/* What is done to one version that the secret has. */
typedef int version_fn(struct kv2_entry *e, struct kv2_version *v);

static int each_given(struct request *req, version_fn *change, const char *none)
{
    AUTO(kv2_entry_end) struct kv2_entry e = { 0 };
    size_t n;
    const int64_t *given = field_ints(req, "versions", &n);

    if (n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "%s", none);
    int found = kv2_entry_change(req, &e);
    if (found <= 0)
        return found < 0 ? -1 : 1;
    for (size_t i = 0; i < n; i++) {
        struct kv2_version *v = kv2_meta_find(&e.meta, (uint64_t)given[i]);
        if (v != NULL && !v->destroyed)
            TRY(change(&e, v));
    }
    TRY(kv2_entry_save(&e));
    return 1;
}

static int delete_one(struct kv2_entry *e, struct kv2_version *v)
{
    if (kv2_version_readable(v, e->req->now_ns))
        v->deletion_ns = e->req->now_ns;
    return 0;
}

/* It lives again for as long as a new one would. */
static int undelete_one(struct kv2_entry *e, struct kv2_version *v)
{
    struct kv2_config config;

    TRY(kv2_state_config(e->k, &config, &e->req->err));
    v->deletion_ns = kv2_meta_deletion(&config, &e->meta, e->req->now_ns);
    return 0;
}

static int destroy_one(struct kv2_entry *e, struct kv2_version *v)
{
    v->destroyed = true;
    return kv2_entry_delete_version(e, v->number);
}

/* The texts differ in case, as Vault's. */
int kv2_versions_delete(struct request *req, struct response *resp)
{
    return each_given(req, delete_one, "No version number provided");
}

int kv2_versions_undelete(struct request *req, struct response *resp)
{
    return each_given(req, undelete_one, "No version number provided");
}

int kv2_versions_destroy(struct request *req, struct response *resp)
{
    return each_given(req, destroy_one, "no version number provided");
}
