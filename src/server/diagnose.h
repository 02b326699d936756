/* Diagnose: what would keep a server from starting, looked for without starting it. */
#ifndef SERVER_DIAGNOSE_H
#define SERVER_DIAGNOSE_H

#include "base/arena.h"
#include "base/strs.h"

enum diagnose_status { DIAGNOSE_OK, DIAGNOSE_SKIPPED, DIAGNOSE_WARN, DIAGNOSE_FAIL };

/* A check and those beneath it, in its arena.  Its status is the worst of them all. */
struct diagnose {
    struct str name;
    enum diagnose_status status;
    struct str message;  /* may be empty */
    struct strs warnings;
    struct str advice;   /* may be empty */
    struct diagnose *first, *last, *next;
};

struct diagnose_request {
    struct strs config_paths;
    bool skip_listener, skip_storage, skip_autounseal;
};

/*
 * Run all checks.  NULL: out of memory.  ${complete} is false when one failed that the others need.
 * Writes, reads and deletes one entry of the storage; binds the listeners' addresses for a moment;
 * has the seal encrypt and decrypt some bytes.
 */
struct diagnose *diagnose_run(struct arena *a, const struct diagnose_request *request,
                              bool *complete);

/* "ok", "skipped", "warn", "fail". */
const char *diagnose_status_name(enum diagnose_status status);

#endif
