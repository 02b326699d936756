/* identity/: the mount of entities and groups, which logins fill (core/identity.h). */
#include "sys/system.h"

/* No path is served: entities are made by logging in. */
const struct engine engine_identity = {
    .type = "identity",
    .help = "Entities: the people and machines behind logins.",
};
