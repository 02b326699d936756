/* Raftstore_peek: a node's place among others, read from its files while no server runs. */
#include "storage/raft/raftstore_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/lmdb_peek.h"

static void drop(struct raftstore **r)
{
    free(*r);
}

static int read_mark(struct raftstore *r, struct str text, struct arena *a,
                     struct raftstore_peek *out, struct err *err)
{
    AUTO(mark_clear) struct mark m = { 0 };
    if (text.n == 0)
        return 0;
    TRY(mark_decode(text, &m, err));
    out->waits = m.invalid;
    out->has_cluster = true;
    out->applied = m.index;
    return raftstore_describe(r, &m, a, &out->members, err);
}

static int read_peers(struct raftstore *r, struct arena *a, struct raftstore_peek *out,
                      struct err *err)
{
    AUTO(mark_clear) struct mark m = { 0 };
    int found = raftstore_read_peers(r, &m.conf, err);
    if (found <= 0)
        return found;
    out->has_peers = true;
    return raftstore_describe(r, &m, a, &out->peers, err);
}

static int read_store(struct raftstore *r, struct str key, struct arena *a,
                      struct raftstore_peek *out, struct err *err)
{
    AUTO(buf_free) struct buf mark = { 0 }, value = { 0 };
    char file[PATH_MAX + 16];
    snprintf(file, sizeof file, "%s/vault.db", r->path);
    int found = lmdb_peek(file, key, &mark, &value, err);
    if (found <= 0)
        return found;
    TRY(read_mark(r, buf_str(&mark), a, out, err));
    out->value = arena_take(a, &value);
    TRY(arena_check(a, err));
    return 1;
}

int raftstore_peek(const struct storage_option *options, size_t n, struct str key,
                   struct arena *a, struct raftstore_peek *out, struct err *err)
{
    AUTO(drop) struct raftstore *r = calloc(1, sizeof *r);
    *out = (struct raftstore_peek){ 0 };
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    TRY(raftstore_read_options(r, options, n, err));
    TRY(raftstore_name_folders(r, err));
    TRY(raftstore_find_id(r, false, err));
    memcpy(out->id, r->id, sizeof out->id);
    out->removed = raftstore_was_removed(r);
    out->bad_peers = (struct err){ 0 };
    (void)!read_peers(r, a, out, &out->bad_peers);
    return read_store(r, key, a, out, err);
}
