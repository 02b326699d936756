/* Transit: the engine that encrypts, signs and hashes with keys that clients never see. */
#ifndef ENGINES_TRANSIT_TRANSIT_H
#define ENGINES_TRANSIT_TRANSIT_H

#include "logical/engine.h"

extern const struct engine engine_transit;

#endif
