/*
 * Member: who belongs to the cluster, as libraft has it: a number made of the node's id, and one
 * text that holds id and address.
 */
#ifndef STORAGE_RAFT_MEMBER_H
#define STORAGE_RAFT_MEMBER_H

#include <raft.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Id and address with what divides them and a NUL; each shorter than HA_NAME_MAX. */
enum { MEMBER_TEXT_MAX = 512 };

/* First 8 bytes of the id's SHA-256, never 0. */
uint64_t member_number(struct str id);

/* "id<tab>address". -1: ERR_BAD_REQUEST when either is too long or holds a control character. */
int member_text(struct str id, struct str addr, char out[MEMBER_TEXT_MAX],
                struct err *err) MUST_USE;
/* The two parts, borrowed; without a tab the whole is the id. */
void member_parts(const char *text, struct str *id, struct str *addr);

/* For log lines: LOG(..., "...: " MEMBER_FMT, MEMBER_ARG(text)). */
#define MEMBER_FMT "node_id=%.*s address=%s"
#define MEMBER_ARG(text)                                                                           \
    (int)strcspn((text), "\t"), (text),                                                            \
        (text) + strcspn((text), "\t") + (strchr((text), '\t') != NULL)

/* member_number of the text's id. */
uint64_t member_number_of_text(const char *text);

/* The server with that number, or NULL. */
struct raft_server *member_of(const struct raft_configuration *c, uint64_t number);
size_t member_voters(const struct raft_configuration *c);

/* libraft's own encoding of a configuration, which is what RAFT_CHANGE entries hold. */
int member_encode(const struct raft_configuration *c, struct buf *out, struct err *err) MUST_USE;
/*
 * Check every byte first: libraft's decoder trusts what it is given.  ${out} is released with
 * raft_configuration_close.  -1: ERR_CORRUPT, ERR_NOMEM.
 */
int member_decode(struct str bytes, struct raft_configuration *out, struct err *err) MUST_USE;
/* ${out} is overwritten, not released. */
int member_copy(const struct raft_configuration *c, struct raft_configuration *out,
                struct err *err) MUST_USE;
/* Release and leave it empty; for AUTO too. */
void member_clear(struct raft_configuration *c);

/* A copy of ${c} with one server put in (or given a new address or role) or left out. */
int member_with(const struct raft_configuration *c, struct str id, struct str addr, int role,
                struct raft_configuration *out, struct err *err) MUST_USE;
int member_without(const struct raft_configuration *c, uint64_t number,
                   struct raft_configuration *out, struct err *err) MUST_USE;

#endif
