/* File: whole files and standard input, read into memory that is wiped. */
#ifndef CMD_FILE_H
#define CMD_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* 1 read, 0 no such file, -1 ERR_IO. */
int file_read(const char *path, struct buf *out, struct err *err) MUST_USE;
/* The same, and its absence is an error too: "open p: no such file or directory". */
int file_need(const char *path, struct buf *out, struct err *err) MUST_USE;
/* ERR_IO with errno's text: "open p: no such file or directory", as Go words it. -1. */
int file_fail(struct err *err, const char *doing, const char *path);
/* A nameless file of our own in TMPDIR, gone when it is closed. -1: ERR_IO. */
int file_temporary(int *fd, struct err *err) MUST_USE;
/* Until the end of the descriptor. */
int file_read_fd(int fd, struct buf *out, struct err *err) MUST_USE;
/* Write a file of mode 0600 beside it, then put it in its place. */
int file_replace(const char *path, struct str bytes, struct err *err) MUST_USE;
/* Write into the file as it is, keeping its mode; made with ${mode} when absent. */
int file_write(const char *path, struct str bytes, unsigned mode, struct err *err) MUST_USE;
/* "~/x" with the home directory put in; anything else as it is. */
int file_expand(const char *path, struct buf *out, struct err *err) MUST_USE;

#endif
