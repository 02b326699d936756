/* Device: an audit device as the broker sees it; it receives finished lines. */
#ifndef LOGICAL_DEVICE_H
#define LOGICAL_DEVICE_H

#include "codec/json.h"

struct device_kind {
    const char *type; /* "file", "syslog", "socket" */
    /* ${options} is the mount's options object. -1: ERR_BAD_REQUEST with Vault's text, ERR_IO. */
    int (*open)(const struct json *options, void **device, struct err *err);
    void (*close)(void *device);
    /* Write one entry (no line end in it). 0 only when it was handed over whole. Any thread. */
    int (*write)(void *device, struct str entry, struct err *err);
    /* SIGHUP: open files anew. */
    int (*reload)(void *device, struct err *err);
};

#endif
