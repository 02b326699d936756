/* A current key that encrypts, and a previous one that still decrypts. */
#include "seal/static_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "codec/base64.h"
#include "seal/blob.h"
#include "seal/stanza.h"

enum { KEY_LEN = 32, FILE_MAX = 4096 };

struct named_key {
    struct buf id;
    struct secret key; /* empty: there is none */
};

struct static_key {
    struct seal base; /* first */
    struct named_key current, previous;
};

static int static_encrypt(struct seal *s, struct str text, struct buf *out, struct err *err)
{
    const struct named_key *k = &((struct static_key *)s)->current;
    AUTO(buf_free) struct buf sealed = { 0 };

    TRY(seal_blob_lock(secret_str(&k->key), text, &sealed, err));
    seal_blob_print(out, &(struct seal_blob){ buf_str(&sealed), buf_str(&k->id) });
    return buf_check(out, err);
}

static int static_decrypt(struct seal *s, struct str entry, struct buf *out, struct err *err)
{
    const struct static_key *k = (struct static_key *)s;
    const struct named_key *const keys[] = { &k->current, &k->previous };
    struct seal_blob b;

    TRY(seal_blob_parse(entry, &b, err));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i]->key.n > 0 && str_eq(buf_str(&keys[i]->id), b.key_id))
            return seal_blob_unlock(secret_str(&keys[i]->key), b.ciphertext, out, err);
    return err_set(err, ERR_DENIED,
                   "seal \"static\": encrypted with key \"" STR_FMT "\", which is neither "
                   "current_key_id nor previous_key_id", STR_ARG(b.key_id));
}

static int static_key_id(struct seal *s, struct buf *out, struct err *err)
{
    buf_add(out, buf_str(&((struct static_key *)s)->current.id));
    return buf_check(out, err);
}

static void static_describe(struct seal *s, seal_row_fn *row, void *ctx)
{
    const struct static_key *k = (struct static_key *)s;

    row(ctx, "Static KMS Key ID", buf_str(&k->current.id));
    if (k->previous.key.n > 0)
        row(ctx, "Static KMS Previous Key ID", buf_str(&k->previous.id));
}

static void static_close(struct seal *s)
{
    struct static_key *k = (struct static_key *)s;

    buf_free(&k->current.id);
    buf_free(&k->previous.id);
    secret_free(&k->current.key);
    secret_free(&k->previous.key);
    free(k);
}

static const struct seal_ops static_ops = {
    .type = "static",
    .encrypt = static_encrypt,
    .decrypt = static_decrypt,
    .key_id = static_key_id,
    .describe = static_describe,
    .close = static_close,
};

/* A key's few bytes out of a file. */
static int read_file(struct arena *a, struct str path, struct buf *out, struct err *err)
{
    const char *name = arena_cstr(a, path);
    char part[FILE_MAX];
    int fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_BAD_REQUEST, STR_FMT ": %s", STR_ARG(path), strerror(errno));
    ssize_t n = read(fd, part, sizeof part);
    int failed = n < 0 ? errno : 0;
    close(fd);
    if (n > 0)
        buf_add(out, str_mem(part, (size_t)n));
    explicit_bzero(part, sizeof part);
    if (failed != 0)
        return err_set(err, ERR_BAD_REQUEST, STR_FMT ": %s", STR_ARG(path), strerror(failed));
    return buf_check(out, err);
}

/* Where the value stands: in an environment variable, in a file, or here. */
static int fetch(const struct seal_stanza *stanza, struct arena *a, struct str value,
                 struct buf *out, struct err *err)
{
    static const struct str env = STR_INIT("env://"), file = STR_INIT("file://");

    if (str_starts(value, file))
        return read_file(a, str_from(value, file.n), out, err);
    if (!str_starts(value, env)) {
        buf_add(out, value);
        return buf_check(out, err);
    }
    const char *name = arena_cstr(a, str_from(value, env.n));
    const char *text = name == NULL || stanza->env == NULL ? NULL
                                                           : stanza->env(stanza->env_ctx, name);
    if (text == NULL || text[0] == 0)
        return err_set(err, ERR_BAD_REQUEST, "environment variable " STR_FMT " is not set",
                       STR_ARG(str_from(value, env.n)));
    buf_add(out, str_of(text));
    return buf_check(out, err);
}

/* 32 bytes as they are, or in hex, or in base64. */
static int decode(struct arena *a, struct str value, struct secret *out, struct err *err)
{
    struct str text = str_trim(value), key;

    if (value.n == KEY_LEN)
        return secret_set(out, value, err);
    if ((text.n == 2 * KEY_LEN && hex_decode(a, text, &key, NULL) == 0)
        || (base64_decode(a, text, &key, NULL) == 0 && key.n == KEY_LEN))
        return secret_set(out, key, err);
    return err_set(err, ERR_BAD_REQUEST,
                   "a key of %d bytes expected, as it is, in hex or in base64", KEY_LEN);
}

static int read_key(const struct seal_stanza *stanza, const char *id_name, const char *key_name,
                    bool wanted, struct named_key *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf value = { 0 };
    struct str id = stanza_option(stanza, id_name), key = stanza_option(stanza, key_name);

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (id.n == 0 && key.n == 0 && !wanted)
        return 0;
    if (id.n == 0 || key.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "%s is required", id.n == 0 ? id_name : key_name);
    buf_add(&out->id, id);
    TRY(buf_check(&out->id, err));
    if (fetch(stanza, a, key, &value, err) < 0 || decode(a, buf_str(&value), &out->key, err) < 0)
        return err_prefix(err, "%s", key_name);
    return 0;
}

static int static_open(const struct seal_stanza *stanza, struct seal **out, struct err *err)
{
    struct static_key *k = calloc(1, sizeof *k);
    if (k == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    k->base.ops = &static_ops;
    int result = read_key(stanza, "current_key_id", "current_key", true, &k->current, err);
    if (result == 0)
        result = read_key(stanza, "previous_key_id", "previous_key", false, &k->previous, err);
    if (result == 0 && k->previous.key.n > 0
        && str_eq(buf_str(&k->current.id), buf_str(&k->previous.id)))
        result = err_set(err, ERR_BAD_REQUEST,
                         "current_key_id and previous_key_id must not be the same");
    if (result < 0) {
        static_close(&k->base);
        return -1;
    }
    *out = &k->base;
    return 0;
}

static const char *const options[] = { "current_key", "current_key_id", "previous_key",
                                       "previous_key_id", NULL };
const struct seal_kind seal_static_key = { "static", options, static_open };
