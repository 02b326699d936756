/* Table: rows of cells in columns, as Vault lays them out. */
#include "cmd/table.h"

#include <stdarg.h>
#include <stdio.h>

#include "cmd/text.h"

void table_cell(struct table *t, struct str cell)
{
    cell = str_trim(cell);
    strs_add(t->arena, &t->cells, cell.n > 0 ? cell : STR("n/a"));
}

void table_end_row(struct table *t)
{
    if (t->columns == 0)
        t->columns = t->cells.n;
}

void table_pair(struct table *t, const char *name, const char *format, ...)
{
    AUTO(buf_free) struct buf text = { 0 };
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || buf_reserve(&text, (size_t)n + 1) < 0)
        return;
    va_start(args, format);
    vsnprintf(text.p, (size_t)n + 1, format, args);
    va_end(args);
    text.n = (size_t)n;
    table_cell(t, str_of(name));
    table_cell(t, arena_dup(t->arena, buf_str(&text)));
    table_end_row(t);
}

void table_key_value(struct table *t)
{
    table_cell(t, STR("Key"));
    table_cell(t, STR("Value"));
    table_end_row(t);
}

static void pad(struct buf *out, size_t from, size_t to)
{
    for (; from < to; from++)
        buf_byte(out, ' ');
}

static void print_row(const struct table *t, size_t row, const size_t *widths, struct buf *out)
{
    for (size_t i = 0; i < t->columns; i++) {
        struct str cell = t->cells.v[row * t->columns + i];
        buf_add(out, cell);
        if (i + 1 < t->columns)
            pad(out, text_width(cell), widths[i] + 4);
    }
    buf_byte(out, '\n');
}

static void underline(const struct table *t, const size_t *widths, struct buf *out)
{
    for (size_t i = 0; i < t->columns; i++) {
        for (size_t n = 0; n < t->cells.v[i].n; n++)
            buf_byte(out, '-');
        if (i + 1 < t->columns)
            pad(out, t->cells.v[i].n, widths[i] + 4);
    }
    buf_byte(out, '\n');
}

void table_print(const struct table *t, bool header, struct buf *out)
{
    size_t *widths = arena_array(t->arena, t->columns + 1, sizeof *widths);
    if (widths == NULL || t->columns == 0)
        return;
    for (size_t i = 0; i < t->cells.n; i++) {
        size_t width = text_width(t->cells.v[i]);
        if (width > widths[i % t->columns])
            widths[i % t->columns] = width;
    }
    for (size_t row = 0; (row + 1) * t->columns <= t->cells.n; row++) {
        print_row(t, row, widths, out);
        if (row == 0 && header)
            underline(t, widths, out);
    }
}
