/* Flags: a command's options as a table, and what the command line says of them. */
#ifndef CMD_FLAGS_H
#define CMD_FLAGS_H

#include "base/strs.h"
#include "codec/json.h"

enum flag_kind {
    FLAG_BOOL,     /* -x, -x=true */
    FLAG_STRING,
    FLAG_INT,
    FLAG_DURATION, /* "90s", "1h30m", "90" (seconds) */
    FLAG_LIST,     /* may be repeated */
    FLAG_MAP,      /* k=v, may be repeated */
};

/* One row of a command's table. */
struct flag {
    const char *name;
    enum flag_kind kind;
    const char *help;
    const char *alias;    /* or NULL */
    const char *fallback; /* text of the default, or NULL for the kind's zero */
    const char *env;      /* variable that is read when the flag is not given, or NULL */
    bool hidden;          /* not in the help text */
};

struct flag_group {
    const char *title;
    const struct flag *flags;
    size_t n;
};

struct flag_value {
    bool given; /* on the command line */
    struct strs texts;
};

/* What was said; lives in an arena. */
struct flags {
    struct arena *arena;
    const struct flag_group *groups;
    size_t n_groups;
    struct flag_value *values; /* of all groups' flags, one after the other */
    char **args;               /* what follows the flags */
    size_t n_args;
};

/*
 * Read ${argv} as Go's flag package does: flags first ("-x", "--x", "-x=v", "-x v"), until the
 * first argument that is none, or "--". Values are checked against their kinds.
 * -1: ERR_BAD_REQUEST with Go's text, ERR_NOMEM.
 */
int flags_parse(struct arena *a, const struct flag_group *groups, size_t n_groups, char **argv,
                size_t argc, struct flags **out, struct err *err) MUST_USE;

/* The flag must be in the tables. True when it stands on the command line. */
bool flags_given(const struct flags *f, const char *name);
/* The value said, else the variable's, else the fallback. */
struct str flags_str(const struct flags *f, const char *name);
bool flags_bool(const struct flags *f, const char *name);
int64_t flags_int(const struct flags *f, const char *name);
int64_t flags_ns(const struct flags *f, const char *name);
struct strs flags_list(const struct flags *f, const char *name);
/* Object of texts; NULL when nothing was said. */
struct json *flags_map(const struct flags *f, const char *name);
/* True when some table has the flag. */
bool flags_known(const struct flags *f, const char *name);

/* The options' part of a help text. */
void flags_help(const struct flag_group *groups, size_t n_groups, struct buf *out);

#endif
