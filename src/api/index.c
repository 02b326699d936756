/* X-Vault-Index: what state a client asks for, and what state its write made (Vault docs:
 * enterprise/consistency). */
#include "api/call.h"
#include "base/epoch.h"
#include "core/stateindex.h"
#include "storage/ha.h"

/* How long a node waits for what is on its way to it, before the active node is asked. */
enum { WAIT_MS = 250 };

bool index_header(const struct call *c, struct http_header *out)
{
    struct ha *ha = c->api->settings.core->ha;
    struct err err = { 0 };
    struct str text;
    uint64_t committed;
    bool made = false;
    if (ha == NULL)
        return false;
    epoch_enter();
    const struct active *on = lifecycle_active(c->api->settings.lifecycle);
    if (on != NULL && on->index != NULL) {
        struct stateindex_value v = { .cluster_id = on->cluster_id };
        ha->ops->index(ha, &committed, &v.local);
        made = stateindex_print(on->index, c->arena, &v, &text, &err) == 0;
    }
    epoch_leave();
    if (made)
        *out = (struct http_header){ STR(STATEINDEX_HEADER), text };
    return made;
}

static bool asks(const struct http_request *h)
{
    bool found;
    (void)http_header(h, STATEINDEX_HEADER, &found);
    return found;
}

/* 412 rather than the active node's help. */
static bool wants_failure(const struct http_request *h)
{
    for (size_t i = 0; i < h->n_headers; i++)
        if (str_eq_nocase(h->headers[i].name, STR("X-Vault-Inconsistent"))
            && str_is(str_trim(h->headers[i].value), "fail"))
            return true;
    return false;
}

/* The newest index that is asked for.  -1: ERR_BAD_REQUEST, ERR_CONFLICT another cluster's. */
static int newest(struct call *c, const struct active *on, uint64_t *out, struct err *err)
{
    const struct http_request *h = &c->x->req;
    *out = 0;
    for (size_t i = 0; i < h->n_headers; i++) {
        struct str rest = h->headers[i].value, part;
        struct stateindex_value v;
        if (!str_eq_nocase(h->headers[i].name, STR(STATEINDEX_HEADER)))
            continue;
        while (str_next(&rest, ',', &part)) {
            TRY(stateindex_parse(on->index, c->arena, str_trim(part), &v, err));
            if (!str_eq(v.cluster_id, on->cluster_id))
                return err_set(err, ERR_CONFLICT, "another cluster's state");
            if (v.local > *out)
                *out = v.local;
        }
    }
    return 0;
}

/* Without what serves: the pipeline will say so. */
static enum index_here read_wanted(struct call *c, bool *standby, uint64_t *wanted,
                                   struct err *err)
{
    enum index_here here = INDEX_LATER;
    epoch_enter();
    const struct active *on = lifecycle_active(c->api->settings.lifecycle);
    if (on == NULL)
        here = INDEX_HERE;
    else if (on->index == NULL)
        here = on->standby ? INDEX_ELSEWHERE : INDEX_HERE;
    else if (newest(c, on, wanted, err) < 0)
        here = INDEX_REFUSED;
    *standby = on != NULL && on->standby;
    epoch_leave();
    return here;
}

static enum index_here refuse(struct call *c, const struct err *err)
{
    if (err->code == ERR_CONFLICT || err->code == ERR_TIMEOUT)
        answer_error(c, 412, STR("required index state not present"));
    else
        answer_failure(c, err);
    return INDEX_REFUSED;
}

enum index_here index_required(struct call *c)
{
    struct ha *ha = c->api->settings.core->ha;
    struct err err = { 0 };
    uint64_t committed, applied, wanted = 0;
    bool standby;
    if (ha == NULL || !asks(&c->x->req))
        return INDEX_HERE;
    enum index_here here = read_wanted(c, &standby, &wanted, &err);
    if (here != INDEX_LATER)
        return here == INDEX_REFUSED ? refuse(c, &err) : here;
    ha->ops->index(ha, &committed, &applied);
    if (applied >= wanted)
        return INDEX_HERE;
    if (standby && c->on_loop)
        return INDEX_LATER;
    if (standby && ha->ops->wait_applied(ha, wanted, WAIT_MS, &err) == 0)
        return INDEX_HERE;
    if (standby && !wants_failure(&c->x->req))
        return INDEX_ELSEWHERE;
    err.code = ERR_TIMEOUT;
    return refuse(c, &err);
}
