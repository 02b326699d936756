/* Errors with their place. */
#include "codec/hcl_pos.h"

#include <stdarg.h>
#include <stdio.h>

int hcl_pos_error(struct err *err, struct hcl_pos pos, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (pos.file == NULL)
        return err_set(err, ERR_BAD_REQUEST, "At %u:%u: %s", pos.line, pos.column, what);
    return err_set(err, ERR_BAD_REQUEST, "%s:%u:%u: %s", pos.file, pos.line, pos.column, what);
}
