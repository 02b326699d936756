/* Kv2: the key/value secrets engine that keeps versions (type "kv", version 2). */
#ifndef ENGINES_KV2_KV2_H
#define ENGINES_KV2_KV2_H

#include "logical/engine.h"

extern const struct engine engine_kv2;

#endif
