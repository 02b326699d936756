/* Transit: the seal "transit": the transit engine of another server encrypts the root key. */
#ifndef SEAL_TRANSIT_H
#define SEAL_TRANSIT_H

#include "seal/seal.h"

/* Options and environment variables as in Vault's configuration/seal/transit; see docs/. */
extern const struct seal_kind seal_transit;

#endif
