/* Wal_batch: pieces, one for each segment that the entries reach. */
#include "storage/raft/wal_batch.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/random.h"

#define MARK_BYTES 16

void wal_batch_free(struct wal_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        wal_chunk_unref(b->v[i].chunk);
        if (b->v[i].fresh)
            wal_segment_unref(b->v[i].segment);
    }
    free(b->v);
}

static struct wal_piece *add_piece(struct wal_batch *b)
{
    if (b->n == b->cap) {
        size_t cap = b->cap * 2 + 2;
        struct wal_piece *more = reallocarray(b->v, cap, sizeof *more);
        if (more == NULL)
            return NULL;
        b->v = more;
        b->cap = cap;
    }
    b->v[b->n] = (struct wal_piece){ 0 };
    return &b->v[b->n++];
}

/* How many of the entries fit from p->first_at on, and where they end. */
static void measure(struct wal_piece *p, const struct wal_batch *b)
{
    p->end = p->first_at;
    for (p->n = 0; p->n < b->left; p->n++) {
        uint64_t space = wal_record_space(b->entries[p->n].data.n);
        if (p->end > p->segment->size || space > p->segment->size - p->end)
            return;
        p->end += space;
    }
}

static uint32_t put_mark(char **to, uint32_t crc)
{
    char data[MARK_BYTES];
    random_fill(data, sizeof data);
    struct wal_entry mark = { .data = { data, sizeof data } };
    crc = wal_record_put(*to, WAL_RECORD_MARK, crc, &mark);
    *to += wal_record_space(sizeof data);
    return crc;
}

static int write_piece(struct wal_piece *p, struct wal_batch *b, struct err *err)
{
    p->chunk = wal_chunk_new(p->end - p->at);
    if (p->chunk == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    p->chunk->from = (struct wal_point){ p->segment->counter, p->at };
    char *to = p->chunk->bytes;
    if (p->first_at > p->at)
        p->crc = put_mark(&to, p->crc);
    for (size_t i = 0; i < p->n; i++) {
        p->crc = wal_record_put(to, WAL_RECORD_ENTRY, p->crc, &b->entries[i]);
        to += wal_record_space(b->entries[i].data.n);
    }
    b->entries += p->n;
    b->left -= p->n;
    return wal_segment_write(p->segment, p->at, str_mem(p->chunk->bytes, p->chunk->n), err);
}

/* What fits into the newest segment. */
static int fill_last(struct wal_batch *b, struct err *err)
{
    if (b->last == NULL)
        return 0;
    struct wal_piece p = { .segment = b->last, .at = b->last->end, .crc = b->last->crc };
    p.first_at = p.at + (b->mark ? wal_record_space(MARK_BYTES) : 0);
    measure(&p, b);
    if (p.n == 0)
        return 0;
    struct wal_piece *added = add_piece(b);
    if (added == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    *added = p;
    return write_piece(added, b, err);
}

static struct wal_segment_plan plan_next(const struct wal_batch *b)
{
    uint64_t needed = WAL_SEGMENT_HEAD + wal_record_space(b->entries[0].data.n);
    struct wal_segment_plan plan = {
        .counter = b->next_counter,
        .base = b->entries[0].index,
        .size = needed > WAL_SEGMENT_SIZE ? (needed + 4095) & ~(uint64_t)4095 : WAL_SEGMENT_SIZE,
    };
    if (b->n > 0) {
        plan.prev_end = b->v[b->n - 1].end;
        plan.prev_crc = b->v[b->n - 1].crc;
    } else if (b->last != NULL) {
        plan.prev_end = b->last->end;
        plan.prev_crc = b->last->crc;
    }
    return plan;
}

static int fill_new(struct wal_batch *b, struct err *err)
{
    struct wal_segment_plan plan = plan_next(b);
    struct wal_segment *s;
    TRY(wal_segment_new(b->dir, b->id, &plan, &s, err));
    struct wal_piece *p = add_piece(b);
    if (p == NULL) {
        unlinkat(b->dir, s->name, 0);
        wal_segment_unref(s);
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    }
    *p = (struct wal_piece){
        .segment = s, .fresh = true, .at = s->end, .first_at = s->end, .crc = s->crc
    };
    b->next_counter++;
    measure(p, b);
    return write_piece(p, b, err);
}

int wal_batch_write(struct wal_batch *b, const struct wal_entry *entries, size_t n,
                    struct err *err)
{
    b->entries = entries;
    b->left = n;
    TRY(fill_last(b, err));
    while (b->left > 0)
        TRY(fill_new(b, err));
    return 0;
}

void wal_batch_undo(struct wal_batch *b)
{
    static const char zeros[WAL_RECORD_HEAD];
    for (size_t i = b->n; i-- > 0;) {
        struct wal_piece *p = &b->v[i];
        if (p->fresh)
            unlinkat(b->dir, p->segment->name, 0);
        else /* if that fails too, the mark keeps what was written from counting later */
            (void)!wal_segment_write(p->segment, p->at, str_mem(zeros, sizeof zeros), NULL);
    }
}
