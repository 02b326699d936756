/* Raftstore_members: the members of the cluster, and one moment of its whole store. */
#include "storage/raft/raftstore_parts.h"

#include <stdlib.h>

int raftstore_describe(const struct raftstore *r, const struct mark *m, struct arena *a,
                       struct raft_members *out, struct err *err)
{
    *out = (struct raft_members){ arena_array(a, m->conf.n, sizeof *out->v), 0, m->conf_index };
    TRY(arena_check(a, err));
    for (unsigned i = 0; i < m->conf.n; i++) {
        const struct raft_server *s = &m->conf.servers[i];
        struct raft_member *to = &out->v[out->n++];
        struct str id, addr;
        member_parts(s->address, &id, &addr);
        *to = (struct raft_member){ .voter = s->role == RAFT_VOTER, .last_contact_ms = -1 };
        memcpy(to->id, id.p, id.n < HA_NAME_MAX ? id.n : HA_NAME_MAX - 1);
        memcpy(to->addr, addr.p, addr.n < HA_NAME_MAX ? addr.n : HA_NAME_MAX - 1);
        to->self = str_eq(id, str_of(r->id));
    }
    return 0;
}

int raftstore_members(struct raftstore *r, struct arena *a, struct raft_members *out,
                      struct err *err)
{
    struct node *node = raftstore_enter(r);
    if (node != NULL) {
        int rc = node_members(node, a, out, err);
        raftstore_leave(r);
        return rc;
    }
    AUTO(mark_clear) struct mark m = { 0 };
    *out = (struct raft_members){ 0 };
    int found = raftstore_read_mark(r, &m, err);
    return found <= 0 ? found : raftstore_describe(r, &m, a, out, err);
}

static int change(struct raftstore *r, enum node_change kind, struct str id, struct str addr,
                  struct err *err)
{
    struct node *node = raftstore_enter(r);
    if (node == NULL)
        return raftstore_stopped(err);
    int rc = node_change(node, kind, id, addr, err);
    raftstore_leave(r);
    return rc;
}

int raftstore_add(struct raftstore *r, struct str id, struct str addr, struct err *err)
{
    return change(r, NODE_ADD, id, addr, err);
}

int raftstore_promote(struct raftstore *r, struct str id, struct err *err)
{
    return change(r, NODE_PROMOTE, id, STR(""), err);
}

int raftstore_demote(struct raftstore *r, struct str id, struct err *err)
{
    return change(r, NODE_DEMOTE, id, STR(""), err);
}

int raftstore_remove(struct raftstore *r, struct str id, struct err *err)
{
    return change(r, NODE_REMOVE, id, STR(""), err);
}

/* ---- one moment ---- */

struct raftstore_view {
    struct lmdb_view *view;
};

static int view_open(struct raftstore *r, struct arena *a, struct lmdb_view **out,
                     struct raftstore_view_info *info, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(mark_clear) struct mark m = { 0 };
    TRY(lmdb_view_open(r->state, &text, out, err));
    *info = (struct raftstore_view_info){ 0 };
    if (text.n == 0)
        return 0;
    TRY(mark_decode(buf_str(&text), &m, err));
    info->index = m.index;
    info->term = m.term;
    info->config_index = m.conf_index;
    return raftstore_describe(r, &m, a, &info->members, err);
}

int raftstore_view_open(struct raftstore *r, struct arena *a, struct raftstore_view **out,
                        struct raftstore_view_info *info, struct err *err)
{
    struct raftstore_view *v = calloc(1, sizeof *v);
    if (v == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    if (view_open(r, a, &v->view, info, err) < 0) {
        raftstore_view_close(v);
        return -1;
    }
    *out = v;
    return 0;
}

int raftstore_view_next(struct raftstore_view *v, struct str *key, struct str *value,
                        struct err *err)
{
    return lmdb_view_next(v->view, key, value, err);
}

void raftstore_view_close(struct raftstore_view *v)
{
    if (v == NULL)
        return;
    lmdb_view_close(v->view);
    free(v);
}
