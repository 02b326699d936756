/* Start: the ordered list of what is made at unseal, and undone in reverse at seal. */
#ifndef CORE_START_H
#define CORE_START_H

#include "core/active.h"

/* What is there before; borrowed. */
struct start_parts {
    const struct core_settings *settings;
    struct lifecycle *lifecycle;
    struct barrier *barrier;
    /* Encrypt with the seal's key, of ${lifecycle}: see lifecycle_seal_encrypt. */
    int (*seal_text)(void *lifecycle, struct str text, struct buf *out, struct err *err);
    bool standby; /* reads only: nothing that writes by itself is started */
};

/* The barrier is open. -1: what had been made is undone again. */
int start_all(const struct start_parts *parts, struct active **out, struct err *err) MUST_USE;
/* No request is in flight any more. */
void stop_all(struct active *on);

/* A token with the root policy and no end, as init and generate-root give out; in ${a}. */
int start_root_token(const struct active *on, struct arena *a, struct str *token,
                     struct err *err) MUST_USE;

#endif
