/* Kv2: the key/value secrets engine that keeps versions (type "kv", version 2). */
#include "engines/kv2/kv2.h"

#include "engines/kv2/config.h"
#include "engines/kv2/data.h"
#include "engines/kv2/metadata.h"
#include "engines/kv2/upgrade.h"
#include "engines/kv2/versions.h"

/* ---- paths that mean something in version 1 only ---- */

static const char *command_of(enum op op)
{
    switch (op) {
    case OP_CREATE:
    case OP_UPDATE:
        return "put";
    case OP_READ:
        return "get";
    case OP_LIST:
        return "list";
    case OP_DELETE:
        return "delete";
    case OP_HELP:
    case OP_RENEW:
    case OP_REVOKE:
    case OP_ROLLBACK:
        break;
    }
    return "";
}

static bool is_root(struct str rel)
{
    static const char *const roots[] = { "metadata", "data", "delete", "undelete", "destroy" };

    for (size_t i = 0; i < ARRAY_LEN(roots); i++)
        if (str_is(rel, roots[i]))
            return true;
    return false;
}

/* Vault answers such a path with 404 and an advice instead of an error. */
static int invalid_path(struct request *req, struct response *resp)
{
    if (is_root(req->rel))
        response_warn(resp,
                      "Non-listing operations on the root of a K/V v2 mount are not supported.");
    else
        response_warn(resp,
                      "Invalid path for a versioned K/V secrets engine. See the API docs for the "
                      "appropriate API endpoints to use. If using the Vault CLI, use 'vault kv %s' "
                      "for this operation.",
                      command_of(req->op));
    resp->status = 404;
    resp->empty_envelope = true;
    return 1;
}

static int invalid_list(struct request *req, struct response *resp)
{
    if (str_is(req->rel, "metadata"))
        return kv2_metadata_list(req, resp);
    if (is_root(req->rel))
        return err_set(&req->err, ERR_UNSUPPORTED, "unsupported operation");
    return invalid_path(req, resp);
}

/* ---- tables ---- */

static const struct field config_fields[] = {
    { "max_versions", FIELD_INT, NULL, "Versions to keep of each secret; 0: ten." },
    { "cas_required", FIELD_BOOL, NULL, "Writes have to say which version they follow." },
    { "delete_version_after", FIELD_SIGNED_SECONDS, NULL,
      "Time after which a version deletes itself; 0: never, negative: never for any secret." },
};

static const struct field data_fields[] = {
    { "path", FIELD_STRING, NULL, "Name of the secret." },
    { "version", FIELD_INT, NULL, "Version to read; 0: the newest." },
    { "options", FIELD_MAP, NULL,
      "\"cas\": the write is done only if this is the present version; 0: no secret yet." },
    { "data", FIELD_MAP, NULL, "The secret." },
};

static const struct field metadata_fields[] = {
    { "path", FIELD_STRING, NULL, "Name of the secret." },
    { "max_versions", FIELD_INT, NULL, "Versions to keep; 0: as the mount says." },
    { "cas_required", FIELD_BOOL, NULL, "Writes have to say which version they follow." },
    { "delete_version_after", FIELD_SECONDS, NULL,
      "Time after which a version deletes itself; 0: as the mount says." },
};

static const struct field version_fields[] = {
    { "path", FIELD_STRING, NULL, "Name of the secret." },
    { "versions", FIELD_COMMA_INTS, NULL, "Numbers of the versions." },
};

static const struct route routes[] = {
    { .pattern = "config",
      FIELDS(config_fields),
      .read = kv2_config_read,
      .write = kv2_config_write,
      .summary = "Settings for all secrets of the mount." },
    { .pattern = "data/{path...}",
      FIELDS(data_fields),
      .read = kv2_data_read,
      .write = kv2_data_write,
      .del = kv2_data_delete,
      .exists = kv2_data_exists,
      .summary = "Read a version, write the next one, delete the newest.",
      .details = "A deleted version can be brought back (undelete) until it is destroyed." },
    { .pattern = "metadata/{path...}",
      FIELDS(metadata_fields),
      .read = kv2_metadata_read,
      .list = kv2_metadata_list,
      .write = kv2_metadata_write,
      .del = kv2_metadata_delete,
      .exists = kv2_data_exists,
      .summary = "Settings and versions of a secret; names of secrets.",
      .details = "Deleting the metadata removes the secret with all its versions." },
    { .pattern = "destroy/{path...}",
      FIELDS(version_fields),
      .write = kv2_versions_destroy,
      .summary = "Remove the data of versions for good." },
    { .pattern = "delete/{path...}",
      FIELDS(version_fields),
      .write = kv2_versions_delete,
      .summary = "Mark versions as deleted." },
    { .pattern = "undelete/{path...}",
      FIELDS(version_fields),
      .write = kv2_versions_undelete,
      .summary = "Bring deleted versions back." },
    { .pattern = "{...}",
      .read = invalid_path,
      .list = invalid_list,
      .write = invalid_path,
      .del = invalid_path,
      .summary = "No path of a versioned key/value mount." },
};

/* ---- life of a mount ---- */

static int kv2_open(const struct engine_ctx *ctx, void **state, struct err *err)
{
    struct kv2 *k;

    TRY(kv2_state_new(ctx, &k, err));
    if (kv2_upgrade_open(k, err) < 0) {
        kv2_state_free(k);
        return -1;
    }
    *state = k;
    return 0;
}

static void kv2_close(void *state)
{
    kv2_upgrade_close(state);
    kv2_state_free(state);
}

static void kv2_invalidate(void *state, struct str key)
{
    struct kv2 *k = state;

    if (!str_starts(key, k->prefix))
        return;
    struct str name = str_from(key, k->prefix.n);
    kv2_state_forget(k, name);
    if (str_is(name, "upgrading"))
        kv2_upgrade_look_again(k);
}

static int kv2_tick(void *state, struct request *req)
{
    return kv2_upgrade_tick(state, &req->err);
}

const struct engine engine_kv2 = {
    .type = "kv",
    .version = 2,
    .help = "The versioned kv engine keeps several versions of each secret, encrypted in the\n"
            "server's storage, and tells what became of them.",
    ROUTES(routes),
    .open = kv2_open,
    .close = kv2_close,
    .invalidate = kv2_invalidate,
    .tick = kv2_tick,
};
