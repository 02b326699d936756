/* Tally: how many keys a store has, and how much they take, by the first parts of their paths. */
#include "cmd/tally.h"

#include <stdlib.h>

#include "cmd/text.h"

/* The key's first ${depth} parts. */
static struct str group_of(struct str key, size_t depth)
{
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] == '/' && depth > 0 && --depth == 0)
            return str_head(key, i);
    return key;
}

static struct tally_row *row_of(struct tally *t, struct str name, struct err *err)
{
    struct tally_row *row = map_get(&t->rows, name);
    if (row != NULL)
        return row;
    row = arena_alloc(t->arena, sizeof *row);
    if (row == NULL) {
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    row->name = arena_dup(t->arena, name);
    if (arena_check(t->arena, err) < 0 || map_put(&t->rows, name, row, NULL, err) < 0)
        return NULL;
    return row;
}

int tally_add(struct tally *t, struct str key, uint64_t bytes, struct err *err)
{
    if (!str_starts(key, t->filter))
        return 0;
    struct tally_row *row = row_of(t, group_of(key, t->depth), err);
    if (row == NULL)
        return -1;
    row->count++;
    row->bytes += bytes;
    t->count++;
    t->bytes += bytes;
    return 0;
}

static int by_count(const void *a, const void *b)
{
    const struct tally_row *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return str_cmp(x->name, y->name);
}

int tally_sorted(struct tally *t, struct tally_row **rows, size_t *n, struct err *err)
{
    size_t at = 0;
    struct str name;
    void *row;
    *n = 0;
    *rows = arena_array(t->arena, t->rows.n + 1, sizeof **rows);
    if (*rows == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    while (map_next(&t->rows, &at, &name, &row))
        (*rows)[(*n)++] = *(struct tally_row *)row;
    qsort(*rows, *n, sizeof **rows, by_count);
    return 0;
}

void tally_fini(struct tally *t)
{
    map_free(&t->rows, NULL);
}

struct str tally_size(struct arena *a, uint64_t bytes)
{
    static const char *const units[] = { "KB", "MB", "GB", "TB" };
    size_t unit = 0;
    double v = (double)bytes / 1024;
    if (bytes < 1024)
        return arena_printf(a, "%llu B", (unsigned long long)bytes);
    for (; v >= 1024 && unit + 1 < ARRAY_LEN(units); unit++)
        v /= 1024;
    struct str text = arena_printf(a, "%.1f", v);
    if (str_ends(text, STR(".0")))
        text.n -= 2;
    return arena_printf(a, STR_FMT " %s", STR_ARG(text), units[unit]);
}

/* ---- the table ---- */

enum { COLUMNS = 3, GAP = 6 };

static void print_row(const struct str *cells, const size_t *widths, struct buf *out)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        buf_add(out, cells[i]);
        for (size_t n = text_width(cells[i]); i + 1 < COLUMNS && n < widths[i] + GAP; n++)
            buf_byte(out, ' ');
    }
    buf_byte(out, '\n');
}

static void fill_row(struct arena *a, struct str name, uint64_t count, uint64_t bytes,
                     struct str *cells)
{
    cells[0] = name;
    cells[1] = arena_printf(a, "%llu", (unsigned long long)count);
    cells[2] = tally_size(a, bytes);
}

void tally_print(struct arena *a, const struct tally *t, const struct tally_row *rows, size_t n,
                 struct buf *out)
{
    static const struct str head[] = { { "Key Name", 8 }, { "Count", 5 }, { "Size", 4 } };
    static const struct str line[] = { { "--------", 8 }, { "-----", 5 }, { "----", 4 } };
    struct str(*cells)[COLUMNS] = arena_array(a, n + 1, sizeof *cells);
    size_t widths[COLUMNS] = { 8, 5, 4 };
    if (cells == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        fill_row(a, rows[i].name, rows[i].count, rows[i].bytes, cells[i]);
    fill_row(a, STR("Total"), t->count, t->bytes, cells[n]);
    for (size_t i = 0; i <= n; i++)
        for (size_t k = 0; k < COLUMNS; k++)
            widths[k] = text_width(cells[i][k]) > widths[k] ? text_width(cells[i][k]) : widths[k];
    print_row(head, widths, out);
    print_row(line, widths, out);
    for (size_t i = 0; i < n; i++)
        print_row(cells[i], widths, out);
    print_row(line, widths, out);
    print_row(cells[n], widths, out);
}
