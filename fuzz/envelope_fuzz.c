/*
 * Fuzz target: bytes that nobody sealed do not open, and leave nothing behind.  What begins with
 * a brace is sealed properly as a keyring instead, so that its JSON is looked at.
 */
#include <stdlib.h>

#include "barrier/envelope.h"
#include "barrier/keyring.h"
#include "crypto/aead.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct str root = STR_INIT("0123456789abcdef0123456789abcdef");

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void open_foreign(struct str bytes)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct keyring *k, *none;
    struct err err = { 0 };

    must(keyring_new(root, 0, &k, &err) == 0);
    must(keyring_open(k, STR("path"), bytes, &out, &err) < 0);
    must(err.code == ERR_CORRUPT && out.n == 0);
    must(keyring_open_up(root, bytes, &none, &err) < 0);
    keyring_free(k);
}

/* A ring that opens is stored and opens again. */
static void open_keyring(struct str json)
{
    AUTO(buf_free) struct buf stored = { 0 };
    AUTO(buf_free) struct buf again = { 0 };
    struct aead *aead;
    struct keyring *k, *copy;
    struct err err = { 0 };

    must(aead_new(AEAD_AES256_GCM, root, &aead, &err) == 0);
    must(envelope_seal(aead, 1, STR("core/keyring"), json, &stored, &err) == 0);
    aead_free(aead);
    if (keyring_open_up(root, buf_str(&stored), &k, &err) < 0) {
        must(err.code == ERR_CORRUPT);
        return;
    }
    must(keyring_close_up(k, &again, &err) == 0);
    must(keyring_open_up(keyring_root_key(k), buf_str(&again), &copy, &err) == 0);
    must(keyring_active(k).term == keyring_active(copy).term);
    keyring_free(k);
    keyring_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == '{')
        open_keyring(str_mem(data, size));
    else
        open_foreign(str_mem(data, size));
    return 0;
}
