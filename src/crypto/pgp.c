/*
 * OpenPGP by librnp (the library that Thunderbird carries), loaded when first used: rare enough
 * that a server need not pay for it at every start.  GPGME was weighed: it runs gpg and gpg-agent
 * as processes, with a key ring on disk.
 */
#include "crypto/pgp.h"

#include <dlfcn.h>
#include <pthread.h>
#include <rnp/rnp.h>
#include <rnp/rnp_err.h>

#include "codec/base64.h"

/* What is used of librnp, with its own types. */
#define FUNCTIONS(X)                                                                               \
    X(rnp_ffi_create)                                                                              \
    X(rnp_ffi_destroy)                                                                             \
    X(rnp_input_from_memory)                                                                       \
    X(rnp_input_destroy)                                                                           \
    X(rnp_output_to_memory)                                                                        \
    X(rnp_output_memory_get_buf)                                                                   \
    X(rnp_output_destroy)                                                                          \
    X(rnp_import_keys)                                                                             \
    X(rnp_identifier_iterator_create)                                                              \
    X(rnp_identifier_iterator_next)                                                                \
    X(rnp_identifier_iterator_destroy)                                                             \
    X(rnp_locate_key)                                                                              \
    X(rnp_key_is_primary)                                                                          \
    X(rnp_key_get_default_key)                                                                     \
    X(rnp_key_get_fprint)                                                                          \
    X(rnp_key_handle_destroy)                                                                      \
    X(rnp_op_encrypt_create)                                                                       \
    X(rnp_op_encrypt_add_recipient)                                                                \
    X(rnp_op_encrypt_set_cipher)                                                                   \
    X(rnp_op_encrypt_execute)                                                                      \
    X(rnp_op_encrypt_destroy)                                                                      \
    X(rnp_buffer_destroy)

#define MEMBER(name) __typeof__(name) *name;
#define NAME(name) #name,

static struct {
    FUNCTIONS(MEMBER)
} rnp; /* written under once */
static bool rnp_there; /* written under once */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const char *const names[] = { FUNCTIONS(NAME) };
    void *library = dlopen("librnp.so.0", RTLD_NOW | RTLD_LOCAL);

    if (library == NULL)
        return;
    _Static_assert(sizeof rnp == sizeof names, "one address for each name");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        void *address = dlsym(library, names[i]);
        if (address == NULL)
            return;
        memcpy((char *)&rnp + i * sizeof address, &address, sizeof address);
    }
    rnp_there = true;
}

/* One key and what it takes to use it; every handle is released by key_drop. */
struct key {
    rnp_ffi_t ffi;
    rnp_input_t input;
    rnp_key_handle_t primary, encrypts;
    rnp_identifier_iterator_t walk;
    char *fingerprint;
};

static void key_drop(struct key *k)
{
    if (k->fingerprint != NULL)
        rnp.rnp_buffer_destroy(k->fingerprint);
    if (k->walk != NULL)
        (void)rnp.rnp_identifier_iterator_destroy(k->walk);
    if (k->encrypts != NULL)
        (void)rnp.rnp_key_handle_destroy(k->encrypts);
    if (k->primary != NULL)
        (void)rnp.rnp_key_handle_destroy(k->primary);
    if (k->input != NULL)
        (void)rnp.rnp_input_destroy(k->input);
    if (k->ffi != NULL)
        (void)rnp.rnp_ffi_destroy(k->ffi);
}

static int unusable(struct err *err, const char *why)
{
    return err_set(err, ERR_BAD_REQUEST, "error parsing given PGP key: %s", why);
}

/* The first primary key of what was imported, as Vault takes the first entity. */
static int find_primary(struct key *k, struct err *err)
{
    const char *fingerprint;

    if (rnp.rnp_identifier_iterator_create(k->ffi, &k->walk, "fingerprint") != RNP_SUCCESS)
        return err_set(err, ERR_NOMEM, "out of memory for a PGP key");
    while (rnp.rnp_identifier_iterator_next(k->walk, &fingerprint) == RNP_SUCCESS &&
           fingerprint != NULL) {
        bool primary = false;
        if (rnp.rnp_locate_key(k->ffi, "fingerprint", fingerprint, &k->primary) != RNP_SUCCESS ||
            k->primary == NULL)
            continue;
        if (rnp.rnp_key_is_primary(k->primary, &primary) == RNP_SUCCESS && primary)
            return 0;
        (void)rnp.rnp_key_handle_destroy(k->primary);
        k->primary = NULL;
    }
    return unusable(err, "it holds no primary key");
}

/* Read the key, find whom to encrypt to. */
static int key_load(struct arena *a, struct str key_base64, struct key *k, struct err *err)
{
    struct err why = { 0 };
    struct str bytes;

    pthread_once(&once, load);
    if (!rnp_there)
        return err_set(err, ERR_INTERNAL,
                       "PGP keys need the library librnp.so.0: install the package librnp0");
    if (base64_decode(a, key_base64, &bytes, &why) < 0)
        return err_set(err, ERR_BAD_REQUEST, "error decoding given PGP key: %s", why.msg);
    if (bytes.n == 0)
        return unusable(err, "it is empty");
    if (rnp.rnp_ffi_create(&k->ffi, "GPG", "GPG") != RNP_SUCCESS ||
        rnp.rnp_input_from_memory(&k->input, (const uint8_t *)bytes.p, bytes.n, false) !=
            RNP_SUCCESS)
        return err_set(err, ERR_NOMEM, "out of memory for a PGP key");
    if (rnp.rnp_import_keys(k->ffi, k->input, RNP_LOAD_SAVE_PUBLIC_KEYS, NULL) != RNP_SUCCESS)
        return unusable(err, "it is no OpenPGP public key");
    TRY(find_primary(k, err));
    if (rnp.rnp_key_get_fprint(k->primary, &k->fingerprint) != RNP_SUCCESS)
        return err_set(err, ERR_NOMEM, "out of memory for a PGP key");
    if (rnp.rnp_key_get_default_key(k->primary, "encrypt", 0, &k->encrypts) != RNP_SUCCESS)
        return unusable(err, "it holds no valid key to encrypt to");
    return 0;
}

/* An encryption on its way. */
struct message {
    rnp_input_t input;
    rnp_output_t output;
    rnp_op_encrypt_t op;
};

static void message_drop(struct message *m)
{
    if (m->op != NULL)
        (void)rnp.rnp_op_encrypt_destroy(m->op);
    if (m->output != NULL)
        (void)rnp.rnp_output_destroy(m->output);
    if (m->input != NULL)
        (void)rnp.rnp_input_destroy(m->input);
}

static int encrypt(struct arena *a, const struct key *k, struct str plain, struct str *out,
                   struct err *err)
{
    AUTO(message_drop) struct message m = { 0 };
    uint8_t *bytes;
    size_t n;

    if (rnp.rnp_input_from_memory(&m.input, (const uint8_t *)plain.p, plain.n, false) !=
            RNP_SUCCESS ||
        rnp.rnp_output_to_memory(&m.output, 0) != RNP_SUCCESS ||
        rnp.rnp_op_encrypt_create(&m.op, k->ffi, m.input, m.output) != RNP_SUCCESS)
        return err_set(err, ERR_NOMEM, "out of memory for a PGP message");
    if (rnp.rnp_op_encrypt_add_recipient(m.op, k->encrypts) != RNP_SUCCESS ||
        rnp.rnp_op_encrypt_set_cipher(m.op, "AES256") != RNP_SUCCESS ||
        rnp.rnp_op_encrypt_execute(m.op) != RNP_SUCCESS ||
        rnp.rnp_output_memory_get_buf(m.output, &bytes, &n, false) != RNP_SUCCESS)
        return err_set(err, ERR_INTERNAL, "error encrypting PGP message");
    *out = arena_dup(a, str_mem(bytes, n));
    return arena_check(a, err);
}

/* Lower case, as Vault shows it. */
static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_bytes(a, s.n);

    for (size_t i = 0; p != NULL && i < s.n; i++)
        p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + ('a' - 'A')) : s.p[i];
    return str_mem(p, p == NULL ? 0 : s.n);
}

int pgp_encrypt(struct arena *a, struct str key_base64, struct str plain, struct str *out,
                struct str *fingerprint, struct err *err)
{
    AUTO(key_drop) struct key key = { 0 };

    TRY(key_load(a, key_base64, &key, err));
    *fingerprint = lower(a, str_of(key.fingerprint));
    return encrypt(a, &key, plain, out, err);
}

int pgp_check(struct str key_base64, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(key_drop) struct key key = { 0 };

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a PGP key");
    return key_load(a, key_base64, &key, err);
}
