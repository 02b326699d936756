/* Pgp_keys: OpenPGP public keys named on the command line, made ready for the server. */
#include "cmd/pgp_keys.h"

#include <ctype.h>

#include "cmd/file.h"
#include "codec/base64.h"

/* The base64 between an armour's blank line and its checksum. */
static int take_armour(struct arena *a, struct str text, struct str *out, struct err *err)
{
    AUTO(buf_free) struct buf body = { 0 };
    struct str line;
    bool in_body = false, ended = false;
    while (str_next(&text, '\n', &line)) {
        line = str_trim(line);
        if (str_starts(line, STR("-----END"))) {
            ended = true;
            break;
        }
        if (in_body && str_starts(line, STR("=")))
            continue;
        if (in_body)
            buf_add(&body, line);
        else
            in_body = line.n == 0;
    }
    if (!ended || body.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "the armoured key is incomplete");
    *out = arena_dup(a, buf_str(&body));
    return arena_check(a, err);
}

static bool looks_like_base64(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && strchr("+/=\r\n", s.p[i]) == NULL)
            return false;
    return s.n > 0;
}

int pgp_keys_encode(struct arena *a, struct str content, struct str *out, struct err *err)
{
    struct str text = str_trim(content);
    if (text.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "the file is empty");
    if (str_starts(text, STR("-----BEGIN PGP")))
        return take_armour(a, text, out, err);
    *out = looks_like_base64(text) ? arena_dup(a, text) : base64_encode(a, content);
    return arena_check(a, err);
}

static int read_one(struct command_run *run, struct str name, struct json *list)
{
    AUTO(buf_free) struct buf path = { 0 };
    AUTO(buf_free) struct buf content = { 0 };
    struct err err = { 0 };
    struct str key;
    if (str_starts(name, STR("keybase:")))
        return command_fail(run, -1, STR_FMT ": keys are not fetched from Keybase by this program. "
                            "Save the public key to a file (curl https://keybase.io/" STR_FMT
                            "/pgp_keys.asc) and name the file instead",
                            STR_ARG(name), STR_ARG(str_from(name, sizeof "keybase:" - 1)));
    if (str_starts(name, STR("@")))
        name = str_from(name, 1);
    char *z = arena_cstr(run->arena, name);
    if (z == NULL || file_expand(z, &path, &err) < 0 || file_need(path.p, &content, &err) < 0)
        return command_fail(run, -1, "error reading PGP key: %s", err.msg);
    if (pgp_keys_encode(run->arena, buf_str(&content), &key, &err) < 0)
        return command_fail(run, -1, "error reading PGP key " STR_FMT ": %s", STR_ARG(name),
                            err.msg);
    json_add_str(list, key);
    return 0;
}

int pgp_keys_read(struct command_run *run, const char *flag, struct json **out)
{
    struct strs given = flags_list(run->flags, flag);
    *out = given.n > 0 ? json_array(run->arena) : NULL;
    for (size_t i = 0; i < given.n; i++) {
        struct strs names = strs_split(run->arena, given.v[i], ',');
        for (size_t j = 0; j < names.n; j++)
            TRY(read_one(run, names.v[j], *out));
    }
    return 0;
}
