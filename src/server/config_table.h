/* Config_table: an object of the configuration read into a struct by a table of its keys. */
#ifndef SERVER_CONFIG_TABLE_H
#define SERVER_CONFIG_TABLE_H

#include "base/strs.h"
#include "codec/hcl.h"

enum config_kind {
    CONFIG_STR,       /* struct str: string or number as written */
    CONFIG_BOOL,      /* bool: true, "true", 1, "t", ... */
    CONFIG_INT,       /* int64_t: number or its text */
    CONFIG_DURATION,  /* int64_t, ns: seconds, "30s"; not negative */
    CONFIG_PERIOD,    /* the same, or "none" for 0 */
    CONFIG_STRS,      /* struct strs: list, or text split at commas */
    CONFIG_ELSEWHERE, /* known; somebody else reads it */
    CONFIG_NO_EFFECT, /* known, of something this server does not have: a warning */
};

/* What a later file's value does to an earlier one's. */
enum config_merge { CONFIG_LAST, CONFIG_OR, CONFIG_MAX };

struct config_key {
    const char *name;
    enum config_kind kind;
    size_t at; /* offset in the struct */
    enum config_merge merge;
};

/* Where what is read goes. */
struct config_reader {
    struct arena *arena;   /* owns what is read */
    struct strs *warnings; /* texts with file and line, for the log */
    struct err *err;
};

/*
 * Read ${object} into ${base}; keys that are not in the table give a warning.  -1: ERR_BAD_REQUEST
 * with file, line and what was expected.
 */
int config_table_read(const struct config_reader *r, const struct hcl *object,
                      const struct config_key *keys, size_t n, void *base) MUST_USE;

/* One value; ${key} is for the message. */
int config_table_bool(const struct config_reader *r, struct str key, const struct hcl *v,
                      bool *out) MUST_USE;
int config_table_strs(const struct config_reader *r, struct str key, const struct hcl *v,
                      struct strs *out) MUST_USE;

/* As Go's ParseBool: 1, t, T, TRUE, true, True, and the same for false. */
bool config_table_bool_text(struct str s, bool *out) MUST_USE;

/* Remember "${format}... at file:line:column" for the log. */
void config_table_warn(const struct config_reader *r, struct hcl_pos pos, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
