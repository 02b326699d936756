/* Drawer: JSON objects stored as they were sent, the work that kv1 and cubbyhole share. */
#ifndef ENGINES_DRAWER_H
#define ENGINES_DRAWER_H

#include "logical/route.h"

/* Is there an entry at ${key}? 1, 0, -1. */
int drawer_exists(struct request *req, struct str key) MUST_USE;

/* The stored object, its numbers as they were written, in the request's arena. 1, 0, -1. */
int drawer_read(struct request *req, struct str key, struct json **out) MUST_USE;

/* Store req->data whole. 1, or -1. */
int drawer_write(struct request *req, struct str key) MUST_USE;

/* 1 (also when it was not there), or -1. */
int drawer_delete(struct request *req, struct str key) MUST_USE;

/* {"keys": [...]} of what lies below ${folder}, with or without its slash. 1, 0 nothing, -1. */
int drawer_list(struct request *req, struct str folder, struct response *resp) MUST_USE;

#endif
