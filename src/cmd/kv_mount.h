/* Kv_mount: which key-value store a path lies in, and of which version it is. */
#ifndef CMD_KV_MOUNT_H
#define CMD_KV_MOUNT_H

#include "cmd/api.h"

struct kv_mount {
    struct str mount; /* "secret/"; empty when the server did not say */
    bool v2;
};

/* Ask the server; 0, or the exit status after saying why. Never wrapped nor printed as curl. */
int kv_mount_find(struct command_run *run, struct str path, struct kv_mount *out) MUST_USE;

/* The API's path: "secret/data/a" for "secret/a" and "data"; NUL-terminated. */
struct str kv_mount_path(struct arena *a, const struct kv_mount *m, struct str path,
                         const char *part);

#endif
