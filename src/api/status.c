/* The only place where a kind of failure becomes an HTTP status. */
#include "api/call.h"

static const struct {
    int http;
    bool hide;
} table[] = {
    [ERR_NONE] = { 500, false },
    [ERR_NOMEM] = { 500, false },
    [ERR_INTERNAL] = { 500, false },
    [ERR_IO] = { 500, false },
    [ERR_CORRUPT] = { 500, false },
    [ERR_BAD_REQUEST] = { 400, false },
    [ERR_INVALID] = { 400, false },
    [ERR_DENIED] = { 403, false },
    [ERR_NO_TOKEN] = { 400, false },
    [ERR_NOT_FOUND] = { 404, true },
    [ERR_NO_ROUTE] = { 404, false },
    [ERR_UNSUPPORTED_PATH] = { 404, false },
    [ERR_UNSUPPORTED] = { 405, false },
    [ERR_TOO_LARGE] = { 413, false },
    [ERR_LIMITED] = { 429, false },
    [ERR_CONFLICT] = { 500, false },
    [ERR_SEALED] = { 503, false },
    [ERR_STANDBY] = { 503, false },
    [ERR_UNINITIALISED] = { 400, false },
    [ERR_UPSTREAM] = { 502, false },
    [ERR_MUST_WAIT] = { 500, false },
    [ERR_READ_ONLY] = { 500, false },
    [ERR_TIMEOUT] = { 503, false },
};

int status_of(enum err_code code)
{
    return (size_t)code < ARRAY_LEN(table) ? table[code].http : 500;
}

bool status_hides_text(enum err_code code)
{
    return (size_t)code < ARRAY_LEN(table) && table[code].hide;
}
