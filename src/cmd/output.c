/* Output: answers of the server printed in the format that was asked for. */
#include "cmd/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/text.h"
#include "cmd/yaml.h"
#include "codec/timefmt.h"

/* ---- the envelope ---- */

static void copy_str(struct json *to, const struct json *from, const char *name)
{
    json_put_str(to, name, json_get_str(from, name));
}

static void copy_int(struct json *to, const struct json *from, const char *name)
{
    const struct json *v = json_member(from, name);
    json_put(to, name, json_is(v, JSON_NUMBER) ? json_number(to->arena, v->text)
                                               : json_int(to->arena, 0));
}

static void copy_any(struct json *to, const struct json *from, const char *name)
{
    const struct json *v = json_member(from, name);
    json_put(to, name, v != NULL ? json_copy(to->arena, v) : json_null(to->arena));
}

static void add_auth(struct json *to, const struct json *auth)
{
    struct json *a = json_put_object(to, "auth");
    if (a == NULL)
        return;
    a->keep_order = true;
    copy_str(a, auth, "client_token");
    copy_str(a, auth, "accessor");
    copy_any(a, auth, "policies");
    copy_any(a, auth, "token_policies");
    copy_any(a, auth, "identity_policies");
    copy_any(a, auth, "metadata");
    json_put_bool(a, "orphan", json_get_bool(auth, "orphan", false));
    copy_str(a, auth, "entity_id");
    copy_int(a, auth, "lease_duration");
    json_put_bool(a, "renewable", json_get_bool(auth, "renewable", false));
}

static void add_wrap_info(struct json *to, const struct json *info)
{
    struct json *w = json_put_object(to, "wrap_info");
    if (w == NULL)
        return;
    w->keep_order = true;
    copy_str(w, info, "token");
    copy_str(w, info, "accessor");
    copy_int(w, info, "ttl");
    copy_str(w, info, "creation_time");
    copy_str(w, info, "creation_path");
    copy_str(w, info, "wrapped_accessor");
}

static const struct json *member_object(const struct json *v, const char *name)
{
    const struct json *m = json_member(v, name);
    return json_is(m, JSON_OBJECT) ? m : NULL;
}

struct json *output_envelope(struct arena *a, const struct json *answer)
{
    struct json *e = json_object(a);
    if (e == NULL)
        return NULL;
    e->keep_order = true;
    copy_str(e, answer, "request_id");
    copy_str(e, answer, "lease_id");
    copy_int(e, answer, "lease_duration");
    json_put_bool(e, "renewable", json_get_bool(answer, "renewable", false));
    copy_any(e, answer, "data");
    copy_any(e, answer, "warnings");
    if (member_object(answer, "auth") != NULL)
        add_auth(e, member_object(answer, "auth"));
    if (member_object(answer, "wrap_info") != NULL)
        add_wrap_info(e, member_object(answer, "wrap_info"));
    return e;
}

const struct json *output_keys(const struct json *answer)
{
    const struct json *keys = json_member(json_member(answer, "data"), "keys");
    return json_is(keys, JSON_ARRAY) ? keys : NULL;
}

bool output_is_wrapped(const struct json *answer)
{
    return json_get_int(member_object(answer, "wrap_info"), "ttl", 0) != 0;
}

/* ---- tables ---- */

void output_table(const struct command_run *run, const struct table *t, bool header)
{
    AUTO(buf_free) struct buf out = { 0 };
    table_print(t, header, &out);
    if (!run->curl_only)
        command_write(buf_str(&out));
}

static void add_row(struct table *t, struct str name, struct str value)
{
    table_cell(t, name);
    table_cell(t, value);
    table_end_row(t);
}

/* "Key", "Value" before the first row. */
static void begin(struct table *t)
{
    if (t->columns == 0)
        table_key_value(t);
}

static void add_member(struct table *t, const struct json *m)
{
    AUTO(buf_free) struct buf text = { 0 };
    int64_t seconds;
    begin(t);
    if (text_is_duration_key(m->key) && json_is(m, JSON_NUMBER) && json_to_i64(m, &seconds))
        buf_add(&text, text_duration(t->arena, seconds));
    else
        text_value(m, &text);
    add_row(t, m->key, arena_dup(t->arena, buf_str(&text)));
}

static int by_key(const void *a, const void *b)
{
    return str_cmp((*(const struct json *const *)a)->key, (*(const struct json *const *)b)->key);
}

static void add_members(struct table *t, const struct json *object)
{
    size_t n = 0;
    if (!json_is(object, JSON_OBJECT))
        return;
    const struct json **list = (const struct json **)arena_array(t->arena, object->count + 1,
                                                                 sizeof *list);
    for (const struct json *m = object->first; list != NULL && m != NULL; m = m->next)
        list[n++] = m;
    if (list != NULL)
        qsort(list, n, sizeof *list, by_key);
    for (size_t i = 0; i < n; i++)
        add_member(t, list[i]);
}

static struct str seconds_of(struct table *t, const struct json *v, const char *name)
{
    return text_duration(t->arena, json_get_int(v, name, 0));
}

static void add_lease(struct table *t, const struct json *answer)
{
    struct str id = json_get_str(answer, "lease_id");
    if (json_get_int(answer, "lease_duration", 0) <= 0)
        return;
    begin(t);
    if (id.n == 0) {
        add_row(t, STR("refresh_interval"), seconds_of(t, answer, "lease_duration"));
        return;
    }
    add_row(t, STR("lease_id"), id);
    add_row(t, STR("lease_duration"), seconds_of(t, answer, "lease_duration"));
    add_row(t, STR("lease_renewable"),
            json_get_bool(answer, "renewable", false) ? STR("true") : STR("false"));
}

static struct str quoted(struct table *t, const struct json *list)
{
    AUTO(buf_free) struct buf text = { 0 };
    text_quoted_list(list, &text);
    return arena_dup(t->arena, buf_str(&text));
}

static void add_auth_rows(struct table *t, const struct json *auth)
{
    AUTO(buf_free) struct buf name = { 0 };
    begin(t);
    add_row(t, STR("token"), json_get_str(auth, "client_token"));
    add_row(t, STR("token_accessor"), json_get_str(auth, "accessor"));
    add_row(t, STR("token_duration"), json_get_int(auth, "lease_duration", 0) == 0
                                          ? STR("∞")
                                          : seconds_of(t, auth, "lease_duration"));
    add_row(t, STR("token_renewable"),
            json_get_bool(auth, "renewable", false) ? STR("true") : STR("false"));
    add_row(t, STR("token_policies"), quoted(t, json_member(auth, "token_policies")));
    add_row(t, STR("identity_policies"), quoted(t, json_member(auth, "identity_policies")));
    add_row(t, STR("policies"), quoted(t, json_member(auth, "policies")));
    const struct json *meta = member_object(auth, "metadata");
    for (const struct json *m = json_first(meta); m != NULL; m = m->next)
        add_row(t, arena_cat(t->arena, STR("token_meta_"), m->key), m->text);
}

/* "2021-07-28 10:20:30.123456789 +0000 UTC", as Go prints an instant. */
static struct str go_time(struct arena *a, struct str rfc3339)
{
    ptrdiff_t at = str_find_byte(rfc3339, 'T');
    struct str clock = at > 0 ? str_from(rfc3339, (size_t)at + 1) : STR("");
    if (!str_ends(clock, STR("Z"))) {
        /* A zone: the offset without its colon, twice, as Go does for a nameless zone. */
        if (clock.n < 6 || clock.p[clock.n - 3] != ':')
            return rfc3339;
        struct str zone = str_from(clock, clock.n - 6);
        return arena_printf(a, STR_FMT " " STR_FMT " " STR_FMT STR_FMT " " STR_FMT STR_FMT,
                            STR_ARG(str_head(rfc3339, (size_t)at)),
                            STR_ARG(str_head(clock, clock.n - 6)), STR_ARG(str_head(zone, 3)),
                            STR_ARG(str_from(zone, 4)), STR_ARG(str_head(zone, 3)),
                            STR_ARG(str_from(zone, 4)));
    }
    return arena_printf(a, STR_FMT " " STR_FMT " +0000 UTC",
                        STR_ARG(str_head(rfc3339, (size_t)at)),
                        STR_ARG(str_head(clock, clock.n - 1)));
}

static void add_wrap_rows(struct table *t, const struct json *info)
{
    begin(t);
    add_row(t, STR("wrapping_token:"), json_get_str(info, "token"));
    add_row(t, STR("wrapping_accessor:"), json_get_str(info, "accessor"));
    add_row(t, STR("wrapping_token_ttl:"), seconds_of(t, info, "ttl"));
    add_row(t, STR("wrapping_token_creation_time:"),
            go_time(t->arena, json_get_str(info, "creation_time")));
    add_row(t, STR("wrapping_token_creation_path:"), json_get_str(info, "creation_path"));
    if (json_get_str(info, "wrapped_accessor").n > 0)
        add_row(t, STR("wrapped_accessor:"), json_get_str(info, "wrapped_accessor"));
}

void output_warnings(const struct command_run *run, const struct json *answer)
{
    const struct json *warnings = json_member(answer, "warnings");
    if (!json_is(warnings, JSON_ARRAY) || warnings->count == 0)
        return;
    command_warn(run, "WARNING! The following warnings were returned from Vault:\n");
    for (const struct json *w = warnings->first; w != NULL; w = w->next) {
        AUTO(buf_free) struct buf line = { 0 };
        AUTO(buf_free) struct buf wrapped = { 0 };
        buf_add(&line, STR("* "));
        buf_add(&line, w->text);
        text_wrap(buf_str(&line), 2, &wrapped);
        command_warn(run, STR_FMT "\n", STR_ARG(buf_str(&wrapped)));
    }
}

void output_title(const struct command_run *run, const char *title, const struct json *object)
{
    size_t longest = 0;
    for (const struct json *m = json_first(object); m != NULL; m = m->next)
        longest = m->key.n > longest ? m->key.n : longest;
    /* as wide as the table when its values are as short as its header */
    size_t width = longest + 4 + 5, used = strlen(title) + 2;
    size_t signs = width > used ? width - used : 4;
    signs = (signs + 1) / 2;
    char line[81];
    memset(line, '=', sizeof line);
    int n = (int)(signs < sizeof line ? signs : sizeof line - 1);
    command_say(run, "%.*s %s %.*s", n, line, title, n, line);
}

/* ---- formats ---- */

static int print_machine(struct command_run *run, const struct json *v)
{
    AUTO(buf_free) struct buf out = { 0 };
    if (strcmp(run->format, "json") == 0) {
        json_print_pretty(v, 2, &out);
        buf_byte(&out, '\n');
    } else if (strcmp(run->format, "yaml") == 0) {
        yaml_print(v, &out);
    } else {
        return command_fail(run, 1,
                            "Could not parse output: cannot use the pretty formatter for this "
                            "type");
    }
    if (out.failed)
        return command_out_of_memory(run);
    if (!run->curl_only)
        command_write(buf_str(&out));
    return 0;
}

int output_secret(struct command_run *run, const struct json *answer)
{
    if (!command_is_table(run))
        return print_machine(run, output_envelope(run->arena, answer));
    struct table t = { .arena = run->arena };
    output_warnings(run, answer);
    add_lease(&t, answer);
    if (member_object(answer, "auth") != NULL)
        add_auth_rows(&t, member_object(answer, "auth"));
    if (member_object(answer, "wrap_info") != NULL)
        add_wrap_rows(&t, member_object(answer, "wrap_info"));
    add_members(&t, member_object(answer, "data"));
    if (arena_failed(run->arena))
        return command_out_of_memory(run);
    output_table(run, &t, true);
    return 0;
}

int output_value(struct command_run *run, const struct json *v)
{
    if (!command_is_table(run))
        return print_machine(run, v);
    struct table t = { .arena = run->arena };
    add_members(&t, v);
    if (arena_failed(run->arena))
        return command_out_of_memory(run);
    output_table(run, &t, true);
    return 0;
}

int output_list(struct command_run *run, const struct json *answer)
{
    const struct json *keys = output_keys(answer);
    if (!command_is_table(run))
        return print_machine(run, keys);
    struct table t = { .arena = run->arena };
    struct strs names = { 0 };
    output_warnings(run, answer);
    for (const struct json *k = json_first(keys); k != NULL; k = k->next)
        strs_add(run->arena, &names, k->text);
    strs_sort(&names);
    if (names.n > 0) {
        table_cell(&t, STR("Keys"));
        table_end_row(&t);
    }
    for (size_t i = 0; i < names.n; i++)
        table_cell(&t, names.v[i]);
    if (arena_failed(run->arena))
        return command_out_of_memory(run);
    output_table(run, &t, true);
    return 0;
}

/* ---- single fields ---- */

int output_raw(const struct command_run *run, struct str text)
{
    if (run->curl_only)
        return 0;
    command_write(text);
    if (isatty(STDOUT_FILENO))
        putchar('\n');
    return 0;
}

static int print_field(struct command_run *run, const struct json *v, struct str name)
{
    AUTO(buf_free) struct buf out = { 0 };
    if (v == NULL || v->type == JSON_NULL)
        return command_fail(run, 1, "Field \"" STR_FMT "\" not present in secret",
                            STR_ARG(name));
    if (command_is_table(run))
        text_value(v, &out);
    else if (strcmp(run->format, "json") == 0)
        json_print_pretty(v, 2, &out);
    else
        yaml_print(v, &out);
    return out.failed ? command_out_of_memory(run) : output_raw(run, buf_str(&out));
}

int output_member(struct command_run *run, const struct json *object, struct str name)
{
    return print_field(run, json_get(object, name), name);
}

/* Where a field that is not data stands in the envelope; NULL: it is data. */
static const struct json *envelope_field(const struct json *envelope, struct str name)
{
    static const struct {
        const char *part, *field, *member;
    } rows[] = {
        { "auth", "token", "client_token" },
        { "auth", "token_accessor", "accessor" },
        { "auth", "token_duration", "lease_duration" },
        { "auth", "token_renewable", "renewable" },
        { "auth", "token_policies", "token_policies" },
        { "auth", "identity_policies", "identity_policies" },
        { "auth", "policies", "policies" },
        { "wrap_info", "wrapping_token", "token" },
        { "wrap_info", "wrapping_accessor", "accessor" },
        { "wrap_info", "wrapping_token_ttl", "ttl" },
        { "wrap_info", "wrapping_token_creation_time", "creation_time" },
        { "wrap_info", "wrapping_token_creation_path", "creation_path" },
        { "wrap_info", "wrapped_accessor", "wrapped_accessor" },
        { NULL, "lease_duration", "lease_duration" },
        { NULL, "refresh_interval", "lease_duration" },
        { NULL, "lease_id", "lease_id" },
        { NULL, "request_id", "request_id" },
        { NULL, "renewable", "renewable" },
    };
    const char *part = member_object(envelope, "auth") != NULL        ? "auth"
                       : member_object(envelope, "wrap_info") != NULL ? "wrap_info"
                                                                      : NULL;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_is(name, rows[i].field) &&
            (part == NULL ? rows[i].part == NULL
                          : rows[i].part != NULL && strcmp(part, rows[i].part) == 0))
            return json_member(part == NULL ? envelope : json_member(envelope, part),
                               rows[i].member);
    return NULL;
}

int output_field(struct command_run *run, const struct json *answer, struct str name)
{
    const struct json *envelope = output_envelope(run->arena, answer);
    const struct json *data = member_object(envelope, "data");
    const struct json *v = envelope_field(envelope, name);
    bool bare = member_object(envelope, "auth") == NULL &&
                member_object(envelope, "wrap_info") == NULL;
    if (v == NULL)
        v = json_get(data, name);
    if (v == NULL && bare && str_is(name, "data"))
        v = data;
    return print_field(run, v, name);
}

int output_field_or_secret(struct command_run *run, const struct json *answer)
{
    struct str field = flags_str(run->flags, "field");
    return field.n > 0 ? output_field(run, answer, field) : output_secret(run, answer);
}

int output_refused(struct command_run *run, int status, const struct json *answer)
{
    const struct json *data = json_member(answer, "data");
    const struct json *warnings = json_member(answer, "warnings");
    if (status == 404 && ((data != NULL && data->count > 0) ||
                          (warnings != NULL && warnings->count > 0)))
        output_secret(run, answer);
    return 2;
}
