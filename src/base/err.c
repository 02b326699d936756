/* Error values: filled in place, never allocated. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

/* Drop a UTF-8 sequence that the end of the array cut in two. */
static void mend_tail(char *msg, size_t size, int wanted)
{
    if (wanted < 0) {
        msg[0] = 0;
        return;
    }
    if ((size_t)wanted < size)
        return;
    size_t n = size - 1;
    size_t lead = n;
    while (lead > 0 && ((unsigned char)msg[lead - 1] & 0xC0) == 0x80)
        lead--;
    if (lead == 0)
        return;
    unsigned char c = (unsigned char)msg[lead - 1];
    size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    if (n - (lead - 1) < need)
        msg[lead - 1] = 0;
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
    if (err == NULL)
        return -1;
    /* The arguments may quote the old text: write aside first. */
    char text[sizeof err->msg];
    va_list args;
    va_start(args, format);
    mend_tail(text, sizeof text, vsnprintf(text, sizeof text, format, args));
    va_end(args);
    err->code = code;
    memcpy(err->msg, text, sizeof text);
    return -1;
}

int err_prefix(struct err *err, const char *format, ...)
{
    if (err == NULL)
        return -1;
    char prefix[sizeof err->msg], text[sizeof err->msg];
    va_list args;
    va_start(args, format);
    mend_tail(prefix, sizeof prefix, vsnprintf(prefix, sizeof prefix, format, args));
    va_end(args);
    mend_tail(text, sizeof text, snprintf(text, sizeof text, "%.400s: %s", prefix, err->msg));
    memcpy(err->msg, text, sizeof text);
    return -1;
}
