/* Libarchive, by dlopen. */
#include "storage/raft/libarchive.h"

#include <dlfcn.h>
#include <string.h>

int libarchive_load(const char *soname, struct libarchive *out, struct err *err)
{
    /* Not unloaded again: what it stands on registers exit handlers. */
    void *lib = dlopen(soname, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (lib == NULL)
        return err_set(err, ERR_INTERNAL, "snapshots need libarchive: %s", dlerror());
    const struct {
        const char *name;
        void *slot;
    } wanted[] = {
#define LIBARCHIVE_ROW(name) { "archive_" #name, &out->name##_fn },
        LIBARCHIVE_CALLS(LIBARCHIVE_ROW)
#undef LIBARCHIVE_ROW
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        void *symbol = dlsym(lib, wanted[i].name);
        if (symbol == NULL)
            return err_set(err, ERR_INTERNAL, "libarchive lacks %s", wanted[i].name);
        memcpy(wanted[i].slot, &symbol, sizeof symbol);
    }
    return 0;
}
