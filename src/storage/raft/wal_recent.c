/* Wal_recent: an array of chunks in the order in which they were written. */
#include "storage/raft/wal_recent.h"

#include <stdlib.h>
#include <string.h>

struct wal_chunk *wal_chunk_new(size_t n)
{
    struct wal_chunk *c = malloc(sizeof *c + n);
    if (c == NULL)
        return NULL;
    atomic_init(&c->refs, 1);
    c->n = n;
    return c;
}

struct wal_chunk *wal_chunk_ref(struct wal_chunk *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void wal_chunk_unref(struct wal_chunk *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        free(c);
}

void wal_recent_clear(struct wal_recent *r)
{
    for (size_t i = 0; i < r->n; i++)
        wal_chunk_unref(r->v[r->gone + i]);
    free(r->v);
    *r = (struct wal_recent){ 0 };
}

int wal_recent_reserve(struct wal_recent *r, size_t n, struct err *err)
{
    if (r->gone + r->n + n <= r->cap)
        return 0;
    if (r->gone > r->n && r->n + n <= r->cap) {
        memmove(r->v, r->v + r->gone, r->n * sizeof *r->v);
        r->gone = 0;
        return 0;
    }
    size_t cap = (r->gone + r->n + n) * 2 + 16;
    struct wal_chunk **more = reallocarray(r->v, cap, sizeof *more);
    if (more == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    r->v = more;
    r->cap = cap;
    return 0;
}

void wal_recent_add(struct wal_recent *r, struct wal_chunk *c)
{
    r->v[r->gone + r->n++] = c;
    r->bytes += c->n;
}

void wal_recent_trim(struct wal_recent *r, size_t keep, struct wal_point durable)
{
    while (r->n > 0 && r->bytes > keep) {
        struct wal_chunk *c = r->v[r->gone];
        struct wal_point end = { c->from.segment, c->from.at + c->n };
        if (wal_point_before(durable, end))
            return;
        r->gone++;
        r->n--;
        r->bytes -= c->n;
        wal_chunk_unref(c);
    }
}

struct wal_chunk *wal_recent_find(const struct wal_recent *r, struct wal_point at)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (wal_point_before(at, r->v[r->gone + middle]->from))
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return NULL;
    struct wal_chunk *c = r->v[r->gone + low - 1];
    return c->from.segment == at.segment && at.at - c->from.at < c->n ? c : NULL;
}
