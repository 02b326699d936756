/* Prompt: questions to the person at the terminal. */
#include "cmd/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/data.h"

static void put_text(int fd, const char *text)
{
    struct str rest = str_of(text);
    while (rest.n > 0) {
        ssize_t n = write(fd, rest.p, rest.n);
        if (n < 0 && errno != EINTR)
            return;
        rest = str_from(rest, n > 0 ? (size_t)n : 0);
    }
}

/* One line without its end; ^C and ^D end it as an interruption. */
static int read_line(struct buf *out, struct err *err)
{
    for (;;) {
        char c;
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || c == 3 || (c == 4 && out->n == 0))
            return err_set(err, ERR_BAD_REQUEST, "user interrupted");
        if (c == '\n' || c == '\r')
            return buf_check(out, err);
        if ((c == 127 || c == 8) && out->n > 0)
            out->p[--out->n] = '\0';
        else if (c != 127 && c != 8)
            buf_byte(out, c);
    }
}

int prompt_hidden(const struct command_run *run, int fd, const char *question, struct buf *out,
                  struct err *err)
{
    struct termios before, hidden;
    put_text(fd, question);
    put_text(fd, " (will be hidden): ");
    if (flags_known(run->flags, "non-interactive") &&
        flags_bool(run->flags, "non-interactive")) {
        put_text(fd, "\n");
        return err_set(err, ERR_IO, "asking is switched off by -non-interactive");
    }
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        put_text(fd, "\n");
        return err_set(err, ERR_IO, "file descriptor 0 is not a terminal");
    }
    hidden = before;
    /* Keys that would stop the process arrive as characters, so that the echo comes back. */
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    hidden.c_cc[VMIN] = 1;
    hidden.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    int rc = read_line(out, err);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    put_text(fd, "\n");
    return rc;
}

static void trim(struct buf *b)
{
    struct str s = str_trim(buf_str(b));
    AUTO(buf_free) struct buf kept = { 0 };
    buf_add(&kept, s);
    buf_clear(b);
    buf_add(b, buf_str(&kept));
}

int prompt_share(struct command_run *run, const char *arg, const char *nonce_line,
                 struct buf *out)
{
    struct err err = { 0 };
    bool asked = arg == NULL || arg[0] == '\0';
    int rc = 0;
    if (asked) {
        if (nonce_line[0] != '\0')
            command_say(run, "%s", nonce_line);
        fflush(stdout);
        rc = prompt_hidden(run, STDOUT_FILENO, "Unseal Key", out, &err);
    } else if (strcmp(arg, "-") == 0) {
        rc = data_stdin(run, out, &err);
    } else {
        buf_add(out, str_of(arg));
        rc = buf_check(out, &err);
    }
    if (rc < 0 && err.code == ERR_BAD_REQUEST && asked)
        return command_fail(run, -1, "user canceled");
    if (rc < 0) {
        command_caution(run, "The unseal key could not be asked for. That needs a terminal; where "
                             "there is none, give the key as an argument, or \"-\" to read it from "
                             "standard input. The reason was: %s", err.msg);
        return -1;
    }
    trim(out);
    return asked;
}
