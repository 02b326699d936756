/* hmac, and verify of an HMAC: each version has a key of its own for it. */
#include "base/secret.h"
#include "codec/base64.h"
#include "engines/transit/batch.h"
#include "engines/transit/hashes.h"
#include "engines/transit/routes.h"
#include "engines/transit/store.h"

static int use_key(struct request *req, struct transit_use *use)
{
    int found = transit_use(req, field_str(req, "name"), use);
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "encryption key not found");
    return found;
}

static int read_digest(struct request *req, enum digest *out)
{
    struct str name = field_str(req, "urlalgorithm");
    if (name.n == 0)
        name = field_str(req, "algorithm");
    if (transit_hashes_find(name, out))
        return 0;
    /* Vault prints its number of the algorithm that it did not find. */
    return err_set(&req->err, ERR_BAD_REQUEST, "unsupported algorithm '\\x00'");
}

/* The HMAC key of a version; all failures are the client's. */
static int hmac_key(const struct transit_key *k, int64_t version, struct str *out, struct err *err)
{
    if (version < 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "key version does not exist (cannot be negative)");
    if (version > k->latest)
        return err_set(err, ERR_BAD_REQUEST,
                       "key version does not exist; latest key version is %lld",
                       (long long)k->latest);
    const struct transit_version *v = transit_key_version(k, version);
    if (v == NULL)
        return err_set(err, ERR_BAD_REQUEST, "no such key version");
    if (v->hmac_key.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "no HMAC key exists for that key version");
    *out = secret_str(&v->hmac_key);
    return 0;
}

static int pick_version(struct request *req, const struct transit_key *k, int64_t *version)
{
    *version = field_int(req, "key_version");
    if (*version == 0)
        *version = k->latest;
    if (*version != k->latest && k->min_encryption > 0 && *version < k->min_encryption)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "cannot generate HMAC: version is too old (disallowed by policy)");
    return 0;
}

static int read_input(struct request *req, const struct json *item, const char *missing,
                      struct str *out)
{
    struct str text;
    if (!transit_batch_text(item, "input", &text))
        return err_set(&req->err, ERR_BAD_REQUEST, "%s", missing);
    if (base64_decode(req->arena, text, out, &req->err) < 0)
        return err_prefix(&req->err, "unable to decode input as base64");
    return 0;
}

/* ---- hmac ---- */

struct job {
    struct request *req;
    const struct transit_key *key;
    enum digest digest;
    struct str secret;
    int64_t version;
};

static int make_item(const struct job *job, const struct json *item, struct str *out)
{
    struct request *req = job->req;
    uint8_t sum[DIGEST_MAX];
    struct str input;

    TRY(read_input(req, item, "missing input for HMAC", &input));
    TRY(digest_hmac(job->digest, job->secret, input, sum, &req->err));
    struct str text = base64_encode(req->arena, str_mem(sum, digest_len(job->digest)));
    *out = arena_printf(req->arena, "vault:v%lld:" STR_FMT, (long long)job->version, STR_ARG(text));
    return arena_check(req->arena, &req->err);
}

/* Items that fail through the client's fault tell so in the batch; alone that is the answer. */
static int item_failed(struct request *req, bool listed, struct json *out)
{
    struct str error;
    if (!listed)
        return -1;
    TRY(transit_batch_fault(req, &error));
    json_put_str(out, "error", error);
    return 0;
}

static struct json *list_one(struct request *req)
{
    struct json *items = json_array(req->arena), *item = json_add_object(items);
    if (field_given(req, "input"))
        json_put_str(item, "input", field_str(req, "input"));
    return items;
}

static int make_all(const struct job *job, struct json *items, bool listed, struct response *resp)
{
    struct json *results = listed ? json_put_array(response_data(resp), "batch_results") : NULL;

    for (const struct json *item = json_first(items); item != NULL; item = item->next) {
        struct json *out = listed ? json_add_object(results) : response_data(resp);
        struct str hmac;
        if (make_item(job, item, &hmac) == 0)
            json_put_str(out, "hmac", hmac);
        else
            TRY(item_failed(job->req, listed, out));
    }
    TRY(arena_check(job->req->arena, &job->req->err));
    return 1;
}

int transit_hmac(struct request *req, struct response *resp)
{
    AUTO(transit_use_end) struct transit_use use = { 0 };
    struct job job = { .req = req };
    struct json *items;

    TRY(use_key(req, &use));
    job.key = use.key;
    TRY(pick_version(req, use.key, &job.version));
    TRY(hmac_key(use.key, job.version, &job.secret, &req->err));
    TRY(read_digest(req, &job.digest));
    TRY(transit_batch_texts(req, &items));
    bool listed = items != NULL;
    return make_all(&job, listed ? items : list_one(req), listed, resp);
}

/* ---- verify ---- */

/* Take apart an HMAC as transit_hmac made it; the texts differ from a ciphertext's. */
static int split(const struct job *job, struct str text, int64_t *version, struct str *sum)
{
    static const struct str before = STR_INIT("vault:v");
    struct request *req = job->req;

    if (!str_starts(text, before))
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid HMAC to verify: no prefix");
    text = str_from(text, before.n);
    ptrdiff_t at = str_find_byte(text, ':');
    if (at < 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid HMAC: wrong number of fields");
    if (!str_to_i64(str_head(text, (size_t)at), version))
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "invalid HMAC: version number could not be decoded");
    if (base64_decode(req->arena, str_from(text, (size_t)at + 1), sum, &req->err) < 0)
        return err_prefix(&req->err, "unable to decode verification HMAC as base64");
    if (*version > job->key->latest)
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid HMAC: version is too new");
    if (job->key->min_decryption > 0 && *version < job->key->min_decryption)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "cannot verify HMAC: version is too old (disallowed by policy)");
    return 0;
}

/* 1, 0, -1. */
static int verify_item(const struct job *job, const struct json *item)
{
    struct str input, text, sum, secret;
    uint8_t wanted[DIGEST_MAX];
    int64_t version;

    TRY(read_input(job->req, item, "missing input", &input));
    if (!transit_batch_text(item, "hmac", &text))
        return err_set(&job->req->err, ERR_BAD_REQUEST, "missing hmac");
    TRY(split(job, text, &version, &sum));
    TRY(hmac_key(job->key, version, &secret, &job->req->err));
    TRY(digest_hmac(job->digest, secret, input, wanted, &job->req->err));
    bool good = secret_eq(str_mem(wanted, digest_len(job->digest)), sum);
    explicit_bzero(wanted, sizeof wanted);
    return good;
}

int transit_hmac_verify(struct request *req, const struct json *items, bool listed,
                        struct response *resp)
{
    AUTO(transit_use_end) struct transit_use use = { 0 };
    struct job job = { .req = req };

    TRY(use_key(req, &use));
    job.key = use.key;
    TRY(read_digest(req, &job.digest));
    struct json *results = listed ? json_put_array(response_data(resp), "batch_results") : NULL;
    for (const struct json *item = json_first(items); item != NULL; item = item->next) {
        struct json *out = listed ? json_add_object(results) : response_data(resp);
        int good = verify_item(&job, item);
        if (good < 0)
            TRY(item_failed(req, listed, out));
        else if (good == 1 || !listed) /* Vault leaves a false out of a batch's items */
            json_put_bool(out, "valid", good == 1);
    }
    TRY(arena_check(req->arena, &req->err));
    return 1;
}
