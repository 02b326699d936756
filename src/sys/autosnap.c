/* sys/storage/raft/snapshot-auto/: snapshots on schedule. */
#include "core/autosnap.h"

#include "codec/timefmt.h"
#include "core/autosnap_config.h"
#include "core/snapfolder.h"
#include "sys/system.h"

#define LOCK STR("snapshot-auto")

static int check_raft(struct request *req)
{
    return active_of(req)->settings->raft != NULL
               ? 0
               : err_set(&req->err, ERR_BAD_REQUEST, "raft storage is not in use");
}

int autosnap_list(struct request *req, struct response *resp)
{
    struct strs names = { 0 };
    TRY(check_raft(req));
    TRY(autosnap_config_names(active_of(req)->storage, req->arena, &names, &req->err));
    return response_keys(resp, &names);
}

int autosnap_read(struct request *req, struct response *resp)
{
    struct autosnap_config c;
    TRY(check_raft(req));
    int found = autosnap_config_load(active_of(req)->storage, req->arena, field_str(req, "name"),
                                     &c, &req->err);
    if (found <= 0)
        return found;
    struct json *data = response_data(resp);
    json_put_str(data, "file_prefix", c.file_prefix);
    json_put_int(data, "interval", c.interval_s);
    json_put_int(data, "local_max_space", c.local_max_space);
    json_put_str(data, "path_prefix", c.path_prefix);
    json_put_int(data, "retain", c.retain);
    json_put_text(data, "storage_type", "local");
    return 1;
}

/* ${known}: it is there, and may be left out. */
static int check_type(struct request *req, bool known)
{
    struct str type = field_str(req, "storage_type");
    if (str_is(type, "local") || (known && !field_given(req, "storage_type")))
        return 0;
    if (type.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "storage_type is required: \"local\"");
    return err_set(&req->err, ERR_BAD_REQUEST,
                   "storage_type \"" STR_FMT "\" is not supported: only \"local\" is, a directory "
                   "of the active node", STR_ARG(type));
}

/* What is not given stays as it is, or is the default. */
static void take_fields(struct request *req, bool known, struct autosnap_config *c)
{
    if (!known || field_given(req, "interval"))
        c->interval_s = field_seconds(req, "interval");
    if (!known || field_given(req, "retain"))
        c->retain = field_int(req, "retain");
    if (!known || field_given(req, "local_max_space"))
        c->local_max_space = field_int(req, "local_max_space");
    if (!known || field_given(req, "path_prefix"))
        c->path_prefix = field_str(req, "path_prefix");
    if (!known || field_given(req, "file_prefix"))
        c->file_prefix = field_str(req, "file_prefix");
}

static int update(struct request *req)
{
    struct storage *plain = active_of(req)->storage;
    struct autosnap_config c = { 0 };
    struct str name = field_str(req, "name");
    int found = autosnap_config_load(plain, req->arena, name, &c, &req->err);
    if (found < 0)
        return -1;
    TRY(check_type(req, found > 0));
    take_fields(req, found > 0, &c);
    TRY(autosnap_config_check(plain, name, &c, &req->err));
    return autosnap_config_store(plain, name, &c, &req->err);
}

int autosnap_write(struct request *req, struct response *resp)
{
    const struct active *on = active_of(req);
    AUTO(keylock_release) struct keyhold hold = { 0 };
    TRY(check_raft(req));
    TRY(keylock_hold(on->locks, LOCK, &hold, &req->err));
    TRY(update(req));
    autosnap_wake(on->autosnap);
    return 1;
}

int autosnap_delete(struct request *req, struct response *resp)
{
    const struct active *on = active_of(req);
    AUTO(keylock_release) struct keyhold hold = { 0 };
    TRY(check_raft(req));
    TRY(keylock_hold(on->locks, LOCK, &hold, &req->err));
    TRY(autosnap_config_delete(on->storage, field_str(req, "name"), &req->err));
    autosnap_wake(on->autosnap);
    return 1;
}

static void put_time(struct request *req, struct json *data, const char *name, int64_t ns)
{
    json_put_str(data, name, time_format(req->arena, ns == 0 ? TIME_ZERO : ns));
}

int autosnap_status_read(struct request *req, struct response *resp)
{
    struct storage *plain = active_of(req)->storage;
    struct str name = field_str(req, "name");
    struct autosnap_config c;
    struct autosnap_state s;
    TRY(check_raft(req));
    int found = autosnap_config_load(plain, req->arena, name, &c, &req->err);
    if (found <= 0)
        return found;
    TRY(autosnap_state_load(plain, req->arena, name, &s, &req->err));
    struct json *data = response_data(resp);
    put_time(req, data, "last_snapshot_start", s.last_start_ns);
    put_time(req, data, "last_snapshot_end", s.last_end_ns);
    json_put_str(data, "last_snapshot_error", s.last_error);
    json_put_str(data, "last_snapshot_url", s.last_url);
    put_time(req, data, "snapshot_start", s.begun_ns);
    json_put_str(data, "snapshot_url", s.url);
    return 1;
}
