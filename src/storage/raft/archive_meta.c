/* The JSON of meta.json, with the names and the order of Vault's. */
#include "storage/raft/archive_meta.h"

#include "codec/json.h"

enum { VERSION = 1, VOTER = 0, NONVOTER = 1, STAGING = 2 };

static struct json *ordered(struct json *object)
{
    if (object != NULL)
        object->keep_order = true;
    return object;
}

static void print_servers(const struct archive_meta *m, struct json *list)
{
    for (size_t i = 0; i < m->n_servers; i++) {
        const struct archive_server *s = &m->servers[i];
        struct json *row = ordered(json_add_object(list));
        json_put_int(row, "Suffrage", s->voter ? VOTER : NONVOTER);
        json_put_str(row, "ID", s->id);
        json_put_str(row, "Address", s->address);
    }
}

int archive_meta_print(const struct archive_meta *m, struct buf *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct json *v = ordered(json_object(a));

    json_put_int(v, "Version", m->version);
    json_put_str(v, "ID", m->id);
    json_put(v, "Index", json_uint(a, m->index));
    json_put(v, "Term", json_uint(a, m->term));
    json_put_null(v, "Peers");
    print_servers(m, json_put_array(ordered(json_put_object(v, "Configuration")), "Servers"));
    json_put(v, "ConfigurationIndex", json_uint(a, m->configuration_index));
    json_put(v, "Size", json_uint(a, m->size));
    TRY(arena_check(a, err));
    json_print(v, out);
    buf_byte(out, '\n');
    return buf_check(out, err);
}

static int number(const struct json *object, const char *name, uint64_t *out, struct err *err)
{
    const struct json *v = json_member(object, name);

    if (!json_is(v, JSON_NUMBER) || !str_to_u64(v->text, out))
        return err_set(err, ERR_BAD_REQUEST, "%s is missing or out of range", name);
    return 0;
}

static int parse_server(struct arena *a, const struct json *row, struct archive_server *out,
                        struct err *err)
{
    uint64_t suffrage;

    TRY(number(row, "Suffrage", &suffrage, err));
    if (suffrage > STAGING)
        return err_set(err, ERR_BAD_REQUEST, "Suffrage is missing or out of range");
    out->voter = suffrage == VOTER;
    out->id = arena_dup(a, json_get_str(row, "ID"));
    out->address = arena_dup(a, json_get_str(row, "Address"));
    if (out->id.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "a server has no ID");
    return 0;
}

static int parse_servers(struct arena *a, const struct json *list, struct archive_meta *m,
                         struct err *err)
{
    if (list != NULL && !json_is(list, JSON_NULL) && !json_is(list, JSON_ARRAY))
        return err_set(err, ERR_BAD_REQUEST, "Servers is no list");
    m->servers = arena_array(a, list != NULL ? list->count : 0, sizeof *m->servers);
    TRY(arena_check(a, err));
    for (const struct json *row = json_first(list); row != NULL; row = row->next)
        TRY(parse_server(a, row, &m->servers[m->n_servers++], err));
    return 0;
}

int archive_meta_parse(struct arena *a, struct str text, struct archive_meta *out, struct err *err)
{
    struct archive_meta m = { 0 };
    struct json *v;
    uint64_t version;

    TRY(json_parse_all(a, text, &v, err));
    TRY(number(v, "Version", &version, err));
    if (version != VERSION)
        return err_set(err, ERR_BAD_REQUEST, "version %llu is not supported",
                       (unsigned long long)version);
    m.version = (int64_t)version;
    m.id = arena_dup(a, json_get_str(v, "ID"));
    TRY(number(v, "Index", &m.index, err));
    TRY(number(v, "Term", &m.term, err));
    TRY(number(v, "ConfigurationIndex", &m.configuration_index, err));
    TRY(number(v, "Size", &m.size, err));
    TRY(parse_servers(a, json_member(json_member(v, "Configuration"), "Servers"), &m, err));
    TRY(arena_check(a, err));
    *out = m;
    return 0;
}
