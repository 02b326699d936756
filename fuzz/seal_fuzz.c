/*
 * Fuzz target: what a seal keeps in the store, outside the barrier, read from any bytes: an
 * EncryptedBlobInfo (first byte even) or a seal's configuration (odd).  What was read and written
 * once reads the same from then on.
 */
#include <stdlib.h>

#include "seal/blob.h"
#include "seal/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void blob(struct str text)
{
    AUTO(buf_free) struct buf again = { 0 };
    struct seal_blob one, two;
    struct err err = { 0 };
    if (seal_blob_parse(text, &one, &err) < 0)
        return;
    seal_blob_print(&again, &one);
    must(!again.failed && seal_blob_parse(buf_str(&again), &two, &err) == 0);
    must(str_eq(one.ciphertext, two.ciphertext) && str_eq(one.key_id, two.key_id));
}

static void config(struct str text)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_config one, two;
    struct err err = { 0 };
    if (a == NULL || seal_config_parse(a, text, &one, &err) < 0)
        return;
    (void)!seal_config_check(&one, &err);
    struct str printed = seal_config_print(a, &one);
    must(seal_config_parse(a, printed, &two, &err) == 0);
    must(str_eq(seal_config_print(a, &two), printed));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str text = str_mem(data + 1, size - 1);
    (data[0] % 2 == 0 ? blob : config)(text);
    return 0;
}
