/* Partfile: a file that gets its name only when all of it is there. */
#ifndef CMD_PARTFILE_H
#define CMD_PARTFILE_H

#include "base/arena.h"
#include "base/err.h"

/* Starts as { .fd = -1 }; AUTO(partfile_drop) leaves nothing behind that was not finished. */
struct partfile {
    int fd;      /* for writing and reading; the offset is its writer's */
    char *name;
    char *aside; /* "name.part.XXXXXX"; NULL: a nameless file, for a pipe or the like */
    int failed;  /* errno of the first write that failed */
};

/* Make it beside ${path}, mode 0600, in ${a}. A symbolic link is followed. -1: ERR_IO. */
int partfile_open(struct arena *a, struct str path, struct partfile *out,
                  struct err *err) MUST_USE;
/* Append. -1: f->failed says why. */
int partfile_add(struct partfile *f, struct str bytes) MUST_USE;
/*
 * Bring it to the disk and put it in the place of its name; what is no ordinary file gets a copy
 * of the content. -1: ERR_IO.
 */
int partfile_finish(struct partfile *f, struct err *err) MUST_USE;
void partfile_drop(struct partfile *f);

#endif
