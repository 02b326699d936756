/* Flags of "server": -name=value, -name value, or --name. */
#include "server/options.h"

#include <stdlib.h>

enum kind { FLAG_SWITCH, FLAG_TEXT, FLAG_LIST };

struct flag {
    const char *name;
    enum kind kind;
    void *to;
};

static int set_switch(bool *to, const char *name, struct str value, struct err *err)
{
    if (str_is(value, "true") || str_is(value, "1") || value.p == NULL)
        *to = true;
    else if (str_is(value, "false") || str_is(value, "0"))
        *to = false;
    else
        return err_set(err, ERR_BAD_REQUEST,
                       "invalid boolean value \"" STR_FMT "\" for -%s", STR_ARG(value), name);
    return 0;
}

/* "-name=value" or "--name=value" into its parts. */
static bool split(const char *arg, struct str *name, struct str *value)
{
    struct str s = str_of(arg);
    if (s.n < 2 || s.p[0] != '-')
        return false;
    s = str_from(s, s.p[1] == '-' ? 2 : 1);
    ptrdiff_t equals = str_find_byte(s, '=');
    *name = equals < 0 ? s : str_head(s, (size_t)equals);
    *value = equals < 0 ? (struct str){ NULL, 0 } : str_from(s, (size_t)equals + 1);
    return true;
}

static void from_environment(struct options *o)
{
    o->dev_root_token_id = str_of(getenv("VAULT_DEV_ROOT_TOKEN_ID"));
    o->dev_listen_address = str_of(getenv("VAULT_DEV_LISTEN_ADDRESS"));
}

int options_parse(struct arena *a, int argc, char **argv, struct options *out, struct err *err)
{
    const struct flag flags[] = {
        { "config", FLAG_LIST, &out->config_paths },
        { "log-level", FLAG_TEXT, &out->log_level },
        { "log-format", FLAG_TEXT, &out->log_format },
        { "recovery", FLAG_SWITCH, &out->recovery },
        { "dev", FLAG_SWITCH, &out->dev },
        { "dev-root-token-id", FLAG_TEXT, &out->dev_root_token_id },
        { "dev-listen-address", FLAG_TEXT, &out->dev_listen_address },
        { "dev-no-store-token", FLAG_SWITCH, &out->dev_no_store_token },
        { "dev-kv-v1", FLAG_SWITCH, &out->dev_kv_v1 },
    };
    *out = (struct options){ 0 };
    from_environment(out);
    for (int i = 1; i < argc; i++) {
        struct str name, value;
        const struct flag *f = flags;
        if (!split(argv[i], &name, &value))
            return err_set(err, ERR_BAD_REQUEST, "too many arguments: %s", argv[i]);
        while (f < flags + ARRAY_LEN(flags) && !str_is(name, f->name))
            f++;
        if (f == flags + ARRAY_LEN(flags))
            return err_set(err, ERR_BAD_REQUEST, "flag provided but not defined: -" STR_FMT,
                           STR_ARG(name));
        if (f->kind != FLAG_SWITCH && value.p == NULL) {
            if (i + 1 == argc)
                return err_set(err, ERR_BAD_REQUEST, "flag needs an argument: -%s", f->name);
            value = str_of(argv[++i]);
        }
        switch (f->kind) {
        case FLAG_SWITCH: TRY(set_switch(f->to, f->name, value, err)); break;
        case FLAG_TEXT: *(struct str *)f->to = value; break;
        case FLAG_LIST: strs_add(a, f->to, value); break;
        }
    }
    return arena_check(a, err);
}
