/* Options: the flags of "server". */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include "base/arena.h"
#include "base/strs.h"

struct options {
    struct strs config_paths;
    struct str log_level, log_format; /* empty: as configured */
    bool recovery; /* only what mends a store that does not come up */
    bool dev, dev_no_store_token, dev_kv_v1;
    struct str dev_root_token_id, dev_listen_address;
};

/* Strings are borrowed from ${argv}.  -1: ERR_BAD_REQUEST names the wrong flag. */
int options_parse(struct arena *a, int argc, char **argv, struct options *out,
                  struct err *err) MUST_USE;

#endif
