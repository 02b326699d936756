/* Keyring: the barrier's encryption keys by term, the root key, and their stored form. */
#ifndef BARRIER_KEYRING_H
#define BARRIER_KEYRING_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

struct keyring; /* immutable after keyring_new; changes make a new one */

#endif
