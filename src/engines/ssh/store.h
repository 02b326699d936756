/* Store: what the ssh engine's files share: the mount's state, and stored JSON objects. */
#ifndef ENGINES_SSH_STORE_H
#define ENGINES_SSH_STORE_H

#include "base/keylock.h"
#include "logical/request.h"

/* A mount's state; any thread. */
struct ssh {
    struct keylock *locks; /* one writer at a time per stored key */
};

/* The object stored at ${folder}${name}, in the request's arena.  1, 0, -1: req->err. */
int ssh_store_get(struct request *req, struct str folder, struct str name,
                  struct json **out) MUST_USE;

/* As Vault writes it: the text and a line end, in the arena; empty with arena_failed. */
struct str ssh_store_text(struct arena *a, const struct json *v);

/* Hold the stored key ${key} against other writers. -1: req->err. */
int ssh_store_hold(struct request *req, struct str key, struct keyhold *out) MUST_USE;

/* A text as Go's %q shows it in messages, in the request's arena. */
struct str ssh_store_quoted(struct request *req, struct str s);

#endif
