/* Random bytes and hashes, in hex or base64, with Vault's texts. */
#include "logical/tools.h"

#include "base/random.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "logical/request.h"

enum { RANDOM_MAX = 128 * 1024 };

const struct field tools_random_fields[3] = {
    { "urlbytes", FIELD_STRING, NULL, "How many bytes, in the path." },
    { "bytes", FIELD_INT, "32", "How many bytes, in the body. Defaults to 32." },
    { "format", FIELD_STRING, "base64", "\"hex\" or \"base64\", the default." },
};

const struct field tools_hash_fields[4] = {
    { "input", FIELD_STRING, NULL, "What to hash, in base64." },
    { "algorithm", FIELD_STRING, "sha2-256",
      "sha2-224, sha2-256 (the default), sha2-384 or sha2-512; in the body." },
    { "urlalgorithm", FIELD_STRING, NULL, "The same, in the path." },
    { "format", FIELD_STRING, "hex", "\"hex\", the default, or \"base64\"." },
};

static bool format_known(struct str format)
{
    return str_is(format, "hex") || str_is(format, "base64");
}

static struct str encode(struct arena *a, struct str format, struct str bytes)
{
    return str_is(format, "hex") ? hex_encode(a, bytes) : base64_encode(a, bytes);
}

static int bytes_wanted(struct request *req, int64_t *n)
{
    struct str in_path = field_str(req, "urlbytes");

    *n = field_int(req, "bytes");
    if (in_path.n > 0 && !str_to_i64(in_path, n))
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "error parsing url-set byte count: strconv.Atoi: parsing \"" STR_FMT
                       "\": invalid syntax",
                       STR_ARG(in_path));
    if (*n < 1)
        return err_set(&req->err, ERR_BAD_REQUEST, "\"bytes\" cannot be less than 1");
    if (*n > RANDOM_MAX)
        return err_set(&req->err, ERR_BAD_REQUEST, "\"bytes\" should be less than %d", RANDOM_MAX);
    return 0;
}

int tools_random(struct request *req, struct response *resp)
{
    struct str format = field_str(req, "format");
    int64_t n;

    TRY(bytes_wanted(req, &n));
    if (!format_known(format))
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "unsupported encoding format \"" STR_FMT "\"; must be \"hex\" or "
                       "\"base64\"",
                       STR_ARG(format));
    char *bytes = arena_bytes(req->arena, (size_t)n);
    if (bytes == NULL)
        return arena_check(req->arena, &req->err);
    random_fill(bytes, (size_t)n);
    json_put_str(response_data(resp), "random_bytes",
                 encode(req->arena, format, str_mem(bytes, (size_t)n)));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

static bool algorithm_of(struct str name, enum digest *out)
{
    static const struct { const char *name; enum digest digest; } known[] = {
        { "sha2-224", DIGEST_SHA224 },
        { "sha2-256", DIGEST_SHA256 },
        { "sha2-384", DIGEST_SHA384 },
        { "sha2-512", DIGEST_SHA512 },
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_is(name, known[i].name)) {
            *out = known[i].digest;
            return true;
        }
    }
    return false;
}

int tools_hash(struct request *req, struct response *resp)
{
    struct str algorithm = field_str(req, "urlalgorithm"), format = field_str(req, "format"), input;
    uint8_t sum[DIGEST_MAX];
    enum digest digest;

    if (algorithm.n == 0)
        algorithm = field_str(req, "algorithm");
    if (base64_decode(req->arena, field_str(req, "input"), &input, &req->err) < 0)
        return err_prefix(&req->err, "unable to decode input as base64");
    if (!format_known(format))
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "unsupported encoding format " STR_FMT "; must be \"hex\" or \"base64\"",
                       STR_ARG(format));
    if (!algorithm_of(algorithm, &digest))
        return err_set(&req->err, ERR_BAD_REQUEST, "unsupported algorithm " STR_FMT,
                       STR_ARG(algorithm));
    TRY(digest_of(digest, input, sum, &req->err));
    json_put_str(response_data(resp), "sum",
                 encode(req->arena, format, str_mem(sum, digest_len(digest))));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}
