/* Wal_index: two arrays; what is forgotten leaves a gap in front, closed when room is short. */
#include "storage/raft/wal_index.h"

#include <stdlib.h>
#include <string.h>

void wal_index_free(struct wal_index *x)
{
    free(x->places);
    free(x->terms);
    *x = (struct wal_index){ 0 };
}

void wal_index_reset(struct wal_index *x, uint64_t next)
{
    wal_index_free(x);
    x->first = x->next = next;
}

static int reserve_places(struct wal_index *x, size_t n, struct err *err)
{
    size_t held = (size_t)(x->next - x->first);
    if (x->gone + held + n <= x->cap)
        return 0;
    if (x->gone > held && held + n <= x->cap) {
        memmove(x->places, x->places + x->gone, held * sizeof *x->places);
        x->gone = 0;
        return 0;
    }
    size_t cap = (x->gone + held + n) * 3 / 2 + 64;
    struct wal_place *more = reallocarray(x->places, cap, sizeof *more);
    if (more == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    x->places = more;
    x->cap = cap;
    return 0;
}

int wal_index_reserve(struct wal_index *x, size_t n, size_t terms, struct err *err)
{
    TRY(reserve_places(x, n, err));
    if (x->n_terms + terms <= x->cap_terms)
        return 0;
    size_t cap = (x->n_terms + terms) * 3 / 2 + 8;
    struct wal_term *more = reallocarray(x->terms, cap, sizeof *more);
    if (more == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    x->terms = more;
    x->cap_terms = cap;
    return 0;
}

static void cut(struct wal_index *x, uint64_t from)
{
    if (from < x->first) { /* all that is held came after it */
        x->first = from;
        x->gone = 0;
    }
    x->next = from;
    while (x->n_terms > 0 && x->terms[x->n_terms - 1].first >= from)
        x->n_terms--;
}

void wal_index_put(struct wal_index *x, uint64_t index, uint64_t term, struct wal_place place)
{
    if (index < x->next)
        cut(x, index);
    x->places[x->gone + (size_t)(index - x->first)] = place;
    if (x->n_terms == 0 || x->terms[x->n_terms - 1].term != term)
        x->terms[x->n_terms++] = (struct wal_term){ index, term };
    x->next = index + 1;
}

/* Places are in the order of the log: the first that is not in an older segment. */
static uint64_t first_from(const struct wal_index *x, uint32_t segment)
{
    uint64_t low = x->first, high = x->next;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (wal_index_place(x, middle)->segment < segment)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void wal_index_forget_before(struct wal_index *x, uint32_t segment)
{
    uint64_t first = first_from(x, segment);
    size_t dead = 0;
    x->gone += (size_t)(first - x->first);
    x->first = first;
    while (dead + 1 < x->n_terms && x->terms[dead + 1].first <= first)
        dead++;
    x->n_terms -= dead;
    memmove(x->terms, x->terms + dead, x->n_terms * sizeof *x->terms);
}

const struct wal_place *wal_index_place(const struct wal_index *x, uint64_t index)
{
    if (index < x->first || index >= x->next)
        return NULL;
    return &x->places[x->gone + (size_t)(index - x->first)];
}

uint64_t wal_index_term(const struct wal_index *x, uint64_t index)
{
    size_t low = 0, high = x->n_terms;
    if (index < x->first || index >= x->next)
        return 0;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (x->terms[middle].first <= index)
            low = middle;
        else
            high = middle;
    }
    return x->terms[low].term;
}
