/* Listing by pages: nothing of the driver is held while names are handed out. */
#include "storage/names.h"

enum { FIRST_PAGE = 256, LAST_PAGE = 65536, PAGE_BYTES = 4 << 20 };

static void page_free(struct names_page *page)
{
    buf_free(&page->text);
    buf_free(&page->from);
}

/* The first key whose name is greater than ${after}. */
static void start_at(struct buf *from, struct str prefix, struct str after)
{
    buf_add(from, prefix);
    ptrdiff_t slash = str_find_byte(after, '/');
    if (slash >= 0) {
        /* Every key "x/..." shows as "x/", which is not greater than "x/" or "x/y": pass over. */
        buf_add(from, str_head(after, (size_t)slash));
        buf_byte(from, '/' + 1);
    } else if (after.n > 0) {
        buf_add(from, after);
        buf_byte(from, 0);
    }
}

static void page_add(struct names_page *page, struct str prefix, struct str name)
{
    size_t n = name.n;
    buf_add(&page->text, str_mem(&n, sizeof n));
    buf_add(&page->text, name);
    page->count++;

    buf_clear(&page->from);
    buf_add(&page->from, prefix);
    bool folder = name.n > 0 && name.p[name.n - 1] == '/';
    buf_add(&page->from, str_head(name, name.n - folder));
    buf_byte(&page->from, folder ? '/' + 1 : 0);
}

int names_collect(struct names_page *page, struct str prefix, names_seek_fn *seek, void *cursor,
                  struct err *err)
{
    while (page->count < page->limit && page->text.n < PAGE_BYTES) {
        struct str key;
        int found = seek(cursor, buf_str(&page->from), &key, err);
        if (found < 0)
            return -1;
        if (found == 0 || !str_starts(key, prefix)) {
            page->more = false;
            return 0;
        }
        struct str name = str_from(key, prefix.n);
        ptrdiff_t slash = str_find_byte(name, '/');
        page_add(page, prefix, slash < 0 ? name : str_head(name, (size_t)slash + 1));
        TRY(buf_check(&page->text, err));
        TRY(buf_check(&page->from, err));
    }
    page->more = true;
    return 0;
}

/* 1 when ${each} wants no more. */
static int hand_out(const struct names_page *page, storage_name_fn *each, void *ctx)
{
    for (size_t at = 0; at < page->text.n;) {
        size_t n;
        memcpy(&n, page->text.p + at, sizeof n);
        if (each(ctx, str_mem(page->text.p + at + sizeof n, n)) != 0)
            return 1;
        at += sizeof n + n;
    }
    return 0;
}

int names_list(struct storage *s, struct str prefix, struct str after, names_page_fn *fetch,
               storage_name_fn *each, void *ctx, struct err *err)
{
    AUTO(page_free) struct names_page page = { .limit = FIRST_PAGE, .more = true };
    start_at(&page.from, prefix, after);
    TRY(buf_check(&page.from, err));
    while (page.more) {
        buf_clear(&page.text);
        page.count = 0;
        TRY(fetch(s, prefix, &page, err));
        if (hand_out(&page, each, ctx) != 0)
            return 0;
        page.limit = page.limit < LAST_PAGE ? page.limit * 4 : LAST_PAGE;
    }
    return 0;
}
