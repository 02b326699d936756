/* Options and their environment variables. */
#include "seal/stanza.h"

struct str stanza_option(const struct seal_stanza *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_is(s->options[i].name, name))
            return s->options[i].value;
    return STR("");
}

static struct str environment(const struct seal_stanza *s, const char *name)
{
    return s->env == NULL ? STR("") : str_of(s->env(s->env_ctx, name));
}

struct str stanza_env_first(const struct seal_stanza *s, const char *env, const char *name)
{
    struct str v = environment(s, env);
    return v.n > 0 ? v : stanza_option(s, name);
}

struct str stanza_option_first(const struct seal_stanza *s, const char *name, const char *env)
{
    struct str v = stanza_option(s, name);
    return v.n > 0 ? v : environment(s, env);
}

int stanza_bool(struct str text, const char *name, bool *out, struct err *err)
{
    static const char *const words[][6] = { { "0", "f", "F", "false", "FALSE", "False" },
                                            { "1", "t", "T", "true", "TRUE", "True" } };
    *out = false;
    if (text.n == 0)
        return 0;
    for (int truth = 0; truth < 2; truth++)
        for (size_t i = 0; i < ARRAY_LEN(words[0]); i++)
            if (str_is(text, words[truth][i])) {
                *out = truth == 1;
                return 0;
            }
    return err_set(err, ERR_BAD_REQUEST, "%s: true or false expected, got \"" STR_FMT "\"", name,
                   STR_ARG(text));
}
