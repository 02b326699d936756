/* encrypt, decrypt, rewrap: items go through the cipher one by one, a batch past failures. */
#include "codec/base64.h"
#include "engines/transit/batch.h"
#include "engines/transit/routes.h"
#include "engines/transit/store.h"

static int not_found(struct request *req)
{
    return err_set(&req->err, ERR_BAD_REQUEST, "encryption key not found");
}

static struct json *results_of(const struct transit_batch *b, struct response *resp)
{
    return b->listed ? json_put_array(response_data(resp), "batch_results") : NULL;
}

/* The item's place in the answer, with its error if it has one. -1: that is the whole answer. */
static struct json *result_of(struct request *req, const struct transit_item *item,
                              struct json *results, struct response *resp)
{
    if (results == NULL && item->error.n > 0) {
        (void)err_set(&req->err, ERR_BAD_REQUEST, STR_FMT, STR_ARG(item->error));
        return NULL;
    }
    struct json *out = results != NULL ? json_add_object(results) : response_data(resp);
    if (item->error.n > 0)
        json_put_str(out, "error", item->error);
    if (out == NULL)
        (void)err_set(&req->err, ERR_NOMEM, "out of memory for an answer");
    return out;
}

/* Encrypt one; ${text} is what was to be encrypted, decoded. */
static int seal_item(struct request *req, const struct transit_key *k, struct transit_item *item,
                     struct str text)
{
    if (transit_cipher_pick(k, "encryption", &item->version, &req->err) == 0 &&
        transit_cipher_encrypt(req->arena, k, item->version, &item->aux, text, &item->ciphertext,
                               &req->err) == 0)
        return 0;
    return transit_batch_fault(req, &item->error);
}

static int answer_sealed(struct request *req, const struct transit_batch *b, struct response *resp)
{
    struct json *results = results_of(b, resp);

    for (size_t i = 0; i < b->n; i++) {
        struct json *out = result_of(req, &b->items[i], results, resp);
        if (out == NULL)
            return -1;
        if (b->items[i].error.n > 0)
            continue;
        json_put_str(out, "ciphertext", b->items[i].ciphertext);
        json_put_int(out, "key_version", b->items[i].version);
    }
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

/* ---- encrypt ---- */

int transit_encrypt_exists(struct request *req)
{
    AUTO(transit_use_end) struct transit_use use = { 0 };
    return transit_use(req, field_str(req, "name"), &use);
}

/* A key that is not there is made on the way, derived when the items have a context. */
static int upsert(struct request *req, bool with_context)
{
    struct str type = field_str(req, "type");
    struct transit_spec spec = {
        .name = field_str(req, "name"),
        .derived = with_context,
        .convergent = field_bool(req, "convergent_encryption"),
    };

    if (spec.convergent && !with_context)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "convergent encryption requires derivation to be enabled, so context is "
                       "required");
    if (!transit_type_parse(type, &spec.type) || spec.type == TRANSIT_ED25519 ||
        transit_type_info(spec.type)->rsa_bits > 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "unknown key type " STR_FMT, STR_ARG(type));
    if (!transit_type_info(spec.type)->symmetric)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "key type " STR_FMT " not supported for this operation", STR_ARG(type));
    return transit_create(req, &spec);
}

/* Decode what is to be encrypted; failures stay with their items. */
static int decode_plaintexts(struct request *req, struct transit_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct transit_item *item = &b->items[i];
        if (base64_decode(req->arena, item->plaintext, &item->plaintext, &req->err) < 0)
            TRY(transit_batch_fault(req, &item->error));
    }
    return 0;
}

int transit_encrypt(struct request *req, struct response *resp)
{
    AUTO(transit_use_end) struct transit_use use = { 0 };
    struct transit_batch batch;
    int made = 1;

    TRY(transit_batch_read(req, &batch));
    if (!batch.listed && !field_given(req, "plaintext"))
        return err_set(&req->err, ERR_BAD_REQUEST, "missing plaintext to encrypt");
    TRY(transit_batch_weigh(req, &batch));
    TRY(decode_plaintexts(req, &batch));
    TRY(transit_batch_decode(req, &batch));
    if (req->op == OP_CREATE) {
        made = upsert(req, batch.items[0].context.n > 0);
        TRY(made);
    }

    int found = transit_use(req, field_str(req, "name"), &use);
    if (found <= 0)
        return found < 0 ? -1 : not_found(req);
    for (size_t i = 0; i < batch.n; i++)
        if (batch.items[i].error.n == 0)
            TRY(seal_item(req, use.key, &batch.items[i], batch.items[i].plaintext));
    if (made == 0)
        response_warn(resp, "Attempted creation of the key during the encrypt operation, but it "
                            "was created beforehand");
    return answer_sealed(req, &batch, resp);
}

/* ---- decrypt, rewrap ---- */

/* Both take ciphertexts. */
static int read_ciphertexts(struct request *req, struct transit_batch *b)
{
    TRY(transit_batch_read(req, b));
    if (!b->listed && b->items[0].ciphertext.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "missing ciphertext to decrypt");
    TRY(transit_batch_weigh(req, b));
    for (size_t i = 0; i < b->n; i++)
        if (b->items[i].ciphertext.n == 0)
            b->items[i].error = STR("missing ciphertext to decrypt");
    return transit_batch_decode(req, b);
}

/* The key that opens them; RSA takes too long for an event loop. 1, or -1. */
static int use_to_open(struct request *req, struct transit_use *use)
{
    int found = transit_use(req, field_str(req, "name"), use);
    if (found <= 0)
        return found < 0 ? -1 : not_found(req);
    return use->key->info->slow ? transit_may_wait(req) : 0;
}

static int open_item(struct request *req, const struct transit_key *k, struct transit_item *item)
{
    if (transit_cipher_decrypt(req->arena, k, &item->aux, item->ciphertext, &item->plaintext,
                               &req->err) == 0)
        return 0;
    return transit_batch_fault(req, &item->error);
}

static int answer_opened(struct request *req, const struct transit_batch *b, struct response *resp)
{
    struct json *results = results_of(b, resp);

    for (size_t i = 0; i < b->n; i++) {
        const struct transit_item *item = &b->items[i];
        struct json *out = result_of(req, item, results, resp);
        if (out == NULL)
            return -1;
        /* An item that failed has an empty plaintext beside its error. */
        json_put_str(out, "plaintext",
                     item->error.n > 0 ? STR("") : base64_encode(req->arena, item->plaintext));
    }
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

int transit_decrypt(struct request *req, struct response *resp)
{
    AUTO(transit_use_end) struct transit_use use = { 0 };
    struct transit_batch batch;

    TRY(read_ciphertexts(req, &batch));
    TRY(use_to_open(req, &use));
    for (size_t i = 0; i < batch.n; i++)
        if (batch.items[i].error.n == 0)
            TRY(open_item(req, use.key, &batch.items[i]));
    return answer_opened(req, &batch, resp);
}

int transit_rewrap(struct request *req, struct response *resp)
{
    AUTO(transit_use_end) struct transit_use use = { 0 };
    struct transit_batch batch;

    TRY(read_ciphertexts(req, &batch));
    TRY(use_to_open(req, &use));
    for (size_t i = 0; i < batch.n; i++) {
        struct transit_item *item = &batch.items[i];
        if (item->error.n == 0)
            TRY(open_item(req, use.key, item));
        if (item->error.n == 0)
            TRY(seal_item(req, use.key, item, item->plaintext));
    }
    return answer_sealed(req, &batch, resp);
}
