/* Folder: the directories beneath a file store, and which keys a file system can hold. */
#ifndef STORAGE_FOLDER_H
#define STORAGE_FOLDER_H

#include <limits.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/* Names in the root that belong to the store itself and are no folders of keys. */
#define FOLDER_OURS ".coffer-"

enum { FOLDER_NAME_SIZE = NAME_MAX + 2 };

/* ERR_BAD_REQUEST: empty, "." or ".." as a segment, NUL, a name too long, a reserved folder. */
int folder_check_key(struct str key, struct err *err) MUST_USE;
/* The same of a folder; empty (the root) is fine. */
int folder_check(struct str folder, struct err *err) MUST_USE;

/* Without slashes at the end: Vault's file names lose them. */
struct str folder_trim(struct str key);
/* The folder of a trimmed key, without slash at its end; empty: the root. */
struct str folder_of(struct str key);
/* Name of a checked, trimmed key's file in its folder: "_" and the last segment. */
void folder_file_name(struct str key, char out[FOLDER_NAME_SIZE]);

/* The store's directory, made with its parents when missing. -1: ERR_IO. */
int folder_open_root(const char *path, int *out, struct err *err) MUST_USE;

/*
 * Open a checked folder below ${root}, segment by segment; ${make}: create what is missing,
 * durably.  1 and a descriptor that the caller closes; 0: not there (never with ${make}); -1:
 * ERR_IO, ERR_BAD_REQUEST when a file has the name.
 */
int folder_open(int root, struct str folder, bool make, int *out, struct err *err) MUST_USE;

/* Remove the folder and those above it as far as they are empty. */
void folder_prune(int root, struct str folder);

/* Close and set to -1; for AUTO. */
void folder_close(int *fd);

/* Fill ${err} from errno; returns -1. */
int folder_failed(struct err *err, const char *what);

#endif
