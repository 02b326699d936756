/* Cache: parsed keys by name; readers take no lock. */
#ifndef ENGINES_TRANSIT_CACHE_H
#define ENGINES_TRANSIT_CACHE_H

#include "engines/transit/key.h"

struct transit_cache; /* any thread */

/* Hold at most ${limit} keys; 0: no limit. NULL when out of memory. */
struct transit_cache *transit_cache_new(size_t limit) MUST_USE;
/* No reader may be left. */
void transit_cache_free(struct transit_cache *c);

size_t transit_cache_limit(const struct transit_cache *c);

/* The key or NULL. The caller is inside an epoch; the key is valid until it leaves that. */
const struct transit_key *transit_cache_get(struct transit_cache *c, struct str name);

/* Counts what was forgotten: to be noted before the store is read for a put. */
uint64_t transit_cache_era(struct transit_cache *c);

/*
 * Keep ${key} in place of the one of its name.  false when something was forgotten since ${era}
 * (the key may be out of date: none of its name is kept) or memory ran out: then ${key} is still
 * the caller's.
 */
bool transit_cache_put(struct transit_cache *c, struct transit_key *key, uint64_t era);

/* Somebody changed or removed the key. */
void transit_cache_forget(struct transit_cache *c, struct str name);

#endif
