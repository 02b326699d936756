/* Data: arguments of the form key=value turned into a JSON object. */
#ifndef CMD_DATA_H
#define CMD_DATA_H

#include "cmd/command.h"

/*
 * "k=v", "k=@file", "k=-" (standard input), "k=\@v" (a value that starts with '@'), "@file" and
 * "-" (a JSON object). A key named twice gets a list. ${out} is an object in the run's arena.
 * -1: ERR_BAD_REQUEST with the argument and what is wrong; the value is not shown.
 */
int data_parse(struct command_run *run, char **args, size_t n, struct json **out,
               struct err *err) MUST_USE;

/* The same, each value as text. -1 too when a value is an object or a list. */
int data_parse_texts(struct command_run *run, char **args, size_t n, struct json **out,
                     struct err *err) MUST_USE;

/* The same as parameters of a query; a list gives a parameter several times. */
int data_parse_query(struct command_run *run, char **args, size_t n, struct coffer_pair **out,
                     size_t *n_out, struct err *err) MUST_USE;

/* Standard input, once. -1: ERR_BAD_REQUEST when it was read before, ERR_IO. */
int data_stdin(struct command_run *run, struct buf *out, struct err *err) MUST_USE;

#endif
