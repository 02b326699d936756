/*
 * Fuzz target: a snapshot archive is checked or refused.  The first byte says what follows: a file
 * as it is, a tar to be compressed, or state.bin.  What the check passes gives its entries; the same
 * state.bin in one piece and in many is judged the same.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codec/compress.h"
#include "storage/raft/archive.h"
#include "storage/raft/statebin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static int count(void *ctx, struct str key, struct str value, struct err *err)
{
    ++*(size_t *)ctx;
    return 0;
}

static void check(struct str bytes)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct archive_meta meta;
    struct err err = { 0 };
    size_t n = 0;
    int fd = memfd_create("archive", MFD_CLOEXEC);

    must(fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
    if (archive_check(fd, a, NULL, NULL, &meta, &err) == 0)
        must(archive_entries(fd, count, &n, &err) == 0);
    else
        must(err.code == ERR_BAD_REQUEST);
    close(fd);
}

static void check_state(struct str bytes)
{
    AUTO(statebin_fini) struct statebin whole = { 0 }, torn = { 0 };
    struct err err = { 0 };
    int rc = statebin_feed(&whole, bytes, &err), pieces = 0;

    for (size_t i = 0; i < bytes.n && pieces == 0; i++)
        pieces = statebin_feed(&torn, str_head(str_from(bytes, i), 1), &err);
    must(rc == pieces && whole.n == torn.n);
    must(rc < 0 || statebin_end(&whole, &err) == statebin_end(&torn, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf packed = { 0 };
    struct err err = { 0 };

    if (size == 0)
        return 0;
    struct str rest = str_mem(data + 1, size - 1);
    if (data[0] % 3 == 0)
        check(rest);
    if (data[0] % 3 == 1) {
        must(compress_gzip(rest, &packed, &err) == 0);
        check(str_from(buf_str(&packed), 1));
    }
    if (data[0] % 3 == 2)
        check_state(rest);
    return 0;
}
