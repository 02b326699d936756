/* Browser: what sys/config/ tells browsers: which origins may call, and the web pages' headers. */
#ifndef CORE_BROWSER_H
#define CORE_BROWSER_H

#include "base/arena.h"
#include "base/strs.h"
#include "codec/json.h"
#include "storage/storage.h"

struct browser; /* any thread; readers take no lock */

/* Immutable; valid within the caller's epoch section. */
struct browser_rules {
    bool cors;               /* sys/config/cors is on */
    struct strs origins;     /* "*" alone: every origin */
    struct strs headers;     /* which requests may carry */
    const struct json *ui;   /* object: header -> list of values */
};

/*
 * ${plain}: the barrier's storage; ${physical}: beneath it, for the copy that a sealed Vault reads.
 */
int browser_new(struct storage *plain, struct storage *physical, struct browser **out,
                struct err *err) MUST_USE;
void browser_free(struct browser *b);

const struct browser_rules *browser_rules(const struct browser *b);
bool browser_allows(const struct browser_rules *r, struct str origin);

/*
 * Turn cross-origin requests on; ${more} headers are added to the usual ones.
 * -1: ERR_INTERNAL with Vault's texts for bad origins.
 */
int browser_cors_on(struct browser *b, const struct strs *origins, const struct strs *more,
                    struct err *err) MUST_USE;
int browser_cors_off(struct browser *b, struct err *err) MUST_USE;

/* A header of the web pages; NULL ${values} takes it away. Names are kept as "X-Frame-Options". */
int browser_ui_set(struct browser *b, struct str name, const struct strs *values,
                   struct err *err) MUST_USE;
/* Its values; NULL when it is not set. */
const struct json *browser_ui_get(const struct browser_rules *r, struct arena *a, struct str name);

#endif
