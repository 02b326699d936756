/* Stored forms of scheduled snapshots, and when one is due. */
#include "core/autosnap_config.h"

#include "codec/json.h"

#define CONFIG "core/raft/snapshot-auto/config/"
#define STATE "core/raft/snapshot-auto/state/"

enum { AGAIN_S = 60 };

static const int64_t SECOND = 1000000000;

/* ---- entries ---- */

static int load(struct storage *plain, struct arena *a, const char *folder, struct str name,
                struct json **out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct str key = arena_cat(a, str_of(folder), name);
    TRY(arena_check(a, err));
    int found = storage_get(plain, key, &text, err);
    if (found <= 0)
        return found;
    TRY(json_parse(a, arena_dup(a, buf_str(&text)), out, NULL, err));
    TRY(arena_check(a, err));
    return 1;
}

static int store(struct storage *plain, struct arena *a, const char *folder, struct str name,
                 const struct json *o, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct str key = arena_cat(a, str_of(folder), name);
    TRY(arena_check(a, err));
    json_print(o, &text);
    TRY(buf_check(&text, err));
    return storage_put(plain, key, buf_str(&text), err);
}

int autosnap_config_load(struct storage *plain, struct arena *a, struct str name,
                         struct autosnap_config *out, struct err *err)
{
    struct json *o = NULL;
    int found = load(plain, a, CONFIG, name, &o, err);
    if (found > 0)
        *out = (struct autosnap_config){
            .path_prefix = json_get_str(o, "path_prefix"),
            .file_prefix = json_get_str(o, "file_prefix"),
            .interval_s = json_get_int(o, "interval", 0),
            .retain = json_get_int(o, "retain", 1),
            .local_max_space = json_get_int(o, "local_max_space", 0),
        };
    return found;
}

int autosnap_config_store(struct storage *plain, struct str name, const struct autosnap_config *c,
                          struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct json *o = json_object(a);
    json_put_text(o, "storage_type", "local");
    json_put_str(o, "path_prefix", c->path_prefix);
    json_put_str(o, "file_prefix", c->file_prefix);
    json_put_int(o, "interval", c->interval_s);
    json_put_int(o, "retain", c->retain);
    json_put_int(o, "local_max_space", c->local_max_space);
    return store(plain, a, CONFIG, name, o, err);
}

int autosnap_config_delete(struct storage *plain, struct str name, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct storage_op ops[] = {
        { STORAGE_DELETE, arena_cat(a, STR(CONFIG), name), { NULL, 0 } },
        { STORAGE_DELETE, arena_cat(a, STR(STATE), name), { NULL, 0 } },
    };
    TRY(arena_check(a, err));
    return storage_commit(plain, ops, ARRAY_LEN(ops), err);
}

int autosnap_config_names(struct storage *plain, struct arena *a, struct strs *out,
                          struct err *err)
{
    struct strs_collect collect = { a, out };
    TRY(storage_list(plain, STR(CONFIG), STR(""), strs_collect_name, &collect, err));
    return arena_check(a, err);
}

int autosnap_state_load(struct storage *plain, struct arena *a, struct str name,
                        struct autosnap_state *out, struct err *err)
{
    struct json *o = NULL;
    *out = (struct autosnap_state){ 0 };
    if (load(plain, a, STATE, name, &o, err) < 0)
        return -1;
    if (o != NULL)
        *out = (struct autosnap_state){
            .begun_ns = json_get_int(o, "begun", 0),
            .url = json_get_str(o, "url"),
            .last_start_ns = json_get_int(o, "last_start", 0),
            .last_end_ns = json_get_int(o, "last_end", 0),
            .last_url = json_get_str(o, "last_url"),
            .last_error = json_get_str(o, "last_error"),
        };
    return 0;
}

int autosnap_state_store(struct storage *plain, struct str name, const struct autosnap_state *s,
                         struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct json *o = json_object(a);
    json_put_int(o, "begun", s->begun_ns);
    json_put_str(o, "url", s->url);
    json_put_int(o, "last_start", s->last_start_ns);
    json_put_int(o, "last_end", s->last_end_ns);
    json_put_str(o, "last_url", s->last_url);
    json_put_str(o, "last_error", s->last_error);
    return store(plain, a, STATE, name, o, err);
}

/* ---- what makes sense ---- */

static struct str without_slash(struct str path)
{
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

static int check_alone(const struct autosnap_config *c, struct err *err)
{
    if (c->interval_s <= 0)
        return err_set(err, ERR_BAD_REQUEST, "interval is required: the time between snapshots");
    if (c->interval_s > INT64_MAX / SECOND / 4)
        return err_set(err, ERR_BAD_REQUEST, "interval is too long");
    if (c->retain < 1)
        return err_set(err, ERR_BAD_REQUEST, "retain must be at least 1");
    if (c->local_max_space <= 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "local_max_space is required: how many bytes all snapshots may take");
    if (c->path_prefix.n == 0 || c->path_prefix.p[0] != '/')
        return err_set(err, ERR_BAD_REQUEST,
                       "path_prefix is required: the absolute path of a directory");
    if (c->path_prefix.n > 3000 || has_control(c->path_prefix))
        return err_set(err, ERR_BAD_REQUEST, "path_prefix is not a path");
    if (c->file_prefix.n == 0 || c->file_prefix.n > 200 || has_control(c->file_prefix)
        || str_find_byte(c->file_prefix, '/') >= 0)
        return err_set(err, ERR_BAD_REQUEST, "file_prefix must be the beginning of a file's name");
    return 0;
}

int autosnap_config_check(struct storage *plain, struct str name, const struct autosnap_config *c,
                          struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct strs names = { 0 };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(check_alone(c, err));
    TRY(autosnap_config_names(plain, a, &names, err));
    for (size_t i = 0; i < names.n; i++) {
        struct autosnap_config other;
        if (str_eq(names.v[i], name))
            continue;
        int found = autosnap_config_load(plain, a, names.v[i], &other, err);
        if (found < 0)
            return -1;
        if (found > 0 && str_eq(other.file_prefix, c->file_prefix)
            && str_eq(without_slash(other.path_prefix), without_slash(c->path_prefix)))
            return err_set(err, ERR_BAD_REQUEST,
                           "the configuration \"" STR_FMT "\" keeps its files there under the same "
                           "file_prefix", STR_ARG(names.v[i]));
    }
    return 0;
}

/* ---- when ---- */

bool autosnap_was_cut(const struct autosnap_state *s)
{
    return s->begun_ns != s->last_start_ns;
}

int64_t autosnap_due_ns(const struct autosnap_config *c, const struct autosnap_state *s,
                        int64_t now_ns)
{
    int64_t interval = c->interval_s * SECOND, again = (int64_t)AGAIN_S * SECOND;
    if (s->last_start_ns == 0 || autosnap_was_cut(s))
        return now_ns;
    int64_t due = s->last_error.n == 0 ? s->last_start_ns + interval
                                       : s->last_end_ns + (again < interval ? again : interval);
    /* The clock was set back: what it told then is worth nothing. */
    return due > now_ns + 2 * interval ? now_ns : due;
}
