/* Cubbyhole: every token's own drawer. */
#ifndef ENGINES_CUBBYHOLE_H
#define ENGINES_CUBBYHOLE_H

#include "logical/engine.h"

extern const struct engine engine_cubbyhole;

#endif
