/* Bcrypt: password hashes as Vault stores them, by libcrypt. */
#include "auth/bcrypt.h"

#include <crypt.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/secret.h"

enum { COST = 10, SALT_LEN = 16, HASH_LEN = 60 };

/* Room for libcrypt's work, wiped and released. */
static void work_free(struct crypt_data **work)
{
    if (*work != NULL)
        explicit_bzero(*work, sizeof **work);
    free(*work);
}

static void bytes_free(char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    free(*text);
}

/* Bcrypt ends at a NUL: a password that holds one would be as good as its beginning. */
static char *terminated(struct str password)
{
    if (password.n > 0 && memchr(password.p, '\0', password.n) != NULL)
        return NULL;
    char *text = malloc(password.n + 1);
    if (text == NULL)
        return NULL;
    if (password.n > 0)
        memcpy(text, password.p, password.n);
    text[password.n] = '\0';
    return text;
}

/*
 * Computed as $2b whatever the prefix: libcrypt's own $2a differs from everybody else's for some
 * passwords with bytes above 0x7f.  ${out} has HASH_LEN characters when this is true.
 */
static bool run(struct str password, struct str setting, struct crypt_data *work, const char **out)
{
    AUTO(bytes_free) char *text = terminated(password);
    char own[HASH_LEN + 1];

    *out = NULL;
    if (text == NULL || setting.n < sizeof "$2b$" || setting.n > HASH_LEN)
        return false;
    memcpy(own, setting.p, setting.n);
    own[setting.n] = '\0';
    own[2] = 'b';
    *out = crypt_rn(text, own, work, sizeof *work);
    return *out != NULL && (*out)[0] == '$' && strlen(*out) == HASH_LEN;
}

/* The part behind "$2a". */
enum { VARIANT_LEN = 3 };

int bcrypt_hash(struct arena *a, struct str password, struct str *out, struct err *err)
{
    AUTO(work_free) struct crypt_data *work = calloc(1, sizeof *work);
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], salt[SALT_LEN];
    const char *hash;

    if (work == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    random_fill(salt, sizeof salt);
    if (crypt_gensalt_rn("$2b$", COST, salt, sizeof salt, setting, sizeof setting) == NULL ||
        !run(password, str_of(setting), work, &hash))
        return err_set(err, ERR_BAD_REQUEST, "the password cannot be hashed");
    *out = arena_cat(a, STR("$2a"), str_of(hash + VARIANT_LEN));
    return arena_check(a, err);
}

static bool is_bcrypt(struct str hash)
{
    return hash.n == HASH_LEN && (str_starts(hash, STR("$2a$")) || str_starts(hash, STR("$2b$")) ||
                                  str_starts(hash, STR("$2y$")));
}

bool bcrypt_verify(struct str hash, struct str password)
{
    AUTO(work_free) struct crypt_data *work = calloc(1, sizeof *work);
    const char *got;

    if (work == NULL || !is_bcrypt(hash) || !run(password, hash, work, &got))
        return false;
    return secret_eq(str_from(str_of(got), VARIANT_LEN), str_from(hash, VARIANT_LEN));
}

void bcrypt_pretend(struct str password)
{
    AUTO(work_free) struct crypt_data *work = calloc(1, sizeof *work);
    const char *got;

    /* Any salt of Vault's cost will do. */
    if (work != NULL)
        (void)run(password, STR("$2b$10$Kq8vY2mXc4Rt0Wz6Bn1Ld."), work, &got);
}
