/* Userpass: login by user name and password. */
#ifndef AUTH_USERPASS_H
#define AUTH_USERPASS_H

#include "logical/engine.h"

extern const struct engine auth_userpass;

#endif
