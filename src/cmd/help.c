/* Help: what -h prints, for one command, a group, or the whole program. */
#include "cmd/help.h"

#include <stdio.h>

#include "cmd/api.h"

static const struct flag field_flag[] = {
    { .name = "field", .kind = FLAG_STRING,
      .help = "Print this field's value alone, without a line end when the output is not a "
              "terminal. Wins over -format's layout of the whole answer." },
};

static const struct flag format_flag[] = {
    { .name = "format", .kind = FLAG_STRING, .env = "VAULT_FORMAT", .fallback = "table",
      .help = "Layout of the output: \"table\", \"json\", \"yaml\" or \"pretty\"." },
};

size_t help_flag_groups(const struct command *command, struct flag_group groups[HELP_MAX_GROUPS])
{
    size_t n = 0;
    if (command->options & COMMAND_HTTP)
        groups[n++] = (struct flag_group){ "HTTP Options", api_flags, api_flags_count };
    if (command->options & COMMAND_FIELD)
        groups[n++] = (struct flag_group){ "Output Options", field_flag, 1 };
    if (command->options & COMMAND_FORMAT)
        groups[n++] = (struct flag_group){
            command->options & COMMAND_FIELD ? "Format Options" : "Output Options", format_flag, 1
        };
    if (command->n_flags > 0)
        groups[n++] = (struct flag_group){ "Command Options", command->flags, command->n_flags };
    if (command->n_more_flags > 0)
        groups[n++] = (struct flag_group){ "More Options", command->more_flags,
                                           command->n_more_flags };
    return n;
}

/* Is ${name} one word below ${group} ("kv get" below "kv")? */
static bool is_below(const char *name, const char *group)
{
    size_t n = strlen(group);
    return strncmp(name, group, n) == 0 && name[n] == ' ' && strchr(name + n + 1, ' ') == NULL;
}

static void list_below(const char *group, const struct command *const *all, size_t n,
                       struct buf *out)
{
    size_t longest = 0;
    for (size_t i = 0; i < n; i++)
        if (is_below(all[i]->name, group) && strlen(all[i]->name) > longest)
            longest = strlen(all[i]->name);
    for (size_t i = 0; i < n; i++)
        if (is_below(all[i]->name, group))
            buf_printf(out, "    %-*s    %s\n", (int)(longest - strlen(group) - 1),
                       all[i]->name + strlen(group) + 1, all[i]->summary);
}

void help_command(const struct command *command, const struct command *const *all, size_t n)
{
    struct flag_group groups[HELP_MAX_GROUPS];
    AUTO(buf_free) struct buf out = { 0 };
    buf_printf(&out, "Usage: vault %s\n\n%s\n\n", command->usage, command->help);
    if (command->run == NULL) {
        buf_add(&out, STR("Subcommands:\n"));
        list_below(command->name, all, n, &out);
    } else {
        flags_help(groups, help_flag_groups(command, groups), &out);
    }
    while (out.n > 0 && out.p[out.n - 1] == '\n')
        out.n--;
    fprintf(stderr, STR_FMT "\n", STR_ARG(buf_str(&out)));
}

static bool is_common(const char *name)
{
    static const char *const common[] = { "read", "write", "delete", "list", "login", "agent",
                                          "server", "status", "unwrap" };
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        if (strcmp(name, common[i]) == 0)
            return true;
    return false;
}

void help_program(const struct command *const *all, size_t n)
{
    fputs("Usage: vault <command> [args]\n\nCommon commands:\n", stderr);
    for (int common = 1; common >= 0; common--) {
        for (size_t i = 0; i < n; i++)
            if (strchr(all[i]->name, ' ') == NULL && is_common(all[i]->name) == (common == 1))
                fprintf(stderr, "    %-10s    %s\n", all[i]->name, all[i]->summary);
        if (common == 1)
            fputs("\nOther commands:\n", stderr);
    }
}
