/* IP addresses and roles: lookup, and the list config/zeroaddress. */
#include "engines/ssh/address.h"

#include <arpa/inet.h>

#include "engines/ssh/routes.h"
#include "engines/ssh/store.h"
#include "logical/cidr.h"

static const struct str list_key = STR_INIT("config/zeroaddress");

bool address_parse(struct arena *a, struct str text, struct str *out)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    char z[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    bool v6 = str_find_byte(text, ':') >= 0;

    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, '\0', text.n) != NULL)
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(v6 ? AF_INET6 : AF_INET, z, bytes) != 1)
        return false;
    /* As in Go, an IPv4-mapped address is an IPv4 address. */
    bool shorter = v6 && memcmp(bytes, mapped, sizeof mapped) == 0;
    if (inet_ntop(v6 && !shorter ? AF_INET6 : AF_INET, shorter ? bytes + 12 : bytes, z,
                  sizeof z) == NULL)
        return false;
    *out = arena_dup(a, str_of(z));
    return !arena_failed(a);
}

/* "10.0.0.0/8": nothing without its length, as Go's ParseCIDR. */
static bool block_parse(struct str s, struct cidr *out)
{
    struct err ignored;
    return str_find_byte(s, '/') >= 0 && cidr_parse(s, out, &ignored) == 0;
}

int address_check(struct request *req, struct str blocks)
{
    struct str item;

    while (str_next(&blocks, ',', &item)) {
        struct cidr c;
        item = str_trim(item);
        if (item.n > 0 && !block_parse(item, &c))
            return err_set(&req->err, ERR_INTERNAL, "invalid CIDR address: " STR_FMT,
                           STR_ARG(item));
    }
    return 0;
}

/* 1, 0, or -1 at an item that is no block. As Vault, an item with a space beside it is none. */
static int within(struct request *req, struct str ip, struct str blocks)
{
    struct str item;

    if (blocks.n == 0)
        return 0;
    while (str_next(&blocks, ',', &item)) {
        struct cidr c;
        if (!block_parse(item, &c)) {
            struct str shown = ssh_store_quoted(req, item);
            return err_set(&req->err, ERR_BAD_REQUEST, "invalid CIDR entry " STR_FMT,
                           STR_ARG(shown));
        }
        if (cidr_contains(&c, ip))
            return 1;
    }
    return 0;
}

/* The list as an array, NULL when there is none. 1, 0, -1. */
static int list_load(struct request *req, struct json **roles)
{
    struct json *stored;
    int found = ssh_store_get(req, STR(""), list_key, &stored);

    *roles = found > 0 ? json_member(stored, "roles") : NULL;
    if (!json_is(*roles, JSON_ARRAY))
        *roles = NULL;
    return found;
}

static bool in_list(const struct json *roles, struct str name)
{
    for (const struct json *v = json_first(roles); v != NULL; v = v->next)
        if (str_eq(v->text, name))
            return true;
    return false;
}

int address_allowed(struct request *req, struct str role_name, const struct role *role,
                    struct str ip)
{
    struct str blocks = role_str(role, "cidr_list"), except = role_str(role, "exclude_cidr_list");
    struct json *everywhere;

    TRY(list_load(req, &everywhere));
    if (in_list(everywhere, role_name))
        return 0;
    int inside = within(req, ip, blocks);
    int outside = inside > 0 ? within(req, ip, except) : 0;
    if (inside < 0 || outside < 0)
        return err_prefix(&req->err, "Error validating IP");
    if (inside == 0 || outside > 0)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "Error validating IP: IP does not belong to role");
    return 0;
}

/* ---- lookup ---- */

/* Adds the names of roles whose blocks hold the address; a role that does not parse is passed. */
static int add_matching(struct request *req, struct str ip, struct json *out)
{
    struct strs names = { 0 };
    struct strs_collect collect = { req->arena, &names };

    TRY(storage_list(req->storage, STR("roles/"), STR(""), strs_collect_name, &collect, &req->err));
    for (size_t i = 0; i < names.n; i++) {
        struct err before = req->err;
        struct role role;
        if (role_load(req, names.v[i], &role) > 0 &&
            within(req, ip, role_str(&role, "cidr_list")) > 0)
            json_add_str(out, names.v[i]);
        req->err = before;
    }
    return arena_check(req->arena, &req->err);
}

int ssh_address_lookup(struct request *req, struct response *resp)
{
    struct str asked = field_str(req, "ip"), ip;
    struct json *roles = json_array(req->arena), *everywhere;

    if (asked.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "Missing ip");
    if (!address_parse(req->arena, asked, &ip))
        return err_set(&req->err, ERR_BAD_REQUEST, "Invalid IP \"<nil>\""); /* as Vault shows it */
    TRY(add_matching(req, ip, roles));
    TRY(list_load(req, &everywhere));
    for (const struct json *v = json_first(everywhere); v != NULL; v = v->next)
        json_add_str(roles, v->text);
    TRY(arena_check(req->arena, &req->err));
    json_put(response_data(resp), "roles", roles->count > 0 ? roles : json_null(req->arena));
    return 1;
}

/* ---- the list of those that serve all addresses ---- */

int ssh_address_read(struct request *req, struct response *resp)
{
    struct json *roles;
    int found = list_load(req, &roles);

    if (found <= 0)
        return found;
    json_put(response_data(resp), "roles", roles != NULL ? roles : json_null(req->arena));
    return 1;
}

static struct str list_text(struct request *req, struct json *roles)
{
    struct json *o = json_object(req->arena);

    json_put(o, "roles", roles);
    return ssh_store_text(req->arena, o);
}

int ssh_address_write(struct request *req, struct response *resp)
{
    struct strs names = field_strs(req, "roles");
    struct json *roles = json_array(req->arena);
    AUTO(keylock_release) struct keyhold hold = { 0 };

    if (names.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "Missing roles");
    TRY(ssh_store_hold(req, list_key, &hold));
    for (size_t i = 0; i < names.n; i++) {
        struct role role;
        int found = role_load(req, names.v[i], &role);
        if (found < 0)
            return -1;
        if (found == 0) {
            struct str shown = ssh_store_quoted(req, names.v[i]);
            return err_set(&req->err, ERR_BAD_REQUEST, "Role " STR_FMT " does not exist",
                           STR_ARG(shown));
        }
        json_add_str(roles, names.v[i]);
    }
    struct str text = list_text(req, roles);
    TRY(arena_check(req->arena, &req->err));
    return storage_put(req->storage, list_key, text, &req->err) < 0 ? -1 : 1;
}

int ssh_address_delete(struct request *req, struct response *resp)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };

    TRY(ssh_store_hold(req, list_key, &hold));
    return storage_delete(req->storage, list_key, &req->err) < 0 ? -1 : 1;
}

int address_without(struct request *req, struct str role_name, struct keyhold *hold,
                    struct storage_op *op)
{
    struct json *roles, *left = json_array(req->arena);

    TRY(ssh_store_hold(req, list_key, hold));
    int found = list_load(req, &roles);
    if (found <= 0)
        return found;
    for (const struct json *v = json_first(roles); v != NULL; v = v->next)
        if (!str_eq(v->text, role_name))
            json_add_str(left, v->text);
    *op = (struct storage_op){ STORAGE_PUT, list_key, list_text(req, left) };
    TRY(arena_check(req->arena, &req->err));
    return 1;
}
