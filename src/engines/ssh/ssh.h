/* Ssh: the secrets engine of one-time passwords and signed certificates for SSH. */
#ifndef ENGINES_SSH_SSH_H
#define ENGINES_SSH_SSH_H

#include "logical/engine.h"

extern const struct engine engine_ssh;

#endif
