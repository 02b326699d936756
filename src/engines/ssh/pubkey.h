/* Pubkey: public keys as clients send them, a line of authorized_keys or only its base64 part. */
#ifndef ENGINES_SSH_PUBKEY_H
#define ENGINES_SSH_PUBKEY_H

#include "crypto/sshkey.h"
#include "logical/request.h"

/* -1: ERR_BAD_REQUEST in req->err, texts as Go's where it has one. */
int pubkey_parse(struct request *req, struct str text, struct sshkey *out) MUST_USE;

#endif
