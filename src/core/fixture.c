/* A server for tests, with engines that do next to nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/epoch.h"
#include "base/log.h"
#include "core/fixture.h"
#include "logical/envelope.h"
#include "storage/driver.h"

/* ---- the disk ---- */

static int disk_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    return storage_get(((struct fixture_disk *)s)->under, key, out, err);
}

static int disk_commit(struct storage *s, const struct storage_op *ops, size_t n, struct err *err)
{
    struct fixture_disk *d = (struct fixture_disk *)s;
    if (d->commits_left == 0)
        return err_set(err, ERR_IO, "the disk is gone");
    if (d->commits_left > 0)
        d->commits_left--;
    return storage_commit(d->under, ops, n, err);
}

static int disk_list(struct storage *s, struct str prefix, struct str after, storage_name_fn *each,
                     void *ctx, struct err *err)
{
    return storage_list(((struct fixture_disk *)s)->under, prefix, after, each, ctx, err);
}

static void disk_close(struct storage *s)
{
}

static const struct storage_ops disk_ops = { disk_get, disk_commit, disk_list, disk_close };

/* ---- the engines ---- */

static int vending_open(const struct engine_ctx *ctx, void **state, struct err *err)
{
    *state = calloc(1, sizeof(struct fixture_vending));
    return *state == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static int thing_read(struct request *req, struct response *resp)
{
    ((struct fixture_vending *)req->backend)->issued++;
    resp->lease = arena_alloc(req->arena, sizeof *resp->lease);
    TRY(arena_check(req->arena, &req->err));
    *resp->lease = (struct lease_terms){ .leased = true, .renewable = true, .ttl_s = 3600,
                                         .kind = "thing" };
    json_put_text(response_data(resp), "thing", "x");
    return 1;
}

static int thing_renew(struct request *req, struct response *resp)
{
    resp->lease = arena_alloc(req->arena, sizeof *resp->lease);
    TRY(arena_check(req->arena, &req->err));
    *resp->lease = (struct lease_terms){ .leased = true, .renewable = true, .ttl_s = 3600 };
    return 1;
}

static int thing_revoke(struct request *req, struct response *resp)
{
    struct fixture_vending *v = req->backend;
    if (v->stuck)
        return err_set(&req->err, ERR_UPSTREAM, "stuck");
    v->ended++;
    return 1;
}

static int nothing_read(struct request *req, struct response *resp)
{
    response_data(resp);
    return 1;
}

static int door_write(struct request *req, struct response *resp)
{
    resp->auth = arena_alloc(req->arena, sizeof *resp->auth);
    TRY(arena_check(req->arena, &req->err));
    strs_add(req->arena, &resp->auth->policies, field_str(req, "policy"));
    resp->auth->renewable = true;
    return 1;
}

static const struct field door_fields[] = { { "policy", FIELD_STRING, NULL, "The policy." } };
static const struct route vending_routes[] = { { "thing", .read = thing_read } };
static const struct route door_routes[] = {
    { "login", FIELDS(door_fields), ROUTE_NO_TOKEN, .write = door_write },
};
static const struct route free_routes[] = { { "{...}", .read = nothing_read } };
static const struct secret_kind kinds[] = { { "thing", thing_renew, thing_revoke } };

static const struct engine engine_vending = {
    .type = "vending", ROUTES(vending_routes), .secrets = kinds, .n_secrets = ARRAY_LEN(kinds),
    .open = vending_open, .close = free,
};
static const struct engine engine_door = { .type = "door", .is_auth = true, ROUTES(door_routes) };
static const struct engine engine_sys = { .type = "system", ROUTES(free_routes) };
static const struct engine engine_tokens = { .type = "token", .is_auth = true };
static const struct engine engine_identities = { .type = "identity" };
static const struct engine engine_drawers = { .type = "cubbyhole" };
static const struct engine *const engines[] = { &engine_vending, &engine_door, &engine_sys,
                                                &engine_tokens, &engine_identities,
                                                &engine_drawers, NULL };

/* An audit device that never writes. */
static int mute_open(const struct json *options, void **device, struct err *err)
{
    *device = malloc(1);
    return *device == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static int mute_write(void *device, struct str entry, struct err *err)
{
    return err_set(err, ERR_IO, "mute");
}

static int mute_reload(void *device, struct err *err)
{
    return 0;
}

static const struct device_kind mute = { "mute", mute_open, free, mute_write, mute_reload };
static const struct device_kind *const devices[] = { &mute, NULL };

/* ---- the server ---- */

static int64_t clock_stands(const struct clock *c)
{
    const struct fixture *f = (const struct fixture *)((const char *)c - offsetof(struct fixture,
                                                                                 clock));
    return f->now_ns;
}

static void must(int result, const struct err *err)
{
    if (result < 0)
        fail_msg("%s", err->msg);
}

void fixture_open_empty(struct fixture *f)
{
    struct err err = { 0 };
    memset(f, 0, sizeof *f);
    log_set_level(LOG_OFF);
    f->arena = arena_new();
    assert_non_null(f->arena);
    f->disk.base.ops = &disk_ops;
    f->disk.commits_left = -1;
    f->clock = (struct clock){ clock_stands, clock_stands };
    f->now_ns = 1700000000LL * 1000000000;
    f->peer.addr = STR("192.0.2.1");
    must(storage_inmem.open(NULL, 0, &f->disk.under, &err), &err);
    f->settings = (struct core_settings){
        .physical = &f->disk.base,
        .engines = engines,
        .devices = devices,
        .clock = &f->clock,
        .default_ttl_s = 3600,
        .max_ttl_s = 7200,
    };
    must(lifecycle_new(&f->settings, &f->lifecycle, &err), &err);
}

void fixture_open(struct fixture *f)
{
    struct init_request want = { .config = { .shares = 1, .threshold = 1 } };
    struct init_result made;
    struct err err = { 0 };
    fixture_open_empty(f);
    must(lifecycle_init(f->lifecycle, f->arena, &want, &made, &err), &err);
    f->share = made.shares.v[0];
    f->root = made.root_token;
    must(lifecycle_unseal(f->lifecycle, f->share, &err), &err);
    const struct active *on = fixture_on(f);
    struct mount vending = { .path = STR("vending/"), .type = STR("vending") };
    struct mount door = { .path = STR("door/"), .type = STR("door"), .is_auth = true };
    must(mounts_enable(on->mounts, &vending, &err), &err);
    must(mounts_enable(on->mounts, &door, &err), &err);
    must(policy_store_set(on->policies, STR("all"),
                          STR("path \"*\" { capabilities = [\"read\", \"update\", \"sudo\"] }"),
                          &err),
         &err);
}

void fixture_close(struct fixture *f)
{
    f->disk.commits_left = -1;
    lifecycle_free(f->lifecycle);
    storage_close(f->disk.under);
    buf_free(&f->text);
    arena_free(f->arena);
}

const struct active *fixture_on(struct fixture *f)
{
    const struct active *on = lifecycle_active(f->lifecycle);
    assert_non_null(on);
    return on;
}

struct fixture_vending *fixture_vending(struct fixture *f)
{
    epoch_enter();
    struct fixture_vending *v = mounts_at(fixture_on(f)->mounts, STR("vending/"))->state;
    epoch_leave();
    return v;
}

int fixture_call(struct fixture *f, enum op op, const char *path, struct str token,
                 const char *json)
{
    struct err err = { 0 };
    struct json *data = json_object(f->arena);
    if (json != NULL)
        must(json_parse_all(f->arena, str_of(json), &data, &err), &err);
    f->req = (struct request){
        .arena = f->arena,
        .id = STR("00000000-0000-0000-0000-000000000000"),
        .op = op,
        .path = str_of(path),
        .data = data,
        .token = token,
        .peer = &f->peer,
        .now_ns = f->now_ns,
        .may_block = true,
    };
    f->resp = (struct response){ .arena = f->arena };
    buf_clear(&f->text);
    epoch_enter();
    int result = handle(f->lifecycle, &f->req, &f->resp);
    if (result > 0)
        must(envelope_print(&f->req, &f->resp, &f->text, &err), &err);
    epoch_leave();
    return result;
}

struct str fixture_token(struct fixture *f, struct str parent, enum token_type type, int64_t ttl_s)
{
    struct err err = { 0 };
    struct auth auth = { .type = type, .ttl_s = ttl_s, .renewable = true };
    struct token_entry e = {
        .type = type,
        .path = STR("auth/token/create"),
        .display_name = STR("token"),
        .parent = parent,
        .ttl_s = ttl_s,
    };
    strs_add(f->arena, &e.policies, STR("all"));
    must(token_create(fixture_on(f)->tokens, f->arena, &e, &auth, &err), &err);
    return auth.client_token;
}

bool fixture_alive(struct fixture *f, struct str token)
{
    return fixture_call(f, OP_READ, "sys/anything", token, NULL) == 1;
}
