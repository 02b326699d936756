/* Complete: completion of commands and options in bash, zsh and fish. */
#ifndef CMD_COMPLETE_H
#define CMD_COMPLETE_H

#include "cmd/command.h"

/*
 * When the shell asks (COMP_LINE is set, as with "complete -C program program"): print one
 * candidate a line. True when it asked.
 */
bool complete_line(const struct command *const *all, size_t n);

/* -autocomplete-install, -autocomplete-uninstall: the exit status; -1: not asked for. */
int complete_setup(char **argv, size_t argc);

#endif
