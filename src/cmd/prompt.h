/* Prompt: questions to the person at the terminal. */
#ifndef CMD_PROMPT_H
#define CMD_PROMPT_H

#include "cmd/command.h"

/*
 * Print "${question} (will be hidden): " to ${fd} and read a line from the terminal without
 * showing it. -1: ERR_IO when standard input is no terminal or -non-interactive was given,
 * ERR_BAD_REQUEST when it was interrupted.
 */
int prompt_hidden(const struct command_run *run, int fd, const char *question, struct buf *out,
                  struct err *err) MUST_USE;

/*
 * A key share as argument: "-" is standard input, NULL or "" asks at the terminal. 1 when the
 * person was asked, 0 when not, -1 after saying why on standard error.
 */
int prompt_share(struct command_run *run, const char *arg, const char *nonce_line,
                 struct buf *out) MUST_USE;

#endif
