/* Driver: how a storage at rest is opened from its stanza of the configuration. */
#ifndef STORAGE_DRIVER_H
#define STORAGE_DRIVER_H

#include "storage/storage.h"

/* One "key = value" of the stanza, as text; duplicates are refused before. */
struct storage_option {
    struct str name, value;
};

struct storage_driver {
    const char *type; /* as in the configuration: storage "type" { } */
    /*
     * 0 and an owned storage in ${out}.  -1: ERR_BAD_REQUEST names the wrong option;
     * ERR_IO; ERR_CONFLICT when another process has the data open.
     */
    int (*open)(const struct storage_option *options, size_t n, struct storage **out,
                struct err *err);
};

extern const struct storage_driver storage_inmem; /* also registered as "inmem_ha" */
extern const struct storage_driver storage_file;
extern const struct storage_driver storage_lmdb;

#endif
