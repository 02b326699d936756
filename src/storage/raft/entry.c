/* Entry: entries of the log, and the encoding of what they hold. */
#include "storage/raft/entry.h"

#include <stdlib.h>

struct entry *entry_new(uint64_t index, uint64_t term, uint8_t type, struct str data)
{
    struct entry *e = malloc(sizeof *e + data.n);
    if (e == NULL)
        return NULL;
    atomic_init(&e->users, 1);
    e->index = index;
    e->term = term;
    e->type = type;
    e->n = data.n;
    if (data.n > 0)
        memcpy(e->data, data.p, data.n);
    return e;
}

struct entry *entry_hold(struct entry *e)
{
    atomic_fetch_add_explicit(&e->users, 1, memory_order_relaxed);
    return e;
}

void entry_drop(struct entry *e)
{
    if (e == NULL || atomic_fetch_sub_explicit(&e->users, 1, memory_order_acq_rel) != 1)
        return;
    free(e);
}

enum entry_kind entry_kind_of(struct str payload)
{
    if (payload.n == 0 || payload.p[0] < ENTRY_BATCHES || payload.p[0] > ENTRY_RESTORE_ABORT)
        return 0;
    return (enum entry_kind)payload.p[0];
}

static void add_number(struct buf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_byte(out, (char)(v | 0x80));
    buf_byte(out, (char)v);
}

static int corrupt(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "raft: an entry's content is malformed");
}

static int take_number(struct str *rest, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; rest->n > 0 && shift < 63; shift += 7) {
        uint8_t c = (uint8_t)rest->p[0];
        *rest = str_from(*rest, 1);
        *out |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return 0;
    }
    return -1;
}

static int take_bytes(struct str *rest, struct str *out)
{
    uint64_t n;
    if (take_number(rest, &n) < 0 || n > rest->n)
        return -1;
    *out = str_head(*rest, (size_t)n);
    *rest = str_from(*rest, (size_t)n);
    return 0;
}

void entry_add_batch(struct buf *out, const struct storage_op *ops, size_t n)
{
    add_number(out, n);
    for (size_t i = 0; i < n; i++) {
        buf_byte(out, ops[i].kind == STORAGE_DELETE);
        add_number(out, ops[i].key.n);
        buf_add(out, ops[i].key);
        if (ops[i].kind == STORAGE_DELETE)
            continue;
        add_number(out, ops[i].value.n);
        buf_add(out, ops[i].value);
    }
}

static int grow(void **v, size_t *cap, size_t need, size_t size, struct err *err)
{
    if (need <= *cap)
        return 0;
    size_t to = *cap < 16 ? 16 : *cap * 2;
    if (to < need)
        to = need;
    void *p = reallocarray(*v, to, size);
    if (p == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    *v = p;
    *cap = to;
    return 0;
}

static int read_op(struct str *rest, struct entry_batches *b, struct err *err)
{
    struct storage_op op = { STORAGE_PUT, { NULL, 0 }, { NULL, 0 } };
    if (rest->n == 0 || (uint8_t)rest->p[0] > 1)
        return corrupt(err);
    op.kind = rest->p[0] ? STORAGE_DELETE : STORAGE_PUT;
    *rest = str_from(*rest, 1);
    if (take_bytes(rest, &op.key) < 0 || op.key.n == 0)
        return corrupt(err);
    if (op.kind == STORAGE_PUT && take_bytes(rest, &op.value) < 0)
        return corrupt(err);
    TRY(grow((void **)&b->ops, &b->cap_ops, b->n_ops + 1, sizeof *b->ops, err));
    b->ops[b->n_ops++] = op;
    b->bytes += op.key.n + op.value.n;
    return 0;
}

static int read_batches(struct str rest, struct entry_batches *b, struct err *err)
{
    while (rest.n > 0) {
        uint64_t n;
        /* An operation takes three bytes at least: no count makes us allocate beyond that. */
        if (take_number(&rest, &n) < 0 || n > rest.n / 3)
            return corrupt(err);
        TRY(grow((void **)&b->v, &b->cap, b->n + 1, sizeof *b->v, err));
        for (uint64_t i = 0; i < n; i++)
            TRY(read_op(&rest, b, err));
        b->v[b->n++] = (struct lmdb_batch){ NULL, (size_t)n };
    }
    return 0;
}

int entry_read(struct str payload, struct entry_batches *b, struct err *err)
{
    size_t n = b->n, n_ops = b->n_ops, bytes = b->bytes;
    if (payload.n == 0)
        return corrupt(err);
    if (read_batches(str_from(payload, 1), b, err) == 0)
        return 0;
    b->n = n;
    b->n_ops = n_ops;
    b->bytes = bytes;
    return -1;
}

void entry_link(struct entry_batches *b)
{
    size_t at = 0;
    for (size_t i = 0; i < b->n; i++) {
        b->v[i].ops = b->v[i].n > 0 ? b->ops + at : NULL;
        at += b->v[i].n;
    }
}

void entry_reset(struct entry_batches *b)
{
    b->n = b->n_ops = b->bytes = 0;
}

void entry_free(struct entry_batches *b)
{
    free(b->v);
    free(b->ops);
    *b = (struct entry_batches){ 0 };
}
