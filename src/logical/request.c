/* Request: the few questions that are asked of a request. */
#include "logical/request.h"

const char *op_name(enum op op)
{
    switch (op) {
    case OP_READ:
        return "read";
    case OP_LIST:
        return "list";
    case OP_CREATE:
        return "create";
    case OP_UPDATE:
        return "update";
    case OP_DELETE:
        return "delete";
    case OP_HELP:
        return "help";
    case OP_RENEW:
        return "renew";
    case OP_REVOKE:
        return "revoke";
    case OP_ROLLBACK:
        return "rollback";
    }
    return "";
}

struct str request_header(const struct request *req, const char *name)
{
    struct str wanted = str_of(name);

    for (size_t i = 0; i < req->n_headers; i++)
        if (str_eq_nocase(req->headers[i].name, wanted))
            return req->headers[i].value;
    return STR("");
}
