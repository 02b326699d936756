/*
 * Names: the names directly below a prefix, made from an ordered walk over whole keys.  For drivers
 * that can find the first key not below a given one; a folder's content is jumped over.
 */
#ifndef STORAGE_NAMES_H
#define STORAGE_NAMES_H

#include "storage/storage.h"

/*
 * The smallest key that is not below ${from}: 1 and ${key}, borrowed until the next call; 0: there
 * is none; -1.  Within a page ${from} only grows.
 */
typedef int names_seek_fn(void *cursor, struct str from, struct str *key, struct err *err);

/*
 * Up to ${max} keys that follow the last one given, in order, borrowed until the next call; returns
 * how many.  0: only a seek can tell what follows; -1.
 */
typedef int names_run_fn(void *cursor, struct str *keys, int max, struct err *err);

/* How a driver walks over its keys. */
struct names_walk {
    names_seek_fn *seek;
    names_run_fn *run;
};

/* Some names of a listing; starts as { 0 }, one thread at a time. */
struct names_page {
    struct buf text;  /* each name: its length (a size_t), then its bytes */
    struct buf from;  /* no key below this one is still to come */
    size_t limit;     /* names that this page may hold */
    size_t count;     /* names that it holds */
    bool more;        /* keys may follow */
};

/* Fill the page from page->from on; for use inside names_page_fn. -1: what ${walk} says, ERR_NOMEM. */
int names_collect(struct names_page *page, struct str prefix, const struct names_walk *walk,
                  void *cursor, struct err *err) MUST_USE;

/* Opens the driver's cursor, calls names_collect, closes the cursor. */
typedef int names_page_fn(struct storage *s, struct str prefix, struct names_page *page,
                          struct err *err);

/*
 * The whole of storage_list: pages are fetched by ${fetch} and handed out with nothing open.  They
 * grow from 256 names to 65,536 (or about 4 MiB), so that a long listing costs few cursors.
 */
int names_list(struct storage *s, struct str prefix, struct str after, names_page_fn *fetch,
               storage_name_fn *each, void *ctx, struct err *err) MUST_USE;

#endif
