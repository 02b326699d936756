/* Output: answers of the server printed in the format that was asked for. */
#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

#include "cmd/command.h"
#include "cmd/table.h"

/* Each returns the command's exit status. */

/* A secret: envelope and data. As JSON and YAML with the envelope in the order of Vault. */
int output_secret(struct command_run *run, const struct json *answer);
/* The keys of a list's answer, one a line. */
int output_list(struct command_run *run, const struct json *answer);
/* Any value; an object as a table of names and values. */
int output_value(struct command_run *run, const struct json *v);
/* One field of a secret, or of an object, without a line end unless at a terminal. */
int output_field(struct command_run *run, const struct json *answer, struct str name);
int output_member(struct command_run *run, const struct json *object, struct str name);
int output_raw(const struct command_run *run, struct str text);

/* -field when it was given, else the whole secret. */
int output_field_or_secret(struct command_run *run, const struct json *answer);

/* A refusal may come with an answer: a key-value store of version 2 tells the right path so.  2. */
int output_refused(struct command_run *run, int status, const struct json *answer);

void output_table(const struct command_run *run, const struct table *t, bool header);
/* The warnings of an answer, to standard error. */
void output_warnings(const struct command_run *run, const struct json *answer);
/* "==== Data ====" over a table of the object's members. */
void output_title(const struct command_run *run, const char *title, const struct json *object);

/* The answer as Vault's client keeps it: only the envelope's own members, in its order. */
struct json *output_envelope(struct arena *a, const struct json *answer);

/* The list of names under data.keys; NULL when there is none. */
const struct json *output_keys(const struct json *answer);
/* True when the answer holds a wrapping token. */
bool output_is_wrapped(const struct json *answer);

#endif
