/* Strs: a list of borrowed texts whose array lives in an arena. */
#ifndef BASE_STRS_H
#define BASE_STRS_H

#include "base/arena.h"
#include "base/str.h"

/* Starts as { 0 }. */
struct strs {
    struct str *v;
    size_t n, cap;
};

/* Append (the text is borrowed); lack of memory is remembered by the arena. */
void strs_add(struct arena *a, struct strs *list, struct str s);
bool strs_has(const struct strs *list, struct str s);
/* Byte order. */
void strs_sort(struct strs *list);
/* Drop repeated items, the first stays; order kept. */
void strs_unique(struct strs *list);
/* Split at ${sep}, trim each, drop empty ones: "a, b,,c". */
struct strs strs_split(struct arena *a, struct str s, char sep);
struct str strs_join(struct arena *a, const struct strs *list, struct str between);
/* A deep copy into ${a}. */
struct strs strs_copy(struct arena *a, const struct strs *list);
/* A callback for storage_list: copies each name into the list. ${ctx} is a struct strs_collect. */
struct strs_collect {
    struct arena *arena;
    struct strs *list;
};
int strs_collect_name(void *ctx, struct str name);
bool strs_equal(const struct strs *a, const struct strs *b);

#endif
