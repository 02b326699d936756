/* Envelope: the JSON text around every logical answer: request_id, lease, data, wrap_info, auth. */
#ifndef LOGICAL_ENVELOPE_H
#define LOGICAL_ENVELOPE_H

#include "base/buf.h"
#include "logical/request.h"
#include "logical/response.h"

/* The text of ${resp} as the client gets it, appended to ${out}, with a line end. */
int envelope_print(const struct request *req, const struct response *resp, struct buf *out,
                   struct err *err) MUST_USE;

/* Only the auth object, in ${a}: also what lookups after a wrap tell. */
struct json *envelope_auth(struct arena *a, const struct auth *auth);

#endif
