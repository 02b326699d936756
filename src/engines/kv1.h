/* Kv1: the key/value secrets engine without versions (types "kv" and "generic"). */
#ifndef ENGINES_KV1_H
#define ENGINES_KV1_H

#include "logical/engine.h"

extern const struct engine engine_kv1;

#endif
