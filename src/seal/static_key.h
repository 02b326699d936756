/* Static_key: the seal "static": a key that lies beside the configuration, as OpenBao's. */
#ifndef SEAL_STATIC_KEY_H
#define SEAL_STATIC_KEY_H

#include "seal/seal.h"

/* Options: current_key_id, current_key, previous_key_id, previous_key; see docs/. */
extern const struct seal_kind seal_static_key;

#endif
