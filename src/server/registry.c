/* What is in this program. */
#include "server/registry.h"

#include "audit/devices.h"
#include "auth/userpass.h"
#include "engines/cubbyhole.h"
#include "engines/kv1.h"
#include "engines/kv2/kv2.h"
#include "engines/ssh/ssh.h"
#include "engines/transit/transit.h"
#include "storage/raft/raftstore.h"
#include "seal/static_key.h"
#include "seal/transit.h"
#include "sys/system.h"

const struct engine *const registry_engines[] = {
    &engine_system,  &engine_token,     &engine_identity, &engine_cubbyhole,
    &engine_kv1,     &engine_kv2,       &engine_ssh,      &engine_transit,
    &auth_userpass,
    NULL,
};

const struct device_kind *const registry_devices[] = {
    &device_file,
    &device_socket,
    &device_syslog,
    NULL,
};

const struct storage_driver *registry_storage(struct str type)
{
    static const struct { const char *type; const struct storage_driver *driver; } drivers[] = {
        { "file", &storage_file },
        { "inmem", &storage_inmem },
        { "inmem_ha", &storage_inmem },
        { "lmdb", &storage_lmdb },
        { "raft", &storage_raft },
    };
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
        if (str_is(type, drivers[i].type))
            return drivers[i].driver;
    return NULL;
}

const struct seal_kind *registry_seal(struct str type)
{
    static const struct seal_kind *const kinds[] = { &seal_static_key, &seal_transit };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_is(type, kinds[i]->type))
            return kinds[i];
    return NULL;
}
