/* Listing by pages: nothing of the driver is held while names are handed out. */
#include "storage/names.h"

enum { FIRST_PAGE = 256, LAST_PAGE = 65536, PAGE_BYTES = 4 << 20, LONGEST_RUN = 64 };

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

/* Where the page goes on after ${name}. */
static void page_end(struct names_page *page, struct str prefix, struct str name)
{
    bool folder = name.n > 0 && name.p[name.n - 1] == '/';
    buf_clear(&page->from);
    buf_add(&page->from, prefix);
    buf_add(&page->from, str_head(name, name.n - folder));
    buf_byte(&page->from, folder ? '/' + 1 : 0);
}

/* A page on its way: keys are read ahead while there is no folder to jump over. */
struct reading {
    struct names_page *page;
    struct str prefix;
    const struct names_walk *walk;
    void *cursor;
    struct str keys[LONGEST_RUN];
    int at, n, max; /* of keys; ${max}: how many to ask for, one after a jump, then doubled */
    size_t last;    /* where the last name begins in the page's text */
    bool jump;      /* page->from says what comes next; else it follows on the last key */
    bool inside;    /* all that was read ahead is below the prefix */
};

static struct str last_name(const struct reading *r)
{
    struct str name;
    memcpy(&name.n, r->page->text.p + r->last, sizeof name.n);
    name.p = r->page->text.p + r->last + sizeof name.n;
    return name;
}

static int read_ahead(struct reading *r, struct err *err)
{
    r->at = 0;
    r->n = r->walk->run(r->cursor, r->keys, r->max, err);
    r->max = r->max * 2 < LONGEST_RUN ? r->max * 2 : LONGEST_RUN;
    r->inside = r->n > 0 && str_starts(r->keys[r->n - 1], r->prefix);
    return r->n;
}

/* Pass over what was read ahead and lies in the folder just jumped. */
static void skip(struct reading *r)
{
    while (r->at < r->n && str_cmp(r->keys[r->at], buf_str(&r->page->from)) < 0)
        r->at++;
    if (r->at == r->n)
        r->max = 1;
}

static int next_key(struct reading *r, struct str *key, struct err *err)
{
    if (r->jump)
        skip(r);
    else if (r->at == r->n)
        TRY(read_ahead(r, err));
    if (r->at < r->n) {
        r->jump = false;
        *key = r->keys[r->at++];
        return 1;
    }
    r->n = r->at = 0;
    if (!r->jump)
        page_end(r->page, r->prefix, last_name(r));
    TRY(buf_check(&r->page->from, err));
    r->jump = r->inside = false;
    return r->walk->seek(r->cursor, buf_str(&r->page->from), key, err);
}

static inline void page_add(struct reading *r, struct str name)
{
    struct buf *text = &r->page->text;
    if (text->cap - text->n < sizeof name.n + name.n &&
        buf_reserve(text, sizeof name.n + name.n) < 0)
        return;
    r->last = text->n;
    memcpy(text->p + text->n, &name.n, sizeof name.n);
    memcpy(text->p + text->n + sizeof name.n, name.p, name.n);
    text->n += sizeof name.n + name.n;
    r->page->count++;
}

static void add_key(struct reading *r, struct str key)
{
    struct str name = str_from(key, r->prefix.n);
    const char *slash = memchr(name.p, '/', name.n);
    if (slash == NULL) {
        page_add(r, name);
        return;
    }
    name.n = (size_t)(slash - name.p) + 1;
    page_add(r, name);
    page_end(r->page, r->prefix, name);
    r->jump = true;
}

int names_collect(struct names_page *page, struct str prefix, const struct names_walk *walk,
                  void *cursor, struct err *err)
{
    struct reading r; /* not all of it is to be zeroed */
    r.page = page;
    r.prefix = prefix;
    r.walk = walk;
    r.cursor = cursor;
    r.at = r.n = 0;
    r.max = 1;
    r.last = 0;
    r.jump = true;
    r.inside = false;
    while (page->count < page->limit && page->text.n < PAGE_BYTES) {
        struct str key;
        int found = next_key(&r, &key, err);
        TRY(found);
        if (found == 0 || (!r.inside && !str_starts(key, prefix))) {
            page->more = false;
            return 0;
        }
        add_key(&r, key);
        TRY(buf_check(&page->text, err));
    }
    if (!r.jump)
        page_end(page, prefix, last_name(&r));
    page->more = true;
    return buf_check(&page->from, err);
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
