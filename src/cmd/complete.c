/* Complete: completion of commands and options in bash, zsh and fish. */
#include "cmd/complete.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/file.h"
#include "cmd/help.h"

enum { MAX_WORDS = 512 };

/* ---- answering the shell ---- */

static void offer(const char *candidate, struct str typed)
{
    if (str_starts(str_of(candidate), typed))
        puts(candidate);
}

static void offer_flags(const struct command *command, struct str typed)
{
    struct flag_group groups[HELP_MAX_GROUPS];
    size_t n = help_flag_groups(command, groups);
    bool two = str_starts(typed, STR("--"));
    for (size_t g = 0; g < n; g++)
        for (size_t i = 0; i < groups[g].n; i++) {
            char name[80];
            snprintf(name, sizeof name, "%s%s", two ? "--" : "-", groups[g].flags[i].name);
            if (!groups[g].flags[i].hidden)
                offer(name, typed);
        }
}

/* The words of ${line} joined by single spaces as far as they name a command. */
static const struct command *command_named(const struct command *const *all, size_t n,
                                           const struct str *words, size_t n_words, size_t *depth)
{
    const struct command *best = NULL;
    *depth = 0;
    for (size_t i = 0; i < n; i++) {
        struct str rest = str_of(all[i]->name), word;
        size_t at = 0;
        bool same = true;
        while (same && str_next(&rest, ' ', &word))
            same = at < n_words && str_eq(words[at++], word);
        if (same && at > *depth) {
            best = all[i];
            *depth = at;
        }
    }
    return best;
}

static void offer_commands(const struct command *const *all, size_t n, const char *group,
                           struct str typed)
{
    size_t prefix = group != NULL ? strlen(group) + 1 : 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = all[i]->name;
        if (prefix > 0 && (strncmp(name, group, prefix - 1) != 0 || name[prefix - 1] != ' '))
            continue;
        if (strchr(name + prefix, ' ') == NULL)
            offer(name + prefix, typed);
    }
}

bool complete_line(const struct command *const *all, size_t n)
{
    const char *line = getenv("COMP_LINE"), *point = getenv("COMP_POINT");
    struct str words[MAX_WORDS], word;
    size_t n_words = 0, depth;
    uint64_t cut;
    if (line == NULL)
        return false;
    struct str rest = str_of(line);
    if (point != NULL && str_to_u64(str_of(point), &cut))
        rest = str_head(rest, (size_t)cut);
    struct str typed = str_ends(rest, STR(" ")) ? STR("") : str_from(rest,
                                               (size_t)(str_rfind_byte(rest, ' ') + 1));
    while (n_words < MAX_WORDS && str_next(&rest, ' ', &word))
        if (word.n > 0)
            words[n_words++] = word;
    if (n_words < 1 || (n_words == 1 && typed.n > 0))
        return true;
    size_t whole = n_words - 1 - (typed.n > 0); /* without the program and the unfinished word */
    const struct command *command = command_named(all, n, words + 1, whole, &depth);
    if (command != NULL && command->run != NULL && str_starts(typed, STR("-")))
        offer_flags(command, typed);
    else if (command == NULL || command->run == NULL)
        offer_commands(all, n, depth == whole && command != NULL ? command->name : NULL, typed);
    return true;
}

/* ---- telling the shells ---- */

/* The text without the line; true when it was there. */
static bool without_line(struct str text, struct str line, struct buf *out)
{
    struct str rest = text, part;
    bool found = false;
    while (text.n > 0 && str_next(&rest, '\n', &part)) {
        if (str_eq(part, line)) {
            found = true;
            continue;
        }
        if (part.n == 0 && rest.p == NULL)
            break; /* behind the last line end */
        buf_add(out, part);
        buf_byte(out, '\n');
    }
    return found;
}

static int change_file(const char *path, struct str line, bool install, struct err *err)
{
    AUTO(buf_free) struct buf before = { 0 };
    AUTO(buf_free) struct buf after = { 0 };
    if (file_read(path, &before, err) < 0)
        return -1;
    bool found = without_line(buf_str(&before), line, &after);
    if (found == install)
        return 0;
    if (install) {
        buf_add(&after, line);
        buf_byte(&after, '\n');
    }
    TRY(buf_check(&after, err));
    return file_write(path, buf_str(&after), 0644, err);
}

static int setup_bash_and_zsh(const char *home, const char *self, bool install, struct err *err)
{
    static const struct {
        const char *file, *command;
        bool make;
    } shells[] = {
        { ".bashrc", "complete -C ", true },
        { ".zshrc", "autoload -U +X bashcompinit && bashcompinit; complete -o nospace -C ",
          false },
    };
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        AUTO(buf_free) struct buf path = { 0 };
        AUTO(buf_free) struct buf line = { 0 };
        buf_printf(&path, "%s/%s", home, shells[i].file);
        buf_byte(&path, '\0');
        buf_printf(&line, "%s%s %s", shells[i].command, self, program_invocation_short_name);
        TRY(buf_check(&path, err));
        TRY(buf_check(&line, err));
        if (shells[i].make || access(path.p, F_OK) == 0)
            TRY(change_file(path.p, buf_str(&line), install, err));
    }
    return 0;
}

static int setup_fish(const char *home, const char *self, bool install, struct err *err)
{
    AUTO(buf_free) struct buf folder = { 0 };
    AUTO(buf_free) struct buf path = { 0 };
    AUTO(buf_free) struct buf text = { 0 };
    const char *name = program_invocation_short_name;
    buf_printf(&folder, "%s/.config/fish/completions", home);
    buf_byte(&folder, '\0');
    buf_printf(&path, "%s/%s.fish", folder.p, name);
    buf_byte(&path, '\0');
    buf_printf(&text,
               "complete -c %s -f -a '(env COMP_LINE=(commandline -cp) %s)'\n", name, self);
    TRY(buf_check(&path, err));
    TRY(buf_check(&text, err));
    if (access(folder.p, F_OK) != 0)
        return 0; /* fish is not in use here */
    if (install)
        return file_write(path.p, buf_str(&text), 0644, err);
    if (unlink(path.p) != 0 && errno != ENOENT)
        return err_set(err, ERR_IO, "remove %s: %s", path.p, strerror(errno));
    return 0;
}

int complete_setup(char **argv, size_t argc)
{
    const char *arg = argc == 1 ? argv[0] : "";
    while (arg[0] == '-' && arg[1] == '-')
        arg++;
    bool install = strcmp(arg, "-autocomplete-install") == 0;
    if (!install && strcmp(arg, "-autocomplete-uninstall") != 0)
        return -1;
    const char *home = getenv("HOME");
    char self[4096];
    struct err err = { 0 };
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || home == NULL) {
        fputs("cannot tell the program's path or the home directory\n", stderr);
        return 1;
    }
    self[n] = '\0';
    if (setup_bash_and_zsh(home, self, install, &err) < 0 ||
        setup_fish(home, self, install, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return 0;
}
