/* Token_make: auth/token/create, create-orphan and create/{role}. */
#ifndef SYS_TOKEN_MAKE_H
#define SYS_TOKEN_MAKE_H

#include "logical/route.h"

route_fn token_make_write, token_make_orphan_write, token_make_role_write;

#endif
