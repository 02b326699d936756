/* backup and restore: a key with all its versions as one text. */
#include "codec/base64.h"
#include "engines/transit/routes.h"
#include "engines/transit/store.h"

static int pack(struct request *req, const struct transit_record *r, struct str *out)
{
    AUTO(buf_free) struct buf text = { 0 };

    buf_add(&text, STR("{\"policy\":"));
    json_print(r->policy, &text);
    buf_add(&text, STR(",\"archived_keys\":"));
    json_print(r->archive, &text);
    buf_add(&text, STR("}\n"));
    TRY(buf_check(&text, &req->err));
    *out = base64_encode(req->arena, buf_str(&text));
    return arena_check(req->arena, &req->err);
}

/* A read that writes: the record notes when it was backed up. */
int transit_backup(struct request *req, struct response *resp)
{
    AUTO(transit_edit_end) struct transit_edit edit = { 0 };
    struct str name = field_str(req, "name"), text;

    int found = transit_edit(req, name, &edit);
    TRY(found);
    /* 500 in Vault, all three. */
    if (found == 0)
        return err_set(&req->err, ERR_INTERNAL, "key \"" STR_FMT "\" not found", STR_ARG(name));
    if (!transit_record_bool(&edit.record, "exportable"))
        return err_set(&req->err, ERR_INTERNAL, "exporting is disallowed on the policy");
    if (!transit_record_bool(&edit.record, "allow_plaintext_backup"))
        return err_set(&req->err, ERR_INTERNAL, "plaintext backup is disallowed on the policy");
    transit_record_stamp(&edit.record, "backup_info", req->now_ns);
    TRY(transit_edit_commit(req, &edit));
    TRY(pack(req, &edit.record, &text));
    json_put_str(response_data(resp), "backup", text);
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

/* What a backup holds. A text that is none is a 500 in Vault too. */
static int unpack(struct request *req, struct str text, struct transit_record *out)
{
    struct json *doc;

    if (base64_decode(req->arena, text, &text, &req->err) < 0) {
        req->err.code = req->err.code == ERR_NOMEM ? ERR_NOMEM : ERR_INTERNAL;
        return -1;
    }
    if (json_parse(req->arena, text, &doc, NULL, &req->err) < 0)
        return err_set(&req->err, ERR_INTERNAL, "the backup is not JSON");
    struct json *archive = json_member(doc, "archived_keys");
    TRY(transit_record_from(req->arena, json_member(doc, "policy"), archive, out, &req->err));
    if (!json_is(archive, JSON_OBJECT))
        transit_record_set_int(out, "archive_version", 0); /* to be made anew */
    return 0;
}

static int check_name(struct request *req, struct str name)
{
    if (name.n == 0)
        return err_set(&req->err, ERR_INTERNAL, "the backup has no key name");
    if (str_find_byte(name, '/') >= 0)
        return err_set(&req->err, ERR_INTERNAL, "key names cannot be paths");
    return 0;
}

int transit_restore(struct request *req, struct response *resp)
{
    AUTO(transit_edit_end) struct transit_edit edit = { 0 };
    struct str name = field_str(req, "name"), backup = field_str(req, "backup");
    struct transit_record record;

    if (backup.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "'backup' must be supplied");
    TRY(unpack(req, backup, &record));
    if (name.n == 0)
        name = json_get_str(record.policy, "name");
    TRY(check_name(req, name));

    int found = transit_edit(req, name, &edit);
    TRY(found);
    if (found == 1 && !field_bool(req, "force"))
        return err_set(&req->err, ERR_INTERNAL, "key \"" STR_FMT "\" already exists",
                       STR_ARG(name));
    edit.record = record;
    json_put_str(edit.record.policy, "name", name);
    edit.record.archive_changed = true;
    TRY(transit_record_upgrade(&edit.record, req->now_ns, &req->err));
    transit_record_stamp(&edit.record, "restore_info", req->now_ns);
    TRY(transit_edit_commit(req, &edit));
    return 1;
}
