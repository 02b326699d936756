/* Token_helper: where a person's token is kept: ~/.vault-token, or a program named in ~/.vault. */
#include "cmd/token_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/file.h"

extern char **environ;

static int home_path(char *out, size_t size, const char *name, struct err *err)
{
    const char *home = getenv("HOME");
    if (home == NULL || home[0] == '\0') {
        const struct passwd *pw = getpwuid(getuid());
        home = pw != NULL ? pw->pw_dir : NULL;
    }
    if (home == NULL || home[0] == '\0')
        return err_set(err, ERR_IO, "no home directory: set HOME");
    int n = snprintf(out, size, "%s/%s", home, name);
    return n > 0 && (size_t)n < size ? 0 : err_set(err, ERR_IO, "HOME is too long");
}

/* Steps over blanks, line ends and comments. */
static struct str skip_blank(struct str s)
{
    for (;;) {
        struct str before = s;
        while (s.n > 0 && strchr(" \t\r\n", s.p[0]) != NULL)
            s = str_from(s, 1);
        if (str_starts(s, STR("#")) || str_starts(s, STR("//"))) {
            ptrdiff_t end = str_find_byte(s, '\n');
            s = end < 0 ? str_from(s, s.n) : str_from(s, (size_t)end);
        } else if (str_starts(s, STR("/*"))) {
            ptrdiff_t end = str_find(s, STR("*/"));
            s = end < 0 ? str_from(s, s.n) : str_from(s, (size_t)end + 2);
        }
        if (s.n == before.n)
            return s;
    }
}

/* A text in double quotes; steps past it. */
static int take_quoted(struct str *s, struct buf *out, struct err *err)
{
    size_t at = 1;
    if (!str_starts(*s, STR("\"")))
        return err_set(err, ERR_BAD_REQUEST, "a text in double quotes is expected");
    for (; at < s->n && s->p[at] != '"' && s->p[at] != '\n'; at++) {
        if (s->p[at] == '\\' && at + 1 < s->n)
            at++;
        buf_byte(out, s->p[at]);
    }
    if (at >= s->n || s->p[at] != '"')
        return err_set(err, ERR_BAD_REQUEST, "a text is not closed");
    *s = str_from(*s, at + 1);
    return buf_check(out, err);
}

int token_helper_setting(struct str config, struct buf *out, struct err *err)
{
    struct str s = skip_blank(config);
    while (s.n > 0) {
        AUTO(buf_free) struct buf name = { 0 };
        size_t n = 0;
        if (s.p[0] == '"') {
            TRY(take_quoted(&s, &name, err));
        } else {
            while (n < s.n && (s.p[n] == '_' || (s.p[n] >= 'a' && s.p[n] <= 'z')))
                n++;
            buf_add(&name, str_head(s, n));
            s = str_from(s, n);
        }
        if (!str_is(buf_str(&name), "token_helper"))
            return err_set(err, ERR_BAD_REQUEST, "invalid key \"" STR_FMT "\"",
                           STR_ARG(str_head(buf_str(&name), 64)));
        s = skip_blank(s);
        if (!str_starts(s, STR("=")))
            return err_set(err, ERR_BAD_REQUEST, "'=' is expected after token_helper");
        s = skip_blank(str_from(s, 1));
        buf_clear(out);
        TRY(take_quoted(&s, out, err));
        s = skip_blank(s);
    }
    return 0;
}

/* The program that keeps tokens; 0 when none is set up. */
static int find_program(struct buf *out, struct err *err)
{
    char path[PATH_MAX];
    AUTO(buf_free) struct buf text = { 0 };
    const char *named = getenv("VAULT_CONFIG_PATH");
    if (named != NULL && named[0] != '\0')
        snprintf(path, sizeof path, "%s", named);
    else
        TRY(home_path(path, sizeof path, ".vault", err));
    int found = file_read(path, &text, err);
    if (found <= 0)
        return found;
    if (token_helper_setting(buf_str(&text), out, err) < 0)
        return err_prefix(err, "error parsing %s", path);
    if (out->n == 0)
        return 0;
    char absolute[PATH_MAX];
    buf_byte(out, '\0');
    if (realpath(out->p, absolute) == NULL)
        return err_set(err, ERR_IO, "token helper %s: %s", out->p, strerror(errno));
    buf_clear(out);
    buf_add(out, str_of(absolute));
    buf_byte(out, '\0');
    return out->failed ? err_set(err, ERR_NOMEM, "out of memory") : 1;
}

static int write_pipe(int fd, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR)
            return -1;
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

/* Start "$SHELL -c 'PROGRAM OPERATION'" with pipes at its input and output. */
static int start(const char *program, const char *operation, int in, int out, pid_t *pid,
                 struct err *err)
{
    const char *shell = getenv("SHELL");
    AUTO(buf_free) struct buf script = { 0 };
    posix_spawn_file_actions_t actions;
    if (shell == NULL || shell[0] == '\0')
        shell = "/bin/sh";
    for (const char *p = program; *p != '\0'; p++) {
        if (*p == '\\')
            buf_byte(&script, '\\');
        buf_byte(&script, *p);
    }
    buf_printf(&script, " %s", operation);
    buf_byte(&script, '\0');
    TRY(buf_check(&script, err));
    char *const argv[] = { (char *)shell, (char *)"-c", script.p, NULL };
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    int rc = posix_spawnp(pid, shell, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return rc == 0 ? 0 : err_set(err, ERR_IO, "token helper: %s", strerror(rc));
}

/* Feed ${input} (a token fits into a pipe's buffer) and read what comes. */
static int talk(int to, int from, struct str input, struct buf *output, struct err *err)
{
    int failed = input.n > 0 ? write_pipe(to, input) : 0;
    close(to);
    for (;;) {
        if (buf_reserve(output, 4096) < 0)
            return err_set(err, ERR_NOMEM, "out of memory");
        ssize_t n = read(from, output->p + output->n, 4096);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return err_set(err, ERR_IO, "token helper: %s", strerror(errno));
        output->n += n > 0 ? (size_t)n : 0;
    }
    return failed == 0 ? 0 : err_set(err, ERR_IO, "token helper did not read the token");
}

static int run_program(const char *program, const char *operation, struct str input,
                       struct buf *output, struct err *err)
{
    int in[2], out[2], status = 0;
    pid_t pid = 0;
    if (pipe2(in, O_CLOEXEC) != 0)
        return err_set(err, ERR_IO, "pipe: %s", strerror(errno));
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return err_set(err, ERR_IO, "pipe: %s", strerror(errno));
    }
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    int rc = start(program, operation, in[0], out[1], &pid, err);
    close(in[0]);
    close(out[1]);
    if (rc == 0)
        rc = talk(in[1], out[0], input, output, err);
    else
        close(in[1]);
    close(out[0]);
    signal(SIGPIPE, before);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (rc == 0 && status != 0)
        rc = err_set(err, ERR_IO, "token helper \"%s %s\" failed with status %d", program,
                     operation, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return rc;
}

int token_helper_get(struct buf *out, struct err *err)
{
    char path[PATH_MAX];
    AUTO(buf_free) struct buf program = { 0 };
    AUTO(buf_free) struct buf text = { 0 };
    int external = find_program(&program, err);
    if (external < 0)
        return -1;
    if (external > 0) {
        TRY(run_program(program.p, "get", STR(""), &text, err));
        buf_add(out, buf_str(&text));
        return buf_check(out, err);
    }
    TRY(home_path(path, sizeof path, ".vault-token", err));
    if (file_read(path, &text, err) < 0)
        return -1;
    buf_add(out, str_trim(buf_str(&text)));
    return buf_check(out, err);
}

int token_helper_store(struct str token, struct err *err)
{
    char path[PATH_MAX];
    AUTO(buf_free) struct buf program = { 0 };
    AUTO(buf_free) struct buf output = { 0 };
    int external = find_program(&program, err);
    if (external < 0)
        return -1;
    if (external > 0)
        return run_program(program.p, "store", token, &output, err);
    TRY(home_path(path, sizeof path, ".vault-token", err));
    return file_replace(path, token, err);
}

int token_helper_erase(struct err *err)
{
    char path[PATH_MAX];
    AUTO(buf_free) struct buf program = { 0 };
    AUTO(buf_free) struct buf output = { 0 };
    int external = find_program(&program, err);
    if (external < 0)
        return -1;
    if (external > 0)
        return run_program(program.p, "erase", STR(""), &output, err);
    TRY(home_path(path, sizeof path, ".vault-token", err));
    if (unlink(path) != 0 && errno != ENOENT)
        return err_set(err, ERR_IO, "remove %s: %s", path, strerror(errno));
    return 0;
}
