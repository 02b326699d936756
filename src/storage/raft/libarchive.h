/*
 * Libarchive: the library, loaded when it is first needed.  It stands on an XML parser and its
 * tables of Unicode; linked, all of them would be loaded with each run of the command line.
 */
#ifndef STORAGE_RAFT_LIBARCHIVE_H
#define STORAGE_RAFT_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

#include "base/attr.h"
#include "base/err.h"

#define LIBARCHIVE_SONAME "libarchive.so.13"

/* What we use of it. */
#define LIBARCHIVE_CALLS(CALL)           \
    CALL(entry_filetype)                 \
    CALL(entry_free)                     \
    CALL(entry_hardlink)                 \
    CALL(entry_new)                      \
    CALL(entry_pathname)                 \
    CALL(entry_set_filetype)             \
    CALL(entry_set_mtime)                \
    CALL(entry_set_pathname)             \
    CALL(entry_set_perm)                 \
    CALL(entry_set_size)                 \
    CALL(entry_size)                     \
    CALL(entry_sparse_count)             \
    CALL(errno)                          \
    CALL(error_string)                   \
    CALL(filter_bytes)                   \
    CALL(read_data_block)                \
    CALL(read_free)                      \
    CALL(read_new)                       \
    CALL(read_next_header)               \
    CALL(read_open)                      \
    CALL(read_support_format_tar)        \
    CALL(set_error)                      \
    CALL(write_add_filter_gzip)          \
    CALL(write_close)                    \
    CALL(write_data)                     \
    CALL(write_fail)                     \
    CALL(write_free)                     \
    CALL(write_header)                   \
    CALL(write_new)                      \
    CALL(write_open)                     \
    CALL(write_set_bytes_in_last_block)  \
    CALL(write_set_bytes_per_block)      \
    CALL(write_set_filter_option)        \
    CALL(write_set_format_pax_restricted)

/* archive_NAME is NAME_fn here: "errno" is a macro. */
struct libarchive {
#define LIBARCHIVE_FIELD(name) __typeof__(archive_##name) *name##_fn;
    LIBARCHIVE_CALLS(LIBARCHIVE_FIELD)
#undef LIBARCHIVE_FIELD
};

/*
 * Load the library of the name ${soname}, once for the life of the process, and find its functions.
 * Any thread.  -1: ERR_INTERNAL: it is not there, or not the one that is needed.
 */
int libarchive_load(const char *soname, struct libarchive *out, struct err *err) MUST_USE;

#endif
