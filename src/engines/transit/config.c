/* keys/x/config, rotate and trim: what changes a key that is there. */
#include "engines/transit/routes.h"
#include "engines/transit/store.h"

/* A minimum from the request: 1 set, 0 not given or as it is, -1. */
static int set_minimum(struct request *req, struct transit_record *r, const char *field,
                       const char *what, int64_t v)
{
    long long latest = transit_record_int(r, "latest_version");

    if (v == transit_record_int(r, field))
        return 0;
    if (v > latest)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "cannot set min %s version of %lld, latest key version is %lld", what,
                       (long long)v, latest);
    transit_record_set_int(r, field, v);
    return 1;
}

static int set_decryption(struct request *req, struct transit_record *r, struct response *resp)
{
    int64_t v = field_int(req, "min_decryption_version");

    if (!field_given(req, "min_decryption_version"))
        return 0;
    if (v < 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "min decryption version cannot be negative");
    if (v == 0) {
        v = 1;
        response_warn(resp, "since Vault 0.3, transit key numbering starts at 1; forcing minimum "
                            "to 1");
    }
    return set_minimum(req, r, "min_decryption_version", "decryption", v);
}

static int set_encryption(struct request *req, struct transit_record *r)
{
    int64_t v = field_int(req, "min_encryption_version");

    if (!field_given(req, "min_encryption_version"))
        return 0;
    if (v < 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "min encryption version cannot be negative");
    return set_minimum(req, r, "min_encryption_version", "encryption", v);
}

/* The two minimums beside each other. */
static int check_minimums(struct request *req, const struct transit_record *r)
{
    long long encryption = transit_record_int(r, "min_encryption_version");
    long long decryption = transit_record_int(r, "min_decryption_version");

    if (encryption > 0 && encryption < decryption)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "cannot set min encryption/decryption values; min encryption version of "
                       "%lld must be greater than or equal to min decryption version of %lld",
                       encryption, decryption);
    return 0;
}

static int check_available(struct request *req, const struct transit_record *r)
{
    int64_t available = transit_record_int(r, "min_available_version");

    if (available > transit_record_int(r, "min_encryption_version"))
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "min encryption version should not be less than min available version");
    if (available > transit_record_int(r, "min_decryption_version"))
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "min decryption version should not be less then min available version");
    return 0;
}

/* What was once allowed cannot be taken back. */
static void set_once(struct request *req, struct transit_record *r, const char *field)
{
    if (field_bool(req, field) && !transit_record_bool(r, field))
        transit_record_set_bool(r, field, true);
}

int transit_config_write(struct request *req, struct response *resp)
{
    AUTO(transit_edit_end) struct transit_edit edit = { 0 };
    struct str name = field_str(req, "name");
    struct transit_record *r = &edit.record;

    int found = transit_edit(req, name, &edit);
    TRY(found);
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "no existing key named " STR_FMT
                       " could be found", STR_ARG(name));
    TRY(set_decryption(req, r, resp));
    TRY(set_encryption(req, r));
    TRY(check_minimums(req, r));
    if (field_given(req, "deletion_allowed") &&
        field_bool(req, "deletion_allowed") != transit_record_bool(r, "deletion_allowed"))
        transit_record_set_bool(r, "deletion_allowed", field_bool(req, "deletion_allowed"));
    set_once(req, r, "exportable");
    set_once(req, r, "allow_plaintext_backup");
    if (!r->policy_changed) {
        resp->warnings = NULL; /* Vault forgets the warning where nothing changes */
        return 1;
    }
    TRY(check_available(req, r));
    TRY(transit_edit_commit(req, &edit));
    /* With a warning there is an answer, though it has no data. */
    resp->empty_envelope = resp->warnings != NULL;
    return 1;
}

int transit_config_rotate(struct request *req, struct response *resp)
{
    AUTO(transit_edit_end) struct transit_edit edit = { 0 };

    int found = transit_edit(req, field_str(req, "name"), &edit);
    TRY(found);
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "key not found");
    TRY(transit_record_rotate(&edit.record, req->now_ns, &req->err));
    TRY(transit_edit_commit(req, &edit));
    return 1;
}

static int check_trim(struct request *req, const struct transit_record *r, int64_t v)
{
    int64_t encryption = transit_record_int(r, "min_encryption_version");
    int64_t decryption = transit_record_int(r, "min_decryption_version");
    const char *why = NULL;

    if (v < transit_record_int(r, "min_available_version"))
        why = "minimum available version cannot be decremented";
    else if (encryption == 0)
        why = "minimum available version cannot be set when minimum encryption version is not set";
    else if (decryption == 0)
        why = "minimum available version cannot be set when minimum decryption version is not set";
    else if (v > encryption)
        why = "minimum available version cannot be greater than minmum encryption version";
    else if (v > decryption)
        why = "minimum available version cannot be greater than minimum decryption version";
    else if (v < 0)
        why = "minimum available version cannot be negative";
    else if (v == 0)
        why = "minimum available version should be positive";
    return why == NULL ? 0 : err_set(&req->err, ERR_BAD_REQUEST, "%s", why);
}

int transit_config_trim(struct request *req, struct response *resp)
{
    AUTO(transit_edit_end) struct transit_edit edit = { 0 };
    int64_t v = field_int(req, "min_available_version");

    int found = transit_edit(req, field_str(req, "name"), &edit);
    TRY(found);
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid key name");
    if (!field_given(req, "min_available_version"))
        return err_set(&req->err, ERR_BAD_REQUEST, "missing min_available_version");
    TRY(check_trim(req, &edit.record, v));
    transit_record_set_int(&edit.record, "min_available_version", v);
    TRY(transit_edit_commit(req, &edit));
    return 1;
}
