/* Dev mode. */
#include "server/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/epoch.h"
#include "codec/base64.h"
#include "core/start.h"

int dev_config(const struct options *o, struct config *c, struct arena *a, struct err *err)
{
    struct str address = o->dev_listen_address.n > 0 ? o->dev_listen_address : STR("127.0.0.1:8200");
    struct str text = arena_printf(a,
                                   "disable_mlock = true\nui = true\nstorage \"inmem\" {}\n"
                                   "listener \"tcp\" {\n  address = \"" STR_FMT "\"\n"
                                   "  tls_disable = true\n"
                                   "  telemetry { unauthenticated_metrics_access = true }\n}\n"
                                   "telemetry { prometheus_retention_time = \"24h\"\n"
                                   "  disable_hostname = true }\n",
                                   STR_ARG(address));
    TRY(arena_check(a, err));
    return config_add_text(c, STR("dev mode"), text, err);
}

static int unseal(struct assembly *s, struct arena *a, struct str *key, struct str *token,
                  struct err *err)
{
    struct seal_config one = { .type = STR("shamir"), .shares = 1, .threshold = 1 };
    struct init_request want = { .config = one, .recovery = one };
    struct init_result made;
    TRY(lifecycle_init(assemble_lifecycle(s), a, &want, &made, err));
    *token = made.root_token;
    *key = STR("");
    if (lifecycle_seal_is_automatic(assemble_lifecycle(s)))
        return lifecycle_unseal_stored(assemble_lifecycle(s), err);
    *key = made.shares.v[0];
    return lifecycle_unseal(assemble_lifecycle(s), *key, err);
}

/*
 * The token that the person asked for takes the first root token's place: without parent or end,
 * as a request to auth/token/create would make it.
 */
static int replace_token(const struct active *on, struct arena *a, struct str id,
                         struct str *token, struct err *err)
{
    struct auth auth = { .type = TOKEN_SERVICE, .display_name = STR("token") };
    struct token_entry e = {
        .type = TOKEN_SERVICE,
        .id = id,
        .path = STR("auth/token/create"),
        .display_name = STR("token"),
        .root = true,
    };
    strs_add(a, &e.policies, STR("root"));
    auth.policies = e.policies;
    auth.token_policies = e.policies;
    auth.creation_path = e.path;
    auth.orphan = true;
    TRY(arena_check(a, err));
    TRY(token_create(on->tokens, a, &e, &auth, err));
    TRY(token_revoke_tree(on->tokens, *token, err));
    *token = auth.client_token;
    return 0;
}

static int mount_secret(const struct active *on, struct arena *a, const struct options *o,
                        struct err *err)
{
    struct mount want = {
        .path = STR("secret/"),
        .type = STR("kv"),
        .description = STR("key/value secret storage"),
        .options = json_object(a),
    };
    json_put_text(want.options, "version", o->dev_kv_v1 ? "1" : "2");
    TRY(arena_check(a, err));
    return mounts_enable(on->mounts, &want, err);
}

static int store_token(struct str token, struct err *err)
{
    char path[4096];
    const char *home = getenv("HOME");
    if (home == NULL)
        return 0;
    snprintf(path, sizeof path, "%s/.vault-token", home);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    bool fine = write(fd, token.p, token.n) == (ssize_t)token.n;
    return close(fd) == 0 && fine ? 0 : err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
}

static void tell(struct assembly *s, struct str key, struct str token, struct arena *a)
{
    printf("WARNING! dev mode is enabled! In this mode, everything is kept in memory and the\n"
           "server starts unsealed with a single unseal key. The root token is already known to\n"
           "the command line.\n"
           "\n"
           "You may need to set the following environment variable:\n"
           "\n"
           "    $ export VAULT_ADDR='http://" STR_FMT "'\n"
           "\n"
           "The unseal key and root token are displayed below in case you want to\n"
           "seal and unseal the server or log in again.\n"
           "\n"
           "%s" STR_FMT "%s"
           "Root Token: " STR_FMT "\n"
           "\n"
           "Development mode should NOT be used in production installations!\n\n",
           STR_ARG(assemble_address(s, 0)),
           key.n > 0 ? "Unseal Key: " : "",
           STR_ARG(base64_encode(a, key)), key.n > 0 ? "\n" : "", STR_ARG(token));
    fflush(stdout);
}

int dev_start(struct assembly *s, const struct options *o, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str key, token;
    int result = 0;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(unseal(s, a, &key, &token, err));
    epoch_enter();
    const struct active *on = lifecycle_active(assemble_lifecycle(s));
    if (o->dev_root_token_id.n > 0)
        result = replace_token(on, a, o->dev_root_token_id, &token, err);
    if (result == 0)
        result = mount_secret(on, a, o, err);
    epoch_leave();
    if (result == 0 && !o->dev_no_store_token)
        result = store_token(token, err);
    if (result == 0)
        tell(s, key, token, a);
    return result;
}
