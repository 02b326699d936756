/*
 * Archives by libarchive; gzip is read by gunzip, which is strict.
 *
 * Values are ciphertext: deflate finds nothing in them, and at its fastest spends 15 ns a byte on
 * saving a quarter (the keys).  So the stream is stored, not deflated: 20 times faster to write and
 * 9 times to read.  The spool is plain for the same reason.
 */
#include "storage/raft/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/json.h"
#include "crypto/digest.h"
#include "storage/raft/gunzip.h"
#include "storage/raft/libarchive.h"
#include "storage/raft/statebin.h"

/* The files, in their order. */
enum file { META, STATE, SUMS, SEALED, FILES };
enum { HASHED = STATE + 1, HASH = 32, PIECE = 64 * 1024, PADDING_MAX = 1 << 20 };

static const struct {
    const char *name;
    int64_t max; /* bytes to accept */
} files[FILES] = {
    [META] = { "meta.json", 1 << 20 },
    [STATE] = { "state.bin", INT64_MAX },
    [SUMS] = { "SHA256SUMS", 4096 },
    [SEALED] = { "SHA256SUMS.sealed", 64 * 1024 },
};

/* ---- SHA256SUMS ---- */

typedef uint8_t hashes[HASHED][DIGEST_MAX];

static void add_hex(struct buf *out, const uint8_t hash[HASH])
{
    for (size_t i = 0; i < HASH; i++)
        buf_printf(out, "%02x", hash[i]);
}

static void sums_print(hashes h, struct buf *out)
{
    for (size_t i = 0; i < HASHED; i++) {
        add_hex(out, h[i]);
        buf_printf(out, "  %s\n", files[i].name);
    }
}

/* With a foreign name in quotes, cut when it is long. */
static int refuse_name(const char *before, struct str name, const char *after, struct err *err)
{
    enum { SHOWN = 100 };
    AUTO(buf_free) struct buf quoted = { 0 };

    json_print_string(str_head(name, SHOWN), &quoted);
    TRY(buf_check(&quoted, err));
    return err_set(err, ERR_BAD_REQUEST, "%s" STR_FMT "%s", before, STR_ARG(buf_str(&quoted)),
                   after);
}

/* One line: "<hex>  <name>".  Vault lists the files in no certain order. */
static int sums_line(struct str line, hashes h, bool seen[HASHED], struct err *err)
{
    AUTO(buf_free) struct buf hex = { 0 };
    struct str name = str_from(line, (size_t)2 * HASH + 2);
    size_t i = 0;

    if (!str_starts(str_from(line, (size_t)2 * HASH), STR("  ")) || name.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "SHA256SUMS: a line has no hash and name");
    while (i < HASHED && !str_is(name, files[i].name))
        i++;
    if (i == HASHED)
        return refuse_name("list missing hash for ", name, "", err);
    if (seen[i])
        return refuse_name("more than one hash for ", name, "", err);
    seen[i] = true;
    add_hex(&hex, h[i]);
    TRY(buf_check(&hex, err));
    if (!str_eq_nocase(buf_str(&hex), str_head(line, (size_t)2 * HASH)))
        return refuse_name("hash check failed for ", name, "", err);
    return 0;
}

static int sums_verify(struct str text, hashes h, struct err *err)
{
    bool seen[HASHED] = { false };
    struct str line;

    while (str_next(&text, '\n', &line))
        if (line.n > 0)
            TRY(sums_line(line, h, seen, err));
    for (size_t i = 0; i < HASHED; i++)
        if (!seen[i])
            return refuse_name("file missing for ", str_of(files[i].name), "", err);
    return 0;
}

/* ---- writing ---- */

struct writing {
    struct libarchive la;
    const struct archive_calls *calls;
    struct archive *tar;
    int64_t now_s;
    int spool;
    uint64_t size; /* of state.bin */
    hashes h;
    struct err *err; /* ours, or set by a call within libarchive */
    bool failed;     /* err is set */
};

static void fd_drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* A file without a name. */
static int spool_open(const char *dir, int *out, struct err *err)
{
    AUTO(buf_free) struct buf path = { 0 };

    *out = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*out >= 0)
        return 0;
    /* Not every file system can do that. */
    buf_printf(&path, "%s/.snapshot-XXXXXX", dir);
    buf_byte(&path, '\0');
    TRY(buf_check(&path, err));
    *out = mkostemp(path.p, O_CLOEXEC);
    if (*out < 0)
        return err_set(err, ERR_IO, "snapshot: temporary file in %s: %s", dir, strerror(errno));
    unlink(path.p);
    return 0;
}

static int spool_write(struct writing *w, struct digest_run *hash, struct str bytes,
                       struct err *err)
{
    TRY(digest_run_add(hash, bytes, err));
    w->size += bytes.n;
    while (bytes.n > 0) {
        ssize_t n = write(w->spool, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, ERR_IO, "snapshot: temporary file: %s", strerror(errno));
        bytes = str_from(bytes, (size_t)n);
    }
    return 0;
}

static int spool_flush(struct writing *w, struct digest_run *hash, struct buf *piece,
                       struct err *err)
{
    TRY(buf_check(piece, err));
    TRY(spool_write(w, hash, buf_str(piece), err));
    buf_clear(piece);
    return 0;
}

/* Small values are gathered, large ones go by themselves. */
static int spool_value(struct writing *w, struct digest_run *hash, struct buf *piece,
                       struct str value, struct err *err)
{
    if (piece->n + value.n > PIECE)
        TRY(spool_flush(w, hash, piece, err));
    if (value.n > PIECE)
        return spool_write(w, hash, value, err);
    buf_add(piece, value);
    return 0;
}

static int spool_entries(struct writing *w, struct err *err)
{
    AUTO(digest_run_drop) struct digest_run *hash = NULL;
    AUTO(buf_free) struct buf piece = { 0 };
    AUTO(statebin_fini) struct statebin state = { 0 };
    struct str key, value;
    int found;

    TRY(digest_run_new(DIGEST_SHA256, &hash, err));
    while ((found = w->calls->next(w->calls->next_ctx, &key, &value, err)) > 0) {
        if (statebin_head(&state, key, value.n, &piece, err) < 0)
            return err_prefix(err, "snapshot");
        TRY(spool_value(w, hash, &piece, value, err));
    }
    TRY(found);
    TRY(spool_flush(w, hash, &piece, err));
    return digest_run_end(hash, w->h[STATE], err);
}

/* ${text} and its hash, of the file that says what the snapshot is. */
static int print_meta(struct writing *w, const struct archive_meta *meta, struct buf *text,
                      struct err *err)
{
    struct archive_meta m = *meta;

    m.size = w->size;
    TRY(archive_meta_print(&m, text, err));
    return digest_of(DIGEST_SHA256, buf_str(text), w->h[META], err);
}

static la_ssize_t tar_sink(struct archive *tar, void *ctx, const void *p, size_t n)
{
    struct writing *w = ctx;

    if (!w->failed && w->calls->sink(w->calls->sink_ctx, str_mem(p, n), w->err) == 0)
        return (la_ssize_t)n;
    w->failed = true;
    w->la.set_error_fn(tar, EIO, "the sink failed");
    return -1;
}

/* What libarchive returned, as our error. */
static int tar_ok(struct writing *w, la_ssize_t rc)
{
    if (rc >= ARCHIVE_OK)
        return 0;
    if (!w->failed)
        err_set(w->err, w->la.errno_fn(w->tar) == ENOMEM ? ERR_NOMEM : ERR_INTERNAL, "snapshot: %s",
                w->la.error_string_fn(w->tar));
    w->failed = true;
    return -1;
}

static int tar_header(struct writing *w, enum file file, uint64_t size)
{
    struct archive_entry *e = w->la.entry_new_fn();

    if (e == NULL) {
        w->failed = true;
        return err_set(w->err, ERR_NOMEM, "out of memory");
    }
    w->la.entry_set_pathname_fn(e, files[file].name);
    w->la.entry_set_filetype_fn(e, AE_IFREG);
    w->la.entry_set_perm_fn(e, 0600);
    w->la.entry_set_mtime_fn(e, w->now_s, 0);
    w->la.entry_set_size_fn(e, (int64_t)size);
    int rc = tar_ok(w, w->la.write_header_fn(w->tar, e));
    w->la.entry_free_fn(e);
    return rc;
}

static int tar_bytes(struct writing *w, struct str bytes)
{
    return tar_ok(w, w->la.write_data_fn(w->tar, bytes.p, bytes.n));
}

static int tar_file(struct writing *w, enum file file, struct str content)
{
    TRY(tar_header(w, file, content.n));
    return tar_bytes(w, content);
}

static int spool_read(struct writing *w, char *piece, uint64_t at, size_t *n)
{
    ssize_t got;

    do {
        got = pread(w->spool, piece, PIECE, (off_t)at);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        w->failed = true;
        return err_set(w->err, ERR_IO, "snapshot: temporary file: %s",
                       got < 0 ? strerror(errno) : "cut short");
    }
    *n = (size_t)got;
    return 0;
}

static int tar_state(struct writing *w)
{
    char piece[PIECE];
    size_t n = 0;

    TRY(tar_header(w, STATE, w->size));
    for (uint64_t at = 0; at < w->size; at += n) {
        TRY(spool_read(w, piece, at, &n));
        TRY(tar_bytes(w, str_mem(piece, n)));
    }
    return 0;
}

static int tar_open(struct writing *w)
{
    struct archive *tar = w->tar;

    /* Plain ustar, but for a state.bin beyond 8 GiB. */
    TRY(tar_ok(w, w->la.write_set_format_pax_restricted_fn(tar)));
    TRY(tar_ok(w, w->la.write_add_filter_gzip_fn(tar)));
    TRY(tar_ok(w, w->la.write_set_filter_option_fn(tar, "gzip", "compression-level", "0")));
    TRY(tar_ok(w, w->la.write_set_filter_option_fn(tar, "gzip", "timestamp", NULL)));
    TRY(tar_ok(w, w->la.write_set_bytes_per_block_fn(tar, PIECE)));
    TRY(tar_ok(w, w->la.write_set_bytes_in_last_block_fn(tar, 1)));
    return tar_ok(w, w->la.write_open_fn(tar, w, NULL, tar_sink, NULL));
}

static int tar_files(struct writing *w, struct str meta, struct str sums, struct str sealed)
{
    if (tar_open(w) == 0 && tar_file(w, META, meta) == 0 && tar_state(w) == 0 &&
        tar_file(w, SUMS, sums) == 0 && tar_file(w, SEALED, sealed) == 0)
        return tar_ok(w, w->la.write_close_fn(w->tar));
    w->la.write_fail_fn(w->tar); /* else closing it would write on */
    return -1;
}

static int write_tar(struct writing *w, struct str meta, struct str sums, struct str sealed)
{
    w->tar = w->la.write_new_fn();
    if (w->tar == NULL)
        return err_set(w->err, ERR_NOMEM, "out of memory");
    int rc = tar_files(w, meta, sums, sealed);
    w->la.write_free_fn(w->tar);
    return rc;
}

int archive_write(const struct archive_meta *meta, const struct archive_calls *calls,
                  const char *dir, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 }, sums = { 0 }, sealed = { 0 };
    AUTO(fd_drop) int spool = -1;
    struct err why;
    struct writing w = { .calls = calls, .err = err != NULL ? err : &why };

    TRY(libarchive_load(LIBARCHIVE_SONAME, &w.la, w.err));
    TRY(spool_open(dir, &spool, err));
    w.spool = spool;
    w.now_s = clock_now_s(&clock_system);
    TRY(spool_entries(&w, err));
    TRY(print_meta(&w, meta, &text, err));
    sums_print(w.h, &sums);
    TRY(buf_check(&sums, err));
    TRY(calls->seal(calls->seal_ctx, buf_str(&sums), &sealed, err));
    TRY(buf_check(&sealed, err));
    return write_tar(&w, buf_str(&text), buf_str(&sums), buf_str(&sealed));
}

/* ---- reading ---- */

struct reading {
    struct libarchive la;
    struct archive *tar;
    struct gunzip *in;
    struct digest_run *hash; /* of the file being read */
    struct statebin state;
    struct buf text[FILES]; /* of all but state.bin */
    uint64_t state_bytes;
    hashes h;
    bool need_sealed;
    struct err *err; /* ours, or set by a call within libarchive */
    bool failed;     /* such a call has failed */
};

static void reading_fini(struct reading *r)
{
    if (r->tar != NULL)
        r->la.read_free_fn(r->tar);
    gunzip_close(r->in);
    digest_run_free(r->hash);
    statebin_fini(&r->state);
    for (size_t i = 0; i < FILES; i++)
        buf_free(&r->text[i]);
}

static la_ssize_t tar_source(struct archive *tar, void *ctx, const void **p)
{
    struct reading *r = ctx;
    struct str piece = { 0 };

    if (!r->failed && gunzip_next(r->in, &piece, r->err) >= 0) {
        *p = piece.p;
        return (la_ssize_t)piece.n;
    }
    r->failed = true;
    r->la.set_error_fn(tar, EIO, "the source failed");
    return -1;
}

static int bad(struct reading *r, const char *what)
{
    return err_set(r->err, ERR_BAD_REQUEST, "%s", what);
}

/* What libarchive returned, as our error; a warning is one too.  It forgets errors of the source. */
static int tar_read_ok(struct reading *r, int rc)
{
    if (r->failed)
        return -1;
    if (rc == ARCHIVE_OK || rc == ARCHIVE_EOF)
        return 0;
    if (r->la.errno_fn(r->tar) == ENOMEM)
        return err_set(r->err, ERR_NOMEM, "out of memory");
    const char *why = r->la.error_string_fn(r->tar);
    return bad(r, why != NULL ? why : "damaged tar archive");
}

static int check_order(struct reading *r, struct str name, enum file want)
{
    size_t i = 0;

    while (i < FILES && !str_is(name, files[i].name))
        i++;
    if (i == FILES || want == FILES)
        return refuse_name("unexpected file ", name, " in snapshot", r->err);
    if (i < want)
        return refuse_name("file ", name, " occurs twice or out of order", r->err);
    if (i > want)
        return refuse_name("file ", str_of(files[want].name), " is missing or out of order", r->err);
    return 0;
}

static int check_header(struct reading *r, struct archive_entry *e, enum file want)
{
    const char *name = r->la.entry_pathname_fn(e);

    if (name == NULL)
        return bad(r, "a file has no name");
    TRY(check_order(r, str_of(name), want));
    if (r->la.entry_filetype_fn(e) != AE_IFREG || r->la.entry_hardlink_fn(e) != NULL ||
        r->la.entry_sparse_count_fn(e) > 0)
        return refuse_name("", str_of(name), " is not a plain file", r->err);
    if (r->la.entry_size_fn(e) < 0 || r->la.entry_size_fn(e) > files[want].max)
        return refuse_name("file ", str_of(name), " is too large", r->err);
    return 0;
}

/* The header of the file ${want} (FILES: none): 1, 0 when the archive ends instead. */
static int next_file(struct reading *r, enum file want)
{
    struct archive_entry *e;
    int rc = r->la.read_next_header_fn(r->tar, &e);

    TRY(tar_read_ok(r, rc));
    if (rc == ARCHIVE_EOF)
        return 0;
    TRY(check_header(r, e, want));
    return 1;
}

static int state_bad(struct reading *r)
{
    return r->err->code == ERR_BAD_REQUEST ? err_prefix(r->err, "state.bin") : -1;
}

static int take_piece(struct reading *r, enum file file, struct str piece)
{
    TRY(digest_run_add(r->hash, piece, r->err));
    if (file != STATE) {
        buf_add(&r->text[file], piece);
        return buf_check(&r->text[file], r->err);
    }
    r->state_bytes += piece.n;
    return statebin_feed(&r->state, piece, r->err) < 0 ? state_bad(r) : 0;
}

static int read_body(struct reading *r, enum file file)
{
    int64_t at = 0, offset;
    const void *p;
    size_t n;

    for (;;) {
        int rc = r->la.read_data_block_fn(r->tar, &p, &n, &offset);
        TRY(tar_read_ok(r, rc));
        if (rc == ARCHIVE_EOF)
            return 0;
        if (offset != at || n > (uint64_t)(files[file].max - at))
            return bad(r, "a file has holes");
        TRY(take_piece(r, file, str_mem(p, n)));
        at += (int64_t)n;
    }
}

static int read_file(struct reading *r, enum file file)
{
    digest_run_free(r->hash);
    r->hash = NULL;
    TRY(digest_run_new(DIGEST_SHA256, &r->hash, r->err));
    TRY(read_body(r, file));
    if (file == STATE && statebin_end(&r->state, r->err) < 0)
        return state_bad(r);
    uint8_t hash[DIGEST_MAX];
    TRY(digest_run_end(r->hash, hash, r->err));
    if (file == META || file == STATE)
        memcpy(r->h[file], hash, sizeof hash);
    return 0;
}

/* The tar has ended: nothing but zeros may follow, and not without end. */
static int check_tail(struct reading *r)
{
    uint64_t end = (uint64_t)r->la.filter_bytes_fn(r->tar, 0);
    struct str piece;
    int more;

    do {
        if (gunzip_nonzero(r->in) > end || gunzip_given(r->in) - end > PADDING_MAX)
            return bad(r, "data after the end of the archive");
        more = gunzip_next(r->in, &piece, r->err);
    } while (more > 0);
    return more;
}

static int read_files(struct reading *r)
{
    for (enum file file = META; file < FILES; file++) {
        int there = next_file(r, file);
        TRY(there);
        if (there == 0 && (file != SEALED || r->need_sealed))
            return refuse_name("file ", str_of(files[file].name), " is missing", r->err);
        if (there == 0)
            return check_tail(r);
        TRY(read_file(r, file));
    }
    TRY(next_file(r, FILES));
    return check_tail(r);
}

static int tar_read_open(struct reading *r)
{
    r->tar = r->la.read_new_fn();
    if (r->tar == NULL)
        return err_set(r->err, ERR_NOMEM, "out of memory");
    TRY(tar_read_ok(r, r->la.read_support_format_tar_fn(r->tar)));
    return tar_read_ok(r, r->la.read_open_fn(r->tar, r, NULL, tar_source, NULL));
}

/* Vault's words before what is wrong with the archive; other failures are not the archive's. */
static int prefixed(struct err *err, const char *what)
{
    return err->code == ERR_BAD_REQUEST || err->code == ERR_DENIED ? err_prefix(err, "%s", what)
                                                                   : -1;
}

/* All of it once, in ${r}, which the caller releases. */
static int read_all(struct reading *r, int fd)
{
    TRY(libarchive_load(LIBARCHIVE_SONAME, &r->la, r->err));
    if (gunzip_open(fd, &r->in, r->err) < 0)
        return prefixed(r->err, "failed to decompress snapshot");
    if (tar_read_open(r) < 0 || read_files(r) < 0)
        return prefixed(r->err, "failed to read snapshot file: failed reading snapshot");
    if (sums_verify(buf_str(&r->text[SUMS]), r->h, r->err) < 0)
        return prefixed(r->err,
                        "failed to read snapshot file: failed checking integrity of snapshot");
    return 0;
}

static int check_sealed(struct reading *r, archive_seal_fn *open, void *ctx)
{
    AUTO(buf_free) struct buf opened = { 0 };

    if (open(ctx, buf_str(&r->text[SEALED]), &opened, r->err) < 0) {
        if (r->err->code == ERR_CORRUPT)
            r->err->code = ERR_BAD_REQUEST;
        return prefixed(r->err, "failed to read snapshot file: failed to open the sealed hashes");
    }
    TRY(buf_check(&opened, r->err));
    if (!str_eq(buf_str(&opened), buf_str(&r->text[SUMS])))
        return bad(r, "failed to read snapshot file: failed checking integrity of snapshot: "
                      "the sealed hashes are others");
    return 0;
}

static int check_meta(struct reading *r, struct arena *a, struct archive_meta *meta)
{
    struct str text = arena_take(a, &r->text[META]);

    TRY(arena_check(a, r->err));
    if (archive_meta_parse(a, text, meta, r->err) < 0)
        return prefixed(r->err, "failed to read snapshot file: failed to decode snapshot metadata");
    if (meta->size != r->state_bytes)
        return bad(r, "failed to read snapshot file: failed checking integrity of snapshot: "
                      "state.bin has not the size that meta.json says");
    return 0;
}

int archive_check(int fd, struct arena *a, archive_seal_fn *open, void *open_ctx,
                  struct archive_meta *meta, struct err *err)
{
    struct err why = { 0 };
    struct archive_meta m;
    AUTO(reading_fini) struct reading r = { .err = err != NULL ? err : &why,
                                            .need_sealed = open != NULL };

    TRY(read_all(&r, fd));
    if (open != NULL)
        TRY(check_sealed(&r, open, open_ctx));
    TRY(check_meta(&r, a, &m));
    *meta = m;
    return 0;
}

/* Tells what the caller's put said from what is wrong with the archive. */
struct putting {
    archive_put_fn *put;
    void *ctx;
    bool failed;
    struct err err;
};

static int put_entry(void *ctx, struct str key, struct str value, struct err *err)
{
    struct putting *p = ctx;

    if (p->put(p->ctx, key, value, &p->err) == 0)
        return 0;
    p->failed = true;
    return err_set(err, p->err.code, "%s", p->err.msg);
}

int archive_entries(int fd, archive_put_fn *put, void *ctx, struct err *err)
{
    struct putting p = { put, ctx, false, { 0 } };
    struct err why = { 0 };
    AUTO(reading_fini) struct reading r = { .err = err != NULL ? err : &why,
                                            .state = { .put = put_entry, .ctx = &p } };

    if (read_all(&r, fd) == 0)
        return 0;
    if (p.failed)
        *r.err = p.err;
    return -1;
}
