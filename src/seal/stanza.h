/* Stanza: reading a seal's stanza together with the environment. */
#ifndef SEAL_STANZA_H
#define SEAL_STANZA_H

#include "seal/seal.h"

/* The option, or empty. */
struct str stanza_option(const struct seal_stanza *s, const char *name);
/* The environment variable ${env} if it is set, else the option; or the other way round. */
struct str stanza_env_first(const struct seal_stanza *s, const char *env, const char *name);
struct str stanza_option_first(const struct seal_stanza *s, const char *name, const char *env);
/* Go's words for a truth value; empty is false. -1: ERR_BAD_REQUEST names ${name}. */
int stanza_bool(struct str text, const char *name, bool *out, struct err *err) MUST_USE;

#endif
