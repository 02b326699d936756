/*
 * Autosnap_config: what the store holds of scheduled snapshots: how each is to be taken, below
 * core/raft/snapshot-auto/config/, and how far it is, below core/raft/snapshot-auto/state/.
 */
#ifndef CORE_AUTOSNAP_CONFIG_H
#define CORE_AUTOSNAP_CONFIG_H

#include "base/strs.h"
#include "storage/storage.h"

struct autosnap_config {
    struct str path_prefix, file_prefix;
    int64_t interval_s, retain, local_max_space;
};

/* Times are Unix times, 0: never. */
struct autosnap_state {
    int64_t begun_ns; /* of the newest attempt; that one is over when it is last_start_ns */
    struct str url;
    int64_t last_start_ns, last_end_ns; /* of the last attempt that came to its end */
    struct str last_url, last_error;    /* an empty error: it succeeded */
};

/* Into the arena: 1, 0 there is none of that name, -1. */
int autosnap_config_load(struct storage *plain, struct arena *a, struct str name,
                         struct autosnap_config *out, struct err *err) MUST_USE;
int autosnap_config_store(struct storage *plain, struct str name, const struct autosnap_config *c,
                          struct err *err) MUST_USE;
/* With its state. */
int autosnap_config_delete(struct storage *plain, struct str name, struct err *err) MUST_USE;
int autosnap_config_names(struct storage *plain, struct arena *a, struct strs *out,
                          struct err *err) MUST_USE;

/* What cannot work. -1: ERR_BAD_REQUEST; also when another configuration keeps its files there. */
int autosnap_config_check(struct storage *plain, struct str name, const struct autosnap_config *c,
                          struct err *err) MUST_USE;

int autosnap_state_load(struct storage *plain, struct arena *a, struct str name,
                        struct autosnap_state *out, struct err *err) MUST_USE;
int autosnap_state_store(struct storage *plain, struct str name, const struct autosnap_state *s,
                         struct err *err) MUST_USE;

/*
 * When the next attempt is due: after the interval; after a failure sooner; at once when none was
 * made yet, or one was cut short.
 */
int64_t autosnap_due_ns(const struct autosnap_config *c, const struct autosnap_state *s,
                        int64_t now_ns);
/* The newest attempt was cut short, and is to be made once more under its name. */
bool autosnap_was_cut(const struct autosnap_state *s);

#endif
