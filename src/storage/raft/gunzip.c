/*
 * Gunzip, by zlib.  libarchive's own gzip filter checks neither length nor checksum, and takes
 * whatever follows the stream for another one or for nothing.
 */
#include "storage/raft/gunzip.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

/* zlib: the largest window, plus 16: with gzip's head and checksum. */
enum { WINDOW_GZIP = 15 + 16, HEAD = 10, PIECE = 64 * 1024 };

struct gunzip {
    int fd;
    off_t at; /* read up to here */
    bool ended;
    uint64_t given, nonzero;
    z_stream z;
    unsigned char in[PIECE], out[PIECE];
};

/* As many bytes as there are, up to ${n}. */
static int read_some(int fd, off_t at, void *p, size_t n, size_t *got, struct err *err)
{
    ssize_t part;

    for (*got = 0; *got < n; *got += (size_t)part) {
        do {
            part = pread(fd, (char *)p + *got, n - *got, at + (off_t)*got);
        } while (part < 0 && errno == EINTR);
        if (part < 0)
            return err_set(err, ERR_IO, "read: %s", strerror(errno));
        if (part == 0)
            break;
    }
    return 0;
}

static int check_head(int fd, struct err *err)
{
    unsigned char head[HEAD];
    size_t n;

    TRY(read_some(fd, 0, head, sizeof head, &n, err));
    if (n < sizeof head)
        return err_set(err, ERR_BAD_REQUEST, n == 0 ? "EOF" : "unexpected EOF");
    if (head[0] != 0x1f || head[1] != 0x8b || head[2] != Z_DEFLATED)
        return err_set(err, ERR_BAD_REQUEST, "gzip: invalid header");
    return 0;
}

int gunzip_open(int fd, struct gunzip **out, struct err *err)
{
    TRY(check_head(fd, err));
    struct gunzip *g = calloc(1, sizeof *g);
    if (g == NULL)
        return err_set(err, ERR_NOMEM, "out of memory to decompress");
    g->fd = fd;
    if (inflateInit2(&g->z, WINDOW_GZIP) != Z_OK) {
        free(g);
        return err_set(err, ERR_NOMEM, "out of memory to decompress");
    }
    *out = g;
    return 0;
}

void gunzip_close(struct gunzip *g)
{
    if (g == NULL)
        return;
    (void)inflateEnd(&g->z);
    free(g);
}

void gunzip_drop(struct gunzip **g)
{
    gunzip_close(*g);
}

/* More input. 1, 0 at the end of the file. */
static int refill(struct gunzip *g, struct err *err)
{
    size_t n;

    TRY(read_some(g->fd, g->at, g->in, sizeof g->in, &n, err));
    g->at += (off_t)n;
    g->z.next_in = g->in;
    g->z.avail_in = (uInt)n;
    return n > 0;
}

/* One call of inflate. 1: go on, 0: the end of the stream. */
static int inflate_step(struct gunzip *g, struct err *err)
{
    if (g->z.avail_in == 0) {
        int more = refill(g, err);
        if (more <= 0)
            return more < 0 ? -1 : err_set(err, ERR_BAD_REQUEST, "unexpected EOF");
    }
    int rc = inflate(&g->z, Z_NO_FLUSH);
    if (rc == Z_STREAM_END)
        return 0;
    if (rc == Z_MEM_ERROR)
        return err_set(err, ERR_NOMEM, "out of memory to decompress");
    if (rc != Z_OK)
        return err_set(err, ERR_BAD_REQUEST, "gzip: %s",
                       g->z.msg != NULL ? g->z.msg : "invalid data");
    return 1;
}

/* Nothing may follow the stream. */
static int check_end(struct gunzip *g, struct err *err)
{
    int more = g->z.avail_in > 0 ? 1 : refill(g, err);

    if (more > 0)
        return err_set(err, ERR_BAD_REQUEST, "gzip: data after the end of the stream");
    return more;
}

static void account(struct gunzip *g, size_t n)
{
    for (size_t i = n; i > 0; i--)
        if (g->out[i - 1] != 0) {
            g->nonzero = g->given + i;
            break;
        }
    g->given += n;
}

int gunzip_next(struct gunzip *g, struct str *out, struct err *err)
{
    if (g->ended)
        return 0;
    g->z.next_out = g->out;
    g->z.avail_out = PIECE;
    while (g->z.avail_out > 0) {
        int going = inflate_step(g, err);
        TRY(going);
        if (going == 0) {
            TRY(check_end(g, err));
            g->ended = true;
            break;
        }
    }
    *out = str_mem(g->out, PIECE - g->z.avail_out);
    account(g, out->n);
    return out->n > 0;
}

uint64_t gunzip_given(const struct gunzip *g)
{
    return g->given;
}

uint64_t gunzip_nonzero(const struct gunzip *g)
{
    return g->nonzero;
}
