/* Hashes: the algorithms that signatures and HMACs may use, by Vault's names. */
#ifndef ENGINES_TRANSIT_HASHES_H
#define ENGINES_TRANSIT_HASHES_H

#include "crypto/digest.h"

bool transit_hashes_find(struct str name, enum digest *out);

#endif
