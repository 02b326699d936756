/* From a view of the store to an archive. */
#include "core/snapshot.h"

struct source {
    struct raftstore_view *view;
    const atomic_bool *end;
};

static int next_entry(void *ctx, struct str *key, struct str *value, struct err *err)
{
    struct source *s = ctx;
    if (s->end != NULL && atomic_load_explicit(s->end, memory_order_relaxed))
        return err_set(err, ERR_STANDBY, "the snapshot was given up: this node is active no more");
    return raftstore_view_next(s->view, key, value, err);
}

static int describe(struct arena *a, const struct raftstore_view_info *info,
                    struct archive_meta *out, struct err *err)
{
    *out = (struct archive_meta){
        .version = 1,
        .id = STR("bolt-snapshot"),
        .index = info->index,
        .term = info->term,
        .configuration_index = info->config_index,
        .n_servers = info->members.n,
    };
    out->servers = arena_array(a, info->members.n + 1, sizeof *out->servers);
    TRY(arena_check(a, err));
    for (size_t i = 0; i < info->members.n; i++) {
        const struct raft_member *m = &info->members.v[i];
        out->servers[i] = (struct archive_server){
            .id = str_mem(m->id, strnlen(m->id, sizeof m->id)),
            .address = str_mem(m->addr, strnlen(m->addr, sizeof m->addr)),
            .voter = m->voter,
        };
    }
    return 0;
}

static void close_view(struct raftstore_view **v)
{
    if (*v != NULL)
        raftstore_view_close(*v);
}

int snapshot_write(const struct snapshot_parts *p, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(close_view) struct raftstore_view *view = NULL;
    struct raftstore_view_info info;
    struct archive_meta meta;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(raftstore_view_open(p->raft, a, &view, &info, err));
    TRY(describe(a, &info, &meta, err));
    struct source source = { view, p->end };
    struct archive_calls calls = {
        .next = next_entry,
        .next_ctx = &source,
        .seal = p->seal,
        .seal_ctx = p->seal_ctx,
        .sink = p->sink,
        .sink_ctx = p->sink_ctx,
    };
    return archive_write(&meta, &calls, p->spool_dir, err);
}
