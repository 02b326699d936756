/* Fuzz target: SSH keys are read or refused; a key that was read is written back the same. */
#include <stdlib.h>

#include "crypto/sshkey.h"
#include "crypto/sshprivate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(pkey_drop) struct pkey *k = NULL;
    struct str bytes = str_mem(data, size);
    struct sshkey key, again;

    if (sshkey_parse(a, bytes, &key, NULL) == 0) {
        must(sshkey_parse(a, key.blob, &again, NULL) == 0);
        must(str_eq(key.blob, again.blob) && key.bits == again.bits);
    }
    if (sshprivate_parse(a, bytes, &k, NULL) == 0)
        must(sshkey_of(a, k, &key, NULL) == 0);
    return 0;
}
