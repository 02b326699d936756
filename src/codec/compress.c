/* Gzip by zlib, snappy by codec/snappy.c. */
#include "codec/compress.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/snappy.h"

enum { GZIP = 'G', SNAPPY = 'S', LZW = 'L', LZ4 = '4' };
/* zlib: the largest window, plus 16: with gzip's head and checksum. */
enum { WINDOW_GZIP = 15 + 16, MEMORY_DEFAULT = 8, STEP = 16 * 1024 };

/* zlib's memory holds plaintext: it is wiped when it is released.  The head keeps its length. */
union piece {
    size_t n;
    max_align_t align;
};

static voidpf piece_alloc(voidpf unused, uInt count, uInt size)
{
    size_t n = (size_t)count * size;
    union piece *p = n > SIZE_MAX - sizeof *p ? NULL : malloc(sizeof *p + n);

    if (p == NULL)
        return NULL;
    p->n = n;
    return p + 1;
}

static void piece_free(voidpf unused, voidpf address)
{
    union piece *p = (union piece *)address - 1;

    explicit_bzero(p + 1, p->n);
    free(p);
}

static void deflate_drop(z_stream *z)
{
    (void)deflateEnd(z);
}

static void inflate_drop(z_stream *z)
{
    (void)inflateEnd(z);
}

int compress_gzip(struct str plain, struct buf *out, struct err *err)
{
    AUTO(deflate_drop) z_stream z = { .zalloc = piece_alloc, .zfree = piece_free };

    if (plain.n > COMPRESS_OUT_MAX)
        return err_set(err, ERR_TOO_LARGE, "%zu bytes are too many to compress", plain.n);
    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, WINDOW_GZIP, MEMORY_DEFAULT,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return err_set(err, ERR_NOMEM, "out of memory to compress");
    uLong room = deflateBound(&z, (uLong)plain.n);
    buf_reserve(out, room + 1);
    TRY(buf_check(out, err));
    z.next_in = (Bytef *)(uintptr_t)plain.p;
    z.avail_in = (uInt)plain.n;
    z.next_out = (Bytef *)out->p + out->n + 1;
    z.avail_out = (uInt)room;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        return err_set(err, ERR_INTERNAL, "zlib failed to compress");
    out->p[out->n] = GZIP;
    out->n += 1 + room - z.avail_out;
    return 0;
}

int compress_snappy(struct str plain, struct buf *out, struct err *err)
{
    buf_byte(out, SNAPPY);
    snappy_frame(plain, out);
    return buf_check(out, err);
}

/* One step: what fits in the room that is made. 1: the stream goes on, 0: its end. */
static int inflate_step(z_stream *z, struct buf *out, struct err *err)
{
    buf_reserve(out, STEP);
    TRY(buf_check(out, err));
    size_t room = out->cap - out->n < INT_MAX ? out->cap - out->n : INT_MAX;
    z->next_out = (Bytef *)out->p + out->n;
    z->avail_out = (uInt)room;
    int result = inflate(z, Z_NO_FLUSH);
    out->n += room - z->avail_out;
    if (result == Z_STREAM_END)
        return 0;
    if (result == Z_OK && (z->avail_in > 0 || z->avail_out == 0))
        return 1;
    if (result == Z_MEM_ERROR)
        return err_set(err, ERR_NOMEM, "out of memory to decompress");
    return err_set(err, ERR_CORRUPT, "gzip: the compressed value is damaged");
}

static int expand_gzip(struct str packed, struct buf *out, struct err *err)
{
    AUTO(inflate_drop) z_stream z = { .zalloc = piece_alloc, .zfree = piece_free };
    size_t start = out->n;
    int more = 1;

    if (packed.n > UINT_MAX)
        return err_set(err, ERR_TOO_LARGE, "%zu bytes are too many to decompress", packed.n);
    if (inflateInit2(&z, WINDOW_GZIP) != Z_OK)
        return err_set(err, ERR_NOMEM, "out of memory to decompress");
    z.next_in = (Bytef *)(uintptr_t)packed.p;
    z.avail_in = (uInt)packed.n;
    while (more > 0) {
        more = inflate_step(&z, out, err);
        TRY(more);
        if (out->n - start > COMPRESS_OUT_MAX)
            return err_set(err, ERR_TOO_LARGE, "the compressed value is larger than %d bytes",
                           COMPRESS_OUT_MAX);
    }
    if (z.avail_in > 0)
        return err_set(err, ERR_CORRUPT, "gzip: bytes after the end of the compressed value");
    return 0;
}

static int expand(struct str stored, struct buf *out, struct err *err)
{
    struct str packed = str_from(stored, 1);

    switch (stored.n == 0 ? 0 : stored.p[0]) {
    case GZIP:
        return expand_gzip(packed, out, err);
    case SNAPPY:
        return snappy_expand(packed, COMPRESS_OUT_MAX, out, err);
    case LZW:
    case LZ4:
        return err_set(err, ERR_CORRUPT, "the value is compressed in a way that is not supported");
    }
    buf_add(out, stored);
    return buf_check(out, err);
}

int decompress(struct str stored, struct buf *out, struct err *err)
{
    size_t before = out->n;

    if (expand(stored, out, err) == 0)
        return 0;
    if (out->n > before)
        explicit_bzero(out->p + before, out->n - before);
    out->n = before;
    return -1;
}
