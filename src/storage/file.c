/*
 * Storage "file": one file per key under a directory, in Vault's layout: key a/b/c is the file
 * a/b/_c holding {"Value":"<base64>"}.  Beside it our own .coffer-* files: lock, journal, staging.
 */
#include "storage/driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "storage/folder.h"

#define LOCK_NAME    FOLDER_OURS "lock"
#define JOURNAL_NAME FOLDER_OURS "journal"
#define STAGE_NAME   FOLDER_OURS "stage"
#define JOURNAL_HEAD "coffer journal 1\n"

struct file_storage {
    struct storage base;
    char *path;             /* as configured, for messages */
    int root, stage, lock;  /* descriptors; owned */
    atomic_uint_fast64_t last_stage;
    pthread_rwlock_t names; /* shared: opening a file; exclusive: a batch's renames, no fsync */
    pthread_mutex_t writer; /* one commit changes directories at a time */
    bool pending;           /* under writer: a journal stands that could not be carried out */
};

/* One key's change: what a batch comes to for that file. */
struct change {
    struct str key;      /* without a trailing slash; borrowed */
    bool put;
    uint64_t stage;      /* name of the staged file, when put */
    int dir;             /* descriptor of the parent, when put; -1 */
};

struct changes {
    struct change *v;
    size_t n;
    struct file_storage *store;
    bool keep;     /* a journal names the staged files: leave them */
    bool replayed; /* some of it may have been done before */
};

/* ---- reading ---- */

static int read_all(int fd, struct buf *out, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return folder_failed(err, "stat");
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_CORRUPT, "file: an entry is no regular file");
    for (;;) {
        size_t want = st.st_size > 0 && out->n == 0 ? (size_t)st.st_size + 1 : 4096;
        if (buf_reserve(out, want) < 0)
            return err_set(err, ERR_NOMEM, "file: out of memory");
        ssize_t n = read(fd, out->p + out->n, out->cap - out->n);
        if (n < 0 && errno != EINTR)
            return folder_failed(err, "read");
        if (n == 0)
            return 0;
        out->n += n > 0 ? (size_t)n : 0;
    }
}

/* {"Value":"<base64>"}, or null for no bytes. */
static int decode(struct str text, struct str key, struct buf *out, struct err *err)
{
    AUTO(arena_drop) struct arena *arena = arena_new();
    struct json *v;
    struct str value;
    if (arena == NULL)
        return err_set(err, ERR_NOMEM, "file: out of memory");
    if (json_parse(arena, text, &v, NULL, err) < 0 || !json_is(v, JSON_OBJECT))
        return err_set(err, ERR_CORRUPT, "file: entry " STR_FMT ": no JSON object", STR_ARG(key));
    if (base64_decode(arena, json_get_str(v, "Value"), &value, err) < 0)
        return err_set(err, ERR_CORRUPT, "file: entry " STR_FMT ": bad base64", STR_ARG(key));
    buf_add(out, value);
    return buf_check(out, err);
}

/* 1 and a descriptor, 0 absent. */
static int open_entry(struct file_storage *f, struct str key, int *fd, struct err *err)
{
    AUTO(folder_close) int dir = -1;
    int found = folder_open(f->root, folder_of(key), false, &dir, err);
    if (found <= 0)
        return found;
    char name[FOLDER_NAME_SIZE];
    folder_file_name(key, name);
    *fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0)
        return errno == ENOENT ? 0 : folder_failed(err, "open");
    return 1;
}

static int file_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    struct file_storage *f = (struct file_storage *)s;
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(folder_close) int fd = -1;
    TRY(folder_check_key(key, err));
    pthread_rwlock_rdlock(&f->names);
    int found = open_entry(f, folder_trim(key), &fd, err);
    pthread_rwlock_unlock(&f->names);
    if (found <= 0)
        return found;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return 0; /* key "a" beside the folder of key "_a/b" */
    TRY(read_all(fd, &text, err));
    TRY(decode(buf_str(&text), key, out, err));
    return 1;
}

/* ---- listing ---- */

struct name_list {
    char **v;
    size_t n, cap;
};

static void name_list_free(struct name_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
}

static void dir_close(DIR **d)
{
    if (*d != NULL)
        closedir(*d);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_folder(DIR *d, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int name_list_add(struct name_list *l, const char *name, bool folder, struct err *err)
{
    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        char **v = reallocarray(l->v, cap, sizeof *v);
        if (v == NULL)
            return err_set(err, ERR_NOMEM, "file: out of memory");
        l->v = v;
        l->cap = cap;
    }
    char *text = NULL;
    if (asprintf(&text, "%s%s", name, folder ? "/" : "") < 0)
        return err_set(err, ERR_NOMEM, "file: out of memory");
    l->v[l->n++] = text;
    return 0;
}

/* Entries are files "_name", folders are directories; anything else is not the store's. */
static int read_names(DIR *d, bool root, struct str after, struct name_list *l, struct err *err)
{
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (e == NULL)
            return errno == 0 ? 0 : folder_failed(err, "read directory");
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            (root && str_starts(str_of(e->d_name), STR(FOLDER_OURS))))
            continue;
        bool folder = is_folder(d, e);
        if (!folder && e->d_name[0] != '_')
            continue;
        TRY(name_list_add(l, e->d_name + !folder, folder, err));
        if (str_cmp(str_of(l->v[l->n - 1]), after) <= 0)
            free(l->v[--l->n]);
    }
}

static int file_list(struct storage *s, struct str prefix, struct str after,
                     storage_name_fn *each, void *ctx, struct err *err)
{
    struct file_storage *f = (struct file_storage *)s;
    AUTO(name_list_free) struct name_list names = { 0 };
    struct str folder = folder_trim(prefix);
    if (folder.n > 0)
        TRY(folder_check(folder, err));
    AUTO(folder_close) int fd = -1;
    int found = folder_open(f->root, folder, false, &fd, err);
    if (found <= 0)
        return found;
    AUTO(dir_close) DIR *d = fdopendir(fd);
    if (d == NULL)
        return folder_failed(err, "open directory");
    fd = -1; /* the DIR's now */
    TRY(read_names(d, folder.n == 0, after, &names, err));
    dir_close(&d);
    d = NULL;
    if (names.n > 0)
        qsort(names.v, names.n, sizeof *names.v, by_bytes);
    for (size_t i = 0; i < names.n; i++)
        if (each(ctx, str_of(names.v[i])) != 0)
            return 0;
    return 0;
}

/* ---- staging: new content, written and synced before anything is changed ---- */

static void stage_name(uint64_t n, char out[32])
{
    snprintf(out, 32, "%llu", (unsigned long long)n);
}

static int write_all(int fd, struct str bytes, struct err *err)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR)
            return folder_failed(err, "write");
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

/* A new file in the staging directory with these bytes, durable. */
static int stage_write(struct file_storage *f, uint64_t n, struct str bytes, struct err *err)
{
    char name[32];
    stage_name(n, name);
    AUTO(folder_close) int fd =
        openat(f->stage, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return folder_failed(err, "create");
    TRY(write_all(fd, bytes, err));
    return fsync(fd) < 0 ? folder_failed(err, "fsync") : 0;
}

static int stage_value(struct file_storage *f, struct change *c, struct str value, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    buf_add(&text, STR("{\"Value\":\""));
    base64_add(&text, value);
    buf_add(&text, STR("\"}\n"));
    TRY(buf_check(&text, err));
    c->stage = atomic_fetch_add(&f->last_stage, 1) + 1;
    return stage_write(f, c->stage, buf_str(&text), err);
}

static void changes_free(struct changes *all)
{
    for (size_t i = 0; i < all->n; i++) {
        char name[32];
        folder_close(&all->v[i].dir);
        stage_name(all->v[i].stage, name);
        /* After success it has been renamed and is not there. */
        if (all->v[i].stage != 0 && !all->keep)
            unlinkat(all->store->stage, name, 0);
    }
    free(all->v);
}

static void map_forget(struct map *m)
{
    map_free(m, NULL);
}

/* The last operation on each file, so that a replay of the journal is harmless. */
static int changes_add(struct changes *all, const struct storage_op *ops, size_t n,
                       struct err *err)
{
    AUTO(map_forget) struct map seen = { 0 };
    for (size_t i = n; i-- > 0;) {
        struct str key = folder_trim(ops[i].key);
        if (n > 1 && map_get(&seen, key) != NULL)
            continue;
        if (n > 1)
            TRY(map_put(&seen, key, all, NULL, err));
        struct change *c = &all->v[all->n++];
        *c = (struct change){ .key = key, .put = ops[i].kind == STORAGE_PUT, .dir = -1 };
        if (c->put)
            TRY(stage_value(all->store, c, ops[i].value, err));
    }
    return 0;
}

/* ---- the journal ---- */

static void put_number(struct buf *out, uint64_t v)
{
    buf_add(out, str_mem(&v, sizeof v));
}

static bool take_number(struct str *rest, uint64_t *v)
{
    if (rest->n < sizeof *v)
        return false;
    memcpy(v, rest->p, sizeof *v);
    *rest = str_from(*rest, sizeof *v);
    return true;
}

/* Head, count, then per change: staged file (0: delete), key's length, key; a sum at the end. */
static int journal_text(const struct changes *all, struct buf *out, struct err *err)
{
    buf_add(out, STR(JOURNAL_HEAD));
    put_number(out, all->n);
    for (size_t i = 0; i < all->n; i++) {
        put_number(out, all->v[i].stage);
        put_number(out, all->v[i].key.n);
        buf_add(out, all->v[i].key);
    }
    put_number(out, str_hash(buf_str(out)));
    return buf_check(out, err);
}

/* The journal stands, whole, under its name: from here on the batch happens. */
static int journal_write(struct file_storage *f, const struct changes *all, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    uint64_t n = atomic_fetch_add(&f->last_stage, 1) + 1;
    char name[32];
    stage_name(n, name);
    TRY(journal_text(all, &text, err));
    int rc = stage_write(f, n, buf_str(&text), err);
    if (rc == 0 && fsync(f->stage) < 0)
        rc = folder_failed(err, "fsync directory");
    if (rc == 0 && renameat(f->stage, name, f->root, JOURNAL_NAME) < 0)
        rc = folder_failed(err, "rename");
    if (rc < 0) {
        unlinkat(f->stage, name, 0);
        return -1;
    }
    if (fsync(f->root) == 0)
        return 0;
    folder_failed(err, "fsync directory");
    unlinkat(f->root, JOURNAL_NAME, 0);
    return -1;
}

static int journal_remove(struct file_storage *f, struct err *err)
{
    if (unlinkat(f->root, JOURNAL_NAME, 0) < 0 && errno != ENOENT)
        return folder_failed(err, "unlink journal");
    return fsync(f->root) < 0 ? folder_failed(err, "fsync directory") : 0;
}

/* ---- applying ---- */

static int make_folders(struct changes *all, struct err *err)
{
    for (size_t i = 0; i < all->n; i++) {
        struct change *c = &all->v[i];
        struct stat st;
        char name[FOLDER_NAME_SIZE];
        if (!c->put)
            continue;
        TRY(folder_open(all->store->root, folder_of(c->key), true, &c->dir, err));
        folder_file_name(c->key, name);
        if (fstatat(c->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
            return err_set(err, ERR_BAD_REQUEST, "file: %s is a folder and cannot be an entry",
                           name);
    }
    return 0;
}

/* Folders made for a batch that does not happen, or left empty by deletes. */
static void prune_all(const struct changes *all, bool puts)
{
    for (size_t i = 0; i < all->n; i++)
        if (puts == all->v[i].put)
            folder_prune(all->store->root, folder_of(all->v[i].key));
}

/* Put one staged file in its place, or take one away. Repeating it does no harm. */
static int change_name(struct changes *all, struct change *c, struct err *err)
{
    struct file_storage *f = all->store;
    char name[FOLDER_NAME_SIZE], staged[32];
    folder_file_name(c->key, name);
    if (c->put) {
        stage_name(c->stage, staged);
        bool gone = renameat(f->stage, staged, c->dir, name) < 0;
        if (gone && (errno != ENOENT || !all->replayed))
            return folder_failed(err, "rename");
        return 0;
    }
    int found = folder_open(f->root, folder_of(c->key), false, &c->dir, err);
    if (found <= 0)
        return found;
    if (unlinkat(c->dir, name, 0) < 0 && errno != ENOENT && errno != EISDIR)
        return folder_failed(err, "unlink");
    return 0;
}

static int change_names(struct changes *all, struct err *err)
{
    int rc = 0;
    /* One rename is atomic by itself. */
    if (all->n == 1)
        return change_name(all, &all->v[0], err);
    pthread_rwlock_wrlock(&all->store->names);
    for (size_t i = 0; i < all->n && rc == 0; i++)
        rc = change_name(all, &all->v[i], err);
    pthread_rwlock_unlock(&all->store->names);
    return rc;
}

static int sync_folders(struct changes *all, struct err *err)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->v[i].dir >= 0 && fsync(all->v[i].dir) < 0)
            return folder_failed(err, "fsync directory");
    return 0;
}

static int apply(struct changes *all, struct err *err)
{
    TRY(change_names(all, err));
    TRY(sync_folders(all, err));
    prune_all(all, false);
    return 0;
}

/* ---- what a crash left ---- */

static int load_changes(struct str text, struct changes *all, struct err *err)
{
    uint64_t sum, n, key_n;
    struct str rest = text;
    if (rest.n < sizeof sum || !str_starts(text, STR(JOURNAL_HEAD)))
        return 0;
    memcpy(&sum, text.p + text.n - sizeof sum, sizeof sum);
    rest.n -= sizeof sum;
    if (sum != str_hash(rest))
        return 0;
    rest = str_from(rest, sizeof JOURNAL_HEAD - 1);
    if (!take_number(&rest, &n) || n > rest.n / 16)
        return 0;
    all->v = calloc(n + 1, sizeof *all->v);
    if (all->v == NULL)
        return err_set(err, ERR_NOMEM, "file: out of memory");
    for (; all->n < n; all->n++) {
        struct change *c = &all->v[all->n];
        c->dir = -1;
        if (!take_number(&rest, &c->stage) || !take_number(&rest, &key_n) || key_n > rest.n)
            return err_set(err, ERR_CORRUPT, "file: the journal does not decode");
        c->put = c->stage != 0;
        c->key = str_head(rest, key_n);
        rest = str_from(rest, key_n);
    }
    return 1;
}

static int replay_text(struct file_storage *f, struct str text, struct err *err)
{
    AUTO(changes_free) struct changes all = { .store = f, .keep = true, .replayed = true };
    int whole = load_changes(text, &all, err);
    if (whole <= 0)
        return whole;
    TRY(make_folders(&all, err));
    TRY(apply(&all, err));
    return 0;
}

/* Carry out the journal that stands, if any; a torn one never began. Under writer, or at open. */
static int replay(struct file_storage *f, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(folder_close) int fd =
        openat(f->root, JOURNAL_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : folder_failed(err, "open journal");
    TRY(read_all(fd, &text, err));
    TRY(replay_text(f, buf_str(&text), err));
    return journal_remove(f, err);
}

/* A batch that a failing disk stopped half way is finished before anything else is begun. */
static int finish_pending(struct file_storage *f, struct err *err)
{
    if (!f->pending)
        return 0;
    TRY(replay(f, err));
    f->pending = false;
    return 0;
}

/* Under writer: make the changes of one batch. */
static int commit_changes(struct changes *all, struct err *err)
{
    struct file_storage *f = all->store;
    bool many = all->n > 1;
    TRY(finish_pending(f, err));
    if (make_folders(all, err) < 0 || (many && journal_write(f, all, err) < 0)) {
        prune_all(all, true);
        return -1;
    }
    int rc = apply(all, err);
    if (many && rc == 0)
        rc = journal_remove(f, err);
    f->pending = all->keep = many && rc < 0;
    return rc;
}

static int file_commit(struct storage *s, const struct storage_op *ops, size_t n, struct err *err)
{
    struct file_storage *f = (struct file_storage *)s;
    AUTO(changes_free) struct changes all = { .store = f };
    for (size_t i = 0; i < n; i++)
        TRY(folder_check_key(ops[i].key, err));
    if (n == 0)
        return 0;
    all.v = calloc(n, sizeof *all.v);
    if (all.v == NULL)
        return err_set(err, ERR_NOMEM, "file: out of memory");
    TRY(changes_add(&all, ops, n, err));
    pthread_mutex_lock(&f->writer);
    int rc = commit_changes(&all, err);
    pthread_mutex_unlock(&f->writer);
    return rc;
}

/* ---- opening and closing ---- */

static void file_free(struct file_storage *f)
{
    folder_close(&f->stage);
    folder_close(&f->root);
    folder_close(&f->lock); /* the last one: another process may open now */
    pthread_rwlock_destroy(&f->names);
    pthread_mutex_destroy(&f->writer);
    free(f->path);
    free(f);
}

static void file_close(struct storage *s)
{
    struct file_storage *f = (struct file_storage *)s;
    /* Fails, rightly, while it holds the files of an unfinished batch. */
    unlinkat(f->root, STAGE_NAME, AT_REMOVEDIR);
    file_free(f);
}

static const struct storage_ops file_ops = { file_get, file_commit, file_list, file_close };

static int take_lock(struct file_storage *f, struct err *err)
{
    f->lock = openat(f->root, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->lock < 0)
        return folder_failed(err, "open lock");
    if (flock(f->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(err, ERR_CONFLICT, "file: %s is in use by another process", f->path);
    return folder_failed(err, "lock");
}

/* What an interrupted process staged and no journal names. */
static int empty_stage(struct file_storage *f, struct err *err)
{
    AUTO(dir_close) DIR *d = NULL;
    AUTO(folder_close) int fd = openat(f->stage, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (d = fdopendir(fd)) == NULL)
        return folder_failed(err, "open directory");
    fd = -1;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            unlinkat(f->stage, e->d_name, 0);
    return 0;
}

static int open_stage(struct file_storage *f, struct err *err)
{
    if (mkdirat(f->root, STAGE_NAME, 0700) < 0 && errno != EEXIST)
        return folder_failed(err, "mkdir");
    f->stage = openat(f->root, STAGE_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return f->stage < 0 ? folder_failed(err, "open directory") : 0;
}

static int start(struct file_storage *f, struct err *err)
{
    TRY(folder_open_root(f->path, &f->root, err));
    TRY(take_lock(f, err));
    TRY(open_stage(f, err));
    TRY(replay(f, err));
    return empty_stage(f, err);
}

static struct file_storage *file_new(struct str path)
{
    struct file_storage *f = calloc(1, sizeof *f);
    if (f == NULL || (f->path = strndup(path.p, path.n)) == NULL) {
        free(f);
        return NULL;
    }
    f->base = (struct storage){ .ops = &file_ops, .reads_block = true, .writes_block = true };
    f->root = f->stage = f->lock = -1;
    pthread_mutex_init(&f->writer, NULL);
    /* Else a stream of readers could keep a batch out for ever. */
    pthread_rwlockattr_t kind;
    pthread_rwlockattr_init(&kind);
    pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&f->names, &kind);
    pthread_rwlockattr_destroy(&kind);
    return f;
}

static int file_open(const struct storage_option *options, size_t n, struct storage **out,
                     struct err *err)
{
    struct str path = { 0 };
    for (size_t i = 0; i < n; i++)
        if (str_is(options[i].name, "path"))
            path = options[i].value;
    if (path.n == 0 || str_find_byte(path, 0) >= 0)
        return err_set(err, ERR_BAD_REQUEST, "'path' must be set");
    struct file_storage *f = file_new(path);
    if (f == NULL)
        return err_set(err, ERR_NOMEM, "file: out of memory");
    if (start(f, err) < 0) {
        file_free(f);
        return -1;
    }
    *out = &f->base;
    return 0;
}

const struct storage_driver storage_file = { "file", file_open };
