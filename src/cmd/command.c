/* Command: what all commands share: saying things and looking at arguments. */
#include "cmd/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/text.h"

static void __attribute__((format(printf, 2, 0)))
print(FILE *to, const char *format, va_list args, bool wrap)
{
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(buf_free) struct buf wrapped = { 0 };
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n >= 0 && buf_reserve(&text, (size_t)n + 1) == 0) {
        vsnprintf(text.p, (size_t)n + 1, format, again);
        text.n = (size_t)n;
    }
    va_end(again);
    if (wrap)
        text_wrap(buf_str(&text), 0, &wrapped);
    struct str out = buf_str(wrap ? &wrapped : &text);
    fwrite(out.p != NULL ? out.p : "", 1, out.n, to);
    putc('\n', to);
}

void command_say(const struct command_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!run->curl_only)
        print(stdout, format, args, false);
    va_end(args);
}

void command_tell(const struct command_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!run->curl_only)
        print(stdout, format, args, true);
    va_end(args);
}

void command_warn(const struct command_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!run->curl_printed)
        print(stderr, format, args, false);
    va_end(args);
}

void command_caution(const struct command_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!run->curl_printed)
        print(stderr, format, args, true);
    va_end(args);
}

int command_fail(const struct command_run *run, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!run->curl_printed)
        print(stderr, format, args, false);
    va_end(args);
    return status;
}

void command_gap(const struct command_run *run)
{
    if (!run->curl_only)
        putchar('\n');
}

void command_write(struct str bytes)
{
    fwrite(bytes.p != NULL ? bytes.p : "", 1, bytes.n, stdout);
}

bool command_args(const struct command_run *run, size_t least, size_t most)
{
    if (run->n_args >= least && run->n_args <= most)
        return true;
    bool few = run->n_args < least;
    char expected[64];
    if (most == SIZE_MAX)
        snprintf(expected, sizeof expected, "at least %zu", least);
    else if (least == most)
        snprintf(expected, sizeof expected, "%zu", least);
    else
        snprintf(expected, sizeof expected, "%zu-%zu", least, most);
    command_warn(run, "%s arguments (expected %s, got %zu)", few ? "Not enough" : "Too many",
                 expected, run->n_args);
    return false;
}

bool command_is_table(const struct command_run *run)
{
    return strcmp(run->format, "table") == 0;
}

struct str command_path(const struct command_run *run, const char *text)
{
    struct str s = str_trim(str_of(text));
    while (str_starts(s, STR("/")))
        s = str_from(s, 1);
    while (str_ends(s, STR("/")))
        s = str_head(s, s.n - 1);
    return arena_printf(run->arena, STR_FMT, STR_ARG(s));
}

struct str command_mount(const struct command_run *run, const char *text)
{
    struct str s = command_path(run, text);
    return arena_printf(run->arena, STR_FMT "/", STR_ARG(s));
}

int command_out_of_memory(const struct command_run *run)
{
    return command_fail(run, 1, "out of memory");
}
