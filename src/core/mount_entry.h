/* Mount entry: a row of a mount table as it is stored. */
#ifndef CORE_MOUNT_ENTRY_H
#define CORE_MOUNT_ENTRY_H

#include "core/mount.h"

/* Stored JSON to a mount in ${a} (strings included); nothing is opened. -1: ERR_CORRUPT. */
int mount_entry_parse(struct arena *a, const struct json *row, bool is_auth, struct mount *out,
                      struct err *err) MUST_USE;
/* The reverse: a row in ${a}. */
struct json *mount_entry_print(struct arena *a, const struct mount *m);
/* A deep copy of the described part into ${a}. */
struct mount mount_entry_copy(struct arena *a, const struct mount *m);
/* "default-service" ...; as the API names token types. */
const char *mount_entry_token_type_name(enum token_type t);
bool mount_entry_token_type_of(struct str name, enum token_type *out);

#endif
