/*
 * Names out of three ordered sources: keys that stand as they are; the keys under the kept prefix
 * that is, or begins, the folder listed ("home"); and, each for all keys under it, the kept
 * prefixes that lie deeper than the folder.  The last will do because all keys under one of these
 * show as the same name.
 */
#include "storage/lmdb_page.h"

#include "storage/lmdb_walk.h"

struct sources {
    struct str folder;
    struct lmdb_walk plain, home, deeper;
    size_t home_n; /* length of the home prefix; 0: there is none */
    char number[LMDB_PREFIX_N];
    struct buf home_key;
};

static void sources_free(struct sources *s)
{
    lmdb_walk_close(&s->plain);
    lmdb_walk_close(&s->home);
    lmdb_walk_close(&s->deeper);
    buf_free(&s->home_key);
}

static int sources_open(struct sources *s, const struct lmdb_prefix_tables *t, MDB_txn *txn,
                        struct err *err)
{
    size_t n = lmdb_prefix_length(s->folder);
    TRY(lmdb_walk_open(&s->plain, txn, t->data, err));
    TRY(lmdb_walk_open(&s->deeper, txn, t->prefix, err));
    int rc = n > 0 ? lmdb_prefix_find(t, txn, str_head(s->folder, n), s->number) : MDB_NOTFOUND;
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc != 0)
        return lmdb_val_failed(err, "list", rc);
    s->home_n = n;
    return lmdb_walk_open(&s->home, txn, t->inner, err);
}

static int seek_home(struct sources *s, struct str from, struct str *key, struct err *err)
{
    struct lmdb_prefix_room room;
    struct str stored;
    if (s->home_n == 0)
        return 0;
    from = lmdb_prefix_join(s->number, str_from(from, s->home_n), &room);
    int found = lmdb_walk_seek(&s->home, from, &stored, err);
    if (found <= 0 || !lmdb_prefix_has(stored, s->number))
        return found < 0 ? -1 : 0;
    buf_clear(&s->home_key);
    buf_add(&s->home_key, str_head(s->folder, s->home_n));
    buf_add(&s->home_key, str_from(stored, LMDB_PREFIX_N));
    TRY(buf_check(&s->home_key, err));
    *key = buf_str(&s->home_key);
    return 1;
}

static int seek_deeper(struct sources *s, struct str from, struct str *key, struct err *err)
{
    int found = lmdb_walk_seek(&s->deeper, from, key, err);
    if (found == 1 && str_eq(*key, s->folder)) /* which is home */
        return lmdb_walk_run(&s->deeper, key, 1, err);
    return found;
}

/* names_seek_fn: ${from} begins with the folder. */
static int seek_all(void *ctx, struct str from, struct str *key, struct err *err)
{
    struct sources *s = ctx;
    struct str keys[3];
    int best = -1, found[3];
    TRY(found[0] = lmdb_walk_seek(&s->plain, from, &keys[0], err));
    TRY(found[1] = seek_home(s, from, &keys[1], err));
    TRY(found[2] = seek_deeper(s, from, &keys[2], err));
    for (int i = 0; i < 3; i++)
        if (found[i] == 1 && (best < 0 || str_cmp(keys[i], keys[best]) < 0))
            best = i;
    if (best < 0)
        return 0;
    *key = keys[best];
    return 1;
}

/* names_run_fn */
static int run_none(void *ctx, struct str *keys, int max, struct err *err)
{
    return 0;
}

/* With nothing but home in the folder its keys need not be put together for their names. */
static int collect_home(struct sources *s, struct names_page *page, struct err *err)
{
    struct lmdb_prefix_room room;
    struct str home = str_head(s->folder, s->home_n);
    struct str folder = lmdb_prefix_join(s->number, str_from(s->folder, s->home_n), &room);
    struct buf whole = page->from;
    page->from = (struct buf){ 0 };
    buf_add(&page->from, str_mem(s->number, LMDB_PREFIX_N));
    buf_add(&page->from, str_from(buf_str(&whole), s->home_n));
    int rc = buf_check(&page->from, err);
    if (rc == 0)
        rc = names_collect(page, folder, &lmdb_walk_of_keys, &s->home, err);
    buf_clear(&whole);
    buf_add(&whole, home);
    buf_add(&whole, str_from(buf_str(&page->from), LMDB_PREFIX_N));
    buf_free(&page->from);
    page->from = whole;
    return rc == 0 ? buf_check(&page->from, err) : rc;
}

int lmdb_page_collect(const struct lmdb_prefix_tables *t, MDB_txn *txn, struct str prefix,
                      struct names_page *page, struct err *err)
{
    static const struct names_walk walk_of_all = { seek_all, run_none };
    AUTO(sources_free) struct sources s = { .folder = prefix };
    struct str key;
    int plain, deeper;
    TRY(sources_open(&s, t, txn, err));
    TRY(plain = lmdb_walk_seek(&s.plain, buf_str(&page->from), &key, err));
    plain = plain == 1 && str_starts(key, prefix);
    TRY(deeper = seek_deeper(&s, buf_str(&page->from), &key, err));
    deeper = deeper == 1 && str_starts(key, prefix);
    if (!deeper && s.home_n == 0)
        return names_collect(page, prefix, &lmdb_walk_of_keys, &s.plain, err);
    if (!deeper && !plain)
        return collect_home(&s, page, err);
    return names_collect(page, prefix, &walk_of_all, &s, err);
}
