/*
 * Snapfolder: a directory where snapshots are kept as files, named after the moment when each was
 * begun, as many and as large as allowed.
 */
#ifndef CORE_SNAPFOLDER_H
#define CORE_SNAPFOLDER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* Borrowed texts. */
struct snapfolder {
    struct str path;   /* absolute; exists */
    struct str prefix; /* of the files' names */
    int64_t max_bytes; /* of all of them together */
};

/* What is there now. */
struct snapfolder_usage {
    size_t n;
    int64_t bytes;
};

/* "/path/prefix-1603898241699731000.snap", in ${a}; NULL: no memory. */
const char *snapfolder_name(const struct snapfolder *f, struct arena *a, int64_t begun_ns);

/* A file in the making: NAME.part with something random between, until it is finished. */
struct snapfolder_file {
    int fd;
    char *aside, *name; /* in the arena */
    int64_t written, room;
};

/*
 * Begin the one of ${begun_ns}; what earlier attempts have left unfinished is removed.  1, 0 it is
 * there already, whole; -1: ERR_IO says which file or directory, and why.
 */
int snapfolder_begin(const struct snapfolder *f, struct arena *a, int64_t begun_ns,
                     struct snapfolder_file *out, struct err *err) MUST_USE;
/* -1: ERR_IO; ERR_LIMITED: no room is left of max_bytes. */
int snapfolder_add(struct snapfolder_file *file, struct str bytes, struct err *err) MUST_USE;
/* It is on the disk, under its name, when this returns 0. */
int snapfolder_finish(const struct snapfolder *f, struct snapfolder_file *file,
                      struct err *err) MUST_USE;
/* Closes it; what was not finished is removed.  Also after snapfolder_finish. */
void snapfolder_drop(struct snapfolder_file *file);

/* Remove the oldest until ${retain} are left; ${out}: what is there then. */
int snapfolder_prune(const struct snapfolder *f, int64_t retain, struct snapfolder_usage *out,
                     struct err *err) MUST_USE;

#endif
