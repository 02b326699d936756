/* Registry: all lists of what exists in this program; the one place to add a line to. */
#ifndef SERVER_REGISTRY_H
#define SERVER_REGISTRY_H

#include "logical/device.h"
#include "logical/engine.h"
#include "seal/seal.h"
#include "storage/driver.h"

/* Secrets engines and auth methods; NULL at the end. */
extern const struct engine *const registry_engines[];
/* Kinds of audit device; NULL at the end. */
extern const struct device_kind *const registry_devices[];
/* The seal that needs nobody's shares, or NULL. */
const struct seal_kind *registry_seal(struct str type);
/* The driver of a storage type, or NULL. */
const struct storage_driver *registry_storage(struct str type);

#endif
