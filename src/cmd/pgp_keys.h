/* Pgp_keys: OpenPGP public keys named on the command line, made ready for the server. */
#ifndef CMD_PGP_KEYS_H
#define CMD_PGP_KEYS_H

#include "cmd/command.h"

/*
 * Each text of the flag holds paths with commas between them; an array of the keys in base64.
 * A file may be binary, base64 or armoured. ${out} is NULL when the flag was not given.
 * -1: said so on standard error.
 */
int pgp_keys_read(struct command_run *run, const char *flag, struct json **out) MUST_USE;

/* The base64 of one file's content. -1: ERR_BAD_REQUEST. */
int pgp_keys_encode(struct arena *a, struct str content, struct str *out,
                    struct err *err) MUST_USE;

#endif
