/* sign and verify: one message or a batch, with every kind of key that signs. */
#include "crypto/sign.h"

#include "codec/base64.h"
#include "engines/transit/batch.h"
#include "engines/transit/hashes.h"
#include "engines/transit/routes.h"
#include "engines/transit/store.h"

/* What all items of a request share. */
struct job {
    struct request *req;
    const struct transit_key *key;
    struct json *items;
    bool listed;
    struct str padding; /* signature_algorithm as sent */
    struct sign_how how;
    bool jws, prehashed;
    int64_t version; /* of the key, to sign; 0: the latest */
};

/*
 * Why an item failed. In a batch its text goes into the item; alone, a failure of the client's is
 * 400, and what Vault takes for its own is 500.
 */
struct fault {
    bool set;
    struct err err;
};

static int fault(struct fault *f, enum err_code code, const char *text)
{
    f->set = true;
    return err_set(&f->err, code, "%s", text);
}

static int read_how(struct request *req, struct job *job)
{
    struct str hash = field_str(req, "urlalgorithm");
    struct str marshaling = field_str(req, "marshaling_algorithm");

    if (hash.n == 0)
        hash = field_str(req, "hash_algorithm");
    if (hash.n == 0)
        hash = field_str(req, "algorithm");
    if (!transit_hashes_find(hash, &job->how.digest))
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid hash algorithm \"" STR_FMT "\"",
                       STR_ARG(hash));
    job->jws = job->how.raw = str_is(marshaling, "jws");
    if (!job->jws && !str_is(marshaling, "asn1"))
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid marshaling type \"" STR_FMT "\"",
                       STR_ARG(marshaling));
    job->prehashed = field_bool(req, "prehashed");
    job->padding = field_str(req, "signature_algorithm");
    job->version = field_int(req, "key_version");
    return 0;
}

static int use_to(struct job *job, const char *what, struct transit_use *use)
{
    struct request *req = job->req;
    int found = transit_use(req, field_str(req, "name"), use);

    if (found <= 0)
        return found < 0 ? -1 : err_set(&req->err, ERR_BAD_REQUEST, "encryption key not found");
    job->key = use->key;
    if (!use->key->info->signs)
        return err_set(&req->err, ERR_BAD_REQUEST, "key type %s does not support %s",
                       use->key->info->name, what);
    return 0;
}

/* ---- one item ---- */

/* The padding is looked at only when an RSA key comes to use it. */
static int padding_of(const struct job *job, struct sign_how *how, struct fault *f)
{
    *how = job->how;
    if (job->key->info->rsa_bits == 0)
        return 0;
    if (job->padding.n == 0 || str_is(job->padding, "pss"))
        how->padding = SIGN_PSS;
    else if (str_is(job->padding, "pkcs1v15"))
        how->padding = SIGN_PKCS1V15;
    else {
        f->set = true;
        return err_set(&f->err, ERR_INTERNAL, "unsupported rsa signature algorithm " STR_FMT,
                       STR_ARG(job->padding));
    }
    return 0;
}

/* What is signed: the input decoded, and hashed where the key signs hashes. */
static int read_input(const struct job *job, const struct json *item, struct str *out,
                      struct fault *f)
{
    struct arena *a = job->req->arena;
    struct str text;

    if (!transit_batch_text(item, "input", &text))
        return fault(f, ERR_BAD_REQUEST, "missing input");
    if (base64_decode(a, text, out, &f->err) < 0) {
        f->set = true;
        return err_prefix(&f->err, "unable to decode input as base64");
    }
    if (!job->key->info->hashes_input || job->prehashed)
        return 0;
    uint8_t *sum = arena_alloc(a, DIGEST_MAX);
    if (sum == NULL)
        return fault(f, ERR_NOMEM, "out of memory");
    f->set = digest_of(job->how.digest, *out, sum, &f->err) < 0;
    *out = str_mem(sum, digest_len(job->how.digest));
    return f->set ? -1 : 0;
}

static int read_context(const struct job *job, const struct json *item, struct str *out,
                        struct fault *f)
{
    struct err ignored = { 0 };
    struct str text;

    (void)transit_batch_text(item, "context", &text);
    if (base64_decode(job->req->arena, text, out, &ignored) == 0)
        return 0;
    return fault(f, ERR_BAD_REQUEST, "failed to base64-decode context");
}

/* The key of one item: the version's, or one derived for the context and to be released. */
struct lent {
    const struct pkey *pkey;
    struct pkey *derived;
};

static void lent_end(struct lent *l)
{
    pkey_free(l->derived);
}

static int lend(const struct job *job, int64_t version, struct str context, struct lent *out,
                struct fault *f)
{
    AUTO(secret_free) struct secret seed = { 0 };
    const struct transit_version *v = transit_key_version(job->key, version);

    if (v == NULL)
        return fault(f, ERR_BAD_REQUEST, "no such key version");
    out->pkey = v->pkey;
    if (!job->key->derived)
        return 0;
    if (transit_key_derive(job->key, v, context, &seed, PKEY_ED25519_SEED, &f->err) < 0 ||
        pkey_from_ed25519(secret_str(&seed), &out->derived, &f->err) < 0) {
        f->set = true;
        f->err.code = ERR_INTERNAL;
        return err_prefix(&f->err, "error deriving key");
    }
    out->pkey = out->derived;
    return 0;
}

/* ---- sign ---- */

struct signature {
    struct str text, public; /* public: in base64, of a derived key */
    int64_t version;
};

static int encode_signature(const struct job *job, const struct lent *lent, struct str raw,
                            struct signature *out, struct fault *f)
{
    struct arena *a = job->req->arena;
    uint8_t both[64];

    out->text = transit_cipher_join(a, job->key, out->version,
                                    job->jws ? base64url_encode(a, raw) : base64_encode(a, raw));
    if (lent->derived == NULL)
        return 0;
    if (pkey_ed25519_bytes(lent->derived, both, &f->err) < 0) {
        f->set = true;
        return -1;
    }
    out->public = base64_encode(a, str_mem(both + PKEY_ED25519_SEED, PKEY_ED25519_PUBLIC));
    explicit_bzero(both, sizeof both);
    return 0;
}

static int sign_item(const struct job *job, const struct json *item, struct signature *out,
                     struct fault *f)
{
    AUTO(lent_end) struct lent lent = { 0 };
    AUTO(buf_free) struct buf raw = { 0 };
    struct str input, context;
    struct sign_how how;

    TRY(read_input(job, item, &input, f));
    TRY(read_context(job, item, &context, f));
    out->version = job->version;
    if (transit_cipher_pick(job->key, "signing", &out->version, &f->err) < 0 ||
        lend(job, out->version, context, &lent, f) < 0) {
        f->set = true;
        f->err.code = ERR_INTERNAL; /* a 500 in Vault, though the client's fault */
        return -1;
    }
    TRY(padding_of(job, &how, f));
    if (sign_make(lent.pkey, &how, input, &raw, &f->err) < 0) {
        f->set = true;
        return -1;
    }
    return encode_signature(job, &lent, buf_str(&raw), out, f);
}

static void answer_signature(const struct job *job, const struct signature *s,
                             const struct fault *f, struct json *out)
{
    json_put_int(out, "key_version", f->set ? 0 : s->version);
    if (f->set) {
        json_put_str(out, "error", arena_dup(job->req->arena, err_text(&f->err)));
        return;
    }
    json_put_str(out, "signature", s->text);
    if (s->public.n > 0)
        json_put_str(out, job->listed ? "publickey" : "public_key", s->public);
}

/* The request as a list of one. */
static void list_one(struct job *job, const char *const *fields, size_t n)
{
    struct request *req = job->req;
    job->items = json_array(req->arena);
    struct json *item = json_add_object(job->items);
    for (size_t i = 0; i < n; i++)
        if (field_given(req, fields[i]))
            json_put_str(item, fields[i], field_str(req, fields[i]));
    if (json_member(item, "input") == NULL)
        json_put_text(item, "input", ""); /* alone, no input is an empty one */
}

/* Alone, the fault is the request's; in a batch only what is not the item's own ends it. */
static int fault_pass(const struct job *job, const struct fault *f)
{
    if (!f->set || (job->listed && f->err.code != ERR_NOMEM))
        return 0;
    job->req->err = f->err;
    return -1;
}

int transit_sign(struct request *req, struct response *resp)
{
    static const char *const fields[] = { "input", "context" };
    AUTO(transit_use_end) struct transit_use use = { 0 };
    struct job job = { .req = req };

    TRY(read_how(req, &job));
    TRY(use_to(&job, "signing", &use));
    if (use.key->info->slow)
        TRY(transit_may_wait(req));
    TRY(transit_batch_texts(req, &job.items));
    job.listed = job.items != NULL;
    if (!job.listed)
        list_one(&job, fields, ARRAY_LEN(fields));
    struct json *results = job.listed ? json_put_array(response_data(resp), "batch_results") : NULL;
    for (const struct json *item = json_first(job.items); item != NULL; item = item->next) {
        struct signature s = { 0 };
        struct fault f = { 0 };
        (void)sign_item(&job, item, &s, &f);
        TRY(fault_pass(&job, &f));
        answer_signature(&job, &s, &f, job.listed ? json_add_object(results)
                                                  : response_data(resp));
    }
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

/* ---- verify ---- */

static int decode_signature(const struct job *job, const struct json *item, int64_t *version,
                            struct str *out, struct fault *f)
{
    struct arena *a = job->req->arena;
    struct err ignored = { 0 };
    struct str text;

    f->set = true;
    if (!transit_batch_text(item, "signature", &text))
        return fault(f, ERR_BAD_REQUEST, "missing signature");
    TRY(transit_cipher_split(job->key, "signature", text, version, out, &f->err));
    TRY(transit_cipher_allowed(job->key, "signature", *version, &f->err));
    int rc = job->jws ? base64url_decode(a, *out, out, &ignored)
                      : base64_decode(a, *out, out, &ignored);
    if (rc < 0)
        return fault(f, ERR_BAD_REQUEST, "invalid base64 signature value");
    f->set = false;
    return 0;
}

/* 1, 0, or -1 with the fault set. */
static int verify_item(const struct job *job, const struct json *item, struct fault *f)
{
    AUTO(lent_end) struct lent lent = { 0 };
    struct str input, context, sig;
    struct sign_how how;
    int64_t version;

    TRY(read_input(job, item, &input, f));
    TRY(read_context(job, item, &context, f));
    TRY(decode_signature(job, item, &version, &sig, f));
    TRY(lend(job, version, context, &lent, f));
    TRY(padding_of(job, &how, f));
    int good = sign_check(lent.pkey, &how, input, sig, &f->err);
    f->set = good < 0;
    return good;
}

/* Do the items have signatures or HMACs? Vault does not take a mixture. *hmac says which. */
static int check_kinds(struct request *req, const struct job *job, bool *hmac)
{
    bool sig = false, mac = false, missing = false;
    const char *why = NULL;

    for (const struct json *e = json_first(job->items); e != NULL; e = e->next) {
        bool has_sig = json_member(e, "signature") != NULL;
        bool has_mac = json_member(e, "hmac") != NULL;
        sig = sig || has_sig;
        mac = mac || (has_mac && (!has_sig || !job->listed));
        missing = missing || (!has_sig && !has_mac);
    }
    *hmac = mac;
    if (!job->listed && sig && mac)
        why = "provide one of 'signature' or 'hmac'";
    else if (!job->listed && missing)
        why = "neither a 'signature' nor an 'hmac' were given to verify";
    else if (sig && mac)
        why = "elements of batch_input must all provide 'signature' or all provide 'hmac'";
    else if (missing && sig)
        why = "some elements of batch_input are missing 'signature'";
    else if (missing && mac)
        why = "some elements of batch_input are missing 'hmac'";
    else if (missing)
        why = "no batch_input elements have 'signature' or 'hmac'";
    return why == NULL ? 0 : err_set(&req->err, ERR_BAD_REQUEST, "%s", why);
}

static int verify_all(struct job *job, struct response *resp)
{
    struct json *results = NULL;

    if (job->listed)
        results = json_put_array(response_data(resp), "batch_results");

    for (const struct json *item = json_first(job->items); item != NULL; item = item->next) {
        struct fault f = { 0 };
        int good = verify_item(job, item, &f);
        TRY(fault_pass(job, &f));
        struct json *out = job->listed ? json_add_object(results) : response_data(resp);
        json_put_bool(out, "valid", good == 1);
        if (f.set)
            json_put_str(out, "error", arena_dup(job->req->arena, err_text(&f.err)));
    }
    TRY(arena_check(job->req->arena, &job->req->err));
    return 1;
}

int transit_verify(struct request *req, struct response *resp)
{
    static const char *const fields[] = { "input", "context", "signature", "hmac" };
    AUTO(transit_use_end) struct transit_use use = { 0 };
    struct job job = { .req = req };
    bool hmac;

    TRY(transit_batch_texts(req, &job.items));
    job.listed = job.items != NULL;
    if (!job.listed)
        list_one(&job, fields, ARRAY_LEN(fields));
    TRY(check_kinds(req, &job, &hmac));
    if (hmac)
        return transit_hmac_verify(req, job.items, job.listed, resp);
    TRY(read_how(req, &job));
    TRY(use_to(&job, "verification", &use));
    return verify_all(&job, resp);
}
