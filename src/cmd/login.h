/* Login_methods: how each auth method logs in: which path, which fields, what is asked for. */
#ifndef CMD_LOGIN_H
#define CMD_LOGIN_H

#include "cmd/command.h"

/* One auth method as "login -method=NAME" knows it. */
struct login_method {
    const char *name, *mount;
    const char *path;          /* below auth/MOUNT/; "%s" stands for the user's name */
    const char *user_field;    /* argument whose value goes into the path, or NULL */
    const char *secret_field;  /* argument that is asked for when it is not given, or NULL */
    const char *question;
    const char *secret_env;    /* variable that is tried before asking, or NULL */
    const char *help;
};

/* NULL when the program knows no method of that name. */
const struct login_method *login_method_find(struct str name);

#endif
