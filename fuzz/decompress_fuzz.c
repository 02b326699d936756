/* Fuzz target: a stored value is decompressed or refused whole; gzip comes back the same. */
#include <stdlib.h>

#include "codec/compress.h"
#include "codec/snappy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf out = { 0 }, packed = { 0 }, again = { 0 };
    struct str bytes = str_mem(data, size);
    struct err err = { 0 };

    if (snappy_expand(bytes, 1 << 20, &out, &err) == 0)
        must(out.n <= 1 << 20);
    buf_clear(&out);
    if (size > 4096) /* a bomb only costs time here */
        return 0;
    if (decompress(bytes, &out, &err) < 0)
        must(out.n == 0 && (err.code == ERR_CORRUPT || err.code == ERR_TOO_LARGE));
    must(compress_gzip(bytes, &packed, &err) == 0);
    must(decompress(buf_str(&packed), &again, &err) == 0);
    must(str_eq(buf_str(&again), bytes));
    return 0;
}
