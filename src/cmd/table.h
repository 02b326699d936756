/* Table: rows of cells in columns, as Vault lays them out. */
#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include "base/buf.h"
#include "base/strs.h"

/* Starts as { .arena = a }. Cells are borrowed. */
struct table {
    struct arena *arena;
    struct strs cells;
    size_t columns; /* of the first row; every row has as many */
};

/* Append one cell; a row is full when it has as many cells as the first. */
void table_cell(struct table *t, struct str cell);
/* End the first row, which sets the number of columns; nothing for the later ones. */
void table_end_row(struct table *t);

/* A row of a name and a formatted value. */
void table_pair(struct table *t, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
/* The row "Key", "Value". */
void table_key_value(struct table *t);

/*
 * Lay out: columns padded, four spaces between them, empty cells as "n/a"; with ${header} the
 * first row is underlined. Each row ends with a line end.
 */
void table_print(const struct table *t, bool header, struct buf *out);

#endif
