/* Seals: the configuration's seal stanzas as objects. */
#ifndef SERVER_SEALS_H
#define SERVER_SEALS_H

#include "seal/seal.h"
#include "server/config.h"

/* Starts as { 0 }; main thread. */
struct seals {
    struct seal *now; /* NULL: shares of people */
    struct seal *old; /* disabled: to migrate from; NULL: none */
};

/* Whether this program has what ${c} asks for. -1: ERR_BAD_REQUEST. */
int seals_check(const struct config *c, struct err *err) MUST_USE;
/* Nobody is called yet. -1: ERR_BAD_REQUEST; then nothing is left open. */
int seals_open(const struct config *c, struct seals *out, struct err *err) MUST_USE;
/* Begin what runs beside them. */
int seals_start(const struct seals *s, struct err *err) MUST_USE;
/* Rows for the server's banner; a disabled seal's begin with "Old ". */
void seals_describe(const struct seals *s, struct arena *a, seal_row_fn *row, void *ctx);
void seals_close(struct seals *s);

#endif
