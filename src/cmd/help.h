/* Help: what -h prints, for one command, a group, or the whole program. */
#ifndef CMD_HELP_H
#define CMD_HELP_H

#include "cmd/command.h"

enum { HELP_MAX_GROUPS = 5 };

/* The flags that ${command} takes, as groups; returns their number. */
size_t help_flag_groups(const struct command *command, struct flag_group groups[HELP_MAX_GROUPS]);

/* All help goes to standard error. */
void help_command(const struct command *command, const struct command *const *all, size_t n);
void help_program(const struct command *const *all, size_t n);

#endif
