/* Seal_status: what "status" and "operator unseal" print about a server. */
#ifndef CMD_SEAL_STATUS_H
#define CMD_SEAL_STATUS_H

#include "cmd/command.h"

/* Ask sys/leader too and print all. ${status} is the answer of sys/seal-status or sys/unseal. */
int seal_status_print(struct command_run *run, const struct json *status);

#endif
