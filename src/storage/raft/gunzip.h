/* Gunzip: one gzip stream that fills a file, decompressed piece by piece. */
#ifndef STORAGE_RAFT_GUNZIP_H
#define STORAGE_RAFT_GUNZIP_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct gunzip; /* one thread at a time */

/*
 * ${fd} is borrowed, read from its beginning, its position left alone.
 * -1: ERR_BAD_REQUEST when it does not begin as gzip does, with the texts of Go's reader ("EOF",
 * "unexpected EOF", "gzip: invalid header"); ERR_IO, ERR_NOMEM.
 */
int gunzip_open(int fd, struct gunzip **out, struct err *err) MUST_USE;
void gunzip_close(struct gunzip *g);
/* For AUTO(gunzip_drop) struct gunzip *g = NULL. */
void gunzip_drop(struct gunzip **g);

/*
 * The next piece, borrowed until the next call: 1, 0 at the end, where length and checksum were
 * right and the file ends too, -1: ERR_BAD_REQUEST, ERR_IO, ERR_NOMEM.
 */
int gunzip_next(struct gunzip *g, struct str *out, struct err *err) MUST_USE;

/* How many bytes were given out; how many of them up to the last one that is not zero. */
uint64_t gunzip_given(const struct gunzip *g);
uint64_t gunzip_nonzero(const struct gunzip *g);

#endif
