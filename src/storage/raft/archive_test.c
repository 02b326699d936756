/* Archives there and back, and every kind of damage refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "storage/raft/archive.h"

/*
 * Made with Python's tarfile and gzip, compressed: index 158, term 3, a voter and a non-voter, three
 * entries (core/keyring of 40 bytes, logical/x of 200, sys/empty), sealed by seal_text with "1".
 */
static const char foreign[] =
    "H4sIAAAAAAACA+3XSW/UMBQH8Cl707KVfQ9mPUyn3pI4c6vgAAckpAEuiINjPw9TZpIqyVQtVb8fn4DPw1PVotJy4cBU"
    "gvebQ0aJnx3J+dvJBFrbW2uqsvP3cJRyvnvkR49cpUlHJIpzrVMuFZ7PUpF2Yt6ZgWnT2hqH7PyfttkHqJtRVbK+6LLX"
    "L1mfFdW4XW5Ku958rlqGJ0sPm3g5MV32DuoJ66suewtYxvrldDzushdVGUbDaW3b3Y622QDqjd3rH/H/NITaDoH1+d4A"
    "ZeVhWWDPq97X0GAzJmTW4/jTfSO5YDvdg3XiYJ38bV2yV/dp59Dd7N181mWD0VfsS5pkJ+qQffj0t9ArRseZf62O5p8n"
    "lP9ZMNGiq2pY+QJb9agcLj3vzJ04eer0mbPn5qOFxfMXLl66vHTl6rXrN27eun3n7r37D+KH7NHjJ0+ffZ+L5sfVcOTs"
    "eGVz6dvcxj9iIZpvtpoVmKy3W//B/A9ercokHbx/Mzi+/EvFD+dfphnlfxa0Mc4GnB+vCggJT3Irgy4E5M7mKjEOwGpl"
    "cT4ylzkfVC5Ba2cEx/nChnH8cweJnDaq8Pg4Ke+dAi7SzBhfhFwWRnnFczBeGhFckDheKoTFWdeG+ywIbVIVx5P9t1Ha"
    "omee/14Ddgz+WPKf/pp/wRMlKP+zgPt+LPpRWTVrPczxJI5VarQImecG38swogKjyiWGVhjpDeQco2wKmYfCG4MfahyU"
    "8x6/4aQvlNEuKkdFD3PcNnFcaFxaFBfGaQ0yV8HjIpJlqbRKWwBnEpVbl4PAhtLmuPwEKBSOx4N1xmjKJyGEEEIIIYQQ"
    "QgghhBBCyJ/6ASkHZWYAKAAA";

/* ---- the calls of both directions ---- */

/* "key 1:" and the text backwards. */
static int seal_text(void *ctx, struct str text, struct buf *out, struct err *err)
{
    buf_printf(out, "key %s:", (const char *)ctx);
    for (size_t i = text.n; i > 0; i--)
        buf_byte(out, text.p[i - 1]);
    return 0;
}

static int open_text(void *ctx, struct str sealed, struct buf *out, struct err *err)
{
    struct str head = str_head(sealed, 6);

    if (!str_starts(head, STR("key ")))
        return err_set(err, ERR_CORRUPT, "no sealed text");
    if (head.p[4] != *(const char *)ctx)
        return err_set(err, ERR_DENIED, "another key");
    for (size_t i = sealed.n; i > head.n; i--)
        buf_byte(out, sealed.p[i - 1]);
    return 0;
}

static int open_fails(void *ctx, struct str sealed, struct buf *out, struct err *err)
{
    return err_set(err, ERR_UPSTREAM, "the other server is away");
}

static int sink_buf(void *ctx, struct str bytes, struct err *err)
{
    buf_add(ctx, bytes);
    return buf_check(ctx, err);
}

struct entry {
    struct str key, value;
};

struct list {
    const struct entry *v;
    size_t n, at;
    bool fails;
};

static int next_entry(void *ctx, struct str *key, struct str *value, struct err *err)
{
    struct list *l = ctx;

    if (l->at == l->n)
        return l->fails ? err_set(err, ERR_SEALED, "the store went away") : 0;
    *key = l->v[l->at].key;
    *value = l->v[l->at++].value;
    return 1;
}

static int put_entry(void *ctx, struct str key, struct str value, struct err *err)
{
    struct list *l = ctx;

    assert_true(l->at < l->n);
    assert_true(str_eq(key, l->v[l->at].key));
    assert_true(str_eq(value, l->v[l->at].value));
    l->at++;
    return 0;
}

static int put_nothing(void *ctx, struct str key, struct str value, struct err *err)
{
    return err_set(err, ERR_BAD_REQUEST, "not this one");
}

static struct archive_server servers[] = {
    { STR_INIT("node-1"), STR_INIT("127.0.0.4:8201"), true },
    { STR_INIT("node <2>"), STR_INIT("[::1]:8201"), false },
};

static const struct archive_meta meta_ours = {
    .version = 1, .id = STR_INIT("bolt-snapshot"), .index = UINT64_MAX, .term = 3,
    .configuration_index = 42, .servers = servers, .n_servers = 2,
};

static int write_list(struct list *l, struct buf *out, struct err *err)
{
    struct archive_calls calls = { next_entry, l, seal_text, "1", sink_buf, out };
    return archive_write(&meta_ours, &calls, "/tmp", err);
}

/* ---- files and foreign archives ---- */

static void fd_close(int *fd)
{
    close(*fd);
}

static int file_of(struct str bytes)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.p, bytes.n), bytes.n);
    return fd;
}

/* Check ${bytes} as a file, with key 1 when ${sealed}. */
static int check_bytes(struct str bytes, bool sealed, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(fd_close) int fd = file_of(bytes);
    struct archive_meta meta;

    return archive_check(fd, a, sealed ? open_text : NULL, "1", &meta, err);
}

static void foreign_bytes(struct arena *a, struct str *out)
{
    assert_int_equal(base64_decode(a, str_of(foreign), out, NULL), 0);
}

/* A tar file of a test; ${size}, when not 0, is what its header says instead. */
struct member {
    const char *name;
    struct str text;
    char type;
    uint64_t size;
};

static void tar_add(struct buf *out, const struct member *m)
{
    static const char zeros[512];
    char head[512] = { 0 };
    unsigned sum = 0;

    snprintf(head, 100, "%s", m->name);
    snprintf(head + 100, 8, "%07o", 0600);
    snprintf(head + 108, 8, "%07o", 0);
    snprintf(head + 116, 8, "%07o", 0);
    snprintf(head + 124, 12, "%011llo",
             (unsigned long long)(m->size != 0 ? m->size : m->text.n));
    snprintf(head + 136, 12, "%011o", 0);
    head[156] = m->type != 0 ? m->type : '0';
    if (head[156] == '2')
        head[157] = 'x';
    memcpy(head + 257, "ustar\00000", 8);
    memset(head + 148, ' ', 8);
    for (size_t i = 0; i < sizeof head; i++)
        sum += (unsigned char)head[i];
    snprintf(head + 148, 8, "%06o", sum);
    buf_add(out, str_mem(head, sizeof head));
    buf_add(out, m->text);
    buf_add(out, str_mem(zeros, (512 - m->text.n % 512) % 512));
}

static void gzip_bytes(struct str plain, struct buf *out)
{
    z_stream z = { 0 };

    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, 0), Z_OK);
    assert_int_equal(buf_reserve(out, deflateBound(&z, plain.n)), 0);
    z.next_in = (Bytef *)(uintptr_t)plain.p;
    z.avail_in = (uInt)plain.n;
    z.next_out = (Bytef *)out->p + out->n;
    z.avail_out = (uInt)(out->cap - out->n);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n = out->cap - z.avail_out;
    deflateEnd(&z);
}

static void gunzip_bytes(struct str packed, struct buf *out)
{
    z_stream z = { 0 };

    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(buf_reserve(out, 1 << 20), 0);
    z.next_in = (Bytef *)(uintptr_t)packed.p;
    z.avail_in = (uInt)packed.n;
    z.next_out = (Bytef *)out->p;
    z.avail_out = (uInt)out->cap;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    out->n = out->cap - z.avail_out;
    inflateEnd(&z);
}

static const char end_of_tar[1024];

/* The members, and the end. */
static void tar_of(const struct member *m, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        tar_add(out, &m[i]);
    buf_add(out, str_mem(end_of_tar, sizeof end_of_tar));
}

static struct str sum_line(struct arena *a, struct str text, const char *name)
{
    uint8_t hash[DIGEST_MAX];
    AUTO(buf_free) struct buf line = { 0 };

    assert_int_equal(digest_of(DIGEST_SHA256, text, hash, NULL), 0);
    for (size_t i = 0; i < 32; i++)
        buf_printf(&line, "%02x", hash[i]);
    buf_printf(&line, "  %s\n", name);
    return arena_dup(a, buf_str(&line));
}

/* The parts of an archive in order; what is empty is made to fit the rest. */
struct parts {
    struct str meta, state, sums, sealed;
};

#define META_OF(version, index, size)                                                              \
    "{\"Version\":" version ",\"ID\":\"bolt-snapshot\",\"Index\":" index                           \
    ",\"Term\":3,\"Peers\":null,\"Configuration\":{\"Servers\":[{\"Suffrage\":0,\"ID\":\"a\","     \
    "\"Address\":\"b:1\"}]},\"ConfigurationIndex\":1,\"Size\":" size "}\n"
#define STATE_ONE "\x08\x0a\x01" "a\x12\x03one"

static void parts_fill(struct arena *a, struct parts *p)
{
    AUTO(buf_free) struct buf sealed = { 0 };

    if (p->meta.p == NULL)
        p->meta = STR(META_OF("1", "5", "9"));
    if (p->state.p == NULL)
        p->state = STR(STATE_ONE);
    if (p->sums.p == NULL)
        p->sums = arena_cat(a, sum_line(a, p->meta, "meta.json"),
                            sum_line(a, p->state, "state.bin"));
    assert_int_equal(seal_text("1", p->sums, &sealed, NULL), 0);
    if (p->sealed.p == NULL)
        p->sealed = arena_dup(a, buf_str(&sealed));
}

enum { MEMBERS = 4 };

static void parts_members(const struct parts *p, struct member m[MEMBERS])
{
    m[0] = (struct member){ .name = "meta.json", .text = p->meta };
    m[1] = (struct member){ .name = "state.bin", .text = p->state };
    m[2] = (struct member){ .name = "SHA256SUMS", .text = p->sums };
    m[3] = (struct member){ .name = "SHA256SUMS.sealed", .text = p->sealed };
}

static void members_pack(const struct member *m, size_t n, struct buf *out)
{
    AUTO(buf_free) struct buf tar = { 0 };

    tar_of(m, n, &tar);
    gzip_bytes(buf_str(&tar), out);
}

static int check_parts(struct arena *a, struct parts p, bool sealed, struct err *err)
{
    AUTO(buf_free) struct buf packed = { 0 };
    struct member m[MEMBERS];

    parts_fill(a, &p);
    parts_members(&p, m);
    members_pack(m, MEMBERS, &packed);
    return check_bytes(buf_str(&packed), sealed, err);
}

/* ---- there and back ---- */

static void what_is_written_is_read_back(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf out = { 0 }, large = { 0 };
    for (size_t i = 0; i < 300000; i++)
        buf_byte(&large, (char)(i * i >> 3));
    const struct entry v[] = {
        { STR("a"), STR("") },
        { STR("a\0b"), STR("\0\0\0") },
        { STR("b"), buf_str(&large) },
        { STR("c/\xff"), STR("x") },
        { buf_str(&large), str_head(buf_str(&large), 65536) },
    };
    struct entry sorted[] = { v[4], v[0], v[1], v[2], v[3] };
    struct list in = { sorted, 5, 0, false }, back = in;
    struct archive_meta meta;
    struct err err = { 0 };

    assert_int_equal(write_list(&in, &out, &err), 0);
    AUTO(fd_close) int fd = file_of(buf_str(&out));
    assert_int_equal(archive_check(fd, a, open_text, "1", &meta, &err), 0);
    assert_int_equal(archive_entries(fd, put_entry, &back, &err), 0);
    assert_int_equal(back.at, 5);
    assert_true(meta.version == 1 && meta.index == UINT64_MAX && meta.term == 3);
    assert_true(meta.configuration_index == 42 && meta.size > 665536);
    assert_true(str_is(meta.id, "bolt-snapshot"));
    assert_int_equal(meta.n_servers, 2);
    assert_true(meta.servers[0].voter && !meta.servers[1].voter);
    assert_true(str_is(meta.servers[1].id, "node <2>"));
    assert_true(str_is(meta.servers[1].address, "[::1]:8201"));
}

static void an_empty_store_has_an_archive_too(void **state)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct list none = { 0 };
    struct err err = { 0 };

    assert_int_equal(write_list(&none, &out, &err), 0);
    assert_int_equal(check_bytes(buf_str(&out), true, &err), 0);
}

static void files_have_the_names_the_order_and_the_text_of_vault(void **state)
{
    static const struct {
        const char *name;
        size_t header;
    } want[] = { { "meta.json", 0 }, { "state.bin", 1024 }, { "SHA256SUMS", 2048 },
                 { "SHA256SUMS.sealed", 3072 } };
    const struct entry v[] = { { STR("a"), STR("one") } };
    struct list in = { v, 1, 0, false };
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf out = { 0 }, tar = { 0 };
    struct str meta = STR("{\"Version\":1,\"ID\":\"bolt-snapshot\",\"Index\":18446744073709551615,"
                          "\"Term\":3,\"Peers\":null,\"Configuration\":{\"Servers\":[{"
                          "\"Suffrage\":0,\"ID\":\"node-1\",\"Address\":\"127.0.0.4:8201\"},{"
                          "\"Suffrage\":1,\"ID\":\"node \\u003c2\\u003e\",\"Address\":"
                          "\"[::1]:8201\"}]},\"ConfigurationIndex\":42,\"Size\":9}\n");

    assert_int_equal(write_list(&in, &out, NULL), 0);
    gunzip_bytes(buf_str(&out), &tar);
    assert_int_equal(tar.n, 4096 + 1024);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const char *head = tar.p + want[i].header;
        assert_string_equal(head, want[i].name);
        assert_memory_equal(head + 100, "000600 ", 7);
        assert_int_equal(head[156], '0');
        assert_memory_equal(head + 257, "ustar\00000", 8);
    }
    assert_memory_equal(tar.p + 512, meta.p, meta.n);
    assert_memory_equal(tar.p + 1536, STATE_ONE, 9);
    struct str sums = arena_cat(a, sum_line(a, meta, "meta.json"),
                                sum_line(a, STR(STATE_ONE), "state.bin"));
    assert_memory_equal(tar.p + 2560, sums.p, sums.n);
}

static void an_archive_that_another_program_made_is_read(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    char forty[40], many[200];
    for (size_t i = 0; i < sizeof forty; i++)
        forty[i] = (char)i;
    memset(many, 'v', sizeof many);
    const struct entry v[] = { { STR("core/keyring"), str_mem(forty, sizeof forty) },
                               { STR("logical/x"), str_mem(many, sizeof many) },
                               { STR("sys/empty"), STR("") } };
    struct list back = { v, 3, 0, false };
    struct archive_meta meta;
    struct err err = { 0 };
    struct str bytes;

    foreign_bytes(a, &bytes);
    AUTO(fd_close) int fd = file_of(bytes);
    assert_int_equal(archive_check(fd, a, open_text, "1", &meta, &err), 0);
    assert_int_equal(archive_entries(fd, put_entry, &back, &err), 0);
    assert_int_equal(back.at, 3);
    assert_int_equal(meta.index, 158);
    assert_int_equal(meta.n_servers, 2);
    assert_false(meta.servers[1].voter);
}

/* A backup that was made by pieces, or by hand, may have no sealed sums. */
static void with_no_key_asked_for_the_sealed_sums_do_not_count(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf packed = { 0 };
    struct parts p = { .sealed = STR("anything") };
    struct member m[MEMBERS];
    struct err err = { 0 };

    assert_int_equal(check_parts(a, p, false, &err), 0);
    parts_fill(a, &p);
    parts_members(&p, m);
    members_pack(m, MEMBERS - 1, &packed);
    assert_int_equal(check_bytes(buf_str(&packed), false, &err), 0);
    assert_int_equal(check_bytes(buf_str(&packed), true, &err), -1);
    assert_non_null(strstr(err.msg, "file \"SHA256SUMS.sealed\" is missing"));
}

/* ---- refused ---- */

static void what_is_no_gzip_is_refused_with_the_text_of_vault(void **state)
{
    static const struct {
        struct str bytes;
        const char *text;
    } cases[] = {
        { STR_INIT(""), "failed to decompress snapshot: EOF" },
        { STR_INIT("\0\0\0"), "failed to decompress snapshot: unexpected EOF" },
        { STR_INIT("\x1f\x8b\x08\0\0\0\0\0\0"), "failed to decompress snapshot: unexpected EOF" },
        { STR_INIT("\0\0\0\0\0\0\0\0\0\0"), "failed to decompress snapshot: gzip: invalid header" },
        { STR_INIT("hello, I am a text"), "failed to decompress snapshot: gzip: invalid header" },
        { STR_INIT("\x1f\x8b\x08\0\0\0\0\0\0\xff"),
          "failed to read snapshot file: failed reading snapshot: unexpected EOF" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        assert_int_equal(check_bytes(cases[i].bytes, true, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.msg, cases[i].text);
    }
}

static void an_archive_cut_anywhere_is_refused(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str bytes;

    foreign_bytes(a, &bytes);
    for (size_t n = 0; n < bytes.n; n++) {
        struct err err = { 0 };
        assert_int_equal(check_bytes(str_head(bytes, n), true, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_non_null(strstr(err.msg, "failed to "));
    }
}

/* But for gzip's head, whose time, flags and system say nothing. */
static void an_archive_with_any_byte_changed_is_refused(void **state)
{
    enum { FROM = 10 };
    const struct entry v[] = { { STR("a"), STR("one") }, { STR("b"), STR("two") } };
    struct list in = { v, 2, 0, false };
    AUTO(buf_free) struct buf out = { 0 };

    assert_int_equal(write_list(&in, &out, NULL), 0);
    for (size_t i = FROM; i < out.n; i++) {
        struct err err = { 0 };
        out.p[i] ^= 1;
        assert_int_equal(check_bytes(buf_str(&out), true, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        out.p[i] ^= 1;
    }
}

static void nothing_may_follow(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf twice = { 0 };
    struct err err = { 0 };
    struct str bytes;

    foreign_bytes(a, &bytes);
    assert_int_equal(check_bytes(arena_cat(a, bytes, STR("\0")), true, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    buf_add(&twice, bytes);
    buf_add(&twice, bytes);
    assert_int_equal(check_bytes(buf_str(&twice), true, &err), -1);
    assert_non_null(strstr(err.msg, "data after the end of the stream"));
}

static void nothing_but_zeros_follows_the_end_of_the_tar(void **state)
{
    static const struct {
        const char *what;
        size_t zeros;
        struct str more;
        int rc;
    } cases[] = {
        { "as GNU tar fills its last record", 10240, { NULL, 0 }, 0 },
        { "one byte", 700, STR_INIT("x"), -1 },
        { "far behind", 200000, STR_INIT("x"), -1 },
        { "zeros without end", 3 << 20, { NULL, 0 }, -1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(buf_free) struct buf tar = { 0 }, packed = { 0 };
        struct parts p = { 0 };
        struct member m[MEMBERS];
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        parts_fill(a, &p);
        parts_members(&p, m);
        tar_of(m, MEMBERS, &tar);
        buf_add(&tar, str_mem(arena_alloc(a, cases[i].zeros), cases[i].zeros));
        buf_add(&tar, cases[i].more);
        gzip_bytes(buf_str(&tar), &packed);
        assert_int_equal(check_bytes(buf_str(&packed), true, &err), cases[i].rc);
        if (cases[i].rc < 0) {
            assert_int_equal(err.code, ERR_BAD_REQUEST);
            assert_non_null(strstr(err.msg, "data after the end of the archive"));
        }
    }
}

/* The tar as a whole, a few blocks short of its end. */
static void a_tar_cut_within_a_good_gzip_is_refused(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf tar = { 0 };
    struct parts p = { 0 };
    struct member m[MEMBERS];

    parts_fill(a, &p);
    parts_members(&p, m);
    tar_of(m, MEMBERS, &tar);
    for (size_t n = 0; n < tar.n - sizeof end_of_tar; n += 128) {
        AUTO(buf_free) struct buf packed = { 0 };
        struct err err = { 0 };
        gzip_bytes(str_head(buf_str(&tar), n), &packed);
        /* The last block's padding is no loss. */
        if (n >= tar.n - sizeof end_of_tar - 512 + p.sealed.n % 512)
            break;
        assert_int_equal(check_bytes(buf_str(&packed), true, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

static void files_other_than_the_four_in_order_are_refused(void **state)
{
    static const struct {
        const char *what;
        const char *order; /* digits: the four; x: a foreign file; else a kind of the first */
        const char *text;
    } cases[] = {
        { "no file", "", "file \"meta.json\" is missing" },
        { "no meta.json", "123", "file \"meta.json\" is missing" },
        { "no state.bin", "023", "file \"state.bin\" is missing" },
        { "no sums", "013", "file \"SHA256SUMS\" is missing" },
        { "no sealed sums", "012", "file \"SHA256SUMS.sealed\" is missing" },
        { "meta.json alone", "0", "file \"state.bin\" is missing" },
        { "the state first", "1023", "file \"meta.json\" is missing or out of order" },
        { "the sums swapped", "0132", "file \"SHA256SUMS\" is missing or out of order" },
        { "meta.json twice", "00123", "file \"meta.json\" occurs twice" },
        { "state.bin again at the end", "01231", "unexpected file \"state.bin\" in snapshot" },
        { "a foreign file first", "x0123", "unexpected file \"../etc/x\\n\" in snapshot" },
        { "a foreign file at the end", "0123x", "unexpected file \"../etc/x\\n\" in snapshot" },
        { "a directory", "5", "\"meta.json\" is not a plain file" },
        { "a symbolic link", "2", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(buf_free) struct buf packed = { 0 };
        struct parts p = { 0 };
        struct member m[MEMBERS], all[8];
        size_t n = 0;
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        parts_fill(a, &p);
        parts_members(&p, m);
        for (const char *c = cases[i].order; *c != '\0'; c++)
            if (*c == 'x')
                all[n++] = (struct member){ .name = "../etc/x\n", .text = STR("x") };
            else if (cases[i].text == NULL || *c == '5')
                all[n++] = (struct member){ .name = "meta.json", .type = *c };
            else
                all[n++] = m[*c - '0'];
        members_pack(all, n, &packed);
        assert_int_equal(check_bytes(buf_str(&packed), true, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        if (cases[i].text != NULL && strstr(err.msg, cases[i].text) == NULL)
            fail_msg("%s", err.msg);
    }
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    static const struct {
        size_t which;
        uint64_t size;
    } cases[] = {
        { 0, (1 << 20) + 1 }, { 1, 077777777777 }, { 1, 1 << 20 }, { 2, 4097 }, { 3, 65537 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(buf_free) struct buf packed = { 0 };
        struct parts p = { 0 };
        struct member m[MEMBERS];
        struct err err = { 0 };
        parts_fill(a, &p);
        parts_members(&p, m);
        m[cases[i].which].size = cases[i].size;
        members_pack(m, MEMBERS, &packed);
        assert_int_equal(check_bytes(buf_str(&packed), true, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

#define CHECKING "failed to read snapshot file: failed checking integrity of snapshot: "
#define DECODING "failed to read snapshot file: failed to decode snapshot metadata: "
#define READING "failed to read snapshot file: failed reading snapshot: "
#define ZEROS_64 "0000000000000000000000000000000000000000000000000000000000000000"

static void contents_that_do_not_fit_are_refused(void **state)
{
    static const struct {
        const char *what;
        struct parts parts;
        const char *text;
    } cases[] = {
        { "another version", { .meta = STR_INIT(META_OF("2", "5", "9")) },
          DECODING "version 2 is not supported" },
        { "a negative index", { .meta = STR_INIT(META_OF("1", "-5", "9")) },
          DECODING "Index is missing or out of range" },
        { "an index beyond 64 bits", { .meta = STR_INIT(META_OF("1", "18446744073709551616", "9")) },
          DECODING "Index is missing or out of range" },
        { "an index that is text", { .meta = STR_INIT(META_OF("1", "\"5\"", "9")) },
          DECODING "Index is missing or out of range" },
        { "a fraction", { .meta = STR_INIT(META_OF("1", "5.5", "9")) },
          DECODING "Index is missing or out of range" },
        { "another size", { .meta = STR_INIT(META_OF("1", "5", "10")) },
          CHECKING "state.bin has not the size that meta.json says" },
        { "no JSON", { .meta = STR_INIT("hello") }, NULL },
        { "JSON cut short", { .meta = STR_INIT("{\"Version\":1,") }, NULL },
        { "an empty meta.json", { .meta = STR_INIT("") }, NULL },
        { "a list", { .meta = STR_INIT("[]") }, DECODING "Version is missing or out of range" },
        { "an entry cut short", { .state = STR_INIT("\x08\x0a\x01" "a\x12\x03on") },
          READING "state.bin: entry 1 is cut short" },
        { "an empty key", { .state = STR_INIT("\x05\x0a\x00\x12\x01v") },
          READING "state.bin: entry 1 has no key" },
        { "keys out of order", { .state = STR_INIT("\x03\x0a\x01" "b\x03\x0a\x01" "a") },
          READING "state.bin: entry 2 is not in key order" },
        { "an entry too large", { .state = STR_INIT("\xff\xff\xff\xff\x0f") },
          READING "state.bin: entry 1 is too large" },
        { "no sums", { .sums = STR_INIT("") }, CHECKING "file missing for \"meta.json\"" },
        { "sums of nothing", { .sums = STR_INIT("\n\n") },
          CHECKING "file missing for \"meta.json\"" },
        { "a wrong sum", { .sums = STR_INIT(ZEROS_64 "  meta.json\n") },
          CHECKING "hash check failed for \"meta.json\"" },
        { "a wrong sum of the state", { .sums = STR_INIT(ZEROS_64 "  state.bin\n") },
          CHECKING "hash check failed for \"state.bin\"" },
        { "a sum of another file", { .sums = STR_INIT(ZEROS_64 "  x\n") },
          CHECKING "list missing hash for \"x\"" },
        { "a sum too short", { .sums = STR_INIT("00  meta.json\n") },
          CHECKING "SHA256SUMS: a line has no hash and name" },
        { "no sums at all", { .sums = STR_INIT("hello\n") },
          CHECKING "SHA256SUMS: a line has no hash and name" },
        { "sealed sums of nothing", { .sealed = STR_INIT("key 1:") },
          CHECKING "the sealed hashes are others" },
        { "sealed sums of others", { .sealed = STR_INIT("key 1:abc") },
          CHECKING "the sealed hashes are others" },
        { "sums not sealed", { .sealed = STR_INIT("abc") },
          "failed to read snapshot file: failed to open the sealed hashes: no sealed text" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(check_parts(a, cases[i].parts, true, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        if (cases[i].text != NULL)
            assert_string_equal(err.msg, cases[i].text);
    }
}

static void each_file_has_one_sum(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct parts p = { 0 };
    struct err err = { 0 };

    parts_fill(a, &p);
    struct str meta = sum_line(a, p.meta, "meta.json"), whole = p.sums;
    p = (struct parts){ .sums = meta };
    assert_int_equal(check_parts(a, p, true, &err), -1);
    assert_string_equal(err.msg, CHECKING "file missing for \"state.bin\"");
    p = (struct parts){ .sums = arena_cat(a, whole, meta) };
    assert_int_equal(check_parts(a, p, true, &err), -1);
    assert_string_equal(err.msg, CHECKING "more than one hash for \"meta.json\"");
}

static void sums_sealed_with_another_key_are_denied(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct err err = { 0 };

    assert_int_equal(check_parts(a, (struct parts){ .sealed = STR("key 2:abc") }, true, &err), -1);
    assert_int_equal(err.code, ERR_DENIED);
    assert_non_null(strstr(err.msg, "failed to open the sealed hashes: another key"));
}

static void a_seal_that_cannot_be_asked_is_no_fault_of_the_archive(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct archive_meta meta;
    struct err err = { 0 };
    struct str bytes;

    foreign_bytes(a, &bytes);
    AUTO(fd_close) int fd = file_of(bytes);
    assert_int_equal(archive_check(fd, a, open_fails, NULL, &meta, &err), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_string_equal(err.msg, "the other server is away");
}

static void a_file_that_cannot_be_read_is_no_fault_of_the_archive(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct archive_meta meta;
    struct err err = { 0 };
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(archive_check(ends[0], a, NULL, NULL, &meta, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    close(ends[0]);
    close(ends[1]);
}

static void a_failure_of_the_receiver_comes_back_as_it_is(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct err err = { 0 };
    struct str bytes;

    foreign_bytes(a, &bytes);
    AUTO(fd_close) int fd = file_of(bytes);
    assert_int_equal(archive_entries(fd, put_nothing, NULL, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_string_equal(err.msg, "not this one");
}

/* Entries that were put before the end do not count then. */
static void an_archive_changed_after_the_check_is_noticed(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf packed = { 0 };
    struct parts p = { 0 }, others = { .state = STR("\x08\x0a\x01" "a\x12\x03two") };
    struct member m[MEMBERS];
    const struct entry v[] = { { STR("a"), STR("two") } };
    struct list back = { v, 1, 0, false };
    struct err err = { 0 };

    parts_fill(a, &p);
    others.sums = p.sums;
    parts_fill(a, &others);
    parts_members(&others, m);
    members_pack(m, MEMBERS, &packed);
    AUTO(fd_close) int fd = file_of(buf_str(&packed));
    assert_int_equal(archive_entries(fd, put_entry, &back, &err), -1);
    assert_string_equal(err.msg, CHECKING "hash check failed for \"state.bin\"");
}

/* ---- writing that fails ---- */

static int sink_fails(void *ctx, struct str bytes, struct err *err)
{
    size_t *calls = ctx;
    ++*calls;
    return err_set(err, ERR_IO, "the client has gone");
}

static int seal_fails(void *ctx, struct str text, struct buf *out, struct err *err)
{
    return err_set(err, ERR_SEALED, "no key");
}

static void a_sink_that_fails_ends_the_writing_at_once(void **state)
{
    const struct entry v[] = { { STR("a"), STR("one") } };
    struct list in = { v, 1, 0, false };
    size_t called = 0;
    struct archive_calls calls = { next_entry, &in, seal_text, "1", sink_fails, &called };
    struct err err = { 0 };

    assert_int_equal(archive_write(&meta_ours, &calls, "/tmp", &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_string_equal(err.msg, "the client has gone");
    assert_int_equal(called, 1);
}

static void nothing_is_written_when_there_is_nothing_whole_to_write(void **state)
{
    static const struct entry unsorted[] = { { STR_INIT("b"), STR_INIT("1") },
                                             { STR_INIT("a"), STR_INIT("2") } };
    const struct {
        const char *what, *dir;
        struct list in;
        archive_seal_fn *seal;
        enum err_code code;
    } cases[] = {
        { "the store fails", "/tmp", { unsorted, 1, 0, true }, seal_text, ERR_SEALED },
        { "the store is out of order", "/tmp", { unsorted, 2, 0, false }, seal_text, ERR_CORRUPT },
        { "the seal fails", "/tmp", { unsorted, 1, 0, false }, seal_fails, ERR_SEALED },
        { "no directory", "/dev/null/x", { unsorted, 1, 0, false }, seal_text, ERR_IO },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf out = { 0 };
        struct list in = cases[i].in;
        struct archive_calls calls = { next_entry, &in, cases[i].seal, "1", sink_buf, &out };
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(archive_write(&meta_ours, &calls, cases[i].dir, &err), -1);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(out.n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(an_empty_store_has_an_archive_too),
        cmocka_unit_test(files_have_the_names_the_order_and_the_text_of_vault),
        cmocka_unit_test(an_archive_that_another_program_made_is_read),
        cmocka_unit_test(with_no_key_asked_for_the_sealed_sums_do_not_count),
        cmocka_unit_test(what_is_no_gzip_is_refused_with_the_text_of_vault),
        cmocka_unit_test(an_archive_cut_anywhere_is_refused),
        cmocka_unit_test(an_archive_with_any_byte_changed_is_refused),
        cmocka_unit_test(nothing_may_follow),
        cmocka_unit_test(nothing_but_zeros_follows_the_end_of_the_tar),
        cmocka_unit_test(a_tar_cut_within_a_good_gzip_is_refused),
        cmocka_unit_test(files_other_than_the_four_in_order_are_refused),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(contents_that_do_not_fit_are_refused),
        cmocka_unit_test(each_file_has_one_sum),
        cmocka_unit_test(sums_sealed_with_another_key_are_denied),
        cmocka_unit_test(a_seal_that_cannot_be_asked_is_no_fault_of_the_archive),
        cmocka_unit_test(a_file_that_cannot_be_read_is_no_fault_of_the_archive),
        cmocka_unit_test(a_failure_of_the_receiver_comes_back_as_it_is),
        cmocka_unit_test(an_archive_changed_after_the_check_is_noticed),
        cmocka_unit_test(a_sink_that_fails_ends_the_writing_at_once),
        cmocka_unit_test(nothing_is_written_when_there_is_nothing_whole_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
