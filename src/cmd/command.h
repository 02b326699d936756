/* Command: a row of the command table, and the state of the one that runs. */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include "base/arena.h"
#include "cmd/flags.h"
#include "client/client.h"

struct command_run;

/* Exit status: 0 success; 1 refused by ourselves; 2 the server said no, or cannot be reached. */
typedef int command_fn(struct command_run *run);

enum command_options {
    COMMAND_HTTP = 1,   /* takes the options of the HTTP client */
    COMMAND_FIELD = 2,  /* -field */
    COMMAND_FORMAT = 4, /* -format */
    COMMAND_OUTPUT = COMMAND_HTTP | COMMAND_FIELD | COMMAND_FORMAT,
    COMMAND_RAW_ARGS = 8, /* reads its arguments by itself (server) */
    COMMAND_ABSENT = 16,  /* Vault has it, this program does not: says so */
};

struct command {
    const char *name;    /* "kv get" */
    const char *usage;   /* "kv get [options] KEY" */
    const char *summary; /* one line, for the list of commands */
    const char *help;    /* paragraphs, wrapped at 78 columns, without the options */
    command_fn *run;     /* NULL: a group of commands */
    unsigned options;
    const struct flag *flags;
    size_t n_flags;
    const struct flag *more_flags; /* a second table, shared between commands, or NULL */
    size_t n_more_flags;
};

#define COMMAND_FLAGS(table) .flags = (table), .n_flags = ARRAY_LEN(table)
#define COMMAND_MORE_FLAGS(table) .more_flags = (table), .n_more_flags = ARRAY_LEN(table)

/* Lives as long as the process; one thread. */
struct command_run {
    const struct command *command;
    struct arena *arena;       /* wiped at the end */
    struct flags *flags;
    char **args;               /* what follows the flags */
    size_t n_args;
    const char *format;        /* "table", "json", "yaml" or "pretty" */
    bool curl_only;            /* -output-curl-string: print the call instead of making it */
    bool curl_printed;
    struct coffer *client;     /* made at the first call */
    bool stdin_used;
};

/* A command line to standard output, an error or a warning to standard error. */
void command_say(const struct command_run *run, const char *format, ...) PRINTF_LIKE(2, 3);
void command_warn(const struct command_run *run, const char *format, ...) PRINTF_LIKE(2, 3);
/* An empty line to standard output. */
void command_gap(const struct command_run *run);
/* The same as command_warn, returns ${status}. */
int command_fail(const struct command_run *run, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* A paragraph of prose, wrapped. */
void command_tell(const struct command_run *run, const char *format, ...) PRINTF_LIKE(2, 3);
void command_caution(const struct command_run *run, const char *format, ...) PRINTF_LIKE(2, 3);
/* Bytes as they are. */
void command_write(struct str bytes);

/*
 * True when the number of arguments is from ${least} to ${most} (SIZE_MAX: any); else says so
 * and the command ends with 1.
 */
bool command_args(const struct command_run *run, size_t least, size_t most) MUST_USE;

bool command_is_table(const struct command_run *run);

/* A path argument without blanks and slashes around it; and with one slash at its end. */
struct str command_path(const struct command_run *run, const char *text);
struct str command_mount(const struct command_run *run, const char *text);

/* "not enough memory" when the arena failed. */
int command_out_of_memory(const struct command_run *run);

#endif
